"""This module is the proof of what an application knows about its Secrets: origins, variables and readers of keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_interviewer import PROD, AiInterviewer
from conftest import Manifests
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    ExistingSecrets,
    IssuedKey,
    KeyForm,
    Phase,
    RandomKey,
    Secret,
    SecretSettings,
    SettingError,
    TreeError,
)
from mcpmesh_k8s.checks import at, containers_of, each, name_of


def phase() -> Phase:
    return Phase(Application(ApplicationSettings(name="shop"), outdir="unused"), "all")


def secret(scope: Phase, name: str, *keys: str | IssuedKey | RandomKey) -> Secret:
    return Secret(scope, SecretSettings(name=name, keys=keys, source=ExistingSecrets()))


PRODUCTION = {
    "ai-interviewer-postgres/password": "POSTGRES_PASSWORD",
    "ai-interviewer-postgres/mcpmesh-password": "POSTGRES_MCPMESH_PASSWORD",
    "ai-interviewer-postgres/backend-password": "POSTGRES_BACKEND_PASSWORD",
    "ai-interviewer-postgres/interview-agent-password": "POSTGRES_INTERVIEW_AGENT_PASSWORD",
    "ai-interviewer-redis/password": "REDIS_PASSWORD",
    "ai-interviewer-minio/root-user": "MINIO_ROOT_USER",
    "ai-interviewer-minio/root-password": "MINIO_ROOT_PASSWORD",
    "ai-interviewer-minio/access-key": "MINIO_ACCESS_KEY",
    "ai-interviewer-minio/secret-key": "MINIO_SECRET_KEY",
    "ai-interviewer-grafana/admin-user": "GRAFANA_ADMIN_USER",
    "ai-interviewer-grafana/admin-password": "GRAFANA_ADMIN_PASSWORD",
    "ai-interviewer-oauth2-proxy/client-id": "OAUTH2_PROXY_CLIENT_ID",
    "ai-interviewer-oauth2-proxy/client-secret": "OAUTH2_PROXY_CLIENT_SECRET",
    "ai-interviewer-oauth2-proxy/cookie-secret": "OAUTH2_PROXY_COOKIE_SECRET",
    "ai-interviewer-claude/api-key": "CLAUDE_API_KEY",
    "ai-interviewer-openai/api-key": "OPENAI_API_KEY",
}
ISSUED = {
    "OAUTH2_PROXY_CLIENT_ID": "Google, console.cloud.google.com",
    "OAUTH2_PROXY_CLIENT_SECRET": "Google, console.cloud.google.com",
    "CLAUDE_API_KEY": "Anthropic, console.anthropic.com",
    "OPENAI_API_KEY": "OpenAI, platform.openai.com",
}


def test_every_key_of_production_has_its_variable_and_the_issued_ones_their_issuer() -> None:
    entries = AiInterviewer(PROD, outdir="unused").secret_keys()
    assert {f"{entry.reference.secret}/{entry.reference.key}": entry.variable for entry in entries} == PRODUCTION
    assert {e.variable: e.origin.issued_by for e in entries if isinstance(e.origin, IssuedKey)} == ISSUED


def test_every_made_up_value_is_hexadecimal_but_the_key_of_the_cookies() -> None:
    entries = AiInterviewer(PROD, outdir="unused").secret_keys()
    others = {e.variable: e.origin.form for e in entries if isinstance(e.origin, RandomKey)}
    assert {variable for variable, form in others.items() if form is not KeyForm.HEX} == {"OAUTH2_PROXY_COOKIE_SECRET"}
    assert others["OAUTH2_PROXY_COOKIE_SECRET"] is KeyForm.URL_SAFE_BASE64


def test_the_readers_of_a_key_are_the_pods_whose_manifests_refer_to_it(manifests: Manifests) -> None:
    found: dict[tuple[object, object], set[str]] = {}
    for manifest in manifests("prod"):
        for container in containers_of(at(manifest, "spec", "template")):
            for variable in each(container, "env"):
                reference = at(variable, "valueFrom", "secretKeyRef")
                if reference:
                    reader = name_of(manifest).removeprefix("ai-interviewer-")
                    found.setdefault((reference["name"], reference["key"]), set()).add(reader)
    entries = AiInterviewer(PROD, outdir="unused").secret_keys()
    assert {(entry.reference.secret, entry.reference.key): set(entry.readers) for entry in entries} == found
    assert found["ai-interviewer-redis", "password"] > {"redis", "backend"}, "init containers read it, too"


def test_a_key_that_nobody_reads_is_told_all_the_same() -> None:
    (entry,) = secret(phase(), "unused", "token").application.secret_keys()
    assert (entry.variable, entry.readers) == ("UNUSED_TOKEN", ())


@pytest.mark.parametrize(
    ("first", "second", "variable"),
    [
        (("shop", "api-key"), ("shop-api", "key"), "SHOP_API_KEY"),
        (("tls", "ca.crt"), ("tls-ca", "crt"), "TLS_CA_CRT"),
    ],
)
def test_two_keys_with_one_variable_are_refused(first: tuple[str, str], second: tuple[str, str], variable: str) -> None:
    scope = phase()
    secret(scope, *first)
    secret(scope, *second)
    with pytest.raises(TreeError, match=f"shop-{first[0]}/.* and .*shop-{second[0]}/.* would both be {variable}"):
        scope.application.manifests()


@pytest.mark.parametrize(
    "keys", [("a", IssuedKey(key="a", issued_by="Acme")), (RandomKey(key="a"), "a"), ("a", "a"), ()]
)
def test_a_key_is_given_once_whatever_its_origin(keys: tuple[str | IssuedKey | RandomKey, ...]) -> None:
    with pytest.raises(SettingError, match="Give each key once, at least one"):
        SecretSettings(name="token", keys=keys, source=ExistingSecrets())


def test_a_key_that_no_secret_can_hold_is_refused_in_each_way_to_say_it() -> None:
    for make in (
        lambda: SecretSettings(name="token", keys=("a b",), source=ExistingSecrets()),
        lambda: RandomKey(key="a b"),
        lambda: IssuedKey(key="a b", issued_by="Acme"),
    ):
        with pytest.raises(SettingError, match="'a b' was given"):
            make()


@pytest.mark.parametrize("issuer", ["", " ", "Acme\nconsole"])
def test_an_issued_key_names_its_issuer_in_one_line(issuer: str) -> None:
    with pytest.raises(SettingError, match="Say who issues it"):
        IssuedKey(key="token", issued_by=issuer)


def test_the_readme_lists_every_key_with_its_variable_and_its_issuer() -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    for place, variable in PRODUCTION.items():
        name, _, key = place.partition("/")
        row = f"| `{name}` | `{key}` | `{variable}` | {ISSUED.get(variable, '`openssl rand')}"
        assert row in text, row
