"""Network policies with known answers, by which the evaluator is judged before it judges."""

from collections.abc import Mapping
from itertools import permutations, product

import pytest
import yaml

from conftest import at_each
from policy_evaluator import (
    JSON,
    PROTOCOLS,
    Cluster,
    ContainerPort,
    Host,
    Labels,
    Manifest,
    ManifestError,
    Namespace,
    Pod,
    Protocol,
    namespaces_of,
    pods_of,
    policies_of,
)

FRONTEND = Pod(name="frontend", namespace="shop", labels={"app": "frontend", "tier": "web"})
BACKEND = Pod(name="backend", namespace="shop", labels={"app": "backend"})
DATABASE = Pod(name="database", namespace="shop", labels={"app": "database"})
STRANGER = Pod(name="stranger", namespace="shop")
VISITOR = Pod(name="visitor", namespace="partner", labels={"app": "frontend"})
LODGER = Pod(name="lodger", namespace="partner")
PROBE = Pod(name="probe", namespace="tools", labels={"app": "probe"})
INTERNET = Host(name="internet", ip="203.0.113.9")
INTERNET6 = Host(name="internet6", ip="2001:db8::9")
METADATA = Host(name="metadata", ip="169.254.169.254")
EVERYONE = (FRONTEND, BACKEND, DATABASE, STRANGER, VISITOR, LODGER, PROBE, INTERNET, INTERNET6, METADATA)

SHOP = {"frontend", "backend", "database", "stranger"}
PARTNER = {"visitor", "lodger"}
PODS = {*SHOP, *PARTNER, "probe"}
HOSTS = {"internet", "internet6", "metadata"}
NAMESPACES = [
    Namespace(name="shop"),
    Namespace(name="partner", labels={"trust": "high"}),
    Namespace(name="tools", labels={"trust": "low"}),
]

DENY_ALL = "{podSelector: {}, policyTypes: [Ingress, Egress]}"
DATABASE_IS_CLOSED = """
podSelector: {matchLabels: {app: database}}
policyTypes: [Ingress]
"""


def policy(spec: str, *, name: str = "policy", namespace: str = "shop") -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": yaml.safe_load(spec),
    }


def cluster(*specs: str, namespace: str = "shop") -> Cluster:
    """The namespaces above, with one policy in `namespace` for each spec."""
    manifests = [policy(spec, name=f"policy-{n}", namespace=namespace) for n, spec in enumerate(specs)]
    return Cluster(namespaces=NAMESPACES, policies=policies_of(manifests))


def database_admitting(*peers: str) -> Cluster:
    """The database behind one rule, whose list of peers has these items."""
    return cluster(f"""
        podSelector: {{matchLabels: {{app: database}}}}
        ingress: [{{from: [{", ".join(peers)}]}}]
    """)


def callers(world: Cluster, destination: Pod | Host, port: int = 5432) -> set[str]:
    return {it.name for it in EVERYONE if world.allows(it, destination, port)}


def callees(world: Cluster, source: Pod | Host, port: int = 443) -> set[str]:
    return {it.name for it in EVERYONE if world.allows(source, it, port)}


# Who is governed, and in which direction


def test_without_a_policy_everyone_reaches_everyone() -> None:
    assert callers(cluster(), DATABASE) == callees(cluster(), DATABASE) == {*PODS, *HOSTS}


@at_each("rules", ["", "ingress: null", "ingress: []"])
def test_a_direction_without_rules_is_closed(rules: str) -> None:
    world = cluster(f"podSelector: {{}}\npolicyTypes: [Ingress]\n{rules}\n")
    assert callers(world, DATABASE) == set()


@at_each("rule", ["{}", "{from: []}", "{from: null}", "{ports: []}", "{from: [], ports: null}"])
def test_a_rule_without_peers_and_ports_admits_everyone_everywhere(rule: str) -> None:
    world = cluster(f"{{podSelector: {{}}, ingress: [{rule}]}}")
    assert callers(world, DATABASE, port=1) == callers(world, DATABASE, port=65535) == {*PODS, *HOSTS}


def test_a_pod_that_no_policy_selects_stays_open() -> None:
    assert callers(cluster(DATABASE_IS_CLOSED), BACKEND) == {*PODS, *HOSTS}
    assert callers(cluster(DATABASE_IS_CLOSED), DATABASE) == set()


def test_an_empty_selector_governs_every_pod_of_its_own_namespace_only() -> None:
    deny_ingress = "{podSelector: {}, policyTypes: [Ingress]}"
    assert callees(cluster(deny_ingress), LODGER) == {*PARTNER, "probe", *HOSTS}
    assert callees(cluster(deny_ingress, namespace="partner"), LODGER) == {*SHOP, "probe", *HOSTS}


def test_a_host_outside_is_governed_by_nothing() -> None:
    closed = cluster(DENY_ALL)
    assert closed.allows(INTERNET, METADATA, 80)
    assert closed.allows(LODGER, INTERNET, 443)


def test_a_closed_egress_leaves_the_ingress_open() -> None:
    world = cluster("{podSelector: {matchLabels: {app: backend}}, policyTypes: [Egress]}")
    assert callees(world, BACKEND) == set()
    assert callers(world, BACKEND) == {*PODS, *HOSTS} - {"backend"}


def test_a_closed_ingress_leaves_the_egress_open() -> None:
    assert callees(cluster(DATABASE_IS_CLOSED), DATABASE) == {*PODS, *HOSTS} - {"database"}


def test_default_deny_closes_both_directions_even_between_replicas() -> None:
    world = cluster(DENY_ALL)
    assert callers(world, BACKEND) == callees(world, BACKEND) == set()


@at_each(
    ("types", "rules", "ingress_is_closed", "egress_is_closed"),
    [
        ("", "", True, False),
        ("", "egress: []", True, False),
        ("", "egress: [{ports: [{port: 1}]}]", True, True),
        ("policyTypes: []", "egress: [{ports: [{port: 1}]}]", True, True),
        ("policyTypes: null", "", True, False),
        ("policyTypes: [Ingress]", "egress: [{ports: [{port: 1}]}]", True, False),
        ("policyTypes: [Egress]", "", False, True),
        ("policyTypes: [Egress]", "ingress: [{ports: [{port: 1}]}]", False, True),
        ("policyTypes: [Ingress, Egress]", "", True, True),
    ],
)
def test_policy_types_default_to_ingress_and_to_egress_where_it_has_rules(
    types: str, rules: str, ingress_is_closed: bool, egress_is_closed: bool
) -> None:
    world = cluster(f"podSelector: {{matchLabels: {{app: backend}}}}\n{types}\n{rules}\n")
    assert world.allows(FRONTEND, BACKEND, 8080) is not ingress_is_closed
    assert world.allows(BACKEND, FRONTEND, 8080) is not egress_is_closed


# Both ends, and the union of policies


BACKEND_CALLS_DATABASE = """
podSelector: {matchLabels: {app: backend}}
policyTypes: [Egress]
egress: [{to: [{podSelector: {matchLabels: {app: database}}}]}]
"""
DATABASE_ANSWERS_BACKEND = """
podSelector: {matchLabels: {app: database}}
ingress: [{from: [{podSelector: {matchLabels: {app: backend}}}]}]
"""


@at_each(
    ("halves", "expected"),
    [
        ([], False),
        ([BACKEND_CALLS_DATABASE], False),
        ([DATABASE_ANSWERS_BACKEND], False),
        ([BACKEND_CALLS_DATABASE, DATABASE_ANSWERS_BACKEND], True),
    ],
)
def test_a_connection_needs_the_egress_of_one_end_and_the_ingress_of_the_other(
    halves: list[str], expected: bool
) -> None:
    world = cluster(DENY_ALL, *halves)
    assert world.allows(BACKEND, DATABASE, 5432) is expected
    assert not world.allows(DATABASE, BACKEND, 5432)


@at_each("order", list(permutations(range(3))))
def test_policies_add_up_in_any_order(order: tuple[int, ...]) -> None:
    specs = [
        DATABASE_IS_CLOSED,
        DATABASE_ANSWERS_BACKEND,
        """
        podSelector: {matchLabels: {app: database}}
        ingress: [{from: [{namespaceSelector: {matchLabels: {trust: low}}}]}]
        """,
    ]
    assert callers(cluster(*(specs[n] for n in order)), DATABASE) == {"backend", "probe"}


def test_the_rules_of_a_policy_add_up_but_each_keeps_its_peers_to_its_ports() -> None:
    world = cluster("""
        podSelector: {matchLabels: {app: database}}
        ingress:
          - from: [{podSelector: {matchLabels: {app: backend}}}]
            ports: [{port: 5432}]
          - from: [{podSelector: {matchLabels: {app: frontend}}}]
            ports: [{port: 9187}]
    """)
    assert callers(world, DATABASE, port=5432) == {"backend"}
    assert callers(world, DATABASE, port=9187) == {"frontend"}


# Peers: pods and namespaces


@at_each(
    ("peers", "expected"),
    [
        (["{podSelector: {matchLabels: {app: frontend}}}"], {"frontend"}),
        (["{podSelector: {}}"], SHOP),
        (["{podSelector: {}, namespaceSelector: null}"], SHOP),
        (["{namespaceSelector: {matchLabels: {trust: high}}}"], PARTNER),
        (["{namespaceSelector: {}}"], PODS),
        (["{namespaceSelector: {}, podSelector: null}"], PODS),
        (["{namespaceSelector: {}, podSelector: {matchLabels: {app: frontend}}}"], {"frontend", "visitor"}),
    ],
)
def test_a_pod_selector_alone_means_this_namespace_and_a_namespace_selector_alone_means_all_its_pods(
    peers: list[str], expected: set[str]
) -> None:
    assert callers(database_admitting(*peers), DATABASE) == expected


def test_selectors_in_one_list_item_must_both_match() -> None:
    world = database_admitting(
        "{namespaceSelector: {matchLabels: {trust: high}}, podSelector: {matchLabels: {app: frontend}}}"
    )
    assert callers(world, DATABASE) == {"visitor"}


def test_selectors_in_two_list_items_admit_whoever_either_matches() -> None:
    world = database_admitting(
        "{namespaceSelector: {matchLabels: {trust: high}}}", "{podSelector: {matchLabels: {app: frontend}}}"
    )
    assert callers(world, DATABASE) == {"frontend", "visitor", "lodger"}


def test_egress_peers_are_chosen_by_the_same_selectors() -> None:
    world = cluster("""
        podSelector: {matchLabels: {app: backend}}
        policyTypes: [Egress]
        egress:
          - to:
              - podSelector: {matchLabels: {app: database}}
              - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: tools}}
    """)
    assert callees(world, BACKEND) == {"database", "probe"}


@at_each("label", ["tools", "shop"])
def test_a_namespace_carries_its_name_as_a_label_that_it_cannot_forge(label: str) -> None:
    spec = """
        podSelector: {}
        ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: tools}}}]}]
    """
    tools = Namespace(name="tools", labels={"kubernetes.io/metadata.name": label})
    forger = Namespace(name="partner", labels={"kubernetes.io/metadata.name": "tools"})
    world = Cluster(namespaces=[Namespace(name="shop"), tools, forger], policies=policies_of([policy(spec)]))
    assert callers(world, DATABASE) == {"probe"}


# Selectors


@at_each(
    ("expression", "matching"),
    [
        ("{key: app, operator: In, values: [backend, database]}", {"backend", "database"}),
        ("{key: app, operator: NotIn, values: [backend, database]}", {"frontend", "stranger"}),
        ("{key: tier, operator: Exists}", {"frontend"}),
        ("{key: tier, operator: DoesNotExist}", {"backend", "database", "stranger"}),
        ("{key: app, operator: Exists, values: []}", {"frontend", "backend", "database"}),
    ],
)
def test_expressions_select_by_the_presence_and_the_value_of_a_label(expression: str, matching: set[str]) -> None:
    selector = f"{{matchExpressions: [{expression}]}}"
    assert callers(database_admitting(f"{{podSelector: {selector}}}"), DATABASE) == matching
    governed = cluster(f"{{podSelector: {selector}, policyTypes: [Ingress]}}")
    assert callees(governed, LODGER) == {*PODS, *HOSTS} - matching


@at_each(
    ("labels", "selected"),
    [
        ({"app": "api", "tier": "web", "zone": "a"}, True),
        ({"app": "api", "tier": "web", "zone": "a", "extra": "yes"}, True),
        ({"app": "api", "tier": "web"}, False),
        ({"app": "api", "tier": "web", "zone": "c"}, False),
        ({"app": "api", "zone": "a"}, False),
        ({"app": "other", "tier": "web", "zone": "a"}, False),
        ({"app": "api", "tier": "web", "zone": "a", "legacy": ""}, False),
        ({}, False),
    ],
)
def test_a_selector_needs_all_of_its_labels_and_expressions(labels: Labels, selected: bool) -> None:
    world = cluster("""
        podSelector:
          matchLabels: {app: api, tier: web}
          matchExpressions:
            - {key: zone, operator: In, values: [a, b]}
            - {key: legacy, operator: DoesNotExist}
        policyTypes: [Ingress]
    """)
    pod = Pod(name="api", namespace="shop", labels=labels)
    assert world.allows(LODGER, pod, 80) is not selected


# Peers: addresses


def test_an_ip_block_admits_addresses_outside_the_cluster_and_no_pod_selector_does() -> None:
    assert callers(database_admitting("{ipBlock: {cidr: 203.0.113.0/24}}"), DATABASE) == {"internet"}
    assert callers(database_admitting("{podSelector: {}}", "{namespaceSelector: {}}"), DATABASE) == PODS


def test_the_internet_without_its_private_and_link_local_ranges_hides_the_metadata_address() -> None:
    world = cluster("""
        podSelector: {matchLabels: {app: backend}}
        policyTypes: [Egress]
        egress:
          - to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 169.254.0.0/16]}}]
            ports: [{port: 443}]
    """)
    assert callees(world, BACKEND) == {"internet"}
    assert callees(world, BACKEND, port=80) == set()


def test_an_ip_block_without_exceptions_exposes_the_metadata_address() -> None:
    assert callers(database_admitting("{ipBlock: {cidr: 0.0.0.0/0}}"), DATABASE) == {"internet", "metadata"}


def test_an_exception_is_undone_by_another_peer_that_admits_it() -> None:
    world = database_admitting(
        "{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}}", "{ipBlock: {cidr: 169.254.169.254/32}}"
    )
    assert callers(world, DATABASE) == {"internet", "metadata"}


@at_each(
    ("ip", "admitted"),
    [
        ("9.255.255.255", False),
        ("10.0.0.0", True),
        ("10.1.255.255", True),
        ("10.2.0.0", False),
        ("10.2.255.255", False),
        ("10.3.0.0", True),
        ("10.4.0.7", False),
        ("10.4.0.8", True),
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("2001:db8:ffff::1", True),
        ("2001:db8:bad::1", False),
        ("2001:db9::1", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_an_ip_block_spans_its_network_minus_each_of_its_exceptions(ip: str, admitted: bool) -> None:
    world = database_admitting(
        "{ipBlock: {cidr: 10.0.0.0/8, except: [10.2.0.0/16, 10.4.0.7/32]}}",
        "{ipBlock: {cidr: '2001:db8::/32', except: ['2001:db8:bad::/48']}}",
    )
    assert world.allows(Host(name="caller", ip=ip), DATABASE, 5432) is admitted


def test_every_ipv4_address_is_no_ipv6_address() -> None:
    assert callers(database_admitting("{ipBlock: {cidr: '::/0'}}"), DATABASE) == {"internet6"}


@at_each(("ip", "admitted"), [(None, False), ("10.1.0.5", True), ("10.9.0.5", False), ("192.0.2.1", False)])
def test_an_ip_block_admits_a_pod_only_by_an_address_that_is_given(ip: str | None, admitted: bool) -> None:
    world = database_admitting("{ipBlock: {cidr: 10.0.0.0/8, except: [10.9.0.0/16]}}")
    assert world.allows(Pod(name="pod", namespace="partner", ip=ip), DATABASE, 5432) is admitted


# Ports


@at_each(
    ("port_spec", "open_ports"),
    [
        ("{port: 80}", {(80, "TCP")}),
        ("{port: 80, protocol: TCP}", {(80, "TCP")}),
        ("{port: 53, protocol: UDP}", {(53, "UDP")}),
        ("{port: 80, protocol: SCTP}", {(80, "SCTP")}),
        ("{protocol: UDP}", {(53, "UDP"), (80, "UDP"), (81, "UDP"), (82, "UDP")}),
        ("{}", {(53, "TCP"), (80, "TCP"), (81, "TCP"), (82, "TCP")}),
        ("{port: 80, endPort: 81}", {(80, "TCP"), (81, "TCP")}),
        ("{port: 53, endPort: 80, protocol: UDP}", {(53, "UDP"), (80, "UDP")}),
        ("{port: 81, endPort: 81}", {(81, "TCP")}),
        ("{port: 53}, {port: 53, protocol: UDP}", {(53, "TCP"), (53, "UDP")}),
    ],
)
def test_a_rule_opens_its_ports_on_their_protocol_which_is_tcp_unless_stated(
    port_spec: str, open_ports: set[tuple[int, Protocol]]
) -> None:
    world = cluster(f"{{podSelector: {{}}, ingress: [{{ports: [{port_spec}]}}]}}")
    protocols: tuple[Protocol, ...] = ("TCP", "UDP", "SCTP")
    attempts = product((53, 80, 81, 82), protocols)
    assert {it for it in attempts if world.allows(LODGER, BACKEND, *it)} == open_ports


def test_a_connection_is_tcp_unless_stated() -> None:
    world = cluster("{podSelector: {}, ingress: [{ports: [{port: 80, protocol: TCP}]}]}")
    assert world.allows(LODGER, BACKEND, 80)


OLD = Pod(name="old", namespace="shop", ports=(ContainerPort(number=8080, name="http"),))
NEW = Pod(
    name="new",
    namespace="shop",
    ports=(
        ContainerPort(number=80, name="http"),
        ContainerPort(number=8080, name="admin"),
        ContainerPort(number=53, name="dns", protocol="UDP"),
        ContainerPort(number=9000),
    ),
)


@at_each(("target", "port", "is_open"), [(OLD, 8080, True), (OLD, 80, False), (NEW, 80, True), (NEW, 8080, False)])
def test_a_named_port_is_the_number_that_the_target_gives_it(target: Pod, port: int, is_open: bool) -> None:
    ingress = cluster("{podSelector: {}, ingress: [{ports: [{port: http}]}]}")
    egress = cluster("{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}", namespace="partner")
    named_by_the_caller = Pod(name="caller", namespace="partner", ports=(*OLD.ports, *NEW.ports))
    assert ingress.allows(named_by_the_caller, target, port) is is_open
    assert egress.allows(named_by_the_caller, target, port) is is_open


@at_each(
    ("port_spec", "port", "protocol", "is_open"),
    [
        ("{port: dns, protocol: UDP}", 53, "UDP", True),
        ("{port: dns, protocol: UDP}", 53, "TCP", False),
        ("{port: dns, protocol: TCP}", 53, "UDP", False),
        ("{port: dns}", 53, "UDP", False),
        ("{port: dns}", 53, "TCP", False),
        ("{port: nothing}", 80, "TCP", False),
        ("{port: nothing}", 9000, "TCP", False),
    ],
)
def test_a_named_port_opens_only_on_its_protocol_and_only_where_the_name_exists(
    port_spec: str, port: int, protocol: Protocol, is_open: bool
) -> None:
    world = cluster(f"{{podSelector: {{}}, ingress: [{{ports: [{port_spec}]}}]}}")
    assert world.allows(LODGER, NEW, port, protocol) is is_open


@at_each("port_spec", ["{port: 80}", "{port: dns, protocol: UDP}", "{protocol: SCTP}", "{port: 1, endPort: 9}"])
def test_who_may_connect_at_any_port_meets_and_who_is_not_meant_does_not(port_spec: str) -> None:
    """So no port is left out that is open."""
    world = cluster(f"{{podSelector: {{}}, ingress: [{{from: [{{podSelector: {{}}}}], ports: [{port_spec}]}}]}}")
    neighbour = Pod(name="neighbour", namespace="shop")
    assert world.meet(neighbour, NEW)
    assert not world.meet(LODGER, NEW)
    assert not any(world.allows(LODGER, NEW, *at) for at in product((1, 53, 80), PROTOCOLS))


def test_an_address_outside_the_cluster_has_no_named_ports() -> None:
    world = cluster("{podSelector: {}, egress: [{ports: [{port: https}]}]}")
    assert not world.allows(BACKEND, INTERNET, 443)


# From manifests


SHOP_MANIFESTS = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {trust: high}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: not-of-the-pod}}
spec:
  template:
    metadata: {labels: {app: web}}
    spec:
      hostNetwork: false
      containers:
        - {name: web, ports: [{name: http, containerPort: 8080}, {containerPort: 9000}]}
        - {name: plain}
      initContainers:
        - {name: once, ports: [{name: once, containerPort: 1}]}
        - {name: proxy, restartPolicy: Always, ports: [{name: dns, containerPort: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{port: 80, targetPort: http}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{namespaceSelector: {matchLabels: {trust: high}}}], ports: [{port: http}]}]
"""


def documents(text: str) -> list[Manifest]:
    return list(yaml.safe_load_all(text))


def test_a_pod_has_the_labels_of_its_template_and_the_ports_of_every_container_that_stays() -> None:
    assert pods_of(documents(SHOP_MANIFESTS)) == [
        Pod(
            name="web",
            namespace="shop",
            labels={"app": "web"},
            ports=(
                ContainerPort(number=8080, name="http"),
                ContainerPort(number=9000),
                ContainerPort(number=53, name="dns", protocol="UDP"),
            ),
        )
    ]


def test_manifests_alone_answer_who_may_talk_to_whom() -> None:
    manifests = documents(SHOP_MANIFESTS)
    [web] = pods_of(manifests)
    world = Cluster(namespaces=[*namespaces_of(manifests), Namespace(name="partner")], policies=policies_of(manifests))
    assert world.allows(STRANGER, web, 8080)
    assert not world.allows(STRANGER, web, 9000)
    assert not world.allows(LODGER, web, 8080)


TEMPLATE: Mapping[str, object] = {
    "metadata": {"labels": {"app": "it"}},
    "spec": {"containers": [{"name": "it", "ports": [{"containerPort": 80}]}]},
}


@at_each(
    ("kind", "body"),
    [
        *(
            (kind, {"spec": {"template": TEMPLATE}})
            for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
        ),
        ("CronJob", {"spec": {"jobTemplate": {"spec": {"template": TEMPLATE}}}}),
        ("Pod", {"spec": TEMPLATE["spec"]}),
    ],
)
def test_every_kind_that_makes_pods_gives_one(kind: str, body: Mapping[str, object]) -> None:
    labels = {"app": "it"} if kind == "Pod" else {"app": "not-of-the-pod"}
    manifest = {"kind": kind, "metadata": {"name": "it", "namespace": "shop", "labels": labels}, **body}
    [document] = documents(yaml.safe_dump(manifest))
    expected = Pod(name="it", namespace="shop", labels={"app": "it"}, ports=(ContainerPort(number=80),))
    assert pods_of([document]) == [expected]


# What is refused


def refusal(spec: str) -> str:
    with pytest.raises(ManifestError) as caught:
        policies_of([policy(spec)])
    return str(caught.value)


@at_each(
    ("spec", "message"),
    [
        ("order: 1", "spec has an unknown field order; give only podSelector, policyTypes, ingress, egress"),
        ("ingress: [{to: []}]", "ingress[0] has an unknown field to; give only from, ports"),
        ("egress: [{from: []}]", "egress[0] has an unknown field from; give only to, ports"),
        ("ingress: [{from: [{service: a}]}]", "ingress[0].from[0] has an unknown field service"),
        ("ingress: [{from: [{ipBlock: {not: []}}]}]", "ingress[0].from[0].ipBlock has an unknown field not"),
        ("ingress: [{ports: [{}, {number: 80}]}]", "ingress[0].ports[1] has an unknown field number"),
        ("ingress: [{from: [{podSelector: {app: a}}]}]", "from[0].podSelector has an unknown field app"),
        (
            "ingress: [{from: [{podSelector: {matchExpressions: [{op: In}]}}]}]",
            "matchExpressions[0] has an unknown field op; give only key, operator, values",
        ),
    ],
)
def test_an_unknown_field_is_refused_by_its_path(spec: str, message: str) -> None:
    assert message in refusal(f"{{podSelector: {{}}, {spec}}}")


@at_each(
    ("spec", "message"),
    [
        ("null", "spec.podSelector is None; give a selector, or {} for every pod"),
        ("podSelector: null", "spec.podSelector is None; give a selector, or {} for every pod"),
        ("podSelector: [app]", "spec.podSelector is ['app']; give a mapping"),
        ("{podSelector: {}, policyTypes: Ingress}", "policyTypes is 'Ingress'; give a list"),
        ("{podSelector: {}, policyTypes: [ingress]}", "policyTypes[0] is 'ingress'; give one of"),
        ("{podSelector: {}, ingress: {from: []}}", "ingress is {'from': []}; give a list"),
        ("{podSelector: {}, ingress: [null]}", "ingress is [None]; give a list without nulls"),
    ],
)
def test_a_spec_of_another_shape_is_refused(spec: str, message: str) -> None:
    assert message in refusal(spec)


@at_each(
    ("selector", "message"),
    [
        ("matchLabels: {version: 1.0}", "matchLabels.version is 1.0; give a string"),
        ("matchExpressions: [{operator: Exists}]", "[0].key is None; give a string"),
        (
            "matchExpressions: [{key: a, operator: Gt, values: ['1']}]",
            "give one of In, NotIn, Exists, DoesNotExist",
        ),
        ("matchExpressions: [{key: a, operator: In, values: [1]}]", "values[0] is 1; give a string"),
        ("matchExpressions: [{key: a, operator: In}]", "give values to In and NotIn, and none to Exists"),
        (
            "matchExpressions: [{key: a, operator: NotIn, values: []}]",
            "give values to In and NotIn, and none",
        ),
        ("matchExpressions: [{key: a, operator: Exists, values: [b]}]", "none to Exists and DoesNotExist"),
        (
            "matchExpressions: [{key: a, operator: DoesNotExist, values: [b]}]",
            "none to Exists and DoesNotExist",
        ),
    ],
)
def test_a_selector_without_a_meaning_is_refused(selector: str, message: str) -> None:
    assert message in refusal(f"podSelector: {{{selector}}}")


@at_each(
    ("peer", "message"),
    [
        ("", "from[0] is {}; give either an ipBlock or selectors"),
        ("podSelector: null", "give either an ipBlock or selectors"),
        ("ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}", "give either an ipBlock or selectors"),
        ("ipBlock: {cidr: 10.0.0.0/8}, namespaceSelector: {}", "give either an ipBlock or selectors"),
        ("ipBlock: {}", "ipBlock.cidr is None; give a network such as 10.0.0.0/8"),
        ("ipBlock: {cidr: everywhere}", "ipBlock.cidr is 'everywhere'; give a network such as"),
        ("ipBlock: {cidr: 10.0.0.1/8}", "give a network such as 10.0.0.0/8, with no bit of a host"),
        ("ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}", "give smaller networks inside 10.0.0.0/8"),
        ("ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}", "give smaller networks inside 10.0.0.0/8"),
        ("ipBlock: {cidr: 0.0.0.0/0, except: ['fc00::/7']}", "give smaller networks inside 0.0.0.0/0"),
    ],
)
def test_a_peer_without_a_meaning_is_refused(peer: str, message: str) -> None:
    assert message in refusal(f"{{podSelector: {{}}, ingress: [{{from: [{{{peer}}}]}}]}}")


@at_each(
    ("port", "message"),
    [
        ("port: 0", "port is 0; give a port from 1 to 65535"),
        ("port: 65536", "port is 65536; give a port from 1 to 65535"),
        ("port: true", "port is True; give a port from 1 to 65535"),
        ("port: '80'", "port is '80'; give a number without quotes, or a name"),
        ("port: 80, protocol: tcp", "protocol is 'tcp'; give one of TCP, UDP, SCTP"),
        ("port: 80, endPort: 79", "endPort is 79; give a number no smaller than that of port"),
        ("port: 80, endPort: http", "endPort is 'http'; give a port from 1 to 65535"),
        ("port: http, endPort: 90", "endPort is 90; give a number no smaller than that of port"),
        ("endPort: 90", "endPort is 90; give a number no smaller than that of port"),
    ],
)
def test_a_port_without_a_meaning_is_refused(port: str, message: str) -> None:
    assert message in refusal(f"{{podSelector: {{}}, ingress: [{{ports: [{{{port}}}]}}]}}")


@at_each(
    ("change", "message"),
    [
        ("apiVersion: projectcalico.org/v3", "apiVersion is 'projectcalico.org/v3'; give"),
        ("{apiVersion: cilium.io/v2, kind: CiliumClusterwideNetworkPolicy}", "apiVersion is 'cilium.io/v2'; give"),
        ("status: {}", "has an unknown field status"),
        ("metadata: {name: policy}", "metadata.namespace is None; give a string"),
        ("metadata: {namespace: shop}", "metadata.name is None; give a string"),
        ("kind: null", "kind is None; give a string"),
        ("{kind: List, items: []}", "items is []; give each object as a manifest of its own"),
    ],
)
def test_a_policy_of_another_api_or_of_no_namespace_is_refused(change: str, message: str) -> None:
    changed: Manifest = {**policy("podSelector: {}"), **yaml.safe_load(change)}
    with pytest.raises(ManifestError) as caught:
        policies_of([changed])
    assert message in str(caught.value)


@at_each(
    ("spec", "message"),
    [
        ("hostNetwork: true", "Pod it.spec.hostNetwork is True; give false: no policy governs"),
        ("containers: [{ports: [{name: http}]}]", "containerPort is None; give a port"),
        ("containers: [{ports: [{containerPort: 80, hostPort: 80}]}]", "has an unknown field hostPort"),
        ("containers: [{ports: [{containerPort: 80, name: 80}]}]", "name is 80; give a string"),
        ("containers: [{ports: [{containerPort: 80, protocol: HTTP}]}]", "give one of TCP, UDP, SCTP"),
    ],
)
def test_a_pod_whose_traffic_policies_cannot_judge_is_refused(spec: str, message: str) -> None:
    metadata: JSON = {"name": "it", "namespace": "shop"}
    with pytest.raises(ManifestError) as caught:
        pods_of([{"kind": "Pod", "metadata": metadata, "spec": yaml.safe_load(spec)}])
    assert message in str(caught.value)


def test_a_name_that_is_given_twice_is_refused() -> None:
    twice = policies_of([policy("{podSelector: {}}"), policy("{podSelector: {}}")])
    with pytest.raises(ManifestError, match=r"^NetworkPolicy shop/policy: given twice"):
        Cluster(namespaces=NAMESPACES, policies=twice)
    with pytest.raises(ManifestError, match=r"^shop: given twice"):
        Cluster(namespaces=[*NAMESPACES, Namespace(name="shop")], policies=[])
    elsewhere = policies_of([policy("{podSelector: {}}"), policy("{podSelector: {}}", namespace="tools")])
    assert len(Cluster(namespaces=NAMESPACES, policies=elsewhere).policies) == 2


@at_each("ends", [(LODGER, DATABASE), (DATABASE, LODGER)])
def test_a_pod_in_an_unknown_namespace_is_refused(ends: tuple[Pod, Pod]) -> None:
    world = Cluster(namespaces=[Namespace(name="shop")], policies=[])
    with pytest.raises(ManifestError, match=r"^lodger: namespace partner is unknown"):
        world.allows(*ends, 80)


@at_each(("port", "protocol"), [(0, "TCP"), (65536, "TCP"), (80, "tcp"), (80, "HTTP")])
def test_a_question_that_makes_no_sense_is_refused(port: int, protocol: Protocol) -> None:
    with pytest.raises(ManifestError, match=f"^{port}/{protocol}: give a port from 1 to 65535"):
        cluster().allows(LODGER, DATABASE, port, protocol)


def test_a_host_name_or_a_network_is_refused_as_an_address() -> None:
    with pytest.raises(ValueError, match=r"api\.example\.com"):
        Host(name="api", ip="api.example.com")
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/8"):
        Pod(name="pod", namespace="shop", ip="10.0.0.0/8")


NODE = Host(name="node", ip="10.0.0.7", entities=("remote-node",))
OWN_NODE = Host(name="own node", ip="10.0.0.8", entities=("host",))
API_SERVER = Host(name="api server", ip="203.0.113.77", entities=("kube-apiserver",))
CONTROL_PLANE = Host(name="control plane", ip="10.0.0.9", entities=("kube-apiserver", "remote-node"))
CILIUM_INGRESS = Host(name="ingress", ip="10.0.0.10", entities=("ingress",))
NODES = (NODE, OWN_NODE, API_SERVER, CONTROL_PLANE, CILIUM_INGRESS)


def with_cilium(spec: str, *others: Manifest, cilium: bool = True) -> Cluster:
    """The namespaces above, with one CiliumNetworkPolicy in `shop` and other policies."""
    manifest = {**policy(spec, name="ours"), "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy"}
    return Cluster(namespaces=NAMESPACES, policies=policies_of([manifest, *others]), cilium=cilium)


@at_each(
    ("peers", "admitted"),
    [
        ("fromEntities: [host]", {"own node"}),
        ("fromEntities: [remote-node]", {"node", "control plane"}),
        ("fromEntities: [kube-apiserver]", {"api server", "control plane"}),
        ("fromEntities: [ingress]", {"ingress"}),
        ("fromEntities: [world]", HOSTS),
        ("fromEndpoints: [{matchLabels: {app: frontend}}]", {"frontend"}),
        ("fromEndpoints: [{matchLabels: {'k8s:io.kubernetes.pod.namespace': partner}}]", PARTNER),
        (
            "fromEndpoints: [{matchLabels: {'k8s:io.kubernetes.pod.namespace': partner, 'k8s:app': frontend}}]",
            {"visitor"},
        ),
        ("fromCIDRSet: [{cidr: 203.0.113.0/24, except: [203.0.113.64/26]}]", {"internet"}),
        # A node and a pod are no addresses for Cilium, whatever their IPs.
        ("fromCIDRSet: [{cidr: 0.0.0.0/0}]", {"internet", "metadata", "api server"}),
    ],
)
def test_peers_of_cilium(peers: str, admitted: set[str]) -> None:
    rules = f"ingress: [{{{peers}, toPorts: [{{ports: [{{port: '5432', protocol: TCP}}]}}]}}]"
    world = with_cilium(f"{{endpointSelector: {{matchLabels: {{app: database}}}}, {rules}}}")
    assert {it.name for it in (*EVERYONE, *NODES) if world.allows(it, DATABASE, 5432)} - {"database"} == admitted
    assert not any(world.allows(it, DATABASE, 5433) for it in (*EVERYONE, *NODES))
    assert not any(world.allows(it, DATABASE, 5432, "UDP") for it in (*EVERYONE, *NODES))
    assert world.allows(STRANGER, BACKEND, 80)


def test_policies_of_both_kinds_add_up() -> None:
    plain = policy("{podSelector: {matchLabels: {app: database}}, ingress: [{from: [{podSelector: {}}]}]}")
    spec = "{endpointSelector: {matchLabels: {app: database}}, ingress: [{fromEntities: [host]}]}"
    world = with_cilium(spec, plain)
    assert {it.name for it in (*EVERYONE, *NODES) if world.allows(it, DATABASE, 5432)} == SHOP | {"own node"}


def test_without_cilium_a_block_covers_pods_and_nodes_and_with_it_neither() -> None:
    spec = "{podSelector: {matchLabels: {app: database}}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}"
    pod = Pod(name="pod", namespace="partner", ip="10.1.1.1")
    policies = policies_of([policy(spec)])
    for cilium in (False, True):
        world = Cluster(namespaces=NAMESPACES, policies=policies, cilium=cilium)
        assert world.allows(NODE, DATABASE, 5432) is not cilium
        assert world.allows(pod, DATABASE, 5432) is not cilium


@at_each(
    ("spec", "message"),
    [
        ("{podSelector: {}}", "has an unknown field podSelector"),
        ("{ingress: []}", "endpointSelector is None"),
        ("{endpointSelector: {}, ingressDeny: []}", "has an unknown field ingressDeny"),
        ("{endpointSelector: {}, egress: [{toFQDNs: []}]}", "has an unknown field toFQDNs"),
        ("{endpointSelector: {}, egress: [{toEntities: [all]}]}", "is 'all'; give one of host"),
        ("{endpointSelector: {}, egress: [{toPorts: []}]}", "give peers of one kind"),
        (
            "{endpointSelector: {}, egress: [{toEntities: [host], toCIDRSet: [{cidr: 10.0.0.0/8}]}]}",
            "give peers of one kind",
        ),
        (
            "{endpointSelector: {}, egress: [{toEntities: [host], toPorts: [{rules: {http: []}}]}]}",
            "has an unknown field http",
        ),
        (
            "{endpointSelector: {}, egress: [{toEntities: [host], toPorts: [{rules: {dns: [{matchPattern: a}]}}]}]}",
            "matchPattern is 'a'",
        ),
    ],
)
def test_what_of_cilium_it_does_not_understand_is_refused(spec: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        with_cilium(spec)
    assert message in str(caught.value)


def test_a_policy_of_cilium_is_refused_in_a_cluster_without() -> None:
    with pytest.raises(ManifestError, match="ours: only Cilium reads this"):
        with_cilium("{endpointSelector: {}, ingress: [{fromEntities: [host]}]}", cilium=False)
