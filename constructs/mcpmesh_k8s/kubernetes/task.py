"""This module is work that ends: a Job, or one at each time of a schedule, with an identity and a policy of its own."""

from __future__ import annotations

from constructs import Construct

from .api import k8s
from .choice import Choice
from .errors import SettingError
from .manifest import Manifest
from .names import dns_label
from .pod import IGNORE_HEALTH, Pod, PodOptions, PodSettings
from .schedule import Schedule
from .values import dataclass

MAX_CRON_JOB = 52
"""Characters of a CronJob's name: its Jobs' have eleven more."""


class Hook(Choice):
    """When ArgoCD runs a task, at each sync.

    A Job cannot be changed, so ArgoCD runs it as a hook that replaces the last one. It is never a PostSync hook: ArgoCD
    would not run it before every object is healthy, those too that it takes for degraded at first.
    """

    SYNC = "Sync", "With the other objects of its phase. The next phase starts when it has succeeded."
    AFTER_ALL = (
        "after all",
        "After everything is deployed and healthy, and before people are let in for the first time.",
    )


@dataclass(frozen=True, kw_only=True)
class TaskOptions(PodOptions):
    """What every task takes, whatever it does.

    Args:
        priority_class: The name of a PriorityClass of the application; the cluster's default unless given.
    """

    priority_class: str = ""


@dataclass(frozen=True, kw_only=True)
class TaskSettings(PodSettings, TaskOptions):
    """A piece of work that ends by itself.

    Args:
        deadline_seconds: Seconds after which it has failed.
        retries: How often a failed container is started again. With 0 the failed pod is kept, and its log with it. With
            a schedule it is a new pod each time, and one that a drain or an eviction ended is not counted.
        keep_seconds: Seconds that the finished Job is kept for its logs.
        hook: When ArgoCD runs it.
        schedule: When it runs by itself; at each deployment unless given.
    """

    deadline_seconds: int = 600
    retries: int = 6
    keep_seconds: int = 3600
    hook: Hook = Hook.SYNC
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        """Refuse a task that cannot run."""
        super().__post_init__()
        if self.deadline_seconds < 1 or self.retries < 0 or self.keep_seconds < 0:
            raise SettingError(f"{self.name}", self, "Give a deadline of 1 or more, and no negative number.")
        if self.schedule and self.hook is not Hook.SYNC:
            raise SettingError(f"{self.name} hook", self.hook, "It has a schedule, which alone says when it runs.")


class Task(Pod):
    """A Job, or a CronJob where it has a schedule. It can be repeated: its pod must find done what is done.

    Args:
        scope: A Phase, or a construct inside one.
        settings: What runs.
    """

    def __init__(self, scope: Construct, settings: TaskSettings) -> None:
        super().__init__(scope, settings)
        self.hook = settings.hook
        """When ArgoCD runs it."""
        self.schedule = settings.schedule
        """When it runs by itself; at each deployment where there is none."""
        self._task = settings
        if self.schedule:
            dns_label(f"{type(self).__name__} name", self.full_name, MAX_CRON_JOB)

    @property
    def kind(self) -> str:
        """A Job runs it, or a CronJob makes one each time."""
        return "CronJob" if self.schedule else "Job"

    @property
    def priority_class(self) -> str:
        """The name of its PriorityClass, without the namespace's prefix; the cluster's default when empty."""
        return self._task.priority_class

    @property
    def wave(self) -> int:
        """That of its phase, or after all phases.

        What has a schedule comes last: ArgoCD takes a CronJob whose last run failed for degraded, and a claim that
        nothing mounted yet for unfinished, and a wave that it waits for would fail by that or have no end.
        """
        if self.schedule:
            return self.application.last_waves[1]
        return super().wave if self.hook is Hook.SYNC else self.application.last_waves[0]

    def manifests(self) -> list[Manifest]:
        """All its objects."""
        return [
            *self.identity(),
            *self.config_maps(),
            *self.claim_manifests(),
            *self.network_policies(),
            self.cron_job(self.schedule) if self.schedule else self.job(),
        ]

    def claim_annotations(self) -> dict[str, str]:
        """Before the first run of a schedule nothing mounts a claim, and the application is healthy all the same."""
        return super().claim_annotations() | (IGNORE_HEALTH if self.schedule else {})

    def job(self) -> Manifest:
        """The Job."""
        return k8s.KubeJob.manifest(
            metadata=self.metadata(
                annotations=self.annotations(
                    ("argocd.argoproj.io/hook", "Sync"),
                    ("argocd.argoproj.io/hook-delete-policy", "BeforeHookCreation"),
                )
            ),
            spec=self._job_spec("OnFailure" if self._task.retries else "Never"),
        )

    def cron_job(self, schedule: Schedule) -> Manifest:
        """The CronJob. An alert tells of a run that failed; the health of the application is not that of last night."""
        disrupted = k8s.PodFailurePolicyOnPodConditionsPattern(type="DisruptionTarget", status="True")
        return k8s.KubeCronJob.manifest(
            metadata=self.metadata(annotations=self.annotations(*IGNORE_HEALTH.items())),
            spec=k8s.CronJobSpec(
                schedule=schedule.cron,
                time_zone=schedule.time_zone,
                concurrency_policy="Forbid",
                starting_deadline_seconds=schedule.starting_deadline_seconds,
                successful_jobs_history_limit=schedule.keep_succeeded,
                failed_jobs_history_limit=schedule.keep_failed,
                suspend=False,
                job_template=k8s.JobTemplateSpec(
                    spec=self._job_spec(
                        "Never",
                        k8s.PodFailurePolicy(
                            rules=[k8s.PodFailurePolicyRule(action="Ignore", on_pod_conditions=[disrupted])]
                        ),
                    ),
                ),
            ),
        )

    def _job_spec(self, restart_policy: str, failures: k8s.PodFailurePolicy | None = None) -> k8s.JobSpec:
        return k8s.JobSpec(
            active_deadline_seconds=self._task.deadline_seconds,
            backoff_limit=self._task.retries,
            pod_failure_policy=failures,
            ttl_seconds_after_finished=self._task.keep_seconds,
            template=self.pod_template(restart_policy=restart_policy),
        )
