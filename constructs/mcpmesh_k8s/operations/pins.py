"""This module is the care of the pinned images: which were looked at long ago, and the digest of each.

``age`` warns and never fails. ``digests`` asks the registries, without an account, and writes one file, whole or not at
all. Neither is part of a synthesis, which reads no clock and no network.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import typer

from mcpmesh_k8s.images import DIGESTS_FILE, PINS, Pin, digests_of
from mcpmesh_k8s.kubernetes import Image

from .cli import run
from .programs import OperationError
from .terminal import is_fancy, show, show_table

LOOK_AGAIN_AFTER = timedelta(days=90)
"""How long what was looked up may be relied on: some projects release every three months."""

_HUB, _HUB_URL = "docker.io", "https://registry-1.docker.io"
_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_LARGEST = 4 * 1024 * 1024
"""Bytes of a manifest: what the OCI distribution specification asks registries to take at least."""
_TIMEOUT = 30.0
"""Seconds for each answer."""


def old_pins(today: date, pins: Sequence[Pin] = PINS) -> list[str]:
    """A warning for each pin that was looked at too long ago.

    Args:
        today: The day it is.
        pins: The pins.
    """
    return [
        f"warning: {pin.image} was looked at on {pin.looked_at}, {(today - pin.looked_at).days} days ago. "
        "Look for a newer patch and for advisories, and say so in images/pins.py."
        for pin in pins
        if today - pin.looked_at > LOOK_AGAIN_AFTER
    ]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a registry has below a tag.

    Args:
        digest: Of the bytes that the tag names: of the index, where the image is made for several platforms.
        platforms: For which it is made, such as ``linux/amd64``; nothing when it is made for one.
    """

    digest: str
    platforms: tuple[str, ...]


@dataclass(kw_only=True)
class ImageRegistry:
    """A registry of images, asked by the OCI distribution API without an account.

    Args:
        url: Where it is.
    """

    url: str
    _tokens: dict[str, str] = field(default_factory=dict[str, str])

    def find(self, repository: str, tag: str) -> Found:
        """What a tag names.

        Raises:
            OperationError: The registry does not answer, wants an account, lacks the tag, or says something else than
                it sends.
        """
        body, said = self._manifest(repository, tag)
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if said and said != digest:
            raise OperationError(f"the registry says {said}, and sends {digest}")
        try:
            manifest = cast("Mapping[str, object]", json.loads(body))
            kind = manifest["mediaType"]
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
            raise OperationError("the registry sends no manifest") from None
        if kind in _MANIFESTS:
            return Found(digest=digest, platforms=())
        if kind not in _INDEXES:
            raise OperationError(f"the registry sends {kind}, and no image")
        return Found(digest=digest, platforms=_platforms(manifest))

    def _manifest(self, repository: str, tag: str) -> tuple[bytes, str]:
        """The bytes of a manifest, and the digest that the registry says they have."""
        request = Request(f"{self.url}/v2/{repository}/manifests/{tag}")
        request.add_header("Accept", ", ".join((*_INDEXES, *_MANIFESTS)))
        if repository in self._tokens:
            request.add_unredirected_header("Authorization", f"Bearer {self._tokens[repository]}")
        try:
            return _read(request)
        except HTTPError as error:
            challenge = error.headers.get("WWW-Authenticate", "")
            if error.code == 404:
                raise OperationError("there is no such tag") from None
            if error.code != 401 or repository in self._tokens or not challenge.lower().startswith("bearer "):
                why = "it wants an account" if error.code in (401, 403) else f"it answers {error.code}"
                raise OperationError(why) from None
        self._tokens[repository] = self._token(challenge, repository)
        return self._manifest(repository, tag)

    def _token(self, challenge: str, repository: str) -> str:
        """The token that anyone is given to read a repository."""
        given = dict(_CHALLENGE.findall(challenge))
        realm = given.get("realm", "")
        if urlsplit(realm).scheme != "https" and urlsplit(realm).scheme != urlsplit(self.url).scheme:
            raise OperationError(f"it sends us to {realm!r} for a token, which is not https")
        asked = {"scope": given.get("scope", f"repository:{repository}:pull")}
        if "service" in given:
            asked["service"] = given["service"]
        try:
            body, _ = _read(Request(f"{realm}?{urlencode(asked)}"))
            answer = cast("Mapping[str, object]", json.loads(body))
            token = answer.get("token") or answer.get("access_token")
        except HTTPError as error:
            raise OperationError(f"it gives no token: {error.code}") from None
        except (json.JSONDecodeError, UnicodeDecodeError, AttributeError):
            raise OperationError("it gives no token") from None
        if not isinstance(token, str):
            raise OperationError("it gives no token")
        return token


def _read(request: Request) -> tuple[bytes, str]:
    """The body of an answer, and the digest in its head."""
    try:
        with urlopen(request, timeout=_TIMEOUT) as answer:
            body = cast("bytes", answer.read(_LARGEST + 1))
            said = cast("str", answer.headers.get("Docker-Content-Digest", ""))
    except HTTPError:
        raise
    except (URLError, OSError) as error:
        raise OperationError(f"{request.host} does not answer: {getattr(error, 'reason', error)}") from None
    if len(body) > _LARGEST:
        raise OperationError(f"{request.host} sends more than {_LARGEST} bytes")
    return body, said


def _platforms(index: Mapping[str, object]) -> tuple[str, ...]:
    """For which platforms an index has an image. What only describes the others has none."""
    found: set[str] = set()
    for entry in cast("Sequence[Mapping[str, object]]", index.get("manifests", ())):
        platform = cast("Mapping[str, str]", entry.get("platform", {}))
        if platform.get("os", "unknown") != "unknown":
            found.add("/".join(platform[part] for part in ("os", "architecture", "variant") if part in platform))
    return tuple(sorted(found))


def home_of(image: Image) -> tuple[str, str]:
    """The host of an image's registry, and the repository's name there."""
    host, slash, rest = image.repository.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        return host, rest
    return _HUB, image.repository if slash else f"library/{image.repository}"


def find_digests(pins: Sequence[Pin], urls: Mapping[str, str]) -> dict[str, Found]:
    """What the registries have for each pin, by the pin's reference.

    Args:
        pins: The pins.
        urls: Where a host's registry is asked, when that is not the host itself: a mirror, for example.

    Raises:
        OperationError: One of them could not be found; all are named.
    """
    registries: dict[str, ImageRegistry] = {}
    found: dict[str, Found] = {}
    problems: list[str] = []
    for pin in pins:
        host, repository = home_of(pin.image)
        url = urls.get(host, _HUB_URL if host == _HUB else f"https://{host}")
        registry = registries.setdefault(host, ImageRegistry(url=url))
        try:
            found[pin.image.reference] = registry.find(repository, pin.image.tag)
        except OperationError as error:
            problems.append(f"{pin.image} at {host}: {error}")
    if problems:
        raise OperationError("nothing was written: " + "; ".join(problems) + ".")
    return found


def write_digests(path: Path, digests: Mapping[str, str]) -> None:
    """Write the file in one step: whoever reads it meanwhile finds the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(dict(sorted(digests.items())), indent=2) + "\n")
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Where the registry of a host is asked.

    Args:
        host: The host.
        url: Where it is asked.
    """

    host: str
    url: str


def _elsewhere(text: str) -> Elsewhere:
    host, _, url = text.partition("=")
    if urlsplit(url).scheme not in ("http", "https") or not host:
        raise typer.BadParameter(f"{text!r} is not HOST=URL, such as docker.io=https://mirror.example.com")
    return Elsewhere(host=host, url=url.rstrip("/"))


def _age() -> None:
    """Warn of pins that were looked at long ago."""
    for warning in old_pins(date.today()):
        show(warning)


def _digests(
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The file.")] = DIGESTS_FILE,
    registry: Annotated[
        list[Elsewhere] | None,
        typer.Option(
            "--registry",
            metavar="HOST=URL",
            parser=_elsewhere,
            help="Ask a host's registry elsewhere. May be repeated.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Ask the registries for the digest of each pin, and write them down."""
    before = digests_of(output.read_text(encoding="utf-8"), where=str(output)) if output.exists() else {}
    found = find_digests(PINS, {one.host: one.url for one in registry or ()})
    after = {reference: one.digest for reference, one in found.items()}
    if after != before:
        write_digests(output, after)
    rows = [
        (
            name,
            one.digest,
            ", ".join(one.platforms) or "one platform",
            "as before" if before.get(name) == one.digest else "new",
        )
        for name, one in found.items()
    ]
    show_table(("image", "digest", "for", "is"), rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Care for the pins.

    Args:
        arguments: What stands on the command line, unless given.

    Returns:
        0, 1 when digests could not be had, or 2 when the command was misused. Old pins are a warning.
    """
    app = typer.Typer(
        help="Care for the pinned images.",
        add_completion=False,
        rich_markup_mode="rich" if is_fancy() else None,
    )
    app.command("age")(_age)
    app.command("digests")(_digests)
    return run(app, "python -m mcpmesh_k8s.operations.pins", arguments)


if __name__ == "__main__":
    sys.exit(main())
