"""This module is the proof of who may do what with objects: the rendered policies, judged as S3 judges them.

No MinIO is started: it cannot be built here. That the policies are attached to these users is proven by the commands of
the script that makes the bucket; what they say, by an evaluator of the few words that they are written with.
"""

import fnmatch
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from conftest import Manifests
from environments import EVERY

BUCKET = "ai-interviewer-uploads"
RESUME = f"{BUCKET}/resumes/a@example.com/1.pdf"
PRIVATE = f"{BUCKET}/private/1.pdf"
LISTS = ("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads")
RULES = (
    *("s3:CreateBucket", "s3:DeleteBucket", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:GetBucketPolicy"),
    *(
        "s3:PutLifecycleConfiguration",
        "s3:PutBucketVersioning",
        "s3:PutBucketNotification",
        "s3:PutReplicationConfiguration",
    ),
)
ADMIN = ("admin:CreateUser", "admin:CreateServiceAccount", "admin:ServerInfo", "admin:CreatePolicy")
ASKED = [
    *((action, place) for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject") for place in (RESUME, PRIVATE)),
    *((action, "tempo/1") for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")),
    *(("s3:BypassGovernanceRetention", place) for place in (RESUME, PRIVATE)),
    *((action, place) for action in (*LISTS, *RULES) for place in (BUCKET, f"{BUCKET}-other", "tempo")),
    *((action, "") for action in (*ADMIN, "s3:ListAllMyBuckets")),
]
ALLOWED = {
    "public.json": {("s3:GetObject", RESUME)},
    "client.json": {
        *(
            (action, place)
            for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
            for place in (RESUME, PRIVATE)
        ),
        ("s3:ListBucket", BUCKET),
    },
    "backup.json": {("s3:GetObject", RESUME), ("s3:GetObject", PRIVATE), ("s3:ListBucket", BUCKET)},
}


def applies(statement: Mapping[str, Any], action: str, place: str) -> bool:
    """Whether a statement is about this action and this place."""
    unknown = set(statement) - {"Effect", "Principal", "Action", "Resource"}
    assert not unknown, f"The evaluator does not know {unknown}."
    assert statement["Effect"] in ("Allow", "Deny")
    if not any(fnmatch.fnmatchcase(action, pattern) for pattern in statement["Action"]):
        return False
    if "Resource" not in statement:
        assert all(pattern.startswith("admin:") for pattern in statement["Action"]), "S3 wants a resource."
        return True
    return any(fnmatch.fnmatchcase(f"arn:aws:s3:::{place}", pattern) for pattern in statement["Resource"])


def allowed(policy: Mapping[str, Any], action: str, place: str) -> bool:
    """Whether a policy allows it: something does, and nothing denies it."""
    assert set(policy) == {"Version", "Statement"}
    assert policy["Version"] == "2012-10-17"
    effects = {statement["Effect"] for statement in policy["Statement"] if applies(statement, action, place)}
    return effects == {"Allow"}


def policies(rendered: Sequence[Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """The policies of the bucket, by the names of their files."""
    (data,) = (m["data"] for m in rendered if m["kind"] == "ConfigMap" and "public.json" in m.get("data", {}))
    return {name: json.loads(text) for name, text in data.items() if name.endswith(".json")}


@pytest.mark.parametrize("environment", EVERY)
def test_each_may_do_what_it_does_and_nothing_else(manifests: Manifests, environment: str) -> None:
    found = policies(manifests(environment))
    assert {"public.json", "client.json"} <= set(found) <= set(ALLOWED)
    for name, policy in found.items():
        assert {asked for asked in ASKED if allowed(policy, *asked)} == ALLOWED[name], name


@pytest.mark.parametrize("environment", EVERY)
def test_who_has_no_key_lists_no_bucket(manifests: Manifests, environment: str) -> None:
    public = policies(manifests(environment))["public.json"]
    assert {action for statement in public["Statement"] for action in statement["Action"]} == {"s3:GetObject"}
    assert all(statement["Principal"] == {"AWS": ["*"]} for statement in public["Statement"])


@pytest.mark.parametrize("environment", EVERY)
def test_a_policy_of_a_user_names_nobody_and_denies_the_administration(manifests: Manifests, environment: str) -> None:
    for name, policy in policies(manifests(environment)).items():
        if name != "public.json":
            assert not any("Principal" in statement for statement in policy["Statement"])
            assert {"Effect": "Deny", "Action": ["admin:*"]} in policy["Statement"]


def test_the_evaluator_denies_what_is_denied_and_what_nobody_allows() -> None:
    allow = {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::a/*"]}
    deny = {"Effect": "Deny", "Action": ["s3:Put*"], "Resource": ["arn:aws:s3:::a/b*"]}
    policy = {"Version": "2012-10-17", "Statement": [allow, deny]}
    assert allowed(policy, "s3:PutObject", "a/c")
    assert not allowed(policy, "s3:PutObject", "a/b")
    assert not allowed(policy, "s3:GetObject", "other/c")
    assert not allowed(policy, "admin:ServerInfo", "")
