"""This module is the blackbox exporter: it asks what has no metrics of its own whether it works."""

from __future__ import annotations

from dataclasses import dataclass

import yaml
from constructs import Construct

from mcpmesh_k8s.images import BLACKBOX_EXPORTER
from mcpmesh_k8s.kubernetes import (
    Alert,
    Compute,
    Container,
    File,
    Files,
    HttpCheck,
    HttpGet,
    Image,
    MetricsEndpoint,
    Pod,
    Port,
    Probes,
    SettingError,
    Target,
    User,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    settings_of,
)

from .alerts import OF_CHECKS

USER = User(uid=65534, gid=65534)
"""The user ``nobody``: the image names none (prometheus/blackbox_exporter, Dockerfile)."""

_ETC = "/etc/blackbox"

Configuration = dict[str, object]
"""A mapping of a configuration file."""


@dataclass(frozen=True, kw_only=True)
class BlackboxSettings(WorkloadOptions):
    """A blackbox exporter.

    Args:
        image: The image.
        compute: CPU and memory.
        timeout_seconds: Seconds after which a check has failed.
        name: The short name.
    """

    image: Image = BLACKBOX_EXPORTER
    compute: Compute = Compute(cpu="10m", memory="32Mi", cpu_limit="100m", memory_limit="64Mi")
    timeout_seconds: int = 5
    name: str = "blackbox"

    def __post_init__(self) -> None:
        """Refuse a time that no check can keep."""
        super().__post_init__()
        if not 1 <= self.timeout_seconds <= 30:
            raise SettingError("BlackboxSettings.timeout_seconds", self.timeout_seconds, "Give 1 to 30.")


class Blackbox(Workload):
    """The blackbox exporter: it reaches what the checks of all components ask, and nothing else.

    Args:
        scope: A Phase.
        settings: Image and compute.
    """

    def __init__(self, scope: Construct, settings: BlackboxSettings) -> None:
        self.settings = settings
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                availability=settings.availability,
                extras=settings.extras,
                component="metrics",
                metrics=(MetricsEndpoint(port="http"),),
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings_of(scope).platform.raised(settings.compute),
                    args=(f"--config.file={_ETC}/blackbox.yaml", "--log.format=json"),
                    ports=(Port(number=9115),),
                    probes=Probes.of(HttpGet(path="/-/healthy")),
                ),
            ),
        )

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What its checks show."""
        return OF_CHECKS

    @property
    def all_checks(self) -> tuple[tuple[Pod, HttpCheck], ...]:
        """The checks of all components, each with whom it is about."""
        return tuple((pod, check) for pod in self.application.find_all(Pod) for check in pod.http_checks)

    def settle(self) -> None:
        """Connect to everything that a check asks."""
        checks = [check for _, check in self.all_checks]
        names = [check.name for check in checks]
        for name in names:
            if names.count(name) > 1:
                raise SettingError("HttpCheck.name", name, "Two checks have it. Give each its own.")
        reached: dict[tuple[str, str], Target] = {}
        for check in checks:
            reached.setdefault(
                (check.target.workload.full_name, check.target.port),
                Target(workload=check.target.workload, port=check.target.port, watched=True),
            )
        self.connects_to(*reached.values())
        modules = {check.name: self._module(check) for check in checks}
        text = yaml.safe_dump({"modules": modules or {"http": {"prober": "http"}}}, sort_keys=False, width=110)
        self.add_volume(Files(mount_path=_ETC, files=(File(path="blackbox.yaml", content=text),)))

    def _module(self, check: HttpCheck) -> Configuration:
        http: Configuration = {"method": "GET", "follow_redirects": False}
        if check.condition:
            http["fail_if_body_json_not_matches_cel"] = check.condition
        return {"prober": "http", "timeout": f"{self.settings.timeout_seconds}s", "http": http}

    def scrape_jobs(self) -> list[Configuration]:
        """How Prometheus asks it: a job for each check, with the check's name in the label ``check``."""
        return [
            {
                "job_name": f"check-{check.name}",
                "metrics_path": "/probe",
                "params": {"module": [check.name], "target": [f"{check.target.endpoint.url}{check.path}"]},
                "static_configs": [
                    {
                        "targets": [self.endpoint().authority],
                        "labels": {"check": check.name, "component": pod.component, "service": pod.name},
                    }
                ],
            }
            for pod, check in self.all_checks
        ]
