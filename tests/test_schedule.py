"""This module is the proof that a task may run by the clock, and that a schedule that cannot be is refused."""

from dataclasses import replace

import kubernetes_validate
import pytest

from ai_interviewer import PROD, AiInterviewer
from conftest import at_each, close
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Claim,
    Compute,
    Container,
    Hook,
    Image,
    Phase,
    Placement,
    PodExtras,
    Schedule,
    SettingError,
    Task,
    TaskSettings,
    User,
)
from mcpmesh_k8s.kubernetes.manifest import at

MAIN = Container(
    name="clean",
    image=Image(repository="acme/shop", tag="1.2.3"),
    user=User(uid=1000, gid=1000),
    compute=Compute(cpu="100m", memory="64Mi"),
    volumes=(Claim(size="1Gi"),),
)
NIGHTLY = TaskSettings(name="clean", container=MAIN, schedule=Schedule(cron="30 2 * * *", time_zone="Europe/Berlin"))


def shop() -> Phase:
    phase = Phase(Application(ApplicationSettings(name="shop"), outdir="unused"), "all")
    close(phase)
    return phase


def test_a_task_with_a_schedule_is_a_cron_job() -> None:
    phase = shop()
    Task(phase, NIGHTLY)
    rendered = {str(m["kind"]): m for m in Application.of(phase).manifests()["all"]}
    cron_job = rendered["CronJob"]
    spec = at(cron_job, "spec")
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("30 2 * * *", "Europe/Berlin", "Forbid")
    assert (spec["startingDeadlineSeconds"], spec["suspend"]) == (3600, False)
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (1, 3)
    job = at(spec, "jobTemplate", "spec")
    assert (job["activeDeadlineSeconds"], job["ttlSecondsAfterFinished"]) == (600, 3600)
    assert at(job, "template", "spec")["restartPolicy"] == "Never"
    # A node that is drained, or a more important pod, is no failure of it.
    assert at(job, "podFailurePolicy")["rules"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    ]
    kubernetes_validate.validate(dict(cron_job), "1.27", strict=True)
    # It brings its claim, and ArgoCD waits for neither.
    for manifest in (cron_job, rendered["PersistentVolumeClaim"]):
        notes = at(manifest, "metadata", "annotations")
        assert notes["argocd.argoproj.io/ignore-healthcheck"] == "true"
        assert notes["argocd.argoproj.io/sync-wave"] == "2"


def test_a_task_without_is_the_job_it_was() -> None:
    phase = shop()
    Task(phase, replace(NIGHTLY, schedule=None, container=replace(MAIN, volumes=())))
    kinds = [m["kind"] for m in Application.of(phase).manifests()["all"]]
    assert "Job" in kinds
    assert "CronJob" not in kinds


DAY = 24 * 3600


@at_each(
    ("cron", "gap"),
    [
        ("30 2 * * *", DAY),
        ("*/15 * * * *", 15 * 60),
        ("0 */6 * * *", 6 * 3600),
        ("5/20 * * * *", 20 * 60),
        ("0,30 8-17 * * 1-5", (2 * 24 + 14) * 3600 + 1800),
        ("0 3 * * 0", 7 * DAY),
        ("0 3 1 * *", 31 * DAY),
        ("0 3 1 1 *", 366 * DAY),
        ("0 3 31 * *", 61 * DAY),
        # Where both kinds of days are named, either is enough: from the 15th to a Monday is six days at most.
        ("0 3 15 * 1", 7 * DAY),
        # A step of a star is a star: both must be.
        ("0 3 */1 * 1", 7 * DAY),
    ],
)
def test_the_longest_time_between_two_runs_follows_from_the_schedule(cron: str, gap: int) -> None:
    assert Schedule(cron=cron).longest_gap == gap


@at_each(
    ("given", "said"),
    [
        ({"cron": ""}, "five fields"),
        ({"cron": "0 3 * *"}, "five fields"),
        ({"cron": "@daily"}, "five fields"),
        ({"cron": "TZ=UTC 0 3 * * *"}, "five fields"),
        ({"cron": "60 3 * * *"}, "Schedule.cron minute: '60' was given. Give 0 to 59"),
        ({"cron": "0 24 * * *"}, "Schedule.cron hour"),
        ({"cron": "0 3 0 * *"}, "Schedule.cron day"),
        ({"cron": "0 3 * 13 *"}, "Schedule.cron month"),
        ({"cron": "0 3 * * 7"}, "Schedule.cron weekday: '7' was given. Give 0 to 6"),
        ({"cron": "0 3 * * MON"}, "Schedule.cron weekday"),
        ({"cron": "*/0 3 * * *"}, "Schedule.cron minute"),
        ({"cron": "30-10 3 * * *"}, "Schedule.cron minute"),
        ({"cron": "1,,2 3 * * *"}, "Schedule.cron minute"),
        ({"cron": "0 3 31 2 *"}, "There is no such day"),
        ({"cron": "0 3 29 2 *"}, ""),
        ({"time_zone": "Local"}, "Schedule.time_zone"),
        ({"time_zone": ""}, "Schedule.time_zone"),
        ({"time_zone": "Europe/Berln"}, "Schedule.time_zone"),
        ({"time_zone": "../etc/passwd"}, "Schedule.time_zone"),
        ({"starting_deadline_seconds": 9}, "Give 10 or more"),
        ({"keep_failed": -1}, "Keep 0 Jobs or more"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(given: dict[str, object], said: str) -> None:
    if not said:
        assert Schedule(**given).longest_gap > 1400 * DAY  # type: ignore[arg-type]
        return
    with pytest.raises(SettingError, match=said.replace(".", r"\.")):
        Schedule(**{"cron": "0 3 * * *", **given})  # type: ignore[arg-type]


def test_a_schedule_says_alone_when_a_task_runs() -> None:
    with pytest.raises(SettingError, match="It has a schedule, which alone says when it runs"):
        replace(NIGHTLY, hook=Hook.AFTER_ALL)


def test_a_name_that_leaves_its_jobs_none_is_refused() -> None:
    with pytest.raises(SettingError, match="52"):
        Task(shop(), replace(NIGHTLY, name="c" * 48))


def test_an_alert_is_late_by_the_schedule() -> None:
    """Weekly backups are not stale after a day."""
    assert PROD.redis.backup
    weekly = replace(PROD.redis.backup, schedule=Schedule(cron="0 3 * * 0"))
    application = AiInterviewer(replace(PROD, redis=replace(PROD.redis, backup=weekly)), outdir="unused")
    said = {
        alert.name: alert.expression
        for task in application.find_all(Task)
        for alert in task.alerts[:1]
        if task.name == "redis-backup"
    }
    assert said["BackupStale"].endswith(f"> {7 * DAY + 3600 + 3 * 3600 + 3600}")


def test_a_backup_runs_where_its_server_may() -> None:
    placed = PodExtras(placement=Placement(node_selector=(("disk", "fast"),)), image_pull_secrets=("mirror",))
    application = AiInterviewer(replace(PROD, redis=replace(PROD.redis, extras=placed)), outdir="unused")
    (task,) = [task for task in application.find_all(Task) if task.name == "redis-backup"]
    assert task.extras == placed
