"""This module is Kubernetes as the library writes it, from values to synthesis. It knows no program."""

from . import _jsii as _jsii  # isort: skip  # Node is chosen before anything imports jsii.

from .api import ApiObjectMetadata, argoproj, gateway_api, k8s
from .application import Application, synthesize
from .checks import Objects, at, containers_of, each, name_of
from .choice import Choice
from .component import GROUND_WAVE, Component, Manifest
from .container import Container, User, harden, once
from .endpoint import Endpoint, Port
from .errors import SettingError, TreeError
from .image import Image
from .names import dns_label
from .namespace import Namespace, NamespaceSettings, PriorityClass, PriorityClassSettings
from .network import AddressRange, External, Internet, NamespacePods, Peer
from .pod import Pod, PodSettings, Readiness, Target
from .probe import Exec, HttpGet, Probe, Probes, TcpSocket
from .quantity import Amount, Budget, Compute, bytes_text, in_bytes
from .scope import ApplicationScope, ApplicationSettings, Phase, PodTemplatePath, place_of, settings_of
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
    SecretSettings,
    SecretSource,
)
from .storage import Claim, File, Files, Scratch, Volume
from .task import Hook, Task, TaskSettings
from .topology import budget, topology
from .typed import refuse_wrong_types
from .variable import SecretKey, Variable, variables
from .workload import Autoscaling, Availability, Replicas, StatefulWorkload, Workload, WorkloadSettings

__all__ = [
    "GROUND_WAVE",
    "AddressRange",
    "Amount",
    "ApiObjectMetadata",
    "Application",
    "ApplicationScope",
    "ApplicationSettings",
    "Autoscaling",
    "Availability",
    "Budget",
    "Choice",
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
    "PodTemplatePath",
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
    "place_of",
    "refuse_wrong_types",
    "settings_of",
    "synthesize",
    "topology",
    "variables",
]

refuse_wrong_types(globals(), __all__)
