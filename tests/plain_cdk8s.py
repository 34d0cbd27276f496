"""This module is cdk8s-plus-27 as users of plain cdk8s have it, from when a test asks for something of it.

Node takes longer to unpack it than any test that collects, and each worker collects all of them.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = ["k8s", "plus"]

if TYPE_CHECKING:
    import cdk8s_plus_27 as plus
    from cdk8s_plus_27 import k8s
else:

    class Lazy(ModuleType):
        """A module that is imported when something of it is wanted: pytest asks all that it collects for `__test__`."""

        def __getattr__(self, name: str) -> object:
            if name.startswith("_"):
                raise AttributeError(name)
            return getattr(import_module(self.__name__), name)

    plus, k8s = Lazy("cdk8s_plus_27"), Lazy("cdk8s_plus_27.k8s")
