"""This module is the order of a move: what is asked of every store before the next step is begun with any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mcpmesh_k8s.kubernetes import Content, Mover, OperationError, Owner, Part, Place, Row
from mcpmesh_k8s.operations.programs import require
from mcpmesh_k8s.operations.terminal import show, show_table

from .export import FORMAT, Manifest, files_of, new_folder, place_of, private
from .sides import Side, Stores


@dataclass(frozen=True, kw_only=True)
class _Move:
    """One store of a move: how it moves, and what the export says of it."""

    name: str
    mover: Mover
    part: Part
    place: Place


def show_rows(rows: Sequence[Row]) -> None:
    """Show what was compared."""
    show_table(
        ("what", "exported", "found", "checksum", "ok"),
        [(row.what, str(row.exported), str(row.found), row.checksum, "yes" if row.ok else "NO") for row in rows],
    )


def show_left_out(stores: Stores, doing: str) -> None:
    """Name what keeps data and is no store that these commands know how to move.

    Args:
        stores: What there is.
        doing: What does not happen to it: "not exported".
    """
    if stores.left_out:
        show(f"{doing}, since these commands cannot move it: {', '.join(stores.left_out)}")


def export_data(source: Side, stores: Stores, folder: Path, *, live: bool = False) -> Manifest:
    """Write all data of an application into a folder, which appears when it is complete and was read back.

    Args:
        source: Where the data are. It is only read.
        stores: What holds them: ``stores_of(application)``.
        folder: The folder; it must not exist. It is for its owner alone.
        live: Export although clients run. Each store is then of a moment of its own, and what is written later is
            missing.

    Returns:
        What the export holds.

    Raises:
        OperationError: There is nothing to export, clients run, the folder exists, or a part could not be exported
            or read back.
    """
    movers = _movers(source, stores)
    if folder.exists():
        raise OperationError(f"{folder} exists. An export is never overwritten: name another folder.")
    _require_idle(source, stores, live)
    show(f"export from {source}")
    show_left_out(stores, "not exported")
    with new_folder(folder) as staging:
        parts = dict[str, Part]()
        for name, mover in movers.items():
            place = place_of(staging, name, {})
            place.folder.mkdir()
            parts[name] = mover.export(place)
        manifest = Manifest(
            format=FORMAT,
            source=str(source),
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            files={name: Content.of(staging / name) for name in files_of(staging)},
            stores=parts,
            left_out=stores.left_out,
        )
        manifest.write(staging)
    show(f"exported to {folder}; it holds personal data, and only you can read it")
    return manifest


def import_data(target: Side, stores: Stores, folder: Path, *, owners: Sequence[Owner] = ()) -> list[Row]:
    """Bring an export into the target.

    Everything is checked first, then loaded beside what is there and compared, and swapped at the end, each step for
    all stores before the next. What a store does with what was there before, its ``mover`` says: databases stay under
    another name, or a dump beside the export; objects are added, and none is overwritten.

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
    movers = _movers(target, stores)
    manifest = Manifest.read(folder)
    show(f"import into {target}: {len(manifest.files)} files are what was exported from {manifest.source}")
    show_left_out(stores, "not imported")
    moves = _moves(stores, folder, manifest, movers)
    nobodys = [owner for owner in owners if not any(move.mover.takes(owner) for move in moves)]
    if nobodys:
        raise OperationError(f"No store of the export has the database of {', '.join(map(str, nobodys))}.")
    _require_idle(target, stores, False)
    rows = list[Row]()
    with private(), ExitStack() as cleanup:
        for move in moves:
            move.mover.discard()
        for move in moves:
            own = [owner for owner in owners if move.mover.takes(owner)]
            move.mover.check(move.part, move.place, own)
        show("all of it can be read, and there is room for it")
        for move in moves:
            cleanup.callback(_as_far_as_possible, move.mover.discard)
            rows += _named(moves, move, move.mover.stage(move.part, move.place))
            require_same(rows)
        for move in moves:
            rows += _named(moves, move, move.mover.swap(move.part))
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
    movers = _movers(side, stores)
    manifest = Manifest.read(folder)
    show_left_out(stores, "not compared")
    with private():
        moves = _moves(stores, folder, manifest, movers)
        return [row for move in moves for row in _named(moves, move, move.mover.count(move.part, move.place))]


def verify_data(side: Side, stores: Stores, folder: Path) -> list[Row]:
    """Compare what is there with an export, and show it: ``compare_data``.

    Raises:
        OperationError: Something differs; the table was printed.
    """
    rows = compare_data(side, stores, folder)
    show_rows(rows)
    require_same(rows)
    return rows


def require_same(rows: Sequence[Row]) -> None:
    """Refuse what differs.

    Raises:
        OperationError: Something differs; the first such things are named.
    """
    wrong = [row.what for row in rows if not row.ok]
    if wrong:
        raise OperationError(f"Not the same as exported: {', '.join(wrong[:5])}{' and more' if wrong[5:] else ''}.")


def require_programs(side: Side, stores: Stores) -> None:
    """Refuse to begin when there is nothing to move, or a program is missing on this machine.

    Raises:
        OperationError: So it is; all programs that are missing are named.
    """
    _movers(side, stores)


def _movers(side: Side, stores: Stores) -> Mapping[str, Mover]:
    """How each store moves, once it is known that there are some, and that every program for it is there."""
    if not stores.stores:
        left = f" {', '.join(stores.left_out)}: these commands cannot move what it keeps." if stores.left_out else ""
        raise OperationError(f"This application has no store whose data can be moved.{left}")
    movers = {store.name: store.mover(side) for store in stores.stores}
    programs = {program: how for mover in movers.values() for program, how in mover.programs.items()}
    require(side.program, others=programs)
    return movers


def _moves(stores: Stores, folder: Path, manifest: Manifest, movers: Mapping[str, Mover]) -> list[_Move]:
    """What an export holds, with the store of this application that each part is of."""
    unknown = sorted(manifest.stores.keys() - movers.keys())
    if unknown:
        raise OperationError(
            f"The export holds {', '.join(unknown)}, and the stores of this application are {', '.join(movers)}."
        )
    for name, part in manifest.stores.items():
        if part.kind != movers[name].kind:
            raise OperationError(
                f"What the export holds of {name} is of kind {part.kind}, and {name} is of kind {movers[name].kind}."
            )
    missing = [name for name in movers if name not in manifest.stores]
    if missing:
        show(f"nothing of {', '.join(missing)} is in the export, so it is left as it is")
    if manifest.left_out:
        show(f"the export was made without {', '.join(manifest.left_out)}")
    return [
        _Move(name=name, mover=mover, part=manifest.stores[name], place=manifest.place(folder, name))
        for name, mover in movers.items()
        if name in manifest.stores
    ]


def _named(moves: Sequence[_Move], move: _Move, rows: Sequence[Row]) -> Iterator[Row]:
    """Rows that say which of several stores of a kind they are of."""
    several = Counter(one.mover.kind for one in moves)[move.mover.kind] > 1
    for row in rows:
        yield replace(row, what=f"{move.name}, {row.what}") if several else row


def _as_far_as_possible(clean: Callable[[], None]) -> None:
    """Clean up. When that fails too, the first error is the one to know; the next import cleans up first."""
    try:
        clean()
    except OperationError as error:
        show(str(error))


def _require_idle(side: Side, stores: Stores, live: bool) -> None:
    running = side.running_clients(stores)
    if running and not live:
        raise OperationError(f"These clients run in {side}: {', '.join(running)}. Stop them: {side.stopping(running)}")
    if running:
        show(f"{', '.join(running)} run: what they write from now on may be missing")
