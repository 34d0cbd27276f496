"""This module is the library as its users meet it: its exports, and what it promises of code, connections, Secrets."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import is_dataclass, replace
from enum import Enum
from pathlib import Path, PurePosixPath
from types import FrameType, FunctionType, ModuleType, UnionType
from typing import Literal, TypeVar, Union, get_args, get_origin

import pytest

import ai_interviewer
import mcpmesh_k8s
import test_extras
import test_settings
from ai_interviewer import ENVIRONMENTS, AiInterviewer, ArgoCd
from conftest import close, read_manifests
from many_clusters import OTHERWISE, SEALED
from mcpmesh_k8s import (
    Agent,
    AgentSettings,
    Application,
    ApplicationSettings,
    AwsEbs,
    CertManager,
    Compute,
    ConfigMapKey,
    Container,
    EncryptedStorageClass,
    ExistingSecrets,
    External,
    ExternalSecrets,
    HostNetwork,
    Image,
    Internet,
    Manifest,
    MountedSource,
    NoProbes,
    Phase,
    Port,
    PrometheusOperator,
    Readiness,
    Registry,
    RegistrySettings,
    RequestRate,
    SealedSecrets,
    Secret,
    SecretSettings,
    Target,
    User,
    Variable,
    Workload,
    WorkloadSettings,
    images,
    k8s,
    variables,
)
from mcpmesh_k8s.kubernetes.manifest import at, each, name_of
from registry_room import ROOM

PACKAGE = Path(mcpmesh_k8s.__file__).parent
APPLICATION = Path(ai_interviewer.__file__).parent

NOT_FOR_USERS = {
    "Objects": "how the checks find manifests",
    "Sizing": "what is written into the configuration of PostgreSQL",
    "Choice": "what enumerations of the library are made of",
    "ScopeSettings": "what ApplicationSettings is made of",
    "MeshProgram": "which program a variable is checked for",
    "ApiToken": "the volume of a pod that has an ApiAccess",
    "Ground": "what any application may stand on, which is a Namespace",
    "Capacity": "how a Namespace finds out what its shares() say",
    "FreeNode": "what a Budget makes of its nodes",
    "Room": "what a FreeNode has",
    "Relabeling": "what those who collect metrics are told of a MetricsEndpoint",
    "TlsCheck": "what the blackbox exporter makes of a Certificate",
    "Scaled": "what the commands and checks read of an autoscaler",
}
"""Public classes of public modules that are not exported, each with the reason."""

MODULES_FOR_USERS = (mcpmesh_k8s.images, mcpmesh_k8s.k8s, mcpmesh_k8s.platforms)
"""Modules that are exported as they are."""


# --- what it exports ---

ROOMS = ("kubernetes", "services", "access", "observability", "delivery")
"""The packages whose public names are exported. The operator's commands are imported from where they are."""

MODULES: list[ModuleType] = [
    importlib.import_module(f"{mcpmesh_k8s.__name__}.{room}.{module.name}")
    for room in ROOMS
    for module in pkgutil.iter_modules([str(PACKAGE / room)])
    if not module.name.startswith("_")
]
EXPORTS: dict[str, object] = {name: getattr(mcpmesh_k8s, name) for name in mcpmesh_k8s.__all__}


def own(module: ModuleType) -> Iterator[tuple[str, type[object] | FunctionType]]:
    """The public classes and functions that a module defines."""
    for name, value in vars(module).items():
        if not name.startswith("_") and isinstance(value, (type, FunctionType)) and value.__module__ == module.__name__:
            yield name, value


def own_functions() -> Iterator[tuple[str, FunctionType]]:
    """Every public function and method of the library, constructors too, as ``module.Class.method``."""
    for module in MODULES:
        for name, value in own(module):
            where = f"{module.__name__.rpartition('.')[2]}.{name}"
            if isinstance(value, FunctionType):
                yield where, value
                continue
            for member, given in vars(value).items():
                function = given.fget if isinstance(given, property) else getattr(given, "__func__", given)
                if getattr(function, "__module__", "") == "typing":  # Python gives each Protocol a constructor
                    continue
                if isinstance(function, FunctionType) and (member == "__init__" or not member.startswith("_")):
                    yield f"{where}.{member}", function


CLASSES = {name: value for module in MODULES for name, value in own(module) if isinstance(value, type)}
FUNCTIONS = dict(own_functions())


def test_the_list_of_exports_is_sorted_and_names_nothing_twice_and_nothing_private() -> None:
    assert mcpmesh_k8s.__all__ == sorted(set(mcpmesh_k8s.__all__))
    assert [name for name in mcpmesh_k8s.__all__ if name.startswith("_")] == []


def test_what_the_package_imports_from_its_modules_is_what_it_exports() -> None:
    imported = {
        name
        for name, value in vars(mcpmesh_k8s).items()
        if not name.startswith("_") and (value in MODULES_FOR_USERS or not isinstance(value, ModuleType))
    }
    assert imported == set(EXPORTS)


def test_every_public_class_is_exported_but_those_with_a_reason() -> None:
    assert set(CLASSES) - set(NOT_FOR_USERS) == {name for name, value in EXPORTS.items() if isinstance(value, type)}
    assert set(NOT_FOR_USERS) <= set(CLASSES)


def test_every_export_is_documented() -> None:
    for name, value in EXPORTS.items():
        if isinstance(value, (type, FunctionType, ModuleType)):
            text = value.__doc__ or ""
            assert text.strip(), name
            assert not text.startswith(f"{name}("), f"the docstring of {name} is made of its fields"
        else:
            # An alias is documented by the string that follows it, which the compiler forgets.
            assert re.search(rf'^{name} = .*\n"""\S', sources_of(PACKAGE), re.MULTILINE), name


def test_every_member_of_an_enumeration_says_what_it_means() -> None:
    enumerations = [value for value in EXPORTS.values() if isinstance(value, type) and issubclass(value, Enum)]
    assert {enumeration.__name__ for enumeration in enumerations} >= {"Audience", "Hook", "KeyForm"}
    for member in (member for enumeration in enumerations for member in enumeration):
        assert member.__doc__, member
        assert member.__doc__ != type(member).__doc__, f"{member} says no more than its class"


def test_functions_methods_and_properties_are_all_looked_at() -> None:
    assert {"container.harden", "pod.Pod.connects_to", "probe.Probes.of", "pod.Target.endpoint"} <= set(FUNCTIONS)
    assert {"quantity.Compute.__init__", "agent.Agent.__init__", "scope.place_of"} <= set(FUNCTIONS)


def test_every_public_function_is_documented() -> None:
    documented_by_their_class = {name for name in FUNCTIONS if name.endswith(".__init__")}
    silent = {name for name, function in FUNCTIONS.items() if not (function.__doc__ or "").strip()}
    assert silent - documented_by_their_class == set()


def test_every_public_signature_says_exactly_what_it_takes_and_gives() -> None:
    vague = []
    for name, function in FUNCTIONS.items():
        signature = inspect.signature(function)
        takes = [parameter for parameter in signature.parameters.values() if parameter.name not in ("self", "cls")]
        vague += [f"{name}(**{parameter.name})" for parameter in takes if parameter.kind is parameter.VAR_KEYWORD]
        said = {parameter.name: parameter.annotation for parameter in takes} | {"return": signature.return_annotation}
        vague += [
            f"{name}: {what}: {annotation}"
            for what, annotation in said.items()
            if annotation is inspect.Signature.empty or re.search(r"\bAny\b", str(annotation))
        ]
    assert vague == []


API_TYPE = re.compile(r"\b(k8s|argoproj|bitnami|external_secrets|gateway_api|monitoring|ApiObjectMetadata|Manifest)\b")
EVERY_NAME = {name: value for module in MODULES for name, value in vars(module).items()} | EXPORTS
"""What an annotation may name. Some modules import it for type checkers alone."""


def test_what_a_public_function_returns_is_what_it_says() -> None:
    """Each is looked at as it returns, while every kind of environment is rendered, and what any workload takes."""
    codes = {
        inspect.unwrap(function).__code__: name
        for name, function in FUNCTIONS.items()
        if not inspect.isgeneratorfunction(function)
    }
    lies: set[str] = set()
    seen: set[str] = set()
    hints: dict[str, object] = {}

    def look(frame: FrameType, event: str, returned: object) -> None:
        if event == "return" and (name := codes.get(frame.f_code)):
            seen.add(name)
            said = FUNCTIONS[name].__annotations__.get("return")
            if name not in hints:
                hints[name] = eval(str(said), {**EVERY_NAME, **frame.f_globals})
            if not is_of(returned, hints[name]):
                lies.add(f"{name} says {said} and gives {type(returned).__name__}")

    # All that production might choose otherwise, at once: to be looked at makes a synthesis take five times as long.
    sealed = tuple(one for one in SEALED.values if one.secret != "alertmanager")
    elsewhere = replace(OTHERWISE, metrics=PrometheusOperator(), secrets=SealedSecrets(values=sealed))
    sys.setprofile(look)
    try:
        environments = [AiInterviewer(each, outdir="unused/" + each.name) for each in ENVIRONMENTS]
        for application in (
            *environments,
            ArgoCd(environments, outdir="unused/argocd"),
            otherwise := AiInterviewer(elsewhere, outdir="unused/many-clusters"),
            ArgoCd([otherwise], outdir="unused/many-argocd"),
        ):
            application.manifests()
        shop = test_settings.Shop()
        shop.secret("keys", "tls.key", "tls.crt")
        shop.is_known_by(CertManager(issuer="ca"))
        Application.of(shop.claims(EncryptedStorageClass(driver=AwsEbs()))).manifests()
        shop.web.accepts_from(HostNetwork(ranges=("10.0.0.0/24",)))
        Variable(name="REGION", value=ConfigMapKey(config_map="regions", key="home")).render()
        shop.scales(RequestRate(minimum=1, maximum=2, per_pod=5.0))
        Application.of(shop.adds(replace(test_extras.EXTRAS, patches=(test_extras.DNS,)))).manifests()
    finally:
        sys.setprofile(None)
    assert lies == set()
    written = {name for name, each in FUNCTIONS.items() if API_TYPE.search(str(each.__annotations__.get("return")))}
    assert {"container.harden", "container.harden_pod", "probe.Probe.render", "variable.Variable.render"} <= written
    assert written - seen == NOT_CALLED


NOT_CALLED = {
    *("component.Component.manifests", "storage.Projection.render", "storage.Volume.source"),
    "network.CiliumEntity.render",
}
"""What nobody calls: those that say that a subclass must have it, and a peer that only Cilium's policies name."""


def is_of(value: object, hint: object) -> bool:
    """Whether a value is of an annotated type, with all that it holds."""
    origin, of = get_origin(hint), get_args(hint)
    if hint is None:
        return value is None
    if isinstance(hint, TypeVar):
        return is_of(value, hint.__bound__ or object)
    if origin in (Union, UnionType):
        return any(is_of(value, each) for each in of)
    if origin is Literal:
        return value in of
    if not isinstance(origin, type):
        return isinstance(value, hint) if isinstance(hint, type) else hint is object
    if not isinstance(value, origin):
        return False
    if issubclass(origin, Mapping):
        assert isinstance(value, Mapping)
        return all(is_of(name, of[0]) and is_of(each, of[1]) for name, each in value.items())
    if origin is tuple and of[-1] is not Ellipsis:
        assert isinstance(value, tuple)
        return len(value) == len(of) and all(map(is_of, value, of))
    if issubclass(origin, Collection):
        assert isinstance(value, Collection)
        return all(is_of(each, of[0]) for each in value)
    return True


@pytest.mark.parametrize(
    ("value", "hint", "right"),
    [
        ({"run_as_user": 1}, k8s.SecurityContext, False),
        (k8s.SecurityContext(run_as_user=1), k8s.SecurityContext, True),
        ([k8s.LabelSelector(), {}], list[k8s.LabelSelector], False),
        ([{"kind": "Pod"}], list[Manifest], True),
        ([k8s.LabelSelector()], list[Manifest], False),
        ({1: "x"}, Manifest, False),
        ((1, "x"), tuple[int, str], True),
        (("x", "x"), tuple[int, str], False),
        (("x", 1), tuple[str, ...], False),
        (None, str | None, True),
        (1, str | None, False),
        ({"a": [1]}, Mapping[str, list[str]], False),
    ],
)
def test_a_lie_is_told_from_the_truth(value: object, hint: object, right: bool) -> None:
    assert is_of(value, hint) is right


def test_what_a_class_lists_as_its_arguments_is_what_it_takes() -> None:
    listed = {name: arguments_in(cls.__doc__ or "") for name, cls in CLASSES.items()}
    takes = {name: own_fields(cls) if is_dataclass(cls) else own_parameters(cls) for name, cls in CLASSES.items()}
    assert {name: names for name, names in listed.items() if names} == {
        name: takes[name] for name, names in listed.items() if names
    }
    assert listed["Agent"], "no list was found where there is one"
    unlisted = {name for name, cls in CLASSES.items() if name.endswith("Settings") and own_fields(cls)}
    assert [name for name in unlisted if not listed[name]] == []


def arguments_in(docstring: str) -> list[str]:
    """The names below ``Args:``."""
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)+)", inspect.cleandoc(docstring), re.MULTILINE)
    return re.findall(r"^    (\w+): ", section[1], re.MULTILINE) if section else []


def own_fields(cls: type[object]) -> list[str]:
    return list(inspect.get_annotations(cls))


def own_parameters(cls: type[object]) -> list[str]:
    return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]


# --- its sources ---


def sources_of(package: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py")))


def test_every_module_says_in_its_first_line_what_it_is() -> None:
    for path in (*PACKAGE.rglob("*.py"), *APPLICATION.rglob("*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert re.match(r"This module is .*[.:]\n?", docstring), path


def test_the_library_knows_no_application() -> None:
    known = [
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "interviewer" in line.lower()
    ]
    assert known == []
    assert [path for path in PACKAGE.rglob("*interviewer*") if path.suffix != ".pyc"] == []


def test_the_library_imports_what_it_is_installed_with_and_nothing_else() -> None:
    """``typing_extensions`` and ``_typeshed`` are imported where only a type checker looks, which brings them."""
    for_checkers = {"_typeshed", "typing_extensions"}
    allowed = {
        "cdk8s",
        "constructs",
        "dotenv",
        "grafana_foundation_sdk",
        "jsii",
        "mcpmesh_k8s_node",
        "rich",
        "typer",
        "yaml",
    } | for_checkers
    imported: set[str] = set()
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add(str(node.module).partition(".")[0])
    assert imported - set(sys.stdlib_module_names) - {"mcpmesh_k8s"} == allowed


# --- a small application ---


def server_target(server: Workload, port: str = "http") -> Target:
    """The server as its clients meet it."""
    return Target(
        workload=server,
        port=port,
        introduction=variables({f"SERVER_{port.upper()}": server.endpoint(port).url}),
        readiness=Readiness(command=("ask", server.endpoint(port).host), variables=variables({"HOW": "politely"})),
    )


class Shop:
    """A client, a server with two ports that are not those of its Service, and someone who has no part in it."""

    def __init__(self) -> None:
        self.application = Application(ApplicationSettings(name="shop"), outdir="unused")
        self.phase = Phase(self.application, "services")
        close(self.phase)
        self.client = self.service("client", Port(number=8000))
        self.server = self.service(
            "server", Port(number=80, container=8080), Port(name="grpc", number=81, container=9081)
        )
        self.other = self.service("other", Port(number=8000))

    def service(self, name: str, *ports: Port) -> Workload:
        container = Container(
            name=name,
            image=Image(repository=f"acme/{name}", tag="1.2.3"),
            user=User(uid=1000, gid=1000),
            compute=Compute(cpu="100m", memory="64Mi"),
            ports=ports,
            variables=variables({"OWN": name}),
            probes=NoProbes(because="No test starts it."),
        )
        return Workload(self.phase, WorkloadSettings(name=name, container=container))

    def objects(self) -> dict[tuple[str, str], Manifest]:
        """Every object by kind and name."""
        manifests = [manifest for phase in self.application.manifests().values() for manifest in phase]
        return {(str(manifest["kind"]), name_of(manifest)): manifest for manifest in manifests}


def policy(shop: Shop, name: str) -> Mapping[str, object]:
    """Who may come in and go out."""
    spec = at(shop.objects()[("NetworkPolicy", f"shop-{name}")], "spec")
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    return {side: spec[side] for side in ("ingress", "egress") if side in spec}


def rule(side: str, name: str, *ports: int) -> dict[str, object]:
    peer = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": f"shop-{name}"}}}
    return {side: [peer], "ports": [{"port": port, "protocol": "TCP"} for port in ports]}


def pod_of(shop: Shop, name: str) -> Mapping[str, object]:
    return at(shop.objects()[("Deployment", f"shop-{name}")], "spec", "template", "spec")


def environment(pod: Mapping[str, object], containers: str = "containers") -> list[tuple[object, object]]:
    first, *_ = each(pod, containers)
    return [(variable["name"], variable.get("value")) for variable in each(first, "env")]


# --- connections ---


def test_without_a_connection_nobody_may_talk_to_anybody() -> None:
    shop = Shop()
    assert [policy(shop, name) for name in ("client", "server", "other")] == [{}, {}, {}]


def test_a_connection_opens_the_clients_way_out_and_the_servers_way_in_and_no_other() -> None:
    shop = Shop()
    shop.client.connects_to(server_target(shop.server))
    assert policy(shop, "client") == {"egress": [rule("to", "server", 8080)]}
    assert policy(shop, "server") == {"ingress": [rule("from", "client", 8080)]}
    assert policy(shop, "other") == {}


def test_a_connection_introduces_the_server_by_its_service_before_the_clients_own_variables() -> None:
    shop = Shop()
    shop.client.connects_to(server_target(shop.server))
    assert environment(pod_of(shop, "client")) == [("SERVER_HTTP", "http://shop-server:80"), ("OWN", "client")]
    assert environment(pod_of(shop, "server")) == [("OWN", "server")]


def test_a_client_that_does_not_wait_starts_at_once() -> None:
    shop = Shop()
    shop.client.connects_to(server_target(shop.server))
    assert "initContainers" not in pod_of(shop, "client")


def test_a_client_that_waits_asks_with_the_servers_own_program_until_it_answers() -> None:
    shop = Shop()
    shop.client.connects_to(server_target(shop.server), wait=True)
    pod = pod_of(shop, "client")
    waiting = list(each(pod, "initContainers"))
    assert [(container["name"], container["image"]) for container in waiting] == [
        ("wait-for-server", "acme/server:1.2.3")
    ]
    assert list_in(waiting[0], "command")[-2:] == ["ask", "shop-server"]
    assert environment(pod, "initContainers") == [("TARGET", "shop-server:80"), ("HOW", "politely")]
    assert "initContainers" not in pod_of(shop, "server")


def test_two_ports_of_one_server_are_one_rule_of_the_client_and_a_rule_each_of_the_server() -> None:
    shop = Shop()
    shop.client.connects_to(server_target(shop.server, "grpc"), server_target(shop.server))
    assert policy(shop, "client") == {"egress": [rule("to", "server", 8080, 9081)]}
    assert policy(shop, "server") == {"ingress": [rule("from", "client", 8080), rule("from", "client", 9081)]}
    assert dict(environment(pod_of(shop, "client"))).keys() == {"SERVER_GRPC", "SERVER_HTTP", "OWN"}


def test_two_clients_of_one_port_share_a_rule_of_the_server() -> None:
    shop = Shop()
    shop.other.connects_to(shop.server)
    shop.client.connects_to(shop.server)
    both = [rule("from", "client", 8080), rule("from", "other", 8080)]
    peers = [peer for entry in both for peer in each(entry, "from")]
    assert policy(shop, "server") == {"ingress": [{**both[0], "from": peers}]}


def test_an_external_adds_a_way_out_and_its_introduction_and_nothing_else() -> None:
    partner = External(
        name="partner",
        hosts=("api.example.com",),
        port=8443,
        peer=Internet(),
        introduction=variables({"PARTNER": "https://api.example.com:8443"}),
    )
    before, after = Shop(), Shop()
    after.client.connects_to(partner)
    changed = {key for key in after.objects() if after.objects()[key] != before.objects()[key]}
    assert after.objects().keys() == before.objects().keys()
    assert changed == {("NetworkPolicy", "shop-client"), ("Deployment", "shop-client")}
    assert policy(after, "client").keys() == {"egress"}
    [opening] = each(policy(after, "client"), "egress")
    assert list(each(opening, "ports")) == [{"port": 8443, "protocol": "TCP"}]
    assert {at(peer, "ipBlock").get("cidr") for peer in each(opening, "to")} == {"0.0.0.0/0", "::/0"}
    assert environment(pod_of(after, "client"))[0] == ("PARTNER", "https://api.example.com:8443")


# --- Secrets ---

KEYS = SecretSettings(name="database", keys=("password", "user-password"), source=ExistingSecrets())


def test_a_secret_that_exists_renders_nothing() -> None:
    before, after = Shop(), Shop()
    Secret(after.phase, KEYS)
    assert after.objects() == before.objects()


@pytest.mark.parametrize(("remote_key", "found"), [("", "shop/prod/database"), ("shared/database", "shared/database")])
def test_a_secret_of_a_store_renders_one_external_secret_with_every_key(remote_key: str, found: str) -> None:
    before, after = Shop(), Shop()
    store = ExternalSecrets(store="vault", prefix="shop/prod")
    secret = Secret(after.phase, replace(KEYS, source=store, remote_key=remote_key))
    assert after.objects().keys() - before.objects().keys() == {("ExternalSecret", "shop-database")}
    spec = at(after.objects()[("ExternalSecret", "shop-database")], "spec")
    assert spec["secretStoreRef"] == {"name": "vault", "kind": "ClusterSecretStore"}
    # The defaults of the operator's API are there, or a comparison with the live object would differ for ever.
    defaults = {"conversionStrategy": "Default", "decodingStrategy": "None", "metadataPolicy": "None"}
    assert spec["data"] == [
        {"secretKey": key, "remoteRef": {"key": found, "property": key, **defaults}}
        for key in ("password", "user-password")
    ]
    # The Secret that it makes is the one that workloads name. It stays when the store is empty.
    assert at(spec, "target") == {
        "name": secret.key("password").secret,
        "creationPolicy": "Owner",
        "deletionPolicy": "Retain",
    }


# --- mounted code ---

SOURCES = {
    "shop/__init__.py": b"",
    "shop/__main__.py": b"import sys\n\nfrom shop.tools.prices import PRICES\n\nprint(PRICES, *sys.argv[1:])\n",
    "shop/tools/__init__.py": b'"""Tools."""',
    "shop/tools/prices.py": 'PRICES = {"Käse": 3}  # ½ kg \n'.encode(),
    "shop/tools/data/prices.csv": b"name,price\r\ncheese,3\r\n",
    "notes-1.txt": b"---\n\tkey: value  \n\n\n# 'yes' \"no\" $(HOME) {{ x }}\n\n",
    "empty/of words.txt": b" ",
}
"""Packages in packages, and all that could be lost on the way: bytes at the ends, line ends, characters, emptiness."""

LEFT_OUT = {
    ".env": b"PASSWORD=hunter2",
    ".git/config": b"[core]",
    "shop/.cache/data": b"\xff",
    "shop/__pycache__/prices.cpython-310.pyc": b"\xff\xfe\x00",
}


def write(folder: Path, sources: Mapping[str, bytes]) -> Path:
    for path, content in sources.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def deployed(folder: Path, outdir: Path) -> tuple[Manifest, Manifest]:
    """The Deployment and the ConfigMap of an agent whose code is mounted, as they are written."""
    application = Application(ApplicationSettings(name="shop"), outdir=outdir)
    phase = Phase(application, "agents")
    close(phase)
    agent = Agent(
        phase,
        AgentSettings(
            name="bot",
            code=MountedSource(image=images.PYTHON_RUNTIME, folder=folder),
            compute=Compute(cpu="100m", memory="64Mi"),
            module="shop",
            args=("--fast",),
        ),
    )
    compute = Compute(cpu="100m", memory="64Mi")
    agent.connects_to(Registry(phase, RegistrySettings(image=images.REGISTRY, compute=compute, extras=ROOM)))
    application.synth()
    manifests = {
        str(manifest["kind"]): manifest
        for manifest in read_manifests(outdir)
        if name_of(manifest).startswith("shop-bot")
    }
    return manifests["Deployment"], manifests["ConfigMap"]


def mounted(deployment: Manifest, config_map: Manifest) -> dict[str, bytes]:
    """The files that the container finds, by their whole path, as the kubelet puts them there."""
    pod = at(deployment, "spec", "template", "spec")
    [container] = each(pod, "containers")
    places = {mount["name"]: str(mount["mountPath"]) for mount in each(container, "volumeMounts")}
    data = at(config_map, "data")
    files = {}
    for volume in each(pod, "volumes"):
        if at(volume, "configMap").get("name") == name_of(config_map):
            items = {item["path"]: item["key"] for item in each(volume, "configMap", "items")}
            for path, key in (items or {key: key for key in data}).items():
                files[str(PurePosixPath(places[volume["name"]]) / str(path))] = str(data[str(key)]).encode()
    return files


def list_in(value: Mapping[str, object], key: str) -> list[str]:
    found = value.get(key)
    assert isinstance(found, list)
    return [str(entry) for entry in found]


def command_of(deployment: Manifest) -> tuple[list[str], str]:
    [container] = each(deployment, "spec", "template", "spec", "containers")
    return [*list_in(container, "command"), *list_in(container, "args")], str(container["workingDir"])


def checksum_of(deployment: Manifest) -> object:
    return at(deployment, "spec", "template", "metadata", "annotations")["checksum/config"]


@pytest.mark.parametrize("path", SOURCES)
def test_a_mounted_file_is_found_at_its_place_byte_for_byte(path: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "source", {"first.txt": b"first", path: SOURCES[path]})
    deployment, config_map = deployed(folder, tmp_path / "dist")
    _, place = command_of(deployment)
    assert mounted(deployment, config_map) == {f"{place}/first.txt": b"first", f"{place}/{path}": SOURCES[path]}
    for key in at(config_map, "data"):
        assert re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key)


def test_hidden_files_and_caches_are_left_out_wherever_they_lie(tmp_path: Path) -> None:
    clean = write(tmp_path / "clean", SOURCES)
    full = write(tmp_path / "full", SOURCES | LEFT_OUT)
    assert deployed(full, tmp_path / "one") == deployed(clean, tmp_path / "two")
    deployment, config_map = deployed(full, tmp_path / "dist")
    _, place = command_of(deployment)
    assert mounted(deployment, config_map).keys() == {f"{place}/{path}" for path in SOURCES}


def test_a_folder_below_a_hidden_one_is_mounted_all_the_same(tmp_path: Path) -> None:
    folder = write(tmp_path / ".hidden" / "source", SOURCES)
    assert len(mounted(*deployed(folder, tmp_path / "dist"))) == len(SOURCES)


def test_the_mounted_module_is_started_where_it_is_mounted(tmp_path: Path) -> None:
    deployment, config_map = deployed(write(tmp_path / "source", SOURCES), tmp_path / "dist")
    command, place = command_of(deployment)
    assert command == ["python", "-m", "shop", "--fast"]
    # The pod's root, with what is mounted and nothing else.
    root = write(tmp_path / "root", {path.lstrip("/"): text for path, text in mounted(deployment, config_map).items()})
    started = subprocess.run(
        [sys.executable, *command[1:]],
        cwd=root / place.lstrip("/"),
        env={"PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
    )
    assert started.stdout.decode() == "{'Käse': 3} --fast\n", started.stderr


def test_a_changed_source_replaces_the_pods_and_an_equal_one_does_not(tmp_path: Path) -> None:
    folder = write(tmp_path / "source", SOURCES)
    before = checksum_of(deployed(folder, tmp_path / "dist")[0])
    assert checksum_of(deployed(folder, tmp_path / "dist")[0]) == before
    write(folder, {"shop/tools/prices.py": b"PRICES = {}\n"})
    assert checksum_of(deployed(folder, tmp_path / "dist")[0]) != before


def test_neither_the_folder_nor_the_order_of_its_files_is_seen(tmp_path: Path) -> None:
    """A folder is read in the order its file system likes, which may be that in which files were made."""
    one = deployed(write(tmp_path / "one", SOURCES), tmp_path / "dist")
    other = deployed(write(tmp_path / "other" / "deeper", dict(reversed(SOURCES.items()))), tmp_path / "dist")
    assert one == other
    assert list(mounted(*one)) == sorted(mounted(*one))
