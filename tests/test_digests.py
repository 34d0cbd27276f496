"""The pinned images are looked after: old pins are warned of, and the digest of each can be had from its registry."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from mcpmesh_k8s import Image, images
from mcpmesh_k8s.images import PINS, digests_of, pinned
from mcpmesh_k8s.operations import pins as care
from mcpmesh_k8s.operations.pins import find_digests, home_of, main, old_pins

REDIS = images.pins.REDIS
DIGEST = f"sha256:{'0' * 64}"

# How old it is


@pytest.mark.parametrize(("days", "warned"), [(0, False), (90, False), (91, True), (400, True)])
def test_a_pin_that_was_looked_at_more_than_ninety_days_ago_is_warned_of(days: int, warned: bool) -> None:
    warnings = old_pins(REDIS.looked_at + timedelta(days=days), [REDIS])
    assert len(warnings) == warned
    for warning in warnings:
        assert f"{REDIS.image} was looked at on 2026-11-25, {days} days ago" in warning


def test_old_pins_fail_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Later:
        @staticmethod
        def today() -> date:
            return date(2030, 1, 1)

    monkeypatch.setattr(care, "date", Later)
    assert main(["age"]) == 0
    assert capsys.readouterr().out.count("warning: ") == len(PINS)


# What registries say


@pytest.mark.parametrize(
    ("repository", "home"),
    [
        ("postgres", ("docker.io", "library/postgres")),
        ("grafana/tempo", ("docker.io", "grafana/tempo")),
        ("quay.io/oauth2-proxy/oauth2-proxy", ("quay.io", "oauth2-proxy/oauth2-proxy")),
        (
            "registry.k8s.io/kube-state-metrics/kube-state-metrics",
            ("registry.k8s.io", "kube-state-metrics/kube-state-metrics"),
        ),
        ("localhost/one", ("localhost", "one")),
        ("registry:5000/team/one", ("registry:5000", "team/one")),
    ],
)
def test_the_registry_of_an_image_is_found_as_docker_does(repository: str, home: tuple[str, str]) -> None:
    assert home_of(Image(repository=repository, tag="1.2.3")) == home


INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def index_of(*platforms: str) -> bytes:
    """An index as buildx writes it: an image for each platform, and beside each what says how it was built."""
    manifests: list[dict[str, object]] = []
    for platform in platforms:
        system, architecture, *variant = platform.split("/")
        of = {"os": system, "architecture": architecture} | ({"variant": variant[0]} if variant else {})
        manifests.append({"mediaType": MANIFEST, "digest": DIGEST, "size": 1, "platform": of})
        manifests.append({"mediaType": MANIFEST, "digest": DIGEST, "size": 1, "platform": unknown()})
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()


def unknown() -> dict[str, str]:
    return {"os": "unknown", "architecture": "unknown"}


def sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@dataclass(kw_only=True)
class StubRegistry:
    """A registry on loopback, which gives anyone a token for one repository, as the large ones do.

    Attributes:
        holds: What it has, by repository and tag.
        says: The digest that it says a manifest has, where that is not the right one.
        needs_token: Whether it asks for one.
        token: What it answers when it is asked for one.
        asked: The repositories whose manifests it was asked for, with the token that came with it.
    """

    url: str = ""
    holds: dict[str, bytes] = field(default_factory=dict[str, bytes])
    says: str = ""
    needs_token: bool = True
    realm: str = ""
    token: Callable[[str], bytes] = lambda scope: json.dumps({"token": f"for {scope}"}).encode()
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    scopes: list[str] = field(default_factory=list[str])


@contextmanager
def serving_registry(stub: StubRegistry) -> Generator[StubRegistry, None, None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/token":
                query = parse_qs(parts.query)
                assert query["service"] == ["the stub"]
                stub.scopes += query["scope"]
                return self.answer(200, stub.token(query["scope"][0]))
            match = re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", parts.path)
            assert match, self.path
            scope = f"repository:{match[1]}:pull"
            authorization = self.headers.get("Authorization", "")
            stub.asked.append((match[1], authorization))
            assert INDEX in self.headers["Accept"]
            if stub.needs_token and authorization != f"Bearer for {scope}":
                realm = stub.realm or f"{stub.url}/token"
                challenge = f'Bearer realm="{realm}",service="the stub",scope="{scope}"'
                return self.answer(401, b'{"errors":[]}', ("WWW-Authenticate", challenge))
            body = stub.holds.get(f"{match[1]}:{match[2]}")
            if body is None:
                return self.answer(404, b'{"errors":[]}')
            return self.answer(200, body, ("Docker-Content-Digest", stub.says or sha256(body)))

        def answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
            self.send_response(status)
            for name, value in (*headers, ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def holding_everything() -> dict[str, bytes]:
    """Every pin: most for two platforms, one for a single one."""
    held = {
        f"{home_of(pin.image)[1]}:{pin.image.tag}": index_of("linux/amd64", "linux/arm64/v8")
        + b" " * number  # so that each has a digest of its own
        for number, pin in enumerate(PINS)
    }
    single = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": []}).encode()
    return held | {f"mcpmesh/registry:{images.REGISTRY.tag}": single}


@pytest.fixture
def registry() -> Generator[StubRegistry, None, None]:
    with serving_registry(StubRegistry(holds=holding_everything())) as stub:
        yield stub


def asking(stub: StubRegistry, output: Path) -> list[str]:
    elsewhere = [f"--registry={host}={stub.url}" for host in ("docker.io", "quay.io", "registry.k8s.io")]
    return ["digests", f"--output={output}", *elsewhere]


def test_the_digests_of_all_pins_are_written_into_one_file(
    registry: StubRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "digests.json"
    assert main(asking(registry, output)) == 0
    written = digests_of(output.read_text(encoding="utf-8"), where="it")
    assert written == {
        pin.image.reference: sha256(registry.holds[f"{home_of(pin.image)[1]}:{pin.image.tag}"]) for pin in PINS
    }
    assert len(set(written.values())) == len(PINS)
    assert list(written) == sorted(written)
    assert output.stat().st_mode & 0o777 == 0o644
    for pin in PINS:
        assert pinned(pin, written).reference.endswith(f"{pin.image.tag}@{written[pin.image.reference]}")
    shown = capsys.readouterr().out
    assert re.search(r"^postgres:\S+ +sha256:\w+ +linux/amd64, linux/arm64/v8 +new$", shown, re.M)
    assert re.search(r"^mcpmesh/registry:\S+ +sha256:\w+ +one platform +new$", shown, re.M)
    assert main(asking(registry, output)) == 0
    assert " new" not in capsys.readouterr().out


def test_anyones_token_is_asked_for_once_for_each_repository(registry: StubRegistry) -> None:
    find_digests([REDIS, images.pins.TEMPO], {"docker.io": registry.url})
    assert registry.scopes == ["repository:library/redis:pull", "repository:grafana/tempo:pull"]
    assert registry.asked == [
        (repository, token)
        for repository in ("library/redis", "grafana/tempo")
        for token in ("", f"Bearer for repository:{repository}:pull")
    ]


def test_a_registry_that_asks_for_no_token_gets_none(registry: StubRegistry) -> None:
    registry.needs_token = False
    find_digests([REDIS], {"docker.io": registry.url})
    assert (registry.scopes, registry.asked) == ([], [("library/redis", "")])


def no_token(stub: StubRegistry) -> None:
    stub.token = lambda _: b"{}"


def token_for_another(stub: StubRegistry) -> None:
    stub.token = lambda _: b'{"token": "for another"}'


def nothing_there(stub: StubRegistry) -> None:
    stub.holds.pop(f"library/redis:{REDIS.image.tag}")


def another_digest(stub: StubRegistry) -> None:
    stub.says = DIGEST


def no_manifest(stub: StubRegistry) -> None:
    stub.holds[f"library/redis:{REDIS.image.tag}"] = b"<html>"


def no_image(stub: StubRegistry) -> None:
    stub.holds[f"library/redis:{REDIS.image.tag}"] = b'{"mediaType": "application/vnd.cncf.helm.config.v1+json"}'


def too_large(stub: StubRegistry) -> None:
    stub.holds[f"library/redis:{REDIS.image.tag}"] = b" " * (4 * 1024 * 1024 + 1)


def token_over_another_scheme(stub: StubRegistry) -> None:
    stub.realm = "ftp://127.0.0.1/token"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_token, "it gives no token"),
        (token_for_another, "it wants an account"),
        (nothing_there, "there is no such tag"),
        (another_digest, f"the registry says {DIGEST}, and sends sha256:"),
        (no_manifest, "the registry sends no manifest"),
        (no_image, "the registry sends application/vnd.cncf.helm.config.v1+json, and no image"),
        (too_large, "sends more than 4194304 bytes"),
        (token_over_another_scheme, "which is not https"),
    ],
)
def test_nothing_is_written_unless_every_digest_is_had(
    registry: StubRegistry,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[StubRegistry], None],
    said: str,
) -> None:
    output = tmp_path / "digests.json"
    output.write_text('{"redis:7.4.5-alpine3.21": "sha256:old"}', encoding="utf-8")
    spoil(registry)
    assert main(asking(registry, output)) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: nothing was written: ")
    assert f"{REDIS.image} at docker.io: " in error
    assert said in error
    assert output.read_text(encoding="utf-8") == '{"redis:7.4.5-alpine3.21": "sha256:old"}'
    assert [path.name for path in tmp_path.iterdir()] == ["digests.json"]


def test_all_that_is_missing_is_named_at_once(
    registry: StubRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing_there(registry)
    registry.holds.pop(f"oauth2-proxy/oauth2-proxy:{images.OAUTH2_PROXY.tag}")
    assert main(asking(registry, tmp_path / "digests.json")) == 1
    error = capsys.readouterr().err
    assert f"{REDIS.image} at docker.io: there is no such tag; " in error
    assert f"{images.OAUTH2_PROXY} at quay.io: there is no such tag." in error


def test_a_registry_that_does_not_answer_is_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = StubRegistry()
    with serving_registry(gone):
        pass
    assert main(asking(gone, tmp_path / "digests.json")) == 1
    error = capsys.readouterr().err
    assert error.count("does not answer: ") == len(PINS)
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_is_cut_short_leaves_the_old_file(
    registry: StubRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "digests.json"
    output.write_text("{}", encoding="utf-8")

    def full(self: Path, target: Path) -> Path:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert main(asking(registry, output)) == 1
    assert output.read_text(encoding="utf-8") == "{}"
    assert [path.name for path in tmp_path.iterdir()] == ["digests.json"]


@pytest.mark.parametrize("registry_of", ["docker.io", "=https://mirror", "docker.io=ftp://mirror", "docker.io=mirror"])
def test_a_registry_that_is_no_address_is_refused(registry_of: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["digests", f"--registry={registry_of}"]) == 2
    assert "is not HOST=URL" in capsys.readouterr().err
