"""This module is the trip planner wired up: `python -m trip_planner.application` writes what is deployed."""

import mcpmesh_k8s as mcpmesh

from . import settings


def trip_planner(outdir: str = "dist/trip-planner") -> mcpmesh.Application:
    """The application: its services by phase, and who connects to whom."""
    whole = mcpmesh.Application(settings.APPLICATION, outdir=outdir)
    foundation, mesh, services, access = (mcpmesh.Phase(whole, name) for name in settings.PHASES)

    def secret(name: str, *keys: str | mcpmesh.IssuedKey | mcpmesh.RandomKey) -> mcpmesh.Secret:
        return mcpmesh.Secret(foundation, mcpmesh.SecretSettings(name=name, keys=keys, source=settings.SECRETS))

    mcpmesh.Namespace(foundation, mcpmesh.NamespaceSettings(budget=settings.BUDGET))
    postgres = mcpmesh.Postgres(foundation, settings.POSTGRES, secret("postgres", *settings.POSTGRES.secret_keys))
    redis = mcpmesh.Redis(foundation, settings.REDIS, secret("redis", *settings.REDIS.secret_keys))
    registry = mcpmesh.Registry(mesh, settings.REGISTRY)
    dashboard = mcpmesh.MeshDashboard(services, settings.DASHBOARD)
    api = mcpmesh.Api(services, settings.API)
    agents = {agent.name: mcpmesh.Agent(services, agent) for agent in settings.AGENTS}
    planner, profiles, fares, booking, claude = agents.values()
    report = mcpmesh.Task(services, settings.REPORT)

    registry.connects_to(postgres.database("mesh", role="mesh"), redis, wait=True)
    registry.accepts_from(settings.FORECAST)
    dashboard.connects_to(postgres.database("mesh", role="dashboard"), wait=True)
    dashboard.connects_to(registry, redis)
    for client in (api, *agents.values()):
        client.connects_to(registry, redis)
    api.connects_to(planner)
    planner.connects_to(profiles, fares, booking, claude, settings.WEATHER)
    profiles.connects_to(settings.DATABASE)
    report.connects_to(settings.DATABASE)
    fares.connects_to(settings.cache(secret("cache", "password")))
    booking.connects_to(settings.partner(secret("partner", "api-key")))
    claude.connects_to(settings.anthropic(secret("anthropic", "api-key")))

    login = settings.LOGIN.create(access, secret)
    gateway = mcpmesh.Gateway(access, settings.GATEWAY, settings.routes(api, dashboard), login)
    for exposure in settings.EXPOSURES:
        mcpmesh.Exposure(access, exposure, gateway)
    mcpmesh.SmokeTest(access, settings.SMOKE_TEST, gateway, registry)
    return whole


def argocd(deployed: mcpmesh.Application, outdir: str = "dist/argocd") -> mcpmesh.Application:
    """What ArgoCD is told."""
    whole = mcpmesh.Application(settings.ARGOCD, outdir=outdir)
    applications = mcpmesh.Phase(whole, "applications")
    project = mcpmesh.ArgoCdProject(applications, settings.PROJECT)
    for cluster in settings.CLUSTERS:
        mcpmesh.ArgoCdApplication(applications, cluster, project, deployed)
    return whole


if __name__ == "__main__":
    mcpmesh.synthesize([deployed := trip_planner(), argocd(deployed)])
