"""This module is how a store is backed up: where to, when, how long it is kept, and the task that does it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from constructs import Construct

from mcpmesh_k8s.images import MINIO_CLIENT
from mcpmesh_k8s.kubernetes import (
    Alert,
    Claim,
    Compute,
    Container,
    External,
    File,
    Files,
    Image,
    Internet,
    IssuedKey,
    Peer,
    Pod,
    PodExtras,
    Schedule,
    Scratch,
    SecretFiles,
    SecretKey,
    SettingError,
    Severity,
    Target,
    Task,
    TaskSettings,
    TlsClient,
    User,
    Variable,
    Volume,
    dataclass,
    dns_label,
    dns_subdomain,
    in_bytes,
    k8s,
    once,
    one_line,
    port_number,
    read_script,
    variables,
)

from .bucket_name import bucket_name

FOLDER = "/etc/backup"
"""Where the scripts are."""

PLACE = "BUCKET"
"""The variable that says where in S3 backups lie."""

BACKUPS = "/backups"
"""Where the claim is."""

_FILES = Path(__file__).with_name("backup_files")
_RECIPIENT = re.compile(r"age1(pq1)?[02-9ac-hj-np-z]{58,}")
_AGE = "/age"
IDENTITY = "identity"
"""The key of a Secret, and the file, with what opens backups that are encrypted."""
_IDENTITY_FOLDER = "/identity"
_PREFIX = re.compile(r"([\w.-]+/)*")
NOTHING: Mapping[str, str] = {}
_SUMMER_TIME = 3600  # seconds that a day may have more
_KEEP_SECONDS = 7 * 24 * 3600  # of a finished Job, and so of the alert that it failed


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Which backups are kept: the last of each of so many days, weeks and months. What is in none of these is removed.

    Days without a backup are not counted, so neither an outage nor a wrong clock makes backups vanish.

    Args:
        daily: Days; one at least, so the newest always stays.
        weekly: Weeks, which begin on Monday.
        monthly: Months.
    """

    daily: int = 7
    weekly: int = 4
    monthly: int = 6

    def __post_init__(self) -> None:
        """Refuse to keep nothing."""
        if self.daily < 1 or self.weekly < 0 or self.monthly < 0:
            raise SettingError("Retention", self, "Keep a day or more, and no negative number.")


@dataclass(frozen=True, kw_only=True)
class ClaimTarget:
    """Backups on a claim of their own, which no server mounts. It is in the same cluster: what takes that takes both.

    Args:
        size: How much storage is claimed. Room for as many backups as the retention keeps, and one more; a file that is
            the same as in the backup before takes none.
        storage_class: The storage class; that of ``ApplicationSettings.storage_class`` unless given. Another
            than the server's own, where there is one, is another disk.
        retention: Which are kept.
    """

    size: str
    storage_class: str = ""
    retention: Retention = Retention()

    def __post_init__(self) -> None:
        """Check the size."""
        in_bytes("ClaimTarget.size", self.size)


@dataclass(frozen=True, kw_only=True)
class S3Target:
    """Backups in a bucket of S3, or of what speaks as it does, out of the cluster.

    Its keys may list, read and write, and need not delete: then nobody who takes this cluster can take the backups. So
    the bucket says itself how long they are kept (lifecycle), and that none is replaced (versions, object lock).

    Args:
        host: The endpoint, such as ``s3.eu-central-1.amazonaws.com``.
        port: Its port.
        peer: Where it is, as far as a policy can say; the internet unless given.
        bucket: The bucket. It must be there.
        prefix: Where in it, with a slash at the end; each store has a folder of its name there.
        secret: The Secret with its keys, without the application's prefix: ``Secret(...)`` of ``secret_keys``. Several
            stores may share it.
        issued_by: Who issues the keys, for whoever fills in the Secret.
        scratch: Room on the node for one backup, until it has been sent.
        image: The image of ``mc``, which sends.
        http_because: Why it is reached without TLS. Empty, as it should be, means with TLS.
    """

    host: str
    port: int = 443
    peer: Peer = Internet()
    bucket: str
    prefix: str = ""
    secret: str = "backup-bucket"
    issued_by: str = "whoever runs the bucket of backups"
    scratch: str = "2Gi"
    image: Image = MINIO_CLIENT
    http_because: str = ""

    def __post_init__(self) -> None:
        """Check the names and the size."""
        dns_subdomain("S3Target.host", self.host)
        dns_label("S3Target.secret", self.secret)
        port_number("S3Target.port", self.port)
        in_bytes("S3Target.scratch", self.scratch)
        bucket_name("S3Target.bucket", self.bucket)
        if self.http_because:
            one_line("S3Target.http_because", self.http_because, "Say in one line why it has no TLS.")
        if not _PREFIX.fullmatch(self.prefix):
            raise SettingError("S3Target.prefix", self.prefix, "Give folders with a slash, such as 'prod/'.")

    @property
    def secret_keys(self) -> tuple[IssuedKey, ...]:
        """The keys that its Secret must hold."""
        return tuple(IssuedKey(key=key, issued_by=self.issued_by) for key in ("access-key", "secret-key"))

    @property
    def external(self) -> External:
        """Whom the task may reach."""
        return External(name=f"bucket {self.bucket}", hosts=(self.host,), port=self.port, peer=self.peer)

    @property
    def url(self) -> str:
        """How mc is told of it, once the two keys are variables."""
        scheme = "http" if self.http_because else "https"
        return f"{scheme}://$(BUCKET_ACCESS_KEY):$(BUCKET_SECRET_KEY)@{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Age:
    """Backups are encrypted with age (age-encryption.org) before they are kept: who makes them cannot read them.

    What restores and tries them reads the identity, and nothing else is given it. Names of files are encrypted too.

    Args:
        recipients: The public keys, such as ``age1…``. The identity of any of them opens a backup: let one lie in a
            safe, out of the cluster.
        image: An image that has the program, and ``cp``. None of the stores' has it.
        program: Where it is there. It must be static, since it runs in the images of the stores.
        secret: The Secret with the identity, without the application's prefix: ``Secret(...)`` of ``secret_keys``.
            Several stores may share it.
    """

    recipients: tuple[str, ...]
    image: Image
    program: str = "/usr/local/bin/age"
    secret: str = "backup-identity"

    def __post_init__(self) -> None:
        """Check the keys and the names."""
        once("Age.recipients", self.recipients)
        if not self.recipients:
            raise SettingError("Age.recipients", self.recipients, "Give a public key, as age-keygen prints it.")
        for recipient in self.recipients:
            if not _RECIPIENT.fullmatch(recipient):
                raise SettingError("Age.recipients", recipient, "Give public keys of age, such as 'age1…'.")
        if not re.fullmatch(r"(/[\w.-]+)+", self.program):
            raise SettingError("Age.program", self.program, "Give a whole path, such as '/usr/local/bin/age'.")
        dns_label("Age.secret", self.secret)

    @property
    def secret_keys(self) -> tuple[IssuedKey, ...]:
        """The key that its Secret must hold: the line ``AGE-SECRET-KEY-1…``."""
        return (IssuedKey(key=IDENTITY, issued_by="age-keygen, on a machine that is not in the cluster"),)

    @property
    def volume(self) -> Scratch:
        """Where the program is put."""
        return Scratch(name="age", mount_path=_AGE, size="32Mi")

    def bring(self, user: User) -> Container:
        """What puts the program there."""
        return Container(
            name="age",
            image=self.image,
            user=user,
            compute=Compute(cpu="10m", memory="16Mi", cpu_limit="100m", memory_limit="32Mi"),
            command=("cp", self.program, f"{_AGE}/age"),
            volumes=(self.volume,),
        )

    @property
    def variables(self) -> Mapping[str, str]:
        """What whoever encrypts is told."""
        return {"AGE": f"{_AGE}/age", "AGE_TO": " ".join(f"--recipient {one}" for one in self.recipients)}


@dataclass(frozen=True, kw_only=True)
class RestoreDrill:
    """The newest backup is restored into a server that is thrown away, and compared with what was counted.

    Args:
        schedule: When. Not while a backup is made: one of them would wait for the claim.
        scratch: Room on the node for the restored data, and for a backup that is fetched.
        compute: CPU and memory of the server and what loads it.
        deadline_seconds: Seconds after which it has failed.
    """

    schedule: Schedule = Schedule(cron="30 4 * * 0")
    scratch: str = "2Gi"
    compute: Compute = Compute(cpu="50m", memory="128Mi", cpu_limit="500m", memory_limit="256Mi")
    deadline_seconds: int = 3 * 3600

    def __post_init__(self) -> None:
        """Check the size and the deadline."""
        in_bytes("RestoreDrill.scratch", self.scratch)
        if self.deadline_seconds < 1:
            raise SettingError("RestoreDrill.deadline_seconds", self.deadline_seconds, "Give 1 or more.")


@dataclass(frozen=True, kw_only=True)
class Backup:
    """How a store is backed up. Each has a task, a policy and an account of its own, which can read all and no more.

    Args:
        target: Where backups are kept.
        schedule: When one is made: what was written since the last is lost with the server.
        compute: CPU and memory of the task.
        deadline_seconds: Seconds after which a run has failed.
        least_percent: How large a backup must at least be, in percent of the one before. One that is smaller is kept,
            its run has failed, and nothing is removed: it may be of a store that lost its data. 0 compares nothing.
        encryption: To whom backups are encrypted; to nobody unless given.
        drill: How often one is restored to see whether it can be; never unless given.
        priority_class: The name of a PriorityClass of the application; the cluster's default unless given.
        extras: What is added to its pods, and to those of the drill. Unless given, they may run where the server may,
            and images are pulled as the server's is.
    """

    target: ClaimTarget | S3Target
    schedule: Schedule = Schedule(cron="30 2 * * *")
    compute: Compute = Compute(cpu="50m", memory="64Mi", cpu_limit="500m", memory_limit="128Mi")
    deadline_seconds: int = 3 * 3600
    least_percent: int = 50
    encryption: Age | None = None
    drill: RestoreDrill | None = None
    priority_class: str = ""
    extras: PodExtras | None = None

    def __post_init__(self) -> None:
        """Check the deadline and the percentage."""
        if self.deadline_seconds < 1:
            raise SettingError("Backup.deadline_seconds", self.deadline_seconds, "Give 1 or more.")
        if not 0 <= self.least_percent <= 100:
            raise SettingError("Backup.least_percent", self.least_percent, "Give 0 to 100.")


@dataclass(frozen=True, kw_only=True)
class BackupProgram:
    """What a store brings: how its data are taken, and tried.

    Args:
        image: The image with what the scripts call.
        user: Whom they run as.
        files: Scripts, and what they read. ``take.sh`` writes below the folder that it is given, reads back what it
            wrote, and prints a line of JSON: ``{"version": …, "facts": …}``. ``try.sh`` loads what is in the folder
            that it is given into a server in the folder ``$SCRATCH``, compares, and prints what it compared.
        variables: The environment of ``take.sh``, with the password of an account that can read all and no more.
        trial: The environment of ``try.sh``, which needs no password.
        volumes: What ``take.sh`` reads beside its files, such as the CA of the server.
    """

    image: Image
    user: User
    files: tuple[File, ...]
    variables: tuple[Variable, ...] = ()
    trial: tuple[Variable, ...] = ()
    volumes: tuple[Volume, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a program that would find nothing to run each night."""
        self.require("take.sh")

    def require(self, script: str) -> None:
        """Refuse a program without a script."""
        paths = [file.path for file in self.files]
        if script not in paths:
            raise SettingError("BackupProgram.files", paths, f"Give File(path={script!r}, content=…).")


@dataclass(frozen=True, kw_only=True)
class _Claimed(Volume):
    """The claim of the backups, as others than its owner mount it: to read."""

    owner: str

    @property
    def only_read(self) -> bool:
        """Nobody but the backup writes."""
        return True

    @property
    def held_by_one(self) -> bool:
        """It is ReadWriteOnce."""
        return True

    def source(self, owner: str) -> k8s.Volume:
        """The claim by its name."""
        claim = k8s.PersistentVolumeClaimVolumeSource(claim_name=self.owner, read_only=True)
        return k8s.Volume(name=self.name, persistent_volume_claim=claim)


class StoreBackup(Task):
    """The task that backs up a store. The store makes it, where its settings say so.

    With a claim, one container writes beside the backups that are there, and renames. With a bucket, one writes into a
    folder of the pod, and another sends that: the store's image cannot, and only the second has the keys.

    Args:
        scope: Where the store stands.
        store: The store. It is connected.
        port: The name of the port that is asked.
        backup: Its settings.
        program: What the store brings.
    """

    def __init__(self, scope: Construct, store: Pod, port: str, backup: Backup, program: BackupProgram) -> None:
        self.store = store
        self.settings = backup
        if backup.drill:
            program.require("try.sh")
        there = store.extras
        extras = backup.extras or PodExtras(
            placement=there.placement,
            image_pull_policy=there.image_pull_policy,
            image_pull_secrets=there.image_pull_secrets,
        )
        name, target = f"{store.name}-backup", backup.target
        least = {"LEAST_PERCENT": str(backup.least_percent)}
        scripts = Files(mount_path=FOLDER, files=(*program.files, *_scripts(target)))
        if isinstance(target, ClaimTarget):
            first, script, kept = name, "keep", target.retention
            place: Volume = Claim(
                name="backups", mount_path=BACKUPS, size=target.size, storage_class=target.storage_class
            )
            retention = {
                **least,
                "KEEP_DAILY": str(kept.daily),
                "KEEP_WEEKLY": str(kept.weekly),
                "KEEP_MONTHLY": str(kept.monthly),
            }
        else:
            first, script, retention = "take", "stage", {}
            place = Scratch(name="backups", mount_path=BACKUPS, size=target.scratch)
        age = backup.encryption
        volumes = (scripts, Scratch(), place, *([age.volume] if age else []))
        encryption = age.variables if age else NOTHING
        take = Container(
            name=first,
            image=program.image,
            user=program.user,
            compute=backup.compute,
            command=("/bin/sh", f"{FOLDER}/{script}.sh"),
            variables=(
                *variables({"STORE": store.name, "BACKUPS": BACKUPS, **encryption, **retention}),
                *program.variables,
            ),
            volumes=(*volumes, *program.volumes),
        )
        container = take
        if isinstance(target, S3Target):
            # Who reads a backup is this one, with an identity beside: it needs the program, too.
            more = {**least, **({"AGE": encryption["AGE"]} if age else {})}
            container = _sender(name, target, "send", backup, volumes, store, more)
        super().__init__(
            scope,
            TaskSettings(
                name=name,
                component="backup",
                priority_class=backup.priority_class,
                extras=extras,
                container=container,
                init_containers=(*([age.bring(program.user)] if age else []), *(() if container is take else (take,))),
                deadline_seconds=backup.deadline_seconds,
                # It waits for its server. A second try at once would be a second backup.
                retries=0,
                keep_seconds=_KEEP_SECONDS,
                schedule=backup.schedule,
                # The program is the store's own.
                tls=tuple(TlsClient),
            ),
        )
        self.connects_to(Target(workload=store, port=port))
        if isinstance(target, S3Target):
            self.connects_to(target.external)
        self.drill = _Drill(scope, self, backup.drill, program) if backup.drill else None
        """What tries the newest backup, where there is something."""

    @property
    def longest_without(self) -> int:
        """The longest time between two backups, in seconds."""
        return _longest_without(self, self.settings.deadline_seconds)

    @property
    def opened_by(self) -> SecretFiles | None:
        """What opens its backups, for whoever restores them; nothing where they are not encrypted."""
        age = self.settings.encryption
        if age is None:
            return None
        secret = self.application.prefixed(age.secret)
        return SecretFiles(name="identity", mount_path=_IDENTITY_FOLDER, secret=secret, keys=(IDENTITY,))

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Without a backup for longer than the schedule takes. One run that failed is the failed Job's alert."""
        return (
            _overdue(
                self,
                "BackupStale",
                self.settings.deadline_seconds,
                f"{self.store.name} is not backed up",
                "The last backup is {{ $value | humanizeDuration }} old. What was written since would be lost.",
            ),
        )


class _Drill(Task):
    """The task that tries the newest backup."""

    def __init__(self, scope: Construct, backup: StoreBackup, drill: RestoreDrill, program: BackupProgram) -> None:
        self._backup = backup
        self._drill = drill
        name, settings = f"{backup.store.name}-drill", backup.settings
        target = settings.target
        scripts = Files(
            mount_path=FOLDER,
            files=(
                *program.files,
                _script("drill.sh"),
                *(() if isinstance(target, ClaimTarget) else [_script("fetch.sh")]),
            ),
        )
        place = (
            _Claimed(name="backups", mount_path=BACKUPS, owner=f"{backup.full_name}-backups")
            if isinstance(target, ClaimTarget)
            else Scratch(name="backups", mount_path=BACKUPS, size=drill.scratch)
        )
        fetch = (
            ()
            if isinstance(target, ClaimTarget)
            else (_sender("fetch", target, "fetch", settings, (scripts, Scratch(), place), backup.store),)
        )
        age, identity = settings.encryption, backup.opened_by
        opens = {"AGE": age.variables["AGE"], "AGE_IDENTITY": f"{_IDENTITY_FOLDER}/{IDENTITY}"} if age else {}
        super().__init__(
            scope,
            TaskSettings(
                name=name,
                component="backup",
                priority_class=settings.priority_class,
                extras=backup.extras,
                container=Container(
                    name=name,
                    image=program.image,
                    user=program.user,
                    compute=drill.compute,
                    command=("/bin/sh", f"{FOLDER}/drill.sh"),
                    variables=(
                        *variables({"STORE": backup.store.name, "BACKUPS": BACKUPS, "SCRATCH": "/scratch", **opens}),
                        *program.trial,
                    ),
                    volumes=(
                        scripts,
                        Scratch(),
                        Scratch(name="scratch", mount_path="/scratch", size=drill.scratch),
                        place,
                        *([age.volume, identity] if age and identity else []),
                    ),
                ),
                init_containers=(*([age.bring(program.user)] if age else []), *fetch),
                deadline_seconds=drill.deadline_seconds,
                retries=0,
                keep_seconds=_KEEP_SECONDS,
                schedule=drill.schedule,
            ),
        )
        if isinstance(target, S3Target):
            self.connects_to(target.external)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """When none was restored for longer than the schedule takes."""
        return (
            _overdue(
                self,
                "RestoreUntested",
                self._drill.deadline_seconds,
                f"No backup of {self._backup.store.name} was restored",
                "The last one that could be was tried {{ $value | humanizeDuration }} ago.",
            ),
        )


def _script(name: str, of: str = "") -> File:
    return File(path=name, content=read_script(_FILES / (of or name)))


def _scripts(target: ClaimTarget | S3Target) -> tuple[File, ...]:
    """What makes, lists and reads backups. An operator's commands call ``list.sh`` and ``read.sh`` with any target."""
    if isinstance(target, ClaimTarget):
        return (_script("keep.sh"), _script("list.sh"), _script("read.sh"))
    return (
        _script("stage.sh"),
        _script("send.sh"),
        _script("list.sh", "bucket-list.sh"),
        _script("read.sh", "bucket-read.sh"),
    )


def _sender(
    name: str,
    target: S3Target,
    script: str,
    backup: Backup,
    volumes: tuple[Volume, ...],
    store: Pod,
    more: Mapping[str, str] = NOTHING,
) -> Container:
    """The one container that has the keys of the bucket."""
    secret = store.application.prefixed(target.secret)
    return Container(
        name=name,
        image=target.image,
        user=User(uid=1000, gid=1000),
        compute=backup.compute,
        command=("/bin/sh", f"{FOLDER}/{script}.sh"),
        variables=variables(
            {
                "STORE": store.name,
                "BACKUPS": BACKUPS,
                PLACE: f"target/{target.bucket}/{target.prefix}{store.name}",
                "BUCKET_ACCESS_KEY": SecretKey(secret=secret, key="access-key"),
                "BUCKET_SECRET_KEY": SecretKey(secret=secret, key="secret-key"),
                "MC_HOST_target": target.url,
                # Where it keeps its own settings.
                "HOME": "/tmp",
                **more,
            }
        ),
        volumes=volumes,
    )


def _longest_without(task: Task, lasts: int) -> int:
    """The longest time between the ends of two runs, in seconds, where a run lasts so long."""
    assert task.schedule
    return task.schedule.longest_gap + task.schedule.starting_deadline_seconds + lasts + _SUMMER_TIME


def _overdue(task: Task, name: str, lasts: int, summary: str, description: str) -> Alert:
    most = _longest_without(task, lasts)
    of_it = f'{{cronjob="{task.full_name}"}}'
    return Alert(
        name=name,
        # One that never succeeded has no such time. Then it counts from when it was made.
        expression=(
            "time() - max by (cronjob) (kube_cronjob_status_last_successful_time"
            f"{of_it} or kube_cronjob_created{of_it}) > {most}"
        ),
        for_minutes=15,
        severity=Severity.TICKET,
        summary=summary,
        description=description,
    )
