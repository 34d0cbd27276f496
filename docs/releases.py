"""This module is how the lines of MCP Mesh differ in what is rendered, read from one small application in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcpmesh_k8s import (
    Agent,
    AgentSettings,
    Api,
    ApiSettings,
    Application,
    ApplicationSettings,
    Budget,
    BuiltImage,
    Compute,
    Database,
    ExistingSecrets,
    Image,
    Mesh,
    MeshRelease,
    Namespace,
    NamespaceSettings,
    Phase,
    Postgres,
    PostgresSettings,
    Redis,
    RedisSettings,
    Registry,
    RegistrySettings,
    Secret,
    SecretSettings,
    Tempo,
    TempoSettings,
    images,
)
from mcpmesh_k8s.services.mesh_variables import PREFIX, READ, MeshProgram

SMALL = Compute(cpu="100m", memory="256Mi")
IMAGES = {MeshRelease.V0_5: images.REGISTRY_0_5, MeshRelease.V3: images.REGISTRY}


@dataclass(frozen=True)
class Row:
    """What is compared, and what it is in a line of MCP Mesh."""

    what: str
    rendered: Mapping[MeshRelease, str]


def _code(texts: list[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts)


def _application(mesh: Mesh) -> Application:
    """A registry with all that it needs, an agent and an API service. It is looked at and never written."""
    postgres = PostgresSettings(
        image=images.POSTGRES, compute=SMALL, size="5Gi", databases=(Database(name="mesh", roles=("mesh",)),)
    )
    redis = RedisSettings(image=images.REDIS, compute=SMALL)
    code = BuiltImage(image=Image(repository="acme/code", tag="1.4.2"))
    application = Application(ApplicationSettings(name="shop", mesh=mesh), outdir=Path("build/releases"))
    foundation, meshed, services = (Phase(application, name) for name in ("foundation", "mesh", "services"))

    def secret(name: str, keys: tuple[str, ...]) -> Secret:
        return Secret(foundation, SecretSettings(name=name, keys=keys, source=ExistingSecrets()))

    Namespace(foundation, NamespaceSettings(budget=Budget(cpu="8", memory="16Gi")))
    database = Postgres(foundation, postgres, secret("postgres", postgres.secret_keys)).database("mesh", role="mesh")
    cache = Redis(foundation, redis, secret("redis", redis.secret_keys_of(mesh)))
    tempo = Tempo(foundation, TempoSettings(image=images.TEMPO, compute=SMALL))
    registry = Registry(meshed, RegistrySettings(image=IMAGES[mesh.release], compute=SMALL))
    registry.connects_to(database, cache, wait=True)
    registry.connects_to(tempo.collector)
    for client in (
        Agent(services, AgentSettings(name="agent", code=code, compute=SMALL, module="agent")),
        Api(services, ApiSettings(name="api", code=code, compute=SMALL, module="api")),
    ):
        client.connects_to(registry, cache)
    return application


def _compared() -> dict[MeshRelease, dict[str, Any]]:
    """Every Deployment and NetworkPolicy of each line, by kind and short name."""
    return {
        release: {
            f"{one['kind']} {str(dict(one['metadata'])['name']).removeprefix('shop-')}": one
            for phase in _application(Mesh(release=release)).manifests().values()
            for one in _any(phase)
            if one["kind"] in ("Deployment", "NetworkPolicy", "Secret")
        }
        for release in MeshRelease
    }


def _any(phase: Any) -> Any:
    """Manifests, as they are read by keys."""
    return phase


def mesh_releases() -> str:
    """The rows of the table in which the lines differ."""
    found = _compared()

    def row(what: str, read: Any) -> Row:
        return Row(what, {release: read(objects) for release, objects in found.items()})

    def containers(objects: Any, name: str) -> Any:
        return objects[f"Deployment {name}"]["spec"]["template"]["spec"]["containers"]

    def probes(name: str) -> Any:
        def read(objects: Any) -> str:
            main = containers(objects, name)[0]
            asked = (main[f"{each}Probe"].get("httpGet", {}).get("path", "a connection") for each in PROBES)
            return ", ".join(f"`{one}`" if one.startswith("/") else one for one in asked)

        return read

    def only(name: str) -> Any:
        names = {
            release: {variable["name"] for variable in containers(objects, name)[0]["env"]}
            for release, objects in found.items()
        }
        return Row(
            f"variables of {TITLES[name]} that it alone has",
            {
                release: _code(sorted(given - set.intersection(*names.values()))) or "none"
                for release, given in names.items()
            },
        )

    def reached(objects: Any) -> str:
        return _code(
            sorted(
                f"{peer['podSelector']['matchLabels']['app.kubernetes.io/name'].removeprefix('shop-')}:{port['port']}"
                for rule in objects["NetworkPolicy registry"]["spec"]["egress"]
                for peer in rule["to"]
                for port in rule["ports"]
            )
        )

    rows = [
        row("probes of an agent: startup, readiness, liveness", probes("agent")),
        row("probes of an API service", probes("api")),
        *(only(name) for name in TITLES),
        row("whom the registry reaches", reached),
        row(
            "how one registry makes way for the next",
            lambda objects: f"`{objects['Deployment registry']['spec']['strategy']['type']}`",
        ),
        row("containers of Redis' pod", lambda objects: _code([one["name"] for one in containers(objects, "redis")])),
        Row(
            "passwords in Redis' Secret",
            {
                release: _code(
                    [
                        key.removesuffix("-password")
                        for key in RedisSettings(image=images.REDIS, compute=SMALL).secret_keys_of(
                            Mesh(release=release)
                        )
                    ]
                )
                for release in MeshRelease
            },
        ),
        Row(
            "how many registries",
            {release: "one" if release.alone else "several, on one PostgreSQL" for release in MeshRelease},
        ),
        Row(
            "`RegistrySettings.calls_agents`",
            {release: "may be chosen" if release.calls_agents else "refused" for release in MeshRelease},
        ),
    ]
    return "\n".join(
        [
            f"| what | {' | '.join(f'`{release.name}`' for release in MeshRelease)} |",
            "| --- | --- | --- |",
            *(f"| {one.what} | {' | '.join(one.rendered[release] for release in MeshRelease)} |" for one in rows),
        ]
    )


PROBES = ("startup", "readiness", "liveness")
TITLES = {"registry": "the registry", "agent": "an agent", "redis": "Redis"}


def mesh_variables() -> str:
    """Which names each program of each line reads."""
    lines = [f"| program | line | what it reads of `{PREFIX}…` |", "| --- | --- | --- |"]
    for program in MeshProgram:
        for release, programs in READ.items():
            if program in programs:
                names = _code(sorted(name.removeprefix(PREFIX) for name in programs[program]))
                lines.append(f"| {program.value.removeprefix('the ')} | `{release.name}` | {names} |")
    return "\n".join(lines)
