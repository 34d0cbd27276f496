"""This module is the operator's commands: one function for each, with just the options that it takes.

Each is a make target too, ``make k8s-NAME``, and each option a make variable: ``makefile`` derives both from here.
"""

from __future__ import annotations

import enum
import shlex
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar, cast

import typer

from . import backups, build, clients, cluster, deploy, dns, drain, health, hosts, pods, rotation, secrets, way
from .answers import Address, Addresses, Compared, Finding, Health, Secrets, Shown, ShownWorkload, Status, Verification
from .environment import Build, Environment, Minikube
from .moves import (
    ClusterSide,
    ComposeSide,
    Manifest,
    Owner,
    Side,
    compare_data,
    export_data,
    import_data,
    require_programs,
    require_same,
    show_left_out,
    show_rows,
)
from .operator import Operator
from .programs import OperationError, UsageError, output, require
from .terminal import only_data, progress, show, show_data, show_table
from .turn import require_nobody, turn, who_is_at_it

DEPLOY, LOOK, CHANGE = "Deploy", "Look after it", "Change it"
"""The groups of the commands."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command.

    Args:
        name: Its name.
        function: What it runs.
        group: Under which heading the help lists it.
        examples: What may stand behind its name, for the help.
        rendered: Whether it works on ``dist/``, which must then be what the sources give.
        targets: Its make targets, where they are others than ``k8s-NAME``: ``ENV`` in a target is an environment,
            ``TARGET`` a workload.
    """

    name: str
    function: Callable[..., None]
    group: str
    examples: tuple[str, ...] = ()
    rendered: bool = False
    targets: tuple[str, ...] = ()


COMMANDS: list[Command] = []
"""Every command, in the order of the help."""

F = TypeVar("F", bound=Callable[..., None])


def command(
    name: str,
    group: str,
    *examples: str,
    rendered: bool = False,
    targets: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Make a function a command."""

    def register(function: F) -> F:
        COMMANDS.append(
            Command(
                name=name,
                function=function,
                group=group,
                examples=examples,
                rendered=rendered,
                targets=targets or (f"k8s-{name}",),
            )
        )
        return function

    return register


# What is given to commands. The make variables have the same names, in capitals.


def environments_of(context: typer.Context) -> Sequence[Environment]:
    """Every environment that can be operated."""
    return cast("Sequence[Environment]", context.obj)


def check_environment(context: typer.Context, name: str) -> str:
    """Refuse the name of no environment."""
    names = [one.name for one in environments_of(context)]
    if name not in names and not context.resilient_parsing:
        raise typer.BadParameter(f"there is no environment {name!r}, only: {', '.join(names)}.")
    return name


def complete_environment(context: typer.Context, incomplete: str) -> list[str]:
    """The environments that begin so."""
    return [one.name for one in environments_of(context) if one.name.startswith(incomplete)]


def complete_workload(context: typer.Context, incomplete: str) -> list[str]:
    """The workloads that begin so."""
    chosen = [one for one in environments_of(context) if one.name == context.params.get("environment")]
    return [pod.name for one in chosen for pod in one.application.pods if pod.name.startswith(incomplete)]


def owner(text: str) -> Owner:
    """An owner as it is given on the command line."""
    parts = text.split(":")
    if len(parts) != 3 or not all(parts):
        raise typer.BadParameter(f"{text!r}: give <database>:<schema>:<role>")
    return Owner(database=parts[0], schema=parts[1], role=parts[2])


class Place(enum.StrEnum):
    """Where data are."""

    CLUSTER = "cluster"
    COMPOSE = "compose"


Env = Annotated[
    str,
    typer.Argument(
        metavar="ENV", help="Which environment.", callback=check_environment, autocompletion=complete_environment
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TARGET",
        help="Workloads by their short names, such as backend; all unless given.",
        show_default=False,
        autocompletion=complete_workload,
    ),
]
Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A workload by its short name; the gateway unless given.",
        show_default=False,
        autocompletion=complete_workload,
    ),
]
Context = Annotated[
    str,
    typer.Option(
        "--context",
        metavar="NAME",
        help="Another kubectl context than the environment's own.",
        show_default=False,
    ),
]
Confirm = Annotated[
    str,
    typer.Option(
        "--confirm",
        metavar="WORD",
        help="Your consent: the environment's name, to change a cluster that is no minikube.",
        show_default=False,
    ),
]
ConfirmDeletion = Annotated[
    str,
    typer.Option(
        "--confirm",
        metavar="WORD",
        help="Your consent: the environment's name, to change a cluster that is no minikube; delete-data, to delete "
        "data on one that is.",
        show_default=False,
    ),
]
AppDir = Annotated[
    Path | None,
    typer.Option(
        "--app-dir",
        metavar="FOLDER",
        help="The application's checkout; the folder of its name beside this one unless given.",
        show_default=False,
    ),
]
EnvFile = Annotated[
    Path, typer.Option("--env-file", metavar="FILE", help="The file with the values of Secrets.", show_default=True)
]
HostsFile = Annotated[Path, typer.Option("--hosts-file", metavar="FILE", help="The hosts file.")]
Reached = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="IP",
        help="Where the ingress controller is reached, when it is not at the host's own address, or minikube's.",
        show_default=False,
    ),
]
Follow = Annotated[bool, typer.Option("--follow", help="Go on with new log lines.")]
Lines = Annotated[
    int,
    typer.Option(
        "--lines", "--lines-of-log", metavar="NUMBER", min=0, help="How many old log lines of each container."
    ),
]
Push = Annotated[bool, typer.Option("--push", help="Push the images that are built.")]
Replace = Annotated[
    list[str] | None,
    typer.Option(
        "--replace",
        metavar="VARIABLE",
        help="A variable of the .env file whose key gets a new value although the cluster has one. May be repeated.",
        show_default=False,
    ),
]
Data = Annotated[
    Path,
    typer.Option("--data", metavar="FOLDER", help="The folder of an export: where it is, or where a new one shall be."),
]
DataToTake = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="FOLDER", help="A new folder, by way of which the data are taken along.", show_default=False
    ),
]
From = Annotated[
    Place,
    typer.Option(
        "--from", metavar="cluster|compose", help="What is exported: the cluster, or the stack of Docker Compose."
    ),
]
To = Annotated[
    Place,
    typer.Option(
        "--to", metavar="cluster|compose", help="Where the data go: the cluster, or the stack of Docker Compose."
    ),
]
At = Annotated[
    Place, typer.Option("--to", "--from", metavar="cluster|compose", help="What is compared with an export.")
]
Live = Annotated[bool, typer.Option("--live", help="Export although something may write.")]
Owners = Annotated[
    list[Owner] | None,
    typer.Option(
        "--owner",
        "--owners",
        metavar="DATABASE:SCHEMA:ROLE",
        parser=owner,
        help="Who owns what belonged to the source's superuser, where that cannot be known. May be repeated.",
        show_default=False,
    ),
]
StoreName = Annotated[
    str,
    typer.Option("--store", metavar="NAME", help="A store by its short name.", show_default=False),
]
FromBackup = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="BACKUP",
        help="The backup by its name, or newest; what there is is listed unless given.",
        show_default=False,
    ),
]
Fetched = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Where the backup is fetched to, and what was there is kept beside; named after it unless given.",
        show_default=False,
    ),
]
ConfirmRestore = Annotated[
    str,
    typer.Option(
        "--confirm",
        metavar="WORD",
        help="Your consent: the environment's name, to change a cluster that is no minikube, and to replace data.",
        show_default=False,
    ),
]
Seconds = Annotated[
    int, typer.Option("--seconds", metavar="NUMBER", min=0, help="How long jobs that run may take to end.")
]
SecretName = Annotated[str, typer.Option("--name", metavar="SECRET", help="A Secret by its short name: grafana.")]
KeyName = Annotated[str, typer.Option("--key", metavar="KEY", help="A key of the Secret.")]
Present = Annotated[
    bool,
    typer.Option(
        "--present",
        help="Take the value that the Secret has by now: it was changed otherwise, or a rotation stopped half way.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, and print nothing else.")]


def operator(given: typer.Context, environment: str, context: str = "", confirm: str = "") -> Operator:
    """Who works on the environment that was named."""
    environments = environments_of(given)
    chosen = next(one for one in environments if one.name == environment)
    return Operator(environment=chosen, environments=environments, context=context, confirm=confirm)


@command("quick-dev", DEPLOY, "dev --app-dir ../application", rendered=True)
def quick_dev(
    given: typer.Context,
    environment: Env,
    confirm: Confirm = "",
    app_dir: AppDir = None,
    env_file: EnvFile = secrets.ENV_FILE,
    hosts_file: HostsFile = hosts.HOSTS,
    address: Reached = "",
) -> None:
    """Do everything from nothing, on minikube: context, images, set-up, deployment, hosts file.

    All that is needed is checked before anything is changed.
    """
    who = operator(given, environment, confirm=confirm)
    if not who.minikube:
        raise UsageError("This is for the minikube of the settings. Take another cluster step by step.")
    require("docker", "kubectl", "minikube")
    kubectl = who.chosen()
    builds = build.choose_builds(who.environment, ())
    build.require_checkout(who.checkout(app_dir), builds)
    hosts.require_hosts_file(hosts_file)
    _ = who.phases
    cluster.require_answer(who.environment, kubectl)
    who.require_values(kubectl, env_file)
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("context", lambda: cluster.use_context(who.environment, who.chosen())),
        ("images", lambda: build_all(who, who.checkout(app_dir), builds)),
        ("set-up", lambda: set_up(who, env_file)),
        ("deployment", lambda: deploy_all(who)),
        ("hosts file", lambda: name_hosts(who, hosts_file, address)),
    )
    for number, (name, step) in enumerate(steps, start=1):
        show(f"=== {number} of {len(steps)}: {name}")
        step()


@command("context", DEPLOY, "dev")
def use_context(given: typer.Context, environment: Env, context: Context = "") -> None:
    """Check that the cluster runs, and make its context the current one."""
    who = operator(given, environment, context)
    cluster.use_context(who.environment, who.chosen())


@command("build", DEPLOY, "dev", "prod backend --push", targets=("k8s-build-all", "k8s-build-TARGET"))
def build_images(
    given: typer.Context,
    environment: Env,
    targets: Targets = None,
    context: Context = "",
    app_dir: AppDir = None,
    push: Push = False,
) -> None:
    """Build images: all, or those of the workloads named."""
    who = operator(given, environment, context)
    build_all(who, who.checkout(app_dir), build.choose_builds(who.environment, targets or ()), push=push)


@command("setup", DEPLOY, "dev", "prod --confirm prod", rendered=True)
def setup(
    given: typer.Context,
    environment: Env,
    context: Context = "",
    confirm: Confirm = "",
    env_file: EnvFile = secrets.ENV_FILE,
) -> None:
    """Prepare the cluster: addons, what must be there, the namespace, Secrets."""
    set_up(operator(given, environment, context, confirm), env_file)


@command("secrets", DEPLOY, "dev", "dev --replace CLAUDE_API_KEY")
def put_secrets(
    given: typer.Context,
    environment: Env,
    context: Context = "",
    confirm: Confirm = "",
    env_file: EnvFile = secrets.ENV_FILE,
    replace: Replace = None,
    as_json: Json = False,
) -> None:
    """Put into the cluster what its Secrets lack, and say who reads what."""
    who = operator(given, environment, context, confirm)
    with answering(as_json):
        if who.secret_names:
            kubectl = who.in_namespace(who.change())
            keys = secrets.make_secrets(who.environment, kubectl, env_file, replace or ())
        elif replace:
            raise UsageError(f"No Secret of {environment} is made from here, so none is replaced.")
        else:
            keys = ()
        answer = Secrets(environment=environment, keys=keys, stored=secrets.stored_keys(who.environment))
    if as_json:
        show_data(answer)
    else:
        secrets.show_secrets(answer)


@command("diff", DEPLOY, "prod", rendered=True)
def diff(given: typer.Context, environment: Env, context: Context = "") -> None:
    """Show what a deployment would change."""
    who = operator(given, environment, context)
    kubectl, phases = who.in_namespace(who.look()), who.phases
    if not deploy.show_difference(who.environment, kubectl, phases):
        show(f"{environment} is as rendered.")


@command("deploy", DEPLOY, "dev", "prod --confirm prod", rendered=True, targets=("k8s-deploy-ENV",))
def deploy_(given: typer.Context, environment: Env, context: Context = "", confirm: Confirm = "") -> None:
    """Show the difference, apply phase by phase, and wait for each."""
    deploy_all(operator(given, environment, context, confirm))


@command("make-way", DEPLOY, "prod --confirm prod", rendered=True)
def make_way(given: typer.Context, environment: Env, context: Context = "", confirm: Confirm = "") -> None:
    """Do what must be done before ArgoCD can sync a claim that grows, or what a StatefulSet refuses.

    Pods and claims stay. A deployment from here does it by itself.
    """
    who = operator(given, environment, context, confirm)
    kubectl = who.in_namespace(who.change())
    found = way.way_for(kubectl, who.phases)
    if not found.refused:
        show(f"Nothing of {environment} is in the way.")
        return
    found.show()
    way.clear(kubectl, found)
    show("Sync now, or deploy.")


@command("ingress-hosts", DEPLOY, "dev", "prod --address 10.0.0.1")
def ingress_hosts(
    given: typer.Context,
    environment: Env,
    context: Context = "",
    address: Reached = "",
    hosts_file: HostsFile = hosts.HOSTS,
) -> None:
    """Let the hosts file name the application's host."""
    name_hosts(operator(given, environment, context), hosts_file, address)


@command("urls", DEPLOY, "dev", "prod --json")
def urls(given: typer.Context, environment: Env, as_json: Json = False) -> None:
    """Show where the application is reached."""
    answer = addresses_of(operator(given, environment).environment)
    if as_json:
        show_data(answer)
    else:
        show_addresses(answer)


@command("status", LOOK, "dev", "prod --json")
def status(given: typer.Context, environment: Env, context: Context = "", as_json: Json = False) -> None:
    """Show every service: wanted, ready, restarts, age, image, what is wrong."""
    who = operator(given, environment, context)
    with answering(as_json):
        kubectl = who.in_namespace(who.look())
        if other := who_is_at_it(who.environment, kubectl):
            show(other)
        answer = Status(
            environment=environment,
            context=kubectl.context,
            namespace=kubectl.namespace,
            services=pods.services_of(who.environment, kubectl),
        )
    if as_json:
        show_data(answer)
    else:
        pods.show_services(answer.services)


@command("logs", LOOK, "dev", "dev backend registry --follow", targets=("k8s-logs", "k8s-logs-TARGET"))
def logs(
    given: typer.Context,
    environment: Env,
    targets: Targets = None,
    context: Context = "",
    follow: Follow = False,
    lines: Lines = 100,
) -> None:
    """Show the last log lines: of everything, or of the workloads named."""
    who = operator(given, environment, context)
    names = [who.environment.application.prefixed(name) for name in targets or ()]
    deploy.workloads_of(who.environment, targets or ())
    selector = f"app.kubernetes.io/name in ({','.join(names)})" if names else ""
    kubectl = who.in_namespace(who.look())
    deploy.logs(who.environment, kubectl, selector, follow=follow, lines=lines)


@command("logs-agents", LOOK, "dev --lines 5")
def logs_agents(
    given: typer.Context, environment: Env, context: Context = "", follow: Follow = False, lines: Lines = 100
) -> None:
    """Show the last log lines of all agents."""
    who = operator(given, environment, context)
    kubectl = who.in_namespace(who.look())
    deploy.logs(who.environment, kubectl, "app.kubernetes.io/component=agent", follow=follow, lines=lines)


@command("describe-failing", LOOK, "dev")
def describe_failing(given: typer.Context, environment: Env, context: Context = "") -> None:
    """Show each pod that is in trouble, with its events and last log lines."""
    who = operator(given, environment, context)
    pods.describe_failing(who.in_namespace(who.look()))


@command("test-health", LOOK, "dev", "prod --json")
def check_health(
    given: typer.Context, environment: Env, context: Context = "", address: Reached = "", as_json: Json = False
) -> None:
    """Check gateway, backend, pods, and whether the registry lists every agent."""
    who = operator(given, environment, context)
    health.check_address(address)
    with answering(as_json), progress("health"):
        findings = health.health_of(who.environment, who.look(), address)
    report(environment, findings, as_json, "Not all is well: make k8s-describe-failing shows more.")


@command("test-mcp-tools", LOOK, "dev")
def check_tools(
    given: typer.Context, environment: Env, context: Context = "", address: Reached = "", as_json: Json = False
) -> None:
    """Ask each agent for its tools."""
    who = operator(given, environment, context)
    health.check_address(address)
    with answering(as_json), progress("tools"):
        findings = health.tools_of_agents(who.environment, who.look(), address)
    report(environment, findings, as_json, "Not every agent names its tools: make k8s-logs-agents shows more.")


@command("port-forward", LOOK, "dev grafana")
def port_forward(given: typer.Context, environment: Env, target: Target = "", context: Context = "") -> None:
    """Open a workload's ports on this machine until Ctrl-C."""
    who = operator(given, environment, context)
    workload = deploy.choose_forwarded(who.environment, target)
    deploy.forward(who.environment, who.look(), workload)


@command("show", LOOK, "dev --json")
def show_application(given: typer.Context, environment: Env, as_json: Json = False) -> None:
    """Show images, ports and Dockerfiles, as the typed application says."""
    answer = shown(operator(given, environment).environment)
    if as_json:
        show_data(answer)
        return
    rows = [(one.name, one.image, ", ".join(map(str, one.ports)), one.dockerfile) for one in answer.workloads]
    show_table(("workload", "image", "ports", "built from"), rows)


@command("quick-update", CHANGE, "dev backend")
def quick_update(
    given: typer.Context,
    environment: Env,
    targets: Targets = None,
    context: Context = "",
    confirm: Confirm = "",
    app_dir: AppDir = None,
    push: Push = False,
) -> None:
    """Build the images anew, and restart each workload whose image changed."""
    who = operator(given, environment, context, confirm)
    if not isinstance(who.environment.cluster, Minikube):
        raise UsageError(
            f"The images of {environment} never change under one name. Raise VERSION, build with PUSH=1, and deploy."
        )
    builds = build.choose_builds(who.environment, targets or ())
    kubectl = who.in_namespace(who.change())
    # Each is restarted when it is built: what is built later may fail.
    changed = [
        one.workload
        for one, new in build.build_images(who.minikube, who.checkout(app_dir), builds, push=push)
        if new and deploy.begin_restart(who.environment, kubectl, [one.workload])
    ]
    if changed:
        deploy.wait_for(who.environment, kubectl, (), deploy.workloads_of(who.environment, changed))
    else:
        show("No image changed, so nothing is restarted.")


@command("restart", CHANGE, "dev", "prod backend --confirm prod")
def restart(
    given: typer.Context, environment: Env, targets: Targets = None, context: Context = "", confirm: Confirm = ""
) -> None:
    """Restart workloads one pod at a time: all but the stores, or those named."""
    who = operator(given, environment, context, confirm)
    deploy.workloads_of(who.environment, targets or ())
    deploy.restart(who.environment, who.in_namespace(who.change()), targets or ())


@command("drain", CHANGE, "dev", "prod --seconds 3600 --confirm prod")
def drain_(
    given: typer.Context, environment: Env, context: Context = "", confirm: Confirm = "", seconds: Seconds = 600
) -> None:
    """Let no job of the mesh begin, and wait until those that run have ended."""
    who = operator(given, environment, context, confirm)
    drain.registries_of(who.environment)
    drain.drain(who.environment, who.in_namespace(who.change()), seconds)


@command("undrain", CHANGE, "dev", "prod --confirm prod")
def undrain(given: typer.Context, environment: Env, context: Context = "", confirm: Confirm = "") -> None:
    """Let jobs of the mesh begin again."""
    who = operator(given, environment, context, confirm)
    drain.registries_of(who.environment)
    drain.undrain(who.environment, who.in_namespace(who.change()))


@command("rotate", CHANGE, "dev --name grafana --key admin-password", "prod --name claude --key api-key --confirm prod")
def rotate(
    given: typer.Context,
    environment: Env,
    name: SecretName,
    key: KeyName,
    context: Context = "",
    confirm: Confirm = "",
    present: Present = False,
) -> None:
    """Give a key of a Secret another value, and bring it to who checks it and who reads it."""
    who = operator(given, environment, context, confirm)
    rotation.secret_of(who.environment, name, key)
    kubectl = who.in_namespace(who.change())
    with turn(who.environment, kubectl, "rotate"):
        rotation.rotate(who.environment, kubectl, name, key, present=present)


@command("export-data", CHANGE, "dev --data ../export", "dev --from compose --data ../export")
def export(
    given: typer.Context,
    environment: Env,
    data: Data,
    context: Context = "",
    app_dir: AppDir = None,
    source: From = Place.CLUSTER,
    live: Live = False,
) -> None:
    """Export all data into a new folder: of the cluster, or of Docker Compose."""
    who = operator(given, environment, context)
    side = side_of(who, source, app_dir)
    with progress("export"):
        export_data(side, who.stores, data, live=live)


@command("import-data", CHANGE, "dev --data ../export", "prod --data ../export --confirm prod")
def import_(
    given: typer.Context,
    environment: Env,
    data: Data,
    context: Context = "",
    confirm: Confirm = "",
    app_dir: AppDir = None,
    target: To = Place.CLUSTER,
    owners: Owners = None,
) -> None:
    """Import an export into the cluster, or into Docker Compose; all but the stores is stopped meanwhile."""
    who = operator(given, environment, context, confirm)
    Manifest.read(data)  # before anything is stopped for an export that is no good
    if target is Place.COMPOSE:
        compose = ComposeSide.of(who.checkout(app_dir))
        require_programs(compose, who.stores)
        restore_into(who, compose, data, owners or [])
        return
    kubectl = who.in_namespace(who.change())
    require_programs(ClusterSide(kubectl=kubectl), who.stores)
    cluster.require_no_self_heal(kubectl)
    with turn(who.environment, kubectl, "import-data"), application_stopped():
        clients.stop_clients(who.environment, kubectl)
        with progress("import"):
            import_data(ClusterSide(kubectl=kubectl), who.stores, data, owners=owners or [])
        clients.start_clients(who.environment, kubectl)


@command("verify-data", CHANGE, "dev --data ../export", "dev --data ../export --to compose --json")
def verify(
    given: typer.Context,
    environment: Env,
    data: Data,
    context: Context = "",
    app_dir: AppDir = None,
    place: At = Place.CLUSTER,
    as_json: Json = False,
) -> None:
    """Compare what is in the cluster, or in Docker Compose, with an export."""
    who = operator(given, environment, context)
    with answering(as_json), progress("comparison"):
        rows = compare_data(side_of(who, place, app_dir), who.stores, data)
    if as_json:
        compared = tuple(
            Compared(what=row.what, exported=row.exported, found=row.found, checksum=row.checksum, same=row.ok)
            for row in rows
        )
        same = all(row.ok for row in rows)
        show_data(Verification(environment=environment, folder=str(data), same=same, compared=compared))
    else:
        show_rows(rows)
    require_same(rows)


@command("restore", CHANGE, "prod", "prod --store NAME --from newest --confirm prod")
def restore(
    given: typer.Context,
    environment: Env,
    context: Context = "",
    confirm: ConfirmRestore = "",
    store: StoreName = "",
    backup: FromBackup = "",
    data: Fetched = None,
    owners: Owners = None,
) -> None:
    """List the backups, or bring one back; what is there now is kept, and all but the stores is stopped meanwhile."""
    who = operator(given, environment, context, confirm)
    if not backup:
        sources = [backups.chosen(who.environment, store)] if store else backups.backups_of(who.environment).values()
        kubectl = who.in_namespace(who.look())
        found = list[backups.Backup]()
        for source in sources:
            with backups.reading(who.environment, kubectl, source) as reader:
                found += reader.backups()
        show_table(("store", "backup", "made", "bytes", "files", "took"), backups.rows_of(found))
        return
    if not store:
        raise UsageError("Say which store it is a backup of: STORE=<its name>.")
    source = backups.chosen(who.environment, store)
    kubectl = who.in_namespace(who.change())
    side, stores = ClusterSide(kubectl=kubectl), backups.only(who.stores, store)
    require_programs(side, stores)
    cluster.require_no_self_heal(kubectl)
    present = stores.stores[0].mover(side).present()
    if present and confirm != environment:
        raise OperationError(
            f"{store} is not empty: {present}. It is kept, and the backup takes its place, with CONFIRM={environment}."
        )
    with turn(who.environment, kubectl, "restore"):
        with backups.reading(who.environment, kubectl, source) as reader:
            wanted = reader.find(backup)
            folder = data or Path("..", f"{who.environment.application.settings.name}-{store}-{wanted.name}")
            backups.fetch(side, reader, wanted, folder)
        with application_stopped():
            clients.stop_clients(who.environment, kubectl)
            with progress("import"):
                import_data(side, stores, folder, owners=owners or [])
            clients.start_clients(who.environment, kubectl)


@command("rollback", CHANGE, "dev --data ../back")
def rollback(
    given: typer.Context,
    environment: Env,
    context: Context = "",
    confirm: Confirm = "",
    app_dir: AppDir = None,
    data: DataToTake = None,
    owners: Owners = None,
) -> None:
    """Go back to Docker Compose: stop everything in the cluster but the stores, and start the stack."""
    who = operator(given, environment, context, confirm)
    compose = ComposeSide.of(who.checkout(app_dir))
    require("docker")
    if data is not None:
        require_programs(compose, who.stores)
    if owners and data is None:
        raise UsageError("Owners are for data that are taken along. Give DATA=<a new folder> too.")
    if data is not None and data.exists():
        raise OperationError(
            f"{data} exists, and may be old. Name a new folder, or bring that one in: make k8s-import-data TO=compose"
        )
    kubectl = who.consented()
    if complaint := cluster.complaint_about(who.environment, kubectl):
        up = shlex.join(compose.compose("up", "--detach"))
        raise OperationError(f"{complaint} Or go back without its data: {up}")
    who.in_namespace(kubectl)
    cluster.require_no_self_heal(kubectl)
    with turn(who.environment, kubectl, "rollback"), application_stopped():
        clients.stop_clients(who.environment, kubectl)
        if data is None:
            show_left_out(who.stores, "left in the cluster with all other data")
            clients.start_compose(compose)
        else:
            with progress("export"):
                export_data(ClusterSide(kubectl=kubectl), who.stores, data)
            restore_into(who, compose, data, owners or [])
    show("Docker Compose serves. Back to the cluster: docker compose stop, and deploy again.")


@command("clean", CHANGE, "dev", "dev --confirm delete-data", rendered=True)
def clean(given: typer.Context, environment: Env, context: Context = "", confirm: ConfirmDeletion = "") -> None:
    """Delete what was deployed; data too when that is confirmed."""
    who = operator(given, environment, context, confirm)
    data = confirm == "delete-data"
    kubectl = who.in_namespace(who.look() if data else who.change())
    if data and not cluster.is_minikube(kubectl.context):
        raise OperationError(f"{kubectl.context!r} is no minikube: its data is never deleted from here.")
    cluster.require_no_self_heal(kubectl)
    require_nobody(who.environment, kubectl)
    if data:
        show_left_out(who.stores, "deleted, and in no export")
    deploy.remove(who.environment, kubectl, who.phases, data=data)


# What they share.


def answering(as_json: bool) -> AbstractContextManager[None]:
    """Keep the standard output for the answer when a script reads it."""
    return only_data() if as_json else nullcontext()


@contextmanager
def application_stopped() -> Generator[None]:
    """Say how things stand when the block, which stops the application, ends too early."""
    try:
        yield
    except BaseException:
        show("The application is stopped. Give the command again, or deploy again to start it.")
        raise


def build_all(who: Operator, checkout: Path, builds: Sequence[Build], *, push: bool = False) -> None:
    """Build images, and show which of them are new."""
    rows = [
        (one.workload, one.image.reference, "new" if changed else "as before")
        for one, changed in build.build_images(who.minikube, checkout, builds, push=push)
    ]
    show_table(("workload", "image", "is"), rows)


def set_up(who: Operator, env_file: Path) -> None:
    """Prepare the cluster."""
    kubectl, phases = who.change(), who.phases
    cluster.has_namespace(kubectl)
    require(*(("minikube",) if who.minikube else ()))
    who.require_values(kubectl, env_file)
    advice = ""
    if who.minikube:
        for addon in who.minikube.addons:
            with progress(f"minikube addon {addon}"):
                output(["minikube", "--profile", who.minikube.profile, "addons", "enable", addon], timeout=600)
            show(f"minikube addon {addon}: enabled")
        advice = f"The addons {', '.join(who.minikube.addons)} are enabled, so wait for their pods, or look at them: "
        advice += shlex.join(["kubectl", "--context", kubectl.context, "get", "pods", "--all-namespaces"])
    cluster.require_prerequisites(kubectl, phases, advice)
    dns.show_dns(who.environment, kubectl)
    deploy.apply(kubectl, [manifest for phase in phases for manifest in phase.of("Namespace")])
    keys = secrets.make_secrets(who.environment, kubectl, env_file)
    stored = secrets.stored_keys(who.environment)
    secrets.show_secrets(Secrets(environment=who.environment.name, keys=keys, stored=stored))


def deploy_all(who: Operator) -> None:
    """Show the difference, apply phase by phase, and wait for each."""
    kubectl, phases = who.in_namespace(who.change()), who.phases
    advice = f"On this minikube: make k8s-setup ENV={who.environment.name}" if who.minikube else ""
    cluster.require_prerequisites(kubectl, phases, advice)
    cluster.require_no_self_heal(kubectl)
    require_nobody(who.environment, kubectl)  # it would start what was stopped for that
    secrets.require_secrets(who.environment, kubectl, phases)
    deploy.show_difference(who.environment, kubectl, phases)
    deploy.deploy(who.environment, kubectl, phases)
    show_addresses(addresses_of(who.environment))


def name_hosts(who: Operator, hosts_file: Path, address: str) -> None:
    """Let the hosts file name the application's host."""
    hosts.require_hosts_file(hosts_file)
    names = tuple(gateway.settings.host for gateway in who.environment.gateways)
    hosts.update_hosts(hosts_file, who.environment.application.settings.name, address or who.minikube_address(), names)


def restore_into(who: Operator, compose: ComposeSide, folder: Path, owners: Sequence[Owner]) -> None:
    """Import an export into Docker Compose, and start all of it."""
    clients.stop_compose(compose, who.stores)
    with progress("import"):
        import_data(compose, who.stores, folder, owners=owners)
    clients.start_compose(compose)


def side_of(who: Operator, place: Place, app_dir: Path | None) -> Side:
    """Where data are looked at."""
    if place is Place.COMPOSE:
        return ComposeSide.of(who.checkout(app_dir))
    return ClusterSide(kubectl=who.in_namespace(who.look()))


def report(environment: str, findings: tuple[Finding, ...], as_json: bool, otherwise: str) -> None:
    """Show what was found.

    Raises:
        OperationError: Not all is well.
    """
    passed = all(one.passed for one in findings)
    if as_json:
        show_data(Health(environment=environment, passed=passed, findings=findings))
    else:
        health.show_findings(findings)
    if not passed:
        raise OperationError(otherwise)


def addresses_of(environment: Environment) -> Addresses:
    """Where the application is reached."""
    return Addresses(
        environment=environment.name,
        addresses=tuple(
            Address(
                path=route.path,
                service=route.to.name,
                audience=route.audience.value,
                url=f"{gateway.settings.url}{route.path}",
            )
            for gateway in environment.gateways
            for route in gateway.routes
        ),
    )


def show_addresses(answer: Addresses) -> None:
    """Show where the application is reached."""
    rows = [(one.path, one.service, one.audience, one.url) for one in answer.addresses]
    show_table(("path", "answered by", "for", "address"), rows)


def shown(environment: Environment) -> Shown:
    """What the typed application says."""
    built = {one.workload: one.dockerfile for one in environment.builds}
    return Shown(
        environment=environment.name,
        workloads=tuple(
            ShownWorkload(
                name=pod.name,
                image=pod.container.image.reference,
                ports=tuple(port.number for container in pod.containers for port in container.ports),
                dockerfile=built.get(pod.name, ""),
            )
            for pod in environment.application.pods
        ),
    )
