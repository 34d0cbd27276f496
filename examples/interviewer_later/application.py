"""This module is the later AI Interviewer wired up: `python -m interviewer_later.application` writes it."""

import mcpmesh_k8s as mcpmesh

from . import settings


def interviewer(outdir: str = "dist/interviewer") -> mcpmesh.Application:
    """The application: its services by phase, and who connects to whom."""
    whole = mcpmesh.Application(settings.APPLICATION, outdir=outdir)
    foundation, mesh, services, access = (mcpmesh.Phase(whole, name) for name in settings.PHASES)

    def secret(name: str, *keys: str | mcpmesh.IssuedKey | mcpmesh.RandomKey) -> mcpmesh.Secret:
        return mcpmesh.Secret(foundation, mcpmesh.SecretSettings(name=name, keys=keys, source=settings.SECRETS))

    mcpmesh.Namespace(foundation, mcpmesh.NamespaceSettings(budget=settings.BUDGET))
    postgres = mcpmesh.Postgres(foundation, settings.POSTGRES, secret("postgres", *settings.POSTGRES.secret_keys))
    redis = mcpmesh.Redis(foundation, settings.REDIS, secret("redis", *settings.REDIS.secret_keys_of(settings.MESH)))
    minio = mcpmesh.Minio(foundation, settings.MINIO, secret("minio", *settings.MINIO.secret_keys))
    mcpmesh.Bucket(foundation, settings.UPLOADS, minio)
    tempo = mcpmesh.Tempo(foundation, settings.TEMPO)
    registry = mcpmesh.Registry(mesh, settings.REGISTRY)
    backend = mcpmesh.Api(services, settings.BACKEND)
    agents = {agent.name: mcpmesh.Agent(services, agent) for agent in settings.AGENTS}
    grafana = mcpmesh.Grafana(services, settings.GRAFANA, secret("grafana", *settings.GRAFANA.secret_keys))

    registry.connects_to(postgres.database("mcpmesh", role="mcpmesh"), redis, wait=True)
    registry.connects_to(tempo.collector)
    for name, client in {"backend": backend, **agents}.items():
        client.connects_to(registry)
        # The caches of some give no password; the mesh's runtime gives one everywhere.
        cached = name in ("user-agent", "application-agent", "interview-agent")
        client.connects_to(redis.user("default") if cached else redis, wait=True)
        role = name.replace("-", "_")
        if role in settings.AGENTS_WITH_TABLES:
            client.connects_to(postgres.database("ai_interviewer", role=role), wait=True)
    user, application, job, interview, file, pdf, claude, openai = agents.values()
    backend.connects_to(user, application, job, interview, file, minio)
    backend.connects_to(settings.recaptcha(secret("recaptcha", *settings.RECAPTCHA_KEYS)))
    user.connects_to(application, pdf)
    application.connects_to(user, job, claude, openai)
    job.connects_to(interview, claude, openai)
    interview.connects_to(application, job, claude, openai)
    pdf.connects_to(user, claude, openai, minio.anonymous)
    claude.connects_to(settings.model("anthropic", "CLAUDE_API_KEY", secret("claude", settings.ANTHROPIC_KEY)))
    openai.connects_to(settings.model("openai", "OPENAI_API_KEY", secret("openai", settings.OPENAI_KEY)))

    login = settings.LOGIN.create(access, secret)
    gateway = mcpmesh.Gateway(access, settings.GATEWAY, settings.routes(backend, grafana), login)
    mcpmesh.Exposure(access, settings.EXPOSURE, gateway)
    mcpmesh.SmokeTest(access, settings.SMOKE_TEST, gateway, registry)
    return whole


if __name__ == "__main__":
    interviewer().synth()
