"""This module is the generated parts of the documents: pictures, tables and the example come from the sources.

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``. ``--check`` says whether they are current.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "constructs"), str(ROOT / "tests"), str(ROOT)]

from docs.releases import mesh_releases, mesh_variables  # noqa: E402

from ai_interviewer import ENVIRONMENTS, AiInterviewer, EnvironmentSettings  # noqa: E402
from drill.faults import FAULTS  # noqa: E402
from failures.expected import FAILURES  # noqa: E402
from mcpmesh_k8s import (  # noqa: E402
    Audience,
    Compute,
    ExternalSecrets,
    Gateway,
    Image,
    InClusterPrometheus,
    IssuedKey,
    Mesh,
    MeshRelease,
    Namespace,
    NamespacePods,
    NoLogs,
    NoMetrics,
    Question,
    RateLimit,
    Route,
    SecretEntry,
    SystemPods,
    Target,
    Workload,
    budget,
    topology,
)
from mcpmesh_k8s.images import DIGESTS, PINS, pinned  # noqa: E402
from mcpmesh_k8s.kubernetes.quantity import Amount, bytes_text  # noqa: E402
from mcpmesh_k8s.operations import SharedCluster  # noqa: E402
from mcpmesh_k8s.operations.answers import ANSWERS  # noqa: E402
from mcpmesh_k8s.operations.makefile import every_variable  # noqa: E402
from mesh3 import application as mesh_application  # noqa: E402
from mesh3.expected import BEGINNINGS, STATES, STOPPING, VARIABLES  # noqa: E402
from programs import PROGRAMS  # noqa: E402
from reading import read_manifests  # noqa: E402
from watched import watched  # noqa: E402

DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
ENV_EXAMPLE = ROOT / ".env.example"
ANSWERS_SCHEMA = ROOT / "docs/answers.schema.json"
BAR = r"\|"  # in a table, inside code too, where an entity would be shown as it is written


def application(environment: EnvironmentSettings) -> AiInterviewer:
    """The application, which is looked at and never written."""
    return AiInterviewer(environment, outdir=ROOT / "dist" / environment.name)


def mermaid(text: str) -> str:
    """A picture that GitHub draws."""
    return f"```mermaid\n{text}```"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', BAR) for cell in line)} |" for line in lines)


def in_words(names: Sequence[str]) -> str:
    """Names as a sentence has them: ``dev, prod and staging``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def topologies() -> str:
    """Who talks to whom in the clusters that others use: a picture for each environment that has one of its own."""
    pictures: dict[str, list[str]] = {}
    for environment in ENVIRONMENTS:
        if isinstance(environment.cluster, SharedCluster):
            pictures.setdefault(topology(application(environment)), []).append(environment.name)
    return "\n\n".join(f"In {in_words(names)}:\n\n{mermaid(picture)}" for picture, names in pictures.items())


def budgets() -> str:
    """What each environment asks of its cluster."""
    return "\n\n".join(
        f"### {environment.name}\n\n{mermaid(budget(whole, 'cpu'))}\n\n{mermaid(budget(whole, 'memory'))}"
        for environment in ENVIRONMENTS
        for whole in [application(environment)]
    )


def rooms() -> str:
    """For how many pods of each workload the nodes of each environment have room for sure."""

    def count(kept: int, wanted: int) -> str:
        return "all" if kept == wanted else f"{kept} of {wanted}"

    parts: list[str] = []
    for environment in ENVIRONMENTS:
        (namespace,) = application(environment).find_all(Namespace)
        cluster = namespace.settings.budget
        nodes = "; ".join(map(str, cluster.nodes))
        system = "; ".join(map(str, cluster.system))
        rows = [
            (
                share.pod.name,
                f"{share.pod.steady_pods} × {share.pod.requests}",
                share.pod.priority_class,
                ("a new one first" if share.new_first else "an old one first") if share.pod.may_surge else "–",
                count(share.rolled_out, share.pod.steady_pods),
                "none" if share.left is None else count(share.left, share.pod.steady_pods),
            )
            for share in namespace.shares()
        ]
        head = ("", "at most", "priority", "a rollout", "while all is rolled out", "without a node")
        parts.append(f"### {environment.name}: {nodes}\n\nOf the system: {system}.\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def who_talks_to_whom() -> str:
    """Every path, and in which environment it is open."""
    opened: dict[tuple[str, str], list[str]] = {}
    for environment in ENVIRONMENTS:
        for pod in application(environment).pods:
            if isinstance(pod, Workload):
                for peer, port in pod.accepted:
                    pods = f"pods of `{peer.title}`"
                    path = (
                        pods if isinstance(peer, NamespacePods) else peer.title,
                        f"{pod.name} {pod.port(port).number}",
                    )
                    opened.setdefault(path, []).append(environment.name)
            for target in pod.connections:
                end = (
                    f"{target.workload.name} {target.endpoint.port}"
                    if isinstance(target, Target)
                    else f"{target.name}, {in_words([listener.title for listener in target.listeners])}"
                )
                opened.setdefault((pod.name, end), []).append(environment.name)
    grouped: dict[tuple[str, str], list[str]] = {}
    for (source, target_), environments in opened.items():
        grouped.setdefault((source, in_words(environments)), []).append(target_)
    return table(
        ("from", "to", "in"), [(source, ", ".join(targets), where) for (source, where), targets in grouped.items()]
    )


def differences() -> str:
    """Every setting that environments give differently."""
    rows = [(f"`{path}`", *(f"`{value}`" for value in values)) for path, values in differing(ENVIRONMENTS)]
    return table(("setting", *(environment.name for environment in ENVIRONMENTS)), rows)


def differing(values: Sequence[object], path: str = "") -> Iterator[tuple[str, Sequence[object]]]:
    """Every field, however deep, that differs."""
    first = values[0]
    if all(value == first for value in values):
        return
    same_type = all(type(value) is type(first) for value in values)
    if isinstance(first, Compute | Image) and same_type:
        yield path, [str(value) for value in values]
    elif is_dataclass(first) and same_type:
        for field in fields(first):
            inner = f"{path}.{field.name}" if path else field.name
            yield from differing([getattr(value, field.name) for value in values], inner)
    elif isinstance(first, tuple) and all(isinstance(value, tuple) and len(value) == len(first) for value in values):
        for index, parts in enumerate(zip(*cast("Sequence[tuple[object, ...]]", values), strict=True)):
            yield from differing(parts, f"{path}[{getattr(parts[0], 'name', index)}]")
    else:
        yield path, [shown(value) for value in values]


def shown(value: object) -> str:
    """A value as it was written: what is left at its default is not said."""
    if is_dataclass(value) and not isinstance(value, type):
        said = [
            f"{field.name}={shown(given) if is_dataclass(given) else repr(given)}"
            for field in fields(value)
            if (given := getattr(value, field.name)) != field.default
        ]
        return f"{type(value).__name__}({', '.join(said)})"
    if isinstance(value, tuple) and value and all(isinstance(one, SystemPods) for one in value):
        return "; ".join(map(str, value))
    return str(value) if value != "" else "none"


def secrets() -> str:
    """Every key of every Secret: its variable, where its value comes from, who reads it, and in which environment."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for environment in reversed(ENVIRONMENTS):
        for entry in application(environment).secret_keys():
            row = (
                f"`{entry.reference.secret}`",
                f"`{entry.reference.key}`",
                f"`{entry.variable}`",
                entry.origin.issued_by if isinstance(entry.origin, IssuedKey) else f"`{entry.origin.form.value}`",
                ", ".join(entry.readers),
            )
            rows.setdefault(row, []).insert(0, environment.name)
    head = ("Secret", "key", "in a `.env` file", "comes from", "read by", "in")
    return table(head, [(*row, in_words(where)) for row, where in rows.items()])


def programs() -> str:
    """What the tests start, and what brings it."""

    def brought_by(packages: tuple[str, ...], needs: str) -> str:
        return needs or f"Debian's {', '.join(f'`{package}`' for package in packages)}"

    rows = [(f"`{p.name}`", p.purpose, brought_by(p.packages, p.needs)) for p in PROGRAMS]
    return table(("program", "what it does in the tests", "comes from"), rows)


def gateway_of(environment: EnvironmentSettings) -> Gateway:
    """The environment's gateway."""
    return next(pod for pod in application(environment).pods if isinstance(pod, Gateway))


def routes() -> str:
    """Every route with its limits, and in which environment it is there."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for environment in ENVIRONMENTS:
        for route in gateway_of(environment).routes:
            path = f"`{route.path}`" if route.exact else f"`{route.path}…`"
            to = f"{route.to.name} `{route.upstream_path}`" if route.upstream_path else route.to.name
            row = (
                path,
                to,
                {Audience.PUBLIC: "everyone", Audience.SIGNED_IN: "signed in"}.get(route.audience, "administrators"),
                f"{route.body_mb} MiB",
                f"{route.timeout_seconds} s",
                rate(route.rate) if route.rate else "–",
                ", ".join(features(route)) or "–",
            )
            rows.setdefault(row, []).append(environment.name)
    head = ("path", "goes to", "for", "body", "may be silent for", "requests of one client", "and", "in")
    return table(head, [(*row, in_words(where)) for row, where in rows.items()])


def limits() -> str:
    """What one client may do beside the rates of routes, and in which environment."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for environment in ENVIRONMENTS:
        gateway = gateway_of(environment)
        given = gateway.settings.limits
        rows.setdefault(("requests under way at a time", str(given.connections)), []).append(environment.name)
        if gateway.login.pages:
            told = ("requests for the login's own pages", rate(given.sign_in))
            rows.setdefault(told, []).append(environment.name)
        head = ("a line of a request's head, all cookies being one, and the head of an answer", f"{given.head_kb} KiB")
        rows.setdefault(head, []).append(environment.name)
        if isinstance(asked := gateway.login.vouching, Question):
            told = ("the login's word about the same cookies", f"for {asked.remembered_seconds} s")
            rows.setdefault(told, []).append(environment.name)
    return table(("one client", "may have", "in"), [(*row, in_words(where)) for row, where in rows.items()])


def rate(limit: RateLimit) -> str:
    """A rate, in words."""
    return f"{limit.per_second}/s, {limit.burst} more at once"


def features(route: Route) -> Iterator[str]:
    """What a route allows beyond the usual."""
    if route.hand_over_identity:
        yield "is told who asks"
    if route.cookies:
        yield "own cookies"
    if route.websocket:
        yield "WebSocket"
    if not route.buffering:
        yield "streams"


def way() -> str:
    """What happens to a request where people sign in, as a Mermaid sequence diagram."""
    gateway = next(gateway for gateway in map(gateway_of, ENVIRONMENTS) if gateway.login.workloads)
    (login,) = gateway.login.workloads
    provider, asked = gateway.login.provider, gateway.login.vouching
    assert isinstance(asked, Question)
    route = next(route for route in gateway.routes if route.path == "/api/")
    assert route.rate
    beyond = f"with more than {route.rate.per_second} a second and {route.rate.burst} more at once"
    controller = ", ".join(peer.title for peer, _ in gateway.accepted)
    restricted = ", ".join(r.path for r in gateway.routes if r.audience is Audience.ADMINISTRATOR)
    lines = f"""sequenceDiagram
  autonumber
  participant browser
  participant controller as {controller}
  participant gateway as {gateway.name}
  participant login as {login.name}
  participant provider as {provider}
  participant service as {route.to.name}
  browser->>controller: https://{gateway.settings.host}{route.path}…
  Note over controller: TLS ends here
  controller->>gateway: HTTP on port {gateway.main_port.number}
  Note over gateway: Another host: 421. A path that can be read in two ways: 400. More than {route.body_mb} MiB: 413.
  Note over gateway: Whoever the client says it is, is forgotten
  Note over gateway: A stranger's address {beyond}: 429
  gateway->>login: whose cookie is this? Once in {asked.remembered_seconds} seconds
  alt nobody's
    login-->>gateway: 401
    gateway-->>browser: a program: 401. A person: sign in
    browser->>gateway: /oauth2/start
    gateway->>login: /oauth2/start
    login-->>browser: go to {provider}
    browser->>provider: who I am
    provider-->>browser: back to /oauth2/callback, with a code
    browser->>gateway: /oauth2/callback
    gateway->>login: /oauth2/callback
    login->>provider: is the code good?
    login-->>browser: a cookie, and back to where it began
  else the login is away, slow or wrong
    gateway-->>browser: 503
  else someone's
    login-->>gateway: their address
    Note over gateway: A person {beyond}: 429
    Note over gateway: {restricted} and no administrator: 403
    gateway->>service: the request, without the login's cookie, with a token of the gateway
    service-->>browser: the answer, silent for {route.timeout_seconds} seconds at most
  end
"""
    return mermaid(lines)


def make_variables() -> str:
    """Every make variable of the operator's commands."""
    names = [environment.name for environment in ENVIRONMENTS]
    return table(
        ("variable", "meaning", "unless given"),
        [(f"`{one.assignment(names)}`", one.help, one.default or "–") for one in every_variable()],
    )


def answers() -> str:
    """What each command answers to a script."""
    rows = [(f"`{name}`", ", ".join(f"`{field}`" for field in members(kind))) for name, kind in ANSWERS.items()]
    return table(("command", "answer"), rows)


def members(kind: type[Any]) -> Iterator[str]:
    """The fields of an answer; of a list, the fields of its entries."""
    inner = {name: one for name, one in vars(sys.modules[kind.__module__]).items() if is_dataclass(one)}
    for field in fields(kind):
        entry = inner.get(str(field.type).removeprefix("tuple[").partition(",")[0])
        yield f"{field.name}[]: {' '.join(one.name for one in fields(entry))}" if entry else field.name


def answers_schema() -> str:
    """The JSON schema of all answers, as an object of each by its command."""
    adapters = [(name, TypeAdapter[Any](kind)) for name, kind in ANSWERS.items()]
    references, schema = TypeAdapter.json_schemas([(name, "serialization", adapter) for name, adapter in adapters])
    for name, definition in schema["$defs"].items():
        kind = getattr(sys.modules[ANSWERS["status"].__module__], name)
        about = inspect.getdoc(kind) or ""
        definition |= {"description": about.partition("\n")[0], "additionalProperties": False}
        for field, of_it in definition["properties"].items():
            (text,) = re.findall(rf"^    {field}: (.*(?:\n        .*)*)", about, re.MULTILINE)
            of_it["description"] = " ".join(text.split())
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "What each command prints with --json, by the command's name.",
        "properties": {name: references[name, "serialization"] for name, _ in adapters},
        "$defs": schema["$defs"],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def pins() -> str:
    """Every pin: which line, where and when its newest patch was looked up."""
    rows = [
        (f"`{pinned(pin, DIGESTS).reference}`", pin.line, f"{pin.looked_at}", pin.source, pin.note or "–")
        for pin in PINS
    ]
    return table(("image", "line", "looked at", "tag seen in", "and"), rows)


def advisories() -> str:
    """Every advisory, and what is done about it."""
    rows = [
        (
            pin.image.repository.rpartition("/")[2],
            ", ".join(advisory.ids),
            advisory.what,
            advisory.fixed_in or "–",
            advisory.standing.value,
            advisory.answer,
        )
        for pin in PINS
        for advisory in pin.advisories
    ]
    return table(("of", "advisory", "what it allows", "mended in", "here", "what we do"), rows)


@cache
def watched_rules() -> Mapping[str, Mapping[str, Any]]:
    """The rules of an application whose every part is watched, by the names of alerts."""
    return watched()


def alerts() -> str:
    """Every alert of an application whose every part is watched, as Prometheus is given it."""
    rules = watched_rules().values()
    rows = [
        (
            f"[{rule['alert']}](runbooks/{rule['alert']}.md)",
            rule["labels"]["severity"],
            "at once" if rule["for"] == "0m" else rule["for"],
            f"{rule['annotations']['summary']}. {rule['annotations']['description']}".replace("|", BAR),
        )
        for rule in rules
    ]
    return table(("alert and its runbook", "severity", "after", "what people read"), rows)


def faults() -> str:
    """What becomes pending when something is stopped, as `make test-watching` sees it."""
    rules = watched_rules()
    seconds = json.loads((ROOT / "tests/drill/measured.json").read_text(encoding="utf-8"))
    rows = [
        (
            fault.what,
            ", ".join(
                f"[{name}](runbooks/{name}.md)" + (f" of {whom}" if whom else "") for name, whom in sorted(fault.alerts)
            ),
            f"{max(seconds[fault.stops], 1)} s",
            ", ".join(
                f"{rules[name]['labels']['severity']} after {rules[name]['for']}"
                for name in sorted({name for name, _ in fault.alerts})
            ),
        )
        for fault in FAULTS
    ]
    return table(("what happens", "becomes pending, and nothing else", "within", "who is told"), rows)


def failures() -> str:
    """Who restarts and how soon all works again, as `make test-failures` sees it."""
    seen = json.loads((ROOT / "tests/failures/measured.json").read_text(encoding="utf-8"))
    rows = [
        (
            failure.name,
            "nobody" if failure.by_hand else in_words((*failure.ends, *failure.hangs)),
            in_words(seen[failure.name]["away"]) if seen[failure.name]["away"] else "nothing",
            "–" if failure.by_hand else f"{max(seen[failure.name]['seconds'], 1)} s",
            "–" if failure.by_hand else f"{failure.within} s",
            "all of it" if failure.by_hand else ", ".join(f"traces of {one}" for one in sorted(failure.untraced)),
            in_words([f"[{name}](runbooks/{name}.md)" for name in failure.alerts]) if failure.alerts else "",
        )
        for failure in FAILURES
    ]
    head = ("what happens", "is started again", "did not work meanwhile", "all works after", "at most")
    return table((*head, "never by itself", "so people are told by"), rows)


def states_of_the_mesh() -> str:
    """What probes are told, in each state, as `make test-mesh` brings it about."""

    def told(answers: Sequence[str]) -> str:
        said = [f"`{one}`" if one.isdecimal() else one for one in answers]
        return said[0] if len(set(said)) == 1 else ", ".join(said)

    rows = [
        (
            f"{begins}{state.name}",
            told(state.registry) if not begins else "–",
            told(state.agent),
            "–" if state is BEGINNINGS[-1] else told(state.api),
            "–" if begins else ("yes" if state.called else "no"),
        )
        for begins, states in (("", STATES), ("one begins, and ", BEGINNINGS), ("one stops, and ", (STOPPING,)))
        for state in states
    ]
    return table(("state", "registry", "agent", "API service", "calls go on"), rows)


def upgrade_of_the_mesh() -> str:
    """What differs between the manifests of one application, that of `tests/mesh3/application.py`, in both releases."""
    objects = list[dict[str, dict[str, object]]]()
    with tempfile.TemporaryDirectory() as folder:
        for release in (MeshRelease.V0_5, MeshRelease.V3):
            mesh_application.write(Path(folder, release.value), Mesh(release=release))
            objects.append(
                {
                    f"{one['kind']} {one['metadata']['name'].removeprefix(mesh_application.NAME + '-')}": one
                    for one in cast(list[Any], read_manifests(Path(folder, release.value)))
                    # What Redis' pods say of its configuration, and the sums of what all ask for, follow from the rest.
                    if one["kind"] not in ("ResourceQuota", "LimitRange")
                }
            )
    old, new = objects
    assert old.keys() == new.keys()
    where: dict[str, list[str]] = {}
    for name, before in old.items():
        if found := list(changes(before, new[name])):
            where.setdefault("; ".join(found), []).append(name)
    return table(("object", "what changes"), [(in_words(names), said) for said, names in where.items()])


def changes(old: object, new: object, path: str = "") -> Iterator[str]:
    """What differs, item by item where these have names."""
    if isinstance(old, list) and isinstance(new, list):
        lists = [{one.get("name"): one for one in values if isinstance(one, dict)} for values in (old, new)]
        if all(len(by_name) == len(values) for by_name, values in zip(lists, (old, new), strict=True)):
            old, new = lists
    if old == new or path.endswith("checksum/config"):
        return
    if isinstance(old, dict) and isinstance(new, dict) and path != "spec.egress" and path != "spec.ingress":
        for name in dict.fromkeys([*old, *new]):
            yield from changes(old.get(name), new.get(name), f"{path}.{name}" if path else str(name))
        return
    prefix = r"spec\.template\.(spec|metadata)\.|containers\.[a-z]+\.(?=.)|(^|\.)(spec|data)\."
    short = re.sub(r"\.(value|httpGet\.path)$", "", re.sub(prefix, "", path))
    plain = [isinstance(value, str | int) and len(str(value)) < 60 for value in (old, new)]
    if all(plain):
        yield f"`{short}`: `{old}`, then `{new}`"
    elif old is None:
        yield f"`{short}` is new" + (f": `{new}`" if plain[1] else "")
    elif new is None:
        yield f"`{short}` goes"
    else:
        yield f"`{short}` is another"


def variables_of_the_mesh() -> str:
    """What no longer holds without each variable, as `make test-mesh` tries it."""
    rows = [
        (
            {"caller": "agent"}.get(variable.of, variable.of),
            f"`{variable.name}`",
            "missing" if variable.instead is None else f"`{variable.instead}`",
            "; ".join(variable.fails) + ("; and more" if variable.more else ""),
        )
        for variable in VARIABLES
    ]
    return table(("whose", "variable", "tried with", "what no longer holds"), rows)


def cost() -> str:
    """What observability adds to each environment, and how much of it each part is."""

    def unwatched(whole: EnvironmentSettings) -> EnvironmentSettings:
        return replace(
            whole,
            metrics=NoMetrics(),
            redis=replace(whole.redis, exporter=None),
            postgres=replace(whole.postgres, exporter=None),
        )

    def collecting(whole: EnvironmentSettings) -> InClusterPrometheus:
        assert isinstance(whole.metrics, InClusterPrometheus)
        return whole.metrics

    def size(whole: EnvironmentSettings) -> tuple[Amount, int, int]:
        made = application(whole)
        objects = sum(map(len, made.manifests().values()))
        (namespace,) = made.find_all(Namespace)
        return sum((amount for amount, _ in namespace.steady()), Amount()), sum(namespace.claim_sizes()), objects

    smaller: dict[str, Callable[[EnvironmentSettings], EnvironmentSettings]] = {
        "all of it": lambda whole: replace(unwatched(whole), logs=NoLogs()),
        "metrics, alerts and exporters: `metrics=NoMetrics()`, and `exporter=None` of both stores": unwatched,
        "logs: `logs=NoLogs()`": lambda whole: replace(whole, logs=NoLogs()),
        "Alertmanager: `alertmanager=None`": lambda whole: replace(
            whole, metrics=replace(collecting(whole), alertmanager=None)
        ),
        "kube-state-metrics: `kube_state_metrics=None`": lambda whole: replace(
            whole, metrics=replace(collecting(whole), kube_state_metrics=None)
        ),
        "the blackbox exporter: `blackbox=None`": lambda whole: replace(
            whole, metrics=replace(collecting(whole), blackbox=None)
        ),
    }
    rows: list[tuple[str, ...]] = []
    for environment in ENVIRONMENTS:
        total, claims, objects = size(environment)
        for what, without in smaller.items():
            left, fewer_claims, fewer_objects = size(without(environment))
            if fewer_objects != objects:
                rows.append(
                    (
                        f"{environment.name}: {what}",
                        f"{total.cpu - left.cpu}m",
                        bytes_text(total.memory - left.memory),
                        bytes_text(total.disk - left.disk),
                        bytes_text(claims - fewer_claims) if claims > fewer_claims else "–",
                        str(objects - fewer_objects),
                    )
                )
    return table(("", "CPU", "memory", "disk of nodes", "claims", "objects"), rows)


def example(name: str) -> str:
    """An example, as it stands in its file."""
    return f"```python\n{(ROOT / 'examples' / name).read_text(encoding='utf-8')}```"


PARTS: dict[str, Callable[[], str]] = {
    "topology": topologies,
    "budgets": budgets,
    "rooms": rooms,
    "who talks to whom": who_talks_to_whom,
    "routes": routes,
    "limits": limits,
    "a request's way": way,
    "differences": differences,
    "secrets": secrets,
    "make variables": make_variables,
    "answers": answers,
    "example": lambda: example("shop.py"),
    "managed s3": lambda: example("managed_s3.py"),
    "pins": pins,
    "alerts": alerts,
    "faults": faults,
    "failures": failures,
    "mesh states": states_of_the_mesh,
    "mesh upgrade": upgrade_of_the_mesh,
    "mesh without a variable": variables_of_the_mesh,
    "cost of observability": cost,
    "advisories": advisories,
    "programs": programs,
    "mesh releases": mesh_releases,
    "mesh variables": mesh_variables,
}


def generated(text: str) -> str:
    """The text with every part made anew."""

    def part(match: re.Match[str]) -> str:
        return f"<!-- generated: {match[1]} -->\n{PARTS[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- generated: (.+?) -->\n.*?<!-- end -->", part, text, flags=re.DOTALL)


def env_example() -> str:
    """The example of a ``.env`` file: every key that an environment needs, and whence it comes."""
    stored = [f"{one.name}'s" for one in ENVIRONMENTS if isinstance(one.secrets, ExternalSecrets)]
    lines = [
        "# The values of Secrets, for `make k8s-secrets`. Copy this file to .env, which git ignores, and fill it in.",
        "# What is left empty or out is made up at random. What the cluster has already is kept, whatever stands here.",
        *(
            [f"# An environment whose Secrets come from a store, as {in_words(stored)} do, reads nothing from here."]
            if stored
            else []
        ),
        "# Values are taken as they stand: nothing is expanded, and quotes around a value are not part of it.",
    ]
    entries: dict[str, SecretEntry] = {}
    needed: dict[str, list[str]] = {}
    for environment in ENVIRONMENTS:
        for entry in application(environment).secret_keys():
            entries.setdefault(entry.variable, entry)
            needed.setdefault(entry.variable, []).append(environment.name)
    first = ENVIRONMENTS[0].name
    groups: dict[tuple[str, ...], list[SecretEntry]] = {}
    for variable, entry in entries.items():
        # What the first environment needs is not said to be for it alone: most people begin there.
        names = () if first in needed[variable] else tuple(needed[variable])
        groups.setdefault(names, []).append(entry)
    for names, chosen in groups.items():
        for issued in (True, False):
            some = [entry for entry in chosen if isinstance(entry.origin, IssuedKey) is issued]
            if not some:
                continue
            where = f", in {in_words(names)} only" if names else ""
            lines += ["", f"# {'Issued by others' if issued else 'Made up at random unless given'}{where}."]
            for entry in some:
                if isinstance(entry.origin, IssuedKey):
                    lines.append(f"# From {entry.origin.issued_by}. Read by {', '.join(entry.readers)}.")
                    lines.append(f"{entry.variable}=")
                else:
                    lines.append(f"# {entry.variable}=")
    return "\n".join(lines) + "\n"


def outputs(only: Collection[str] = ()) -> dict[Path, str]:
    """Every file that is generated, or has generated parts, as it must be; or only those of these names."""
    makers: dict[Path, Callable[[], str]] = {
        **{path: partial(generated, path.read_text(encoding="utf-8")) for path in DOCUMENTS},
        ENV_EXAMPLE: env_example,
        ANSWERS_SCHEMA: answers_schema,
    }
    chosen = {path: make for path, make in makers.items() if not only or str(path.relative_to(ROOT)) in only}
    if len(chosen) < len(only):
        sys.exit(f"Nothing is generated in one of: {', '.join(only)}")
    return {path: make() for path, make in chosen.items()}


def main() -> int:
    """Write what is generated, or check it; all of it, or the files that are named."""
    named = [argument for argument in sys.argv[1:] if argument != "--check"]
    written = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    missing = [name for name in PARTS if f"<!-- generated: {name} -->" not in written]
    if missing:
        print(f"no document has a place for: {', '.join(missing)}", file=sys.stderr)
        return 1
    old = {path: text for path, text in outputs(named).items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in old.items():
        name = path.relative_to(ROOT)
        if "--check" in sys.argv[1:]:
            print(f"{name} is out of date: run `make docs` and commit the result.", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    if "--check" in sys.argv[1:]:
        if old:
            return 1
        print("the documentation is current")
    return 0


if __name__ == "__main__":
    sys.exit(main())
