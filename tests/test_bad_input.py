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
    Application,
    ApplicationSettings,
    Autoscaling,
    Budget,
    BuiltImage,
    Claim,
    Compute,
    Container,
    External,
    Image,
    Internet,
    MountedSource,
    Phase,
    Port,
    Replicas,
    Route,
    SettingError,
    TreeError,
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
        scale=scale,
        min_available=min_available,
        container=Container(
            name="main",
            image=images.REDIS,
            user=User(uid=1000, gid=1000),
            compute=SMALL,
            ports=ports,
            variables=environment,
            volumes=volumes,
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
        ("Workload name", "'redis'", "A Redis has this name already"),
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
        ("ai-interviewer-redis port", "'metrics'", "redis"),
        added(lambda whole, _: of("redis", whole).endpoint("metrics")),
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
    "a budget that blocks every drain": Case(
        ("backend min_available", "2", "blocks every drain", "fewer than 2"),
        environment(lambda: replace(DEV, backend=replace(DEV.backend, min_available=2))),
    ),
    "requests beyond the CPU of the cluster": Case(
        ("Budget.cpu of ai-interviewer", "2 CPU", "All requests together are", "postgres 1 CPU"),
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
        environment(lambda: replace(PROD, backend=replace(PROD.backend, scale=Autoscaling(minimum=3, maximum=2)))),
    ),
    "storage shrunk to zero": Case(
        ("Claim.size of 'data'", "'0Gi'", "more than zero"),
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
    "a route twice": Case(
        ("Gateway routes", "'/x/'", "Give each its own"),
        added(lambda whole, phase: gateway_with_two_routes(whole, phase)),
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
    "a priority class that nothing provides": Case(
        ("Deployment ai-interviewer-nginx-gateway refers to PriorityClass 'ai-interviewer-urgent'", "nothing provides"),
        environment(lambda: replace(DEV, gateway=replace(DEV.gateway, priority_class="urgent"))),
        TreeError,
    ),
}


def mounted(outdir: Path, folder: Path) -> Application:
    code = MountedSource(image=images.PYTHON_RUNTIME, folder=folder)
    return application(outdir, replace(DEV, pdf_extractor=replace(DEV.pdf_extractor, code=code)))


def change_too_late(whole: AiInterviewer) -> None:
    whole.manifests()
    of("backend", whole).connects_to(External(name="the API", peer=Internet()))


def gateway_with_two_routes(whole: AiInterviewer, phase: Phase) -> None:
    from mcpmesh_k8s import Gateway

    route = Route(path="/x/", to=of("backend", whole))
    Gateway(phase, replace(DEV.gateway, name="second"), [route, route])


@pytest.mark.parametrize("name", CASES)
def test_is_refused_with_words_that_help_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    earlier = tmp_path / "dev" / "0000-foundation.k8s.yaml"
    earlier.parent.mkdir()
    earlier.write_text(EARLIER)
    with pytest.raises(case.error) as caught:
        # A good environment comes first: it must not be written either.
        synthesize([application(tmp_path, replace(PROD, name="other")), case.build(tmp_path)])
    for words in case.says:
        assert words in str(caught.value)
    assert earlier.read_text() == EARLIER
    left = {path.name for path in tmp_path.iterdir()} - {"inputs", "file"}
    assert left == {"dev"}, "something was half-written"
    assert [path.name for path in earlier.parent.iterdir()] == [earlier.name]
