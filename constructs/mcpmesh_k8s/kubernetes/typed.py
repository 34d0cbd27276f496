"""This module is how a value of the wrong type is refused: by the annotations of what it is given to.

Python itself does not look at annotations, so ``Port(number="8080")`` would fail far from where it was written, if at
all. ``refuse_wrong_types`` makes every public constructor, method and function compare what it is given with what it is
annotated to take, to the last item of a tuple.
"""

from __future__ import annotations

import collections.abc
import difflib
import enum
import functools
import inspect
import itertools
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import IO, Any, Literal, TypeGuard, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import constructs

from .errors import SettingError
from .quantity import longest

_SCALARS: dict[object, str] = {
    str: "text",
    int: "a whole number",
    bool: "True or False",
    float: "a number",
    type(None): "None",
}
_LONGEST = 200
_KEY = object()
"""The place of what is itself the name of a place."""


class _Check:
    """What an annotation accepts.

    Args:
        expected: The annotation, resolved.
    """

    def __init__(self, expected: object) -> None:
        self.options = _options(expected)
        self.plain = tuple(option for option in self.options if _is_plain(option))
        self.forms = [_form(option) for option in self.options if not _is_plain(option)]
        self.exact = frozenset(self.plain)

    def accepts(self, value: object) -> bool:
        """Whether a value is what the annotation says."""
        if isinstance(value, self.plain):
            # True is a number for Python, and nobody means it as one.
            # Nor does a member of an enumeration print as the text that it also is.
            return not isinstance(value, (bool, enum.Enum)) or type(value) in self.exact or object in self.exact
        return any(form.accepts(value) for form in self.forms)

    @functools.cached_property
    def wanted(self) -> str:
        """What to give, as people say it."""
        plain = [_said(option) for option in self.plain]
        return " or ".join(dict.fromkeys([*plain, *(form.wanted for form in self.forms)]))

    def wrong(self, where: str, value: object) -> tuple[str, object, _Check]:
        """What is wrong in a value that is not accepted: where, what, and what belongs there."""
        for form in self.forms:
            if form.holds(value):
                for place, part, check in form.parts(value):
                    if not check.accepts(part):
                        return check.wrong(f"{where} key" if place is _KEY else f"{where}[{place!r}]", part)
        return where, value, self


class _Form:
    """What a type with parameters accepts, such as ``tuple[str, ...]``.

    Args:
        wanted: What to give, as people say it.
        holds: Whether a value is of the outer type.
        parts: What is inside, each with its index or name and what must be there.
    """

    def __init__(
        self,
        wanted: str,
        holds: Callable[[object], bool],
        parts: Callable[[Any], Iterable[tuple[object, object, _Check]]] = lambda _: (),
    ) -> None:
        self.wanted = wanted
        self.holds = holds
        self.parts = parts

    def accepts(self, value: object) -> bool:
        """Whether a value is of the outer type, and everything inside of its own."""
        return self.holds(value) and all(
            type(part) in check.exact or check.accepts(part) for _, part, check in self.parts(value)
        )


def _is_plain(option: object) -> TypeGuard[type[object]]:
    """Whether it is a class that a value simply is of."""
    return isinstance(option, type) and not get_origin(option) and not getattr(option, "_is_protocol", False)


def _form(option: object) -> _Form:
    origin, arguments = get_origin(option), get_args(option)
    if origin is Literal:
        return _Form(" or ".join(repr(one) for one in arguments if one != ""), lambda value: value in arguments)
    if origin is collections.abc.Callable:
        return _Form("a function", callable)
    if origin is type:
        return _Form("a class", lambda value: isinstance(value, type))
    if origin is tuple and arguments[1:] != (Ellipsis,):
        each = [_Check(argument) for argument in arguments]
        return _Form(
            f"a tuple of {', '.join(check.wanted for check in each)}",
            lambda value: isinstance(value, tuple) and len(value) == len(each),
            lambda value: zip(itertools.count(), value, each),
        )
    if origin in (tuple, list, Sequence, Iterable):
        outer, item = cast("type[object]", origin), _Check(arguments[0])
        return _Form(
            f"a {'tuple' if outer is tuple else 'list'}, each of {item.wanted}",
            # Text is a sequence of letters for Python, and nobody means it as one.
            lambda value: isinstance(value, outer) and not isinstance(value, str),
            lambda value: ((index, part, item) for index, part in enumerate(value)),
        )
    if origin in (dict, Mapping):
        key, inner = _Check(arguments[0]), _Check(arguments[1])
        return _Form(
            f"a dict from {key.wanted} to {inner.wanted}",
            lambda value: isinstance(value, Mapping),
            lambda value: (entry for name in value for entry in ((_KEY, name, key), (name, value[name], inner))),
        )
    if origin is IO:
        return _Form("an open file", lambda value: hasattr(value, "read"))
    if isinstance(option, type) and getattr(option, "_is_protocol", False):
        members = [name for name in vars(option) if not name.startswith("_") or name == "__call__"]
        # A class has what its instances have, and nobody means it.
        return _Form(
            _said(option), lambda value: not isinstance(value, type) and all(hasattr(value, name) for name in members)
        )
    raise TypeError(f"no value can be compared with {option}: say it in the forms that typed.py knows")


def _options(expected: object) -> tuple[object, ...]:
    """The members of a union, or the one type that it is."""
    if get_origin(expected) in (Union, types.UnionType):
        return tuple(inner for option in get_args(expected) for inner in _options(option))
    if isinstance(expected, TypeVar):
        return _options(expected.__bound__)
    return (type(None) if expected is None else expected,)


def _said(option: type[object]) -> str:
    if option in _SCALARS:
        return _SCALARS[option]
    if issubclass(option, enum.Enum):
        return f"a member of {option.__name__}"
    return f"{'an' if option.__name__[0] in 'AEIO' else 'a'} {option.__name__}"


def _kind(value: object) -> str:
    """What was given, in words."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return _SCALARS.get(type(value), f"{'an' if type(value).__name__[0] in 'AEIOaeio' else 'a'} {type(value).__name__}")


class _Shown:
    """A value as an error shows it: by its class where it has no short form of its own."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        value = self._value
        if isinstance(value, constructs.Construct):
            return f"<{type(value).__name__} {getattr(value, 'name', '')}>".replace(" >", ">")
        text = repr(value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _refusal(where: str, value: object, check: _Check) -> SettingError:
    place, given, wanted = check.wrong(where, value)
    # Of two texts, one of which is right, the kind says nothing, and of two tuples of different lengths.
    kind = "" if any(get_origin(option) is Literal for option in wanted.options) else f", not {_kind(given)}"
    if isinstance(given, tuple) and any(form.wanted.startswith("a tuple of ") for form in wanted.forms):
        kind = f", not {len(given)} of them" if given else ", not an empty one"
    return SettingError(place, _Shown(given), f"Give {wanted.wanted}{kind}.")


def checked(
    function: types.FunctionType, where: str, *, owned: bool = False, settings: type[object] | None = None
) -> Callable[..., object]:
    """The function, refusing what its annotations do not say.

    Args:
        function: A function, a method or a constructor.
        where: What an error calls it.
        owned: Whether its first argument is the object or class that it belongs to.
        settings: The class, where this is the constructor of settings: its arguments are their fields.
    """
    code = function.__code__
    names = code.co_varnames[int(owned) : code.co_argcount]
    rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount] if code.co_flags & inspect.CO_VARARGS else ""

    @functools.cache
    def checks() -> dict[str, _Check]:
        # An inherited field is annotated in the words of the module that it comes from.
        hints = get_type_hints(settings or function)
        return {name: _Check(hint) for name, hint in hints.items() if name != "return"}

    @functools.cache
    def times() -> list[tuple[str, int]]:
        return [(name, most) for name in checks() if (most := longest(name))]

    def require(named: Iterable[tuple[str, object]]) -> None:
        known = checks()
        for name, value in named:
            check = known.get(name)
            if check is not None and type(value) not in check.exact and not check.accepts(value):
                raise _refusal(f"{where}.{name}" if settings else f"{where}: {name}", value, check)

    @functools.wraps(function)
    def wrapper(*args: object, **given: object) -> object:
        positional = args[1:] if owned else args
        if positional:
            require(zip(names, positional))  # noqa: B905 - Python itself refuses too many
            if rest:
                require((rest, value) for value in positional[len(names) :])
        if given:
            require(given.items())
        if owned and isinstance(args[0], constructs.Construct):
            _refuse_strangers(where, args[0], dict(zip(names, positional), **given))  # noqa: B905 - as above
        try:
            made = function(*args, **given)
        except TypeError:
            _refuse_misfit(function, where, args, given, owned)
            raise
        if settings:
            # What the class itself refuses comes first: it knows the program.
            for name, most in times():
                value = given.get(name)
                if isinstance(value, (int, float)) and value > most:
                    raise SettingError(f"{where}.{name}", value, f"Give at most {most}, which is 100 years.")
        return made

    return wrapper


def _refuse_strangers(where: str, owner: constructs.Construct, named: Mapping[str, object]) -> None:
    """Refuse a component of another application. Its names may be the same here, and nobody would see it."""
    others = {name: value for name, value in named.items() if isinstance(value, constructs.Construct)}
    # What is not made yet belongs to the application of its scope.
    own = getattr(owner, "application", None) or getattr(others.get("scope"), "application", None)
    for name, value in others.items():
        other = getattr(value, "application", None)
        if own is not None and other is not None and other is not own:
            said = getattr(value, "full_name", type(value).__name__)
            raise SettingError(f"{where}: {name}", said, "It is of another application. Give one of this.")


def _refuse_misfit(
    function: types.FunctionType, where: str, args: tuple[object, ...], given: dict[str, object], owned: bool
) -> None:
    """Say in words what does not fit the arguments of a call, where that is why it failed."""
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **given)
    except TypeError:
        parameters = [one for name, one in signature.parameters.items() if not (owned and name in ("self", "cls"))]
        names = [one.name for one in parameters]
        for name in given:
            if name not in names:
                near = difflib.get_close_matches(name, names, 1)
                advice = f"Did you mean {near[0]}?" if near else f"Give one of {', '.join(names)}."
                raise SettingError(where, name, f"It has no argument of this name. {advice}") from None
        missing = [
            one.name
            for one in parameters[len(args) - owned :]
            if one.default is one.empty and one.kind is not one.VAR_POSITIONAL and one.name not in given
        ]
        by_position = [one for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
        if len(args) - owned > len(by_position):
            taken = ", ".join(one.name for one in by_position)
            raise SettingError(
                where,
                args[owned:],
                f"By position it takes {taken or 'nothing'}. Give the rest by name: {', '.join(names)}.",
            ) from None
        if missing:
            raise SettingError(where, "nothing", f"It needs {', '.join(missing)}.") from None


def refuse_wrong_types(namespace: dict[str, object], exported: Iterable[str]) -> None:
    """Make public classes and functions refuse values of the wrong type, where they are given.

    A class is changed in place; what a subclass of a user defines itself is its own. Where jsii hides what a construct
    takes, its signature is put back, so that ``help()`` shows it.

    Args:
        namespace: The ``globals()`` of the package that exports them.
        exported: Their names.
    """
    for name in exported:
        value = namespace[name]
        if isinstance(value, types.FunctionType) and not hasattr(value, "__wrapped__"):
            namespace[name] = checked(value, name)
        elif isinstance(value, type) and not (
            issubclass(value, (enum.Enum, Exception)) or getattr(value, "_is_protocol", False)
        ):
            _refuse_in(value)


def _refuse_in(cls: type[object]) -> None:
    for name, member in list(vars(cls).items()):
        if name != "__init__" and name.startswith("_"):
            continue
        function = getattr(member, "__func__", member)
        if not isinstance(function, types.FunctionType) or hasattr(function, "__wrapped__"):
            continue
        owned = not isinstance(member, staticmethod)
        code = function.__code__
        if code.co_argcount + code.co_kwonlyargcount <= owned and not code.co_flags & (
            inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
        ):
            continue
        constructor = name == "__init__"
        wrapped = checked(
            function,
            cls.__name__ if constructor else f"{cls.__name__}.{name}",
            owned=owned,
            settings=cls if constructor and is_dataclass(cls) else None,
        )
        kind = type(member) if isinstance(member, (staticmethod, classmethod)) else None
        setattr(cls, name, kind(wrapped) if kind else wrapped)
    if issubclass(cls, constructs.Construct) and "__init__" in vars(cls):
        _, *parameters = inspect.signature(vars(cls)["__init__"]).parameters.values()
        setattr(cls, "__signature__", inspect.Signature(parameters))  # noqa: B010 - typed classes have none
