"""This module is bad input: every wrong value is refused with what was given, where, and what to give instead.

Every case tries to write an environment over an earlier one. What was there must stay as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ai_interviewer import DEV, PROD, AiInterviewer, EnvironmentSettings
from mcpmesh_k8s import (
    Agent,
    AgentSettings,
    ApiAccess,
    ApiRule,
    ApiServer,
    Application,
    ApplicationSettings,
    Audience,
    Autoscaling,
    Availability,
    Budget,
    BuiltImage,
    Claim,
    Compute,
    Container,
    DevIdentity,
    External,
    Gateway,
    GatewayApiExposure,
    Image,
    IngressExposure,
    Internet,
    Java,
    Kubelet,
    MetricsEndpoint,
    MountedSource,
    NamespacePods,
    NoProbes,
    NoTls,
    OAuth2ProxySettings,
    OpenIdConnect,
    Phase,
    Port,
    PrometheusSettings,
    RateLimit,
    RedisUser,
    Registry,
    Replicas,
    RoleConnections,
    Route,
    SealedSecrets,
    SettingError,
    Slack,
    SmokeTest,
    SmokeTestSettings,
    TreeError,
    TypeScript,
    User,
    Variable,
    Workload,
    WorkloadSettings,
    images,
    synthesize,
    variables,
)

EARLIER = "kind: Namespace # what was deployed before\n"
SMALL = Compute(cpu="100m", memory="64Mi")
ONE = Replicas(count=1)
DEVELOPER = DevIdentity(email="developer@example.com")
Build = Callable[[Path], Application]


@dataclass(frozen=True)
class Case:
    """A wrong value, and the words a stranger needs to mend it."""

    says: tuple[str, ...]
    build: Build
    error: type[Exception] = SettingError


def application(outdir: Path, environment: EnvironmentSettings = DEV) -> AiInterviewer:
    return AiInterviewer(environment, outdir=outdir / environment.name)


def environment(change: Callable[[], EnvironmentSettings]) -> Build:
    """An environment with one wrong setting."""
    return lambda outdir: application(outdir, change())


def added(change: Callable[[AiInterviewer, Phase], object]) -> Build:
    """The whole application, and one wrong thing more."""

    def build(outdir: Path) -> Application:
        whole = application(outdir)
        change(whole, Phase(whole, "more"))
        return whole

    return build


def agent(scope: Phase, name: str) -> Agent:
    return Agent(
        scope,
        AgentSettings(
            name=name,
            code=BuiltImage(image=Image(repository="acme/agent", tag="1.2.3")),
            compute=SMALL,
            module="agent",
        ),
    )


def with_user(user: RedisUser) -> EnvironmentSettings:
    """The development environment with one user of Redis."""
    return replace(DEV, redis=replace(DEV.redis, users=(user,)))


def with_sessions(**most: int) -> EnvironmentSettings:
    """The development environment with so many sessions for each role."""
    limits = tuple(RoleConnections(role=role, most=number) for role, number in most.items())
    return replace(DEV, postgres=replace(DEV.postgres, connections=limits))


def service(
    *,
    name: str = "extra",
    ports: tuple[Port, ...] = (Port(number=8080),),
    environment: tuple[Variable, ...] = (),
    scale: Replicas | Autoscaling = ONE,
    volumes: tuple[Claim, ...] = (),
    min_available: int = 0,
) -> WorkloadSettings:
    return WorkloadSettings(
        name=name,
        availability=Availability(scale=scale, min_available=min_available),
        container=Container(
            name="main",
            image=images.REDIS,
            user=User(uid=1000, gid=1000),
            compute=SMALL,
            ports=ports,
            variables=environment,
            volumes=volumes,
            probes=NoProbes(because="No test starts it."),
        ),
    )


def of(name: str, application: Application) -> Workload:
    return next(pod for pod in application.pods if pod.name == name and isinstance(pod, Workload))


def big_source(outdir: Path) -> Path:
    folder = outdir / "source"
    folder.mkdir(parents=True)
    (folder / "main.py").write_text("#" * (1024 * 1024))
    return folder


def unreadable_source(outdir: Path) -> Path:
    folder = outdir / "source"
    folder.mkdir(parents=True)
    (folder / "main.py").symlink_to(folder / "main.py")
    (folder / "data.bin").write_bytes(b"\xff\xfe\x00")
    return folder


def unwritable(outdir: Path) -> Application:
    (outdir / "file").write_text("not a folder")
    return AiInterviewer(DEV, outdir=outdir / "file" / "dev")


def routed(*paths: str) -> Build:
    """A second gateway with these paths."""

    def build(outdir: Path) -> Application:
        whole = application(outdir)
        backend = of("backend", whole)
        routes = [Route(path=path, to=backend, audience=Audience.PUBLIC) for path in paths]
        Gateway(Phase(whole, "more"), replace(DEV.gateway, name="second"), routes, DEVELOPER)
        return whole

    return build


def public_route_that(**wrong: object) -> Build:
    """A route for everyone with one wrong field."""

    def build(outdir: Path) -> Application:
        whole = application(outdir)
        route = Route(path="/x", to=of("backend", whole), audience=Audience.PUBLIC)
        replace(route, **wrong)  # type: ignore[arg-type]
        return whole

    return build


def smoke_test(whole: AiInterviewer, phase: Phase, *, path: str = "/health", deadline_seconds: int = 300) -> None:
    settings = SmokeTestSettings(
        image=images.PYTHON_RUNTIME, path=path, deadline_seconds=deadline_seconds, name="second"
    )
    gateway, registry = of("nginx-gateway", whole), of("registry", whole)
    assert isinstance(gateway, Gateway)
    assert isinstance(registry, Registry)
    SmokeTest(phase, settings, gateway, registry)


def other_application(whole: AiInterviewer, phase: Phase) -> None:
    other = Application(ApplicationSettings(name="other"), outdir=whole.directory / "other")
    agent(phase, "client").connects_to(agent(Phase(other, "foundation"), "server"))


CASES = {
    "a moving tag": Case(
        ("Image.tag of mcpmesh/registry", "'0.5'", "moves", "'0.5.3'"),
        environment(
            lambda: replace(DEV, registry=replace(DEV.registry, image=Image(repository="mcpmesh/registry", tag="0.5")))
        ),
    ),
    "latest": Case(
        ("Image.tag of minio/minio", "'latest'", "full version"),
        environment(
            lambda: replace(DEV, minio=replace(DEV.minio, image=Image(repository="minio/minio", tag="latest")))
        ),
    ),
    "a missing tag": Case(
        ("Image.tag of postgres", "''", "exact tag"),
        environment(lambda: replace(DEV, postgres=replace(DEV.postgres, image=Image(repository="postgres")))),
    ),
    "a malformed digest": Case(
        ("Image.digest", "'sha256:123'", "64"),
        environment(
            lambda: replace(
                DEV, redis=replace(DEV.redis, image=Image(repository="redis", tag="7.4.5", digest="sha256:123"))
            )
        ),
    ),
    "a limit below its request": Case(
        ("Compute.memory_limit", "'128Mi'", "at least the request, 256Mi"),
        environment(
            lambda: replace(
                DEV,
                redis=replace(DEV.redis, compute=Compute(cpu="100m", memory="256Mi", memory_limit="128Mi")),
            )
        ),
    ),
    "a CPU limit below its request": Case(
        ("Compute.cpu_limit", "'50m'", "at least the request, 100m"),
        environment(
            lambda: replace(DEV, redis=replace(DEV.redis, compute=Compute(cpu="100m", memory="256Mi", cpu_limit="50m")))
        ),
    ),
    "a malformed quantity": Case(
        ("Compute.memory", "'1GB'", "'256Mi'"),
        environment(lambda: replace(DEV, redis=replace(DEV.redis, compute=Compute(cpu="1", memory="1GB")))),
    ),
    "a user of Redis of a name that is taken": Case(
        ("RedisUser.name", "'mesh'", "has one of this name"),
        environment(lambda: with_user(RedisUser(name="mesh", keys=("user:*",), commands=("get",)))),
    ),
    "a user of Redis with a name that no variable can have": Case(
        ("RedisUser.name", "'a b'", "lower-case letters"),
        environment(lambda: with_user(RedisUser(name="a b", keys=("user:*",), commands=("get",)))),
    ),
    "a user of Redis without keys": Case(
        ("RedisUser.keys", "connects to the Redis itself"),
        environment(lambda: with_user(RedisUser(name="shop", keys=(), commands=("get",)))),
    ),
    "a pattern of keys that is two words": Case(
        ("RedisUser.keys of 'shop'", "'user:* +@all'", "letters, digits"),
        environment(lambda: with_user(RedisUser(name="shop", keys=("user:* +@all",), commands=("get",)))),
    ),
    "a category of commands": Case(
        ("RedisUser.commands of 'shop'", "'@all'", "no category"),
        environment(lambda: with_user(RedisUser(name="shop", keys=("user:*",), commands=("@all",)))),
    ),
    "a command that rules the server": Case(
        ("RedisUser.commands of 'shop'", "'config|get'", "Only its operator"),
        environment(lambda: with_user(RedisUser(name="shop", keys=("user:*",), commands=("config|get",)))),
    ),
    "two users of Redis of one name": Case(
        ("RedisSettings.users", "'backend'", "twice"),
        environment(lambda: replace(DEV, redis=replace(DEV.redis, users=DEV.redis.users * 2))),
    ),
    "a user that Redis does not have": Case(
        ("ai-interviewer-redis user", "'frontend'", "backend, default"),
        added(lambda whole, _: of("redis", whole).user("frontend")),  # type: ignore[attr-defined]
    ),
    "sessions of a role that is nowhere": Case(
        ("PostgresSettings.connections", "'frontend'", "mcpmesh, backend, interview_agent"),
        environment(lambda: with_sessions(frontend=5)),
    ),
    "more sessions than the server takes": Case(
        ("PostgresSettings.connections", "120 and 0 roles", "the server takes"),
        environment(lambda: with_sessions(mcpmesh=40, backend=40, interview_agent=40)),
    ),
    "no session left for another role": Case(
        ("PostgresSettings.connections", "and 1 roles without a number"),
        environment(lambda: with_sessions(mcpmesh=46, backend=46)),
    ),
    "a role without a session": Case(
        ("RoleConnections.most of 'backend'", "0", "1 or more"),
        environment(lambda: with_sessions(backend=0)),
    ),
    "two numbers for one role": Case(
        ("PostgresSettings.connections", "'backend'", "twice"),
        environment(
            lambda: replace(
                DEV, postgres=replace(DEV.postgres, connections=(RoleConnections(role="backend", most=5),) * 2)
            )
        ),
    ),
    "a negative quantity": Case(
        ("Compute.cpu", "'-1'", "positive"),
        environment(lambda: replace(DEV, redis=replace(DEV.redis, compute=Compute(cpu="-1", memory="1Gi")))),
    ),
    "a name that is not a DNS label": Case(
        ("AgentSettings.name", "PDF_Extractor", "DNS label", "'pdf-extractor'"),
        added(lambda _, phase: agent(phase, "PDF_Extractor")),
    ),
    "a name that is too long once prefixed": Case(
        ("Agent name", "65 characters", "at most 63"),
        added(lambda _, phase: agent(phase, "a" * 50)),
    ),
    "a second agent of one name": Case(
        ("Agent name", "'pdf-extractor'", "has this name already"),
        added(lambda _, phase: agent(phase, "pdf-extractor")),
    ),
    "a second service of one name": Case(
        ("Workload name", "'redis'", "Another Redis has this name already"),
        added(lambda _, phase: Workload(phase, service(name="redis"))),
    ),
    "a port out of range": Case(
        ("Port.number of 'http'", "70000", "1 to 65535"),
        added(lambda _, phase: Workload(phase, service(ports=(Port(number=70000),)))),
    ),
    "a port that needs privileges": Case(
        ("Port.container of 'http'", "80", "1024 or more"),
        added(lambda _, phase: Workload(phase, service(ports=(Port(number=80),)))),
    ),
    "a port that is taken twice in a pod": Case(
        ("port", "8080", "twice"),
        added(
            lambda _, phase: Workload(
                phase, service(ports=(Port(number=8080), Port(name="admin", number=9090, container=8080)))
            )
        ),
    ),
    "a target of another application": Case(
        ("ai-interviewer-client connects_to", "'other-server'", "Unknown target"),
        added(other_application),
    ),
    "a target that is connected already": Case(
        ("ai-interviewer-backend connects_to", "'ai-interviewer-registry'", "connected already"),
        added(lambda whole, _: of("backend", whole).connects_to(of("registry", whole))),
    ),
    "a database that is not there": Case(
        ("ai-interviewer-postgres database", "'users'", "mcpmesh, ai_interviewer"),
        added(lambda whole, _: of("postgres", whole).database("users", role="backend")),  # type: ignore[attr-defined]
    ),
    "a port that the target does not have": Case(
        ("ai-interviewer-redis port", "'cluster'", "redis, metrics"),
        added(lambda whole, _: of("redis", whole).endpoint("cluster")),
    ),
    "the right to read Secrets": Case(
        ("ApiRule.resources", "'secrets'", "Secrets cannot be read"), added(lambda *_: ApiRule(resources=("secrets",)))
    ),
    "every resource of the API": Case(
        ("ApiRule.resources", "'*'", "Name each resource"), added(lambda *_: ApiRule(resources=("*",)))
    ),
    "the right to change objects": Case(
        ("ApiRule.verbs", "'delete'", "get, list, watch"),
        added(lambda *_: ApiRule(resources=("pods",), verbs=("delete",))),
    ),
    "access to the API without a reason": Case(
        ("ApiAccess.because", "Say why"),
        added(lambda *_: ApiAccess(because=" ", rules=(ApiRule(resources=("pods",)),))),
    ),
    "access to nothing of the API": Case(
        ("ApiAccess.rules", "Give what it may read"), added(lambda *_: ApiAccess(because="It is a test."))
    ),
    "an API server that is nowhere": Case(
        ("ApiServer.peers", "Give at least one"), added(lambda *_: ApiServer(peers=()))
    ),
    "metrics on a port that the pod does not have": Case(
        ("ai-interviewer-extra", "'metrics'", "http"),
        added(lambda _, phase: Workload(phase, replace(service(), metrics=(MetricsEndpoint(),)))),
    ),
    "a path of metrics with a query": Case(
        ("MetricsEndpoint.path", "'/metrics?all=1'", "without a query"),
        added(lambda *_: MetricsEndpoint(path="/metrics?all=1")),
    ),
    "metrics that are asked for all the time": Case(
        ("MetricsEndpoint.interval_seconds", "1", "5 to 120"), added(lambda *_: MetricsEndpoint(interval_seconds=1))
    ),
    "kubelets that are nowhere": Case(("Kubelet.nodes", "kubelet=None"), added(lambda *_: Kubelet(nodes=()))),
    "samples that are kept for no time": Case(
        ("PrometheusSettings.retention_days", "0", "1 or more"), added(lambda *_: PrometheusSettings(retention_days=0))
    ),
    "a channel that is none": Case(
        ("Slack.channel", "'interviews'", "'#channel'"), added(lambda *_: Slack(channel="interviews"))
    ),
    "a variable that is set twice": Case(
        ("ai-interviewer-extra variable", "'REDIS_HOST'", "twice"),
        added(
            lambda whole, phase: Workload(
                phase, service(environment=variables({"REDIS_HOST": "ai-interviewer-redis"}))
            ).connects_to(of("redis", whole))
        ),
    ),
    "replicas over one claim": Case(
        ("ai-interviewer-extra scale", "count=2", "ReadWriteOnce", "Replicas(count=1)"),
        added(lambda _, phase: Workload(phase, service(scale=Replicas(count=2), volumes=(Claim(size="1Gi"),)))),
    ),
    "a smoke test of a route that asks for a login": Case(
        ("SmokeTestSettings.path", "'/api/'", "a public route of the gateway: /static/, /health"),
        added(lambda whole, phase: smoke_test(whole, phase, path="/api/")),
    ),
    "a smoke test without time": Case(
        ("SmokeTestSettings.deadline_seconds", "0", "1 or more"),
        added(lambda whole, phase: smoke_test(whole, phase, deadline_seconds=0)),
    ),
    "sealed Secrets without a value": Case(
        ("SealedSecrets.values of 'ai-interviewer-postgres'", "password: nothing", '"$POSTGRES_PASSWORD" | kubeseal'),
        environment(lambda: replace(PROD, secrets=SealedSecrets(values=()))),
    ),
    "a default branch": Case(
        ("ArgoCdSettings.target_revision", "'HEAD'", "Name the branch"),
        environment(lambda: replace(PROD, argocd=replace(PROD.argocd, target_revision="HEAD"))),
    ),
    "a budget that blocks every drain": Case(
        ("Availability.min_available", "2", "blocks every drain", "fewer than 2"),
        environment(
            lambda: replace(
                DEV, backend=replace(DEV.backend, availability=replace(DEV.backend.availability, min_available=2))
            )
        ),
    ),
    "requests beyond the CPU of the cluster": Case(
        ("Budget.cpu of ai-interviewer", "2 CPU", "All requests together are", "postgres 1010m CPU"),
        environment(lambda: replace(DEV, budget=Budget(cpu="2", memory="8Gi"))),
    ),
    "requests beyond the memory of the cluster": Case(
        ("Budget.memory of ai-interviewer", "4Gi", "5 x backend 2500m CPU, 2560Mi"),
        environment(lambda: replace(PROD, budget=Budget(cpu="8", memory="4Gi"))),
    ),
    "a literal secret": Case(
        ("Variable.value of ANTHROPIC_API_KEY", "(not shown)", "secret.key('password')"),
        added(lambda _, phase: Workload(phase, service(environment=variables({"ANTHROPIC_API_KEY": "sk-ant-1"})))),
    ),
    "a password in a URL": Case(
        ("Variable.value of DATABASE", "(not shown)", "Secret"),
        added(lambda _, phase: Workload(phase, service(environment=variables({"DATABASE": "pg://me:pw@host/db"})))),
    ),
    "an autoscaler with its minimum above its maximum": Case(
        ("Autoscaling.maximum", "2", "at least the minimum, 3"),
        environment(
            lambda: replace(
                PROD, backend=replace(PROD.backend, availability=Availability(scale=Autoscaling(minimum=3, maximum=2)))
            )
        ),
    ),
    "storage shrunk to zero": Case(
        ("PostgresSettings.size", "'0Gi'", "more than zero"),
        environment(lambda: replace(DEV, postgres=replace(DEV.postgres, size="0Gi"))),
    ),
    "a source folder that is not there": Case(
        ("MountedSource.folder", "nowhere", "a folder that exists"),
        lambda outdir: mounted(outdir, outdir / "nowhere"),
    ),
    "a source folder that cannot be read": Case(
        ("MountedSource.folder", "readable text files"),
        lambda outdir: mounted(outdir, unreadable_source(outdir / "inputs")),
    ),
    "a source folder that is too large": Case(
        ("Files.files of 'source'", "at most 1048576", "Build an image"),
        lambda outdir: mounted(outdir, big_source(outdir / "inputs")),
    ),
    "a folder that cannot be written": Case(("outdir", "file/dev", "can be written"), unwritable),
    "an image that runs as root": Case(("User", "(0, 0)", "root"), added(lambda *_: User(uid=0, gid=0))),
    "a route twice": Case(("Gateway routes", "'/x/'", "overlaps '/x/'", "once"), routed("/x/", "/x/")),
    "a route that is another but for its case": Case(
        ("Gateway routes", "'/Files/'", "overlaps '/files/'"), routed("/", "/files/", "/Files/")
    ),
    "a route that is another but for its last slash": Case(
        ("Gateway routes", "'/files'", "overlaps '/files/'"), routed("/files/", "/files")
    ),
    "a route on the login's path": Case(
        ("Gateway routes", "'/oauth2/x'", "/oauth2/ is the gateway's own", "another path"), routed("/oauth2/x")
    ),
    "a route on the login's path in other letters": Case(
        ("Gateway routes", "'/OAuth2/'", "/oauth2/ is the gateway's own"), routed("/OAuth2/")
    ),
    "a route on the gateway's own path": Case(
        ("Gateway routes", "'/-/x'", "/-/ is the gateway's own", "another path"), routed("/-/x")
    ),
    "a path with two slashes": Case(("Route.path", "'/a//b'", "without '//'"), public_route_that(path="/a//b")),
    "a path that climbs": Case(("Route.path", "'/a/../b'", "without '//' or dots"), public_route_that(path="/a/../b")),
    "a path that nginx would read otherwise": Case(
        ("Route.path", "'/a {'", "letters, digits"), public_route_that(path="/a {")
    ),
    "a path that changes on the way below a prefix": Case(
        ("Route '/x/' upstream_path", "'/y'", "one exact path"), public_route_that(path="/x/", upstream_path="/y")
    ),
    "a body of nothing": Case(("Route '/x' body_mb", "0", "1 or more"), public_route_that(body_mb=0)),
    "no time to answer": Case(("Route '/x' timeout_seconds", "0", "1 or more"), public_route_that(timeout_seconds=0)),
    "a content security policy that ends its line": Case(
        ("Route '/x' content_security_policy", "without quotes"),
        public_route_that(content_security_policy='x"; return 200 "'),
    ),
    "a route behind the login without a rate": Case(
        ("Route '/x' rate", "Each of its requests asks the login", "RateLimit("),
        public_route_that(audience=Audience.SIGNED_IN),
    ),
    "an identity on a public route": Case(
        ("Route '/x' hand_over_identity", "True", "Nobody is known on a public route"),
        public_route_that(hand_over_identity=True),
    ),
    "a rate limit of nothing": Case(
        ("RateLimit", "(0, 40)", "1 a second or more"), added(lambda *_: RateLimit(per_second=0))
    ),
    "a negative burst": Case(("RateLimit", "(20, -1)", "no negative burst"), added(lambda *_: RateLimit(burst=-1))),
    "a developer's identity in production": Case(
        ("Gateway login", "DevIdentity(", "lets everyone in at ai-interviewer.example.com", "Give an OAuth2Proxy"),
        environment(lambda: replace(PROD, login=DEVELOPER)),
    ),
    "a developer's identity on a public host": Case(
        ("Gateway login", "lets everyone in at shop.example.com", ".local, .localhost, .test"),
        environment(lambda: replace(DEV, gateway=replace(DEV.gateway, host="shop.example.com"))),
    ),
    "a developer's identity with HTTPS": Case(
        ("Gateway login", "lets everyone in at ai-interviewer.local", "plain HTTP"),
        environment(lambda: replace(DEV, gateway=replace(DEV.gateway, https=True))),
    ),
    "a developer without an address": Case(
        ("DevIdentity.email", "'developer'", "'dev@example.com'"), added(lambda *_: DevIdentity(email="developer"))
    ),
    "a developer whose name is code": Case(
        ("DevIdentity.name", "$uri", "letters, digits"),
        added(lambda *_: DevIdentity(email="dev@example.com", name='"; return 200 "$uri')),
    ),
    "a host that is none": Case(
        ("GatewaySettings.host", "'https://shop'", "DNS name"),
        environment(lambda: replace(PROD, gateway=replace(PROD.gateway, host="https://shop"))),
    ),
    "an administrator that is no address": Case(
        ("GatewaySettings.administrators", "'admin'", "'me@example.com'"),
        environment(lambda: replace(PROD, gateway=replace(PROD.gateway, administrators=("me@example.com", "admin")))),
    ),
    "an Ingress without TLS before a gateway that expects HTTPS": Case(
        ("GatewaySettings.https", "True", "The exposure says False"),
        environment(lambda: replace(PROD, exposure=replace(ingress_of(PROD), tls=NoTls()))),
    ),
    "an HTTPS listener before a gateway without": Case(
        ("GatewaySettings.https", "False", "The exposure says True"),
        environment(
            lambda: replace(
                DEV,
                exposure=GatewayApiExposure(
                    parent="shared", parent_namespace="edge", peer=NamespacePods(namespace="edge")
                ),
            )
        ),
    ),
    "a login for another host": Case(
        ("OAuth2ProxySettings.host", "'shop.example.com'", "Give the gateway's, ai-interviewer.example.com"),
        environment(lambda: replace(PROD, login=replace(login_of(PROD), host="shop.example.com"))),
    ),
    "nobody's domain": Case(
        ("OAuth2ProxySettings.email_domains", "''", "'*' for anyone"),
        environment(lambda: replace(PROD, login=replace(login_of(PROD), email_domains=()))),
    ),
    "a domain that is an address": Case(
        ("OAuth2ProxySettings.email_domains", "'me@example.com'", "'example.com'"),
        environment(lambda: replace(PROD, login=replace(login_of(PROD), email_domains=("me@example.com",)))),
    ),
    "a session of no time": Case(
        ("OAuth2ProxySettings.session_hours", "0", "1 or more"),
        environment(lambda: replace(PROD, login=replace(login_of(PROD), session_hours=0))),
    ),
    "an issuer without TLS": Case(
        ("OpenIdConnect.issuer", "'http://id.example.com'", "https URL"),
        added(lambda *_: OpenIdConnect(issuer="http://id.example.com")),
    ),
    "waiting for an external": Case(
        ("ai-interviewer-backend connects_to", "'the API'", "cannot be waited for"),
        added(lambda whole, _: of("backend", whole).connects_to(External(name="the API", peer=Internet()), wait=True)),
    ),
    "a change after rendering": Case(
        ("ai-interviewer-backend", "after rendering"), added(lambda whole, _: change_too_late(whole))
    ),
    "a key that the Secret does not hold": Case(
        ("Secret 'ai-interviewer-redis'", "'pasword'", "password"),
        added(lambda whole, _: of("redis", whole).secret.key("pasword")),  # type: ignore[attr-defined]
    ),
    "a host that the policies keep it from": Case(
        ("ai-interviewer-extra has CACHE=ai-interviewer-redis:6379", "no path to ai-interviewer-redis:6379"),
        added(lambda _, phase: Workload(phase, service(environment=variables({"CACHE": "ai-interviewer-redis:6379"})))),
        TreeError,
    ),
    "a tag inside a repository": Case(
        ("Image.repository", "'acme/prices:1.0'", "It holds a tag. Give that apart"),
        environment(lambda: replace(DEV, tempo=replace(DEV.tempo, image=Image(repository="acme/prices:1.0", tag="1")))),
    ),
    "a file as a module": Case(
        ("pdf-extractor module", "'main.py'", "Give a Python module"),
        environment(lambda: replace(DEV, agents=(replace(DEV.agents[0], module="main.py"), *DEV.agents[1:]))),
    ),
    "a language that the mesh's release does not have": Case(
        ("pdf-extractor runtime", "'TypeScript'", "0.5 has a runtime for Python alone", "MeshRelease.V3"),
        environment(lambda: replace(DEV, agents=(in_typescript(DEV.agents[0]), *DEV.agents[1:]))),
    ),
    "a heap that the memory limit has no room for": Case(
        ("pdf-extractor compute", "'a memory limit of 64Mi'", "memory_limit='512Mi'"),
        environment(
            lambda: replace(
                DEV,
                agents=(
                    replace(DEV.agents[0], module="", runtime=Java(jar="extractor.jar"), compute=SMALL),
                    *DEV.agents[1:],
                ),
            )
        ),
    ),
    "a priority class that nothing provides": Case(
        ("Deployment ai-interviewer-nginx-gateway refers to PriorityClass 'ai-interviewer-urgent'", "nothing provides"),
        environment(
            lambda: replace(DEV, gateway=replace(DEV.gateway, availability=Availability(priority_class="urgent")))
        ),
        TreeError,
    ),
}


def in_typescript(agent: AgentSettings) -> AgentSettings:
    return replace(agent, module="", runtime=TypeScript(entry="dist/index.js"))


def mounted(outdir: Path, folder: Path) -> Application:
    code = MountedSource(image=images.PYTHON_RUNTIME, folder=folder)
    return application(outdir, replace(DEV, agents=(replace(DEV.agents[0], code=code), *DEV.agents[1:])))


def change_too_late(whole: AiInterviewer) -> None:
    whole.manifests()
    of("backend", whole).connects_to(External(name="the API", peer=Internet()))


def ingress_of(environment: EnvironmentSettings) -> IngressExposure:
    assert isinstance(environment.exposure, IngressExposure)
    return environment.exposure


def login_of(environment: EnvironmentSettings) -> OAuth2ProxySettings:
    assert isinstance(environment.login, OAuth2ProxySettings)
    return environment.login


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> AiInterviewer:
    """A good environment, which none of the cases lets be written."""
    return application(tmp_path_factory.mktemp("good"), replace(PROD, name="other"))


@pytest.mark.parametrize("name", CASES)
def test_is_refused_with_words_that_help_and_nothing_is_written(name: str, good: AiInterviewer, tmp_path: Path) -> None:
    case = CASES[name]
    earlier = tmp_path / "dev" / "0000-foundation.k8s.yaml"
    earlier.parent.mkdir()
    earlier.write_text(EARLIER)
    with pytest.raises(case.error) as caught:
        # A good environment comes first: it must not be written either.
        synthesize([good, case.build(tmp_path)])
    for words in case.says:
        assert words in str(caught.value)
    assert earlier.read_text() == EARLIER
    left = {path.name for path in tmp_path.iterdir()} - {"inputs", "file"}
    assert left == {"dev"}, "something was half-written"
    assert [path.name for path in earlier.parent.iterdir()] == [earlier.name]
    assert not good.directory.exists()
