"""This module is mcpmesh-k8s: typed constructs that turn an MCP Mesh application into locked-down Kubernetes YAML.

Everything public is imported from here. ``images`` holds the third-party images the services were written for.
"""

from . import _jsii as _jsii  # isort: skip  # Node is chosen before anything imports jsii.

from . import images
from .agent import Agent, AgentSettings, Api, ApiSettings, BuiltImage, Code, MeshSettings, MountedSource
from .application import Application, ApplicationSettings, Phase, synthesize
from .argocd import (
    ArgoCdApplication,
    ArgoCdProject,
    ArgoCdProjectSettings,
    ArgoCdSettings,
    Automated,
    ClusterName,
    ClusterSelector,
    ClusterServer,
    Destination,
    Manual,
)
from .component import Component, Manifest
from .container import Container, User, harden
from .endpoint import Endpoint, Port
from .errors import SettingError, TreeError
from .exposure import Exposure, GatewayApiExposure, IngressExposure, IngressNginx, NoTls, Tls, Traefik
from .gateway import Gateway, GatewaySettings
from .grafana import Grafana, GrafanaSettings
from .image import Image
from .login import DevIdentity, GitHub, Google, Login, OAuth2Proxy, OAuth2ProxySettings, OpenIdConnect
from .minio import Bucket, BucketSettings, Minio, MinioSettings
from .namespace import Namespace, NamespaceSettings, PriorityClass, PriorityClassSettings
from .network import AddressRange, External, Internet, NamespacePods, Peer, Readiness, Target
from .pod import Pod, PodSettings
from .postgres import Database, Postgres, PostgresSettings
from .probe import Exec, HttpGet, Probe, Probes, TcpSocket
from .quantity import Amount, Budget, Compute
from .redis import Ephemeral, Persistent, Redis, RedisSettings
from .registry import Registry, RegistrySettings
from .routes import Audience, RateLimit, Route
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
from .smoke_test import SmokeTest, SmokeTestSettings
from .storage import Claim, File, Files, Scratch, Volume
from .task import Hook, Task, TaskSettings
from .tempo import Tempo, TempoSettings
from .topology import budget, topology
from .variable import Variable, variables
from .workload import Autoscaling, Replicas, StatefulWorkload, Workload, WorkloadSettings

__all__ = [
    "AddressRange",
    "Agent",
    "AgentSettings",
    "Amount",
    "Api",
    "ApiSettings",
    "Application",
    "ApplicationSettings",
    "ArgoCdApplication",
    "ArgoCdProject",
    "ArgoCdProjectSettings",
    "ArgoCdSettings",
    "Audience",
    "Automated",
    "Autoscaling",
    "Bucket",
    "BucketSettings",
    "Budget",
    "BuiltImage",
    "Claim",
    "ClusterName",
    "ClusterSelector",
    "ClusterServer",
    "Code",
    "Component",
    "Compute",
    "Container",
    "Database",
    "Destination",
    "DevIdentity",
    "Endpoint",
    "Ephemeral",
    "Exec",
    "ExistingSecrets",
    "Exposure",
    "External",
    "ExternalSecrets",
    "File",
    "Files",
    "Gateway",
    "GatewayApiExposure",
    "GatewaySettings",
    "GitHub",
    "Google",
    "Grafana",
    "GrafanaSettings",
    "Hook",
    "HttpGet",
    "Image",
    "IngressExposure",
    "IngressNginx",
    "Internet",
    "IssuedKey",
    "KeyForm",
    "Login",
    "Manifest",
    "Manual",
    "MeshSettings",
    "Minio",
    "MinioSettings",
    "MountedSource",
    "Namespace",
    "NamespacePods",
    "NamespaceSettings",
    "NoTls",
    "OAuth2Proxy",
    "OAuth2ProxySettings",
    "OpenIdConnect",
    "Peer",
    "Persistent",
    "Phase",
    "Pod",
    "PodSettings",
    "Port",
    "Postgres",
    "PostgresSettings",
    "PriorityClass",
    "PriorityClassSettings",
    "Probe",
    "Probes",
    "RandomKey",
    "RateLimit",
    "Readiness",
    "Redis",
    "RedisSettings",
    "Registry",
    "RegistrySettings",
    "Replicas",
    "Route",
    "Scratch",
    "SealedSecrets",
    "SealedValue",
    "Secret",
    "SecretEntry",
    "SecretKey",
    "SecretSettings",
    "SecretSource",
    "SettingError",
    "SmokeTest",
    "SmokeTestSettings",
    "StatefulWorkload",
    "Target",
    "Task",
    "TaskSettings",
    "TcpSocket",
    "Tempo",
    "TempoSettings",
    "Tls",
    "Traefik",
    "TreeError",
    "User",
    "Variable",
    "Volume",
    "Workload",
    "WorkloadSettings",
    "budget",
    "harden",
    "images",
    "synthesize",
    "topology",
    "variables",
]
