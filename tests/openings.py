"""This module is who may open a connection to whom in what is rendered, each opening asked for one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from conftest import Manifest
from policy_evaluator import (
    JSON,
    Cluster,
    ContainerPort,
    Host,
    Namespace,
    Pod,
    Protocol,
    namespaces_of,
    pods_of,
    policies_of,
)

Opening = tuple[str, str, int, Protocol]

PROTOCOLS: tuple[Protocol, ...] = ("TCP", "UDP")

HOSTS = {
    "internet": "8.8.8.8",
    "internet-v6": "2606:4700:4700::1111",
    "metadata of the cloud": "169.254.169.254",
    "metadata over IPv6": "fd00:ec2::254",
    "private network": "10.20.30.40",
    "office network": "172.16.5.5",
    "home network": "192.168.1.1",
    "carrier network": "100.64.0.1",
    "loopback": "127.0.0.1",
    "link-local IPv6": "fe80::1",
    "translated IPv6": "64:ff9b::a9fe:a9fe",
    "API server": "10.96.0.1",
}

KUBE_DNS = Pod(
    name="kube-dns",
    namespace="kube-system",
    labels={"k8s-app": "kube-dns"},
    ports=(ContainerPort(number=53, name="dns", protocol="UDP"),),
    ip="10.244.0.202",
)


def openings_of(table: str) -> set[Opening]:
    """The rows of a table as single openings."""
    found: set[Opening] = set()
    for line in filter(None, table.splitlines()):
        source, _, targets = line.partition("->")
        for target in targets.split(","):
            name, _, port = target.strip().rpartition(" ")
            found.add((source.strip(), name, int(port), "TCP"))
    return found


def openings_in(
    manifests: Sequence[Manifest],
    applications: Mapping[str, str],
    others: Iterable[Pod | Host],
    ports: Iterable[int],
) -> set[Opening]:
    """Every opening that what is rendered leaves, which one of its pods, or a stranger beside them, is an end of.

    Args:
        manifests: What is rendered, of all the applications together.
        applications: The namespace of each, and the prefix of its names.
        others: Who else is in the cluster, or outside it, beside `HOSTS` and the cluster's DNS.
        ports: Which ports are asked for, of pods.
    """
    rendered = cast("list[dict[str, JSON]]", manifests)
    beside = [KUBE_DNS, *others]
    # Every pod has an address in the pod network, so that a rule for addresses that covers it would show.
    inside = {
        pod.name.removeprefix(applications[pod.namespace]): replace(pod, ip=f"10.244.0.{index}")
        for index, pod in enumerate(pods_of(rendered), start=1)
    }
    strangers = {
        "stranger" if len(applications) == 1 else f"stranger in {namespace}": Pod(
            name="stranger", namespace=namespace, labels={"app": "stranger"}, ip=f"10.244.0.{200 - index}"
        )
        for index, namespace in enumerate(applications)
    }
    ends: dict[str, Pod | Host] = {
        **inside,
        **strangers,
        **{other.name: other for other in beside},
        **{name: Host(name=name, ip=ip) for name, ip in HOSTS.items()},
    }
    known = namespaces_of(rendered)
    foreign = {end.namespace for end in ends.values() if isinstance(end, Pod)} - {one.name for one in known}
    cluster = Cluster(
        namespaces=[*known, *(Namespace(name=name) for name in sorted(foreign))], policies=policies_of(rendered)
    )
    ours, asked = {*inside, *strangers}, sorted(set(ports))
    served = {port.number for pod in inside.values() for port in pod.ports}
    assert served <= set(asked), "a port that a pod serves is not asked for"
    return {
        (source, target, port, protocol)
        for source in ends
        for target in ends
        if source != target and (source in ours or target in ours) and cluster.meet(ends[source], ends[target])
        for port in asked
        for protocol in PROTOCOLS
        if cluster.allows(ends[source], ends[target], port, protocol)
    }


def assert_exactly(found: set[Opening], table: str, *, outside: Iterable[str], strangers: Iterable[str]) -> None:
    """Refuse an opening that the table lacks, and one that only the table has. Every pod may ask the DNS.

    Args:
        found: What is open.
        table: What may be.
        outside: The names in the table that are none of the applications' pods.
        strangers: The pods beside them, which may ask the DNS and nothing else.
    """
    openings = openings_of(table)
    pods = {source for source, *_ in openings} | {target for _, target, *_ in openings}
    ours = {*strangers, *pods} - {*outside, *HOSTS}
    names: set[Opening] = {(pod, "kube-dns", 53, protocol) for pod in ours for protocol in PROTOCOLS}
    expected = openings | names
    assert found == expected, f"too open: {sorted(found - expected)}; too closed: {sorted(expected - found)}"
