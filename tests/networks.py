"""This module is networks of their own for servers of the tests, in which they listen where a pod of theirs would.

A thread has the network, and so has what it starts: nobody else reaches it, and it reaches nobody. Only root may make
one, and run programs as others: for anybody else these tests are skipped, which no program would mend.
"""

import ctypes
import errno
import fcntl
import os
import platform
import socket
import struct
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NoReturn, TypeVar

import pytest

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_SOCKET_CALL = {"x86_64": 41, "aarch64": 198}
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs programs as others")


def lack(what: str) -> NoReturn:
    """Skip a test for want of something that is no program."""
    pytest.skip(what)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _without_ipv6(libc: ctypes.CDLL) -> None:
    """As on a node whose kernel has no IPv6: no socket of that family can be made (seccomp)."""
    steps = (
        (_LOAD, 0, 0, 0),  # which call
        (_IF_EQUAL, 0, 3, _SOCKET_CALL[platform.machine()]),
        (_LOAD, 0, 0, 16),  # its first argument
        (_IF_EQUAL, 0, 1, socket.AF_INET6),
        (_RETURN, 0, 0, _ERROR | errno.EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    )
    text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = _Program(len(steps), ctypes.cast(text, ctypes.c_void_p))
    assert libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0


def _enter(ipv6: bool) -> str:
    """Give this thread a network of its own. What went wrong, where that may not be."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        return os.strerror(ctypes.get_errno())
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))
    if not ipv6:
        _without_ipv6(libc)
    return ""


@contextmanager
def own_network(*, ipv6: bool = True) -> Generator[Callable[[Callable[[], T]], T], None, None]:
    """A network with loopback alone, and a way to do something in it.

    Args:
        ipv6: Whether there is IPv6. Without, it is as on a node whose kernel has none.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        if problem := thread.submit(_enter, ipv6).result():
            lack(f"no network of its own: {problem}. Run the tests as root, in a container with SYS_ADMIN.")
        yield lambda work: thread.submit(work).result()
