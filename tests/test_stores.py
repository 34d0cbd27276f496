"""This module is the proof that a store is a role: a fourth one, of plain files, in one class and no change elsewhere.

kubectl and docker are stand-ins that execute for real what they are asked to execute beside a server.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from conftest import close, requires
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Availability,
    Bucket,
    BucketSettings,
    Claim,
    Compute,
    Container,
    Count,
    Database,
    ExistingSecrets,
    Image,
    Minio,
    MinioSettings,
    Mover,
    NoProbes,
    OperationError,
    Owner,
    Part,
    Phase,
    Place,
    Port,
    Postgres,
    PostgresSettings,
    Replicas,
    Row,
    Scratch,
    Secret,
    SecretSettings,
    Server,
    Side,
    StatefulWorkload,
    Store,
    Task,
    TaskSettings,
    User,
    Workload,
    WorkloadSettings,
    images,
)
from mcpmesh_k8s.operations import Environment, Minikube
from mcpmesh_k8s.operations.cli import main
from mcpmesh_k8s.operations.moves import ClusterSide, ComposeSide, export_data, import_data, stores_of, verify_data
from mcpmesh_k8s.operations.programs import Kubectl

# --- a store, all of it ---

_EXPORT = 'set -eu\nexec tar -C "$FOLDER" -cf - .\n'
_CHECK = "set -eu\nexec tar -tf - >/dev/null\n"
_STAGE = """\
set -eu
mkdir "$FOLDER.import"
tar -C "$FOLDER.import" -xf -
cd "$FOLDER.import"
find . -type f -exec sha256sum {} +
"""
_SWAP = """\
set -eu
number=1
while [ -e "$FOLDER.before.$number" ]; do number=$((number + 1)); done
mv "$FOLDER" "$FOLDER.before.$number"
mv "$FOLDER.import" "$FOLDER"
"""
_COUNT = 'set -eu\ncd "$FOLDER"\nfind . -type f -exec sha256sum {} +\n'
_DISCARD = 'set -eu\nrm -rf "$FOLDER.import"\n'
SCRIPTS = {"export": _EXPORT, "check": _CHECK, "stage": _STAGE, "swap": _SWAP, "count": _COUNT, "discard": _DISCARD}


@dataclass(kw_only=True)
class FilesMover(Mover):
    """How a folder of files moves: as an archive."""

    kind = "files"

    side: Side
    server: Server

    def export(self, place: Place) -> Part:
        path = place.folder / "files.tar"
        with path.open("xb") as archive:
            self.side.run(self.server, "packing", _EXPORT, stdout=archive)
        with path.open("rb") as archive:
            self.side.run(self.server, "reading the archive", _CHECK, stdin=archive)
        return Part(kind=self.kind, version="tar", facts={"files": self._sums(_COUNT)})

    def check(self, part: Part, place: Place, owners: Sequence[Owner]) -> None:
        with (place.folder / "files.tar").open("rb") as archive:
            self.side.run(self.server, "reading the archive", _CHECK, stdin=archive)

    def stage(self, part: Part, place: Place) -> Sequence[Row]:
        with (place.folder / "files.tar").open("rb") as archive:
            said = self.side.run(self.server, "unpacking beside", _STAGE, stdin=archive)
        return self._rows(part, sums_of(said))

    def swap(self, part: Part) -> Sequence[Row]:
        self.side.run(self.server, "putting in place", _SWAP)
        return ()

    def count(self, part: Part, place: Place) -> Sequence[Row]:
        return self._rows(part, self._sums(_COUNT))

    def discard(self) -> None:
        self.side.run(self.server, "cleaning up", _DISCARD)

    def _sums(self, script: str) -> dict[str, str]:
        return sums_of(self.side.run(self.server, "counting", script))

    def _rows(self, part: Part, found: dict[str, str]) -> Sequence[Row]:
        exported = part.read(lambda facts: dict(facts["files"]))  # type: ignore[call-overload]
        return Row.each(
            [Count(what=f"file {name}", count=1, checksum=str(sum)) for name, sum in exported.items()],
            [Count(what=f"file {name}", count=1, checksum=sum) for name, sum in found.items()],
        )


def sums_of(said: str) -> dict[str, str]:
    """The checksum of each file, by its name."""
    lines = (line.split("  ", 1) for line in said.splitlines())
    return {name: checksum for checksum, name in lines}


def container(name: str, *volumes: Claim | Scratch) -> Container:
    return Container(
        name=name,
        image=Image(repository="registry.example.com/files", tag="1.0.0"),
        user=User(uid=1000, gid=1000),
        compute=Compute(cpu="10m", memory="16Mi", cpu_limit="20m", memory_limit="32Mi"),
        ports=(Port(name="http", number=8080),),
        volumes=volumes,
        probes=NoProbes(because="No test starts it."),
    )


class Folder(StatefulWorkload):
    """A server of plain files."""

    def __init__(self, phase: Phase, name: str) -> None:
        super().__init__(phase, WorkloadSettings(name=name, container=container(name, Claim(size="1Gi"))))

    def mover(self, side: Side) -> Mover:
        return FilesMover(side=side, server=Server.of(self))


# --- an application with it ---


def shop(*folders: str, outdir: str | Path = "unused") -> Application:
    """Stores of files, services and a task that use them, and a store that nobody can move."""
    application = Application(ApplicationSettings(name="shop"), outdir=outdir)
    phase = Phase(application, "all")
    close(phase)
    stores = [Folder(phase, name) for name in folders]
    web = Workload(
        phase,
        WorkloadSettings(name="web", container=container("web"), availability=Availability(scale=Replicas(count=2))),
    )
    cart = StatefulWorkload(phase, WorkloadSettings(name="cart", container=container("cart")))
    job = Task(phase, TaskSettings(name="fill", container=replace(container("fill"), ports=())))
    for client in (web, cart, job):
        client.connects_to(*stores)
    StatefulWorkload(phase, WorkloadSettings(name="qdrant", container=container("qdrant", Claim(size="1Gi"))))
    return application


# A shell is there in a tenth of the time that Python takes. Nothing but the two is on PATH.
STAND_IN = """\
#!/bin/sh
# Stands in for kubectl and docker: executes beside a server what it is asked to, and answers well.
here=${0%/*} program=${0##*/} line="$*"
printf '%s\\0' $# "$program" "$@" >>"$here/log"
case " $line " in
*" exec "*)
    until [ "$1" = exec ]; do shift; done
    name=${3#statefulset/shop-}
    case "$program $1 $2 $3 $4 $5 $6" in
    "kubectl exec -i statefulset/shop-$name --container $name --") shift 6 ;;
    "docker exec -T $name sh "*) shift 3 ;;
    *) echo "error: $line" >&2; exit 1 ;;
    esac
    if [ -e "$here/fault" ]; then
        . "$here/fault"
        case "$line" in *"$fault"*)
            command -p rm "$here/fault"
            echo "error: injected" >&2
            exit 1 ;;
        esac
    fi
    exec /usr/bin/env -i PATH=/usr/bin:/bin FOLDER="${here%/*}/$program/$name" "$@" ;;
*applications.argoproj.io*) echo 'error: the server does not have a resource type "applications"' >&2; exit 1 ;;
*" get-contexts "*) echo minikube ;;
" config view "*) echo '{"clusters": [{"cluster": {"extensions": [{"extension":' \\
    '{"provider": "minikube.sigs.k8s.io"}}]}}]}' ;;
*" --output=json "* | *" --output json "*)
    case "$line" in
    *jobs*) [ ! -e "$here/running" ] || exec /bin/cat "$here/running" ;;
    esac
    echo '{"items": []}' ;;
*" ps "*) [ -e "$here/stopped" ] && echo files || printf 'files\\nweb\\n' ;;
*" stop "*)
    case "$line" in *" stop web") : >"$here/stopped" ;; *) exit 1 ;; esac ;;
esac
"""


@dataclass
class Ends:
    """The folders of both ends, and what the stand-ins were asked."""

    root: Path

    def folder(self, program: str, name: str = "files") -> Path:
        return self.root / program / name

    def content(self, program: str, name: str = "files") -> dict[str, bytes]:
        folder = self.folder(program, name)
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
        }

    def fail(self, text: str) -> None:
        (self.root / "bin/fault").write_text(f"fault={shlex.quote(text)}\n")

    @property
    def calls(self) -> list[str]:
        words = iter((self.root / "bin/log").read_text().split("\0")[:-1])
        return [" ".join(next(words) for _ in range(int(count) + 1)) for count in words]


@pytest.fixture
def ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ends:
    (tmp_path / "bin").mkdir()
    for program in ("kubectl", "docker"):
        (tmp_path / "bin" / program).write_text(STAND_IN)
        (tmp_path / "bin" / program).chmod(0o755)
    for name in ("files", "more"):
        (tmp_path / "docker" / name / "a b").mkdir(parents=True)
        (tmp_path / "docker" / name / "a b/żółć.txt").write_text(f"of {name}\n")
        (tmp_path / "docker" / name / "empty").write_bytes(b"")
        (tmp_path / "kubectl" / name).mkdir(parents=True)
        (tmp_path / "kubectl" / name / "old").write_text("old")
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout/compose.yaml").write_text("services: {}\n")
    # Nothing but what a store asks for: no mc, no psql, no redis-cli.
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return Ends(tmp_path)


CLUSTER = ClusterSide(kubectl=Kubectl(context="minikube", namespace="shop"))


def compose(ends: Ends) -> ComposeSide:
    return ComposeSide.of(ends.root / "checkout")


def operate(ends: Ends, application: Application, command: str, *options: str) -> int:
    environment = Environment(name="dev", cluster=Minikube(), make=lambda: application)
    checkout = [] if command == "clean" else [f"--app-dir={ends.root / 'checkout'}"]
    return main("shop", [environment], [command, "dev", *checkout, *options])


# --- a fourth store moves ---


def test_it_is_found_by_what_it_can_do() -> None:
    application = shop("files")
    assert [store.name for store in stores_of(application).stores] == ["files"]
    assert isinstance(application.find_all(Folder)[0], Store)
    assert not isinstance(application.find_all(Workload)[1], Store)


def test_it_is_exported_imported_verified_and_brought_back(ends: Ends, capfd: pytest.CaptureFixture[str]) -> None:
    stores = stores_of(shop("files"))
    manifest = export_data(compose(ends), stores, ends.root / "out", live=True)
    assert set(manifest.files) == {"files/files.tar"}
    rows = import_data(CLUSTER, stores, ends.root / "out")
    assert [(row.what, row.ok) for row in rows] == [("file ./a b/żółć.txt", True), ("file ./empty", True)]
    assert ends.content("kubectl") == ends.content("docker")
    assert (ends.root / "kubectl/files.before.1/old").read_text() == "old"
    assert not (ends.root / "kubectl/files.import").exists()
    verify_data(CLUSTER, stores, ends.root / "out")
    (ends.folder("kubectl") / "empty").write_bytes(b"x")
    (ends.folder("kubectl") / "new").write_bytes(b"new")
    with pytest.raises(OperationError, match=r"Not the same as exported: file \./empty, file \./new\."):
        verify_data(CLUSTER, stores, ends.root / "out")
    export_data(CLUSTER, stores, ends.root / "back")
    capfd.readouterr()


@pytest.mark.parametrize("step", SCRIPTS)
def test_a_step_that_fails_leaves_what_was_there_and_can_be_repeated(ends: Ends, step: str) -> None:
    stores = stores_of(shop("files"))
    export_data(compose(ends), stores, ends.root / "out", live=True)
    ends.fail(f" {SCRIPTS[step]} ")
    if step == "export":
        with pytest.raises(OperationError, match="injected"):
            export_data(compose(ends), stores, ends.root / "again", live=True)
        assert not (ends.root / "again").exists()
    elif step == "count":
        with pytest.raises(OperationError, match="injected"):
            verify_data(CLUSTER, stores, ends.root / "out")
    else:
        with pytest.raises(OperationError, match="injected"):
            import_data(CLUSTER, stores, ends.root / "out")
        assert ends.content("kubectl") == {"old": b"old"}
        import_data(CLUSTER, stores, ends.root / "out")
        assert ends.content("kubectl") == ends.content("docker")
    assert not (ends.root / "bin/fault").exists(), "the step was never reached"


def test_the_commands_move_it_and_stop_everything_else_by_its_kind(
    ends: Ends, capfd: pytest.CaptureFixture[str]
) -> None:
    application = shop("files")
    out = f"--data={ends.root / 'out'}"
    assert operate(ends, application, "export-data", "--from", "compose", "--live", out) == 0
    assert operate(ends, application, "import-data", out) == 0
    assert ends.content("kubectl") == ends.content("docker")
    assert operate(ends, application, "verify-data", out) == 0
    said = capfd.readouterr().out
    for doing in ("not exported", "not imported", "not compared"):
        assert f"{doing}, since these commands cannot move it: statefulset/shop-qdrant\n" in said
    scales = [call for call in ends.calls if " scale " in call]
    kubectl = "kubectl --context minikube --namespace shop scale"
    assert scales == [
        f"{kubectl} --replicas=0 deployment/shop-web statefulset/shop-cart statefulset/shop-qdrant",
        f"{kubectl} --replicas=2 deployment/shop-web",
        f"{kubectl} --replicas=1 statefulset/shop-cart",
        f"{kubectl} --replicas=1 statefulset/shop-qdrant",
    ]
    (waited,) = {call for call in ends.calls if "get pods" in call}
    assert "(shop-web,shop-cart,shop-qdrant,shop-fill)" in waited


def test_a_rollback_takes_it_along(ends: Ends, capfd: pytest.CaptureFixture[str]) -> None:
    (ends.folder("kubectl") / "written in the cluster").write_text("yes")
    assert operate(ends, shop("files"), "rollback", f"--data={ends.root / 'back'}") == 0
    assert ends.content("docker") == {"old": b"old", "written in the cluster": b"yes"}
    lines = [call for call in ends.calls if call.startswith("docker")]
    compose = f"docker compose --file {ends.root}/checkout/compose.yaml"
    up = f"{compose} up --detach --wait --wait-timeout 300"
    assert [line for line in lines if " exec " not in line] == [
        f"{up} files", f"{compose} ps --services --status running", f"{compose} stop web",
        f"{compose} ps --services --status running", up,
    ]  # fmt: skip
    assert "statefulset/shop-qdrant" in capfd.readouterr().out


def test_a_rollback_without_data_and_a_deletion_name_what_no_export_holds(
    ends: Ends, capfd: pytest.CaptureFixture[str]
) -> None:
    application = shop("files", outdir=ends.root / "dist")
    application.synth()
    assert operate(ends, application, "rollback") == 0
    cannot = "since these commands cannot move it: statefulset/shop-qdrant"
    assert f"left in the cluster with all other data, {cannot}\n" in capfd.readouterr().out
    assert operate(ends, application, "clean") == 0
    assert cannot not in capfd.readouterr().out, "its data stay"
    assert operate(ends, application, "clean", "--confirm", "delete-data") == 0
    assert f"deleted, and in no export, {cannot}\n" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("kind", "name", "status", "stopping"),
    [
        ("Deployment", "web", {"replicas": 1}, "scale --replicas=0 deployment/shop-web"),
        ("StatefulSet", "cart", {"replicas": 1}, "scale --replicas=0 statefulset/shop-cart"),
        ("Job", "fill", {"active": 1}, "delete job/shop-fill"),
    ],
)
def test_a_client_of_any_kind_that_runs_is_named_with_the_command_that_stops_it(
    ends: Ends, kind: str, name: str, status: object, stopping: str
) -> None:
    items = [{"kind": kind, "metadata": {"name": f"shop-{name}"}, "status": status}]
    (ends.root / "bin/running").write_text(json.dumps({"items": items}))
    with pytest.raises(OperationError, match=f"{stopping}$"):
        export_data(CLUSTER, stores_of(shop("files")), ends.root / "out")
    items[0]["status"] = {"succeeded": 1}
    (ends.root / "bin/running").write_text(json.dumps({"items": items}))
    export_data(CLUSTER, stores_of(shop("files")), ends.root / "out")


def test_of_a_client_with_a_schedule_the_job_is_named_that_runs(ends: Ends) -> None:
    stores = replace(stores_of(shop("files")), clients=("cronjob/shop-nightly",))
    nightly = {
        "kind": "CronJob",
        "metadata": {"name": "shop-nightly"},
        "status": {"active": [{"name": "shop-nightly-1"}]},
    }
    (ends.root / "bin/running").write_text(json.dumps({"items": [nightly]}))
    with pytest.raises(OperationError, match=r"delete job/shop-nightly-1$"):
        export_data(CLUSTER, stores, ends.root / "out")
    (ends.root / "bin/running").write_text(json.dumps({"items": [{**nightly, "status": {"active": []}}]}))
    export_data(CLUSTER, stores, ends.root / "out")


# --- none, two of a kind, another ---


def test_two_of_a_kind_are_told_apart(ends: Ends) -> None:
    stores = stores_of(shop("files", "more"))
    export_data(compose(ends), stores, ends.root / "out", live=True)
    rows = import_data(CLUSTER, stores, ends.root / "out")
    assert {row.what for row in rows} >= {"files, file ./empty", "more, file ./empty"}
    for name in ("files", "more"):
        assert ends.content("kubectl", name) == ends.content("docker", name)
    assert ends.content("kubectl", "files") != ends.content("kubectl", "more")


def test_without_a_store_nothing_moves_and_what_cannot_is_named(ends: Ends, capfd: pytest.CaptureFixture[str]) -> None:
    application = shop()
    assert operate(ends, application, "export-data", f"--data={ends.root / 'out'}") == 1
    error = "This application has no store whose data can be moved. statefulset/shop-qdrant: these commands cannot"
    assert error in capfd.readouterr().err
    assert operate(ends, application, "rollback") == 0, "there is nothing to take along"
    assert [call for call in ends.calls if call.startswith("docker")][-1].endswith("--wait-timeout 300")


def test_an_export_of_another_application_is_refused_and_a_store_that_came_later_is_left_alone(
    ends: Ends, capfd: pytest.CaptureFixture[str]
) -> None:
    export_data(compose(ends), stores_of(shop("files", "more")), ends.root / "both", live=True)
    with pytest.raises(OperationError, match="The export holds more, and the stores of this application are files"):
        import_data(CLUSTER, stores_of(shop("files")), ends.root / "both")
    export_data(compose(ends), stores_of(shop("files")), ends.root / "one", live=True)
    capfd.readouterr()
    import_data(CLUSTER, stores_of(shop("files", "more")), ends.root / "one")
    assert "nothing of more is in the export, so it is left as it is" in capfd.readouterr().out
    assert ends.content("kubectl", "more") == {"old": b"old"}
    manifest = json.loads((ends.root / "one/manifest.json").read_text())
    manifest["stores"]["files"]["kind"] = "postgres"
    (ends.root / "one/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(OperationError, match="is of kind postgres, and files is of kind files"):
        import_data(CLUSTER, stores_of(shop("files")), ends.root / "one")


def test_facts_that_are_damaged_are_refused_before_anything_changes(ends: Ends) -> None:
    stores = stores_of(shop("files"))
    export_data(compose(ends), stores, ends.root / "out", live=True)
    manifest = json.loads((ends.root / "out/manifest.json").read_text())
    del manifest["stores"]["files"]["facts"]["files"]
    (ends.root / "out/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(OperationError, match=r"damaged \(KeyError\('files'\)\)\. Export again"):
        verify_data(CLUSTER, stores, ends.root / "out")


def test_an_owner_that_no_store_knows_is_refused(ends: Ends) -> None:
    stores = stores_of(shop("files"))
    export_data(compose(ends), stores, ends.root / "out", live=True)
    owner = Owner(database="nowhere", schema="public", role="web")
    with pytest.raises(OperationError, match=r"No store of the export has the database of .*nowhere"):
        import_data(CLUSTER, stores, ends.root / "out", owners=[owner])


def secret(phase: Phase, name: str, keys: Sequence[str]) -> Secret:
    return Secret(phase, SecretSettings(name=name, keys=tuple(keys), source=ExistingSecrets()))


def test_two_postgres_servers_move_each_its_own_databases() -> None:
    application = Application(ApplicationSettings(name="shop"), outdir="unused")
    phase = Phase(application, "all")
    close(phase)
    compute = Compute(cpu="100m", memory="256Mi", cpu_limit="200m", memory_limit="512Mi")
    for name in ("orders", "stock"):
        settings = PostgresSettings(
            image=images.POSTGRES,
            compute=compute,
            size="5Gi",
            name=name,
            databases=(Database(name=name, roles=(name,)),),
        )
        Postgres(phase, settings, secret(phase, name, settings.secret_keys))
    movers = [store.mover(CLUSTER) for store in stores_of(application).stores]
    assert [vars(mover)["server"].workload for mover in movers] == ["statefulset/shop-orders", "statefulset/shop-stock"]
    assert [vars(mover)["databases"] for mover in movers] == [{"orders": ("orders",)}, {"stock": ("stock",)}]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_minio_moves_the_buckets_that_were_made_on_it(count: int) -> None:
    application = Application(ApplicationSettings(name="shop"), outdir="unused")
    phase = Phase(application, "all")
    close(phase)
    settings = MinioSettings(
        image=images.MINIO,
        compute=Compute(cpu="100m", memory="256Mi", cpu_limit="200m", memory_limit="512Mi"),
        size="5Gi",
    )
    minio = Minio(phase, settings, secret(phase, "minio", settings.secret_keys))
    other = Minio(phase, replace(settings, name="other"), secret(phase, "other", settings.secret_keys))
    for number in range(count):
        bucket = BucketSettings(image=images.MINIO_CLIENT, bucket=f"bucket-{number}", name=f"make-{number}")
        Bucket(phase, bucket, minio)
    assert vars(minio.mover(CLUSTER))["buckets"] == tuple(f"bucket-{number}" for number in range(count))
    assert vars(other.mover(CLUSTER))["buckets"] == ()


# --- what cannot be moved ---


def test_what_keeps_a_claim_in_any_way_is_named() -> None:
    application = Application(ApplicationSettings(name="shop"), outdir="unused")
    phase = Phase(application, "all")
    close(phase)
    Folder(phase, "files")
    Workload(phase, WorkloadSettings(name="disk", container=container("disk", Claim(size="1Gi"))))
    Workload(phase, WorkloadSettings(name="web", container=container("web", Scratch())))
    k8s_claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    from cdk8s import ApiObject, ApiObjectMetadata, JsonPatch

    claim = ApiObject(
        phase, "claim", api_version="v1", kind="PersistentVolumeClaim", metadata=ApiObjectMetadata(name="by-hand")
    )
    claim.add_json_patch(JsonPatch.add("/spec", k8s_claim))
    assert stores_of(application).left_out == ("deployment/shop-disk", "persistentvolumeclaim/by-hand")


@requires("shellcheck")
@pytest.mark.parametrize("name", SCRIPTS)
def test_its_scripts_are_sound_for_any_posix_shell(name: str) -> None:
    done = subprocess.run(["shellcheck", "--shell=sh", "-"], input=SCRIPTS[name], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


def test_no_command_knows_a_store_by_name() -> None:
    """Words of programs stand in the stores' own files."""
    operations = Path(main.__code__.co_filename).parent
    names = re.compile(r"postgres|redis|minio|bucket|psql|\bmc\b|\bpg_", re.IGNORECASE)
    known = {path.name: sorted(set(names.findall(path.read_text()))) for path in operations.rglob("*.py")}
    assert {name: words for name, words in known.items() if words} == {}


def test_no_kind_of_controller_is_guessed() -> None:
    package = Path(main.__code__.co_filename).parent.parent
    sources = {path.name: path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    assert len(sources) > 50
    guess = re.compile(r'f"(?:deployment|statefulset|job)/\{', re.IGNORECASE)
    assert [name for name, text in sources.items() if guess.search(text)] == []
