"""This module is what a person does wrong on the first day: each is refused where it is written, with what to give."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import at_each
from mcpmesh_k8s import (
    Agent,
    Application,
    ApplicationSettings,
    Budget,
    Claim,
    Compute,
    Container,
    External,
    Image,
    Internet,
    Namespace,
    NamespacePods,
    NamespaceSettings,
    NoProbes,
    Phase,
    PodExtras,
    Port,
    Probes,
    Scratch,
    SettingError,
    TcpSocket,
    User,
    Workload,
    WorkloadSettings,
    images,
    synthesize,
)

SMALL = Compute(cpu="100m", memory="128Mi")
ANYONE = User(uid=1000, gid=1000)


class Name(str, enum.Enum):  # noqa: UP042 - a StrEnum prints as its text
    """A text for Python, which it prints as another one."""

    SHOP = "shop"


def application(outdir: str | Path = "unused") -> Application:
    made = Application(ApplicationSettings(name="shop"), outdir=outdir)
    made.look()
    return made


def container(*, command: tuple[str, ...] = (), working_directory: str = "") -> Container:
    return Container(
        name="main",
        image=images.REDIS,
        user=ANYONE,
        compute=SMALL,
        command=command,
        working_directory=working_directory,
        probes=NoProbes(because="No test starts it."),
    )


def serving() -> Container:
    return replace(container(), ports=(Port(number=8080),), probes=Probes.of(TcpSocket()))


def wrong(function: Callable[..., object], *arguments: object, **named: object) -> Callable[[], object]:
    """A call that no type checker would let through."""
    return lambda: function(*arguments, **named)


def loop() -> None:
    Path("one").symlink_to("two")
    Path("two").symlink_to("one")
    application("one")


def twice() -> None:
    made = application()
    Phase(made, "all")
    Phase(made, "all")


def stranger() -> None:
    other = Application(ApplicationSettings(name="other"), outdir="other")
    other.look()
    web, api = (
        Workload(Phase(made, "all"), WorkloadSettings(name=name, container=serving()))
        for made, name in ((application(), "web"), (other, "web"))
    )
    web.connects_to(api)


CASES: dict[str, tuple[Callable[[], object], str]] = {
    # What nobody asks after.
    "a service without probes": (
        lambda: WorkloadSettings(name="web", container=replace(container(), probes=None)),
        r"web probes of container 'main': None was given\. .*NoProbes\(because=…\)",
    ),
    "a sidecar without probes": (
        lambda: WorkloadSettings(
            name="web",
            container=serving(),
            extras=PodExtras(sidecars=(replace(container(), name="beside", probes=None),)),
        ),
        "web probes of container 'beside': None was given",
    ),
    "no reason for no probes": (lambda: NoProbes(because=" "), "NoProbes.because: ' ' was given. Say why"),
    # Arguments that do not fit.
    "a misspelled field": (wrong(Port, nummber=80), "Port: 'nummber' was given.* Did you mean number"),
    "a field of something else": (wrong(User, colour="red"), "User: 'colour' was given.* Give one of uid, gid"),
    "a misspelled argument": (
        lambda: wrong(
            Workload(Phase(application(), "all"), WorkloadSettings(name="web", container=container())).connects_to,
            wiat=True,
        )(),
        "Pod.connects_to: 'wiat' was given.* Did you mean wait",
    ),
    "a misspelled argument of a function": (
        wrong(synthesize, apps=[]),
        "synthesize: 'apps'.* Give one of applications",
    ),
    "a field that is left out": (wrong(Port), "Port: 'nothing' was given. It needs number"),
    "settings that are left out": (lambda: wrong(Agent, Phase(application(), "all"))(), "Agent: .* It needs settings"),
    "fields without their names": (wrong(Port, 80), r"Port: \(80,\) was given. .* Give the rest by name: name, number"),
    "one argument too many": (
        lambda: wrong(Phase, application(), "a", "b")(),
        "Phase: .* By position it takes application, name",
    ),
    # Types.
    "a text that is a member": (wrong(ApplicationSettings, name=Name.SHOP), "ApplicationSettings.name: .* Give text"),
    # Folders.
    "a folder without a name": (lambda: application(" "), "outdir: ' ' was given"),
    "a folder of the shell": (lambda: application("~/dist"), r"outdir: '~/dist' was given.*Path\.home\(\)"),
    "a folder that leads to itself": (loop, "outdir: 'one' was given. Give a folder that can be"),
    "a folder that no system has": (lambda: application("a\0b"), "outdir: .* Give a folder that can be"),
    "a folder with a name too long": (lambda: application("x" * 300), "outdir: .* Give a folder that can be"),
    # What a cluster would refuse.
    "a digit before every Service": (wrong(ApplicationSettings, name="1shop"), "name: '1shop' .* Begin with a letter"),
    "a domain that is none": (
        wrong(ApplicationSettings, name="shop", cluster_domain="My Cluster"),
        "ApplicationSettings.cluster_domain",
    ),
    "a Secret's name that is none": (
        wrong(ApplicationSettings, name="shop", image_pull_secret="My Secret"),
        "ApplicationSettings.image_pull_secret",
    ),
    "a port named by digits": (wrong(Port, name="8080", number=8080), "Port.name: '8080' .* a letter"),
    "a port with two dashes": (wrong(Port, name="a--b", number=8080), "Port.name: 'a--b' .* two dashes"),
    "a scheme that is none": (wrong(Port, number=8080, scheme="ht tp"), "Port.scheme: 'ht tp'"),
    "a user beyond all numbers": (wrong(User, uid=2**31, gid=1), "Kubernetes takes numbers below 2147483648"),
    "a command that is empty": (lambda: container(command=("", "x")), "command: .* Begin with a program"),
    "a folder from nowhere": (lambda: container(working_directory="app"), "working_directory: 'app'"),
    "a volume over everything": (wrong(Scratch, mount_path="/"), "mount_path of 'tmp': '/'"),
    "a path that is another's": (wrong(Scratch, mount_path="/tmp/"), "mount_path of 'tmp': '/tmp/'"),
    "a class that is none": (wrong(Claim, size="1Gi", storage_class="Fast SSD"), "Claim.storage_class of 'data'"),
    "an external without a name": (wrong(External, name=" ", peer=Internet()), "External.name: ' '"),
    "a Service of another namespace than the peer's": (
        wrong(
            External,
            name="forecast",
            hosts=("forecast.weather.svc.cluster.local",),
            peer=NamespacePods(namespace="wether"),
        ),
        r"External.peer of 'forecast': 'wether' was given. .* NamespacePods\(namespace='weather'\)",
    ),
    "a workload of another application": (
        stranger,
        r"'other-web' was given. Unknown target: .* External\(peer=NamespacePods\(namespace='other', …\)\), and lets",
    ),
    "two phases of one name": (twice, "Phase name: 'all' was given. Another phase has this name already"),
}


@at_each(("mistake", "says"), CASES.values(), ids=CASES)
def test_it_is_refused(
    mistake: Callable[[], object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match=says):
        mistake()


def test_what_goes_wrong_inside_is_not_taken_for_a_wrong_argument() -> None:
    class Odd(Image):
        @property
        def reference(self) -> str:
            raise TypeError("inside")

    odd = Odd(repository="redis", tag="7.4.5")
    with pytest.raises(TypeError, match="inside"):
        Container(name="main", image=odd, user=ANYONE, compute=SMALL).render()


def test_a_program_that_goes_to_another_folder_writes_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(Path().iterdir())
    monkeypatch.chdir(tmp_path)
    made = application("shop")
    Namespace(Phase(made, "all"), NamespaceSettings(budget=Budget(cpu="1", memory="1Gi")))
    made.synth()
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["0000-all.k8s.yaml"]
    monkeypatch.undo()
    assert sorted(Path().iterdir()) == before
