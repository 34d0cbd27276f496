"""This module is the digests of the pinned images: what ``digests.json`` says, which a command writes from registries.

A tag names an image; only a digest names its bytes. The file is empty until a registry could be asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from mcpmesh_k8s.kubernetes import Image, SettingError

from .pins import Pin

DIGESTS_FILE = Path(__file__).parent / "digests.json"
"""Where the digests of the pins lie: ``{"repository:tag": "sha256:…"}``."""


def digests_of(text: str, *, where: str) -> dict[str, str]:
    """The digests that a file holds, by the reference of the image that each is of.

    Args:
        text: What the file holds.
        where: The file, for the error.

    Raises:
        SettingError: It is not JSON of one object of texts.
    """
    instead = 'Give {"repository:tag": "sha256:…"}, as `make digests` writes it.'
    try:
        held: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingError(where, str(error), instead) from None
    if not isinstance(held, dict):
        raise SettingError(where, held, instead)
    for reference, digest in cast("dict[str, object]", held).items():
        if not isinstance(digest, str):
            raise SettingError(f"{where}, {reference}", digest, instead)
    return cast("dict[str, str]", held)


def pinned(pin: Pin, digests: Mapping[str, str]) -> Image:
    """The image of a pin, with its digest where one is known. A digest of another tag is not taken.

    Raises:
        SettingError: The digest is none.
    """
    digest = digests.get(pin.image.reference, "")
    return replace(pin.image, digest=digest) if digest else pin.image


DIGESTS = digests_of(DIGESTS_FILE.read_text(encoding="utf-8"), where=DIGESTS_FILE.name)
"""The digests that ``digests.json`` holds."""
