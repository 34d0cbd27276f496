"""This module is `make imports`: it turns the schemas beside it into the typed classes of imports/.

With ``--check`` it writes nothing and fails if imports/ is not what the schemas give. A generated module
carries a tarball. Its contents are compared, not its bytes: zlib compresses differently on other processors.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = sorted(Path(__file__).parent.glob("*.yaml"))
IMPORTS = ROOT / "imports"


def generate(schema: Path, folder: Path) -> None:
    """Run the pinned cdk8s command on one schema, without the network, into imports/ of a temporary folder."""
    # Below it, the compiler is started by its path and breaks at a blank in it: hence a link from where there is none.
    tools = folder / "node_modules"
    if not tools.exists():
        tools.symlink_to(ROOT / "node_modules")
    # The command starts node and npm by name: those of the environment that runs this script come first.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    options = ["--language", "python", "--output", "imports", "--no-save", "--check-upgrade", "false"]
    result = subprocess.run(
        ["node", tools / "cdk8s-cli/bin/cdk8s", "import", schema, *options],
        cwd=folder,
        env={
            **os.environ,
            "PATH": path,
            "NODE_OPTIONS": "--preserve-symlinks --preserve-symlinks-main --no-warnings",
            "npm_config_offline": "true",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        sys.exit(f"cdk8s import {schema.name} failed:\n{result.stdout}")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path, those inside tarballs too."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if "__pycache__" in path.parts or not path.is_file():
            continue
        if path.suffix == ".tgz":
            with tarfile.open(path) as tar:
                for member in tar:
                    file = tar.extractfile(member)
                    found[f"{name}!{member.name}"] = file.read() if file else b""
        else:
            found[name] = path.read_bytes()
    return found


def differences(old: dict[str, bytes], new: dict[str, bytes]) -> list[str]:
    """What to change in ``old`` to have ``new``, as the lines of a diff."""
    lines: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        before, after = (side.get(name, b"").decode().splitlines() for side in (old, new))
        lines += difflib.unified_diff(before, after, f"imports/{name}", f"generated/{name}", lineterm="", n=1)
        if (name in old) != (name in new):
            lines.append(f"{'missing' if name in new else 'left over'}: imports/{name}")
    return lines


def main() -> None:
    """Regenerate imports/, or prove it current."""
    parser = argparse.ArgumentParser(description="Turn the schemas of crds/ into imports/.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if imports/ is out of date")
    check = parser.parse_args().check

    with tempfile.TemporaryDirectory(prefix="mcpmesh-k8s-imports-") as temporary:
        output = Path(temporary) / "imports"
        output.mkdir()
        for schema in SCHEMAS:
            print(f"{schema.relative_to(ROOT)}: generating", flush=True)
            generate(schema, Path(temporary))
        changes = differences(contents(IMPORTS), contents(output))
        if check and changes:
            print("\n".join(line[:160] for line in changes[:40]))
            sys.exit("imports/ is not what crds/ gives: run `make imports` and commit the result.")
        if changes:
            shutil.rmtree(IMPORTS, ignore_errors=True)
            shutil.copytree(output, IMPORTS)
    print("imports/ written" if changes else "imports/ is current")


if __name__ == "__main__":
    main()
