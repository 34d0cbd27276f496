"""This module is MinIO: object storage, and the task that makes a bucket with the narrowest access that works."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

from constructs import Construct

from mcpmesh_k8s.images import MINIO_CLIENT
from mcpmesh_k8s.kubernetes import (
    Alert,
    Certificate,
    Claim,
    Compute,
    Container,
    Endpoint,
    File,
    Files,
    HttpGet,
    Image,
    MetricsEndpoint,
    Port,
    Probes,
    Rotation,
    Scratch,
    Secret,
    SecretKey,
    Server,
    SettingError,
    Severity,
    Side,
    StatefulWorkload,
    Target,
    Task,
    TaskOptions,
    TaskSettings,
    TlsClient,
    User,
    WorkloadOptions,
    WorkloadSettings,
    client_files,
    dataclass,
    in_bytes,
    read_script,
    store_certificate,
    variables,
)

from ._minio_mover import MinioMover
from ._rotations import MinioRotation
from .backup import Backup, BackupProgram, StoreBackup
from .bucket_name import bucket_name

USER = User(uid=1000, gid=1000)
"""The image's own user is root; MinIO's Helm chart runs it as this one."""

_FILES = Path(__file__).with_name("minio_files")
_LEAST_DISK = 2 * 2**30


@dataclass(frozen=True, kw_only=True)
class MinioSettings(WorkloadOptions):
    """A MinIO server.

    Args:
        image: The image.
        compute: CPU and memory.
        size: How much storage is claimed, 2Gi at least: MinIO takes an upload whose size it does not know only where
            1 GiB is free (``diskAssumeUnknownSize``), and fills a disk to 99 per cent.
        storage_class: The storage class; that of ``ApplicationSettings.storage_class`` unless given.
        backup: How it is backed up; not at all with ``None``, and its Secret needs two keys less.
        client: The image of ``mc``, which copies the objects for a backup.
        name: The short name.
    """

    image: Image
    compute: Compute
    size: str
    storage_class: str = ""
    backup: Backup | None = None
    client: Image = MINIO_CLIENT
    name: str = "minio"

    def __post_init__(self) -> None:
        """Refuse a claim that takes no upload."""
        super().__post_init__()
        if in_bytes("MinioSettings.size", self.size) < _LEAST_DISK:
            raise SettingError("MinioSettings.size", self.size, "Give at least 2Gi.")

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The keys its Secret must hold.

        The root account's name and password, and those of a client and of the backup (at least 3 and 8 characters). The
        root's and the backup's appear in a URL: letters, digits, ``-``, ``_``, ``~``, ``.``.
        """
        backup = ("backup-access-key", "backup-secret-key") if self.backup else ()
        return ("root-user", "root-password", "access-key", "secret-key", *backup)


class Minio(StatefulWorkload):
    """MinIO as a StatefulSet of one pod. No policy lets anyone reach its console.

    Args:
        scope: A Phase.
        settings: Image, compute and storage.
        secret: A Secret that holds ``settings.secret_keys``.
    """

    def __init__(self, scope: Construct, settings: MinioSettings, secret: Secret) -> None:
        self.settings = settings
        self.secret = secret
        self.certificate = store_certificate(scope, settings.name, services=(f"{settings.name}-pods",), local=True)
        """The certificate that it shows, where the application says that its stores speak TLS."""
        scheme: Literal["HTTP", "HTTPS"] = "HTTPS" if self.certificate else "HTTP"
        # It watches these files, and reads them anew where they were renewed.
        certificates = Certificate.FOLDER if self.certificate else "/tmp/certs"
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="object-storage",
                one_at_a_time="It is one store, and two would know nothing of each other's objects.",
                metrics=(
                    MetricsEndpoint(
                        port="api",
                        path="/minio/v2/metrics/cluster",
                        certificate=self.certificate.secret if self.certificate else "",
                    ),
                ),
                availability=settings.availability,
                extras=settings.extras,
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    args=("server", "/data", "--console-address", ":9001", "--certs-dir", certificates, "--json"),
                    ports=(
                        Port(
                            name="api",
                            number=9000,
                            scheme=scheme.lower(),
                            tls=TlsClient.S3 if self.certificate else None,
                        ),
                        Port(name="console", number=9001, scheme=scheme.lower()),
                    ),
                    variables=variables(
                        {
                            "MINIO_ROOT_USER": secret.key("root-user"),
                            "MINIO_ROOT_PASSWORD": secret.key("root-password"),
                            # It would look for new releases on the internet, which no policy allows.
                            "MINIO_UPDATE": "off",
                            # Its metrics are figures without names of objects, and only pods that a policy lets in
                            # reach it: whoever collects them needs no token.
                            "MINIO_PROMETHEUS_AUTH_TYPE": "public",
                            # It does not start without one, and this user has none in the image.
                            "HOME": "/tmp",
                        }
                    ),
                    probes=Probes.of(
                        HttpGet(path="/minio/health/ready", port="api", scheme=scheme),
                        liveness=HttpGet(path="/minio/health/live", port="api", scheme=scheme),
                        startup_seconds=120,
                    ),
                    volumes=(
                        Claim(size=settings.size, storage_class=settings.storage_class),
                        Scratch(),
                        *([self.certificate.files(paths=_CERTIFICATES)] if self.certificate else []),
                    ),
                ),
            ),
        )
        self.backup = (
            StoreBackup(scope, self, "api", settings.backup, self._backup_program()) if settings.backup else None
        )
        """What backs it up, where something does."""

    def _backup_program(self) -> BackupProgram:
        """A copy of every bucket that the backup's user may read: of each object as it is now."""
        endpoint = self.endpoint("api")
        return BackupProgram(
            image=self.settings.client,
            user=USER,
            files=tuple(File(path=name, content=read_script(_FILES / name)) for name in ("take.sh", "try.sh")),
            variables=variables(
                {
                    "BACKUP_ACCESS_KEY": self.secret.key("backup-access-key"),
                    "BACKUP_SECRET_KEY": self.secret.key("backup-secret-key"),
                    "MC_HOST_store": _alias(endpoint, "BACKUP_ACCESS_KEY", "BACKUP_SECRET_KEY"),
                    **_known(self.certificate),
                    # Where it keeps its own settings.
                    "HOME": "/tmp",
                }
            ),
            volumes=client_files(self.certificate),
        )

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What it says of its drives."""
        job = f'job="{self.name}"'
        return (
            Alert(
                name="MinioDriveOffline",
                expression=(
                    f"minio_cluster_drive_offline_total{{{job}}} > 0 or minio_cluster_nodes_offline_total{{{job}}} > 0"
                ),
                for_minutes=5,
                severity=Severity.PAGE,
                summary="MinIO has lost its drive",
                description="Objects can be neither read nor written. The claim is broken, or not mounted.",
            ),
            Alert(
                name="MinioNearlyFull",
                expression=(
                    f"minio_cluster_capacity_usable_free_bytes{{{job}}} "
                    f"/ (minio_cluster_capacity_usable_total_bytes{{{job}}} > 0) < 0.15"
                ),
                for_minutes=30,
                severity=Severity.TICKET,
                summary="MinIO is nearly full",
                description="{{ $value | humanizePercentage }} is free. When full it refuses uploads.",
            ),
        )

    def mover(self, side: Side) -> MinioMover:
        """How the buckets move that this application makes on it: object by object, and none is overwritten."""
        buckets = (bucket.settings.bucket for bucket in self.application.find_all(Bucket) if bucket.minio is self)
        return MinioMover(
            side=side,
            server=Server.of(self),
            buckets=tuple(buckets),
            authority=self._authority,
        )

    def rotation(self, key: SecretKey, side: Side) -> Rotation | None:
        """How a user gets other keys: it is another user, with the same policies, beside the old one."""
        own = key.secret == self.secret.full_name
        if own and key.key in ("root-user", "root-password"):
            away = "the server reads it when it starts, so MinIO restarts, and is away meanwhile"
            return Rotation(side=side, keys=(key.key,), meanwhile=away, restarts=True)
        backup = own and key.key.startswith("backup-")
        buckets = [one for one in self.application.find_all(Bucket) if one.minio is self]
        policies = tuple(
            f"{bucket.settings.bucket}{'-backup' if backup else ''}"
            for bucket in buckets
            if backup or bucket.keys.full_name == key.secret
        )
        keys = ("backup-access-key", "backup-secret-key") if backup else ("access-key", "secret-key")
        if not policies or key.key not in keys:
            return None
        return MinioRotation(
            side=side,
            keys=keys,
            meanwhile=(
                "nobody is refused where both keys are new: the old user and the new one are let in until all clients "
                "have the new keys"
            ),
            server=Server.of(self),
            policies=policies,
            authority=self._authority,
        )

    @property
    def _authority(self) -> str:
        """Where its container has the CA of its certificate; empty where it speaks no TLS."""
        return f"{Certificate.FOLDER}/{_CERTIFICATES[-1]}" if self.certificate else ""

    @property
    def target(self) -> Target:
        """The API, for a client with keys: ``MINIO_HOST``, ``MINIO_ENDPOINT``, ``_ACCESS_KEY``, ``_SECRET_KEY``."""
        return self.target_with(self.secret)

    def target_with(self, keys: Secret) -> Target:
        """The API, for a client with the keys of a user of its own.

        Args:
            keys: A Secret that holds ``access-key`` and ``secret-key``.
        """
        given = {"MINIO_ACCESS_KEY": keys.key("access-key"), "MINIO_SECRET_KEY": keys.key("secret-key")}
        found = self.anonymous
        return replace(found, introduction=(*found.introduction, *variables(given)))

    @property
    def anonymous(self) -> Target:
        """The API, for a client that only reads public objects by their full name."""
        endpoint = self.endpoint("api")
        encrypted = {}
        if self.certificate:
            encrypted = {
                "MINIO_SECURE": "true",
                "MINIO_URL": endpoint.url,
                "MINIO_CA_FILE": self.certificate.authority_file,
            }
        return Target(
            workload=self,
            port="api",
            introduction=variables(
                {"MINIO_HOST": endpoint.authority, "MINIO_ENDPOINT": endpoint.authority, **encrypted}
            ),
            volumes=client_files(self.certificate),
        )


_CERTIFICATES = ("public.crt", "private.key", "CAs/ca.crt")
"""What it calls its certificate, key and CA."""


def _alias(endpoint: Endpoint, user: str, password: str) -> str:
    """How mc is told of the server, and as whom, by two variables."""
    return f"{endpoint.scheme}://$({user}):$({password})@{endpoint.authority}"


def _known(certificate: Certificate | None) -> dict[str, str]:
    """How mc, as every program of Go, is told the CA."""
    return {"SSL_CERT_FILE": certificate.authority_file} if certificate else {}


@dataclass(frozen=True, kw_only=True)
class BucketSettings(TaskOptions):
    """A bucket and who may do what with it.

    Args:
        image: The image of the MinIO client ``mc``.
        bucket: The bucket's name.
        public_prefix: Objects below it can be read by anyone who knows their full name and is let in by a policy;
            they cannot be listed. None unless given.
        name: The short name of the task.
    """

    image: Image
    bucket: str
    public_prefix: str = ""
    name: str = "minio-bucket"

    def __post_init__(self) -> None:
        """Check bucket and prefix."""
        super().__post_init__()
        bucket_name("BucketSettings.bucket", self.bucket)
        if self.public_prefix and not re.fullmatch(r"([\w-]+/)+", self.public_prefix):
            raise SettingError(
                "BucketSettings.public_prefix",
                self.public_prefix,
                "Give a folder with its slash, such as 'resumes/'.",
            )


class Bucket(Task):
    """The task that makes a bucket, its public prefix, and a user who can use this bucket and nothing else.

    It retries until the server answers, and can be repeated. Who says ``client.connects_to(bucket)`` reaches the
    server, as the bucket's user.

    Args:
        scope: A Phase.
        settings: Bucket and prefix.
        minio: The server.
        keys: A Secret that holds the ``access-key`` and ``secret-key`` of the bucket's user; those of MinIO's own
            Secret unless given. Buckets with the same keys have one user, which can use them all.
    """

    def __init__(self, scope: Construct, settings: BucketSettings, minio: Minio, keys: Secret | None = None) -> None:
        self.settings = settings
        self.minio = minio
        self.keys = keys or minio.secret
        """What holds the keys of its user."""
        endpoint = minio.endpoint("api")
        super().__init__(
            scope,
            TaskSettings(
                name=settings.name,
                priority_class=settings.priority_class,
                extras=settings.extras,
                component="object-storage",
                tls=(TlsClient.S3,),
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=Compute(cpu="50m", memory="64Mi", cpu_limit="200m", memory_limit="128Mi"),
                    command=("/bin/sh", "/etc/bucket/make-bucket.sh"),
                    variables=variables(
                        {
                            "MINIO_ROOT_USER": minio.secret.key("root-user"),
                            "MINIO_ROOT_PASSWORD": minio.secret.key("root-password"),
                            "MC_HOST_store": _alias(endpoint, "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"),
                            **_known(minio.certificate),
                            # Where it keeps its own settings.
                            "HOME": "/tmp",
                            "BUCKET": settings.bucket,
                            **(
                                {
                                    "BACKUP_ACCESS_KEY": minio.secret.key("backup-access-key"),
                                    "BACKUP_SECRET_KEY": minio.secret.key("backup-secret-key"),
                                }
                                if minio.settings.backup
                                else {}
                            ),
                        }
                    ),
                    volumes=(
                        Scratch(),
                        Files(
                            mount_path="/etc/bucket",
                            files=(
                                File(
                                    path="make-bucket.sh",
                                    content=f"{_MAKE_BUCKET}{_ADMIT_BACKUP if minio.settings.backup else ''}{_READY}",
                                ),
                                File(path="public.json", content=public_policy(settings)),
                                File(path="client.json", content=client_policy(settings)),
                                *(
                                    [File(path="backup.json", content=backup_policy(settings))]
                                    if minio.settings.backup
                                    else []
                                ),
                            ),
                        ),
                    ),
                ),
            ),
        )
        self.connects_to(minio.target_with(self.keys))

    @property
    def target(self) -> Target:
        """Its server, for a client with the keys of its user."""
        return self.minio.target_with(self.keys)


_MAKE_BUCKET = """\
# Makes the bucket, opens its public prefix, and makes the one user who may write. Every step can be repeated.
set -eu
case "$MINIO_ROOT_USER$MINIO_ROOT_PASSWORD${BACKUP_ACCESS_KEY:-}${BACKUP_SECRET_KEY:-}" in
  *[[:space:]:]*)
    echo "error: a key of the root or of the backup holds a colon or a blank, which mc cannot be given: give others" >&2
    exit 1
    ;;
esac
until mc --quiet ls store >/dev/null; do
  echo "waiting for the object storage"
  sleep 3
done
mc --quiet mb --ignore-existing "store/$BUCKET"
mc --quiet anonymous set-json /etc/bucket/public.json "store/$BUCKET"
mc --quiet admin policy create store "$BUCKET" /etc/bucket/client.json
# It reads both keys from its input: an argument could be seen in the list of processes.
printf '%s\\n' "$MINIO_ACCESS_KEY" "$MINIO_SECRET_KEY" | mc --quiet admin user add store
mc --quiet admin policy attach store "$BUCKET" --user "$MINIO_ACCESS_KEY"
"""

_ADMIT_BACKUP = """\
mc --quiet admin policy create store "$BUCKET-backup" /etc/bucket/backup.json
printf '%s\\n' "$BACKUP_ACCESS_KEY" "$BACKUP_SECRET_KEY" | mc --quiet admin user add store
mc --quiet admin policy attach store "$BUCKET-backup" --user "$BACKUP_ACCESS_KEY"
"""

_READY = """\
echo "the bucket $BUCKET is ready"
"""


def _policy(statements: list[dict[str, object]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"


def public_policy(settings: BucketSettings) -> str:
    """What anyone may do: read an object below the public prefix by its full name, and not list."""
    if not settings.public_prefix:
        return _policy([])
    return _policy(
        [
            {
                "Effect": "Allow",
                "Principal": {"AWS": ["*"]},
                "Action": ["s3:GetObject"],
                "Resource": [f"arn:aws:s3:::{settings.bucket}/{settings.public_prefix}*"],
            }
        ]
    )


def backup_policy(settings: BucketSettings) -> str:
    """What the backup's user may do: list this bucket, and read its objects."""
    bucket = f"arn:aws:s3:::{settings.bucket}"
    return _policy(
        [
            {"Effect": "Allow", "Action": ["s3:GetBucketLocation", "s3:ListBucket"], "Resource": [bucket]},
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"{bucket}/*"]},
            {"Effect": "Deny", "Action": ["admin:*"]},
        ]
    )


def client_policy(settings: BucketSettings) -> str:
    """What the client's user may do: find this bucket, and read, write and delete its objects.

    Unless denied, a user may change its own secret key and make itself more keys, which would outlive it.
    """
    bucket = f"arn:aws:s3:::{settings.bucket}"
    return _policy(
        [
            {"Effect": "Allow", "Action": ["s3:GetBucketLocation", "s3:ListBucket"], "Resource": [bucket]},
            {
                "Effect": "Allow",
                # Aborting is how a client cleans up after a large upload that failed.
                "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"],
                "Resource": [f"{bucket}/*"],
            },
            {"Effect": "Deny", "Action": ["admin:*"]},
        ]
    )
