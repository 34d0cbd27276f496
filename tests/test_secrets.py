"""This module is the proof of what an application knows about its Secrets: origins, variables and readers of keys."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ai_interviewer import PROD, AiInterviewer
from conftest import Manifests
from many_clusters import ciphertext
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Compute,
    Container,
    ExistingSecrets,
    ExternalSecrets,
    IssuedKey,
    KeyForm,
    NoProbes,
    Phase,
    Port,
    RandomKey,
    Readiness,
    Reloader,
    SealedSecrets,
    SealedValue,
    Secret,
    SecretSettings,
    SettingError,
    Target,
    TreeError,
    User,
    Variable,
    Workload,
    WorkloadSettings,
    images,
)
from mcpmesh_k8s.kubernetes.manifest import at, containers_of, each, name_of, template_of


def phase() -> Phase:
    return Phase(Application(ApplicationSettings(name="shop"), outdir="unused"), "all")


def secret(scope: Phase, name: str, *keys: str | IssuedKey | RandomKey) -> Secret:
    return Secret(scope, SecretSettings(name=name, keys=keys, source=ExistingSecrets()))


PRODUCTION = {
    "ai-interviewer-postgres/password": "POSTGRES_PASSWORD",
    "ai-interviewer-postgres/mcpmesh-password": "POSTGRES_MCPMESH_PASSWORD",
    "ai-interviewer-postgres/backend-password": "POSTGRES_BACKEND_PASSWORD",
    "ai-interviewer-postgres/interview-agent-password": "POSTGRES_INTERVIEW_AGENT_PASSWORD",
    "ai-interviewer-postgres/backup-password": "POSTGRES_BACKUP_PASSWORD",
    "ai-interviewer-postgres/exporter-password": "POSTGRES_EXPORTER_PASSWORD",
    "ai-interviewer-redis/operator-password": "REDIS_OPERATOR_PASSWORD",
    "ai-interviewer-redis/mesh-password": "REDIS_MESH_PASSWORD",
    "ai-interviewer-redis/registry-password": "REDIS_REGISTRY_PASSWORD",
    "ai-interviewer-redis/trimmer-password": "REDIS_TRIMMER_PASSWORD",
    "ai-interviewer-redis/exporter-password": "REDIS_EXPORTER_PASSWORD",
    "ai-interviewer-redis/backup-password": "REDIS_BACKUP_PASSWORD",
    "ai-interviewer-redis/backend-password": "REDIS_BACKEND_PASSWORD",
    "ai-interviewer-redis/default-password": "REDIS_DEFAULT_PASSWORD",
    "ai-interviewer-alertmanager/page": "ALERTMANAGER_PAGE",
    "ai-interviewer-alertmanager/ticket": "ALERTMANAGER_TICKET",
    "ai-interviewer-alertmanager/watchdog": "ALERTMANAGER_WATCHDOG",
    "ai-interviewer-minio/root-user": "MINIO_ROOT_USER",
    "ai-interviewer-minio/root-password": "MINIO_ROOT_PASSWORD",
    "ai-interviewer-minio/access-key": "MINIO_ACCESS_KEY",
    "ai-interviewer-minio/secret-key": "MINIO_SECRET_KEY",
    "ai-interviewer-minio/backup-access-key": "MINIO_BACKUP_ACCESS_KEY",
    "ai-interviewer-minio/backup-secret-key": "MINIO_BACKUP_SECRET_KEY",
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
    "ALERTMANAGER_PAGE": "Whoever takes the alerts: the URL of a webhook",
    "ALERTMANAGER_TICKET": "Whoever takes the alerts: the URL of a webhook",
    "ALERTMANAGER_WATCHDOG": "Whoever takes the alerts: the URL of a webhook",
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
        for container in containers_of(template_of(manifest)):
            for variable in each(container, "env"):
                reference = at(variable, "valueFrom", "secretKeyRef")
                if reference:
                    reader = name_of(manifest).removeprefix("ai-interviewer-")
                    found.setdefault((reference["name"], reference["key"]), set()).add(reader)
        for volume in each(manifest, "spec", "template", "spec", "volumes"):
            shown = at(volume, "secret")
            for item in each(shown, "items"):
                reader = name_of(manifest).removeprefix("ai-interviewer-")
                found.setdefault((shown["secretName"], item["key"]), set()).add(reader)
    entries = AiInterviewer(PROD, outdir="unused").secret_keys()
    assert {(entry.reference.secret, entry.reference.key): set(entry.readers) for entry in entries} == found
    redis = {key: readers for (name, key), readers in found.items() if name == "ai-interviewer-redis"}
    assert redis == {
        "operator-password": {"redis"},
        "mesh-password": {"redis", "pdf-extractor", "claude-llm-agent", "openai-llm-agent"},
        "registry-password": {"redis", "registry"},
        "trimmer-password": {"redis"},
        "exporter-password": {"redis"},
        "backup-password": {"redis", "redis-backup"},
        "backend-password": {"redis", "backend"},
        "default-password": {"redis", "interview-agent"},
    }


def test_what_waits_for_a_service_with_its_password_reads_it() -> None:
    scope = phase()
    password = Variable(name="PASSWORD", value=secret(scope, "cache", "password").key("password"))
    container = Container(
        name="main",
        image=images.REGISTRY,
        user=User(uid=1, gid=1),
        compute=Compute(cpu="1", memory="1Gi"),
        ports=(Port(number=8000),),
        probes=NoProbes(because="No test starts it."),
    )
    cache = Workload(scope, WorkloadSettings(name="cache", container=container))
    client = Workload(scope, WorkloadSettings(name="client", container=container))
    ready = Readiness(command=("ask",), variables=(password,))
    client.connects_to(Target(workload=cache, readiness=ready), wait=True)
    assert [entry.readers for entry in Application.of(scope).secret_keys()] == [("client",)]


def test_a_key_that_nobody_reads_is_told_all_the_same() -> None:
    (entry,) = Application.of(secret(phase(), "unused", "token")).secret_keys()
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
        Application.of(scope).manifests()


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


def test_the_operations_guide_lists_every_key_with_its_variable_and_its_issuer() -> None:
    text = (Path(__file__).parent.parent / "docs/operations.md").read_text(encoding="utf-8")
    for place, variable in PRODUCTION.items():
        name, _, key = place.partition("/")
        row = f"| `{name}` | `{key}` | `{variable}` | {ISSUED.get(variable, '`openssl rand')}"
        assert row in text, row


# --- sealed values ---


def sealed_secret(*values: SealedValue) -> Secret:
    source = SealedSecrets(values=values)
    return Secret(phase(), SecretSettings(name="token", keys=("first", "second"), source=source))


def value(key: str, text: str, secret: str = "token") -> SealedValue:
    return SealedValue(secret=secret, key=key, ciphertext=text)


GOOD = ciphertext("value")
SEALED_BY_KUBESEAL = (
    "AgASLoQtPpkdvmqe/QpwDLO6KA5EWZO4ZANJBuP/TbnrTIcMQtXQR6wCUPJcuW6Yw626KrKi/QGcwQ/+ZSWGRvAZ0uluTZsSZH9Sye+s1rDXYE"
    "HYwtJuISaZbicyqEUVfkZhZbCDF9dxPHQB2A5JjoAMDaoXqq53INDTtKCuOS5MwWwMJTlQr3n9/UuahjDK2im04RmF9SxegCVXB0g0Axk8/WTD"
    "aYsIahYWZ3iuJsGPjet85/6eNwcjT5PuLOlsUglFkUoy5vCWCP89OQ3caNNcAWyFlU0Fkb2Owk9WApSyhbXAyhNtega1M6TNHgTouYrLGctoSN"
    "020mM/5sFI20NaE3ZdAsvQdFlsr/Qk6HSw27uGvp6tLvlQiPjig3Ov1CVhcBbgaNekS2YODzU2kWDNmW3uGFfndAqkZ5uOzAfWSuhCHQuVUHNn"
    "F7sKdD2d0GJmO9u+lNS0ZzPtnx8E1jPUAWxF0WNaKFqHg/oWC/Ig+w3BpbvUUvcyu0xsfYg9LSGUXHkaoTdznz7FLOx0J7U0CvKfY3J9d3fIUW"
    "B0QtwNxwCsdBrIm1Lk4/ID8bHk3Uz0WfmL3y0wZjCsPV/GTP3GUM6FHk7jkKxTRsJjUhsLfmPQy21EBYAmMhWNDyGVd7NJV1896lLj3WS/u5Py"
    "Cxc3jdQyXyAueifmZz1UFlAwohKvGrbNBIGLNkUg7Arir3bR"
)
"""What kubeseal 0.27.3 made of a single letter, for a key of 4096 bits that nobody has kept."""


def test_a_sealed_secret_holds_the_ciphertexts_and_says_what_it_becomes() -> None:
    made = sealed_secret(value("second", ciphertext("b")), value("first", ciphertext("a")))
    ((manifest,),) = Application.of(made).manifests().values()
    assert (manifest["apiVersion"], manifest["kind"], name_of(manifest)) == (
        "bitnami.com/v1alpha1",
        "SealedSecret",
        "shop-token",
    )
    spec = at(manifest, "spec")
    assert spec["encryptedData"] == {"first": ciphertext("a"), "second": ciphertext("b")}
    assert at(spec, "template")["type"] == "Opaque"
    metadata = at(spec, "template", "metadata")
    assert (metadata["name"], metadata["namespace"]) == ("shop-token", "shop")
    assert at(metadata, "labels")["app.kubernetes.io/part-of"] == "shop"
    # An annotation would widen the scope: a value sealed for any name can be read under any name.
    assert "annotations" not in metadata
    assert not [key for key in at(manifest, "metadata", "annotations") if "sealedsecrets" in key]


COMMAND = re.escape(
    'printf %s "$TOKEN_SECOND" | kubeseal --raw --scope strict'
    " --namespace shop --name shop-token --from-file=/dev/stdin"
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("hunter2", id="a plain value"),
        pytest.param(base64.b64encode(b"hunter2" * 200).decode(), id="a value in base64"),
        pytest.param(GOOD[:-12], id="cut off before the tag ends"),
        pytest.param(ciphertext("x", rsa=128), id="a key of 1024 bits"),
        pytest.param(ciphertext("", tag=15), id="less than a tag"),
        pytest.param(GOOD.replace("A", "!", 1), id="another alphabet"),
        pytest.param(GOOD + "\n", id="with a line's end"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_value_that_kubeseal_did_not_make_is_refused_with_the_command_and_is_not_shown(text: str) -> None:
    with pytest.raises(SettingError, match=COMMAND) as caught:
        sealed_secret(value("first", GOOD), value("second", text))
    assert "hunter2" not in str(caught.value)
    assert "second: what kubeseal did not seal" in str(caught.value)


def test_a_key_without_a_sealed_value_is_refused_with_the_command() -> None:
    with pytest.raises(SettingError, match=COMMAND) as caught:
        sealed_secret(value("first", GOOD))
    assert "second: nothing" in str(caught.value)


def test_a_sealed_value_of_no_key_of_no_secret_or_given_twice_is_refused() -> None:
    both = (value("first", GOOD), value("second", GOOD))
    with pytest.raises(SettingError, match=r"'third' was given\. It has no such key: first, second"):
        sealed_secret(*both, value("third", GOOD))
    with pytest.raises(SettingError, match=r"'token/first' was given\. It is given twice"):
        sealed_secret(*both, value("first", GOOD))
    with pytest.raises(
        TreeError, match="has tokn/first, and there is no such Secret: take it out, or give one of token"
    ):
        Application.of(sealed_secret(*both, value("first", GOOD, secret="tokn"))).manifests()


def test_what_kubeseal_printed_is_taken() -> None:
    assert value("first", SEALED_BY_KUBESEAL).is_sealed


@pytest.mark.parametrize(
    ("given", "written"),
    [("30s", "30s"), ("90s", "1m30s"), ("5m", "5m0s"), ("1h", "1h0m0s"), ("90m", "1h30m0s"), ("3600s", "1h0m0s")],
)
def test_a_store_is_asked_as_often_as_said_in_the_words_that_kubernetes_writes_back(given: str, written: str) -> None:
    assert ExternalSecrets(store="vault", prefix="shop", refresh_interval=given).duration == written


@pytest.mark.parametrize("given", ["0s", "1d", "h", "-1h", "1.5h", ""])
def test_a_store_that_would_never_be_asked_again_is_refused(given: str) -> None:
    with pytest.raises(SettingError, match="refresh_interval"):
        ExternalSecrets(store="vault", prefix="shop", refresh_interval=given)


# --- restarts by themselves ---

AUTO = "secret.reloader.stakater.com/auto"


def test_what_reads_secrets_is_restarted_by_a_reloader_and_no_store_is(tmp_path: Path) -> None:
    """Of production with a reloader: a store that restarted at a client's new password would end every session."""
    application = AiInterviewer(replace(PROD, reloader=Reloader()), outdir=tmp_path / "prod")
    objects = [manifest for group in application.manifests().values() for manifest in group]
    controllers = [
        one for one in objects if one["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
    ]
    marked = {
        name_of(one).removeprefix("ai-interviewer-")
        for one in controllers
        if at(one, "metadata", "annotations").get(AUTO) == "true"
    }
    readers = {reader for entry in application.secret_keys() for reader in entry.readers}
    assert {"backend", "registry", "oauth2-proxy", "claude-llm-agent", "grafana"} <= marked <= readers
    assert not marked & {"postgres", "redis", "minio"}
