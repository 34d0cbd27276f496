"""This module is the command line of an application: `python -m NAME COMMAND`, which `make k8s-…` calls."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from mcpmesh_k8s.kubernetes import SettingError, TreeError

from . import build, clients, cluster, deploy, health, hosts, secrets
from .environment import Environment, Minikube
from .moves import (
    ClusterSide,
    ComposeSide,
    Manifest,
    Owner,
    Side,
    Stores,
    export_data,
    import_data,
    require_programs,
    show_left_out,
    stores_of,
    verify_data,
)
from .programs import Kubectl, OperationError, output, require
from .rendered import RenderedPhase, read_phases
from .terminal import show, show_table

COMPOSE = "compose"
"""The name of Docker Compose, where data come from or go to."""


class Operator:
    """One command: the environment it is for, and what was given with it.

    Args:
        environment: Which environment.
        environments: All of them: one must not be taken for another.
        given: What stands on the command line.
    """

    def __init__(
        self, environment: Environment, environments: Sequence[Environment], given: argparse.Namespace
    ) -> None:
        self.environment = environment
        self.environments = environments
        self.context: str = given.context
        self.confirm: str = given.confirm
        self.address: str = given.address
        self.follow: bool = given.follow
        self.lines: int = given.lines
        self.push: bool = given.push
        self.names: list[str] = given.names
        self.source: str = given.source
        self.target: str = given.target
        self.live: bool = given.live
        self.replace: list[str] = given.replace
        self.data: Path | None = given.data
        self.owners: list[Owner] = given.owner
        self.checkout: Path = given.app_dir or Path("..", environment.application.settings.name)
        self.env_file: Path = given.env_file or secrets.ENV_FILE
        self.hosts_file: Path = given.hosts_file

    # What several commands begin with.

    def look(self) -> Kubectl:
        """kubectl, to look at things."""
        return self.answering(self.chosen())

    def change(self) -> Kubectl:
        """kubectl, to change things: with consent."""
        return self.answering(self.consented())

    def chosen(self) -> Kubectl:
        """Kubectl for the right cluster, which was not asked yet."""
        return cluster.choose_context(self.environment, self.context, self.environments)

    def consented(self) -> Kubectl:
        """kubectl, once there is consent."""
        kubectl = self.chosen()
        cluster.require_consent(self.environment, kubectl, self.confirm)
        return kubectl

    def answering(self, kubectl: Kubectl) -> Kubectl:
        """kubectl, once the cluster answers."""
        cluster.require_answer(self.environment, kubectl)
        show(f"context {kubectl.context}, namespace {kubectl.namespace}")
        return kubectl

    def in_namespace(self, kubectl: Kubectl) -> Kubectl:
        """kubectl, once the namespace is there."""
        cluster.require_namespace(self.environment, kubectl)
        return kubectl

    @property
    def phases(self) -> tuple[RenderedPhase, ...]:
        """What was rendered."""
        return read_phases(self.environment.application.directory)

    # The commands, each by the name of its make target.

    def use_context(self) -> None:
        """Check that the cluster runs, and make its context the current one."""
        cluster.use_context(self.environment, self.chosen())

    def build(self) -> None:
        """Build images: all, or those of the workloads named."""
        builds = build.choose_builds(self.environment, self.names)
        rows = [
            (one.workload, one.image.reference, "new" if changed else "as before")
            for one, changed in build.build_images(self.minikube, self.checkout, builds, push=self.push)
        ]
        show_table(("workload", "image", "is"), rows)

    def setup(self) -> None:
        """Prepare the cluster: addons, what must be there, the namespace, Secrets."""
        kubectl, phases = self.change(), self.phases
        require(*(("minikube",) if self.minikube else ()))
        self.require_values(kubectl)
        if self.minikube:
            for addon in self.minikube.addons:
                output(["minikube", "--profile", self.minikube.profile, "addons", "enable", addon], timeout=600)
                show(f"minikube addon {addon}: enabled")
        cluster.require_prerequisites(self.environment, kubectl, phases)
        deploy.apply(kubectl, [manifest for phase in phases for manifest in phase.of("Namespace")])
        secrets.make_secrets(self.environment, kubectl, self.env_file)

    def secrets(self) -> None:
        """Put into the cluster what its Secrets lack."""
        if not self.secret_names:
            secrets.show_stores(self.environment)
            return
        kubectl = self.in_namespace(self.change())
        secrets.make_secrets(self.environment, kubectl, self.env_file, self.replace)

    def diff(self) -> None:
        """Show what a deployment would change."""
        kubectl, phases = self.look(), self.phases
        cluster.require_namespace(self.environment, kubectl)
        if not deploy.show_difference(self.environment, kubectl, phases):
            show(f"{self.environment.name} is as rendered.")

    def deploy(self) -> None:
        """Show the difference, apply phase by phase, and wait for each."""
        kubectl, phases = self.change(), self.phases
        cluster.require_namespace(self.environment, kubectl)
        cluster.require_prerequisites(self.environment, kubectl, phases)
        cluster.require_no_self_heal(kubectl)
        secrets.require_secrets(self.environment, kubectl, phases)
        deploy.show_difference(self.environment, kubectl, phases)
        deploy.deploy(self.environment, kubectl, phases)
        self.urls()

    def ingress_hosts(self) -> None:
        """Let the hosts file name the application's host."""
        hosts.require_hosts_file(self.hosts_file)
        address = self.address or self.minikube_address()
        names = tuple(gateway.settings.host for gateway in self.environment.gateways)
        hosts.update_hosts(self.hosts_file, self.environment.application.settings.name, address, names)

    def quick_dev(self) -> None:
        """Everything from nothing: context, images, set-up, deployment, hosts file. All of it is checked first."""
        if not self.minikube:
            raise OperationError("This is for the minikube of the settings. Take another cluster step by step.")
        require("docker", "kubectl", "minikube")
        kubectl = self.chosen()
        builds = build.choose_builds(self.environment, ())
        build.require_checkout(self.checkout, builds)
        hosts.require_hosts_file(self.hosts_file)
        read_phases(self.environment.application.directory)
        cluster.require_answer(self.environment, kubectl)
        self.require_values(kubectl)
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ("context", self.use_context),
            ("images", self.build),
            ("set-up", self.setup),
            ("deployment", self.deploy),
            ("hosts file", self.ingress_hosts),
        )
        for number, (name, step) in enumerate(steps, start=1):
            show(f"=== {number} of {len(steps)}: {name}")
            step()

    def quick_update(self) -> None:
        """Build the images anew, and restart each workload whose image changed."""
        if not isinstance(self.environment.cluster, Minikube):
            raise OperationError(
                f"The images of {self.environment.name} never change under one name. Raise VERSION, build with PUSH=1, "
                "and deploy."
            )
        kubectl = self.in_namespace(self.change())
        builds = build.choose_builds(self.environment, self.names)
        # Each is restarted when it is built: what is built later may fail.
        changed = [
            one.workload
            for one, new in build.build_images(self.minikube, self.checkout, builds, push=self.push)
            if new and deploy.begin_restart(self.environment, kubectl, [one.workload])
        ]
        if changed:
            deploy.wait_for(kubectl, (), deploy.workloads_of(self.environment, changed))
        else:
            show("No image changed, so nothing is restarted.")

    def status(self) -> None:
        """Show what runs."""
        deploy.status(self.in_namespace(self.look()))

    def logs(self) -> None:
        """Show the last log lines: of everything, or of the workloads named."""
        full = [self.environment.application.prefixed(name) for name in self.names]
        selector = f"app.kubernetes.io/name in ({','.join(full)})" if full else ""
        if full:
            deploy.workloads_of(self.environment, self.names)
        kubectl = self.in_namespace(self.look())
        deploy.logs(self.environment, kubectl, selector, follow=self.follow, lines=self.lines)

    def logs_agents(self) -> None:
        """Show the last log lines of all agents."""
        selector = "app.kubernetes.io/component=agent"
        kubectl = self.in_namespace(self.look())
        deploy.logs(self.environment, kubectl, selector, follow=self.follow, lines=self.lines)

    def describe_failing(self) -> None:
        """Show each pod that is in trouble, with its events and last log lines."""
        deploy.describe_failing(self.in_namespace(self.look()))

    def test_health(self) -> None:
        """Check gateway, pods and registry."""
        if not health.verify_health(self.environment, self.look(), self.address):
            raise OperationError("Not all is well: make k8s-describe-failing shows more.")

    def test_mcp_tools(self) -> None:
        """Ask each agent for its tools."""
        if not health.verify_tools(self.environment, self.look(), self.address):
            raise OperationError("Not every agent names its tools: make k8s-logs-agents shows more.")

    def port_forward(self) -> None:
        """Open a workload's ports on this machine until Ctrl-C: of the gateway unless one is named."""
        kubectl = self.look()
        names = self.names or [gateway.name for gateway in self.environment.gateways]
        deploy.forward(self.environment, kubectl, names)

    def restart(self) -> None:
        """Restart workloads: all but the stores, or those named."""
        deploy.restart(self.environment, self.in_namespace(self.change()), self.names)

    def export_data(self) -> None:
        """Export all data into a folder: of the cluster, or of Docker Compose."""
        if self.target:
            raise OperationError("An export comes FROM somewhere, and goes to DATA=<folder>.")
        folder = self.require_data()
        compose = self.source == COMPOSE
        side = ComposeSide.of(self.checkout) if compose else ClusterSide(kubectl=self.in_namespace(self.look()))
        export_data(side, self.stores, folder, live=self.live)

    def import_data(self) -> None:
        """Import an export into the cluster, or into Docker Compose. Everything but the stores is stopped meanwhile."""
        if self.source:
            raise OperationError("An import comes from DATA=<folder>, and goes TO somewhere.")
        folder = self.require_data()
        Manifest.read(folder)  # before anything is stopped for an export that is no good
        if self.target == COMPOSE:
            compose = ComposeSide.of(self.checkout)
            require_programs(compose, self.stores)
            self.restore_into(compose, folder)
            return
        kubectl = self.in_namespace(self.change())
        require_programs(ClusterSide(kubectl=kubectl), self.stores)
        cluster.require_no_self_heal(kubectl)
        with application_stopped():
            clients.stop_clients(self.environment, kubectl)
            import_data(ClusterSide(kubectl=kubectl), self.stores, folder, owners=self.owners)
            clients.start_clients(self.environment, kubectl)

    def verify_data(self) -> None:
        """Compare what is in the cluster, or in Docker Compose, with an export."""
        folder = self.require_data()
        compose = COMPOSE in (self.source, self.target)
        side: Side = ComposeSide.of(self.checkout) if compose else ClusterSide(kubectl=self.in_namespace(self.look()))
        verify_data(side, self.stores, folder)

    def rollback(self) -> None:
        """Stop everything in the cluster but the stores, and start Docker Compose; DATA takes the data along."""
        compose = ComposeSide.of(self.checkout)
        require("docker")
        if self.data is not None:
            require_programs(compose, self.stores)
        if self.data is not None and self.data.exists():
            raise OperationError(
                f"{self.data} exists, and may be old. Name a new folder, or bring that one in: make k8s-import-data "
                "TO=compose"
            )
        kubectl = self.consented()
        if not cluster.answers(kubectl):
            up = shlex.join(compose.compose("up", "--detach"))
            raise OperationError(f"The cluster of context {kubectl.context!r} does not answer. Without its data: {up}")
        self.in_namespace(kubectl)
        cluster.require_no_self_heal(kubectl)
        with application_stopped():
            clients.stop_clients(self.environment, kubectl)
            if self.data is None:
                show_left_out(self.stores, "left in the cluster with all other data")
                clients.start_compose(compose)
            else:
                export_data(ClusterSide(kubectl=kubectl), self.stores, self.data)
                self.restore_into(compose, self.data)
        show("Docker Compose serves. Back to the cluster: docker compose stop, and deploy again.")

    def clean(self) -> None:
        """Delete what was deployed; data too when that is confirmed."""
        data = self.confirm == "delete-data"
        kubectl = self.in_namespace(self.look() if data else self.change())
        if data and not cluster.is_minikube(kubectl.context):
            raise OperationError(f"{kubectl.context!r} is no minikube: its data is never deleted from here.")
        cluster.require_no_self_heal(kubectl)
        if data:
            show_left_out(self.stores, "deleted, and in no export")
        deploy.remove(kubectl, self.phases, data=data)

    def urls(self) -> None:
        """Show where the application is reached."""
        deploy.show_addresses(self.environment)

    # What they share.

    def restore_into(self, compose: ComposeSide, folder: Path) -> None:
        """Import an export into Docker Compose, and start all of it."""
        clients.stop_compose(compose, self.stores)
        import_data(compose, self.stores, folder, owners=self.owners)
        clients.start_compose(compose)

    def require_values(self, kubectl: Kubectl) -> None:
        """Refuse to begin when a value of a Secret is nowhere."""
        present = secrets.keys_in_cluster(kubectl, self.secret_names)
        secrets.require_values(self.environment, present, secrets.read_env_file(self.env_file))

    def require_data(self) -> Path:
        """The folder of the export.

        Raises:
            OperationError: None is named.
        """
        if self.data is None:
            raise OperationError("Give DATA=<folder>: where the export is, or shall be.")
        return self.data

    @property
    def stores(self) -> Stores:
        """What holds the data."""
        return stores_of(self.environment.application)

    @property
    def secret_names(self) -> list[str]:
        """The Secrets that are made from here."""
        return list(dict.fromkeys(entry.reference.secret for entry in secrets.own_entries(self.environment)))

    @property
    def minikube(self) -> Minikube | None:
        """The minikube of the settings; none when another context was given."""
        minikube = self.environment.cluster
        return minikube if isinstance(minikube, Minikube) and self.context in ("", minikube.context) else None

    def minikube_address(self) -> str:
        """The address of minikube.

        Raises:
            OperationError: It is another cluster.
        """
        if not self.minikube:
            raise OperationError("Only minikube tells its address. Give ADDRESS=<the ingress controller's>.")
        require("minikube")
        return output(["minikube", "--profile", self.minikube.profile, "ip"]).strip()

    def show(self) -> None:
        """Show what the typed application says: images, ports, Dockerfiles."""
        built = {one.workload: one for one in self.environment.builds}
        rows: list[tuple[str, str, str, str]] = []
        for pod in self.environment.application.pods:
            ports = ", ".join(str(port.number) for container in pod.containers for port in container.ports)
            dockerfile = built[pod.name].dockerfile if pod.name in built else ""
            rows.append((pod.name, pod.container.image.reference, ports, dockerfile))
        show_table(("workload", "image", "ports", "built from"), rows)


COMMANDS: dict[str, Callable[[Operator], None]] = {
    "quick-dev": Operator.quick_dev,
    "context": Operator.use_context,
    "build": Operator.build,
    "setup": Operator.setup,
    "secrets": Operator.secrets,
    "diff": Operator.diff,
    "deploy": Operator.deploy,
    "ingress-hosts": Operator.ingress_hosts,
    "urls": Operator.urls,
    "status": Operator.status,
    "logs": Operator.logs,
    "logs-agents": Operator.logs_agents,
    "describe-failing": Operator.describe_failing,
    "quick-update": Operator.quick_update,
    "restart": Operator.restart,
    "port-forward": Operator.port_forward,
    "test-health": Operator.test_health,
    "test-mcp-tools": Operator.test_mcp_tools,
    "export-data": Operator.export_data,
    "import-data": Operator.import_data,
    "verify-data": Operator.verify_data,
    "rollback": Operator.rollback,
    "clean": Operator.clean,
    "show": Operator.show,
}
"""Every command, by its name."""


class Arguments(argparse.ArgumentParser):
    """A command line whose mistakes are told in one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        self.exit(2, f"error: {message}\n")


@contextmanager
def application_stopped() -> Generator[None]:
    """Say how things stand when the block, which stops the application, ends too early."""
    try:
        yield
    except BaseException:
        show("The application is stopped. Give the command again, or deploy again to start it.")
        raise


def owner(text: str) -> Owner:
    """An owner as it is given on the command line.

    Raises:
        argparse.ArgumentTypeError: It is not understood.
    """
    parts = text.split(":")
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"{text!r}: give <database>:<schema>:<role>")
    return Owner(database=parts[0], schema=parts[1], role=parts[2])


def parser(program: str, environments: Sequence[Environment]) -> argparse.ArgumentParser:
    """The command line. A make variable of the same name stands for each option."""
    parsed = Arguments(prog=program, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parsed.epilog = "\n".join(f"  {name:18}{command.__doc__}" for name, command in COMMANDS.items())
    parsed.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    parsed.add_argument("environment", choices=[one.name for one in environments], help="which environment")
    parsed.add_argument("names", nargs="*", metavar="WORKLOAD", help="short names, such as backend")
    parsed.add_argument("--context", default="", help="another context than the environment's own")
    parsed.add_argument("--confirm", default="", help="the environment's name, or delete-data")
    parsed.add_argument("--address", default="", help="where the ingress controller is reached")
    parsed.add_argument("--app-dir", type=Path, help="the application's checkout: ../NAME unless given")
    parsed.add_argument("--env-file", type=Path, help="the file with the values of Secrets: .env unless given")
    parsed.add_argument("--hosts-file", type=Path, default=hosts.HOSTS, help="the hosts file")
    parsed.add_argument("--replace", action="append", default=[], help="a variable of .env whose key gets a new value")
    parsed.add_argument("--lines", type=int, default=100, help="how many log lines of each container")
    parsed.add_argument("--follow", action="store_true", help="go on with new log lines")
    parsed.add_argument("--data", type=Path, help="the folder of an export")
    places = ("cluster", COMPOSE)
    parsed.add_argument(
        "--from", dest="source", choices=places, default="", help="what is exported; the cluster's data"
    )
    parsed.add_argument("--to", dest="target", choices=places, default="", help="where an import goes; the cluster")
    parsed.add_argument("--live", action="store_true", help="export although something may write")
    parsed.add_argument(
        "--owner", action="append", type=owner, default=[], help="DATABASE:SCHEMA:ROLE: who owns what a superuser did"
    )
    parsed.add_argument("--push", action="store_true", help="push images to their registry")
    return parsed


def main(program: str, environments: Sequence[Environment], arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit status.

    Args:
        program: What people type, for the help.
        environments: Every environment that can be operated.
        arguments: The command line; the process's own unless given.
    """
    given = parser(program, environments).parse_args(arguments)
    environment = next(one for one in environments if one.name == given.environment)
    try:
        COMMANDS[given.command](Operator(environment, environments, given))
    except (OperationError, SettingError, TreeError, OSError, UnicodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0
