"""This module is container images, named so that the same name always means the same bytes."""

from __future__ import annotations

import re

from .errors import SettingError
from .names import one_line
from .values import dataclass

_HOST = r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d+)?"
_PART = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"({_HOST}/)?{_PART}(/{_PART})*", re.ASCII)
_LONGEST = 255
"""As runtimes of containers read a name (github.com/distribution/reference)."""

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_EXACT = re.compile(
    r"""
    v?\d+\.\d+\.\d+ .*                           # a full version: 0.5.3, 7.4.5-alpine3.21
    | RELEASE\.\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z .*  # a dated release
    | (?=.*\d)[0-9a-f]{7,40}                     # a commit
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True)
class Image:
    """A container image that does not move: a full version, a dated release, a commit, or a digest.

    ``latest``, ``main``, ``0.5`` and ``15-alpine`` are pushed again with other contents, so two pods of one
    Deployment could run different programs. They are refused.

    Args:
        repository: Where the image lies, such as ``mcpmesh/registry``.
        tag: The exact tag. It may be left out when a digest is given.
        digest: ``sha256:`` and 64 hexadecimal digits; it wins over the tag when the image is pulled.
        exact_because: Why a tag that looks like a moving one is exact all the same.

    Raises:
        SettingError: The tag is missing or moves, or the digest or repository is malformed.
    """

    repository: str
    tag: str = ""
    digest: str = ""
    exact_because: str = ""

    def __post_init__(self) -> None:
        """Refuse what does not name one image for ever."""
        if ":" in self.repository.rpartition("/")[2]:
            raise SettingError("Image.repository", self.repository, "It holds a tag. Give that apart, as tag.")
        if not _REPOSITORY.fullmatch(self.repository) or len(self.repository) > _LONGEST:
            raise SettingError(
                "Image.repository",
                self.repository,
                "Give a path such as 'mcpmesh/registry' or 'registry.example.com:5000/shop/prices': parts of "
                f"lower-case letters, digits and inner '.', '_', '__' and '-', at most {_LONGEST} characters.",
            )
        if self.digest and not _DIGEST.fullmatch(self.digest):
            raise SettingError("Image.digest", self.digest, "Give 'sha256:' and 64 lower-case hexadecimal digits.")
        if self.tag and not _TAG.fullmatch(self.tag):
            raise SettingError("Image.tag", self.tag, "Give letters, digits, '.', '_' and '-', at most 128.")
        if not self.tag and not self.digest:
            raise SettingError(
                f"Image.tag of {self.repository}",
                self.tag,
                "Give an exact tag, such as '0.5.3', or a digest.",
            )
        if self.exact_because:
            one_line(f"Image.exact_because of {self.repository}", self.exact_because, "Say in one line why.")
        if not self.digest and not self.exact_because and not _EXACT.fullmatch(self.tag):
            raise SettingError(
                f"Image.tag of {self.repository}",
                self.tag,
                "This tag moves to other contents. Give a full version such as '0.5.3', or a digest, or say in "
                "exact_because why it never moves.",
            )

    @property
    def reference(self) -> str:
        """The image as a container names it: ``repository:tag@digest``."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"

    @property
    def version(self) -> str:
        """The tag, or the digest's first twelve digits, as the value of a label."""
        return self.tag[:63].rstrip("-_.") or self.digest[7:19]

    def __str__(self) -> str:
        return self.reference
