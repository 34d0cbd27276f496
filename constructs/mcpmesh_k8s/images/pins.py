"""This module is the pins of the third-party images: which version, why that one, and what is known against it.

Each pin is the newest patch of its line whose tag the repository that makes the image names. What a pin says is what
was found on the day it was looked at; ``make check`` warns when that is long ago.
"""

from __future__ import annotations

import re
from datetime import date
from enum import Enum

from mcpmesh_k8s.kubernetes import Image, SettingError, dataclass

_ID = re.compile(r"CVE-\d{4}-\d{4,}|GHSA(-[23456789cfghjmpqrvwx]{4}){3}")


class Standing(Enum):
    """What an advisory means for the version that is pinned."""

    CLOSED = "closed"
    """The pinned version has the mend."""
    UNUSED = "not used"
    """The version has the hole, and needs for it what no service renders."""
    OPEN = "open"
    """The version has the hole, and something else stands before it."""


@dataclass(frozen=True, kw_only=True)
class Advisory:
    """Something that was published against an image's program, and what is done about it.

    Args:
        ids: Its names: of CVE, or of the GitHub Advisory Database. Several that have one answer stand together.
        what: What can be done with it.
        fixed_in: The first version that has the mend; nothing where there is none.
        standing: What it means for the pinned version.
        answer: What we do about it.
        unused: Words of settings without which it does nothing. None of them is rendered: a test looks.

    Raises:
        SettingError: A name is none, or the parts contradict each other.
    """

    ids: tuple[str, ...]
    what: str
    fixed_in: str
    standing: Standing
    answer: str
    unused: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what leaves the reader without an answer."""
        where = f"Advisory {', '.join(self.ids)}"
        for name in self.ids or ("",):
            if not _ID.fullmatch(name):
                raise SettingError("Advisory.ids", name, "Give 'CVE-2025-49844' or 'GHSA-7x63-xv5r-3p2x'.")
        for field, text in (("what", self.what), ("answer", self.answer)):
            if not text.endswith("."):
                raise SettingError(f"{where}, {field}", text, "Give a sentence.")
        if self.standing is Standing.CLOSED and not self.fixed_in:
            raise SettingError(f"{where}, fixed_in", self.fixed_in, "Give the version that closed it.")
        if (self.standing is Standing.UNUSED) is not bool(self.unused):
            raise SettingError(
                f"{where}, unused", self.unused, "Give the settings that it needs when it is UNUSED, and only then."
            )


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A version of a third-party image, and what it was chosen by.

    Args:
        image: The image. Its digest comes from ``digests.json``.
        line: Which versions come into question, and who says so.
        looked_at: The day on which the newest patch and the advisories were looked up.
        source: Where the tag was seen, and of which day that copy was.
        advisories: What is known against the version that was pinned before, and against this one.
        note: What else one must know: a newer version that could not be taken, the end of a line.

    Raises:
        SettingError: A part is missing, or an advisory stands there twice.
    """

    image: Image
    line: str
    looked_at: date
    source: str
    advisories: tuple[Advisory, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a pin that nobody could look up again."""
        where = f"Pin of {self.image.repository}"
        if self.image.digest:
            raise SettingError(f"{where}, image", self.image.digest, "Leave the digest to digests.json.")
        for field, text in (("line", self.line), ("source", self.source), ("note", self.note or ".")):
            if not text.endswith("."):
                raise SettingError(f"{where}, {field}", text, "Give a sentence.")
        names = [name for advisory in self.advisories for name in advisory.ids]
        for name in names:
            if names.count(name) > 1:
                raise SettingError(f"{where}, advisories", name, "Answer it once.")


def _names(text: str) -> tuple[str, ...]:
    """Many names of one answer, a space between them."""
    return tuple(text.split())


_LOOKED_AT = date(2026, 11, 25)
_MONITORING_LOOKED_AT = date(2026, 11, 30)
_OFFICIAL_IMAGES = "docker-library/official-images"

POSTGRES = Pin(
    image=Image(
        repository="postgres",
        tag="15.19-alpine3.24",
        exact_because="PostgreSQL has two-part versions: 15.19 is a release, and alpine3.24 its base",
    ),
    line="15 on Alpine: the plan says `postgres:15-alpine`.",
    looked_at=_LOOKED_AT,
    source=f"{_OFFICIAL_IMAGES}, `library/postgres`, 2026-08-13, in a copy of 2026-08-21.",
    advisories=(
        Advisory(
            ids=("CVE-2026-2003", "CVE-2026-2004", "CVE-2026-2005", "CVE-2026-2006"),
            what="Whoever may send queries runs code in the server, or reads its memory.",
            fixed_in="15.16",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=_names(
                "CVE-2026-6472 CVE-2026-6473 CVE-2026-6474 CVE-2026-6475 CVE-2026-6477 CVE-2026-6478 "
                "CVE-2026-6479 CVE-2026-6637"
            ),
            what="Queries run code; a server runs code in `pg_dump`; connections that never log in end the server.",
            fixed_in="15.18",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=_names(
                "CVE-2026-6464 CVE-2026-6469 CVE-2026-6470 CVE-2026-6471 CVE-2026-14662 CVE-2026-14663 "
                "CVE-2026-14664 CVE-2026-14666 CVE-2026-14668 CVE-2026-14669 CVE-2026-14670 CVE-2026-14671 "
                "CVE-2026-14677 CVE-2026-14679 CVE-2026-14680 CVE-2026-15741 CVE-2026-15742 CVE-2026-16239 "
                "CVE-2026-18024 CVE-2026-18408 CVE-2026-19385"
            ),
            what="Any user of a database runs code in the server, and more.",
            fixed_in="15.19",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=_names(
                "CVE-2026-6460 CVE-2026-6467 CVE-2026-14661 CVE-2026-16237 CVE-2026-16240 CVE-2026-18447 "
                "CVE-2026-116303 CVE-2026-116304 CVE-2026-116306 CVE-2026-116307 CVE-2026-116308 "
                "CVE-2026-116309 CVE-2026-116311 CVE-2026-116312 CVE-2026-116314 CVE-2026-116315 "
                "CVE-2026-116316 CVE-2026-116317 CVE-2026-116319 CVE-2026-116320 CVE-2026-116321 "
                "CVE-2026-116323 CVE-2026-116326 CVE-2026-116327 CVE-2026-116328 CVE-2026-116330 "
                "CVE-2026-116331 CVE-2026-116332 CVE-2026-116335 CVE-2026-116336 CVE-2026-120139 "
                "CVE-2026-120141 CVE-2026-120143 CVE-2026-120145 CVE-2026-120146 CVE-2026-120147 "
                "CVE-2026-120148 CVE-2026-120149 CVE-2026-120150 CVE-2026-120151 CVE-2026-120153 "
                "CVE-2026-120154"
            ),
            what="Any user of a database runs code in the server, and a crafted archive in `pg_restore`; and more.",
            fixed_in="15.20",
            standing=Standing.OPEN,
            answer="Take 15.20 once its tag is seen. Until then: only clients with a role of their own reach the "
            "server, none of these is a superuser, and archives are restored from exports of one's own.",
        ),
    ),
    note="15.20 was released on 2026-11-12. That copy is older, so that no tag of its image was seen; it would be "
    "`15.20-alpine3.24`.",
)

REDIS = Pin(
    image=Image(repository="redis", tag="7.4.11-alpine3.21"),
    line="7 on Alpine: the plan says `redis:7-alpine`, and 7.4 is the newest 7.",
    looked_at=_LOOKED_AT,
    source=f"{_OFFICIAL_IMAGES}, `library/redis`, 2026-08-18, in a copy of 2026-08-21.",
    advisories=(
        Advisory(
            ids=("CVE-2025-46817", "CVE-2025-46818", "CVE-2025-46819", "CVE-2025-49844"),
            what="Whoever may run Lua scripts runs code in the server.",
            fixed_in="7.4.6",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2025-67733",),
            what="An error of a script forges answers to others of the same connection.",
            fixed_in="7.4.8",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-23479", "CVE-2026-23631", "CVE-2026-25243"),
            what="Whoever has the password runs code in the server.",
            fixed_in="7.4.9",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-66373",),
            what="Whoever may `RESTORE` runs code in the server.",
            fixed_in="7.4.10",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-81934",),
            what="Where TLS is on, anyone runs code in the server.",
            fixed_in="7.4.11",
            standing=Standing.CLOSED,
            answer="Taken. TLS is off unless it is chosen.",
        ),
        Advisory(
            ids=("CVE-2026-21863", "CVE-2026-92925"),
            what="Messages between the members of a cluster end the server.",
            fixed_in="",
            standing=Standing.UNUSED,
            answer="One server runs, and no cluster.",
            unused=("cluster-enabled",),
        ),
    ),
    note="Alpine 3.21 left support on 2026-11-01. There is no newer base of 7.4 on Alpine.",
)

MINIO = Pin(
    image=Image(repository="minio/minio", tag="RELEASE.2025-09-07T16-13-09Z"),
    line="The newest that was published: the plan says `minio/minio:latest`.",
    looked_at=_LOOKED_AT,
    source="minio/minio, its tags and README, 2026-02-12, in a copy of that day.",
    advisories=(
        Advisory(
            ids=("CVE-2025-62506",),
            what="Keys that a user made, or temporary ones, make keys without their limits.",
            fixed_in="RELEASE.2025-10-15T17-29-55Z, as source only",
            standing=Standing.OPEN,
            answer="The one user may make no keys: its policy denies `admin:*`. Or build that source, as said below.",
        ),
        Advisory(
            ids=("CVE-2026-33322",),
            what="With an OpenID provider, forged tokens are believed.",
            fixed_in="",
            standing=Standing.UNUSED,
            answer="No provider is configured.",
            unused=("MINIO_IDENTITY_OPENID_CONFIG_URL",),
        ),
        Advisory(
            ids=("CVE-2026-33419",),
            what="With LDAP, passwords can be guessed.",
            fixed_in="",
            standing=Standing.UNUSED,
            answer="No LDAP is configured.",
            unused=("MINIO_IDENTITY_LDAP_SERVER_ADDR",),
        ),
        Advisory(
            ids=("CVE-2026-42600",),
            what="Whoever has the root key reads files of the pod.",
            fixed_in="",
            standing=Standing.OPEN,
            answer="Only MinIO and the task that makes the bucket have the root key.",
        ),
        Advisory(
            ids=("CVE-2026-97731",),
            what="Whoever is given a signed URL for an upload reads what its signer may read.",
            fixed_in="",
            standing=Standing.OPEN,
            answer="Give no signed URL for uploads to anyone. Clients upload by themselves.",
        ),
    ),
    note="The project publishes no image since October 2025, and was archived on 2026-04-25. What to do is below.",
)

MINIO_CLIENT = Pin(
    image=Image(repository="minio/mc", tag="RELEASE.2025-08-13T08-35-41Z"),
    line="The newest that was published: it goes with MinIO.",
    looked_at=_LOOKED_AT,
    source="minio/mc, its tags, in a copy of 2025-11-06.",
    note="As MinIO: there will be no newer one. No advisory was found.",
)

TEMPO = Pin(
    image=Image(repository="grafana/tempo", tag="2.8.4"),
    line="2.8: the plan says `grafana/tempo:2.8.1`.",
    looked_at=_LOOKED_AT,
    source="grafana/tempo, tag v2.8.4 of 2026-04-23, in a copy of 2026-08-21.",
    advisories=(
        Advisory(
            ids=("CVE-2025-68156",),
            what="A nested expression ends the server.",
            fixed_in="2.8.3",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-25679", "CVE-2026-27878"),
            what="A query takes all memory; URLs are read wrongly.",
            fixed_in="2.8.4",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-28377",),
            what="The key that encrypts traces in S3 is shown.",
            fixed_in="2.10.3",
            standing=Standing.UNUSED,
            answer="None is given: whoever runs the S3 encrypts.",
            unused=("encryption_key",),
        ),
    ),
    note="August's mends went into 2.9 and newer: 2.8 gets no more.",
)

GRAFANA = Pin(
    image=Image(repository="grafana/grafana", tag="11.4.8"),
    line="11.4: the plan says `grafana/grafana:11.4.0`.",
    looked_at=_LOOKED_AT,
    source="endoflife-date/endoflife.date, `products/grafana.md`, in a copy of 2026-08-22.",
    advisories=(
        Advisory(
            ids=("CVE-2025-3580", "CVE-2025-4123", "CVE-2025-6023", "CVE-2025-6197"),
            what="Links run scripts as who follows them, or lead elsewhere.",
            fixed_in="11.4.8",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-10601",),
            what="Whoever may look reaches other addresses of Tempo than queries.",
            fixed_in="none of 11.4",
            standing=Standing.OPEN,
            answer="Only administrators reach Grafana, and Tempo holds nothing but traces and shows no key.",
        ),
        Advisory(
            ids=("CVE-2026-28380",),
            what="Editors delete snapshots of others.",
            fixed_in="none of 11.4",
            standing=Standing.OPEN,
            answer="Only administrators reach Grafana, who may do so anyway.",
        ),
    ),
    note="11.4 ended on 2025-09-05, and 11 on 2026-06-25. A move to 12 is the plan's to decide.",
)

OPENRESTY = Pin(
    image=Image(repository="openresty/openresty", tag="1.31.1.1-3-alpine"),
    line="1.31, the only line that goes on: the plan names no version.",
    looked_at=_LOOKED_AT,
    source="openresty/docker-openresty, its issue 307 of 2026-07-10 for 1.31.1.1-2; -3 in public use.",
    advisories=(
        Advisory(
            ids=_names(
                "CVE-2025-23419 CVE-2025-53859 CVE-2026-1642 CVE-2026-9256 CVE-2026-27651 CVE-2026-27654 "
                "CVE-2026-27784 CVE-2026-28753 CVE-2026-28755 CVE-2026-32647 CVE-2026-40460 CVE-2026-40701 "
                "CVE-2026-42926 CVE-2026-42934 CVE-2026-42945 CVE-2026-42946"
            ),
            what="Requests run code in nginx, or read its memory, with `rewrite` and other settings.",
            fixed_in="1.31.1.1",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-42533", "CVE-2026-93479"),
            what="Requests run code, where a string holds a capture and the value of a `map` with patterns.",
            fixed_in="1.31.9.1",
            standing=Standing.UNUSED,
            answer="No string holds a numbered capture, or the value of a `map` beside another.",
            unused=("$1", "$2", "$3"),
        ),
        Advisory(
            ids=("CVE-2026-15176", "CVE-2026-125283"),
            what="Requests run code, where files are served from another folder.",
            fixed_in="1.31.9.1",
            standing=Standing.UNUSED,
            answer="No files are served.",
            unused=("alias", "rewrite", "try_files"),
        ),
        Advisory(
            ids=("CVE-2026-42530", "CVE-2026-90439", "CVE-2026-95101", "CVE-2026-121810"),
            what="Requests of HTTP/3 run code.",
            fixed_in="1.31.9.1",
            standing=Standing.UNUSED,
            answer="The ingress controller asks with HTTP/1.1.",
            unused=("http3", "quic"),
        ),
        Advisory(
            ids=("CVE-2026-123007", "CVE-2026-123633"),
            what="Requests of HTTP/2 end nginx, or run code.",
            fixed_in="1.31.9.1",
            standing=Standing.UNUSED,
            answer="The ingress controller asks with HTTP/1.1.",
            unused=("http2",),
        ),
        Advisory(
            ids=("CVE-2026-97629", "CVE-2026-118899"),
            what="Where TLS ends in nginx, connections end it or hold it.",
            fixed_in="1.31.9.1",
            standing=Standing.UNUSED,
            answer="TLS ends before the gateway.",
            unused=("ssl", "ssl_certificate"),
        ),
        Advisory(
            ids=("CVE-2026-123634",),
            what="Names that are resolved for two requests at once run code.",
            fixed_in="1.31.9.1",
            standing=Standing.UNUSED,
            answer="nginx resolves no names: the gateway's own code asks the cluster's DNS.",
            unused=("resolver",),
        ),
        Advisory(
            ids=("CVE-2026-97205",),
            what="Cached answers and files that threads read run code.",
            fixed_in="1.31.9.1",
            standing=Standing.UNUSED,
            answer="Nothing is cached, and no threads read.",
            unused=("aio", "open_file_cache", "proxy_cache"),
        ),
        Advisory(
            ids=("CVE-2026-42055", "CVE-2026-48142", "CVE-2026-56434", "CVE-2026-60005"),
            what="gRPC, alphabets, includes and slices read or write beyond their memory.",
            fixed_in="1.31.9.1",
            standing=Standing.UNUSED,
            answer="None of them is switched on.",
            unused=("charset_map", "grpc_pass", "ignore_invalid_headers", "slice", "ssi"),
        ),
        Advisory(
            ids=("CVE-2026-113425", "CVE-2026-120967", "CVE-2026-120993", "CVE-2026-123640"),
            what="The proxies for mail and for raw connections run code or trust the wrong client.",
            fixed_in="1.31.9.1",
            standing=Standing.UNUSED,
            answer="There is only HTTP.",
            unused=("mail", "stream"),
        ),
    ),
    note="1.31.9.1 was released on 2026-11-23. No tag of an image of it was seen; it would be `1.31.9.1-0-alpine`.",
)

_MESH_3 = "3.x: what everyone runs who starts now. Its releases bring registry, runtimes and packages together."
_MESH_3_LOOKED_AT = date(2026, 11, 30)
_MESH_3_SOURCE = "PyPI's mcp-mesh 3.8.0, and .github/workflows/release.yml of dhyansraj/mcp-mesh, which releases both."
_MESH_3_NOTE = "The copy of the repository that was read ends in August, with v3.6.0: this tag was not seen there."

REGISTRY = Pin(
    image=Image(repository="mcpmesh/registry", tag="3.8.0"),
    line=_MESH_3,
    looked_at=_MESH_3_LOOKED_AT,
    source=_MESH_3_SOURCE,
    note=_MESH_3_NOTE,
)

PYTHON_RUNTIME = Pin(
    image=Image(repository="mcpmesh/python-runtime", tag="3.8.0"),
    line=_MESH_3,
    looked_at=_MESH_3_LOOKED_AT,
    source=_MESH_3_SOURCE,
    note=_MESH_3_NOTE,
)

TYPESCRIPT_RUNTIME = Pin(
    image=Image(repository="mcpmesh/typescript-runtime", tag="3.8.0"),
    line=_MESH_3,
    looked_at=_MESH_3_LOOKED_AT,
    source=_MESH_3_SOURCE,
    note=_MESH_3_NOTE,
)

JAVA_RUNTIME = Pin(
    image=Image(repository="mcpmesh/java-runtime", tag="3.8.0"),
    line=_MESH_3,
    looked_at=_MESH_3_LOOKED_AT,
    source=_MESH_3_SOURCE,
    note=_MESH_3_NOTE,
)

MESH_UI = Pin(
    image=Image(repository="mcpmesh/ui", tag="3.8.0"),
    line=_MESH_3,
    looked_at=_MESH_3_LOOKED_AT,
    source=_MESH_3_SOURCE,
    note=_MESH_3_NOTE,
)

REGISTRY_0_5 = Pin(
    image=Image(repository="mcpmesh/registry", tag="0.5.3"),
    line="0.5.3: the plan says so, and the agents' runtime is of that version.",
    looked_at=_LOOKED_AT,
    source="dhyansraj/mcp-mesh, tag v0.5.3.",
    note="No advisory was found.",
)

PYTHON_RUNTIME_0_5 = Pin(
    image=Image(repository="mcpmesh/python-runtime", tag="0.5.3"),
    line="0.5.3: the plan says so, and the agents are written for it.",
    looked_at=_LOOKED_AT,
    source="dhyansraj/mcp-mesh, tag v0.5.3.",
    advisories=(
        Advisory(
            ids=("CVE-2025-66416",),
            what="The MCP SDK of its time answers pages of other sites, on the machine of who opens them.",
            fixed_in="mcp 1.23.0",
            standing=Standing.OPEN,
            answer="Browsers reach agents in development alone, and through the gateway, which refuses other hosts.",
        ),
        Advisory(
            ids=("CVE-2026-52869", "CVE-2026-52870", "CVE-2026-59950"),
            what="The MCP SDK of its time lets one client into the session of another.",
            fixed_in="mcp 1.28.1",
            standing=Standing.OPEN,
            answer="Only the pods that a policy names reach an agent. An application may raise the SDK in its image.",
        ),
    ),
)

OAUTH2_PROXY = Pin(
    image=Image(repository="quay.io/oauth2-proxy/oauth2-proxy", tag="v7.15.6"),
    line="7, the only line that goes on: the plan names no login.",
    looked_at=_LOOKED_AT,
    source="oauth2-proxy/manifests, its release 10.7.2 of 2026-11-05; the module is the one that the tests build.",
    advisories=(
        Advisory(
            ids=("GHSA-vjrc-mh2v-45x6", "CVE-2025-64484"),
            what="Headers that say who someone is get past it when they are written with `_`.",
            fixed_in="v7.13.0",
            standing=Standing.CLOSED,
            answer="Taken. It hands no header on: the gateway asks it who someone is.",
        ),
        Advisory(
            ids=("GHSA-7x63-xv5r-3p2x", "CVE-2026-40575", "GHSA-pxq7-h93f-9jrg"),
            what="Anyone gets past it where some paths need no login.",
            fixed_in="v7.15.2",
            standing=Standing.CLOSED,
            answer="Taken. Which paths are public, the gateway says, and not the login.",
        ),
        Advisory(
            ids=("GHSA-5hvv-m4w4-gf6v", "CVE-2026-34457"),
            what="Anyone gets past it with the user agent of a health check.",
            fixed_in="v7.15.2",
            standing=Standing.CLOSED,
            answer="Taken. No user agent is one of a health check.",
        ),
        Advisory(
            ids=("GHSA-c5c4-8r6x-56w3", "CVE-2026-40574"),
            what="An address with several `@` passes for one of an allowed domain.",
            fixed_in="v7.15.2",
            standing=Standing.CLOSED,
            answer="Taken. The gateway refuses such an address too.",
        ),
        Advisory(
            ids=("GHSA-f24x-5g9q-753f",),
            what="Who opens the sign-in page goes on with a session that somebody else began.",
            fixed_in="v7.15.2",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("GHSA-63jm-59jj-478j", "CVE-2026-76835"),
            what="Anyone gets past it where some paths need no login, with a path that is read in two ways.",
            fixed_in="v7.15.5",
            standing=Standing.CLOSED,
            answer="Taken. Which paths are public, the gateway says, and not the login.",
        ),
        Advisory(
            ids=("GHSA-wr5q-7wxw-x568",),
            what="Anyone gets past it where some addresses need no login.",
            fixed_in="v7.15.5",
            standing=Standing.CLOSED,
            answer="Taken. No address is let in without a login.",
        ),
        Advisory(
            ids=("GHSA-hhqp-vx7f-5c6m",),
            what="Its log holds credentials when a sign-in fails.",
            fixed_in="v7.15.5",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
    ),
)

PROMETHEUS = Pin(
    image=Image(repository="prom/prometheus", tag="v3.13.5"),
    line="3.13, which has long-term support, until July 2027: the plan names no version.",
    looked_at=_MONITORING_LOOKED_AT,
    source="prometheus/prometheus, its Go module v0.313.5 of 2026-10-21, which says that it is 3.13.5.",
    advisories=(
        Advisory(
            ids=("CVE-2026-40179", "GHSA-vffh-x6r8-xx99"),
            what="Names of metrics and values of labels run scripts as who looks at them.",
            fixed_in="v3.11.2",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-42154", "GHSA-8rm2-7qqf-34qm"),
            what="Anyone who reaches it takes all its memory, with remote reads.",
            fixed_in="v3.11.3",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=_names("CVE-2026-42151 GHSA-wg65-39gg-5wfj CVE-2026-44903 GHSA-fw8g-cg8f-9j28"),
            what="It shows a secret of Azure, and in its old pages buckets of histograms run scripts.",
            fixed_in="v3.11.3",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-44990",),
            what="Its pages let scripts through that they should take out.",
            fixed_in="v3.13.0",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-56852", "GHSA-hrxh-6v49-42gf"),
            what="Text without an end hangs it, and the server of gRPC lets in what it should refuse.",
            fixed_in="v3.13.2",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
    ),
    note="3.16.0 of 2026-11-04 is newer, and gets mends for six weeks. 3.13.5 is built with Go 1.26.10.",
)

ALERTMANAGER = Pin(
    image=Image(repository="prom/alertmanager", tag="v0.35.0"),
    line="0.35, the newest: the plan names no version.",
    looked_at=_MONITORING_LOOKED_AT,
    source="prometheus/alertmanager, its Go module v0.35.0 of 2026-11-09.",
    advisories=(
        Advisory(
            ids=("CVE-2023-40577", "GHSA-v86x-5fm3-5p7j"),
            what="Whoever may send alerts runs scripts as who looks at them.",
            fixed_in="v0.25.1",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-111943",),
            what="It trusts certificates of authorities whose keys were stolen.",
            fixed_in="v0.34.2",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
    ),
    note="Until 0.34.2, pages of other sites could ask it for alerts and set silences. No name was given to that.",
)

KUBE_STATE_METRICS = Pin(
    image=Image(repository="registry.k8s.io/kube-state-metrics/kube-state-metrics", tag="v2.20.0"),
    line="2.20, the newest: the plan names no version.",
    looked_at=_MONITORING_LOOKED_AT,
    source="kubernetes/kube-state-metrics, tag v2.20.0 of 2026-08-17, in a copy of 2026-08-21, and its image in use.",
    advisories=(
        Advisory(
            ids=("GHSA-g3c8-4qh2-rhrg",),
            what="Anyone who reaches it reads its profiles, where its other answers need a login.",
            fixed_in="v2.19.0",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-24051", "CVE-2026-34986", "CVE-2026-39883"),
            what="Programs on the search path run in its place, and a crafted token ends it.",
            fixed_in="v2.19.0",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-42504",),
            what="A crafted header takes the processor.",
            fixed_in="v2.19.1",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
    ),
    note="It is built with Go 1.26.6. October's mends of Go, 1.26.10, were seen in no release.",
)

BLACKBOX_EXPORTER = Pin(
    image=Image(repository="prom/blackbox-exporter", tag="v0.28.0"),
    line="0.28, the newest: since 0.27 it can judge JSON, and the plan names no version.",
    looked_at=_MONITORING_LOOKED_AT,
    source="prometheus/blackbox_exporter, tag v0.28.0 of 2025-12-04, in a copy of 2026-07-24.",
    advisories=(
        Advisory(
            ids=_names("CVE-2020-16248 CVE-2023-26735 GHSA-8jrj-57gq-475g GHSA-939c-3g97-vpvv"),
            what="Whoever reaches it has it ask any address, and learns whether that answers.",
            fixed_in="",
            standing=Standing.OPEN,
            answer="It is for that. A policy lets only Prometheus reach it, and lets it reach only what is probed.",
        ),
        Advisory(
            ids=_names(
                "CVE-2025-61726 CVE-2025-61730 CVE-2025-68121 CVE-2026-25679 CVE-2026-27145 CVE-2026-32280 "
                "CVE-2026-32281 CVE-2026-32283 CVE-2026-33811 CVE-2026-33814 CVE-2026-39821 CVE-2026-42507 "
                "CVE-2026-56853 CVE-2026-56860 CVE-2026-56862"
            ),
            what="Go 1.25.5, of its day: who is probed, or asks it, holds or ends it, or passes for another.",
            fixed_in="",
            standing=Standing.OPEN,
            answer="It asks our own services and the public address, holds no key, and starts again when it ends.",
        ),
    ),
    note="A release with a newer Go was not seen.",
)

POSTGRES_EXPORTER = Pin(
    image=Image(repository="quay.io/prometheuscommunity/postgres-exporter", tag="v0.20.1"),
    line="0.20, the newest: the plan names no version.",
    looked_at=_MONITORING_LOOKED_AT,
    source="prometheus-community/postgres_exporter, tag v0.20.1 of 2026-07-07, in a copy of 2026-08-18.",
    advisories=(
        Advisory(
            ids=("CVE-2026-56852", "CVE-2026-56853", "CVE-2026-56862"),
            what="Go of its day: who asks it, or its server, holds it with connections or text without an end.",
            fixed_in="",
            standing=Standing.OPEN,
            answer="A policy lets only Prometheus reach it, and its server is the one beside it.",
        ),
    ),
    note="A release with a newer Go was not seen.",
)

REDIS_EXPORTER = Pin(
    image=Image(repository="oliver006/redis_exporter", tag="v1.91.1"),
    line="1, the only line: the plan names no version.",
    looked_at=_MONITORING_LOOKED_AT,
    source="oliver006/redis_exporter, its release 1.91.1 and the image's tag in public use, both seen on 2026-09-08.",
    note="Its issue 1104, which has no other name: whoever reaches `/scrape` has it send its password to any address. "
    "`--disable-scrape-endpoint` closes that.",
)

LOKI = Pin(
    image=Image(repository="grafana/loki", tag="3.7.8"),
    line="3.7, the newest: the plan names no version.",
    looked_at=_MONITORING_LOOKED_AT,
    source="grafana/loki, its Go module v3.7.8 of 2026-09-17.",
    advisories=(
        Advisory(
            ids=("CVE-2026-21726", "GHSA-497x-rrr9-68jp"),
            what="Whoever reaches its rules reads other files.",
            fixed_in="3.6.4",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-39822", "CVE-2026-42505"),
            what="Files outside of a folder can be reached, and TLS tells which host is asked.",
            fixed_in="3.7.4",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
    ),
    note="It is built with Go 1.26.6. October's mends of Go, 1.26.10, were seen in no release.",
)

ALLOY = Pin(
    image=Image(repository="grafana/alloy", tag="v1.19.1"),
    line="1, the only line: the plan names no version.",
    looked_at=_MONITORING_LOOKED_AT,
    source="grafana/alloy, tag v1.19.0-rc.3 in a copy of 2026-08-21; v1.19.1 in public use on 2026-08-28.",
    advisories=(
        Advisory(
            ids=("CVE-2024-8975", "GHSA-chqx-36rm-rf8h"),
            what="On Windows, whoever may write to the disk has it start a program.",
            fixed_in="v1.4.1",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
        Advisory(
            ids=("CVE-2026-56852", "GHSA-hrxh-6v49-42gf"),
            what="Text without an end hangs it, and the server of gRPC lets in what it should refuse.",
            fixed_in="v1.18.1",
            standing=Standing.CLOSED,
            answer="Taken.",
        ),
    ),
    note="A newer release was not seen.",
)

LOCUST = Pin(
    image=Image(repository="locustio/locust", tag="2.46.6"),
    line="2, the only line: the plan names no program.",
    looked_at=_MONITORING_LOOKED_AT,
    source="locustio/locust, tag 2.46.6 in public use; PyPI has 2.47.0, of which no image was seen.",
    advisories=(),
    note="It runs in no environment unless its settings have a load test.",
)

PINS = (
    POSTGRES,
    REDIS,
    MINIO,
    MINIO_CLIENT,
    TEMPO,
    GRAFANA,
    OPENRESTY,
    REGISTRY,
    PYTHON_RUNTIME,
    TYPESCRIPT_RUNTIME,
    JAVA_RUNTIME,
    MESH_UI,
    REGISTRY_0_5,
    PYTHON_RUNTIME_0_5,
    OAUTH2_PROXY,
    PROMETHEUS,
    ALERTMANAGER,
    KUBE_STATE_METRICS,
    BLACKBOX_EXPORTER,
    POSTGRES_EXPORTER,
    REDIS_EXPORTER,
    LOKI,
    ALLOY,
    LOCUST,
)
"""Every pin."""
