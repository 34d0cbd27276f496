"""This module is how the configuration of a program is written as YAML."""

from __future__ import annotations

import yaml

# libyaml writes the same bytes in a tenth of the time; PyYAML has it wherever it comes from PyPI.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def yaml_text(value: object) -> str:
    """A value of JSON as YAML, in its order."""
    return str(yaml.dump(value, Dumper=_DUMPER, sort_keys=False, width=110, allow_unicode=True))
