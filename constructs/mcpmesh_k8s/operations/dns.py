"""This module is who answers DNS in a cluster: what is found there, beside what the settings let pods ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from mcpmesh_k8s.kubernetes import Dns, HostNetwork, Listener, Namespace, PolicyKind, at, containers_of, is_address

from .environment import Environment
from .programs import Kubectl, OperationError, read_object
from .terminal import show


@dataclass(frozen=True, kw_only=True)
class Found:
    """Who answers DNS in a cluster.

    Args:
        what: What was found, and where.
        dns: The setting for it.
        text: That setting, as it is written.
    """

    what: str
    dns: Dns
    text: str


def show_dns(environment: Environment, kubectl: Kubectl) -> None:
    """Say who answers DNS in the cluster, and which setting to choose where the settings open another one."""
    try:
        found = find_dns(kubectl)
    except OperationError as error:
        show(f"Who answers DNS in this cluster cannot be seen: {error}")
        return
    if found is None:
        show("DNS: neither kube-dns nor any other that is known was found. Look at what `dns` of the settings opens.")
        return
    settings = environment.application.settings
    for namespace in environment.application.find_all(Namespace):
        missing = [one for one in found.dns.servers if not opens(namespace.settings.dns, one, settings.policies)]
        if missing:
            show(f"DNS: {found.what}. The settings do not let pods ask it, and nothing would resolve: dns={found.text}")
        else:
            show(f"DNS: {found.what}, as the settings say")


def opens(dns: Dns, wanted: Listener, policies: PolicyKind) -> bool:
    """Whether pods may ask a server."""
    for server in dns.servers:
        if server == wanted:
            return True
        here, there = server.peer, wanted.peer
        if isinstance(here, HostNetwork) and isinstance(there, HostNetwork) and server.port == wanted.port:
            return policies is PolicyKind.CILIUM or set(there.ranges) <= set(here.ranges)
    return False


def find_dns(kubectl: Kubectl) -> Found | None:
    """Who answers DNS in the cluster, as far as it is known; nothing where nobody is.

    Raises:
        OperationError: It may not be seen.
    """
    system = Kubectl(context=kubectl.context, namespace="kube-system")

    def there(*what: str) -> str:
        return system.output("get", *what, "--ignore-not-found").strip()

    if there("namespace", "openshift-dns", "--output=name"):
        return Found(what="OpenShift's, in openshift-dns", dns=Dns.openshift(), text="Dns.openshift()")
    service = there("service", "kube-dns", "--output=jsonpath={.spec.clusterIP}")
    if there("nodes", "--selector=cloud.google.com/gke-nodepool", "--output=name"):
        text = f'Dns.gke(service_address="{service}")' if service else "Dns.gke()"
        return Found(what="GKE's", dns=Dns.gke(service_address=service), text=text)
    printed = there("daemonset", "node-local-dns", "--output=json")
    if printed:
        cache = read_object(system.command("get", "daemonset", "node-local-dns"), printed)
        what = "NodeLocal DNSCache, the DaemonSet node-local-dns of kube-system"
        if not at(cache, "spec", "template", "spec").get("hostNetwork"):
            return Found(what=f"{what}, in pods", dns=Dns.cilium(), text="Dns.cilium()")
        addresses = tuple(addresses_of(cache))
        if addresses:
            return Found(
                what=f"{what}, at {' and '.join(addresses)}",
                dns=Dns.node_local(addresses=addresses),
                text=f"Dns.node_local(addresses={addresses!r})",
            )
        text = f'Dns.node_local(service_address="{service}")' if service else "Dns.node_local()"
        return Found(what=what, dns=Dns.node_local(service_address=service), text=text)
    return Found(what="kube-dns, in kube-system", dns=Dns.kube_dns(), text="Dns.kube_dns()") if service else None


def addresses_of(cache: object) -> Iterator[str]:
    """Where NodeLocal DNSCache listens: the argument after ``-localip``, with commas between."""
    for container in containers_of(at(cache, "spec", "template")):
        arguments = container.get("args")
        words = [word for text in arguments for word in str(text).split("=")] if isinstance(arguments, list) else []
        for flag, value in pairwise(words):
            if flag.lstrip("-") == "localip":
                yield from filter(is_address, value.split(","))
