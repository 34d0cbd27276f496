"""This module is ``dataclass`` for what does not change, such as settings.

``dataclasses`` writes and compiles six functions for each class, a twentieth of a synthesis. Here two are left,
those that refuse a change; the others read the fields. What is made is a dataclass like any other: for type checkers,
for ``replace`` and ``fields``, and as the base of one that ``dataclasses`` makes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from inspect import Parameter, Signature
from operator import attrgetter
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass

    from _typeshed import DataclassInstance
else:

    def dataclass(
        *, kw_only: bool, frozen: bool = False, order: bool = False
    ) -> Callable[[type[object]], type[object]]:
        """Make a dataclass, by ``dataclasses`` alone where it changes or is ordered."""
        if order or not (frozen and kw_only):
            return dataclasses.dataclass(kw_only=kw_only, frozen=frozen, order=order)
        return _unchanging


def _unchanging(cls: type[object]) -> type[DataclassInstance]:
    whole = dataclasses.dataclass(kw_only=True, frozen=True, init=False, repr=False, eq=False)
    made = cast("type[DataclassInstance]", whole(cls))
    equal, hashed = _comparison(made)
    parts = {"__init__": _constructor(made), "__repr__": _show, "__eq__": equal, "__hash__": hashed}
    for name, function in parts.items():
        if name not in vars(cls):
            setattr(made, name, function)
    return made


def _constructor(cls: type[DataclassInstance]) -> Callable[..., None]:
    taken = {field.name: field for field in fields(cls)}
    defaults = {name: field.default for name, field in taken.items() if field.default is not MISSING}
    makers = {name: field.default_factory for name, field in taken.items() if field.default_factory is not MISSING}

    def constructor(self: object, /, **given: object) -> None:
        values = {**defaults, **given}
        for name, make in makers.items():
            if name not in values:
                values[name] = make()
        if values.keys() != taken.keys():
            raise TypeError(f"{constructor.__qualname__}() {_misfit(list(taken), values)}")
        vars(self).update(values)
        complete = getattr(self, "__post_init__", None)
        if complete:
            complete()

    constructor.__qualname__ = f"{cls.__qualname__}.__init__"
    parameters = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            annotation=field.type,
            default=defaults.get(name, makers.get(name, Parameter.empty)),
        )
        for name, field in taken.items()
    ]
    shown = Signature([Parameter("self", Parameter.POSITIONAL_OR_KEYWORD), *parameters], return_annotation=None)
    setattr(constructor, "__signature__", shown)  # noqa: B010 - typed functions have none
    return constructor


def _misfit(taken: Iterable[str], given: Iterable[str]) -> str:
    """What Python says of keywords that do not fit."""
    unknown = [name for name in given if name not in taken]
    if unknown:
        return f"got an unexpected keyword argument {unknown[0]!r}"
    *others, last = (repr(name) for name in taken if name not in given)
    if not others:
        return f"missing 1 required keyword-only argument: {last}"
    listed = f"{', '.join(others)}{',' if others[1:] else ''} and {last}"
    return f"missing {len(others) + 1} required keyword-only arguments: {listed}"


def _show(value: DataclassInstance) -> str:
    shown = ", ".join(f"{field.name}={getattr(value, field.name)!r}" for field in fields(value))
    return f"{type(value).__qualname__}({shown})"


def _comparison(cls: type[DataclassInstance]) -> tuple[Callable[..., object], Callable[..., int]]:
    contents = _getter(field.name for field in fields(cls))
    hashed = _getter(field.name for field in fields(cls) if field.hash is not False)

    def equal(value: object, other: object) -> object:
        return contents(value) == contents(other) if type(value) is type(other) else NotImplemented

    return equal, lambda value: hash(hashed(value))


def _getter(names: Iterable[str]) -> Callable[[object], object]:
    """What gives all of these attributes at once."""
    found = tuple(names)
    return attrgetter(*found) if found else lambda _: ()
