"""This module is the proof that a backup is sent to a bucket whole, by keys that need not delete.

`mc` is a stand-in that keeps a folder: the commands that it is given are proven, and not what the real one does.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ai_interviewer import PROD, AiInterviewer
from backup_harness import BackupPod, Bucket, Clock, job_of
from mcpmesh_k8s import Backup, ExternalSecrets, RestoreDrill, S3Target, SettingError
from mesh_harness import SECRETS, Manifest, container_of
from reading import objects_of
from test_backups import TAKE

TARGET = S3Target(host="s3.example.com", bucket="backups", prefix="prod/")
KEYS = "invented.ai-interviewer-backup-bucket."
URL = f"https://{KEYS}access-key:{KEYS}secret-key@s3.example.com:443"
NAME = "ai-interviewer-redis-backup"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Manifest]:
    """Production, with all backups in a bucket, and Redis tried each week."""
    backup, out = Backup(target=TARGET, priority_class="observability"), tmp_path_factory.mktemp("bucket") / "prod"
    environment = replace(
        PROD,
        postgres=replace(PROD.postgres, backup=backup),
        redis=replace(PROD.redis, backup=replace(backup, drill=RestoreDrill())),
        minio=replace(PROD.minio, backup=backup),
    )
    return objects_of(AiInterviewer(environment, outdir=out))


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    """The bucket, empty."""
    return Bucket(tmp_path / "bucket", URL)


@pytest.fixture
def pod(rendered: Sequence[Manifest], bucket: Bucket, tmp_path: Path) -> BackupPod:
    """The task of Redis, which takes something else."""
    pod = BackupPod(
        manifests=rendered, name=NAME, root=tmp_path / "pod", secrets=SECRETS, variables={"PATH": bucket.path}
    )
    pod.script("take.sh", TAKE)
    return pod


@pytest.fixture
def at(bucket: Bucket, tmp_path: Path) -> Clock:
    """A clock that says what it is told."""
    return Clock(folder=tmp_path / "clock", path=bucket.path)


def test_only_the_container_that_sends_has_the_keys_and_it_alone_has_no_password(rendered: Sequence[Manifest]) -> None:
    for store in ("postgres", "redis", "minio"):
        job = job_of(rendered, f"ai-interviewer-{store}-backup")
        secrets = {
            name: {
                variable["valueFrom"]["secretKeyRef"]["name"]
                for variable in container_of(job, name)["env"]
                if "valueFrom" in variable
            }
            for name in ("take", f"{store}-backup")
        }
        assert secrets == {
            "take": {f"ai-interviewer-{store}"},
            f"{store}-backup": {"ai-interviewer-backup-bucket"},
        }


def test_a_backup_is_sent_and_its_manifest_comes_last(pod: BackupPod, bucket: Bucket, at: Clock) -> None:
    said = pod.run(at.says("20261130T023000Z"))
    assert "event=backup store=redis name=20261130T023000Z bytes=" in said
    place = "target/backups/prod/redis/20261130T023000Z"
    copies = [words.split(f" {place}/")[1] for words in bucket.said if words.startswith("cp ")]
    assert copies == ["data/in a folder/one ' \" $ ", "data/other", "sums", "manifest.json"]
    assert {words.split(" ")[0] for words in bucket.said} == {"ls", "cp", "cat"}
    (manifest,) = pod.listed()
    assert (manifest["name"], manifest["files"], manifest["taken"]["version"]) == ("20261130T023000Z", 2, "7")
    sums, _, content = pod.ask("read", "20261130T023000Z").partition(b"\n\n")
    assert [line.split(b" ", 2)[2] for line in sums.splitlines()] == [b"in a folder/one ' \" $ ", b"other"]
    assert content == b"one" + (bucket.folder / place / "data/other").read_bytes()


def test_the_container_that_sends_may_read_what_another_user_wrote(pod: BackupPod, at: Clock) -> None:
    """The volume's group is theirs, and what is made in it has it: so it must be the group's to read."""
    pod.run(at.says("20261130T023000Z"))
    for path in (pod.backups / "staged", *(pod.backups / "staged").rglob("*")):
        needed = 0o050 if path.is_dir() else 0o040
        assert path.stat().st_mode & 0o077 == needed, path


@pytest.mark.parametrize("last", ["data/other", "sums", "manifest.json"])
def test_what_was_not_sent_to_its_end_is_no_backup(pod: BackupPod, bucket: Bucket, at: Clock, last: str) -> None:
    pod.run(at.says("20261129T023000Z"))
    bucket.fails(f'case "$3" in */{last}) echo "error: the bucket is full" >&2; exit 1 ;; esac')
    said = pod.run(at.says("20261130T023000Z"), status=1)
    assert f"error: the bucket is full\nerror: {last} could not be sent: see above\n" in said
    assert [manifest["name"] for manifest in pod.listed()] == ["20261129T023000Z"]


def test_what_arrives_as_something_else_is_told(pod: BackupPod, bucket: Bucket, at: Clock) -> None:
    bucket.fails('case "$3" in */data/other) set -- cp /dev/null "$3" ;; esac')
    assert "data/other did not arrive as it was sent" in pod.run(at.says("20261130T023000Z"), status=1)
    assert pod.listed() == []


def test_with_other_keys_nothing_is_sent(pod: BackupPod, bucket: Bucket, at: Clock) -> None:
    (bucket.folder / "target.url").write_text("https://other:keys@s3.example.com:443")
    said = pod.run(at.says("20261130T023000Z"), status=1)
    assert "access denied" in said
    assert "the bucket cannot be listed: see above" in said


def test_a_clock_that_went_back_is_told(pod: BackupPod, at: Clock) -> None:
    pod.run(at.says("20300101T000000Z"))
    said = pod.run(at.says("20261130T023000Z"), status=1)
    assert "the clock says 20261130T023000Z, which is before the backup 20300101T000000Z" in said
    assert [manifest["name"] for manifest in pod.listed()] == ["20261130T023000Z", "20300101T000000Z"]


def test_a_drill_fetches_the_newest_whole_one(
    rendered: Sequence[Manifest], pod: BackupPod, bucket: Bucket, at: Clock, tmp_path: Path
) -> None:
    for night in (28, 29):
        pod.run(at.says(f"202611{night}T023000Z"))
    bucket.fails('case "$3" in */manifest.json) exit 1 ;; esac')
    pod.run(at.says("20261130T023000Z"), status=1)
    drill = BackupPod(
        manifests=rendered,
        name="ai-interviewer-redis-drill",
        root=tmp_path / "drill",
        secrets=SECRETS,
        variables={"PATH": bucket.path},
    )
    drill.script("try.sh", 'cat "$1/in a folder/one \' \\" \\$ "')
    assert "one" in drill.run()
    assert "event=drill store=redis name=20261129T023000Z bytes=" in drill.run()
    (bucket.folder / "target/backups/prod/redis/20261129T023000Z/data/other").write_text("rotten")
    assert "the backup 20261129T023000Z of redis is damaged: other is not what was written" in drill.run(status=1)


def test_its_keys_are_issued_and_the_operator_is_told_by_whom() -> None:
    environment = replace(PROD, redis=replace(PROD.redis, backup=Backup(target=TARGET)))
    assert isinstance(PROD.secrets, ExternalSecrets)
    entries = AiInterviewer(environment, outdir="unused").secret_keys()
    origins = {str(entry.reference): entry.origin for entry in entries}
    assert origins["<ai-interviewer-backup-bucket/access-key>"] == TARGET.secret_keys[0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"host": "https://s3.example.com"}, "S3Target.host"),
        ({"bucket": "Backups"}, "S3Target.bucket"),
        ({"prefix": "/prod"}, "S3Target.prefix"),
        ({"prefix": "prod"}, "S3Target.prefix"),
        ({"port": 0}, "S3Target.port"),
        ({"secret": "Secret"}, "S3Target.secret"),
        ({"scratch": "lots"}, "S3Target.scratch"),
    ],
)
def test_a_wrong_target_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        replace(TARGET, **wrong)  # type: ignore[arg-type]


def test_a_backup_that_is_far_smaller_than_the_one_before_is_sent_and_told(
    pod: BackupPod, bucket: Bucket, at: Clock
) -> None:
    take = 'head -c SIZE /dev/zero >"$1/file"\nprintf \'{"version":"7","facts":{}}\\n\'\n'
    pod.script("take.sh", take.replace("SIZE", "1000"))
    pod.run(at.says("20261130T023000Z"))
    pod.script("take.sh", take.replace("SIZE", "499"))
    said = pod.run(at.says("20261201T023000Z"), status=1)
    assert "error: the backup has 499 bytes, less than 50 percent of the 1000 of 20261130T023000Z before it." in said
    assert (bucket.folder / "target/backups/prod/redis/20261201T023000Z/manifest.json").exists()
