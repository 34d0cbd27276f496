"""This module is how all data of an application move, between the Compose stack and the cluster, both ways.

An export is a folder. Nothing in the source is changed. An import checks the whole folder and the target first, then
brings everything beside what is there, compares it, and swaps at the end. Each can be repeated after it stopped
anywhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import ParamSpec

from .bucket_data import check_bucket, count_bucket, export_bucket, exported_objects, import_bucket
from .export import FORMAT, Content, Count, Manifest, files_of, private
from .postgres_data import (
    Owner,
    counts_of,
    discard_databases,
    export_databases,
    plan_databases,
    restore_databases,
    swap_databases,
)
from .programs import OperationError, require
from .redis_data import (
    check_redis,
    discard_redis,
    export_redis,
    keep_redis,
    lasting_keys,
    stage_redis,
    switch_redis,
)
from .stores import ClusterSide, ComposeSide, Server, Side, Stores, stores_of
from .terminal import show, show_table

__all__ = [
    "ClusterSide",
    "ComposeSide",
    "Owner",
    "Row",
    "Server",
    "Side",
    "Stores",
    "compare_data",
    "export_data",
    "import_data",
    "require_same",
    "show_rows",
    "stores_of",
    "verify_data",
]

_NONE = -1
"""What is counted where there is nothing to count."""

_P = ParamSpec("_P")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was compared.

    Args:
        what: A table, a sequence, keys, objects.
        exported: What the export holds.
        found: What the target holds.
        checksum: The first letters of the target's checksum, where there is one.
        ok: Whether they are the same, or differ by no more than they may.
    """

    what: str
    exported: int
    found: int
    checksum: str
    ok: bool

    @staticmethod
    def of(exported: Count, found: Count, *, prefix: str = "", may_lapse: bool = False) -> Row:
        """A row for two counts.

        Args:
            exported: What the export holds.
            found: What the target holds.
            prefix: What to put before its name.
            may_lapse: Whether there may be fewer by now.
        """
        if may_lapse:
            same = found.count <= exported.count
        else:
            same = (found.count, found.checksum) == (exported.count, exported.checksum)
        return Row(
            what=prefix + exported.what,
            exported=exported.count,
            found=found.count,
            checksum=found.checksum[:12],
            ok=same,
        )


def show_rows(rows: Sequence[Row]) -> None:
    """Show what was compared."""
    show_table(
        ("what", "exported", "found", "checksum", "ok"),
        [(row.what, str(row.exported), str(row.found), row.checksum, "yes" if row.ok else "NO") for row in rows],
    )


def export_data(source: Side, stores: Stores, folder: Path, *, live: bool = False) -> Manifest:
    """Write all data of an application into a folder, which appears when it is complete and was read back.

    Args:
        source: Where the data are. It is only read.
        stores: What holds them: ``stores_of(application)``.
        folder: The folder; it must not exist. It is for its owner alone.
        live: Export although clients run. Each database, Redis and the bucket are then of a moment of their own,
            and what is written later is missing.

    Returns:
        What the export holds.

    Raises:
        OperationError: Clients run, the folder exists, or a part could not be exported or read back.
    """
    require(source.program, "mc")
    if folder.exists():
        raise OperationError(f"{folder} exists. An export is never overwritten: name another folder.")
    _require_idle(source, stores, live)
    staging = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    show(f"export from {source}")
    try:
        with private():
            staging.mkdir(parents=True)
            databases, postgres = export_databases(source, stores, staging, show)
            redis, redis_version = export_redis(source, stores, staging, show)
            objects, mc = export_bucket(source, stores, staging, show)
            manifest = Manifest(
                format=FORMAT,
                source=str(source),
                made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                versions={"postgres": postgres, "redis": redis_version, "mc": mc},
                files={name: Content.of(staging / name) for name in files_of(staging)},
                databases=databases,
                redis=redis,
                bucket=stores.bucket,
                objects=objects,
            )
            manifest.write(staging)
        if folder.exists():
            raise OperationError(f"{folder} was made meanwhile. Name another folder.")
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    show(f"exported to {folder}; it holds personal data, and only you can read it")
    return manifest


def import_data(target: Side, stores: Stores, folder: Path, *, owners: Sequence[Owner] = ()) -> list[Row]:
    """Bring an export into the target.

    Databases are replaced; the old ones stay under another name. Redis is replaced; what it held is kept as a dump
    beside the export. Objects are added, and none is overwritten or removed. Roles that are missing are made, without
    a password. What belonged to the source's superuser belongs to the database's role in a cluster, or to the role
    named like the schema, and to the superuser in Compose.

    Args:
        target: Where the data go. Its stores run, and their clients do not.
        stores: What holds them: ``stores_of(application)``.
        folder: The export.
        owners: Who owns what belonged to the source's superuser, where it is someone else or cannot be known.

    Returns:
        What was compared.

    Raises:
        OperationError: Something is missing, damaged, in use or too small, before the target was changed; or a step
            failed. Repeat the import once it is mended.
    """
    require(target.program, "mc")
    manifest = Manifest.read(folder)
    show(f"import into {target}: {len(manifest.files)} files are what was exported from {manifest.source}")
    _require_idle(target, stores, False)
    discard_databases(target, stores, list(manifest.databases))
    discard_redis(target, stores)
    plan = plan_databases(target, stores, folder, manifest, owners)
    check_redis(target, stores, folder, manifest.redis)
    check_bucket(target, stores, folder, manifest, show)
    show("all of it can be read, and there is room for it")
    with ExitStack() as cleanup:
        cleanup.callback(_as_far_as_possible, discard_databases, target, stores, list(manifest.databases))
        rows = list[Row]()
        for name, counts in restore_databases(target, stores, folder, manifest, plan, show).items():
            rows += _database_rows(name, manifest.databases[name].counts, counts)
        require_same(rows)
        cleanup.callback(_as_far_as_possible, discard_redis, target, stores)
        stage_redis(target, stores, folder, manifest.redis)
        before = _keep_redis(target, stores, folder)
        show(f"redis: loaded beside the present one, which is kept in {before}")
        bucket = import_bucket(target, stores, folder, manifest, show)
        rows.append(Row.of(exported_objects(manifest), bucket, prefix=f"bucket {manifest.bucket}, "))
        require_same(rows)
        swap_databases(target, stores, manifest, plan, show)
        for exported, found in switch_redis(target, stores):
            rows.append(Row.of(exported, found, may_lapse="expire" in exported.what))
        show("redis: in place")
    show_rows(rows)
    require_same(rows)
    return rows


def compare_data(side: Side, stores: Stores, folder: Path) -> list[Row]:
    """Compare what is there with an export, before anyone writes to it again.

    Args:
        side: Where to look. It is only read.
        stores: What holds the data: ``stores_of(application)``.
        folder: The export.

    Returns:
        What was compared.

    Raises:
        OperationError: The export is damaged, or something could not be read.
    """
    require(side.program, "mc")
    manifest = Manifest.read(folder)
    rows = list[Row]()
    for name, database in manifest.databases.items():
        rows += _database_rows(name, database.counts, counts_of(side, stores, name))
    what = "redis, keys that stay"
    rows.append(
        Row.of(
            Count(what=what, count=manifest.redis.keys - manifest.redis.expiring),
            Count(what=what, count=lasting_keys(side, stores)),
        )
    )
    found_objects = count_bucket(side, stores, folder.parent, manifest, show)
    rows.append(Row.of(exported_objects(manifest), found_objects, prefix=f"bucket {manifest.bucket}, "))
    return rows


def verify_data(side: Side, stores: Stores, folder: Path) -> list[Row]:
    """Compare what is there with an export, and show it: ``compare_data``.

    Raises:
        OperationError: Something differs; the table was printed.
    """
    rows = compare_data(side, stores, folder)
    show_rows(rows)
    require_same(rows)
    return rows


def _database_rows(database: str, exported: Sequence[Count], found: Sequence[Count]) -> list[Row]:
    left, right = {count.what: count for count in exported}, {count.what: count for count in found}
    return [
        Row.of(
            left.get(what, Count(what=what, count=_NONE)),
            right.get(what, Count(what=what, count=_NONE)),
            prefix=f"{database}: ",
        )
        for what in sorted(left.keys() | right.keys())
    ]


def _as_far_as_possible(clean: Callable[_P, None], *arguments: _P.args, **named: _P.kwargs) -> None:
    """Clean up. When that fails too, the first error is the one to know; the next import cleans up first."""
    try:
        clean(*arguments, **named)
    except OperationError as error:
        show(str(error))


def _require_idle(side: Side, stores: Stores, live: bool) -> None:
    running = side.running_clients(stores)
    if running and not live:
        raise OperationError(f"These clients run in {side}: {', '.join(running)}. Stop them: {side.stopping(running)}")
    if running:
        show(f"{', '.join(running)} run: what they write from now on may be missing")


def _keep_redis(target: Side, stores: Stores, folder: Path) -> Path:
    """Keep what Redis of the target holds beside the export, under the next free number."""
    with private():
        kept = folder.with_name(f"{folder.name}.before")
        kept.mkdir(exist_ok=True)
        number = 1
        while (kept / f"redis-{number}.rdb").exists():
            number += 1
        path = kept / f"redis-{number}.rdb"
        try:
            keep_redis(target, stores, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return path


def require_same(rows: Sequence[Row]) -> None:
    """Refuse what differs.

    Raises:
        OperationError: Something differs; the first such things are named.
    """
    wrong = [row.what for row in rows if not row.ok]
    if wrong:
        raise OperationError(f"Not the same as exported: {', '.join(wrong[:5])}{' and more' if wrong[5:] else ''}.")
