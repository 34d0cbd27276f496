"""This module is what a component says of itself: its metrics, checks and alerts, and what it may read of the API."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from constructs import Construct

from conftest import close
from mcpmesh_k8s import (
    AddressRange,
    Alert,
    ApiAccess,
    ApiRule,
    ApiServer,
    Application,
    ApplicationSettings,
    Blackbox,
    BlackboxSettings,
    Certificate,
    CertificateSettings,
    CertManager,
    Component,
    Compute,
    Container,
    External,
    HttpCheck,
    Internet,
    MetricsEndpoint,
    NoProbes,
    Phase,
    Platform,
    PodExtras,
    Port,
    Prometheus,
    PrometheusSettings,
    SettingError,
    Severity,
    Target,
    User,
    Workload,
    WorkloadSettings,
    images,
    variables,
)

MAIN = Container(
    name="main",
    image=images.REGISTRY,
    user=User(uid=1, gid=1),
    compute=Compute(cpu="100m", memory="64Mi"),
    ports=(Port(number=8000), Port(name="admin", number=8001)),
    probes=NoProbes(because="No test starts it."),
)
SIDECAR = replace(MAIN, name="beside", ports=())
PODS = ApiRule(resources=("pods",), verbs=("list",))
ELSEWHERE = AddressRange(cidr="203.0.113.7/32")


class Shop(Application):
    """An application of one phase."""

    def __init__(self, tmp_path: Path, **settings: Any) -> None:
        super().__init__(ApplicationSettings(name="shop", **settings), outdir=tmp_path / "shop")
        self.phase = Phase(self, "services")
        close(self.phase)

    def runs(self, name: str = "web", **settings: Any) -> Workload:
        """A service of the shop's."""
        return Workload(self.phase, WorkloadSettings(name=name, container=MAIN, **settings))

    def objects(self, kind: str) -> list[Any]:
        """What is rendered of a kind."""
        return [manifest for group in self.manifests().values() for manifest in group if manifest["kind"] == kind]

    def one(self, kind: str, name: str) -> Any:
        """What is rendered of a kind and a name."""
        (found,) = (manifest for manifest in self.objects(kind) if manifest["metadata"]["name"] == name)
        return found


# What may be read of the API.


def test_a_rule_is_rendered_as_it_is_said() -> None:
    rule = ApiRule(groups=("apps", "batch"), resources=("jobs", "pods/log"), verbs=("get", "list"))
    assert rule.render().to_json() == {
        "apiGroups": ["apps", "batch"],
        "resources": ["jobs", "pods/log"],
        "verbs": ["get", "list"],
    }
    assert ApiRule(resources=("pods",)).render().to_json() == {
        "apiGroups": [""],
        "resources": ["pods"],
        "verbs": ["get", "list", "watch"],
    }


@pytest.mark.parametrize(
    ("wrong", "where", "given", "instead"),
    [
        (lambda: ApiRule(resources=()), "ApiRule.resources", "''", "Name each resource"),
        (lambda: ApiRule(resources=("pods", "*")), "ApiRule.resources", "'*'", "Name each resource"),
        (lambda: ApiRule(resources=("pods/*",)), "ApiRule.resources", "'pods/*'", "Name each resource"),
        (lambda: ApiRule(resources=("secrets",)), "ApiRule.resources", "'secrets'", "Secrets cannot be read"),
        (lambda: ApiRule(resources=("secrets/x",)), "ApiRule.resources", "'secrets/x'", "Secrets cannot be read"),
        (lambda: ApiRule(resources=("Pods",)), "ApiRule.resources", "'Pods'", "such as 'pods'"),
        (lambda: ApiRule(resources=("pods",), groups=()), "ApiRule.groups", "'*'", "such as 'apps'"),
        (lambda: ApiRule(resources=("pods",), groups=("*",)), "ApiRule.groups", "'*'", "'' for the core's"),
        (lambda: ApiRule(resources=("pods",), verbs=()), "ApiRule.verbs", "''", "get, list, watch"),
        (lambda: ApiRule(resources=("pods",), verbs=("*",)), "ApiRule.verbs", "'*'", "get, list, watch"),
        (lambda: ApiRule(resources=("pods",), verbs=("create",)), "ApiRule.verbs", "'create'", "get, list, watch"),
        (lambda: ApiAccess(because="", rules=(PODS,)), "ApiAccess.because", "''", "Say why"),
        (lambda: ApiAccess(because="It is a test."), "ApiAccess.rules", "()", "what it may read"),
        (lambda: ApiServer(peers=()), "ApiServer.peers", "()", "at least one"),
        (lambda: ApiServer(ports=()), "ApiServer.ports", "0", "1 to 65535"),
        (lambda: ApiServer(ports=(443, 70000)), "ApiServer.ports", "70000", "1 to 65535"),
        (lambda: ApiServer(ports=(443, 443)), "ApiServer.ports", "443", "given twice"),
    ],
)
def test_a_right_that_is_wider_than_it_says_is_refused(
    wrong: Callable[[], object], where: str, given: str, instead: str
) -> None:
    with pytest.raises(SettingError) as refused:
        wrong()
    for part in (where, given, instead):
        assert part in str(refused.value)


def test_access_is_a_role_a_token_of_the_main_container_and_a_way_to_the_server(tmp_path: Path) -> None:
    shop = Shop(tmp_path, api_server=ApiServer(peers=(ELSEWHERE,), ports=(6443,)))
    access = ApiAccess(because="It counts pods.", rules=(PODS,))
    shop.runs("reader", api_access=access, extras=PodExtras(sidecars=(SIDECAR,)))
    shop.runs("other")
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    (role,), (binding,) = shop.objects("Role"), shop.objects("RoleBinding")
    assert (role["metadata"]["name"], role["metadata"]["namespace"], role["rules"]) == ("shop-reader", "shop", [rule])
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "shop-reader"}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "shop-reader", "namespace": "shop"}]
    assert not shop.objects("ClusterRole")
    account = shop.one("ServiceAccount", "shop-reader")
    assert account["metadata"]["annotations"]["kubernetes.io/description"] == "It counts pods."
    assert account["automountServiceAccountToken"] is False
    pod = shop.one("Deployment", "shop-reader")["spec"]["template"]["spec"]
    mounted = {c["name"]: [m["mountPath"] for m in c.get("volumeMounts", ())] for c in pod["containers"]}
    assert "/var/run/secrets/kubernetes.io/serviceaccount" in mounted["main"]
    assert mounted["beside"] == []
    (token,) = (v["projected"] for v in pod["volumes"] if "projected" in v)
    assert token["sources"][0]["serviceAccountToken"] == {"path": "token", "expirationSeconds": 3600}
    (way,) = shop.one("NetworkPolicy", "shop-reader")["spec"]["egress"]
    assert way == {
        "to": [{"ipBlock": {"cidr": "203.0.113.7/32"}}],
        "ports": [{"port": 6443, "protocol": "TCP"}],
    }
    other = shop.one("Deployment", "shop-other")["spec"]["template"]["spec"]
    assert "volumes" not in other
    assert "egress" not in shop.one("NetworkPolicy", "shop-other")["spec"]


def test_what_is_read_of_the_cluster_is_named_after_the_namespace_and_needs_no_role(tmp_path: Path) -> None:
    shop = Shop(tmp_path, namespace="shop-test")
    nodes = ApiRule(resources=("nodes",))
    shop.runs("reader", api_access=ApiAccess(because="It counts nodes.", cluster_rules=(nodes,)))
    assert not shop.objects("Role")
    (role,), (binding,) = shop.objects("ClusterRole"), shop.objects("ClusterRoleBinding")
    assert role["metadata"]["name"] == binding["metadata"]["name"] == "shop-test-shop-reader"
    assert "namespace" not in role["metadata"]
    assert binding["subjects"][0]["namespace"] == "shop-test"


# Checks.


class Checked(Workload):
    """A service with checks of its own."""

    def __init__(self, scope: Construct, *checks: HttpCheck, name: str = "checked") -> None:
        self._checks = checks
        super().__init__(scope, WorkloadSettings(name=name, container=MAIN))

    @property
    def http_checks(self) -> tuple[HttpCheck, ...]:
        return self._checks


def modules_of(shop: Shop) -> Any:
    """What the blackbox exporter is told."""
    (text,) = (m["data"]["blackbox.yaml"] for m in shop.objects("ConfigMap") if "blackbox.yaml" in m["data"])
    return yaml.safe_load(text)["modules"]


QUIET = {"method": "GET", "follow_redirects": False}
"""How anything is asked."""


def away(*hosts: str, port: int = 443) -> External:
    """Something of others."""
    return External(name="the till", hosts=hosts, port=port, peer=Internet())


def test_a_check_says_where_it_asks(tmp_path: Path) -> None:
    web = Shop(tmp_path).runs()
    asked = [
        HttpCheck(name="a", target=Target(workload=web), path="/health"),
        HttpCheck(name="b", target=Target(workload=web, port="admin"), path="/"),
        HttpCheck(name="c", target=away("till.example.com"), path="/up"),
        HttpCheck(name="d", target=away("till.example.com", port=8443), path="/up"),
    ]
    assert [check.url for check in asked] == [
        "http://shop-web:8000/health",
        "http://shop-web:8001/",
        "https://till.example.com/up",
        "https://till.example.com:8443/up",
    ]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda at: HttpCheck(name="Up", target=at, path="/"), ("HttpCheck.name", "'Up'")),
        (lambda at: HttpCheck(name="", target=at, path="/"), ("HttpCheck.name", "''")),
        (lambda at: HttpCheck(name="up", target=at, path=""), ("HttpCheck.path of 'up'", "''", "such as '/health'")),
        (lambda at: HttpCheck(name="up", target=at, path="health"), ("HttpCheck.path of 'up'", "'health'")),
        (lambda _: HttpCheck(name="up", target=away(), path="/"), ("HttpCheck.target of 'up'", "'the till'", "hosts")),
        (lambda at: HttpCheck(name="up", target=at.workload, path="/"), ("HttpCheck", "target", "Target")),
    ],
)
def test_a_check_that_asks_for_nothing_is_refused(
    tmp_path: Path, wrong: Callable[[Target], object], says: Sequence[str]
) -> None:
    web = Shop(tmp_path).runs()
    with pytest.raises(SettingError) as refused:
        wrong(Target(workload=web))
    for part in says:
        assert part in str(refused.value)


def test_two_checks_of_one_name_are_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    check = HttpCheck(name="up", target=Target(workload=shop.runs()), path="/")
    Checked(shop.phase, check, check)
    Blackbox(shop.phase, BlackboxSettings())
    with pytest.raises(SettingError, match=r"HttpCheck\.name.*'up'.*Two checks have it"):
        shop.manifests()


def test_checks_open_one_way_to_each_whom_they_ask_and_tell_nothing_of_him(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    web = shop.runs()
    till = replace(away("till.example.com"), introduction=variables({"TILL": "till.example.com"}))
    Checked(
        shop.phase,
        HttpCheck(name="web", target=Target(workload=web, introduction=variables({"WEB": "x"})), path="/"),
        HttpCheck(name="web-ready", target=Target(workload=web), path="/ready", condition="body.open"),
        HttpCheck(name="till", target=till, path="/up"),
        HttpCheck(name="till-open", target=till, path="/open"),
    )
    blackbox = Blackbox(shop.phase, BlackboxSettings(timeout_seconds=7))
    told = {**QUIET, "fail_if_not_ssl": True, "preferred_ip_protocol": "ip4"}
    modules = modules_of(shop)
    assert modules == {
        "web": {"prober": "http", "timeout": "7s", "http": QUIET},
        "web-ready": {
            "prober": "http",
            "timeout": "7s",
            "http": {**QUIET, "fail_if_body_json_not_matches_cel": "body.open"},
        },
        "till": {"prober": "http", "timeout": "7s", "http": told},
        "till-open": {"prober": "http", "timeout": "7s", "http": told},
    }
    inside, outside = shop.one("NetworkPolicy", "shop-blackbox")["spec"]["egress"]
    assert inside["ports"] == [{"port": 8000, "protocol": "TCP"}]
    assert [peer["ipBlock"]["cidr"] for peer in outside["to"]] == ["0.0.0.0/0", "::/0"]
    assert blackbox.variables == ()


def test_in_a_cluster_of_ipv6_a_host_outside_is_asked_by_that(tmp_path: Path) -> None:
    shop = Shop(tmp_path, platform=Platform(ip_families=("IPv6",)))
    Checked(shop.phase, HttpCheck(name="till", target=away("till.example.com"), path="/up"))
    Blackbox(shop.phase, BlackboxSettings())
    assert modules_of(shop)["till"]["http"]["preferred_ip_protocol"] == "ip6"


def test_a_certificate_that_a_server_shows_is_asked_for_by_its_own_ca_and_one_that_clients_show_is_not(
    tmp_path: Path,
) -> None:
    shop = Shop(tmp_path)
    served = replace(MAIN, ports=(Port(number=8443, name="https", scheme="https"),))
    web = Workload(shop.phase, WorkloadSettings(name="web", container=served))
    shop.runs("caller")
    for name in ("web", "caller"):
        Certificate(shop.phase, CertificateSettings(workload=name, source=CertManager(issuer="shop-ca"), client=True))
    Checked(shop.phase, HttpCheck(name="web", target=Target(workload=web, port="https"), path="/health"))
    blackbox = Blackbox(shop.phase, BlackboxSettings())
    shop.manifests()
    known = {"ca_file": "/etc/tls/web/ca.crt"}
    assert modules_of(shop) == {
        "web": {"prober": "http", "timeout": "5s", "http": {**QUIET, "tls_config": known}},
        "web-tls": {"prober": "tcp", "timeout": "5s", "tcp": {"tls": True, "tls_config": known}},
    }
    (volume,) = (
        v for v in shop.one("Deployment", "shop-blackbox")["spec"]["template"]["spec"]["volumes"] if "secret" in v
    )
    assert (volume["secret"]["secretName"], volume["secret"]["items"]) == (
        "shop-web-tls",
        [{"key": "ca.crt", "path": "ca.crt"}],
    )
    (way,) = shop.one("NetworkPolicy", "shop-blackbox")["spec"]["egress"]
    assert way == {
        "to": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "shop-web"}}}],
        "ports": [{"port": 8443, "protocol": "TCP"}],
    }
    job = next(job for job in blackbox.scrape_jobs() if job["job_name"] == "check-web-tls")
    assert job["params"] == {"module": ["web-tls"], "target": ["shop-web:8443"]}
    assert job["static_configs"] == [
        {
            "targets": ["shop-blackbox:9115"],
            "labels": {"check": "web-tls", "component": "certificate", "service": "web"},
        }
    ]
    assert {"CertificateExpiring", "CertificateExpired"} < {alert.name for alert in blackbox.alerts}


def test_a_certificate_of_a_short_life_is_missed_when_half_of_the_time_to_renew_it_has_passed(tmp_path: Path) -> None:
    """Vault gives 32 days by itself: with 10 of them left it is renewed, and a ticket at 14 would come each time."""
    shop = Shop(tmp_path)
    for name, before in (("a", "240h"), ("b", "4h"), ("c", "720h"), ("d", "200h")):
        served = replace(MAIN, ports=(Port(number=8443, name="https", scheme="https"),))
        Workload(shop.phase, WorkloadSettings(name=name, container=served))
        source = CertManager(issuer="vault", duration="768h", renew_before=before)
        Certificate(shop.phase, CertificateSettings(workload=name, source=source))
    blackbox = Blackbox(shop.phase, BlackboxSettings())
    shop.manifests()
    told = {alert.name: alert.expression for alert in blackbox.alerts}

    def within(name: str) -> list[tuple[str, str]]:
        return re.findall(
            r"min_over_time\(probe_ssl_earliest_cert_expiry\{(.*?)\}\[1h\]\) - time\(\) < (\d+)", told[name]
        )

    usual = 'component!~"agent|registry"'
    assert within("CertificateExpiring") == [
        (usual + ', check!~"a-tls|b-tls|d-tls"', "1209600"),
        ('check=~"a-tls"', "432000"),
        ('check=~"b-tls"', "7200"),
        ('check=~"d-tls"', "360000"),
    ]
    # Of 200 hours, too, a quarter is more than two days.
    assert within("CertificateExpired") == [(usual + ', check!~"b-tls"', "172800"), ('check=~"b-tls"', "3600")]
    for name, groups in (("CertificateExpiring", 4), ("CertificateExpired", 2)):
        assert told[name].count("probe_ssl_last_chain_expiry_timestamp_seconds") == groups


# What is done when all others are there.


class Late(Component):
    """It writes down when it is settled, and may make another then."""

    def __init__(self, shop: Shop, name: str, order: list[str], *, makes: str = "") -> None:
        self._shop, self._order, self._makes = shop, order, makes
        super().__init__(shop.phase, name, name)

    def settle(self) -> None:
        self._order.append(self.name)
        if self._makes:
            Late(self._shop, self._makes, self._order)

    def manifests(self) -> list[Any]:
        self._order.append(f"{self.name} rendered")
        return []


def test_each_is_settled_once_in_the_order_they_were_made_and_before_anything_is_rendered(tmp_path: Path) -> None:
    shop, order = Shop(tmp_path), list[str]()
    Late(shop, "first", order, makes="made-meanwhile")
    Late(shop, "second", order)
    assert order == []
    shop.manifests()
    shop.manifests()
    settled = ["first", "second", "made-meanwhile"]
    assert order == [*settled, *(f"{name} rendered" for name in settled)]


class Greeter(Workload):
    """It connects to everything of one kind that there is in the end."""

    def settle(self) -> None:
        self.connects_to(*(pod for pod in self.application.find_all(Checked)))


def test_a_connection_that_is_made_then_opens_both_ends(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    Greeter(shop.phase, WorkloadSettings(name="greeter", container=MAIN))
    Checked(shop.phase, name="late")
    peer = [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "shop-late"}}}]
    (way,) = shop.one("NetworkPolicy", "shop-greeter")["spec"]["egress"]
    assert way["to"] == peer
    (door,) = shop.one("NetworkPolicy", "shop-late")["spec"]["ingress"]
    assert door["from"][0]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "shop-greeter"}


def test_after_it_nothing_can_be_made(tmp_path: Path) -> None:
    shop, order = Shop(tmp_path), list[str]()
    shop.manifests()
    with pytest.raises(SettingError, match="a change after rendering"):
        Late(shop, "too-late", order)
    assert order == []


# Metrics.


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: MetricsEndpoint(port="a-port-of-sixteen"), ("MetricsEndpoint.port", "15")),
        (lambda: MetricsEndpoint(port="Metrics"), ("MetricsEndpoint.port", "'Metrics'")),
        (lambda: MetricsEndpoint(path=""), ("MetricsEndpoint.path", "''", "such as '/metrics'")),
        (lambda: MetricsEndpoint(path="metrics"), ("MetricsEndpoint.path", "'metrics'", "without a query")),
        (lambda: MetricsEndpoint(path="/metrics?a=b"), ("MetricsEndpoint.path", "without a query")),
        (lambda: MetricsEndpoint(path="/a b"), ("MetricsEndpoint.path", "'/a b'")),
        (lambda: MetricsEndpoint(interval_seconds=4), ("MetricsEndpoint.interval_seconds", "4", "5 to 120")),
        (lambda: MetricsEndpoint(interval_seconds=121), ("MetricsEndpoint.interval_seconds", "121", "or nothing")),
        (lambda: MetricsEndpoint(interval_seconds=-5), ("MetricsEndpoint.interval_seconds", "-5", "5 to 120")),
        (lambda: MetricsEndpoint(port=9090), ("MetricsEndpoint", "port", "9090")),  # type: ignore[arg-type]
    ],
)
def test_metrics_that_nobody_could_ask_for_are_refused(wrong: Callable[[], object], says: Sequence[str]) -> None:
    with pytest.raises(SettingError) as refused:
        wrong()
    for part in says:
        assert part in str(refused.value)
    assert [MetricsEndpoint(interval_seconds=seconds).interval_seconds for seconds in (0, 5, 120)] == [0, 5, 120]


def test_metrics_of_a_port_that_the_pod_has_not_are_refused_with_those_that_it_has(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"shop-web port.*'metrics'.*http, admin"):
        Shop(tmp_path).runs(metrics=(MetricsEndpoint(),))


def test_each_endpoint_of_a_workload_is_a_job_of_its_own_and_opens_its_port(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    endpoints = (MetricsEndpoint(port="http"), MetricsEndpoint(port="admin", path="/figures", interval_seconds=60))
    shop.runs(metrics=endpoints)
    Prometheus(shop.phase, PrometheusSettings(kubelet=None))
    (text,) = (m["data"]["prometheus.yaml"] for m in shop.objects("ConfigMap") if "prometheus.yaml" in m["data"])
    jobs = {job["job_name"]: job for job in yaml.safe_load(text)["scrape_configs"]}
    assert set(jobs) == {"prometheus", "web", "web-admin"}
    assert (jobs["web-admin"]["metrics_path"], jobs["web-admin"]["scrape_interval"]) == ("/figures", "60s")
    rules = shop.one("NetworkPolicy", "shop-web")["spec"]["ingress"]
    assert [port["port"] for rule in rules for port in rule["ports"]] == [8000, 8001]
    assert "ingress" not in shop.one("NetworkPolicy", "shop-prometheus")["spec"]


# Alerts.

GOOD = Alert(
    name="ShopIsShut",
    expression="up == 0",
    for_minutes=5,
    severity=Severity.PAGE,
    summary="The shop is shut",
    description="Nobody can buy anything.",
)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: replace(GOOD, name=""), ("Alert.name", "''", "such as 'RedisUnreachable'")),
        (lambda: replace(GOOD, name="shop is shut"), ("Alert.name", "'shop is shut'", "written together")),
        (lambda: replace(GOOD, name="shopIsShut"), ("Alert.name", "'shopIsShut'")),
        (lambda: replace(GOOD, name="Shop_Is_Shut"), ("Alert.name", "'Shop_Is_Shut'")),
        (lambda: replace(GOOD, for_minutes=-1), ("Alert ShopIsShut for_minutes", "-1", "0 or more")),
        (lambda: replace(GOOD, expression=" "), ("Alert ShopIsShut expression", "Say something")),
        (lambda: replace(GOOD, summary=""), ("Alert ShopIsShut summary", "Say something")),
        (lambda: replace(GOOD, description="\n"), ("Alert ShopIsShut description", "Say something")),
        (lambda: replace(GOOD, severity="page"), ("Alert", "severity", "'page'")),  # type: ignore[arg-type]
        (lambda: replace(GOOD, for_minutes=1.5), ("Alert", "for_minutes", "1.5")),  # type: ignore[arg-type]
    ],
)
def test_an_alert_that_leaves_people_without_a_word_is_refused(
    wrong: Callable[[], object], says: Sequence[str]
) -> None:
    with pytest.raises(SettingError) as refused:
        wrong()
    for part in says:
        assert part in str(refused.value)


class Alarmed(Workload):
    """A service that people are called about."""

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return (GOOD, replace(GOOD, name="ShopIsSlow", severity=Severity.TICKET, for_minutes=0))


def test_alerts_of_any_component_become_rules_in_a_group_of_its_name(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    Alarmed(shop.phase, WorkloadSettings(name="web", container=MAIN))
    Prometheus(shop.phase, PrometheusSettings(kubelet=None, runbooks="https://example.com/runbooks/"))
    (text,) = (m["data"]["rules__alerts.yaml"] for m in shop.objects("ConfigMap") if "rules__alerts.yaml" in m["data"])
    groups = {group["name"]: group["rules"] for group in yaml.safe_load(text)["groups"]}
    assert set(groups) == {"web", "prometheus"}
    shut, slow = groups["web"]
    assert shut == {
        "alert": "ShopIsShut",
        "expr": "up == 0",
        "for": "5m",
        "labels": {"severity": "page"},
        "annotations": {
            "summary": "The shop is shut",
            "description": "Nobody can buy anything.",
            "runbook_url": "https://example.com/runbooks/ShopIsShut.md",
        },
    }
    assert (slow["alert"], slow["labels"], slow["for"]) == ("ShopIsSlow", {"severity": "ticket"}, "0m")
