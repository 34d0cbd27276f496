"""This module is Alloy: it reads what all containers of the namespace log, by the cluster's API, and sends it on.

No path of a node is mounted, so it is a pod like any other. What it finds in a line: the level, which becomes a label,
and the identifiers of the request and the trace, which do not, since each has a value of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from constructs import Construct

from mcpmesh_k8s.images import ALLOY
from mcpmesh_k8s.kubernetes import (
    Alert,
    ApiAccess,
    ApiRule,
    Compute,
    Container,
    External,
    File,
    Files,
    HttpGet,
    Image,
    MetricsEndpoint,
    Pod,
    Port,
    Probes,
    Scratch,
    Secret,
    SecretFiles,
    SettingError,
    Severity,
    Target,
    User,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    dataclass,
    in_bytes,
    settings_of,
    variables,
)
from mcpmesh_k8s.services import StoreBackup

USER = User(uid=473, gid=473)
"""The user ``alloy`` of the image (grafana/alloy, Dockerfile)."""

LEVELS = (
    ("critical", "crit(ical)?|emerg(ency)?|alert|panic"),
    # To PostgreSQL, what ends a session is fatal.
    ("error", "err(or)?|fatal|traceback|e|f"),
    ("warn", "warn(ing)?|w|#"),
    ("info", r"info|information|notice|log|detail|hint|query|context|statement|i|\*"),
    ("debug", r"debug[1-5]?|trace|verbose|d|\.|-"),
)
"""The values of the label ``level``, and by which words or signs programs say each."""

_TENANT = re.compile(r"[A-Za-z0-9!_.*'()-]{1,150}")
"""A tenant as Loki takes it."""

_ETC = "/etc/alloy"
_DATA = "/var/lib/alloy/data"
_SECRETS = "/etc/alloy-secrets"
_PASSWORD = "password"


@dataclass(frozen=True, kw_only=True)
class LogDestination:
    """Where lines go: an address that takes them as Loki does.

    Args:
        url: The address.
        reached: The way to it: a workload's port, or where it is outside.
        username: With whose name it signs in; with the password alone, as a bearer token, unless given.
        secret: The Secret with the key ``password``; it does not sign in without.
        tenant: The tenant whose logs they are; none unless given.
        namespace_label: Whether lines carry the namespace: where there are those of others.
    """

    url: str
    reached: Target | External
    username: str = ""
    secret: Secret | None = None
    tenant: str = ""
    namespace_label: bool = False

    def __post_init__(self) -> None:
        """Refuse an address and names with which no line could be sent."""
        try:
            url = urlsplit(self.url)
            sound = url.scheme in ("http", "https") and url.hostname and url.port != 0
        except ValueError:
            sound = False
        if not sound or not self.url.isprintable() or " " in self.url:
            raise SettingError("LogDestination.url", self.url, "Give one such as 'http://loki:3100/loki/api/v1/push'.")
        require_sender("LogDestination", self.username, self.tenant)


def require_sender(where: str, username: str, tenant: str) -> None:
    """Refuse a name that no header can hold, and a tenant that Loki refuses."""
    if username and (":" in username or not username.isprintable()):
        raise SettingError(f"{where}.username", username, "Give one line without ':', which ends a name.")
    if tenant and (not _TENANT.fullmatch(tenant) or tenant in (".", "..")):
        raise SettingError(
            f"{where}.tenant", tenant, "Give letters, digits and any of !-_.*'(), at most 150 characters."
        )


@dataclass(frozen=True, kw_only=True)
class AlloySettings(WorkloadOptions):
    """An Alloy for one namespace.

    Args:
        image: The image.
        compute: CPU and memory. It reads each container by a connection of its own.
        name: The short name.
    """

    image: Image = ALLOY
    compute: Compute = Compute(cpu="25m", memory="128Mi", cpu_limit="250m", memory_limit="256Mi")
    name: str = "alloy"


class Alloy(Workload):
    """Alloy: one pod, which reads the logs of this namespace and reaches one address.

    How far it has read is lost with the pod. The next one then reads again what the nodes still hold; Loki takes no
    line twice.

    Args:
        scope: A Phase.
        settings: Image and compute.
        destination: Where lines go.
    """

    def __init__(self, scope: Construct, settings: AlloySettings, destination: LogDestination) -> None:
        self.settings = settings
        self.destination = destination
        secret = destination.secret
        memory = in_bytes("memory", settings.compute.memory_limit) // 2**20
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                availability=settings.availability,
                extras=settings.extras,
                component="logs",
                administrators_only="It asks nobody who they are, and shows what it reads.",
                # Two would send every line twice.
                one_at_a_time="Two would bring each line twice.",
                metrics=(MetricsEndpoint(port="http"),),
                api_access=ApiAccess(
                    because="It reads the logs of the application's pods.",
                    rules=(ApiRule(resources=("pods",)), ApiRule(resources=("pods/log",), verbs=("get",))),
                ),
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings_of(scope).platform.raised(settings.compute),
                    args=(
                        "run",
                        f"{_ETC}/config.alloy",
                        f"--storage.path={_DATA}",
                        "--server.http.listen-addr=:12345",
                        "--server.http.enable-pprof=false",
                        # It would give its configuration and its log to whoever asks.
                        "--server.http.disable-support-bundle=true",
                        "--disable-reporting",
                        "--feature.component-shutdown-deadline=20s",
                    ),
                    ports=(Port(number=12345),),
                    variables=variables({"GOMEMLIMIT": f"{memory * 9 // 10}MiB"}),
                    # Its /-/healthy fails when any part does, which no restart mends.
                    probes=Probes.of(HttpGet(path="/-/ready")),
                    volumes=(
                        Scratch(name="data", mount_path=_DATA),
                        Scratch(),
                        *(
                            [
                                SecretFiles(
                                    name="password", mount_path=_SECRETS, secret=secret.full_name, keys=(_PASSWORD,)
                                )
                            ]
                            if secret
                            else []
                        ),
                    ),
                ),
            ),
        )
        self.connects_to(destination.reached)

    def settle(self) -> None:
        """Take up how the containers of all pods say the level of a line."""
        self.add_volume(Files(mount_path=_ETC, files=(File(path="config.alloy", content=self.configuration),)))

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Whether it reads, and whether what it has read is taken."""
        job = f'job="{self.name}"'
        return (
            Alert(
                name="LogsNotCollected",
                expression=(
                    f"sum by (service, pod) (rate(loki_write_sent_entries_total{{{job}}}[15m])) == 0 "
                    "or sum by (service, pod) "
                    f'(alloy_component_controller_running_components{{{job}, health_type!="healthy"}}) > 0'
                ),
                for_minutes=15,
                severity=Severity.TICKET,
                summary="No logs are collected",
                description="For half an hour no pod has logged a line that was sent on, or a part of Alloy fails.",
            ),
            Alert(
                name="LogsNotDelivered",
                expression=(
                    f"sum by (service, pod) (rate(loki_write_batch_retries_total{{{job}}}[5m])) > 0 "
                    f"or sum by (service, pod) (rate(loki_write_dropped_entries_total{{{job}}}[5m])) > 0"
                ),
                for_minutes=15,
                severity=Severity.TICKET,
                summary="Logs do not arrive where they are stored",
                description="For fifteen minutes lines had to be sent again, or were given up. They may be lost.",
            ),
            *(
                self._small(backup)
                for backup in self.application.find_all(StoreBackup)
                if backup.settings.least_percent
            ),
        )

    def _small(self, backup: StoreBackup) -> Alert:
        """When the newest backup is far smaller than those before: it may be of a store that lost its data."""
        of_it = f'backup_bytes{{job="{self.name}", app="{backup.name}"}}'
        least, newest = backup.settings.least_percent, backup.longest_without
        return Alert(
            name="BackupSmall",
            # The largest of about eight runs before. There is a series for each run, and it ends soon after.
            expression=(
                f"max by (app) (max_over_time({of_it}[{newest}s])) "
                f"< {least / 100:g} * max by (app) (max_over_time({of_it}[{7 * newest}s] offset {newest}s))"
            ),
            for_minutes=15,
            severity=Severity.TICKET,
            summary=f"The backup of {backup.store.name} is small",
            description=(
                f"It has {{{{ $value | humanize1024 }}}}B, less than {least} % of the largest of the last ones. "
                "Is all of the store in it?"
            ),
        )

    @property
    def configuration(self) -> str:
        """``config.alloy``."""
        values = {
            "NAMESPACE": _text(self.namespace),
            "OWN": _text(self.full_name),
            "SHORT": _text(f"(?:{self.application.prefixed('')})?(.+)"),
            "FORMATS": "".join(self._formats()),
            "BACKUPS": self._backups(),
            "LEVELS": "".join(_level(level, words) for level, words in LEVELS),
            "OTHERS": _text(f'{{level!~"{"|".join(level for level, _ in LEVELS)}"}}'),
            "WRITE": self._write(),
        }
        return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], _CONFIGURATION)

    def _formats(self) -> Iterator[str]:
        """The forms of lines that are neither JSON nor logfmt, each with the containers that write it."""
        written: dict[str, list[tuple[str, str]]] = {}
        for pod in self.application.find_all(Pod):
            for container in (*pod.init_containers, *pod.containers):
                if container.log_pattern:
                    written.setdefault(container.log_pattern, []).append((pod.name, container.name))
        for pattern, by in written.items():
            apps, containers = ("|".join(dict.fromkeys(names)) for names in zip(*by, strict=True))
            yield _match(
                f'{{app=~"{apps}", container=~"{containers}"}}',
                f"stage.regex {{\n      expression = {_text(pattern)}\n    }}",
            )

    def _backups(self) -> str:
        """What makes metrics of the lines by which tasks say which backups they made."""
        names = "|".join(backup.name for backup in self.application.find_all(StoreBackup))
        return _MEASURED.replace("@APPS@", names) if names else ""

    def _write(self) -> str:
        to, file = self.destination, _text(f"{_SECRETS}/{_PASSWORD}")
        endpoint = [f"url = {_text(to.url)}"]
        if to.tenant:
            endpoint.append(f"tenant_id = {_text(to.tenant)}")
        if to.secret and to.username:
            endpoint += ["basic_auth {", f"  username = {_text(to.username)}", f"  password_file = {file}", "}"]
        elif to.secret:
            endpoint.append(f"bearer_token_file = {file}")
        lines = ["endpoint {", *(f"  {line}" for line in endpoint), "}"]
        if to.namespace_label:
            lines.append(f"external_labels = {{ namespace = {_text(self.namespace)} }}")
        return "\n".join(f"  {line}" for line in lines)


def _match(selector: str, stage: str) -> str:
    return f"  stage.match {{\n    selector = {_text(selector)}\n    {stage}\n  }}\n"


def _level(level: str, words: str) -> str:
    return _match(f'{{level=~"(?i){_quoted(words)}"}}', f'stage.static_labels {{ values = {{ level = "{level}" }} }}')


def _quoted(text: str) -> str:
    """A regular expression between the quotes of LogQL."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _text(value: str) -> str:
    """A text as Alloy reads it: between backquotes, where nothing has a meaning, if that spares signs before others."""
    quoted = json.dumps(value)
    return f"`{value}`" if "\\" in quoted and "`" not in value and value.isprintable() else quoted


_MEASURED = r"""
  // How large a backup is, in the words of the task that made it. The series ends an hour after.
  stage.match {
    selector = `{app=~"@APPS@"} |~ "^event=backup "`
    stage.logfmt {
      mapping = { backup_bytes = "bytes" }
    }
    stage.metrics {
      metric.gauge {
        name              = "bytes"
        prefix            = "backup_"
        description       = "The size of a backup that was made."
        source            = "backup_bytes"
        action            = "set"
        max_idle_duration = "1h"
      }
    }
  }
"""

_CONFIGURATION = r"""// Lines go this way: discovery, relabel, source, process, write.
logging {
  level  = "warn"
  format = "json"
}

discovery.kubernetes "pods" {
  role = "pod"
  namespaces {
    names = [@NAMESPACE@]
  }
}

discovery.relabel "pods" {
  targets = discovery.kubernetes.pods.targets

  // Each line about its own lines would make another.
  rule {
    source_labels = ["__meta_kubernetes_pod_label_app_kubernetes_io_name"]
    regex         = @OWN@
    action        = "drop"
  }
  rule {
    source_labels = ["__meta_kubernetes_pod_label_app_kubernetes_io_name"]
    regex         = @SHORT@
    target_label  = "app"
  }
  rule {
    source_labels = ["__meta_kubernetes_pod_name"]
    target_label  = "pod"
  }
  rule {
    source_labels = ["__meta_kubernetes_pod_container_name"]
    target_label  = "container"
  }
}

loki.source.kubernetes "pods" {
  targets    = discovery.relabel.pods.output
  forward_to = [loki.process.pods.receiver]
}

loki.process "pods" {
  forward_to = [loki.write.logs.receiver]

  // The name of the part above, which it adds.
  stage.label_drop { values = ["job"] }

  // What is indented, such as a traceback, belongs to the line before.
  stage.multiline {
    firstline     = `^\S`
    max_wait_time = "1s"
  }

  // Agents log the address of Redis, with the password inside.
  stage.replace {
    expression = `://[^\s:@/]*:([^\s@/]+)@`
    replace    = "***"
  }

  // JSON, logfmt, and what some programs have of their own.
  stage.match {
    selector = `{pod!=""} |~ "^[{]"`
    stage.json {
      expressions = {
        level      = "level || severity || levelname",
        request_id = "",
        trace_id   = "",
      }
    }
  }
  stage.match {
    selector = `{pod!=""} |~ "^[A-Za-z_.]+="`
    stage.logfmt {
      mapping = { level = "", request_id = "", trace_id = "" }
    }
  }
@FORMATS@@BACKUPS@
  // Few values, the same for all programs, or none.
  stage.labels { values = { level = "" } }
@LEVELS@  stage.match {
    selector = @OTHERS@
    stage.label_drop { values = ["level"] }
  }
  stage.structured_metadata { values = { request_id = "", trace_id = "" } }
}

loki.write "logs" {
@WRITE@
}
"""
