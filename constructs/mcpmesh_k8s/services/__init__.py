"""This module is the programs that the library runs, one module each."""

from mcpmesh_k8s.kubernetes import refuse_wrong_types

from .agent import USER, Agent, AgentSettings, Api, ApiSettings, BuiltImage, Code, MeshSettings, MountedSource
from .backup import FOLDER as BACKUP_SCRIPTS
from .backup import PLACE as BACKUP_PLACE
from .backup import (
    Age,
    Backup,
    BackupProgram,
    ClaimTarget,
    RestoreDrill,
    Retention,
    S3Target,
    StoreBackup,
)
from .data_source import DataSource, HasDashboards, HasDataSource, SourceKind, TakesSamples
from .grafana import Grafana, GrafanaSettings
from .language import Java, Python, Runtime, TypeScript
from .media import MediaStore, S3Media
from .mesh import ApplicationSettings, Mesh, MeshRelease, mesh_of
from .mesh_dashboard import MeshDashboard, MeshDashboardSettings
from .mesh_tls import SHOWN, TLS_FILES, HttpsClient, MeshTls
from .minio import Bucket, BucketSettings, Minio, MinioSettings
from .models import ModelProvider, ModelProviderSettings, ModelVendor
from .postgres import Postgres, PostgresExporter, PostgresSettings, RoleConnections
from .postgres_databases import DATABASES_FILE, Database, PostgresDatabases
from .redis import Ephemeral, Persistent, Redis, RedisExporter, RedisSettings, RedisUser, Repair
from .registry import Registry, RegistrySettings
from .tempo import S3Storage, SpanMetrics, Tempo, TempoSettings, TraceLimits

__all__ = [
    "BACKUP_PLACE",
    "BACKUP_SCRIPTS",
    "DATABASES_FILE",
    "SHOWN",
    "TLS_FILES",
    "USER",
    "Age",
    "Agent",
    "AgentSettings",
    "Api",
    "ApiSettings",
    "ApplicationSettings",
    "Backup",
    "BackupProgram",
    "Bucket",
    "BucketSettings",
    "BuiltImage",
    "ClaimTarget",
    "Code",
    "DataSource",
    "Database",
    "Ephemeral",
    "Grafana",
    "GrafanaSettings",
    "HasDashboards",
    "HasDataSource",
    "HttpsClient",
    "Java",
    "MediaStore",
    "Mesh",
    "MeshDashboard",
    "MeshDashboardSettings",
    "MeshRelease",
    "MeshSettings",
    "MeshTls",
    "Minio",
    "MinioSettings",
    "ModelProvider",
    "ModelProviderSettings",
    "ModelVendor",
    "MountedSource",
    "Persistent",
    "Postgres",
    "PostgresDatabases",
    "PostgresExporter",
    "PostgresSettings",
    "Python",
    "Redis",
    "RedisExporter",
    "RedisSettings",
    "RedisUser",
    "Registry",
    "RegistrySettings",
    "Repair",
    "RestoreDrill",
    "Retention",
    "RoleConnections",
    "Runtime",
    "S3Media",
    "S3Storage",
    "S3Target",
    "SourceKind",
    "SpanMetrics",
    "StoreBackup",
    "TakesSamples",
    "Tempo",
    "TempoSettings",
    "TraceLimits",
    "TypeScript",
    "mesh_of",
]

refuse_wrong_types(globals(), __all__)
