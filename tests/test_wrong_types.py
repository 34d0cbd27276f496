"""Every public constructor, method and function refuses a value of the wrong type, where it is given."""

from __future__ import annotations

import enum
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass, replace
from functools import partial
from pathlib import Path
from types import FunctionType

import pytest

import mcpmesh_k8s
from ai_interviewer import DEV
from conftest import at_each, try_each
from mcpmesh_k8s import (
    Agent,
    AgentSettings,
    Application,
    ApplicationSettings,
    Availability,
    BuiltImage,
    Compute,
    Container,
    Gateway,
    Image,
    Internet,
    MountedSource,
    NamespacePods,
    NoProbes,
    Phase,
    Port,
    Replicas,
    Route,
    Secret,
    SettingError,
    User,
    Variable,
    Workload,
    WorkloadSettings,
    images,
    synthesize,
    variables,
)

SMALL = Compute(cpu="100m", memory="128Mi")
MAIN = Container(
    name="main",
    image=images.REDIS,
    user=User(uid=1000, gid=1000),
    compute=SMALL,
    probes=NoProbes(because="No test starts it."),
)
PRICES = AgentSettings(name="prices", code=BuiltImage(image=images.PYTHON_RUNTIME), compute=SMALL, module="prices")


def phase() -> Phase:
    return Phase(Application(ApplicationSettings(name="shop"), outdir="unused"), "all")


def wrong(function: Callable[..., object], *arguments: object, **named: object) -> str:
    """The message with which a call is refused, for arguments that no type checker would let through."""
    with pytest.raises(SettingError) as refused:
        function(*arguments, **named)
    return str(refused.value)


CASES: dict[str, tuple[Callable[[], str], str]] = {
    "a port as text": (
        lambda: wrong(Port, number="8080"),
        "Port.number: '8080' was given. Give a whole number, not text.",
    ),
    "a port as a truth": (
        lambda: wrong(Port, number=True),
        "Port.number: True was given. Give a whole number, not True or False.",
    ),
    "CPU as a number": (
        lambda: wrong(Compute, cpu=1, memory="1Gi"),
        "Compute.cpu: 1 was given. Give text, not a whole number.",
    ),
    "a phase as a target": (
        lambda: wrong(Workload(scope := phase(), WorkloadSettings(name="web", container=MAIN)).connects_to, scope),
        "Pod.connects_to: targets: <Phase all> was given. Give a Pod or a Target or an External, not a Phase.",
    ),
    "a name in place of settings": (
        lambda: wrong(Agent, phase(), "prices"),
        "Agent: settings: 'prices' was given. Give an AgentSettings, not text.",
    ),
    "swapped arguments": (
        lambda: wrong(Agent, PRICES, phase()),
        "Give a Construct, not an AgentSettings.",
    ),
    "a class in place of a value": (
        lambda: wrong(Container, name="main", image=Image, user=User(uid=1, gid=1), compute=SMALL),
        "Container.image: <class 'mcpmesh_k8s.kubernetes.image.Image'> was given. Give an Image, not the class Image.",
    ),
    "a number as a variable": (
        lambda: wrong(variables, {"N": 3}),
        "variables: values['N']: 3 was given. Give text or a SecretKey or a ConfigMapKey, not a whole number.",
    ),
    "a folder as text": (
        lambda: wrong(MountedSource, image=images.PYTHON_RUNTIME, folder="sources"),
        "MountedSource.folder: 'sources' was given. Give a Path, not text.",
    ),
    "one port in place of several": (
        lambda: wrong(
            Container, name="a", image=images.REDIS, user=User(uid=1, gid=1), compute=SMALL, ports=Port(number=8080)
        ),
        "Give a tuple, each of a Port, not a Port.",
    ),
    "one wrong value among many": (
        lambda: wrong(
            Container, name="a", image=images.REDIS, user=User(uid=1, gid=1), compute=SMALL, args=("a", "b", 3)
        ),
        "Container.args[2]: 3 was given. Give text, not a whole number.",
    ),
    "text where several texts belong": (
        lambda: wrong(Internet, cluster_ranges="10.0.0.0/8"),
        "Internet.cluster_ranges: '10.0.0.0/8' was given. Give a tuple, each of text, not text.",
    ),
    "a runtime as a command": (
        lambda: wrong(replace, PRICES, module="", runtime="java -jar prices.jar"),
        "AgentSettings.runtime: 'java -jar prices.jar' was given. Give a Runtime or None, not text.",
    ),
    "a number of replicas": (
        lambda: wrong(Availability, scale=3),
        "Availability.scale: 3 was given. Give a Replicas or an Autoscaling, not a whole number.",
    ),
    "a fraction of a replica": (
        lambda: wrong(Replicas, count=1.5),
        "Replicas.count: 1.5 was given. Give a whole number, not a number.",
    ),
    "an audience by name": (
        lambda: wrong(
            Route, path="/", to=Workload(phase(), WorkloadSettings(name="web", container=MAIN)), audience="public"
        ),
        "Route.audience: 'public' was given. Give a member of Audience, not text.",
    ),
    "nothing": (
        lambda: wrong(NamespacePods, namespace=None),
        "NamespacePods.namespace: None was given. Give text, not None.",
    ),
    "routes that are none": (
        lambda: wrong(Gateway, phase(), DEV.gateway, ["/"], DEV.login),
        "Gateway: routes[0]: '/' was given. Give a Route, not text.",
    ),
    "an application by name": (
        lambda: wrong(synthesize, ["shop"]),
        "synthesize: applications[0]: 'shop' was given. Give an Application, not text.",
    ),
    "a secret's key by number": (
        lambda: wrong(Secret.key, None, 3),
        "Secret.key: key: 3 was given. Give text, not a whole number.",
    ),
    "a value of a variable": (
        lambda: wrong(Variable, name="N", value=3),
        "Variable.value: 3 was given. Give text or a SecretKey or a ConfigMapKey, not a whole number.",
    ),
}


@at_each("case", CASES)
def test_a_value_of_the_wrong_type_is_refused_with_what_to_give(case: str) -> None:
    call, message = CASES[case]
    assert message in call()


class Wrong:
    """A value that no annotation of the library accepts."""


EXPORTS = {name: getattr(mcpmesh_k8s, name) for name in mcpmesh_k8s.__all__}


def parameters_of(function: FunctionType, *, owned: bool) -> list[str]:
    parameters = list(inspect.signature(function).parameters.values())[1 if owned else 0 :]
    return [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL]


def is_protocol(value: type[object]) -> bool:
    """Whether it is a role: what plays it is written by others, and never made of it."""
    return bool(getattr(value, "_is_protocol", False))


def calls() -> Iterator[tuple[str, Callable[..., object], tuple[object, ...], str]]:
    """Every parameter of everything public: its name, what is called, with what before it."""
    for name, value in EXPORTS.items():
        if isinstance(value, FunctionType):
            yield from ((name, value, (), parameter) for parameter in parameters_of(value, owned=False))
        if not isinstance(value, type) or issubclass(value, (enum.Enum, Exception)) or is_protocol(value):
            continue
        if "__init__" in vars(value) and not inspect.isabstract(value):
            for parameter in parameters_of(vars(value)["__init__"], owned=True):
                yield name, value, (), parameter
        for member, given in vars(value).items():
            function = getattr(given, "__func__", given)
            if member.startswith("_") or not isinstance(function, FunctionType):
                continue
            owned = not isinstance(given, staticmethod)
            for parameter in parameters_of(function, owned=owned):
                yield f"{name}.{member}", function, (None,) if owned else (), parameter


CALLS = list(calls())


def test_constructors_methods_and_functions_are_all_called() -> None:
    called = {(where, parameter) for where, _, _, parameter in CALLS}
    assert {("Port", "number"), ("Agent", "settings"), ("Pod.connects_to", "wait"), ("variables", "values")} <= called
    assert len(called) > 300


def test_nothing_public_takes_what_its_annotation_does_not_say() -> None:
    def refuses(where: str, function: Callable[..., object], before: tuple[object, ...], parameter: str) -> None:
        with pytest.raises(SettingError) as refused:
            function(*before, **{parameter: Wrong()})
        assert where in str(refused.value)
        assert parameter in str(refused.value)

    try_each(
        (f"{where}: {parameter}", partial(refuses, where, function, before, parameter))
        for where, function, before, parameter in CALLS
    )


def test_what_a_construct_takes_is_shown_by_help() -> None:
    shown = {
        name: str(inspect.signature(value))
        for name, value in EXPORTS.items()
        if isinstance(value, type) and not is_dataclass(value) and not is_protocol(value) and "__init__" in vars(value)
    }
    assert shown["Agent"] == "(scope: 'Construct', settings: 'AgentSettings')"
    assert {name: text for name, text in shown.items() if "**" in text or "Any" in text} == {}


def test_types_are_checked_where_python_is_told_to_skip_assertions() -> None:
    program = "from mcpmesh_k8s import Port\nPort(number='8080')"
    ended = subprocess.run(
        [sys.executable, "-O", "-c", program],
        cwd=Path(mcpmesh_k8s.__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "SettingError: Port.number: '8080' was given." in ended.stderr
