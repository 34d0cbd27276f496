"""An MCP Mesh application with one agent of its own: `python shop.py` writes dist/shop, ready to be deployed."""

import mcpmesh_k8s as mcpmesh

SMALL = mcpmesh.Compute(cpu="100m", memory="256Mi", cpu_limit="500m", memory_limit="512Mi")
POSTGRES = mcpmesh.PostgresSettings(
    image=mcpmesh.images.POSTGRES,
    compute=SMALL,
    size="5Gi",
    databases=(mcpmesh.Database(name="mesh", roles=("mesh",)),),
)
REDIS = mcpmesh.RedisSettings(image=mcpmesh.images.REDIS, compute=SMALL)
PRICES = mcpmesh.AgentSettings(
    name="prices",
    code=mcpmesh.BuiltImage(image=mcpmesh.Image(repository="acme/prices", tag="1.4.2")),
    compute=SMALL,
    module="prices",
)

shop = mcpmesh.Application(mcpmesh.ApplicationSettings(name="shop"), outdir="dist/shop")
foundation, mesh, services = (mcpmesh.Phase(shop, name) for name in ("foundation", "mesh", "services"))


def secret(name: str, *keys: str | mcpmesh.IssuedKey | mcpmesh.RandomKey) -> mcpmesh.Secret:
    """A Secret that exists in the cluster."""
    return mcpmesh.Secret(foundation, mcpmesh.SecretSettings(name=name, keys=keys, source=mcpmesh.ExistingSecrets()))


mcpmesh.Namespace(foundation, mcpmesh.NamespaceSettings(budget=mcpmesh.Budget(cpu="2", memory="4Gi")))
postgres = mcpmesh.Postgres(foundation, POSTGRES, secret("postgres", *POSTGRES.secret_keys))
redis = mcpmesh.Redis(foundation, REDIS, secret("redis", *REDIS.secret_keys))
registry = mcpmesh.Registry(mesh, mcpmesh.RegistrySettings(image=mcpmesh.images.REGISTRY, compute=SMALL))
prices = mcpmesh.Agent(services, PRICES)

# A path exists when it is said here, in both directions, and a store's and the registry's variables come with it.
registry.connects_to(postgres.database("mesh", role="mesh"), redis, wait=True)
prices.connects_to(redis, wait=True)
prices.connects_to(registry)
shop.synth()
