"""This module is how Redis moves: a dump without a trace in the source, and into the target as a replica's master."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from .export import Content, Count, RedisExport
from .programs import OperationError
from .stores import ClusterSide, Side, Stores, run

DUMP = "redis/dump.rdb"

STAGED_PORT = 16379
"""Where a second server listens, on the loopback of the pod, while the first one copies from it."""

_OVERHEAD = 32 * 2**20  # of a second process and of the copy's buffers

# It asks for a dump as a replica does: by default it is sent from memory and nothing is written.
_EXPORT = "set -eu\nexec redis-cli --rdb -\n"

# From a pipe always: what lies behind /dev/stdin may else be something that cannot be opened.
CHECK = "set -eu\ncat | redis-check-rdb /dev/stdin\n"
"""Reads a dump from its input, prints what it holds, and fails when its checksum is another."""

STATE = """\
set -eu
redis-cli -e INFO server
redis-cli -e INFO memory
redis-cli -e INFO keyspace
redis-cli -e INFO persistence
redis-cli -e INFO replication
redis-cli -e INFO clients
folder="$(redis-cli -e CONFIG GET dir | tail -n 1)"
df -P -k "$folder" | tail -n 1 | { read -r _ _ _ free _; echo "disk_free:$free"; }
du -s -k "$folder" | { read -r used _; echo "disk_used:$used"; }
"""
"""Prints what the server says of itself."""

# The second server has no password, and answers on the loopback of the pod only.
_STAGED = """\
set -eu
port="$1"
staged() { (unset REDISCLI_AUTH; exec redis-cli -e -h 127.0.0.1 -p "$port" "$@"); }
"""

_FOLDER = 'folder="$(redis-cli -e CONFIG GET dir | tail -n 1)/.import"\n'

DISCARD = (
    _STAGED
    + _FOLDER
    + """\
[ -d "$folder" ] || exit 0
staged SHUTDOWN NOSAVE >/dev/null 2>&1 || true
rm -rf "$folder"
"""
)
"""``$1`` is the port: stops the second server and removes its files."""

STAGE = (
    _STAGED
    + _FOLDER
    + """\
umask 077
mkdir "$folder"
cat > "$folder/dump.rdb"
[ "$(sha256sum < "$folder/dump.rdb")" = "$2  -" ] || { echo "error: the dump did not arrive whole" >&2; exit 1; }
redis-server --port "$port" --bind 127.0.0.1 --dir "$folder" --dbfilename dump.rdb --save '' --appendonly no \
  --repl-diskless-sync yes --repl-diskless-sync-delay 0 --daemonize yes --logfile "$folder/log" \
  --pidfile "$folder/pid" >/dev/null
left=3000
until [ "$(staged PING 2>/dev/null)" = PONG ]; do
  left=$((left - 1))
  if [ "$left" -le 0 ] || grep -q -i -e fatal -e abort -e exiting "$folder/log"; then
    tail -n 3 "$folder/log" >&2
    exit 1
  fi
  sleep 0.2
done
staged INFO keyspace
"""
)
"""``$1`` is the port, ``$2`` the checksum of the dump on its input: starts a second server on it."""

SWITCH = (
    _STAGED
    + """\
say() { redis-cli -e INFO "$1" | tr -d '\\r'; }
# What it receives it loads beside what it holds, from the connection: a copy that fails changes nothing, and no dump
# stays on its disk that it would load one day.
load="$(redis-cli -e CONFIG GET repl-diskless-load | tail -n 1)"
back() {
  redis-cli -e REPLICAOF NO ONE >/dev/null
  redis-cli -e CONFIG SET repl-diskless-load "$load" >/dev/null
}
trap back EXIT
trap 'exit 1' HUP INT TERM
redis-cli -e CONFIG SET repl-diskless-load swapdb >/dev/null
redis-cli -e REPLICAOF 127.0.0.1 "$port" >/dev/null
left=3000
until say replication | grep -q '^master_link_status:up'; do
  left=$((left - 1))
  [ "$left" -gt 0 ] || { echo "error: it did not copy in time" >&2; exit 1; }
  sleep 0.2
done
back
until say persistence | grep -q '^aof_rewrite_in_progress:0' && say persistence | grep -q '^aof_rewrite_scheduled:0'; do
  left=$((left - 1))
  [ "$left" -gt 0 ] || { echo "error: the append-only file was not written in time" >&2; exit 1; }
  sleep 0.2
done
say persistence | grep -q '^aof_last_bgrewrite_status:ok' || { echo "error: the append-only file failed" >&2; exit 1; }
staged INFO keyspace
echo
say keyspace
"""
)
"""``$1`` is the port: the first server copies everything from the second, then goes its own way again."""


def _state(side: Side, stores: Stores) -> dict[str, str]:
    lines = run(side, stores.redis, "asking what is there", STATE).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _keyspace(text: str) -> dict[str, tuple[int, int]]:
    """Keys, and those of them that expire, for each database that has some."""
    found = re.findall(r"^(db\d+):keys=(\d+),expires=(\d+)", text, re.MULTILINE)
    return {database: (int(keys), int(expiring)) for database, keys, expiring in found}


def _dump(side: Side, stores: Stores, path: Path) -> RedisExport:
    with path.open("xb") as dump:
        run(side, stores.redis, "dumping", _EXPORT, stdout=dump)
    return check_dump(side, stores, path, trim=True)


def check_dump(side: Side, stores: Stores, path: Path, *, trim: bool = False) -> RedisExport:
    """What a dump holds, once all of it was read and its checksum was found right.

    Args:
        side: Whose program reads it.
        stores: Where Redis is.
        path: The dump.
        trim: Cut off the mark that a server may put behind a dump when it does not know its size in advance.

    Raises:
        OperationError: It is damaged, or longer than it should be.
    """
    with path.open("rb") as dump:
        said = run(side, stores.redis, f"reading the whole dump {path.name}", CHECK, stdin=dump)

    def number(pattern: str) -> int:
        found = re.search(pattern, said)
        if not found:
            raise OperationError(f"redis-check-rdb says too little of {path}: no {pattern!r}.")
        return int(found[1])

    size, end = path.stat().st_size, number(r"\[offset (\d+)\] \\o/ RDB looks OK")
    if size == end + 40 and trim:
        os.truncate(path, end)
    elif size != end:
        raise OperationError(f"{path} has {size} bytes, and the dump in it ends after {end}. Export again.")
    return RedisExport(
        keys=number(r"(\d+) keys read"), expiring=number(r"(\d+) expires"), memory=number(r"used-mem = '(\d+)'")
    )


def export_redis(side: Side, stores: Stores, folder: Path, show: Callable[[str], None]) -> tuple[RedisExport, str]:
    """Write a dump below a folder. The source is only read.

    Returns:
        What it holds, and the version of the server.

    Raises:
        OperationError: It could not be made, or cannot be read.
    """
    (folder / "redis").mkdir()
    exported = _dump(side, stores, folder / DUMP)
    show(f"redis: dumped, and read back; {exported.keys} keys")
    return exported, _state(side, stores)["redis_version"]


def check_redis(target: Side, stores: Stores, folder: Path, exported: RedisExport) -> None:
    """Check everything that an import needs. Nothing is changed.

    Raises:
        OperationError: The dump cannot be read, or memory or disk is too small for it.
    """
    if check_dump(target, stores, folder / DUMP) != exported:
        raise OperationError(f"{folder / DUMP} holds something else than the manifest says. Export again.")
    state = _state(target, stores)
    if state["role"] != "master":
        raise OperationError(f"Redis of {target} is a replica. Redis of an application is its own master.")
    maximum = int(state["maxmemory"])
    if maximum and exported.memory > maximum:
        raise OperationError(
            f"Redis of {target} may hold {maximum} bytes, and the dump takes {exported.memory}. Give it more memory."
        )
    # The dump and the append-only file made of it lie on the disk together.
    disk = 2 * (folder / DUMP).stat().st_size
    free = int(state["disk_free"]) * 1024
    if isinstance(target, ClusterSide):
        free = min(free, stores.redis_disk - int(state["disk_used"]) * 1024)
        needed = int(state["used_memory"]) + 2 * exported.memory + _OVERHEAD
        if needed > stores.redis_memory:
            raise OperationError(
                f"Redis of {target} has {stores.redis_memory} bytes of memory. While it copies, {needed} are needed:"
                " raise its memory limit for the import."
            )
    if disk > free:
        raise OperationError(f"Redis of {target} has {free} bytes of disk free, and {disk} are needed.")


def stage_redis(target: Side, stores: Stores, folder: Path, exported: RedisExport) -> None:
    """Start a second server on the dump, beside the first, and compare what it holds.

    Raises:
        OperationError: It does not start, or holds something else.
    """
    with (folder / DUMP).open("rb") as dump:
        checksum = Content.of(folder / DUMP).sha256
        said = run(target, stores.redis, "loading the dump beside", STAGE, str(STAGED_PORT), checksum, stdin=dump)
    lasting = sum(keys - expiring for keys, expiring in _keyspace(said).values())
    if lasting != exported.keys - exported.expiring:
        raise OperationError(
            f"The dump of Redis was loaded with {lasting} keys that stay; {exported.keys - exported.expiring} were"
            " exported."
        )


def keep_redis(target: Side, stores: Stores, path: Path) -> RedisExport:
    """Write what the target holds now to a file."""
    return _dump(target, stores, path)


def switch_redis(target: Side, stores: Stores) -> list[tuple[Count, Count]]:
    """Let the target copy everything from the second server, in place of what it holds.

    Returns:
        For each database, what the second server holds and what the target holds. Keys that expire may have done so.

    Raises:
        OperationError: It did not copy.
    """
    said = run(target, stores.redis, "copying from the server beside", SWITCH, str(STAGED_PORT))
    source, _, copy = said.replace("\r", "").partition("\n\n")
    staged, live = _keyspace(source), _keyspace(copy)
    rows = list[tuple[Count, Count]]()
    for database in sorted(staged.keys() | live.keys()):
        left, right = staged.get(database, (0, 0)), live.get(database, (0, 0))
        rows.append(
            (
                Count(what=f"redis {database}, keys that stay", count=left[0] - left[1]),
                Count(what=f"redis {database}, keys that stay", count=right[0] - right[1]),
            )
        )
        rows.append(
            (
                Count(what=f"redis {database}, keys that expire", count=left[1]),
                Count(what=f"redis {database}, keys that expire", count=right[1]),
            )
        )
    return rows


def lasting_keys(side: Side, stores: Stores) -> int:
    """How many keys it holds that never expire."""
    text = run(side, stores.redis, "counting", "exec redis-cli -e INFO keyspace")
    return sum(keys - expiring for keys, expiring in _keyspace(text).values())


def discard_redis(target: Side, stores: Stores) -> None:
    """Stop the second server and remove its files, wherever an import stopped."""
    run(target, stores.redis, "cleaning up", DISCARD, str(STAGED_PORT))
