"""This module is where agents of 3.x keep the media that they pass to each other: a bucket that all of them reach."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mcpmesh_k8s.kubernetes import (
    External,
    Internet,
    Listener,
    Peer,
    Secret,
    SecretKey,
    SettingError,
    Target,
    Variable,
    dataclass,
    variables,
)

from .bucket_name import bucket_name
from .minio import Bucket

STORAGE = "MCP_MESH_MEDIA_STORAGE"
_PREFIX = re.compile(r"([\w.-]+/)+")


@dataclass(frozen=True, kw_only=True)
class MediaStore:
    """A bucket for media: ``agent.connects_to(MediaStore().in_minio(bucket))`` for each agent that passes any.

    Unless an agent is told of one it keeps media in ``/tmp`` of its pod, where no other pod finds them, not even the
    next of its own. An image in Python needs ``boto3``, one in TypeScript ``@aws-sdk/client-s3``.

    Args:
        prefix: What the objects' names begin with.
    """

    prefix: str = "media/"

    def __post_init__(self) -> None:
        """Refuse a prefix that is no folder."""
        if not _PREFIX.fullmatch(self.prefix):
            raise SettingError("MediaStore.prefix", self.prefix, "Give a folder with its slash, such as 'media/'.")

    def in_minio(self, bucket: Bucket) -> Target:
        """A bucket of the application's MinIO.

        Args:
            bucket: One with keys of its own: ``Bucket(phase, settings, minio, keys)``.

        Raises:
            SettingError: Its user is that of MinIO's own clients.
        """
        minio = bucket.minio
        if bucket.keys is minio.secret:
            raise SettingError(
                f"{bucket.full_name} keys",
                bucket.keys.full_name,
                "Whoever has them uses the other buckets too. Give Bucket(…, keys) a Secret of its own.",
            )
        endpoint, anonymous = minio.endpoint("api"), minio.anonymous
        # What boto3 reads, and what Node does, whose client of S3 has no variable of its own.
        known = ("AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        ca = dict.fromkeys(known, minio.certificate.authority_file) if minio.certificate else {}
        told = self._told(bucket.settings.bucket, endpoint.url, "us-east-1", bucket.keys)
        return replace(anonymous, introduction=variables({**told, **ca}))

    def in_s3(self, bucket: S3Media, keys: Secret | None = None) -> External:
        """A bucket that others run.

        Args:
            bucket: Which.
            keys: A Secret that holds its ``access-key`` and ``secret-key``. Without, the agent has rights by its
                ServiceAccount, as on EKS.
        """
        return External(
            name="the media store",
            hosts=(bucket.host,),
            peer=bucket.peer,
            introduction=variables(self._told(bucket.bucket, f"https://{bucket.host}", bucket.region, keys)),
        )

    def _told(self, bucket: str, url: str, region: str, keys: Secret | None) -> dict[str, str | SecretKey]:
        """What the runtimes read, and the client of S3 of each language."""
        held = (
            {"AWS_ACCESS_KEY_ID": keys.key("access-key"), "AWS_SECRET_ACCESS_KEY": keys.key("secret-key")}
            if keys
            else {}
        )
        return {
            STORAGE: "s3",
            f"{STORAGE}_BUCKET": bucket,
            f"{STORAGE}_ENDPOINT": url,
            f"{STORAGE}_PREFIX": self.prefix,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            **held,
        }


def kept_alone(full_name: str, pods: int, given: Sequence[Variable]) -> Iterator[str]:
    """Media that one pod keeps, and the others of its workload do not find.

    Args:
        full_name: The workload.
        pods: How many run at most.
        given: Its variables.
    """
    told = {one.name: one.value for one in given if one.name.startswith(STORAGE)}
    if pods > 1 and told and told.get(STORAGE) != "s3":
        yield (
            f"{full_name} has {' and '.join(told)}, so each of its {pods} pods keeps media of its own, which no other "
            f"finds: connect it to a bucket, MediaStore().in_minio(bucket), or give Replicas(count=1)."
        )


@dataclass(frozen=True, kw_only=True)
class S3Media:
    """A bucket for media that others run.

    Args:
        host: The host of the API, such as ``s3.eu-central-1.amazonaws.com``.
        bucket: The bucket's name.
        region: Its region.
        peer: Where it is, as far as a policy can say.
    """

    host: str
    bucket: str
    region: str = "us-east-1"
    peer: Peer | tuple[Listener, ...] = Internet()

    def __post_init__(self) -> None:
        """Check the names."""
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", self.host):
            raise SettingError("S3Media.host", self.host, "Give a host, such as 's3.eu-central-1.amazonaws.com'.")
        bucket_name("S3Media.bucket", self.bucket)
        if not re.fullmatch(r"[a-z0-9-]+", self.region):
            raise SettingError("S3Media.region", self.region, "Give a region, such as 'eu-central-1'.")
