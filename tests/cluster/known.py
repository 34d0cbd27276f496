"""This module is how a test says that what we render fails it today."""

from __future__ import annotations

import pytest


def fails_today(request: pytest.FixtureRequest, reason: str) -> None:
    """Expect this test to fail, and fail it when it passes: whoever mends the reason takes the line away.

    Args:
        request: The test.
        reason: What is wrong with what we render.
    """
    request.applymarker(pytest.mark.xfail(reason=reason, strict=True, raises=AssertionError))
