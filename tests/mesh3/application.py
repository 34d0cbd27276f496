"""This module is a small application of MCP Mesh 3.x, with the library's defaults: what the tests run."""

from __future__ import annotations

from pathlib import Path

import mcpmesh_k8s as mcpmesh
from mcpmesh_k8s import images

SMALL = mcpmesh.Compute(cpu="100m", memory="256Mi", cpu_limit="1", memory_limit="512Mi")
CODE = mcpmesh.BuiltImage(image=mcpmesh.Image(repository="acme/shop", tag="1.4.2"))
NAME = "ai-interviewer"
"""That of the application whose stores the tests know how to start."""


def write(folder: Path, mesh: mcpmesh.Mesh | None = None) -> None:
    """Write the manifests: an API service calls an agent, which calls another one.

    Args:
        mesh: Which mesh; what a new application has unless given.
    """
    settings = mcpmesh.ApplicationSettings(name=NAME, mesh=mesh or mcpmesh.Mesh())
    shop = mcpmesh.Application(settings, outdir=folder)
    foundation, meshes, services = (mcpmesh.Phase(shop, name) for name in ("foundation", "mesh", "services"))

    def secret(name: str, keys: tuple[str, ...]) -> mcpmesh.Secret:
        source = mcpmesh.ExistingSecrets()
        return mcpmesh.Secret(foundation, mcpmesh.SecretSettings(name=name, keys=keys, source=source))

    mcpmesh.Namespace(foundation, mcpmesh.NamespaceSettings(budget=mcpmesh.Budget(cpu="8", memory="16Gi")))
    of_postgres = mcpmesh.PostgresSettings(
        image=images.POSTGRES,
        compute=SMALL,
        size="5Gi",
        databases=(mcpmesh.Database(name="mcpmesh", roles=("mcpmesh",)),),
    )
    of_redis = mcpmesh.RedisSettings(image=images.REDIS, compute=SMALL)
    postgres = mcpmesh.Postgres(foundation, of_postgres, secret("postgres", of_postgres.secret_keys))
    redis = mcpmesh.Redis(foundation, of_redis, secret("redis", of_redis.secret_keys_of(settings.mesh)))
    tempo = mcpmesh.Tempo(foundation, mcpmesh.TempoSettings(image=images.TEMPO, compute=SMALL))
    image = images.REGISTRY if settings.mesh.release is mcpmesh.MeshRelease.V3 else images.REGISTRY_0_5
    registry = mcpmesh.Registry(meshes, mcpmesh.RegistrySettings(image=image, compute=SMALL))
    registry.connects_to(postgres.database("mcpmesh", role="mcpmesh"), redis, wait=True)
    registry.connects_to(tempo.collector)
    stock, prices = (
        mcpmesh.Agent(services, mcpmesh.AgentSettings(name=name, code=CODE, compute=SMALL, module=name))
        for name in ("stock", "prices")
    )
    web = mcpmesh.Api(
        services,
        mcpmesh.ApiSettings(
            name="web",
            code=CODE,
            compute=SMALL,
            module="uvicorn",
            args=("web:app", "--host", "0.0.0.0", "--port", "8080"),
        ),
    )
    for one in (stock, prices, web):
        one.connects_to(redis, wait=True)
        one.connects_to(registry)
    prices.connects_to(stock)
    web.connects_to(prices)
    shop.synth()
