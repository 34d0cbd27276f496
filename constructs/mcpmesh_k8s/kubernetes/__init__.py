"""This module is Kubernetes as the library writes it, from values to synthesis. It knows no program."""

from . import _jsii as _jsii  # isort: skip  # Node is chosen before anything imports jsii.

from .api import ApiObjectMetadata, argoproj, gateway_api, k8s
from .application import Application, ApplicationSettings, Phase, synthesize
from .checks import Objects, at, containers_of, each, name_of
from .component import GROUND_WAVE, Component, Manifest
from .container import Container, User, harden, once
from .endpoint import Endpoint, Port
from .errors import SettingError, TreeError
from .image import Image
from .names import dns_label
from .namespace import Namespace, NamespaceSettings, PriorityClass, PriorityClassSettings
from .network import AddressRange, External, Internet, NamespacePods, Peer, Readiness, Target
from .pod import Pod, PodSettings
from .probe import Exec, HttpGet, Probe, Probes, TcpSocket
from .quantity import Amount, Budget, Compute, bytes_text, in_bytes
from .secret import (
    ExistingSecrets,
    ExternalSecrets,
    IssuedKey,
    KeyForm,
    RandomKey,
    SealedSecrets,
    SealedValue,
    Secret,
    SecretEntry,
    SecretKey,
    SecretSettings,
    SecretSource,
)
from .storage import Claim, File, Files, Scratch, Volume
from .task import Hook, Task, TaskSettings
from .topology import budget, topology
from .variable import Variable, variables
from .workload import Autoscaling, Replicas, StatefulWorkload, Workload, WorkloadSettings

__all__ = [
    "GROUND_WAVE",
    "AddressRange",
    "Amount",
    "ApiObjectMetadata",
    "Application",
    "ApplicationSettings",
    "Autoscaling",
    "Budget",
    "Claim",
    "Component",
    "Compute",
    "Container",
    "Endpoint",
    "Exec",
    "ExistingSecrets",
    "External",
    "ExternalSecrets",
    "File",
    "Files",
    "Hook",
    "HttpGet",
    "Image",
    "Internet",
    "IssuedKey",
    "KeyForm",
    "Manifest",
    "Namespace",
    "NamespacePods",
    "NamespaceSettings",
    "Objects",
    "Peer",
    "Phase",
    "Pod",
    "PodSettings",
    "Port",
    "PriorityClass",
    "PriorityClassSettings",
    "Probe",
    "Probes",
    "RandomKey",
    "Readiness",
    "Replicas",
    "Scratch",
    "SealedSecrets",
    "SealedValue",
    "Secret",
    "SecretEntry",
    "SecretKey",
    "SecretSettings",
    "SecretSource",
    "SettingError",
    "StatefulWorkload",
    "Target",
    "Task",
    "TaskSettings",
    "TcpSocket",
    "TreeError",
    "User",
    "Variable",
    "Volume",
    "Workload",
    "WorkloadSettings",
    "argoproj",
    "at",
    "budget",
    "bytes_text",
    "containers_of",
    "dns_label",
    "each",
    "gateway_api",
    "harden",
    "in_bytes",
    "k8s",
    "name_of",
    "once",
    "synthesize",
    "topology",
    "variables",
]
