"""This module is Alertmanager: it turns alerts into few messages, and sends them to people."""

from __future__ import annotations

from dataclasses import dataclass

from constructs import Construct

from mcpmesh_k8s.images import ALERTMANAGER
from mcpmesh_k8s.kubernetes import (
    Alert,
    Claim,
    Compute,
    Container,
    External,
    File,
    Files,
    HttpGet,
    Image,
    Internet,
    IssuedKey,
    MetricsEndpoint,
    Peer,
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
    port_number,
    settings_of,
    yaml_text,
)
from mcpmesh_k8s.services import DataSource, SourceKind

from .alerts import WATCHDOG
from .blackbox import Configuration

USER = User(uid=65534, gid=65534)
"""The user ``nobody`` of the image (prometheus/alertmanager, Dockerfile)."""

_DATA = "/alertmanager"
_ETC = "/etc/alertmanager"
_SECRETS = "/etc/alertmanager-secrets"


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Messages to a URL: of a chat, of an incident service, of a program of yours.

    Args:
        peer: Where it is, as a policy sees it.
        port: Its port.
    """

    peer: Peer = Internet()
    port: int = 443

    def __post_init__(self) -> None:
        """Check the port."""
        port_number("Webhook.port", self.port)

    @property
    def issued_by(self) -> str:
        """Who gives its secret, and what it is."""
        return "Whoever takes the alerts: the URL of a webhook"

    def configuration(self, file: str) -> tuple[str, Configuration]:
        """The kind of receiver, and what it is told; its secret is in the file."""
        return "webhook_configs", {"url_file": file, "send_resolved": True}


@dataclass(frozen=True, kw_only=True)
class Slack:
    """Messages to a channel of Slack.

    Args:
        channel: The channel, such as ``#interviews``.
        peer: Where Slack is, as a policy sees it.
    """

    channel: str
    peer: Peer = Internet()

    def __post_init__(self) -> None:
        """Refuse a channel that is none."""
        if self.channel[:1] not in ("#", "@") or len(self.channel) < 2:
            raise SettingError("Slack.channel", self.channel, "Give '#channel' or '@person'.")

    @property
    def port(self) -> int:
        """The port of HTTPS."""
        return 443

    @property
    def issued_by(self) -> str:
        """Who gives its secret, and what it is."""
        return "Slack: the URL of an incoming webhook"

    def configuration(self, file: str) -> tuple[str, Configuration]:
        """The kind of receiver, and what it is told; its secret is in the file."""
        return "slack_configs", {
            "api_url_file": file,
            "channel": self.channel,
            "send_resolved": True,
            "title": "{{ .Status | toUpper }}: {{ len .Alerts }} in {{ .CommonLabels.severity }}",
            "text": (
                "{{ range .Alerts }}*{{ .Annotations.summary }}*\n{{ .Annotations.description }}\n"
                "{{ .Annotations.runbook_url }}\n{{ end }}"
            ),
        }


@dataclass(frozen=True, kw_only=True)
class PagerDuty:
    """Incidents of PagerDuty.

    Args:
        peer: Where PagerDuty is, as a policy sees it.
    """

    peer: Peer = Internet()

    @property
    def port(self) -> int:
        """The port of HTTPS."""
        return 443

    @property
    def issued_by(self) -> str:
        """Who gives its secret, and what it is."""
        return "PagerDuty: the integration key of a service (Events API v2)"

    def configuration(self, file: str) -> tuple[str, Configuration]:
        """The kind of receiver, and what it is told; its secret is in the file."""
        return "pagerduty_configs", {"routing_key_file": file, "send_resolved": True}


Receiver = Webhook | Slack | PagerDuty
"""Who gets messages."""


@dataclass(frozen=True, kw_only=True)
class AlertmanagerSettings(WorkloadOptions):
    """An Alertmanager: who is told what, and how often.

    What calls people at once is one message however many alerts are in it, so that the loss of a node is one page.

    Args:
        page: Who is called at once.
        ticket: Who is told what can wait for a working day.
        watchdog: Who calls people when nothing comes any more: it gets a message every five minutes for as long as
            Prometheus and Alertmanager work. Nobody unless given.
        image: The image.
        compute: CPU and memory.
        storage: Where silences lie: a claim, or scratch space that is lost with the pod; mounted at
            ``/alertmanager``.
        wait_seconds: Seconds that the first alert waits for others, to be sent with them.
        repeat_hours: Hours after which people are told again of what has not ended.
        name: The short name.
    """

    page: Receiver
    ticket: Receiver
    watchdog: Webhook | None = None
    image: Image = ALERTMANAGER
    compute: Compute = Compute(cpu="10m", memory="32Mi", cpu_limit="100m", memory_limit="64Mi")
    storage: Claim | Scratch = Scratch(name="data", mount_path=_DATA, size="64Mi")
    wait_seconds: int = 60
    repeat_hours: int = 12
    name: str = "alertmanager"

    def __post_init__(self) -> None:
        """Refuse what nobody would be told by."""
        super().__post_init__()
        if self.storage.mount_path != _DATA:
            raise SettingError("AlertmanagerSettings.storage", self.storage.mount_path, f"Mount it at {_DATA}.")
        if self.wait_seconds < 0:
            raise SettingError("AlertmanagerSettings.wait_seconds", self.wait_seconds, "Give 0 or more.")
        if self.repeat_hours < 1:
            raise SettingError("AlertmanagerSettings.repeat_hours", self.repeat_hours, "Give 1 or more.")

    @property
    def receivers(self) -> dict[str, Receiver]:
        """Every receiver by its name, which is that of its key too."""
        told: dict[str, Receiver] = {"page": self.page, "ticket": self.ticket}
        return told | ({"watchdog": self.watchdog} if self.watchdog else {})

    @property
    def secret_keys(self) -> tuple[IssuedKey, ...]:
        """The keys its Secret must hold: the URL or key of each receiver."""
        return tuple(IssuedKey(key=name, issued_by=receiver.issued_by) for name, receiver in self.receivers.items())


class Alertmanager(Workload):
    """Alertmanager: one pod, which reaches its receivers and nothing else.

    Args:
        scope: A Phase.
        settings: Receivers, image.
        secret: A Secret that holds ``settings.secret_keys``.
    """

    def __init__(self, scope: Construct, settings: AlertmanagerSettings, secret: Secret) -> None:
        self.settings = settings
        text = yaml_text(configuration(settings))
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                availability=settings.availability,
                extras=settings.extras,
                component="alerts",
                administrators_only="It asks nobody who they are, and lets everyone silence alerts.",
                one_at_a_time="Two that do not know of each other would tell people everything twice.",
                metrics=(MetricsEndpoint(port="http"),),
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings_of(scope).platform.raised(settings.compute),
                    args=(
                        f"--config.file={_ETC}/alertmanager.yaml",
                        f"--storage.path={_DATA}",
                        # One pod has no others to agree with.
                        "--cluster.listen-address=",
                        "--log.format=json",
                    ),
                    ports=(Port(number=9093),),
                    probes=Probes.of(HttpGet(path="/-/ready"), liveness=HttpGet(path="/-/healthy")),
                    volumes=(
                        settings.storage,
                        Files(mount_path=_ETC, files=(File(path="alertmanager.yaml", content=text),)),
                        SecretFiles(
                            name="receivers",
                            mount_path=_SECRETS,
                            secret=secret.full_name,
                            keys=tuple(settings.receivers),
                        ),
                    ),
                ),
            ),
        )
        # Several may be behind one peer: that is one connection, of all of them.
        reached: dict[tuple[Peer, int], list[str]] = {}
        for name, receiver in settings.receivers.items():
            reached.setdefault((receiver.peer, receiver.port), []).append(name)
        for (peer, port), names in reached.items():
            self.connects_to(External(name=f"receiver {'/'.join(names)}", port=port, peer=peer))

    @property
    def data_source(self) -> DataSource:
        """Its alerts and silences, as Grafana asks for them."""
        return DataSource(kind=SourceKind.ALERTMANAGER, at=Target(workload=self))

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What it says of its own work."""
        return (
            Alert(
                name="AlertsNotSent",
                expression=f'rate(alertmanager_notifications_failed_total{{job="{self.name}"}}[5m]) > 0',
                for_minutes=10,
                severity=Severity.PAGE,
                summary="Alerts do not arrive at {{ $labels.integration }}",
                description="Messages have failed for ten minutes. Other alerts may not arrive either.",
            ),
        )


def configuration(settings: AlertmanagerSettings) -> Configuration:
    """What Alertmanager is told."""
    repeat = f"{settings.repeat_hours}h"
    routes: list[Configuration] = [
        {
            "matchers": [f'alertname="{WATCHDOG.name}"'],
            "receiver": "watchdog" if settings.watchdog else "nobody",
            "group_wait": "0s",
            "group_interval": "1m",
            "repeat_interval": "5m",
        },
        # One group: whatever a lost node takes with it is one message.
        {"matchers": [f'severity="{Severity.PAGE.value}"'], "receiver": "page", "group_by": ["severity"]},
    ]
    receivers: list[Configuration] = [{"name": "nobody"}]
    for name, receiver in settings.receivers.items():
        kind, told = receiver.configuration(f"{_SECRETS}/{name}")
        receivers.append({"name": name, kind: [told]})
    return {
        "route": {
            "receiver": "ticket",
            "group_by": ["alertname"],
            "group_wait": f"{settings.wait_seconds}s",
            "group_interval": "5m",
            "repeat_interval": repeat,
            "routes": routes,
        },
        "inhibit_rules": [_silences(*rule) for rule in INHIBITIONS],
        "receivers": receivers,
    }


INHIBITIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    # Who is called about a node needs no word of each program that was on it.
    ('alertname="NodeLost"', 'alertname!="NodeLost"', ("node",)),
    # Whoever is called about a pod needs no ticket about it.
    (f'severity="{Severity.PAGE.value}"', f'severity="{Severity.TICKET.value}"', ("pod",)),
    (f'severity="{Severity.PAGE.value}"', f'severity="{Severity.TICKET.value}"', ("service",)),
    ('alertname="ClaimAlmostFull"', 'alertname="ClaimFillingUp"', ("persistentvolumeclaim",)),
    ('alertname="CertificateExpired"', 'alertname="CertificateExpiring"', ("check",)),
)
"""Which alerts silence which: source, target, and the labels in which both must be alike."""


def _silences(source: str, target: str, equal: tuple[str, ...]) -> Configuration:
    # A label that both lack counts as alike: they must have one.
    have = [f'{label}!=""' for label in equal]
    return {"source_matchers": [source, *have], "target_matchers": [target, *have], "equal": list(equal)}
