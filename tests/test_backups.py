"""This module is the proof that backups are kept: whole or not at all, as long as said, and nothing else is touched.

What a store brings is replaced by a few lines here: what all stores share is proven once.
"""

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import pytest

from backup_harness import BackupPod, Clock
from conftest import Manifests, grid
from log_pipeline import Pipeline
from mcpmesh_k8s import Backup, ClaimTarget
from mcpmesh_k8s.kubernetes.manifest import at
from mesh_harness import SECRETS, eventually

NAME = "ai-interviewer-redis-backup"
TAKE = """\
set -eu
mkdir "$1/in a folder"
printf 'one' >"$1/in a folder/one ' \\" $ "
date +%s%N >"$1/other"
printf '{"version":"7","facts":{"keys":1}}\\n'
"""
PROGRAMS = ("cat", "comm", "date", "head", "ln", "mkdir", "mv", "rm", "sha256sum", "sort", "sync", "tr", "wc")


@pytest.fixture
def pod(manifests: Manifests, tmp_path: Path) -> BackupPod:
    """The task of Redis, which takes something else."""
    usual = {"LEAST_PERCENT": str(Backup(target=ClaimTarget(size="1Gi")).least_percent)}
    pod = BackupPod(manifests=manifests("prod"), name=NAME, root=tmp_path / "pod", secrets=SECRETS, variables=usual)
    pod.script("take.sh", TAKE)
    return pod


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """A clock that says what it is told."""
    return Clock(folder=tmp_path / "clock")


def plant(pod: BackupPod, names: Iterable[str], store: str = "redis") -> None:
    """Put backups there, each with one small file."""
    for name in names:
        (pod.backups / name / "data").mkdir(parents=True)
        (pod.backups / name / "data/file").write_text(name)
        sums = f"{hashlib.sha256(name.encode()).hexdigest()} {len(name)} file\n"
        (pod.backups / name / "sums").write_text(sums)
        manifest = {
            "format": 1,
            "store": store,
            "name": name,
            "seconds": 1,
            "bytes": len(name),
            "files": 1,
            "sums": hashlib.sha256(sums.encode()).hexdigest(),
            "taken": {"version": "7", "facts": {}},
        }
        (pod.backups / name / "manifest.json").write_text(json.dumps(manifest, separators=(",", ":")) + "\n")


def require_whole(pod: BackupPod, name: str) -> None:
    """Refuse a backup that is not what its manifest says."""
    folder = pod.backups / name
    manifest = json.loads((folder / "manifest.json").read_text())
    assert hashlib.sha256((folder / "sums").read_bytes()).hexdigest() == manifest["sums"]
    files = {}
    for line in (folder / "sums").read_text().splitlines():
        checksum, size, path = line.split(" ", 2)
        files[path] = (checksum, int(size))
    there = {
        str(path.relative_to(folder / "data")): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        for path in (folder / "data").rglob("*")
        if path.is_file()
    }
    assert files == there
    assert (manifest["files"], manifest["bytes"]) == (len(there), sum(size for _, size in there.values()))


def test_a_backup_is_named_by_its_moment_and_says_what_is_in_it(pod: BackupPod, clock: Clock) -> None:
    said = pod.run(clock.says("20261130T023000Z"))
    assert "event=backup store=redis name=20261130T023000Z bytes=" in said
    assert pod.names == ["20261130T023000Z"]
    require_whole(pod, "20261130T023000Z")
    (manifest,) = pod.listed()
    assert manifest["taken"] == {"version": "7", "facts": {"keys": 1}}
    assert (pod.backups / "20261130T023000Z").stat().st_mode & 0o777 == 0o750


def test_what_is_read_is_what_was_written(pod: BackupPod, clock: Clock) -> None:
    pod.run(clock.says("20261130T023000Z"))
    sums, _, content = pod.ask("read", "20261130T023000Z").partition(b"\n\n")
    other = (pod.backups / "20261130T023000Z/data/other").read_bytes()
    assert [line.split(b" ", 2)[2] for line in sums.splitlines()] == [b"in a folder/one ' \" $ ", b"other"]
    assert content == b"one" + other
    assert b"has no backup ../../etc" in pod.ask("read", "../../etc", status=1)
    assert b"has no backup 20261130T023001Z of redis" in pod.ask("read", "20261130T023001Z", status=1)


def nights(first: date, count: int) -> list[str]:
    """A backup each night."""
    return [f"{first + timedelta(days=number):%Y%m%d}T023000Z" for number in range(count)]


def of_plan(names: list[str], daily: int, weekly: int, monthly: int) -> list[str]:
    """What is kept, by the calendar of Python."""
    days = {name[:8]: name for name in names}
    weeks = {date(int(name[:4]), int(name[4:6]), int(name[6:8])).isocalendar()[:2]: name for name in names}
    months = {name[:6]: name for name in names}
    return sorted(
        {
            *[days[key] for key in sorted(days)[-daily:]],
            *([weeks[key] for key in sorted(weeks)[-weekly:]] if weekly else []),
            *([months[key] for key in sorted(months)[-monthly:]] if monthly else []),
        }
    )


def test_the_last_of_each_day_week_and_month_stays(pod: BackupPod, clock: Clock) -> None:
    plant(pod, nights(date(2026, 5, 1), 213))
    pod.run(clock.says("20261130T023000Z"))
    assert pod.names == [
        *("20260630T023000Z", "20260731T023000Z", "20260831T023000Z", "20260930T023000Z", "20261031T023000Z"),
        *("20261115T023000Z", "20261122T023000Z"),
        *(f"202611{day}T023000Z" for day in range(24, 31)),
    ]


@pytest.mark.parametrize(
    ("first", "plan"),
    grid(
        [
            (date(2019, 12, 20), (3, 3, 3)),
            (date(2023, 12, 25), (1, 9, 0)),
            (date(2024, 2, 20), (30, 0, 2)),
            (date(2027, 2, 22), (2, 6, 12)),
            (date(2099, 12, 1), (1, 0, 4)),
        ],
        short=((date(2019, 12, 20), (3, 3, 3)),),
    ),
)
def test_weeks_and_months_are_those_of_the_calendar(
    pod: BackupPod, clock: Clock, first: date, plan: tuple[int, int, int]
) -> None:
    names = [*nights(first, 70), f"{first + timedelta(days=30):%Y%m%d}T150000Z"]
    plant(pod, names)
    now = f"{first + timedelta(days=70):%Y%m%d}T023000Z"
    daily, weekly, monthly = map(str, plan)
    pod.run(clock.says(now) | {"KEEP_DAILY": daily, "KEEP_WEEKLY": weekly, "KEEP_MONTHLY": monthly})
    assert pod.names == of_plan(sorted([*names, now]), *plan)


def test_a_long_outage_removes_nothing(pod: BackupPod, clock: Clock) -> None:
    plant(pod, nights(date(2026, 1, 1), 3))
    pod.run(clock.says("20291130T023000Z"))
    assert pod.names == [*nights(date(2026, 1, 1), 3), "20291130T023000Z"]


def test_what_is_no_backup_of_the_store_is_left_alone(pod: BackupPod, clock: Clock, tmp_path: Path) -> None:
    old = nights(date(2025, 1, 1), 40)
    plant(pod, old)
    plant(pod, ["20250105T120000Z"], store="postgres")
    plant(pod, ["20250106T120000Z", "2024-01-03", "99999999T999999Z"])
    (pod.backups / "20250106T120000Z/manifest.json").unlink()
    plant(pod, ["20250107T120000Z"])
    manifest = pod.backups / "20250107T120000Z/manifest.json"
    manifest.write_text(manifest.read_text().replace("20250107", "20250108"))
    (pod.backups / "notes.txt").write_text("mine")
    (pod.backups / ".new-mine").mkdir()
    elsewhere = tmp_path / "elsewhere"
    (pod.backups / old[0]).rename(elsewhere)
    (pod.backups / old[0]).symlink_to(elsewhere)
    foreign = {
        *("20250105T120000Z", "20250106T120000Z", "2024-01-03", "99999999T999999Z", "20250107T120000Z"),
        *("notes.txt", ".new-mine", "lost+found", old[0]),
    }
    (pod.backups / "lost+found").mkdir()
    pod.run(clock.says("20261130T023000Z"))
    assert foreign <= set(pod.names)
    assert set(pod.names) - foreign == set(of_plan([*old[1:], "20261130T023000Z"], 7, 4, 6))
    assert sorted(path.name for path in elsewhere.iterdir()) == ["data", "manifest.json", "sums"]


def test_a_run_that_is_cut_short_anywhere_leaves_the_one_before(
    pod: BackupPod, clock: Clock, tmp_path: Path, long: bool
) -> None:
    """The whole pod is killed before the first program that it starts, before the second, and so on to its end."""
    programs, counter = tmp_path / "programs", tmp_path / "started"
    programs.mkdir()
    for name in PROGRAMS:
        real = clock.folder / "date" if name == "date" else shutil.which(name)
        (programs / name).write_text(
            f"#!/bin/sh\nread -r cut <{counter}.cut\nprintf x >>{counter}\n"
            f'[ "$({shutil.which("wc")} -c <{counter})" -le "$cut" ] || kill -9 0\nexec {real} "$@"\n'
        )
        (programs / name).chmod(0o755)
    pod.run(clock.says("20261129T023000Z"))
    plant(pod, ["20250101T023000Z"])
    before = shutil.copytree(pod.backups, tmp_path / "before")
    time_of = clock.says("20261130T023000Z")
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    cut, removed = 0, 0
    while True:
        counter.write_text("")
        counter.with_name("started.cut").write_text(f"{cut}\n")
        process = pod.start("redis-backup", variables={**time_of, **path, "KEEP_MONTHLY": "0", "KEEP_DAILY": "1"})
        said, _ = process.communicate(timeout=20)
        there = [manifest["name"] for manifest in pod.listed()]
        for name in there:
            require_whole(pod, name)
        assert {"20261129T023000Z", "20261130T023000Z"} & set(there), said
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, said
        if "20261130T023000Z" in there:
            # What follows is removal alone. The next begins anew.
            removed += 1
            shutil.rmtree(pod.backups)
            shutil.copytree(before, pod.backups)
        cut += 1 if long else 5
    assert cut > 15
    assert removed
    pod.run(clock.says("20261201T023000Z") | {"KEEP_MONTHLY": "0", "KEEP_WEEKLY": "0", "KEEP_DAILY": "1"})
    assert pod.names == ["20261201T023000Z"]


def test_a_run_that_is_stopped_leaves_nothing_of_itself(pod: BackupPod, clock: Clock) -> None:
    pod.run(clock.says("20261129T023000Z"))
    pod.script("take.sh", 'echo half >"$1/half"; sleep 0.5')
    process = pod.start("redis-backup", variables=clock.says("20261130T023000Z"))
    eventually(lambda: (pod.backups / ".new-20261130T023000Z/data/half").exists(), 10)
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 1
    assert pod.names == ["20261129T023000Z"]


def test_what_cannot_be_taken_is_told_and_the_one_before_stays(pod: BackupPod, clock: Clock) -> None:
    pod.run(clock.says("20261129T023000Z"))
    pod.script("take.sh", 'echo half >"$1/half"; echo "error: the server is away" >&2; exit 1')
    said = pod.run(clock.says("20261130T023000Z"), status=1)
    assert "error: the server is away\nerror: no backup of redis was made: see above\n" in said
    assert pod.names == ["20261129T023000Z"]


def test_a_full_disk_is_told_and_the_one_before_stays(pod: BackupPod, clock: Clock) -> None:
    pod.run(clock.says("20261129T023000Z"))
    pod.script("take.sh", 'set -eu; head -c 100000 /dev/zero >"$1/large"; echo "{}"')
    # No file may be larger than so many blocks: to who writes it is as a disk that is full.
    process = pod.start("redis-backup", *pod.limited("ulimit -f 16"), variables=clock.says("20261130T023000Z"))
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "error: no backup of redis was made: see above" in said
    assert pod.names == ["20261129T023000Z"]


def test_a_clock_that_went_back_is_told_and_nothing_is_removed(pod: BackupPod, clock: Clock) -> None:
    names = nights(date(2026, 1, 1), 40)
    plant(pod, [*names, "20300101T000000Z"])
    said = pod.run(clock.says("20261130T023000Z"), status=1)
    assert "the clock says 20261130T023000Z, which is before the backup 20300101T000000Z: one of them is wrong" in said
    assert pod.names == sorted([*names, "20261130T023000Z", "20300101T000000Z"])
    require_whole(pod, "20261130T023000Z")


def test_a_moment_that_there_was_is_not_written_again(pod: BackupPod, clock: Clock) -> None:
    pod.run(clock.says("20261130T023000Z"))
    before = (pod.backups / "20261130T023000Z/data/other").read_bytes()
    assert "20261130T023000Z exists" in pod.run(clock.says("20261130T023000Z"), status=1)
    assert (pod.backups / "20261130T023000Z/data/other").read_bytes() == before


def test_what_is_the_same_takes_its_room_once(pod: BackupPod, clock: Clock) -> None:
    for night in (28, 29, 30):
        pod.run(clock.says(f"202611{night}T023000Z"))
    same = {(pod.backups / name / "data/in a folder/one ' \" $ ").stat().st_ino for name in pod.names}
    other = {(pod.backups / name / "data/other").stat().st_ino for name in pod.names}
    assert (len(pod.names), len(same), len(other)) == (3, 1, 3)


def test_what_rotted_in_the_one_before_is_told_and_not_taken_over(pod: BackupPod, clock: Clock) -> None:
    pod.run(clock.says("20261129T023000Z"))
    (pod.backups / "20261129T023000Z/data/in a folder/one ' \" $ ").write_text("two")
    said = pod.run(clock.says("20261130T023000Z"), status=1)
    assert "the backup 20261129T023000Z is damaged: in a folder/one ' \" $  is not what was written" in said
    require_whole(pod, "20261130T023000Z")


def test_a_name_that_breaks_a_line_is_refused(pod: BackupPod, clock: Clock) -> None:
    pod.script("take.sh", "touch \"$1/two\nlines\"; echo '{}'")
    said = pod.run(clock.says("20261130T023000Z"), status=1)
    assert "holds a line break" in said
    assert pod.names == []


def test_a_run_that_takes_too_long_is_ended_by_its_deadline(manifests: Manifests) -> None:
    """The deadline is the Job's, and what is cut short leaves the backup before: a slow target is told as a failure."""
    jobs = [m for m in manifests("prod") if m["kind"] == "CronJob"]
    assert len(jobs) == 3
    for cron_job in jobs:
        spec = at(cron_job, "spec")
        job = at(spec, "jobTemplate", "spec")
        assert spec["concurrencyPolicy"] == "Forbid"
        assert 0 < int(str(job["activeDeadlineSeconds"])) < 24 * 3600
        assert job["backoffLimit"] == 0
        assert int(str(spec["startingDeadlineSeconds"])) > 0


def test_a_backup_that_is_far_smaller_than_the_one_before_is_kept_and_told(pod: BackupPod, clock: Clock) -> None:
    """It may be of an empty server. So those that go by the retention stay, too."""
    pod.script("take.sh", 'head -c 1000 /dev/zero >"$1/file"\nprintf \'{"version":"7","facts":{}}\\n\'\n')
    old = [f"202610{day:02}T023000Z" for day in range(1, 31)]
    plant(pod, old)
    pod.run(clock.says("20261101T023000Z"))
    kept = pod.names
    assert len(kept) < len(old)
    pod.script("take.sh", 'head -c 499 /dev/zero >"$1/file"\nprintf \'{"version":"7","facts":{}}\\n\'\n')
    said = pod.run(clock.says("20261102T023000Z"), status=1)
    assert "error: the backup has 499 bytes, less than 50 percent of the 1000 of 20261101T023000Z before it." in said
    assert pod.names == [*kept, "20261102T023000Z"]
    require_whole(pod, "20261102T023000Z")
    # The next is compared with that, and the retention goes on.
    pod.run(clock.says("20261103T023000Z"))
    assert len(pod.names) < len(kept) + 2


@pytest.mark.parametrize(("size", "status"), [(500, 0), (499, 1)])
def test_half_of_the_one_before_is_enough(pod: BackupPod, clock: Clock, size: int, status: int) -> None:
    take = 'head -c SIZE /dev/zero >"$1/file"\nprintf \'{"version":"7","facts":{}}\\n\'\n'
    pod.script("take.sh", take.replace("SIZE", "1000"))
    pod.run(clock.says("20261101T023000Z"))
    pod.script("take.sh", take.replace("SIZE", str(size)))
    pod.run(clock.says("20261102T023000Z"), status=status)


def test_what_cannot_be_compared_is_not(pod: BackupPod, clock: Clock) -> None:
    pod.run(clock.says("20261101T023000Z"))
    manifest = pod.backups / "20261101T023000Z/manifest.json"
    manifest.write_text(manifest.read_text().replace('"bytes":', '"bits":'))
    pod.run(clock.says("20261102T023000Z"))


def test_of_what_a_task_logs_alloy_makes_the_size_of_the_backup(pod: BackupPod, manifests: Manifests) -> None:
    said = pod.run()
    (manifest,) = pod.listed()
    pipeline = Pipeline.of(manifests("prod"))
    lines = pipeline.read("redis-backup", "redis-backup", said)
    assert [line.metrics for line in lines if line.metrics] == [{"backup_bytes": manifest["bytes"]}]
    assert not any(line.metrics for line in pipeline.read("backend", "backend", said)), "Anybody could say so."
