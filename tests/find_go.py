"""This module is how make finds a Go that can build the login: its path, or with ``--package`` what brings one."""

import os
import re
import subprocess
import sys

from programs import GO_AT_LEAST, GO_PACKAGE, PLACES, ROOT, look_up

MORE = ("/usr/local/go/bin", str(ROOT / "build/go/bin"))
"""Where Go's own archive and `make` put it."""


def main() -> int:
    """Print it. Without a Go that is new enough, 1."""
    if sys.argv[1:] == ["--package"]:
        print(GO_PACKAGE)
        return 0
    for folder in (*PLACES, *MORE):
        go = look_up("go", [folder])
        if go is None:
            continue
        said = subprocess.run([go, "version"], capture_output=True, text=True, cwd=os.sep).stdout
        version = re.search(r"go(\d+)\.(\d+)", said)
        if version and (int(version[1]), int(version[2])) >= GO_AT_LEAST:
            print(go)
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
