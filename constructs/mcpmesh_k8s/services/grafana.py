"""This module is Grafana: dashboards over metrics, traces and logs, each tied to the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    EMAIL_HEADER,
    NAME_HEADER,
    ROLE_HEADER,
    Claim,
    Component,
    Compute,
    Container,
    File,
    Files,
    HttpGet,
    IdentityHeaders,
    Image,
    MetricsEndpoint,
    OperationError,
    Port,
    Probes,
    Scratch,
    Secret,
    SecretKey,
    Server,
    SettingError,
    Side,
    User,
    Variable,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    dataclass,
    in_bytes,
    variables,
    yaml_text,
)

from ._rotations import GrafanaRotation
from .data_source import DataSource, HasDashboards, HasDataSource, SourceKind

USER = User(uid=472, gid=0, volume_gid=472)
"""The user of the image; its files belong to the root group."""

_ETC = "/etc/mcpmesh"
_PROVISIONING = "/etc/mcpmesh-provisioning"
_DASHBOARDS = "/etc/mcpmesh-dashboards"
_DATA = "/var/lib/grafana"
_LEAST_DISK = 64 * 2**20

_INI = f"""\
[server]
http_port = 3000

[paths]
data = {_DATA}
provisioning = {_PROVISIONING}

[log]
mode = console

[log.console]
format = json

[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false

[plugins]
preinstall_disabled = true

[security]
disable_gravatar = true

[users]
allow_sign_up = false

[auth.anonymous]
enabled = false

[auth.proxy]
enabled = false
header_name = {EMAIL_HEADER}
header_property = email
headers = Name:{NAME_HEADER} Role:{ROLE_HEADER}
auto_sign_up = true
"""


@dataclass(frozen=True, kw_only=True)
class GrafanaSettings(WorkloadOptions):
    """A Grafana server.

    Args:
        image: The image.
        compute: CPU and memory.
        storage: Where users and preferences lie: a claim, or scratch space that is lost with the pod; 64Mi at least.
            Data sources and dashboards come with the deployment and need none.
        data_sources: What it asks that the application does not run, such as the cluster's Prometheus. What the
            application runs it finds by itself. It has one of each kind.
        dashboards: More dashboards, each a JSON file below ``dashboards/``. Those of components it finds by itself.
        name: The short name.
    """

    image: Image
    compute: Compute
    storage: Claim | Scratch = Scratch(name="data", mount_path=_DATA, size="256Mi")
    data_sources: tuple[DataSource, ...] = ()
    dashboards: tuple[File, ...] = ()
    name: str = "grafana"

    def __post_init__(self) -> None:
        """Refuse storage that Grafana would not use."""
        super().__post_init__()
        if self.storage.mount_path != _DATA:
            raise SettingError("GrafanaSettings.storage", self.storage.mount_path, f"Mount it at {_DATA}.")
        # An empty database and the index of what can be searched take some 20 MiB.
        if in_bytes("GrafanaSettings.storage size", self.storage.size) < _LEAST_DISK:
            raise SettingError("GrafanaSettings.storage size", self.storage.size, "Give at least 64Mi.")

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The keys its Secret must hold: the first administrator."""
        return ("admin-user", "admin-password")


class Grafana(Workload):
    """Grafana, with everything of the application as data sources that can be asked: metrics, traces, logs, alerts.

    A gateway tells it where people reach it, and below which path. Where it also says who asks
    (``Route.hand_over_identity``), people are known by that: administrators as Admin, anyone else as Viewer. Else they
    sign in by the password of the first administrator.

    Args:
        scope: A Phase.
        settings: Image, storage and dashboards.
        secret: A Secret that holds ``settings.secret_keys``.
    """

    def __init__(self, scope: Construct, settings: GrafanaSettings, secret: Secret) -> None:
        self.settings = settings
        self.secret = secret
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                availability=settings.availability,
                extras=settings.extras,
                component="dashboards",
                metrics=(MetricsEndpoint(port="http"),),
                public_url_variable="GF_SERVER_ROOT_URL",
                identity_headers=IdentityHeaders(
                    administrator="Admin",
                    other="Viewer",
                    # Who signs out there is signed in again by the next request.
                    variables=variables({"GF_AUTH_PROXY_ENABLED": "true", "GF_AUTH_DISABLE_SIGNOUT_MENU": "true"}),
                ),
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    ports=(Port(number=3000),),
                    variables=variables(
                        {
                            "GF_PATHS_CONFIG": f"{_ETC}/grafana.ini",
                            "GF_PATHS_PROVISIONING": _PROVISIONING,
                            "GF_SECURITY_ADMIN_USER": secret.key("admin-user"),
                            "GF_SECURITY_ADMIN_PASSWORD": secret.key("admin-password"),
                        }
                    ),
                    probes=Probes.of(HttpGet(path="/api/health"), startup_seconds=120),
                    volumes=(
                        settings.storage,
                        Scratch(),
                        Scratch(name="logs", mount_path="/var/log/grafana"),
                        Files(
                            mount_path=_ETC,
                            files=(
                                File(path="grafana.ini", content=_INI),
                                *settings.dashboards,
                            ),
                        ),
                    ),
                    pre_stop_seconds=5,
                ),
            ),
        )

    def settle(self) -> None:
        """Connect to everything that can be asked, and tell Grafana."""
        found = self.data_sources
        for source in found.values():
            if source.at not in self.connections:
                self.connects_to(source.at)
        # On a claim, Grafana would keep what there was before.
        gone = [{"name": kind.value.capitalize(), "orgId": 1} for kind in SourceKind if kind not in found]
        told = {"apiVersion": 1, "deleteDatasources": gone, "datasources": provisioned(found)}
        files = (
            File(path="datasources/mcp-mesh.yaml", content=yaml_text(told)),
            File(path="dashboards/mcp-mesh.yaml", content=yaml_text(self._show(tuple(found)))),
        )
        self.add_volume(Files(name="provisioning", mount_path=_PROVISIONING, files=files))

    def _show(self, sources: Sequence[SourceKind]) -> Told:
        """Mount all dashboards, each from a ConfigMap of its own, and say where they are."""
        brought = [one for one in self.application.find_all(Component) if isinstance(one, HasDashboards)]
        files = [file for component in brought for file in component.dashboards(sources)]
        for file in files:
            name = PurePosixPath(file.path).stem
            try:
                shown = Files(name=f"dashboard-{name}", mount_path=f"{_DASHBOARDS}/{name}", files=(file,))
            except SettingError as error:
                instead = "A ConfigMap holds at most 1 MiB: leave it out, or make several of it."
                raise SettingError(f"dashboard {name!r}", error.given, instead) from None
            self.add_volume(shown)
        if files:
            first = f"{_DASHBOARDS}/{PurePosixPath(files[0].path).stem}/{files[0].path}"
            self.add_variables(variables({"GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": first}))
        places = {"MCP Mesh": _DASHBOARDS} if files else {}
        places |= {"Own": f"{_ETC}/dashboards"} if self.settings.dashboards else {}
        providers = [
            {
                "name": name,
                "type": "file",
                "disableDeletion": True,
                "allowUiUpdates": False,
                "options": {"path": path},
            }
            for name, path in places.items()
        ]
        return {"apiVersion": 1, "providers": providers}

    @property
    def data_sources(self) -> dict[SourceKind, DataSource]:
        """What it asks, by kind: what the application runs, and what its settings name.

        Raises:
            SettingError: There are two of one kind: dashboards would not know which is meant.
        """
        given = [pod.data_source for pod in self.application.find_all(Workload) if isinstance(pod, HasDataSource)]
        found: dict[SourceKind, DataSource] = {}
        for source in (*given, *self.settings.data_sources):
            if source.kind in found:
                raise SettingError(
                    f"{self.full_name} data source",
                    source.kind.value,
                    f"There is one at {found[source.kind].url}, and one at {source.url}. Give one of each kind.",
                )
            found[source.kind] = source
        return {kind: found[kind] for kind in SourceKind if kind in found}

    def rotation(self, key: SecretKey, side: Side) -> GrafanaRotation | None:
        """How the administrator gets another password. The name is in Grafana's database since its first start.

        Raises:
            OperationError: It is the name.
        """
        if key.secret != self.secret.full_name:
            return None
        if key.key == "admin-user":
            raise OperationError("Grafana has the administrator's name from its first start. Change it in Grafana.")
        return GrafanaRotation(
            side=side,
            keys=(key.key,),
            meanwhile="whoever is signed in stays so; Grafana is not restarted",
            server=Server.of(self),
        )

    def public_variables(self) -> tuple[Variable, ...]:
        """Where its links lead, and whether it is served below a path: the gateway passes that on."""
        below = urlsplit(self.public_url).path != "/"
        return (*super().public_variables(), *variables({"GF_SERVER_SERVE_FROM_SUB_PATH": str(below).lower()}))


_CALLS = "traces_spanmetrics_calls_total"
_DURATIONS = "traces_spanmetrics_latency_bucket"
# Grafana puts its own environment in place of a single '$'.
_OF_SPAN = (
    ("Calls a second", f"sum by (span_name) (rate({_CALLS}{{$$__tags}}[5m]))"),
    (
        "Share that fails",
        f'sum by (span_name) (rate({_CALLS}{{$$__tags, status_code="STATUS_CODE_ERROR"}}[5m])) '
        f"/ sum by (span_name) (rate({_CALLS}{{$$__tags}}[5m]))",
    ),
    (
        "95 of 100 end within",
        f"histogram_quantile(0.95, sum by (le, span_name) (rate({_DURATIONS}{{$$__tags}}[5m])))",
    ),
)
_VALUE = "$${__value.raw}"

Told = Mapping[str, object]
"""A part of what Grafana is told."""


def provisioned(sources: Mapping[SourceKind, DataSource]) -> list[Told]:
    """What Grafana is told of its data sources: each is tied to those others that there are.

    The first is asked where nothing else is said.
    """
    ties = {
        SourceKind.PROMETHEUS: _of_metrics,
        SourceKind.TEMPO: _of_traces,
        SourceKind.LOKI: _of_logs,
        SourceKind.ALERTMANAGER: _of_alerts,
    }
    return [
        {
            "name": kind.value.capitalize(),
            "uid": kind.value,
            "type": kind.value,
            "access": "proxy",
            "url": source.url,
            "isDefault": number == 0 and kind is not SourceKind.ALERTMANAGER,
            "editable": False,
            "jsonData": ties[kind](source, sources),
        }
        for number, (kind, source) in enumerate(sources.items())
    ]


def _uid(kind: SourceKind) -> dict[str, object]:
    return {"datasourceUid": kind.value}


def _counted(sources: Mapping[SourceKind, DataSource]) -> bool:
    tempo = sources.get(SourceKind.TEMPO)
    return tempo is not None and tempo.counted and SourceKind.PROMETHEUS in sources


def _of_metrics(source: DataSource, sources: Mapping[SourceKind, DataSource]) -> Told:
    told: dict[str, object] = {"httpMethod": "POST", "prometheusType": "Prometheus"}
    if source.interval_seconds:
        told["timeInterval"] = f"{source.interval_seconds}s"
    if SourceKind.ALERTMANAGER in sources:
        told["alertmanagerUid"] = SourceKind.ALERTMANAGER.value
    if _counted(sources):
        told["exemplarTraceIdDestinations"] = [{"name": "trace_id", **_uid(SourceKind.TEMPO)}]
    return told


def _of_traces(source: DataSource, sources: Mapping[SourceKind, DataSource]) -> Told:
    del source
    told: dict[str, object] = {"nodeGraph": {"enabled": True}}
    if SourceKind.LOKI in sources:
        told["tracesToLogsV2"] = {
            **_uid(SourceKind.LOKI),
            "spanStartTimeShift": "-5m",
            "spanEndTimeShift": "5m",
            # An agent's name in the mesh is that of its workload. What it logs seldom names a trace.
            "tags": [{"key": "service.name", "value": "app"}],
            "filterByTraceID": False,
            "filterBySpanID": False,
            "customQuery": False,
        }
    if _counted(sources):
        told["tracesToMetrics"] = {
            **_uid(SourceKind.PROMETHEUS),
            "spanStartTimeShift": "-30m",
            "spanEndTimeShift": "30m",
            "tags": [{"key": "service.name", "value": "service"}],
            "queries": [{"name": name, "query": query} for name, query in _OF_SPAN],
        }
        told["serviceMap"] = _uid(SourceKind.PROMETHEUS)
    return told


def _of_logs(source: DataSource, sources: Mapping[SourceKind, DataSource]) -> Told:
    del source
    request = {
        "name": "request",
        "matcherType": "label",
        "matcherRegex": "request_id",
        "url": f'{{app=~".+"}} | request_id=`{_VALUE}`',
        "urlDisplayLabel": "All that this request logged",
        **_uid(SourceKind.LOKI),
    }
    trace = {
        "name": "trace",
        "matcherType": "regex",
        "matcherRegex": r"""[tT]race_?[iI][dD]["']?\s*[=:]\s*["']?([0-9a-f]{32})\b""",
        "url": _VALUE,
        "urlDisplayLabel": "Its trace",
        **_uid(SourceKind.TEMPO),
    }
    # Its own rules are not used: Grafana need not ask for them.
    return {
        "manageAlerts": False,
        "derivedFields": [request, *([trace] if SourceKind.TEMPO in sources else [])],
    }


def _of_alerts(source: DataSource, sources: Mapping[SourceKind, DataSource]) -> Told:
    del source, sources
    return {"implementation": "prometheus", "handleGrafanaManagedAlerts": False}
