"""This module is what installs the Debian packages of tests/programs.py that are missing, where it may.

It needs nothing but Python, says what it does, and never fails: tests that lack a program are skipped. It starts no
service, neither now nor with the machine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from programs import MAKES, PLACES, PROGRAMS, Program, find, how_to_get, look_up, named

POLICY = Path("/usr/sbin/policy-rc.d")
"""Installing a server starts it, unless this program of the administrator says no."""
SAVED = POLICY.with_name("policy-rc.d.before-mcpmesh")
REFUSES = "#!/bin/sh\n# Of mcpmesh-k8s, while it installs what its tests start.\nexit 101\n"
AS_ROOT = "--as-root"
QUIET = {
    "DEBIAN_FRONTEND": "noninteractive",
    "LC_ALL": "C.UTF-8",
    "NEEDRESTART_SUSPEND": "1",  # Ubuntu's needrestart would restart services of others
    "PATH": os.pathsep.join(PLACES),
}
KEPT = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PATH")
# A machine that has just started may hold the lock; one without a network shall not be waited for.
APT = (
    *("apt-get", "--option=DPkg::Lock::Timeout=60", "--option=Acquire::Retries=1"),
    *("--option=Acquire::http::Timeout=20", "--option=Acquire::https::Timeout=20"),
)
INSTALL = (
    *(*APT, "--quiet", "--yes", "--no-install-recommends", "--no-remove"),
    *("--option=Dpkg::Options::=--force-confdef", "--option=Dpkg::Options::=--force-confold", "install"),
)


def main(arguments: Sequence[str]) -> int:
    """Install what is missing of the programs that are named, or of all."""
    if arguments[:1] == [AS_ROOT]:
        return install([named(name) for name in arguments[1:]])
    chosen = [named(name) for name in arguments] or [*PROGRAMS, *MAKES]
    missing = [program for program in chosen if program.packages and find(program) is None]
    if missing:
        why_not = try_to_install(missing)
        still = [program.name for program in missing if find(program) is None]
        if still:
            print(f"--- not here: {', '.join(still)}. {why_not}To have them: {how_to_get(still)}", flush=True)
    return 0


def try_to_install(missing: Sequence[Program]) -> str:
    """Install, as root; otherwise why that cannot be."""
    names = [program.name for program in missing]
    if os.environ.get("SYSTEM_PACKAGES", "yes") == "no":
        return "SYSTEM_PACKAGES=no leaves the system as it is. "
    if look_up("apt-get", PLACES) is None:
        return "There is no apt-get here. "
    if os.geteuid() == 0:
        install(missing)
        return ""
    sudo = look_up("sudo", PLACES)
    if sudo is None or subprocess.run([sudo, "-n", "true"], capture_output=True, stdin=subprocess.DEVNULL).returncode:
        return "Only root may install them, and sudo asks for a password. "
    kept = [f"{name}={os.environ[name]}" for name in KEPT if name in os.environ]
    command = [sudo, "-n", "env", *kept, sys.executable, "-B", __file__, AS_ROOT, *names]
    subprocess.run(command, stdin=subprocess.DEVNULL)
    return ""


def install(missing: Sequence[Program]) -> int:
    """Install with apt-get, in one step, what can be installed here. Whatever goes wrong is said."""
    packages = [package for program in missing for package in program.packages]
    print(f"--- apt-get installs {', '.join(packages)}; it starts no service", flush=True)
    try:
        run((*APT, "--quiet", "update"), "apt-get update")
        # A package that this system does not have, or that would remove another, keeps none of the others away.
        can = [program for program in missing if run((*INSTALL, "--simulate", *program.packages), program.packages[0])]
        if can:
            asleep = [service for program in can for service in program.services if not is_enabled(service)]
            with no_service_starts():
                run((*INSTALL, *(package for program in can for package in program.packages)), "apt-get install")
            for service in asleep:
                if is_enabled(service):
                    run(("systemctl", "disable", service), f"systemctl disable {service}")
    except OSError as error:
        print(f"    {error}", flush=True)
    return 0


def run(command: Sequence[str], what: str) -> bool:
    """Whether a command succeeds. What it says is shown when it does not."""
    done = subprocess.run(
        command,
        env={**os.environ, **QUIET},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        lines = done.stdout.splitlines()
        said = [line for line in lines if line.startswith("E:")] or lines[-3:]
        print("\n".join(f"    {what}: {line}" for line in said), flush=True)
    return done.returncode == 0


def is_enabled(service: str) -> bool:
    """Whether a service starts with the machine."""
    if look_up("systemctl", PLACES) is None:
        return False
    asked = ("systemctl", "is-enabled", "--quiet", service)
    return subprocess.run(asked, env={**os.environ, **QUIET}, capture_output=True).returncode == 0


def is_ours() -> bool:
    """Whether the policy is the one that is written here."""
    return POLICY.is_file() and POLICY.read_text(errors="replace") == REFUSES


@contextmanager
def no_service_starts() -> Generator[None, None, None]:
    """Until the end no installation starts a service; then the administrator's policy is back, whatever happened."""

    def stop(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        # One of ours is what a run left that was killed: the policy of before it lies beside.
        if os.path.lexists(POLICY) and not is_ours():
            POLICY.replace(SAVED)
        POLICY.write_text(REFUSES)
        POLICY.chmod(0o755)
        yield
    finally:
        if os.path.lexists(SAVED):
            SAVED.replace(POLICY)
        elif is_ours():
            POLICY.unlink()
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
