"""This module is the schemas: every object is one that the API server of each supported version would take."""

from __future__ import annotations

import copy
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from conftest import ROOT, Manifest, Manifests
from environments import EVERY

pytestmark = pytest.mark.usefixtures("schemas_are_read_once")

OLDEST = 27
NEWEST = int(str(kubernetes_validate.latest_version()).split(".")[1])
VERSIONS = [f"1.{minor}" for minor in range(OLDEST, NEWEST + 1)]


def custom_schemas() -> dict[tuple[str, str], dict[str, object]]:
    """The schemas of the custom resources, by apiVersion and kind."""
    found: dict[tuple[str, str], dict[str, object]] = {}
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        for definition in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            spec = definition["spec"]
            for version in spec["versions"]:
                identity = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                found[identity] = closed(version["schema"]["openAPIV3Schema"])
    return found


def closed(schema: dict[str, object]) -> dict[str, object]:
    """The schema, refusing fields that it does not name. The API server would drop them without a word."""
    result = copy.deepcopy(schema)
    properties = result.get("properties")
    if isinstance(properties, dict):
        result["properties"] = {
            name: value if name == "metadata" else closed(value) for name, value in properties.items()
        }
        result.setdefault("additionalProperties", False)
    if isinstance(result.get("items"), dict):
        result["items"] = closed(result["items"])  # type: ignore[arg-type]
    return result


CUSTOM = custom_schemas()


def is_custom(manifest: Manifest) -> bool:
    return (str(manifest["apiVersion"]), str(manifest["kind"])) in CUSTOM


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("environment", EVERY)
def test_every_object_is_valid_in_every_version(manifests: Manifests, environment: str, version: str) -> None:
    objects = [manifest for manifest in manifests(environment) if not is_custom(manifest)]
    assert len(objects) > 60
    for manifest in objects:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_every_custom_resource_is_valid(
    manifests: Manifests, behind_gateway_api: list[Manifest], for_many_clusters: list[Manifest]
) -> None:
    rendered = (*manifests("prod"), *manifests("argocd"), *behind_gateway_api, *for_many_clusters)
    objects = [manifest for manifest in rendered if is_custom(manifest)]
    kinds = {(str(manifest["apiVersion"]), str(manifest["kind"])) for manifest in objects}
    assert kinds == set(CUSTOM), "a schema that nothing is proven with"
    for manifest in objects:
        jsonschema.validate(manifest, CUSTOM[str(manifest["apiVersion"]), str(manifest["kind"])])


def test_a_misspelled_field_is_refused_in_every_kind_of_schema(
    manifests: Manifests, behind_gateway_api: list[Manifest], for_many_clusters: list[Manifest]
) -> None:
    service = copy.deepcopy(next(m for m in manifests("dev") if m["kind"] == "Service"))
    service["spec"]["selektor"] = {}  # type: ignore[index]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, VERSIONS[-1], strict=True)
    secret = copy.deepcopy(next(m for m in manifests("prod") if m["kind"] == "ExternalSecret"))
    secret["spec"]["data"][0]["remoteRef"]["propertee"] = "x"  # type: ignore[index]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(secret, CUSTOM[str(secret["apiVersion"]), "ExternalSecret"])
    route = copy.deepcopy(next(m for m in behind_gateway_api if m["kind"] == "HTTPRoute"))
    route["spec"]["rules"][0]["backendRefs"][0]["prot"] = 80  # type: ignore[index]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(route, CUSTOM[str(route["apiVersion"]), "HTTPRoute"])
    policy = copy.deepcopy(next(m for m in behind_gateway_api if m["kind"] == "CiliumNetworkPolicy"))
    policy["spec"]["egress"][0]["toPort"] = []  # type: ignore[index]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(policy, CUSTOM[str(policy["apiVersion"]), "CiliumNetworkPolicy"])
    application = copy.deepcopy(next(m for m in manifests("argocd") if m["kind"] == "Application"))
    application["spec"]["source"]["repoUrl"] = "x"  # type: ignore[index]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(application, CUSTOM[str(application["apiVersion"]), "Application"])
    sealed = copy.deepcopy(next(m for m in for_many_clusters if m["kind"] == "SealedSecret"))
    sealed["spec"]["template"]["data"] = {}  # type: ignore[index]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(sealed, CUSTOM[str(sealed["apiVersion"]), "SealedSecret"])


def test_the_template_of_an_application_set_is_an_application(for_many_clusters: list[Manifest]) -> None:
    (many,) = (manifest for manifest in for_many_clusters if manifest["kind"] == "ApplicationSet")
    template: dict[str, object] = many["spec"]["template"]  # type: ignore[index]
    jsonschema.validate(template, CUSTOM[str(many["apiVersion"]), "Application"])


def test_the_oldest_supported_version_is_the_one_of_cdk8s_plus() -> None:
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert f"cdk8s-plus-{OLDEST}==" in pins
    assert Path(str(kubernetes_validate.__file__)).exists()
    assert len(VERSIONS) >= 10
