"""The provider that people sign in with in tests: ``oidc_provider_mock``, which reads its key once.

It reads it anew for each token that it signs, and each time OpenSSL tries whether the primes of the key are primes: ten
times what all else of a sign-in takes.
"""

from collections.abc import Callable
from typing import Any

from joserfc.jwk import RSAKey
from oidc_provider_mock.__main__ import run  # type: ignore[import-untyped]

Read = Callable[..., RSAKey]


def once(read: Read) -> Read:
    """The same, but for what was read before."""
    keys = dict[str, RSAKey]()

    def key(value: Any, *more: Any) -> RSAKey:
        text = repr((value, *more))
        if text not in keys:
            keys[text] = read(value, *more)
        return keys[text]

    return key


if __name__ == "__main__":
    RSAKey.import_key = once(RSAKey.import_key)  # type: ignore[method-assign]
    run()
