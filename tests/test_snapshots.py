"""This module is the snapshots: one facet of one environment each, small enough to be read before it is updated."""

from __future__ import annotations

import pytest
import yaml
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from syrupy.location import PyTestLocation
from syrupy.types import SerializableData, SerializedData, SnapshotIndex

import facets
from ai_interviewer import PROD, AiInterviewer, EnvironmentSettings
from conftest import Manifest, Manifests
from encrypted import ENCRYPTED
from environments import EVERY, SETTINGS


class YamlTable(SingleFileSnapshotExtension):
    """A snapshot as a YAML file that people read."""

    file_extension = "yaml"
    _write_mode = WriteMode.TEXT

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: SnapshotIndex = 0) -> str:
        return str(index)

    def serialize(self, data: SerializableData, **_: object) -> SerializedData:
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=140)


@pytest.fixture
def table(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(YamlTable)


@pytest.mark.parametrize("environment", EVERY)
@pytest.mark.parametrize("facet", facets.FACETS)
def test_facet_is_as_reviewed(table: SnapshotAssertion, manifests: Manifests, facet: str, environment: str) -> None:
    assert facets.FACETS[facet](manifests(environment)) == table(name=f"{facet}-{environment}")


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=EVERY)
def test_what_goes_beyond_the_library_is_as_reviewed(table: SnapshotAssertion, settings: EnvironmentSettings) -> None:
    """``test_properties.py`` says which of these may be there at all."""
    whole = AiInterviewer(settings, outdir="unused")
    assert facets.exceptions(whole) == table(name=f"exceptions-{settings.name}")


def test_behind_the_gateway_api_the_same_is_reached(
    table: SnapshotAssertion, behind_gateway_api: list[facets.Table]
) -> None:
    assert facets.access(behind_gateway_api) == table(name="access-gateway-api")


@pytest.mark.parametrize("environment", EVERY[1:])
def test_an_environment_differs_from_the_first_as_reviewed(
    table: SnapshotAssertion, manifests: Manifests, environment: str
) -> None:
    assert facets.difference(manifests(EVERY[0]), manifests(environment)) == table(name=f"difference-{environment}")


@pytest.mark.parametrize("choice", ENCRYPTED)
def test_what_encrypts_transit_changes_production_as_reviewed(
    table: SnapshotAssertion, manifests: Manifests, in_transit: dict[str, list[Manifest]], choice: str
) -> None:
    assert facets.difference(manifests(PROD.name), in_transit[choice]) == table(name=f"difference-{choice}")
