"""This module is the proof that encrypted backups are read by whoever has the identity, and by nobody else.

The rendered tasks run on a real Redis, with the real age.
"""

import hashlib
import json
import subprocess
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from ai_interviewer import PROD, AiInterviewer, EnvironmentSettings
from ai_interviewer.__main__ import operated
from backup_harness import BackupPod, Bucket, Clock, Cluster, copy_claim, job_of, seal
from conftest import grid, read_manifests, requires
from mcpmesh_k8s import Age, Backup, ClaimTarget, Image, RestoreDrill, S3Target, SettingError
from mcpmesh_k8s.operations import Minikube, backups
from mcpmesh_k8s.operations.cli import main
from mcpmesh_k8s.operations.programs import Kubectl
from mesh_harness import LOCALHOST, SECRETS, Manifest, Pod
from reading import objects_of
from test_redis_backup import ask, content, running

pytestmark = [requires("redis"), requires("age")]

OF_THE_IMAGE = {"/usr/local/bin/age": Path(__file__).parent.parent / "build/bin/age"}
# Of these tests, and of nothing else.
RECIPIENT = "age1qhjjyqga2x7ke3tr7yzw2myccp42yfxtfedr3xenrhkq8mfhuyuq6rljy0"
IDENTITY = "AGE-SECRET-KEY-17HJY3ERHSSW598XLCTW9VAR8V6ANHX2LYCD9K023JN09HLVGUU7QFJKSNV"
IN_A_SAFE = "age1dhtsrykwu8y20955233xklcz7jkmh72umvnh8hezn6svqct4g9ls0rcdk4"
OF_THE_SAFE = "AGE-SECRET-KEY-1X2XZFTLAH565AMLFH3ZZ4YQTWXS24VQVM405WAN4K4MPFCG6XFNSL8UE5A"
OF_ANOTHER = "AGE-SECRET-KEY-1KK8L5CEZXGVYVW6GFQFR6DS5S90A5DMN7EAPDPMC2DFXU8NCCT5S8XQP62"
NAME = "ai-interviewer-redis-backup"
AGE = Age(
    recipients=(RECIPIENT, IN_A_SAFE),
    image=Image(repository="registry.example.com/age", tag="1.3.2"),
    program=next(iter(OF_THE_IMAGE)),
)


def encrypted(target: ClaimTarget | S3Target) -> EnvironmentSettings:
    """Production, whose backups are encrypted and tried."""
    backup = Backup(target=target, encryption=AGE, drill=RestoreDrill(), priority_class="backups")
    return replace(
        PROD,
        name="trial",
        cluster=Minikube(profile="trial"),
        postgres=replace(PROD.postgres, backup=backup),
        redis=replace(PROD.redis, backup=backup),
        minio=replace(PROD.minio, backup=backup),
    )


ON_A_CLAIM = encrypted(ClaimTarget(size="1Gi"))
IN_A_BUCKET = encrypted(S3Target(host="s3.example.com", bucket="backups"))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Manifest]:
    """With backups on claims."""
    folder = tmp_path_factory.mktemp("encrypted") / "prod"
    return objects_of(AiInterviewer(ON_A_CLAIM, outdir=folder))


@pytest.fixture
def redis(rendered: Sequence[Manifest], tmp_path: Path) -> Generator[Pod]:
    """The rendered Redis, with a value that nobody else may read."""
    with running(rendered, tmp_path / "redis") as pod:
        assert ask(pod, "SET", "user:somebody", "told in an interview") == "OK"
        yield pod


def task(rendered: Sequence[Manifest], redis: Pod, folder: Path, **variables: str) -> BackupPod:
    where = {"REDIS_HOST": LOCALHOST, "REDIS_PORT": str(redis.ports["redis"]), **variables}
    return BackupPod(manifests=rendered, name=NAME, root=folder, secrets=SECRETS, variables=where, image=OF_THE_IMAGE)


@pytest.fixture
def pod(rendered: Sequence[Manifest], redis: Pod, tmp_path: Path) -> BackupPod:
    """The task, with an empty claim."""
    return task(rendered, redis, tmp_path / "pod")


def identity(folder: Path, text: str = IDENTITY) -> Path:
    """The file with what opens backups."""
    file = folder / "identity.txt"
    file.write_text(f"{text}\n")
    return file


def drill_of(pod: BackupPod, root: Path, text: str = IDENTITY) -> BackupPod:
    """The task that tries what another task has made."""
    drill = BackupPod(
        manifests=pod.manifests, name="ai-interviewer-redis-drill", root=root, secrets=SECRETS, image=OF_THE_IMAGE
    )
    copy_claim(pod, drill)
    (drill.mounts["/identity"] / "identity").write_text(f"{text}\n")
    return drill


def test_who_backs_up_has_no_identity_and_who_tries_has_it(rendered: Sequence[Manifest]) -> None:
    for store in ("postgres", "redis", "minio"):
        for kind, has in (("backup", False), ("drill", True)):
            spec = json.dumps(job_of(rendered, f"ai-interviewer-{store}-{kind}"))
            assert ("ai-interviewer-backup-identity" in spec) is has
    others = [m for m in rendered if not m["metadata"]["name"].endswith("-drill")]
    assert [m["kind"] for m in others if "ai-interviewer-backup-identity" in json.dumps(m)] == ["ExternalSecret"]


def test_of_an_encrypted_backup_nothing_can_be_read(pod: BackupPod) -> None:
    pod.run()
    (name,) = pod.names
    folder = pod.backups / name
    assert sorted(path.name for path in (folder / "data").iterdir()) == ["0", "1", "2"]
    for path in (folder / "data").iterdir():
        assert path.read_bytes().startswith(b"age-encryption.org/v1\n")
    (manifest,) = pod.listed()
    assert manifest["taken"] is None
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for told in (b"somebody", b"interview", b"dump.rdb", b"REDIS"):
        assert told not in everything


@pytest.mark.parametrize(
    "text",
    grid([IDENTITY, OF_THE_SAFE, f"{OF_ANOTHER}\n{IDENTITY}"], short=[f"{OF_ANOTHER}\n{IDENTITY}"]),
)
def test_each_identity_brings_it_back(
    rendered: Sequence[Manifest],
    redis: Pod,
    pod: BackupPod,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    text: str,
) -> None:
    pod.run()
    before = content(redis)
    assert before
    reader = task(rendered, redis, tmp_path / "pod", AGE_IDENTITY=str(identity(tmp_path, text)))
    with running(rendered, tmp_path / "new") as new:
        cluster = Cluster(tmp_path / "bin")
        cluster.executes("deployment/ai-interviewer-redis", "redis", new.environment, tmp_path)
        cluster.reads(reader)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        words = ["restore", "trial", "--store=redis", "--from=newest", f"--data={tmp_path / 'restored'}"]
        status = main("operate", [operated(ON_A_CLAIM)], words)
        monkeypatch.undo()
        said = capfd.readouterr()
        assert status == 0, said.out + said.err
        assert content(new) == before
    assert not list((tmp_path / "restored").rglob(".taken"))


@pytest.mark.parametrize(
    ("text", "said"), [("", "there is no identity here that opens it"), (OF_ANOTHER, "cannot be decrypted")]
)
def test_without_an_identity_of_its_own_it_is_not_opened(
    rendered: Sequence[Manifest], redis: Pod, pod: BackupPod, tmp_path: Path, text: str, said: str
) -> None:
    pod.run()
    (name,) = pod.names
    file = str(identity(tmp_path, text)) if text else ""
    reader = task(rendered, redis, tmp_path / "pod", AGE_IDENTITY=file)
    assert said in reader.ask("read", name, status=1).decode()


def test_a_drill_opens_it_and_a_server_loads_it(pod: BackupPod, tmp_path: Path) -> None:
    pod.run()
    assert "a server started on the dump has 1 keys, of 1" in drill_of(pod, tmp_path / "drill").run()


def test_a_drill_tells_what_was_damaged_or_forged(pod: BackupPod, tmp_path: Path) -> None:
    pod.run()
    (name,) = pod.names
    folder = pod.backups / name
    data = (folder / "data/1").read_bytes()
    (folder / "data/1").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "1 is not what was written" in drill_of(pod, tmp_path / "damaged").run(status=1)
    seal(folder)
    assert "cannot be decrypted" in drill_of(pod, tmp_path / "forged").run(status=1)


def test_a_list_of_somebody_who_knows_the_public_key_alone_is_refused(pod: BackupPod, tmp_path: Path) -> None:
    """Anyone can encrypt to it. So the list must be the one of the manifest, and name no file beside the backup's."""
    pod.run()
    (name,) = pod.names
    folder = pod.backups / name
    forged = b"0" * 64 + b" 3 ../../stolen\n"
    age = OF_THE_IMAGE[AGE.program]
    sealed = subprocess.run([age, "--recipient", RECIPIENT], input=forged, capture_output=True, check=True).stdout
    (folder / "data/0").write_bytes(sealed)
    seal(folder)
    said = drill_of(pod, tmp_path / "listed").run(status=1)
    assert "what it lists is not what its manifest says" in said
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["plain"] = hashlib.sha256(forged).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest, separators=(",", ":")) + "\n")
    said = drill_of(pod, tmp_path / "elsewhere").run(status=1)
    assert "has a file ../../stolen, which would be written elsewhere" in said


def test_what_cannot_be_encrypted_is_no_backup_and_the_one_before_stays(pod: BackupPod, tmp_path: Path) -> None:
    clock = Clock(folder=tmp_path / "clock")
    pod.run(clock.says("20261130T023000Z"))
    before = pod.names
    said = pod.run({**clock.says("20261201T023000Z"), "AGE_TO": "--recipient age1of-nobody"}, status=1)
    assert "the backup of redis cannot be encrypted" in said
    assert pod.names == before


def test_what_was_kept_before_is_read_as_it_is(pod: BackupPod) -> None:
    pod.run({"AGE_TO": ""})
    (name,) = pod.names
    assert b"REDIS" in pod.ask("read", name)


# --- in a bucket ---


def test_into_a_bucket_goes_what_was_encrypted_and_it_is_opened_from_there(redis: Pod, tmp_path: Path) -> None:
    folder = tmp_path / "rendered"
    AiInterviewer(IN_A_BUCKET, outdir=folder).synth()
    keys = "invented.ai-interviewer-backup-bucket."
    bucket = Bucket(tmp_path / "bucket", f"https://{keys}access-key:{keys}secret-key@s3.example.com:443")
    manifests = read_manifests(folder)
    pod = task(manifests, redis, tmp_path / "pod", PATH=bucket.path)
    pod.run()
    sent = [path for path in (bucket.folder / "target").rglob("*") if path.is_file()]
    assert {path.name for path in sent} == {"0", "1", "2", "sums", "manifest.json"}
    assert not any(b"REDIS" in path.read_bytes() for path in sent)
    (listed,) = pod.listed()
    file = str(identity(tmp_path))
    reader = task(manifests, redis, tmp_path / "pod", PATH=bucket.path, AGE_IDENTITY=file)
    assert b"REDIS" in reader.ask("read", listed["name"])
    drill = BackupPod(
        manifests=manifests,
        name="ai-interviewer-redis-drill",
        root=tmp_path / "drill",
        secrets=SECRETS,
        variables={"PATH": bucket.path},
        image=OF_THE_IMAGE,
    )
    (drill.mounts["/identity"] / "identity").write_text(f"{IDENTITY}\n")
    assert "a server started on the dump has 1 keys, of 1" in drill.run()


# --- who restores ---


@dataclass
class Told:
    """A kubectl that does nothing."""

    pods: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def output(self, *arguments: str, stdin: str = "", timeout: float = 0) -> str:
        """Note what is applied."""
        if arguments[0] == "apply":
            self.pods.append(json.loads(stdin))
        return ""


@pytest.mark.parametrize("environment", [ON_A_CLAIM, IN_A_BUCKET], ids=["claim", "bucket"])
def test_the_pod_that_reads_is_given_the_program_and_the_identity(environment: EnvironmentSettings) -> None:
    kubectl, operates = Told(), operated(environment)
    with backups.reading(operates, cast("Kubectl", kubectl), backups.chosen(operates, "redis")):
        (pod,) = kubectl.pods
    spec: Mapping[str, Any] = pod["spec"]
    assert [one["name"] for one in spec["initContainers"]] == ["age"]
    (container,) = spec["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert (mounts["age"], mounts["identity"]) == ("/age", "/identity")
    (volume,) = (one for one in spec["volumes"] if one["name"] == "identity")
    assert volume["secret"]["secretName"] == "ai-interviewer-backup-identity"
    told = {one["name"]: one.get("value") for one in container["env"]}
    assert (told["AGE"], told["AGE_IDENTITY"]) == ("/age/age", "/identity/identity")


# --- what is refused ---


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"recipients": ()}, "Age.recipients"),
        ({"recipients": (RECIPIENT, RECIPIENT)}, "Age.recipients"),
        ({"recipients": ("ssh-ed25519 AAAA",)}, "Age.recipients"),
        ({"recipients": (IDENTITY,)}, "Age.recipients"),
        ({"program": "age"}, "Age.program"),
        ({"program": "/bin/age; true"}, "Age.program"),
        ({"secret": "Identity"}, "Age.secret"),
    ],
)
def test_what_cannot_encrypt_is_refused(given: Mapping[str, Any], where: str) -> None:
    with pytest.raises(SettingError, match=where):
        replace(AGE, **given)
