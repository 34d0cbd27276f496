"""This module is the hosts file: one marked block, which is replaced and never appended twice."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from mcpmesh_k8s.kubernetes import is_address

from .programs import OperationError, UsageError, require, stream
from .terminal import show

HOSTS = Path("/etc/hosts")


def with_block(text: str, name: str, line: str) -> str:
    """A hosts file's text with the block of an application: one line between two marks.

    Args:
        text: What the file holds now.
        name: The application's name, which the marks carry.
        line: The line; the block is taken out when it is empty.

    Raises:
        OperationError: A mark stands there without its other half, so nobody can tell what is ours.
    """
    begin, end = f"# BEGIN {name}", f"# END {name}"
    lines = text.splitlines()
    if lines.count(begin) != lines.count(end) or lines.count(begin) > 1:
        raise OperationError(f"The hosts file has not exactly one {begin!r} and one {end!r}. Mend it by hand.")
    new_line = "\r\n" if "\r\n" in text else "\n"
    block = "".join(f"{each}{new_line}" for each in (begin, line, end)) if line else ""
    if begin not in lines:
        return f"{text}{'' if text.endswith(chr(10)) or not text else new_line}{block}"
    if lines.index(end) < lines.index(begin):
        raise OperationError(f"In the hosts file {end!r} stands before {begin!r}. Mend it by hand.")
    return re.sub(rf"^{re.escape(begin)}\r?\n.*?^{re.escape(end)}(\r?\n|\Z)", lambda _: block, text, flags=re.M | re.S)


def can_write(path: Path) -> bool:
    """Whether we may write a file ourselves."""
    return os.access(path, os.W_OK)


def require_hosts_file(path: Path) -> None:
    """Refuse to begin when nobody could write the hosts file."""
    if not path.is_file():
        raise OperationError(f"{path} is no file. HOSTS_FILE names the hosts file.")
    if not can_write(path):
        require("sudo")


def update_hosts(path: Path, name: str, address: str, hosts: tuple[str, ...]) -> None:
    """Let the hosts file name an application's hosts; without hosts, its block is taken out.

    The file is overwritten in place, since in a container it cannot be replaced. The old one is kept beside the
    temporary files until the new one is written.

    Raises:
        UsageError: The address is none.
        OperationError: The file is not there, or cannot be written.
    """
    if hosts and not is_address(address):
        raise UsageError(f"{address!r} is no IP address. Give ADDRESS=<the ingress controller's>.")
    require_hosts_file(path)
    # What is not ours is kept to the byte, whatever its encoding.
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        old = file.read()
    new = with_block(old, name, f"{address} {' '.join(hosts)}" if hosts else "")
    if new == old:
        show(f"{path} is right already.")
        return
    if can_write(path):
        path.write_bytes(new.encode(errors="surrogateescape"))
    else:
        with tempfile.NamedTemporaryFile("wb", prefix="hosts.") as ours:
            ours.write(new.encode(errors="surrogateescape"))
            ours.flush()
            show(f"sudo may ask for your password, to write {path}")
            if stream(["sudo", "cp", ours.name, str(path)]):
                raise OperationError(f"{path} was not written: see above.")
    show(f"{path}: {address} {' '.join(hosts)}" if hosts else f"{path}: the block of {name} is gone.")
