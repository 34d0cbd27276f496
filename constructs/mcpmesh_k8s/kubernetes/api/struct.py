"""This module is what the structs of the Kubernetes API have in common: one constructor that checks, and their JSON.

The structs themselves are generated, as plain annotations. Type checkers make a constructor of them
(``dataclass_transform``), and so does ``Struct``: from the same annotations, each read when its field is first given.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Generic, NoReturn, ParamSpec

from mcpmesh_k8s.kubernetes.errors import SettingError

from .naming import json_name, nearest

if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda cls: cls


P = ParamSpec("P")
_Check = Callable[[object], bool]

_QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?", re.ASCII)


def refuse_name(module: str) -> Callable[[str], NoReturn]:
    """A ``__getattr__`` for a generated module: it names the nearest of what the module holds."""

    def __getattr__(name: str) -> NoReturn:  # noqa: N807
        if name.startswith("__"):
            raise AttributeError(name)
        known = [each for each, value in vars(sys.modules[module]).items() if isinstance(value, type | Kind)]
        raise AttributeError(f"{module.rpartition('.')[2]} has no {name!r}. {nearest(name, known)}", name=name)

    return __getattr__


def _require(right: object, where: str, given: object, instead: str) -> None:
    if not right:
        raise SettingError(where, given, instead)


@dataclass(frozen=True)
class IntOrString:
    """A whole number or a text, such as the number or the name of a port, or a percentage.

    Args:
        value: Either.
    """

    value: int | str

    def __post_init__(self) -> None:
        """Refuse what is neither."""
        right = _is_str(self.value) or _is_int(self.value)
        _require(right, "IntOrString", self.value, "Give a whole number or a text, such as 8080 or 'http'.")

    @classmethod
    def from_number(cls, value: int) -> Self:
        """From a whole number, such as ``8080``."""
        _require(_is_int(value), "IntOrString.from_number", value, "Give a whole number, such as 8080.")
        return cls(value)

    @classmethod
    def from_string(cls, value: str) -> Self:
        """From a text, such as ``"http"`` or ``"25%"``."""
        _require(_is_str(value), "IntOrString.from_string", value, "Give a text, such as 'http' or '25%'.")
        return cls(value)


@dataclass(frozen=True)
class Quantity:
    """An amount in the notation of Kubernetes, such as ``"250m"`` CPU or ``"1Gi"`` of memory.

    Args:
        value: The amount, as a text or as a number.
    """

    value: int | float | str

    def __post_init__(self) -> None:
        """Refuse what Kubernetes cannot read."""
        right = _QUANTITY.fullmatch(self.value) if isinstance(self.value, str) else _is_number(self.value)
        _require(right, "Quantity", self.value, "Give an amount, such as '250m' or '1Gi'.")

    @classmethod
    def from_number(cls, value: int | float) -> Self:
        """From a number, such as ``2``."""
        _require(_is_number(value), "Quantity.from_number", value, "Give a number, such as 2.")
        return cls(value)

    @classmethod
    def from_string(cls, value: str) -> Self:
        """From a text, such as ``"250m"`` or ``"1Gi"``."""
        _require(_is_str(value), "Quantity.from_string", value, "Give a text, such as '250m' or '1Gi'.")
        return cls(value)


class _Names(dict[str, str]):
    """Names of JSON by those of Python: given are those that do not follow."""

    def __missing__(self, name: str) -> str:
        self[name] = json_name(name)
        return self[name]


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Struct:
    """A struct of the Kubernetes API: its fields are keywords, and attributes afterwards.

    A field that was not given is None, and is not written.

    Raises:
        SettingError: A field does not exist, is missing, or has a value of another type.
    """

    # Of each subclass. `_checks` tell whether a value is of the field's type, for the fields that were given so far. A
    # value of exactly the type in `_exact` needs no check.
    _identity: ClassVar[Mapping[str, str]] = {}
    _names: ClassVar[_Names]
    _exact: ClassVar[dict[str, type | None]]
    _checks: ClassVar[dict[str, _Check]]
    _required: ClassVar[tuple[str, ...] | None]

    if not TYPE_CHECKING:  # type checkers make it of the annotations, for each subclass its own

        def __init__(self, **fields):
            cls = type(self)
            exact = cls._exact
            left_out = []
            for name, value in fields.items():
                if type(value) is not exact.get(name) and not cls._admit(name, value):
                    left_out.append(name)
            for name in left_out:
                del fields[name]
            for name in cls._required if cls._required is not None else cls._find_required():
                if name not in fields:
                    raise SettingError(
                        f"{cls._name()}.{name}", None, f"It is required. Give a value of type {cls._type_of(name)}."
                    )
            object.__setattr__(self, "__dict__", fields)

    def __init_subclass__(cls, *, json: Mapping[str, str] | None = None, api: str = "", kind: str = "") -> None:
        cls._names = _Names(json or {})
        cls._exact = {}
        cls._checks = {}
        cls._required = None
        if kind:
            cls._identity = {"apiVersion": api, "kind": kind}

    def to_json(self) -> dict[str, object]:
        """The struct as JSON has it, made anew each time."""
        names = self._names
        fields = {
            names[name]: value if type(value) in _PLAIN else to_json(value) for name, value in self.__dict__.items()
        }
        return {**self._identity, **fields} if self._identity else fields

    @classmethod
    def kind_of(cls) -> tuple[str, str] | None:
        """``apiVersion`` and ``kind``, where it is what an object is made of."""
        return (cls._identity["apiVersion"], cls._identity["kind"]) if cls._identity else None

    @classmethod
    def misfits(cls, value: object, where: str = "") -> Iterator[str]:
        """What of a value in JSON the struct does not have: a name, a type, a field that must be there.

        Args:
            value: The value, such as a manifest.
            where: Its place in a larger one, as a JSON pointer.
        """
        if not isinstance(value, Mapping):
            yield f"{where or '/'} is {value!r}, and {cls._name()} is wanted."
            return
        fields = {cls._names.get(name) or json_name(name): name for name in cls.__annotations__}
        for key, inner in value.items():
            if key in fields:
                yield from _misfits(cls._type_of(fields[key]), cls.__module__, inner, f"{where}/{key}")
            elif key not in cls._identity:
                yield f"{cls._name()} has no field {key!r}. {nearest(str(key), fields)}"
        for name in cls._required if cls._required is not None else cls._find_required():
            if (cls._names.get(name) or json_name(name)) not in value:
                yield f"{where or '/'} lacks {name}, which {cls._name()} must have."

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} does not change: make another.")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} does not change: make another.")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    __hash__ = None  # type: ignore[assignment]  # it holds lists

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"

    @classmethod
    def _name(cls) -> str:
        return f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"

    @classmethod
    def _type_of(cls, name: str) -> str:
        return str(cls.__annotations__[name]).removesuffix(" | None")

    @classmethod
    def _find_required(cls) -> tuple[str, ...]:
        cls._required = tuple(name for name in cls.__annotations__ if name not in vars(cls))
        return cls._required

    @classmethod
    def _admit(cls, name: str, value: object) -> bool:
        """Whether a value is written; one that cannot be is refused."""
        check = cls._checks.get(name)
        if check is None:
            if name not in cls.__annotations__:
                raise SettingError(cls._name(), name, f"It has no such field. {nearest(name, cls.__annotations__)}")
            cls._exact[name], check = check_of(cls._type_of(name), cls.__module__)
            cls._checks[name] = check
        if value is None and hasattr(cls, name):
            return False
        if not check(value):
            raise SettingError(f"{cls._name()}.{name}", value, f"Give a value of type {_wanted(cls._type_of(name))}.")
        return True


class Kind(Generic[P]):
    """A kind of object: it writes manifests.

    Args:
        props: What an object of the kind is made of.
    """

    def __init__(self, props: Callable[P, Struct]) -> None:
        self._props = props

    def manifest(self, *args: P.args, **fields: P.kwargs) -> dict[str, object]:
        """An object of this kind as JSON has it.

        Raises:
            SettingError: A field does not exist, is missing, or has a value of another type.
        """
        return self._props(*args, **fields).to_json()

    def __repr__(self) -> str:
        return f"Kind({self._props!r})"


_PLAIN = frozenset({str, int, bool})
_TOO_LARGE = 2**31


def _wanted(annotation: str) -> str:
    """An annotation as an error says it."""
    return f"{annotation} below {_TOO_LARGE}" if annotation == "int" else annotation


def to_json(value: object) -> object:
    """A value as JSON has it: structs become objects, enumerations and quantities their values.

    Raises:
        SettingError: JSON has no such value.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Struct):
        return value.to_json()
    if isinstance(value, dict):
        return {
            name if type(name) is str else _key(name): each if type(each) in _PLAIN else to_json(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [each if type(each) in _PLAIN else to_json(each) for each in value]
    if isinstance(value, Enum | IntOrString | Quantity):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return to_json(dict(value))
    if value is None or _is_str(value) or _is_number(value):
        return value
    raise SettingError("to_json", value, "JSON has no such value. Give a text, a number, a list or a dictionary.")


def _key(name: object) -> str:
    if isinstance(name, str):
        return name
    raise SettingError("to_json", name, "JSON has no such key. Give a text.")


# The checks. Each is made once for an annotation, from its text: the generator writes only what is read here.


def _is_str(value: object) -> bool:
    return isinstance(value, str)


def _is_int(value: object) -> bool:
    # The API server cuts what is longer to 32 bits, and so to another number.
    return isinstance(value, int) and not isinstance(value, bool) and -_TOO_LARGE <= value < _TOO_LARGE


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value - value == 0


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_json(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_json(each) for name, each in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | bool | Struct) or _is_number(value)


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


_SCALARS: Mapping[str, tuple[type | None, _Check]] = {
    "str": (str, _is_str),
    "int": (None, _is_int),
    "int | float": (int, _is_number),
    "bool": (bool, _is_bool),
    "object": (str, _is_json),
    "datetime": (None, _is_moment),
}


@functools.cache
def check_of(annotation: str, module: str) -> tuple[type | None, _Check]:
    """What tells whether a value is of an annotated type, and the one type whose values all are."""
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if annotation.startswith("Sequence["):
        exact, check = check_of(annotation[len("Sequence[") : -1], module)

        def is_sequence(value: object) -> bool:
            return isinstance(value, list | tuple) and all(type(each) is exact or check(each) for each in value)

        return None, is_sequence
    if annotation.startswith("Mapping[str, "):
        exact, check = check_of(annotation[len("Mapping[str, ") : -1], module)

        def is_mapping(value: object) -> bool:
            return isinstance(value, Mapping) and all(
                isinstance(name, str) and (type(each) is exact or check(each)) for name, each in value.items()
            )

        return None, is_mapping
    cls: type = getattr(sys.modules[module], annotation)
    return cls, lambda value: isinstance(value, cls)


def _misfits(annotation: str, module: str, value: object, where: str) -> Iterator[str]:
    """What of a value in JSON an annotated type does not have."""
    if annotation.startswith("Sequence[") and isinstance(value, list):
        for index, each in enumerate(value):
            yield from _misfits(annotation[len("Sequence[") : -1], module, each, f"{where}/{index}")
        return
    if annotation.startswith("Mapping[str, ") and isinstance(value, Mapping):
        for key, each in value.items():
            yield from _misfits(annotation[len("Mapping[str, ") : -1], module, each, f"{where}/{key}")
        return
    if annotation in _SCALARS or annotation.startswith(("Sequence[", "Mapping[")):
        # JSON has a moment as a text.
        check = _is_str if annotation == "datetime" else _SCALARS[annotation][1] if annotation in _SCALARS else None
        if check is None or not check(value):
            yield f"{where} is {value!r}, and {_wanted(annotation)} is wanted."
        return
    cls = getattr(sys.modules[module], annotation)
    if issubclass(cls, Struct):
        yield from cls.misfits(value, where)
        return
    try:
        cls(value)
    except ValueError as error:
        yield f"{where}: {error}"


__all__ = ["IntOrString", "Kind", "Quantity", "Struct", "refuse_name", "to_json"]
