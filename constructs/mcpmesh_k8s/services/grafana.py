"""This module is Grafana: dashboards over the mesh's traces."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Claim,
    Compute,
    Container,
    File,
    Files,
    HttpGet,
    Image,
    MetricsEndpoint,
    Port,
    Probes,
    Scratch,
    Secret,
    SettingError,
    Target,
    User,
    Variable,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    dataclass,
    in_bytes,
    variables,
)

from .tempo import Tempo

USER = User(uid=472, gid=0, volume_gid=472)
"""The user of the image; its files belong to the root group."""

_ETC = "/etc/mcpmesh"
_DATA = "/var/lib/grafana"
_LEAST_DISK = 64 * 2**20

_INI = """\
[server]
http_port = 3000

[paths]
data = {data}
provisioning = {etc}/provisioning

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

[dashboards]
default_home_dashboard_path = {etc}/dashboards/mcp-mesh-overview.json
"""

_DATA_SOURCE = """\
apiVersion: 1
datasources:
  - name: Tempo
    uid: tempo
    type: tempo
    access: proxy
    url: {url}
    isDefault: true
    editable: false
"""

_PROVIDER = """\
apiVersion: 1
providers:
  - name: MCP Mesh
    type: file
    disableDeletion: true
    allowUiUpdates: false
    options:
      path: {etc}/dashboards
"""


@dataclass(frozen=True, kw_only=True)
class GrafanaSettings(WorkloadOptions):
    """A Grafana server.

    Args:
        image: The image.
        compute: CPU and memory.
        storage: Where users and preferences lie: a claim, or scratch space that is lost with the pod; 64Mi at least.
            Data sources and dashboards come with the deployment and need none.
        dashboards: More dashboards, each a JSON file.
        name: The short name.
    """

    image: Image
    compute: Compute
    storage: Claim | Scratch = Scratch(name="data", mount_path=_DATA, size="256Mi")
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
    """Grafana with Tempo as its data source. A gateway tells it where people reach it, and below which path.

    Args:
        scope: A Phase.
        settings: Image, storage and dashboards.
        secret: A Secret that holds ``settings.secret_keys``.
        tempo: Where the traces are. It is connected.
    """

    def __init__(self, scope: Construct, settings: GrafanaSettings, secret: Secret, tempo: Tempo) -> None:
        self.settings = settings
        overview = Path(__file__).with_name("dashboards").joinpath("mcp-mesh-overview.json").read_text(encoding="utf-8")
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                availability=settings.availability,
                extras=settings.extras,
                component="dashboards",
                metrics=(MetricsEndpoint(port="http"),),
                public_url_variable="GF_SERVER_ROOT_URL",
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    ports=(Port(number=3000),),
                    variables=variables(
                        {
                            "GF_PATHS_CONFIG": f"{_ETC}/grafana.ini",
                            "GF_PATHS_PROVISIONING": f"{_ETC}/provisioning",
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
                                File(path="grafana.ini", content=_INI.format(etc=_ETC, data=_DATA)),
                                File(
                                    path="provisioning/datasources/tempo.yaml",
                                    content=_DATA_SOURCE.format(url=tempo.endpoint().url),
                                ),
                                File(
                                    path="provisioning/dashboards/mcp-mesh.yaml",
                                    content=_PROVIDER.format(etc=_ETC),
                                ),
                                File(path="dashboards/mcp-mesh-overview.json", content=overview),
                                *settings.dashboards,
                            ),
                        ),
                    ),
                    pre_stop_seconds=5,
                ),
            ),
        )
        self.connects_to(Target(workload=tempo))

    def public_variables(self) -> tuple[Variable, ...]:
        """Where its links lead, and whether it is served below a path: the gateway passes that on."""
        below = urlsplit(self.public_url).path != "/"
        return (*super().public_variables(), *variables({"GF_SERVER_SERVE_FROM_SUB_PATH": str(below).lower()}))
