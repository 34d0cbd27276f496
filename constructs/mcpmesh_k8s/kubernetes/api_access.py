"""This module is what a pod may ask the cluster's API, and by which identity."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .api import k8s
from .endpoint import port_number
from .errors import SettingError
from .names import once, one_line
from .network import AddressRange, Peer
from .storage import Volume

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where every client of the API looks for its token."""

_TOKEN_SECONDS = 3600
_VERBS = ("get", "list", "watch")
_NAME = re.compile(r"[a-z0-9]+([-./][a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class ApiRule:
    """What may be read of the cluster's API. Nothing of ours writes to it.

    Args:
        resources: What is read, such as ``pods`` or ``pods/log``. ``secrets`` never.
        groups: The API groups they are of; the core's is the empty text.
        verbs: How: ``get``, ``list``, ``watch``.
    """

    resources: tuple[str, ...]
    groups: tuple[str, ...] = ("",)
    verbs: tuple[str, ...] = _VERBS

    def __post_init__(self) -> None:
        """Refuse rules that are wider than they say."""
        for resource in self.resources or ("",):
            if not _NAME.fullmatch(resource) or resource.partition("/")[0] == "secrets":
                raise SettingError(
                    "ApiRule.resources", resource, "Name each resource, such as 'pods'. Secrets cannot be read."
                )
        for group in self.groups or ("*",):
            if group and not _NAME.fullmatch(group):
                raise SettingError("ApiRule.groups", group, "Give a group, such as 'apps', or '' for the core's.")
        for verb in self.verbs or ("",):
            if verb not in _VERBS:
                raise SettingError("ApiRule.verbs", verb, f"Give some of {', '.join(_VERBS)}.")

    def render(self) -> k8s.PolicyRule:
        """The rule as the API has it."""
        return k8s.PolicyRule(api_groups=list(self.groups), resources=list(self.resources), verbs=list(self.verbs))


@dataclass(frozen=True, kw_only=True)
class ApiAccess:
    """A pod's right to read the cluster's API: a Role, a token of its main container alone, and a path to the server.

    Every other pod has neither.

    Args:
        because: Why the pod needs it. It stands on its ServiceAccount, for who reviews what is rendered.
        rules: What it may read in the application's namespace (Role).
        cluster_rules: What it may read in the whole cluster (ClusterRole). Whoever applies it must be allowed to
            grant it.
    """

    because: str
    rules: tuple[ApiRule, ...] = ()
    cluster_rules: tuple[ApiRule, ...] = ()

    def __post_init__(self) -> None:
        """Refuse access without a reason, and access to nothing."""
        one_line("ApiAccess.because", self.because, "Say why the pod needs it, in one line.")
        if not (self.rules or self.cluster_rules):
            raise SettingError("ApiAccess.rules", self.rules, "Give what it may read.")


@dataclass(frozen=True, kw_only=True)
class ApiServer:
    """Where the cluster's API server is, as a policy sees it: behind its Service, at its own address and port.

    Args:
        peers: Who it is. All private addresses unless given: it runs on nodes, or beside the cluster. Give its
            addresses where they are known: ``kubectl get endpointslices -n default -l
            kubernetes.io/service-name=kubernetes``. With Cilium give ``CiliumEntity.KUBE_APISERVER``: to it no address
            is one of the cluster's own.
        ports: The ports it listens on: 443 where a cloud runs it, 6443 with kubeadm, 8443 in minikube.
    """

    peers: tuple[Peer, ...] = (
        AddressRange(cidr="10.0.0.0/8"),
        AddressRange(cidr="172.16.0.0/12"),
        AddressRange(cidr="192.168.0.0/16"),
        AddressRange(cidr="fc00::/7"),
    )
    ports: tuple[int, ...] = (443, 6443, 8443)

    def __post_init__(self) -> None:
        """Refuse a server that nobody could reach."""
        if not self.peers:
            raise SettingError("ApiServer.peers", self.peers, "Give at least one.")
        for port in self.ports or (0,):
            port_number("ApiServer.ports", port)
        once("ApiServer.ports", self.ports)


@dataclass(frozen=True, kw_only=True)
class ApiToken(Volume):
    """The token of a pod that may ask the API, as clients expect it: with the API's certificate and the namespace.

    It is made for the pod, lives for an hour and is renewed by the kubelet. The library gives it to those with an
    ``ApiAccess``.
    """

    name: str = "api-token"
    mount_path: str = TOKEN_PATH

    @property
    def only_read(self) -> bool:
        """Nothing that is projected can be written to."""
        return True

    @property
    def existing(self) -> tuple[tuple[str, str], ...]:
        """The certificate, which the cluster puts into every namespace."""
        return (("ConfigMap", "kube-root-ca.crt"),)

    def source(self, owner: str) -> k8s.Volume:
        """The three files that a client reads."""
        namespace = k8s.DownwardApiVolumeFile(
            path="namespace", field_ref=k8s.ObjectFieldSelector(field_path="metadata.namespace", api_version="v1")
        )
        return k8s.Volume(
            name=self.name,
            projected=k8s.ProjectedVolumeSource(
                default_mode=0o440,
                sources=[
                    k8s.VolumeProjection(
                        service_account_token=k8s.ServiceAccountTokenProjection(
                            path="token", expiration_seconds=_TOKEN_SECONDS
                        )
                    ),
                    k8s.VolumeProjection(
                        config_map=k8s.ConfigMapProjection(
                            name="kube-root-ca.crt", items=[k8s.KeyToPath(key="ca.crt", path="ca.crt")]
                        )
                    ),
                    k8s.VolumeProjection(downward_api=k8s.DownwardApiProjection(items=[namespace])),
                ],
            ),
        )
