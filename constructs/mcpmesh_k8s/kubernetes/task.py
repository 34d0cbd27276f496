"""This module is work that ends: a Job with a pod, an identity and a policy of its own."""

from __future__ import annotations

from constructs import Construct

from .api import k8s
from .choice import Choice
from .errors import SettingError
from .manifest import Manifest
from .pod import Pod, PodOptions, PodSettings
from .values import dataclass


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
        retries: How often a failed container is started again. With 0 the failed pod is kept, and its log with it.
        keep_seconds: Seconds that the finished Job is kept for its logs.
        hook: When ArgoCD runs it.
    """

    deadline_seconds: int = 600
    retries: int = 6
    keep_seconds: int = 3600
    hook: Hook = Hook.SYNC

    def __post_init__(self) -> None:
        """Refuse a task that cannot run."""
        super().__post_init__()
        if self.deadline_seconds < 1 or self.retries < 0 or self.keep_seconds < 0:
            raise SettingError(f"{self.name}", self, "Give a deadline of 1 or more, and no negative number.")


class Task(Pod):
    """A Job. It can be repeated at any time: its pod must find done what is done.

    Args:
        scope: A Phase, or a construct inside one.
        settings: What runs.
    """

    def __init__(self, scope: Construct, settings: TaskSettings) -> None:
        super().__init__(scope, settings)
        self.hook = settings.hook
        """When ArgoCD runs it."""
        self._task = settings

    @property
    def kind(self) -> str:
        """A Job runs it."""
        return "Job"

    @property
    def priority_class(self) -> str:
        """The name of its PriorityClass, without the namespace's prefix; the cluster's default when empty."""
        return self._task.priority_class

    @property
    def wave(self) -> int:
        """That of its phase, or after all phases."""
        return super().wave if self.hook is Hook.SYNC else self.application.last_waves[0]

    def manifests(self) -> list[Manifest]:
        """All its objects."""
        return [*self.identity(), *self.config_maps(), *self.network_policies(), self.job()]

    def job(self) -> Manifest:
        """The Job."""
        return k8s.KubeJob.manifest(
            metadata=self.metadata(
                annotations=self.annotations(
                    ("argocd.argoproj.io/hook", "Sync"),
                    ("argocd.argoproj.io/hook-delete-policy", "BeforeHookCreation"),
                )
            ),
            spec=k8s.JobSpec(
                active_deadline_seconds=self._task.deadline_seconds,
                backoff_limit=self._task.retries,
                ttl_seconds_after_finished=self._task.keep_seconds,
                template=self.pod_template(restart_policy="OnFailure" if self._task.retries else "Never"),
            ),
        )
