"""This module is the proof of the load test: it walks through an interview in order, and says which step goes wrong.

Locust runs in a process of its own, through the rendered gateway on a real nginx.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from ai_interviewer import DEV, PROD, AiInterviewer
from conftest import Manifest, Manifests, grid
from environments import WITH_LOGIN
from gateway_harness import LOGIN, Answer, Request, RunningGateway, running_gateway
from load_harness import PERSON, ROOT, Load, Step, run_locust
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Audience,
    Compute,
    DevIdentity,
    Gateway,
    GatewaySettings,
    IssuedKey,
    LoadTest,
    LoadTestSettings,
    NoProbes,
    Phase,
    Port,
    RandomKey,
    Route,
    Secret,
    SettingError,
    TreeError,
    User,
    Workload,
    WorkloadSettings,
    images,
)
from mcpmesh_k8s import Container as ContainerOf
from mesh_harness import LOCALHOST, Loopback, container_of, find, pod_environment
from reading import objects_of
from test_reachability import ALLOWED, assert_exactly, openings_in

ANSWERS = 10
INTERVIEW = [
    "GET /",
    "POST /api/user/upload-resume",
    "POST /api/interviews/start",
    *["POST /api/interviews/answer"] * ANSWERS,
    "POST /api/interviews/end",
]
SETTINGS = LoadTestSettings(image=images.LOCUST, priority_class="observability", users=3, users_per_second=3, seconds=2)


@pytest.fixture(scope="module")
def running(manifests: Manifests, needs_nginx: Path) -> Generator[RunningGateway, None, None]:
    """Production's gateway."""
    with running_gateway(manifests(WITH_LOGIN[0])) as gateway:
        yield gateway


def of_backend(request: Request) -> Answer:
    """What the backend says when all is well. It takes its time, or people would be faster than their rate allows."""
    time.sleep(0.05)
    if request.target == "/api/interviews/answer":
        events = 'data: {"type": "question", "content": "And then?"}\n\ndata: {"type": "complete"}\n\n'
        return Answer(headers={"Content-Type": "text/event-stream"}, body=events.encode())
    return Answer(headers={"Content-Type": "application/json"}, body=b"{}")


def of_login(request: Request) -> Answer:
    """The login knows people by the number in their cookie."""
    known = re.search(r"__Host-login=person-(\d+)", request.headers["Cookie"] or "")
    if not known:
        return Answer(status=401)
    email = f"person-{known[1]}@example.com"
    return Answer(status=202, headers={"X-Auth-Request-Email": email, "X-Auth-Request-User": known[1]})


@pytest.fixture
def gateway(running: RunningGateway) -> RunningGateway:
    """All is well."""
    running.forget()
    running.upstreams[LOGIN].answer = of_login
    running.upstreams["backend"].answer = of_backend
    return running


def load(
    gateway: RunningGateway,
    *more: str,
    until: Callable[[Load], bool],
    users: int = 1,
    cookies: str = PERSON,
    seconds: int = 1,
) -> Load:
    """A load test that gets so far: on a busy machine it may take longer. One that never does is returned as it is."""
    given = ("--served-host", gateway.host, "--cookies", cookies, *more)
    for lasting in (seconds, 4, 8, 16, 32):
        gateway.upstreams["backend"].requests.clear()
        found = run_locust(f"http://{LOCALHOST}:{gateway.port}", users=users, seconds=lasting, more=given)
        if until(found):
            break
    return found


def reaches(step: str, times: int = 1) -> Callable[[Load], bool]:
    """Whether a step was done so often."""
    return lambda found: sum(one.requests for one in found.steps if one.name == step) >= times


def who(request: Request) -> str:
    """The person of whom the gateway told the backend."""
    claims = request.headers["Authorization"].split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(claims + "=="))["email"])


def test_each_person_is_interviewed_step_by_step_and_nothing_fails(gateway: RunningGateway) -> None:
    found = load(gateway, users=3, until=reaches("finish", 4), seconds=2)
    assert (found.code, found.total.failures, found.errors) == (0, 0, {}), found.said
    assert "load test: all is well" in found.said
    assert [step.name for step in found.steps] == ["sign in", "upload a résumé", "start", "answer", "finish"]
    assert found.step("finish").requests >= 3
    arrived = gateway.upstreams["backend"].requests
    people = {who(request) for request in arrived}
    assert people == {f"person-{number}@example.com" for number in (1, 2, 3)}
    for person in people:
        theirs = [f"{request.method} {request.target}" for request in arrived if who(request) == person]
        assert len(theirs) >= len(INTERVIEW)
        assert theirs == (INTERVIEW * (len(theirs) // len(INTERVIEW) + 1))[: len(theirs)]
    # What is still under way when the time is over is not counted.
    assert 0 <= len(arrived) - found.total.requests <= 3


def test_what_people_send_is_what_the_backend_reads_and_what_takes_longer_than_is_borne_is_said(
    gateway: RunningGateway,
) -> None:
    given = ("--role", "engineer", "--resume-kb", "7", "--answers", "2", "--most-milliseconds", "1")
    found = load(gateway, *given, until=reaches("finish"))
    assert (found.code, found.total.failures) == (1, 0)
    assert re.search(r"load test: 95 of 100 took up to \d+ ms, and 1 ms are allowed", found.said), found.said
    arrived = {request.target: request for request in gateway.upstreams["backend"].requests}
    upload = arrived["/api/user/upload-resume"]
    _, _, boundary = upload.headers["Content-Type"].partition("multipart/form-data; boundary=")
    head, _, rest = upload.body.partition(b"\r\n\r\n")
    assert head.startswith(b"--" + boundary.encode())
    assert b'name="file"; filename="resume.pdf"' in head
    resume = rest.removesuffix(f"\r\n--{boundary}--\r\n".encode())
    assert (len(resume), resume[:8], resume[-6:]) == (7 * 1024, b"%PDF-1.4", b"%%EOF\n")
    assert json.loads(arrived["/api/interviews/start"].body) == {"role_id": "engineer"}
    assert json.loads(arrived["/api/interviews/answer"].body)["answer"].startswith("This is what I would do")
    addresses = {request.headers["X-Real-IP"] for request in arrived.values()}
    assert addresses == {"198.18.0.2"}, "a person has an address of their own"


WRONG: dict[str, tuple[str, Callable[[Request], Answer], str]] = {
    "a service that fails": ("start", lambda _: Answer(status=500), "start: 500"),
    "an error in a stream": (
        "answer",
        lambda _: Answer(body=b'data: {"type": "error", "message": "no model"}\n\ndata: {"type": "complete"}\n\n'),
        "answer: 200, and the interview did not go on",
    ),
    "a stream that ends early": (
        "answer",
        lambda _: Answer(body=b'data: {"type": "processing"}\n\n'),
        "answer: 200, and the interview did not go on",
    ),
}
PATH_OF: dict[str, str] = {
    "start": "/api/interviews/start",
    "answer": "/api/interviews/answer",
}


@pytest.mark.parametrize("what", grid(WRONG, short=("a stream that ends early",)))
def test_a_step_that_fails_is_named_and_ends_the_interview(gateway: RunningGateway, what: str) -> None:
    step, wrong, said = WRONG[what]
    path = PATH_OF[step]
    gateway.upstreams["backend"].answer = lambda asked: wrong(asked) if asked.target == path else of_backend(asked)
    found = load(gateway, until=reaches(step))
    assert found.code == 1
    assert list(found.errors) == [said], found.said
    assert found.step(step).failures == found.step(step).requests == found.errors[said]
    assert sum(one.failures for one in found.steps if one.name != step) == 0
    assert re.search(r"load test: \d+\.\d% of the requests failed, and 1\.0% may", found.said), found.said
    order = ["sign in", "upload a résumé", "start", "answer", "finish"]
    assert [one.name for one in found.steps] == order[: order.index(step) + 1]


@pytest.mark.long  # as any step that fails
def test_who_is_not_signed_in_gets_no_further(gateway: RunningGateway) -> None:
    found = load(gateway, until=reaches("sign in"), cookies="")
    assert (found.code, list(found.errors)) == (1, ["sign in: 302: nobody is signed in"])
    assert gateway.upstreams["backend"].requests == []


def test_one_person_meets_the_rate_of_the_route(gateway: RunningGateway) -> None:
    """20 requests a second, and 60 more at once."""
    found = load(gateway, users=8, until=lambda load: bool(load.errors), cookies=PERSON.format(n=1))
    assert found.code == 1
    assert {error.partition(": ")[2] for error in found.errors} == {"429"}


# In the cluster.


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """Production with a load test."""
    folder = tmp_path_factory.mktemp("load-test") / "prod"
    return objects_of(AiInterviewer(replace(PROD, load_test=SETTINGS), outdir=folder))


def test_no_environment_has_a_load_test_unless_it_says_so(manifests: Manifests) -> None:
    for environment in ("dev", "prod"):
        assert not [m for m in cast("Any", manifests(environment)) if "load-test" in m["metadata"]["name"]]


def test_it_reaches_the_gateway_and_nothing_else(rendered: list[Manifest]) -> None:
    here = "load-test -> nginx-gateway 8080\n"
    assert_exactly(openings_in(rendered), ALLOWED["prod"] + here)


def test_it_runs_after_all_else_once_and_is_counted_in_the_quota(
    rendered: list[Manifest], manifests: Manifests
) -> None:
    job = cast("Any", find(rendered, "Job", "ai-interviewer-load-test"))
    assert job["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] == "5"
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (0, 2 + 30 + 300)
    quotas = [cast("Any", find(list(of), "ResourceQuota", "ai-interviewer")) for of in (manifests("prod"), rendered)]
    without, with_it = (int(quota["spec"]["hard"]["pods"]) for quota in quotas)
    assert with_it == without + 1
    # Where nothing makes way for it, production has no room.
    large = Compute(cpu="500m", memory="256Mi")
    load = replace(SETTINGS, priority_class="mesh", compute=large)
    important = AiInterviewer(replace(PROD, load_test=load), outdir="unused")
    with pytest.raises(TreeError, match=r"the nodes have room for \d for sure"):
        important.manifests()
    # Nobody signs in, so there are no cookies.
    manifest = AiInterviewer(replace(DEV, load_test=SETTINGS), outdir="unused").manifests()["access"]
    assert not [m for m in cast("Any", manifest) if m["kind"] == "ExternalSecret" and "load" in m["metadata"]["name"]]


def test_the_rendered_job_tests_the_rendered_gateway(
    gateway: RunningGateway, rendered: list[Manifest], tmp_path: Path
) -> None:
    job = find(rendered, "Job", "ai-interviewer-load-test")
    spec = container_of(job, "load-test")
    loopback = Loopback(services={"ai-interviewer-nginx-gateway:80": gateway.port})
    environment = pod_environment(
        job, "load-test", secrets={("ai-interviewer-load-test", "cookies"): PERSON}, loopback=loopback
    )
    assert environment["LOAD_COOKIES"] == PERSON
    (text,) = cast("Any", find(rendered, "ConfigMap", "ai-interviewer-load-test"))["data"].values()
    (tmp_path / "load.py").write_text(text)
    words = [word.replace("/etc/load-test", str(tmp_path)) for word in [*spec["command"], *spec["args"]]]
    assert words[0] == "locust"
    done = subprocess.run(
        [sys.executable, "-m", *words],
        env={**environment, "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "load test: all is well" in done.stderr
    assert {who(request) for request in gateway.upstreams["backend"].requests} == {
        f"person-{number}@example.com" for number in (1, 2, 3)
    }


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "nobody": (lambda: replace(SETTINGS, users=0), "LoadTestSettings.users: 0 was given. Give 1 or more."),
    "no time": (lambda: replace(SETTINGS, seconds=0), "LoadTestSettings.seconds: 0"),
    "nobody ever begins": (lambda: replace(SETTINGS, users_per_second=0), "LoadTestSettings.users_per_second: 0"),
    "errors that are all": (lambda: replace(SETTINGS, most_errors=1.0), "LoadTestSettings.most_errors: 1.0"),
    "less than no time": (lambda: replace(SETTINGS, most_milliseconds=-1), "LoadTestSettings.most_milliseconds: -1"),
    "a program that is not there": (lambda: a_load_test(Path("nowhere.py")), "LoadTest.program: 'nowhere.py'"),
}


def unasked(name: str, /, *keys: str | IssuedKey | RandomKey) -> Secret:
    """The developer has none."""
    raise AssertionError(name, keys)


def a_load_test(program: Path) -> LoadTest:
    """Of an application of one page."""
    application = Application(ApplicationSettings(name="shop"), outdir="unused")
    phase = Phase(application, "all")
    small = Compute(cpu="10m", memory="32Mi")
    page = ContainerOf(
        name="web",
        image=images.REDIS,
        user=User(uid=1, gid=1),
        compute=small,
        ports=(Port(number=8080),),
        probes=NoProbes(because="Nobody runs it."),
    )
    web = Workload(phase, WorkloadSettings(name="web", container=page))
    login = DevIdentity(email="me@example.com").create(phase, unasked)
    settings = GatewaySettings(image=images.OPENRESTY, compute=small, host="shop.local", https=False)
    gateway = Gateway(phase, settings, [Route(path="/", to=web, audience=Audience.PUBLIC)], login)
    return LoadTest(phase, SETTINGS, gateway, program)


@pytest.mark.parametrize("what", REFUSED)
def test_a_load_test_that_says_nothing_is_refused(what: str) -> None:
    attempt, words = REFUSED[what]
    with pytest.raises(SettingError, match=re.escape(words)):
        attempt()


# The search for the knee.


def of(users: int, *, milliseconds: int, failures: int) -> Load:
    step = Step(name="answer", requests=100, failures=failures, times={10: 90, milliseconds: 10})
    return Load(users=users, seconds=1, code=0, said="", steps=(step,))


@pytest.mark.parametrize(
    ("milliseconds", "failures", "asked", "borne"),
    [
        ({40: 900}, {}, [5, 10, 20, 40], 20),
        ({}, {10: 2}, [5, 10], 5),
        ({5: 801}, {}, [5], 0),
        ({80: 800}, {40: 1}, [5, 10, 20, 40, 80], 80),
    ],
    ids=["too slow", "too many errors", "at once", "never, and just at the bounds"],
)
def test_the_knee_is_the_last_load_within_both_bounds(
    milliseconds: dict[int, int], failures: dict[int, int], asked: list[int], borne: int
) -> None:
    spec = importlib.util.spec_from_file_location("load_benchmark", ROOT / "benchmarks/load.py")
    assert spec
    assert spec.loader
    benchmark = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = benchmark  # its dataclasses look there
    spec.loader.exec_module(benchmark)
    seen: list[int] = []

    def measure(users: int) -> object:
        seen.append(users)
        load = of(users, milliseconds=milliseconds.get(users, 20), failures=failures.get(users, 0))
        return benchmark.Measured(load=load)

    found, last = benchmark.knee(measure, (5, 10, 20, 40, 80), 800, 0.01)
    assert (seen, last, len(found)) == (asked, borne, len(asked))


def test_locust_is_no_part_of_the_library() -> None:
    """It replaces what Python waits by as soon as it is imported."""
    program = "import sys, ai_interviewer, mcpmesh_k8s; print('gevent' in sys.modules or 'locust' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
