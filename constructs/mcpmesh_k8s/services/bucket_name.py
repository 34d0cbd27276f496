"""This module is what a bucket may be called, in MinIO and in S3."""

from __future__ import annotations

import re

from mcpmesh_k8s.kubernetes import SettingError

_PART = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{3,63}}$)(?!(\d+\.){{3}}\d+$){_PART}(\.{_PART})*")


def bucket_name(where: str, name: str) -> str:
    """Return the name when a bucket can have it, else raise a SettingError."""
    if not _NAME.fullmatch(name):
        raise SettingError(where, name, "Give 3 to 63 of a-z, 0-9, inner '-' and single '.', and no address.")
    return name
