"""This module is the programs that the library runs, one module each."""

from mcpmesh_k8s.kubernetes import refuse_wrong_types

from .agent import USER, Agent, AgentSettings, Api, ApiSettings, BuiltImage, Code, MeshSettings, MountedSource
from .backup import FOLDER as BACKUP_SCRIPTS
from .backup import (
    Backup,
    BackupProgram,
    ClaimTarget,
    RestoreDrill,
    Retention,
    S3Target,
    StoreBackup,
)
from .grafana import Grafana, GrafanaSettings
from .minio import Bucket, BucketSettings, Minio, MinioSettings
from .postgres import Postgres, PostgresSettings
from .postgres_databases import DATABASES_FILE, Database, PostgresDatabases, role_key
from .redis import Ephemeral, Persistent, Redis, RedisExporter, RedisSettings, Repair
from .registry import Registry, RegistrySettings
from .tempo import Tempo, TempoSettings

__all__ = [
    "BACKUP_SCRIPTS",
    "DATABASES_FILE",
    "USER",
    "Agent",
    "AgentSettings",
    "Api",
    "ApiSettings",
    "Backup",
    "BackupProgram",
    "Bucket",
    "BucketSettings",
    "BuiltImage",
    "ClaimTarget",
    "Code",
    "Database",
    "Ephemeral",
    "Grafana",
    "GrafanaSettings",
    "MeshSettings",
    "Minio",
    "MinioSettings",
    "MountedSource",
    "Persistent",
    "Postgres",
    "PostgresDatabases",
    "PostgresSettings",
    "Redis",
    "RedisExporter",
    "RedisSettings",
    "Registry",
    "RegistrySettings",
    "Repair",
    "RestoreDrill",
    "Retention",
    "S3Target",
    "StoreBackup",
    "Tempo",
    "TempoSettings",
    "role_key",
]

refuse_wrong_types(globals(), __all__)
