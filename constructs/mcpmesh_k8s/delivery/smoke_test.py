"""This module is the smoke test: a task that asks, after each deployment, whether people and agents are served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from constructs import Construct

from mcpmesh_k8s.access import Audience, Gateway
from mcpmesh_k8s.kubernetes import (
    Compute,
    Container,
    File,
    Files,
    Hook,
    Image,
    SettingError,
    Target,
    Task,
    TaskOptions,
    TaskSettings,
    Variable,
    dataclass,
    variables,
)
from mcpmesh_k8s.services import SHOWN, USER, Agent, Registry, mesh_of

_PROGRAM = Path(__file__).with_name("_smoke_program.py")
_FOLDER = "/etc/smoke-test"
_PULL_SECONDS = 300
"""How long the image may take to come: the Job's own deadline runs from when it is made."""


@dataclass(frozen=True, kw_only=True)
class SmokeTestSettings(TaskOptions):
    """A smoke test.

    Args:
        image: An image with Python 3.10 or newer; the mesh runtime's own needs no other.
        path: A public route of the gateway that answers 200 when the service behind it is well.
        deadline_seconds: Seconds after which it has failed. Until then it asks again.
        compute: CPU and memory.
        name: The short name.
    """

    image: Image
    path: str = "/health"
    deadline_seconds: int = 300
    compute: Compute = Compute(cpu="50m", memory="64Mi", cpu_limit="200m", memory_limit="128Mi")
    name: str = "smoke-test"

    def __post_init__(self) -> None:
        """Refuse a deadline that leaves no time to ask."""
        super().__post_init__()
        if self.deadline_seconds < 1:
            raise SettingError("SmokeTestSettings.deadline_seconds", self.deadline_seconds, "Give 1 or more.")


class SmokeTest(Task):
    """A Job that ends well when the gateway serves a public route and the registry knows every agent as healthy.

    It asks the gateway as the ingress controller would, through to the service behind, and the registry for every Agent
    of the application. It asks again until its deadline, and says what it found as a table. ArgoCD runs it after each
    sync, which succeeds when it does.

    Args:
        scope: A Phase.
        settings: Image, route and deadline.
        gateway: The way in. It is connected.
        registry: The registry. It is connected.

    Raises:
        SettingError: The gateway has no public route of this path.
    """

    def __init__(self, scope: Construct, settings: SmokeTestSettings, gateway: Gateway, registry: Registry) -> None:
        self.settings = settings
        public = [route.path for route in gateway.routes if route.audience is Audience.PUBLIC]
        if settings.path not in public:
            raise SettingError(
                "SmokeTestSettings.path",
                settings.path,
                f"Give a public route of the gateway: {', '.join(public) or 'it has none'}.",
            )
        super().__init__(
            scope,
            mesh_of(scope).secured(
                scope,
                TaskSettings(
                    name=settings.name,
                    priority_class=settings.priority_class,
                    extras=settings.extras,
                    component="smoke-test",
                    container=Container(
                        name=settings.name,
                        image=settings.image,
                        user=USER,
                        compute=settings.compute,
                        command=("python", f"{_FOLDER}/smoke_test.py"),
                        variables=variables(
                            {
                                "GATEWAY_PATH": settings.path,
                                # The gateway serves no other host, and sends people who come by HTTP to HTTPS.
                                "GATEWAY_HOST": gateway.settings.host,
                                "GATEWAY_SCHEME": gateway.settings.scheme,
                                "DEADLINE_SECONDS": str(settings.deadline_seconds),
                            }
                        ),
                        volumes=(
                            Files(
                                mount_path=_FOLDER,
                                files=(File(path="smoke_test.py", content=_PROGRAM.read_text(encoding="utf-8")),),
                            ),
                        ),
                    ),
                    deadline_seconds=settings.deadline_seconds + _PULL_SECONDS,
                    retries=0,
                    hook=Hook.AFTER_ALL,
                ),
                SHOWN,
            ),
        )
        self.connects_to(
            Target(workload=gateway, introduction=variables({"GATEWAY_URL": gateway.endpoint().url})),
            registry,
        )

    @property
    def containers(self) -> tuple[Container, ...]:
        """Its container, told of every agent that the application has by now."""
        main, *others = super().containers
        names: Sequence[str] = [agent.name for agent in self.application.find_all(Agent)]
        return (replace(main, variables=(*main.variables, Variable(name="AGENTS", value=",".join(names)))), *others)
