"""This module is the load test of an interview's path: against any gateway, or here, on nginx before stub services.

Without ``--host``, the rendered gateway of production runs as in the tests. Login and backend are stubs that take their
time: figures of the gateway and of its limits are real, those of the services are not.

With ``--knee`` there are more people at each step, until more fails or takes longer than is borne.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "constructs"), str(ROOT)]

from conftest import read_manifests  # noqa: E402
from gateway_harness import running_gateway  # noqa: E402
from load_harness import PERSON, Load, cpu_seconds, run_locust, stub_services  # noqa: E402
from mesh_harness import LOCALHOST  # noqa: E402
from programs import PLACES  # noqa: E402

STEPS = (10, 40, 120, 240, 360, 480, 600, 800, 1000)
ONE = (2, 4, 6, 8, 12, 20)
"""How many windows one person has open."""
PICTURE = ROOT / "docs/load.svg"
PAGE = ROOT / "docs/load.md"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One load, and what the gateway took for it.

    Args:
        cpu: Milliseconds of a processor for each request; nothing where the gateway runs elsewhere.
    """

    load: Load
    cpu: float | None = None


Measure = Callable[[int], Measured]


@contextmanager
def here(seconds: int, cookies: str) -> Generator[Measure, None, None]:
    """The gateway on this machine."""
    os.environ["PATH"] = os.pathsep.join(PLACES)  # nginx lies where not every user looks
    manifests = read_manifests(ROOT / "dist/prod")
    with stub_services() as real, running_gateway(manifests, real=real) as gateway:

        def measure(users: int) -> Measured:
            before = cpu_seconds(gateway.pod.process.pid)
            more = ("--cookies", cookies, "--served-host", gateway.host)
            load = run_locust(f"http://{LOCALHOST}:{gateway.port}", users=users, seconds=seconds, more=more)
            taken = cpu_seconds(gateway.pod.process.pid) - before
            return Measured(load=load, cpu=1000 * taken / max(1, load.total.requests))

        yield measure


@contextmanager
def there(host: str, seconds: int, more: Sequence[str]) -> Generator[Measure, None, None]:
    """A gateway at any address."""

    def measure(users: int) -> Measured:
        return Measured(load=run_locust(host, users=users, seconds=seconds, spawn=5, more=more))

    yield measure


def knee(measure: Measure, steps: Sequence[int], milliseconds: int, errors: float) -> tuple[list[Measured], int]:
    """Each step until one crosses a bound, and the number of people of the last that did not; none if the first did."""
    found: list[Measured] = []
    borne = 0
    for users in steps:
        found.append(measure(users))
        load = found[-1].load
        print(line_of(found[-1]), flush=True)
        if load.failed > errors or load.total.within(0.95) > milliseconds:
            break
        borne = users
    return found, borne


def said_of(found: Sequence[Measured], borne: int) -> str:
    """What the search found."""
    if found[-1].load.users == borne:
        return f"No bound was crossed: {borne} at once are borne, and maybe more."
    return f"The knee: {borne} at once are borne."


HEAD = (
    "| people | requests/s | 50 of 100 within | 95 of 100 within | failed | gateway's CPU a request |\n"
    "| ---: | ---: | ---: | ---: | ---: | ---: |"
)


def line_of(measured: Measured) -> str:
    """A row of the table."""
    load, total = measured.load, measured.load.total
    cpu = "–" if measured.cpu is None else f"{measured.cpu:.2f} ms"
    return (
        f"| {load.users} | {load.rate:.0f} | {total.within(0.5)} ms | {total.within(0.95)} ms | {load.failed:.1%} | "
        f"{cpu} |"
    )


def of_steps(load: Load) -> str:
    """Each step of the interview as a table."""
    lines = [
        "| step | requests | 50 of 100 within | 95 of 100 within | failed |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for step in load.steps:
        lines.append(
            f"| {step.name} | {step.requests} | {step.within(0.5)} ms | {step.within(0.95)} ms | {step.failures} |"
        )
    return "\n".join([*lines, *(f"\n{count} × {error}" for error, count in load.errors.items())])


def draw(series: dict[str, list[Measured]], milliseconds: int) -> None:
    """The picture of the documentation."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "load"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for name, found in series.items():
        people = [one.load.users for one in found]
        values = (
            [one.load.rate for one in found],
            [one.load.total.within(0.95) for one in found],
            [100 * one.load.failed for one in found],
        )
        for axis, those in zip(axes, values, strict=True):
            axis.plot(people, those, marker="o", label=name)
    for axis, title in zip(axes, ("requests a second", "95 of 100 within, in ms", "failed, in %"), strict=True):
        axis.set_title(title)
        axis.set_xlabel("people at once")
        axis.grid(visible=True, alpha=0.3)
    axes[1].axhline(milliseconds, linestyle="--", color="grey")
    axes[0].legend()
    figure.savefig(PICTURE, metadata={"Date": None})


def write(texts: dict[str, str]) -> None:
    """Put what was measured into the documentation."""
    page = PAGE.read_text(encoding="utf-8")
    for name, text in texts.items():
        mark, end = f"<!-- measured: {name} -->\n", "\n<!-- end -->"
        before, found, rest = page.partition(mark)
        assert found, name
        page = f"{before}{mark}{text}{end}{rest.partition(end)[2]}"
    PAGE.write_text(page, encoding="utf-8")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="", help="the address of a gateway, such as https://staging.example.com")
    parser.add_argument("--users", type=int, default=10, help="people at once")
    parser.add_argument("--seconds", type=int, default=20, help="how long; with --knee, how long each step")
    parser.add_argument("--knee", action="store_true", help="more people at each step, until a bound is crossed")
    parser.add_argument("--milliseconds", type=int, default=800, help="what 95 of 100 requests may take")
    parser.add_argument("--errors", type=float, default=0.01, help="the share of requests that may fail")
    parser.add_argument("--write", action="store_true", help="the picture and the tables of docs/, as measured here")
    parser.add_argument(
        "more", nargs="*", help="after --, what the Locust file takes, such as --role ID --cookies TEXT"
    )
    given = parser.parse_args()
    if given.write:
        series: dict[str, list[Measured]] = {}
        texts: dict[str, str] = {}
        for name, cookies, steps in (("many people", PERSON, STEPS), ("one person", "__Host-login=person-1", ONE)):
            with here(given.seconds, cookies) as measure:
                print(f"{name}\n{HEAD}")
                found, borne = knee(measure, steps, given.milliseconds, given.errors)
            series[name] = found
            texts[name] = "\n".join([HEAD, *map(line_of, found), "", said_of(found, borne)])
            texts[f"steps of {name}"] = of_steps(
                next((one.load for one in found if one.load.users == borne), found[0].load)
            )
        draw(series, given.milliseconds)
        write({name: text for name, text in texts.items() if name != "steps of one person"})
        return 0
    with there(given.host, given.seconds, given.more) if given.host else here(given.seconds, PERSON) as measure:
        if given.knee:
            print(HEAD)
            found, borne = knee(measure, STEPS, given.milliseconds, given.errors)
            print(f"\n{said_of(found, borne)}\n\n{of_steps(found[-1].load)}")
            return 0 if borne else 1
        one = measure(given.users)
        print(f"{HEAD}\n{line_of(one)}\n\n{of_steps(one.load)}")
        return int(one.load.failed > given.errors or one.load.total.within(0.95) > given.milliseconds)


if __name__ == "__main__":
    sys.exit(main())
