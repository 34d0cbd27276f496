"""This module is the load test: a task that comes to the gateway as many people at once, and says what is slow."""

from __future__ import annotations

from pathlib import Path

from constructs import Construct

from mcpmesh_k8s.access import Gateway
from mcpmesh_k8s.kubernetes import (
    Compute,
    Container,
    File,
    Files,
    Hook,
    Image,
    Scratch,
    SecretKey,
    SettingError,
    Target,
    Task,
    TaskOptions,
    TaskSettings,
    User,
    Variable,
    dataclass,
    variables,
)

LOCUST_USER = User(uid=1000, gid=1000)
"""The user ``locust`` of the image ``locustio/locust``."""

_FOLDER = "/etc/load-test"
_PULL_SECONDS = 300
"""How long the image may take to come: the Job's own deadline runs from when it is made."""

_STOP_SECONDS = 30
"""How long what is under way may take when the time is over."""


@dataclass(frozen=True, kw_only=True)
class LoadTestSettings(TaskOptions):
    """A load test. It changes data as people would: it is for an environment in which that is wanted.

    Args:
        image: Locust.
        users: How many people at once.
        users_per_second: How many of them begin in each second.
        seconds: How long they go on.
        most_errors: The share of requests that may fail; with more, the test has failed.
        most_milliseconds: What 95 of 100 requests may take; as long as they like unless given.
        variables: What else the program reads.
        compute: CPU and memory. With half a core Locust makes some hundred requests a second.
        name: The short name.
    """

    image: Image
    users: int = 10
    users_per_second: int = 1
    seconds: int = 120
    most_errors: float = 0.01
    most_milliseconds: int = 0
    variables: tuple[Variable, ...] = ()
    compute: Compute = Compute(cpu="50m", memory="128Mi", cpu_limit="500m", memory_limit="256Mi")
    name: str = "load-test"

    def __post_init__(self) -> None:
        """Refuse a test of nobody, without time, or that bears what cannot be."""
        super().__post_init__()
        for field in ("users", "users_per_second", "seconds"):
            if getattr(self, field) < 1:
                raise SettingError(f"LoadTestSettings.{field}", getattr(self, field), "Give 1 or more.")
        if not 0 <= self.most_errors < 1:
            raise SettingError("LoadTestSettings.most_errors", self.most_errors, "Give 0 to below 1, such as 0.01.")
        if self.most_milliseconds < 0:
            raise SettingError(
                "LoadTestSettings.most_milliseconds", self.most_milliseconds, "Give 1 or more, or 0 for no bound."
            )


class LoadTest(Task):
    """A Job that runs Locust against the gateway, and reaches nothing else.

    It stands where the ingress controller does, and says which host people typed, and from where each of them came.
    ArgoCD runs it after each sync, which fails when the test does.

    Args:
        scope: A Phase.
        settings: How many people, for how long, and what is borne.
        gateway: The way in. It is connected.
        program: The file that Locust reads. Beside Locust's own variables it is told ``LOAD_SERVED_HOST``,
            ``LOAD_SERVED_SCHEME``, ``LOAD_MOST_ERRORS`` and ``LOAD_MOST_MILLISECONDS``, and judges by them.
        cookies: The cookies of people who are signed in, a line each, as ``LOAD_COOKIES``; none where nobody signs in.

    Raises:
        SettingError: The program cannot be read.
    """

    def __init__(
        self,
        scope: Construct,
        settings: LoadTestSettings,
        gateway: Gateway,
        program: Path,
        cookies: SecretKey | None = None,
    ) -> None:
        self.settings = settings
        try:
            text = program.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError("LoadTest.program", str(program), f"Give a file that Locust reads: {error}.") from None
        super().__init__(
            scope,
            TaskSettings(
                name=settings.name,
                priority_class=settings.priority_class,
                extras=settings.extras,
                component="load-test",
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=LOCUST_USER,
                    compute=settings.compute,
                    command=("locust", "--locustfile", f"{_FOLDER}/load.py", "--headless", "--only-summary"),
                    args=(
                        *("--users", str(settings.users), "--spawn-rate", str(settings.users_per_second)),
                        *("--run-time", f"{settings.seconds}s", "--stop-timeout", f"{_STOP_SECONDS}s"),
                    ),
                    variables=(
                        *variables(
                            {
                                "LOAD_SERVED_HOST": gateway.settings.host,
                                "LOAD_SERVED_SCHEME": gateway.settings.scheme,
                                "LOAD_MOST_ERRORS": f"{settings.most_errors:g}",
                                "LOAD_MOST_MILLISECONDS": str(settings.most_milliseconds),
                                **({"LOAD_COOKIES": cookies} if cookies else {}),
                                "HOME": "/tmp",
                                "PYTHONDONTWRITEBYTECODE": "1",
                            }
                        ),
                        *settings.variables,
                    ),
                    volumes=(
                        Scratch(size="16Mi"),
                        Files(mount_path=_FOLDER, files=(File(path="load.py", content=text),)),
                    ),
                ),
                deadline_seconds=settings.seconds + _STOP_SECONDS + _PULL_SECONDS,
                retries=0,
                hook=Hook.AFTER_ALL,
            ),
        )
        self.connects_to(Target(workload=gateway, introduction=variables({"LOCUST_HOST": gateway.endpoint().url})))
