"""This module is `make imports`: it turns the schemas beside it into typed classes, those of cdk8s and our own.

Those of cdk8s are imports/. From them and from cdk8s-plus-27, ``structs`` makes the structs of ``kubernetes/api``.
With ``--check`` it writes nothing and fails if something is not what the schemas give. A module of imports/ carries a
tarball. Its contents are compared, not its bytes: zlib compresses differently on other processors.
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

import structs

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
    """Every file of imports/ by its path, those inside tarballs too."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = f"imports/{path.relative_to(folder).as_posix()}"
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
        lines += difflib.unified_diff(before, after, name, f"generated/{name}", lineterm="", n=1)
        if (name in old) != (name in new):
            lines.append(f"{'missing' if name in new else 'left over'}: {name}")
    return lines


def main() -> None:
    """Regenerate everything, or prove it current."""
    parser = argparse.ArgumentParser(description="Turn the schemas of crds/ into typed classes.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if something is out of date")
    check = parser.parse_args().check

    with tempfile.TemporaryDirectory(prefix="mcpmesh-k8s-imports-") as temporary:
        output = Path(temporary) / "imports"
        output.mkdir()
        for schema in SCHEMAS:
            print(f"{schema.relative_to(ROOT)}: generating", flush=True)
            generate(schema, Path(temporary))
        written = {structs.API / name: text.encode() for name, text in structs.texts(output).items()}
        there = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in structs.generated()}
        changes = differences(
            contents(IMPORTS) | there,
            contents(output) | {path.relative_to(ROOT).as_posix(): data for path, data in written.items()},
        )
        if check and changes:
            print("\n".join(line[:160] for line in changes[:40]))
            sys.exit("Generated classes are not what crds/ gives: run `make imports` and commit the result.")
        if changes:
            shutil.rmtree(IMPORTS, ignore_errors=True)
            shutil.copytree(output, IMPORTS)
            for path in structs.generated() - written.keys():
                path.unlink()
            for path, data in written.items():
                path.write_bytes(data)
    print("generated classes: written" if changes else "generated classes: current")


if __name__ == "__main__":
    main()
