"""Every third-party image is pinned, looked up and answered for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

import facets
from conftest import ROOT, Manifest, Manifests, at_each
from environments import EVERY
from mcpmesh_k8s import Image, SettingError, images
from mcpmesh_k8s.images import DIGESTS, PINS, Advisory, Pin, Standing, digests_of, pinned
from mcpmesh_k8s.kubernetes.manifest import at, containers_of, each, name_of

BY_REFERENCE = {pin.image.reference: pin for pin in PINS}
ADVISORIES = [(pin, advisory) for pin in PINS for advisory in pin.advisories]
UNUSED = [(pin, advisory) for pin, advisory in ADVISORIES if advisory.standing is Standing.UNUSED]
GOOD = Advisory(
    ids=("CVE-2025-49844",),
    what="Scripts run code.",
    fixed_in="7.4.6",
    standing=Standing.CLOSED,
    answer="Taken.",
)
REDIS = images.pins.REDIS
DIGEST = f"sha256:{'0' * 64}"


def named(pair: tuple[Pin, Advisory]) -> str:
    return f"{pair[0].image.repository}-{pair[1].ids[0]}"


# The table


def test_every_image_that_is_offered_has_a_pin_and_every_pin_is_offered() -> None:
    offered = {replace(value, digest="").reference for value in vars(images).values() if isinstance(value, Image)}
    assert len(offered) == 24
    assert offered == BY_REFERENCE.keys()


@pytest.mark.parametrize("environment", EVERY)
def test_every_image_that_is_deployed_is_pinned_or_built_here(manifests: Manifests, environment: str) -> None:
    deployed = {str(container["image"]) for _, container in facets.containers(manifests(environment))}
    others = {image for image in deployed if "ai-interviewer-" not in image}
    assert len(others) >= 9
    assert others <= {pinned(pin, DIGESTS).reference for pin in PINS}


def version(text: str) -> tuple[int, ...] | None:
    """The numbers of a version or of a dated release; nothing for another program's version."""
    dated = re.match(r"RELEASE\.(\d{4})-(\d\d)-(\d\d)T(\d\d)-(\d\d)-(\d\d)Z", text)
    dotted = re.match(r"v?(\d+(?:\.\d+)*)(?![\w.])", text)
    if dated:
        return tuple(int(number) for number in dated.groups())
    return tuple(int(number) for number in dotted[1].split(".")) if dotted else None


@at_each(("pin", "advisory"), ADVISORIES, ids=map(named, ADVISORIES))
def test_what_is_said_to_be_closed_is_closed_in_this_version_and_nothing_else(pin: Pin, advisory: Advisory) -> None:
    mended, here = version(advisory.fixed_in), version(pin.image.tag)
    assert here is not None
    if advisory.standing is Standing.CLOSED:
        assert mended is not None
    if mended is not None:
        assert (mended <= here) is (advisory.standing is Standing.CLOSED)


def test_versions_are_compared_as_numbers() -> None:
    assert version("15.9") == (15, 9)
    assert version("1.31.1.1-3-alpine") == (1, 31, 1, 1)
    assert version("v7.15.2") == (7, 15, 2)
    assert version("RELEASE.2025-10-15T17-29-55Z, as source only") == (2025, 10, 15, 17, 29, 55)
    assert version("mcp 1.23.0") is None
    assert version("none of 11.4") is None


@at_each(("pin", "advisory"), UNUSED, ids=map(named, UNUSED))
@pytest.mark.parametrize("environment", EVERY)
def test_what_an_advisory_needs_is_rendered_nowhere(
    manifests: Manifests, environment: str, pin: Pin, advisory: Advisory
) -> None:
    text = settings_of(manifests(environment), pin.image.repository)
    assert text, f"no container runs {pin.image}"
    assert [word for word in advisory.unused if is_set(word, text)] == []


def settings_of(manifests: list[Manifest], repository: str) -> str:
    """All that the containers of an image are told: variables, arguments, and the files that they are given."""
    files = {name_of(manifest): at(manifest, "data") for manifest in manifests if manifest["kind"] == "ConfigMap"}
    told: list[str] = []
    for _, _, template in facets.workloads(manifests):
        sources = {
            str(volume["name"]): at(volume, "configMap").get("name") for volume in each(at(template, "spec"), "volumes")
        }
        for container in containers_of(template):
            if str(container["image"]).partition("@")[0].rpartition(":")[0] != repository:
                continue
            told += [json.dumps({part: container.get(part) for part in ("command", "args", "env")})]
            for mount in each(container, "volumeMounts"):
                data = files.get(str(sources.get(str(mount["name"]))), {})
                told += [str(text) for name, text in data.items() if not str(name).endswith(".lua")]
    return re.sub(r"(?m)^\s*#.*$", "", "\n".join(told))


def is_set(word: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def test_a_setting_that_an_advisory_needs_would_be_found(manifests: Manifests) -> None:
    text = settings_of(manifests("prod"), "openresty/openresty")
    for word in ("proxy_pass", "map", "limit_conn_zone", "listen", "include"):
        assert is_set(word, text), word
    assert is_set("rewrite_by_lua_block", text)
    assert is_set("rewrite", text + "rewrite ^/old/(.*)$ /new/$1;")
    assert is_set("$1", text + "rewrite ^/old/(.*)$ /new/$1;")
    assert is_set("maxmemory", settings_of(manifests("prod"), "redis"))
    assert is_set("MINIO_ROOT_USER", settings_of(manifests("prod"), "minio/minio"))
    assert is_set("backend", settings_of(manifests("prod"), "grafana/tempo"))


@pytest.mark.parametrize("environment", EVERY)
def test_no_string_of_nginx_joins_the_value_of_a_map_with_another(manifests: Manifests, environment: str) -> None:
    """A value that is worked out by a pattern while another is being written is what CVE-2026-42533 needs."""
    text = settings_of(manifests(environment), "openresty/openresty")
    assert joined_with_a_map(text) == []
    assert joined_with_a_map(text + "return 302 https://$host$logged_path;") == ["https://$host$logged_path"]


def joined_with_a_map(text: str) -> list[str]:
    """The strings that hold the value of a map and another variable. The log's format is written by other code."""
    text = re.sub(r"(?s)log_format .*?;\n", "", text)
    maps = re.findall(r"\bmap \$\w+ \$(\w+) \{", text)
    assert len(maps) >= 10
    strings = re.findall(r"'[^'\n]*'|\"[^\"\n]*\"|[^\s;'\"{}]+", text)
    found = [(string, re.findall(r"\$(\w+)", string)) for string in strings]
    return [string for string, names in found if len(names) > 1 and set(names) & set(maps)]


def test_the_document_has_every_pin_and_every_advisory() -> None:
    text = (ROOT / "docs/images.md").read_text(encoding="utf-8")
    assert "(docs/images.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [pin.image.reference for pin in PINS if f"`{pin.image.reference}`" not in text]
    missing += [name for _, advisory in ADVISORIES for name in advisory.ids if name not in text]
    assert missing == []


def test_the_login_that_the_tests_build_is_the_one_that_is_pinned() -> None:
    modules = (ROOT / "tests/oauth2_proxy/go.mod").read_text(encoding="utf-8")
    assert re.findall(r"oauth2-proxy/v7 (v\S+)", modules) == [images.OAUTH2_PROXY.tag]


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"ids": ()}, "Advisory.ids"),
        ({"ids": ("CVE-25-1",)}, "Advisory.ids"),
        ({"ids": ("GHSA-7x63",)}, "Advisory.ids"),
        ({"answer": ""}, "answer"),
        ({"what": "code"}, "what"),
        ({"fixed_in": ""}, "fixed_in"),
        ({"unused": ("rewrite",)}, "unused"),
        ({"standing": Standing.UNUSED}, "unused"),
    ],
)
def test_an_advisory_without_an_answer_is_refused(wrong: Mapping[str, Any], where: str) -> None:
    with pytest.raises(SettingError, match=re.escape(where)):
        replace(GOOD, **wrong)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"source": ""}, "source"),
        ({"line": "7"}, "line"),
        ({"note": "soon"}, "note"),
        ({"image": Image(repository="redis", tag="7.4.5", digest=DIGEST)}, "image"),
        ({"advisories": (GOOD, GOOD)}, "advisories"),
    ],
)
def test_a_pin_that_nobody_could_look_up_again_is_refused(wrong: Mapping[str, Any], where: str) -> None:
    with pytest.raises(SettingError, match=f"Pin of redis, {where}"):
        replace(images.pins.REDIS, **wrong)


# Digests


def test_the_digests_that_are_written_down_are_of_pins() -> None:
    assert DIGESTS.keys() <= {pin.image.reference for pin in PINS}


def test_an_image_takes_the_digest_of_its_tag_and_of_no_other() -> None:
    reference = REDIS.image.reference
    assert pinned(REDIS, {reference: DIGEST}).reference == f"{reference}@{DIGEST}"
    assert pinned(REDIS, {"redis:7.4.5-alpine3.21": DIGEST}) == REDIS.image
    with pytest.raises(SettingError, match=r"Image\.digest"):
        pinned(REDIS, {reference: "sha256:12"})


@pytest.mark.parametrize("text", ["", "[]", '"a"', '{"redis:1": 1}', '{"redis:1": {}}'])
def test_a_file_of_digests_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"digests\.json"):
        digests_of(text, where="digests.json")


def test_a_synthesis_reads_no_clock() -> None:
    sources = [*(ROOT / "constructs").rglob("*.py"), ROOT / "main.py"]
    readers = [
        path.relative_to(ROOT / "constructs").as_posix()
        for path in sources
        if re.search(r"\b(date\.today|datetime\.now|time\.time)\(", path.read_text(encoding="utf-8"))
        and "operations" not in path.parts
    ]
    assert readers == []
