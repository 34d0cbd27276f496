"""This module is Kubernetes as the library writes it, from values to synthesis. It knows no program."""

from . import _stopped as _stopped  # isort: skip  # The sooner, the more of what takes long is imported after it.
from . import _jsii as _jsii  # isort: skip  # Node is chosen before anything imports jsii.

from . import platforms
from .api import ApiObjectMetadata, argoproj, gateway_api, k8s, keda, monitoring, vertical
from .api_access import TOKEN_PATH, ApiAccess, ApiRule, ApiServer, ApiToken
from .application import Application, synthesize
from .budget import Budget, Nodes, SystemPods
from .capacity import Share
from .certificate import Certificate, CertificateSettings, authority, client_files, store_certificate
from .checks import beyond_the_quota
from .choice import Choice
from .component import GROUND_WAVE, NAME_LABEL, Component
from .configuration import yaml_text
from .container import Container, User, harden
from .endpoint import Endpoint, Port, port_number
from .errors import OperationError, SettingError, TreeError
from .extras import PodExtras
from .guest import Guest, GuestSettings
from .identity import EMAIL_HEADER, NAME_HEADER, ROLE_HEADER, IdentityHeaders
from .image import Image
from .issuer import CertificateSource, CertManager, ExistingCertificates
from .labels import own_annotations, own_labels
from .manifest import Manifest, Objects, at, containers_of, each, name_of, template_of
from .names import dns_label, dns_subdomain, once, one_line
from .namespace import Namespace, NamespaceSettings
from .network import (
    AddressRange,
    CiliumEntity,
    Dns,
    External,
    HostNetwork,
    Internet,
    Listener,
    NamespacePods,
    Peer,
    PolicyKind,
    is_address,
)
from .patch import Patch
from .placement import (
    Affinity,
    LabelSelectorRequirement,
    NodeAffinity,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Placement,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    PreferredSchedulingTerm,
    Toleration,
    WeightedPodAffinityTerm,
)
from .platforms import Platform, RequestRules, bracketed
from .pod import HttpCheck, Pod, PodOptions, PodSettings, Readiness, Target
from .pod_security import PodSecurityException
from .priority import PriorityClass, PriorityClassSettings
from .probe import Exec, HttpGet, NoProbes, Probe, Probes, TcpSocket
from .quantity import Amount, Compute, bytes_text, in_bytes
from .reloader import Reloader
from .rotation import Keeper, Rotation
from .scaling import (
    SCALERS,
    Autoscaling,
    Replicas,
    RequestCount,
    RequestRate,
    UpdateMode,
    VerticalScaling,
    scaled_by,
)
from .schedule import Schedule
from .scope import ApplicationScope, Phase, PodTemplatePath, ScopeSettings, place_of, settings_of
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
from .signals import Alert, MetricsEndpoint, Severity
from .storage import (
    Claim,
    ConfigMapProjection,
    Csi,
    DownwardApiProjection,
    ExistingClaim,
    ExistingConfigMap,
    ExistingSecret,
    File,
    Files,
    Projected,
    Projection,
    Scratch,
    SecretFiles,
    SecretProjection,
    ServiceAccountTokenProjection,
    Volume,
)
from .storage_class import AwsEbs, AzureDisk, EncryptedStorageClass, GcePd, Longhorn, VolumeDriver
from .store import Content, Count, Mover, Owner, Part, Place, Row, Server, Side, Store, read_script
from .task import Hook, Task, TaskOptions, TaskSettings
from .topology import budget, topology
from .transit import IstioAmbient, Linkerd, PlainTransit, StoreTls, TlsClient, Transit
from .typed import refuse_wrong_types
from .values import dataclass
from .variable import ConfigMapKey, SecretKey, Variable, variable_name, variables
from .workload import (
    Availability,
    StatefulWorkload,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
)

__all__ = [
    "EMAIL_HEADER",
    "GROUND_WAVE",
    "NAME_HEADER",
    "NAME_LABEL",
    "ROLE_HEADER",
    "SCALERS",
    "TOKEN_PATH",
    "AddressRange",
    "Affinity",
    "Alert",
    "Amount",
    "ApiAccess",
    "ApiObjectMetadata",
    "ApiRule",
    "ApiServer",
    "ApiToken",
    "Application",
    "ApplicationScope",
    "Autoscaling",
    "Availability",
    "AwsEbs",
    "AzureDisk",
    "Budget",
    "CertManager",
    "Certificate",
    "CertificateSettings",
    "CertificateSource",
    "Choice",
    "CiliumEntity",
    "Claim",
    "Component",
    "Compute",
    "ConfigMapKey",
    "ConfigMapProjection",
    "Container",
    "Content",
    "Count",
    "Csi",
    "Dns",
    "DownwardApiProjection",
    "EncryptedStorageClass",
    "Endpoint",
    "Exec",
    "ExistingCertificates",
    "ExistingClaim",
    "ExistingConfigMap",
    "ExistingSecret",
    "ExistingSecrets",
    "External",
    "ExternalSecrets",
    "File",
    "Files",
    "GcePd",
    "Guest",
    "GuestSettings",
    "Hook",
    "HostNetwork",
    "HttpCheck",
    "HttpGet",
    "IdentityHeaders",
    "Image",
    "Internet",
    "IssuedKey",
    "IstioAmbient",
    "Keeper",
    "KeyForm",
    "LabelSelectorRequirement",
    "Linkerd",
    "Listener",
    "Longhorn",
    "Manifest",
    "MetricsEndpoint",
    "Mover",
    "Namespace",
    "NamespacePods",
    "NamespaceSettings",
    "NoProbes",
    "NodeAffinity",
    "NodeSelectorRequirement",
    "NodeSelectorTerm",
    "Nodes",
    "Objects",
    "OperationError",
    "Owner",
    "Part",
    "Patch",
    "Peer",
    "Phase",
    "Place",
    "Placement",
    "PlainTransit",
    "Platform",
    "Pod",
    "PodAffinity",
    "PodAffinityTerm",
    "PodAntiAffinity",
    "PodExtras",
    "PodOptions",
    "PodSecurityException",
    "PodSettings",
    "PodTemplatePath",
    "PolicyKind",
    "Port",
    "PreferredSchedulingTerm",
    "PriorityClass",
    "PriorityClassSettings",
    "Probe",
    "Probes",
    "Projected",
    "Projection",
    "RandomKey",
    "Readiness",
    "Reloader",
    "Replicas",
    "RequestCount",
    "RequestRate",
    "RequestRules",
    "Rotation",
    "Row",
    "Schedule",
    "ScopeSettings",
    "Scratch",
    "SealedSecrets",
    "SealedValue",
    "Secret",
    "SecretEntry",
    "SecretFiles",
    "SecretKey",
    "SecretProjection",
    "SecretSettings",
    "SecretSource",
    "Server",
    "ServiceAccountTokenProjection",
    "SettingError",
    "Severity",
    "Share",
    "Side",
    "StatefulWorkload",
    "Store",
    "StoreTls",
    "SystemPods",
    "Target",
    "Task",
    "TaskOptions",
    "TaskSettings",
    "TcpSocket",
    "TlsClient",
    "Toleration",
    "Transit",
    "TreeError",
    "UpdateMode",
    "User",
    "Variable",
    "VerticalScaling",
    "Volume",
    "VolumeDriver",
    "WeightedPodAffinityTerm",
    "Workload",
    "WorkloadOptions",
    "WorkloadSettings",
    "argoproj",
    "at",
    "authority",
    "beyond_the_quota",
    "bracketed",
    "budget",
    "bytes_text",
    "client_files",
    "containers_of",
    "dataclass",
    "dns_label",
    "dns_subdomain",
    "each",
    "gateway_api",
    "harden",
    "in_bytes",
    "is_address",
    "k8s",
    "keda",
    "monitoring",
    "name_of",
    "once",
    "one_line",
    "own_annotations",
    "own_labels",
    "place_of",
    "platforms",
    "port_number",
    "read_script",
    "refuse_wrong_types",
    "scaled_by",
    "settings_of",
    "store_certificate",
    "synthesize",
    "template_of",
    "topology",
    "variable_name",
    "variables",
    "vertical",
    "yaml_text",
]

refuse_wrong_types(globals(), __all__)
