"""This module is how a test asks Grafana's own grammars whether LogQL and TraceQL can be read.

Whoever uses it asks for the program ``grammars``. Of PromQL, promtool says it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from typing import Literal

from programs import BINARIES, ROOT


def errors(language: Literal["logql", "traceql"], queries: Iterable[str]) -> dict[str, str]:
    """What is wrong, by the query it is wrong with. Grafana's variables, ``$app``, may stand inside quotes alone."""
    asked = list(queries)
    said = subprocess.run(
        [str(BINARIES / "node"), str(ROOT / "tests/query_errors.mjs")],
        input=json.dumps([{"language": language, "query": query} for query in asked]),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {query: error for query, error in zip(asked, json.loads(said), strict=True) if error}
