"""This module asks a Redis: a client of a few lines, for a program takes longer to start than a server to answer.

What is rendered calls the real `redis-cli`. This is only who looks from outside.
"""

from __future__ import annotations

import json
import socket
from typing import IO

from mesh_harness import LOCALHOST


class RefusedError(Exception):
    """An answer that is an error."""


def ask_redis(
    port: int, password: str, *command: str, host: str = LOCALHOST, user: str = "operator", seconds: float = 20
) -> object:
    """The answer to a command, as JSON has it; why there is none is a text.

    Args:
        user: Who asks, by name; without one the password is that of the default user, and without both nobody logs in.
    """
    login = [*([user] if user else []), password]
    try:
        with (
            socket.create_connection((host, port), timeout=seconds) as connection,
            connection.makefile("rb") as answers,
        ):

            def ask(*words: str) -> object:
                texts = [word.encode() for word in words]
                connection.sendall(b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%s\r\n" % (len(t), t) for t in texts))
                return read(answers)

            said = ""
            try:
                if user or password:
                    ask("AUTH", *login)
                # By it answers have types: maps, not lists of pairs.
                ask("HELLO", "3")
            except RefusedError as refused:
                said = f"AUTH failed: {refused}\n"
            try:
                return ask(*command)
            except RefusedError as refused:
                return f"{said}error:{refused}"
    except OSError as error:
        return f"Could not connect to Redis at {host}:{port}: {error}"


def redis_cli(port: int, password: str, *command: str, host: str = LOCALHOST, user: str = "operator") -> str:
    """The answer to a command as a line of JSON, or why there is none as it is."""
    answer = ask_redis(port, password, *command, host=host, user=user)
    refused = isinstance(answer, str) and answer.startswith(("error:", "AUTH failed: ", "Could not connect"))
    return str(answer) if refused else json.dumps(answer, ensure_ascii=False, separators=(",", ":")) + "\n"


def read(answers: IO[bytes]) -> object:
    """One answer, of the third version of the protocol or of the second.

    Raises:
        RefusedError: It is an error.
        OSError: The server has ended.
    """
    line = answers.readline()
    if not line.endswith(b"\r\n"):
        raise OSError("the server closed the connection")
    kind, rest = line[:1], line[1:-2].decode(errors="backslashreplace")
    match kind:
        case b"+":
            return rest
        case b"-":
            raise RefusedError(rest)
        case b":":
            return int(rest)
        case b",":
            return float(rest)
        case b"#":
            return rest == "t"
        case b"_":
            return None
        case b"$" | b"=" | b"(" if rest == "-1":
            return None
        case b"$":
            return answers.read(int(rest) + 2)[:-2].decode(errors="backslashreplace")
        case b"=":  # with what kind of text it is before
            return answers.read(int(rest) + 2)[4:-2].decode(errors="backslashreplace")
        case b"*" | b"~" | b">":
            return None if rest == "-1" else [read(answers) for _ in range(int(rest))]
        case b"%":
            return {str(read(answers)): read(answers) for _ in range(int(rest))}
        case _:
            raise AssertionError(f"What is {line!r}?")
