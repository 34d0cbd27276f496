"""This module is the proof that the objects of MinIO are backed up by the rendered task, and come back.

`mc` is a stand-in that keeps folders: what it is asked is proven, and not what the real one does.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from backup_harness import BackupPod, Clock, Cluster, copy_claim, drilled
from conftest import requires
from data_harness import BUCKET, MC
from mesh_harness import (
    LOCALHOST,
    SECRETS,
    InventedSecrets,
    Loopback,
    Manifest,
    container_of,
    find,
    free_port,
    pod_environment,
)
from test_restore import Operate, operate

__all__ = ["operate"]

NAME = "ai-interviewer-minio-backup"
SECRET = "ai-interviewer-minio"
pytestmark = requires("redis")


@pytest.fixture(scope="module")
def rendered() -> Sequence[Manifest]:
    """Production, whose newest backup is tried."""
    return drilled()


class Storage:
    """An object storage, a folder, and a stand-in for ``mc`` that knows its keys."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.root = folder / "objects"
        (self.root / BUCKET).mkdir(parents=True)
        (folder / "mc").write_text(MC)
        (folder / "mc").chmod(0o755)
        self.admit(SECRETS[SECRET, "backup-access-key"], SECRETS[SECRET, "backup-secret-key"])
        self.path = f"{folder}:{os.environ['PATH']}"

    def admit(self, *keys: str) -> None:
        """Let these keys in, by the address that pods have and by that of this machine."""
        server = {"keys": list(keys), "root": str(self.root)}
        known = {"ai-interviewer-minio:9000": server, f"{LOCALHOST}:{self.port}": server}
        (self.folder / "mc.told").write_text(repr(known))

    def put(self, name: str, content: bytes) -> None:
        """Store an object."""
        path = self.root / BUCKET / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def fails(self, text: str) -> None:
        """Let the next call with this text fail."""
        (self.folder / "fault.told").write_text(f"mc\nstatus\n{text}\n")

    @property
    def content(self) -> dict[str, bytes]:
        """Every object."""
        root = self.root / BUCKET
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """The storage, with some objects."""
    storage = Storage(tmp_path / "storage")
    storage.put("resumes/someone@example.com/one.pdf", b"%PDF\0\xff" * 1000)
    storage.put("resumes/-żółć & ' $(name) \\ *.pdf ", b"second")
    storage.put("empty.bin", b"")
    (storage.root / "attributes").write_text(repr({f"{BUCKET}/empty.bin": {"Content-Type": "text/plain"}}))
    return storage


@pytest.fixture
def pod(rendered: Sequence[Manifest], storage: Storage, tmp_path: Path) -> BackupPod:
    """The task, with an empty claim."""
    return BackupPod(
        manifests=rendered,
        name=NAME,
        root=tmp_path / "pod",
        secrets=SECRETS,
        variables={"PATH": storage.path, "MC_CONFIG_DIR": str(tmp_path)},
    )


def test_a_backup_is_every_object_and_what_is_stored_with_it(pod: BackupPod, storage: Storage) -> None:
    said = pod.run()
    (name,) = pod.names
    assert f"event=backup store=minio name={name} bytes=6006 files=3" in said
    folder = pod.backups / name / "data" / BUCKET
    copied = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert copied == storage.content
    (manifest,) = pod.listed()
    (stated,) = manifest["taken"]["facts"]["buckets"].values()
    types = {one["name"].removeprefix(f"{BUCKET}/"): one["metadata"] for one in stated}
    assert types == {name: {} for name in copied} | {"empty.bin": {"Content-Type": "text/plain"}}


def test_it_only_asks_what_one_may_who_reads(pod: BackupPod, storage: Storage) -> None:
    pod.run()
    words = iter((storage.folder / "log").read_text().split("\0")[:-1])
    calls = [[next(words) for _ in range(int(count) + 1)] for count in words]
    asked = {call[2] for call in calls if call[1] == "--quiet"}
    assert asked == {"ls", "stat", "mirror"}
    assert all(not call[-1].startswith("store") for call in calls if call[2:3] == ["mirror"])


def test_an_empty_bucket_is_backed_up_too(pod: BackupPod, storage: Storage) -> None:
    for path in sorted((storage.root / BUCKET).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert "files=0" in pod.run()
    assert pod.listed()[0]["taken"]["facts"]["buckets"] == {BUCKET: []}


def test_what_was_replaced_or_removed_is_in_the_backup_of_its_day(
    pod: BackupPod, storage: Storage, tmp_path: Path
) -> None:
    clock = Clock(folder=tmp_path / "clock", path=storage.path)
    storage.put("resumes/one.pdf", b"as it was")
    pod.run(clock.says("20261128T030000Z"))
    storage.put("resumes/one.pdf", b"as it is now")
    (storage.root / BUCKET / "empty.bin").unlink()
    pod.run(clock.says("20261129T030000Z"))
    copies = [pod.backups / name / "data" / BUCKET for name in pod.names]
    assert [(copy / "resumes/one.pdf").read_bytes() for copy in copies] == [b"as it was", b"as it is now"]
    assert [(copy / "empty.bin").exists() for copy in copies] == [True, False]


def test_a_copy_that_is_not_the_same_is_made_again_and_then_told(
    pod: BackupPod, storage: Storage, tmp_path: Path
) -> None:
    """The programs are those of the pod, but one that copies half of a file, as often as it is told to."""
    mc = storage.folder / "mc"
    mc.rename(storage.folder / "whole-mc")
    (storage.folder / "whole-mc").chmod(0o755)
    mc.write_text(
        '#!/bin/sh\nhere=${0%/*}\n"$here/whole-mc" "$@" || exit\n'
        'if [ "$2" = mirror ] && [ -s "$here/faults" ]; then\n'
        '  printf half >"$4/resumes/someone@example.com/one.pdf"\n  read -r left <"$here/faults"\n'
        '  [ "$left" -gt 1 ] && echo $((left - 1)) >"$here/faults" || : >"$here/faults"\nfi\n'
    )
    mc.chmod(0o755)
    (storage.folder / "faults").write_text("2\n")
    pod.run()
    pod.forget()
    (storage.folder / "faults").write_text("3\n")
    said = pod.run(status=1)
    assert f"error: bucket {BUCKET}: an object of 6000 bytes is not the same in the copy" in said
    assert pod.names == []


def test_with_other_keys_there_is_no_backup(pod: BackupPod, storage: Storage, tmp_path: Path) -> None:
    storage.admit("other", "keys")
    impatient = tmp_path / "impatient"
    impatient.mkdir()
    (impatient / "sleep").write_text("#!/bin/sh\n")
    (impatient / "sleep").chmod(0o755)
    pod.script("take.sh", (pod.mounts["/etc/backup"] / "take.sh").read_text().replace("left=60", "left=2"))
    said = pod.run({"PATH": f"{impatient}:{storage.path}"}, status=1)
    assert "error: the object storage does not answer" in said
    assert pod.names == []


def test_its_user_may_list_and_read_and_nothing_else(rendered: Sequence[Manifest]) -> None:
    data = find(rendered, "ConfigMap", "ai-interviewer-minio-bucket")["data"]
    allowed, denied = set[str](), set[str]()
    for statement in json.loads(data["backup.json"])["Statement"]:
        (allowed if statement["Effect"] == "Allow" else denied).update(statement["Action"])
        for resource in statement.get("Resource", []):
            assert resource.removeprefix("arn:aws:s3:::").partition("/")[0] == BUCKET
    assert allowed == {"s3:GetBucketLocation", "s3:ListBucket", "s3:GetObject"}
    assert denied == {"admin:*"}
    making = data["make-bucket.sh"]
    assert making.index("backup.json") > making.index("client.json")
    assert 'policy attach store "$BUCKET-backup" --user "$BACKUP_ACCESS_KEY"' in making
    job = find(rendered, "Job", "ai-interviewer-minio-bucket")
    names = {variable["name"] for variable in container_of(job, "minio-bucket")["env"]}
    assert {"BACKUP_ACCESS_KEY", "BACKUP_SECRET_KEY"} <= names


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("root-password", "a:b", 1),
        ("root-password", "from-a-file\n", 1),
        ("root-user", "two words", 1),
        ("backup-secret-key", "x:y", 1),
        ("root-password", "'\"$\\\\%@/#?&!" * 16, 0),
    ],
)
def test_a_key_that_mc_cannot_be_given_is_refused_before_anything_waits_for_it(
    rendered: Sequence[Manifest], tmp_path: Path, key: str, value: str, status: int
) -> None:
    (tmp_path / "mc").write_text("#!/bin/sh\n")
    (tmp_path / "mc").chmod(0o755)
    (tmp_path / "make-bucket.sh").write_text(
        find(rendered, "ConfigMap", "ai-interviewer-minio-bucket")["data"]["make-bucket.sh"]
    )
    job = find(rendered, "Job", "ai-interviewer-minio-bucket")
    given = InventedSecrets({(SECRET, key): value})
    environment = pod_environment(job, "minio-bucket", secrets=given, loopback=Loopback())
    done = subprocess.run(
        ["/bin/sh", "make-bucket.sh"],
        env={**environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert ("holds a colon or a blank, which mc cannot be given" in done.stderr) is bool(status)


def test_a_drill_reads_every_file(rendered: Sequence[Manifest], pod: BackupPod, tmp_path: Path) -> None:
    pod.run()
    drill = BackupPod(manifests=rendered, name="ai-interviewer-minio-drill", root=tmp_path / "drill", secrets=SECRETS)
    copy_claim(pod, drill)
    assert "1 buckets: each file is what was written" in drill.run()
    (drill.backups / drill.names[0] / "data" / BUCKET / "empty.bin").write_bytes(b"x")
    assert "empty.bin is not what was written" in drill.run(status=1)


def test_what_was_lost_comes_back_to_the_byte(
    pod: BackupPod, storage: Storage, tmp_path: Path, operate: Operate
) -> None:
    before = storage.content
    pod.run()
    storage.put("resumes/after.pdf", b"after the backup")
    for name in before:
        (storage.root / BUCKET / name).unlink()
    cluster = Cluster(tmp_path / "bin")
    root = ("root", "root-password")
    storage.admit(*root)
    keys = {"PATH": os.environ["PATH"], "MINIO_ROOT_USER": root[0], "MINIO_ROOT_PASSWORD": root[1]}
    cluster.executes("statefulset/ai-interviewer-minio", "minio", keys, tmp_path)
    cluster.reads(pod)
    cluster.forwards("statefulset/ai-interviewer-minio", storage.port)
    (tmp_path / "bin/mc").symlink_to(storage.folder / "mc")
    for told in ("mc.told", "log"):
        (tmp_path / "bin" / told).symlink_to(storage.folder / told)
    command = ("restore", "trial", "--store=minio", "--from=newest", f"--data={tmp_path / 'restored'}")
    status, said = operate(*command)
    assert (status, f"minio is not empty: 1 objects in bucket {BUCKET}" in said) == (1, True), said
    status, said = operate(*command, "--confirm=trial")
    assert status == 0, said
    # Nothing is overwritten or removed: what came later stays.
    assert storage.content == before | {"resumes/after.pdf": b"after the backup"}
