"""This module is how values are made: in all that can be seen, as `dataclasses` makes them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, field, replace

import pytest

from mcpmesh_k8s.kubernetes.values import dataclass


def ours() -> type[object]:
    @dataclass(frozen=True, kw_only=True)
    class Value:
        first: int
        second: str
        third: object
        size: int = 3
        files: Mapping[str, int] = field(default_factory=dict[str, int])
        note: object = field(default=None, hash=False)

        def __post_init__(self) -> None:
            if self.size == 0:
                raise ValueError("no size")

    return Value


def theirs() -> type[object]:
    """The same class, made by ``dataclasses``."""
    body = {
        "__annotations__": OURS.__annotations__,
        "__qualname__": OURS.__qualname__,
        "__post_init__": vars(OURS)["__post_init__"],
        "size": 3,
        "files": field(default_factory=dict[str, int]),
        "note": field(default=None, hash=False),
    }
    return dataclasses.dataclass(frozen=True, kw_only=True)(type("Value", (), body))


OURS = ours()
THEIRS = theirs()
GIVEN = {"first": 1, "second": "two", "third": (3,)}


def make(cls: type[object], *places: object, **given: object) -> object:
    function: Callable[..., object] = cls
    return function(*places, **given)


def refusal(cls: type[object], *places: object, **given: object) -> str:
    with pytest.raises((TypeError, ValueError)) as refused:
        make(cls, *places, **given)
    return f"{type(refused.value).__name__}: {refused.value}"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"first": 1},
        {"first": 1, "second": "two"},
        {"elsewhere": 4},
        {**GIVEN, "elsewhere": 4},
        {**GIVEN, "size": 0},
    ],
)
def test_what_does_not_fit_is_refused_in_the_same_words(given: dict[str, object]) -> None:
    assert refusal(OURS, **given) == refusal(THEIRS, **given)


def test_a_field_given_by_place_is_refused_in_the_same_words() -> None:
    assert refusal(OURS, 1) == refusal(THEIRS, 1)


@pytest.mark.parametrize("given", [GIVEN, {**GIVEN, "size": 1, "files": {"a": 1}, "note": [1]}])
def test_fields_and_text_are_the_same(given: dict[str, object]) -> None:
    assert vars(make(OURS, **given)) == vars(make(THEIRS, **given))
    assert repr(make(OURS, **given)) == repr(make(THEIRS, **given))


def test_what_is_taken_is_shown_the_same() -> None:
    def shown(function: Callable[..., object]) -> list[str]:
        return [f"{one.kind} {one.name}: {one.annotation}" for one in inspect.signature(function).parameters.values()]

    assert shown(OURS) == shown(THEIRS)


def test_a_default_that_is_made_is_made_for_each() -> None:
    one, other = make(OURS, **GIVEN), make(OURS, **GIVEN)
    assert vars(one)["files"] == {}
    assert vars(one)["files"] is not vars(other)["files"]


def test_values_are_equal_by_their_fields_and_their_class() -> None:
    assert make(OURS, **GIVEN) == make(OURS, **GIVEN)
    assert make(OURS, **GIVEN) != make(OURS, **{**GIVEN, "note": 1})
    assert make(OURS, **GIVEN) != make(THEIRS, **GIVEN)


def test_a_field_that_is_not_hashed_changes_no_hash() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Patch:
        path: str
        value: object = field(default=None, hash=False)

    assert hash(Patch(path="a", value=[1])) == hash(Patch(path="a"))
    assert hash(Patch(path="a")) != hash(Patch(path="b"))


@dataclass(frozen=True, kw_only=True)
class Base:
    name: str
    checked: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "checked", True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wider(Base):
    more: int = 0


class Stricter(Base):
    def __post_init__(self) -> None:
        raise ValueError("stricter")


def test_a_dataclass_of_a_user_may_stand_on_one_of_ours() -> None:
    value = Wider(name="a", more=1)
    assert repr(value) == "Wider(name='a', checked=True, more=1)"
    assert replace(value, more=2) == Wider(name="a", more=2)
    assert value != Base(name="a")
    with pytest.raises(FrozenInstanceError):
        value.more = 2  # type: ignore[misc]


def test_a_subclass_that_checks_more_is_asked() -> None:
    with pytest.raises(ValueError, match="stricter"):
        Stricter(name="a")
