"""This module is ArgoCD: the AppProject, the Applications and the ApplicationSets that deploy what is rendered."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    GROUND_WAVE,
    SCALERS,
    ApiObjectMetadata,
    Application,
    Component,
    Manifest,
    Objects,
    SettingError,
    argoproj,
    at,
    dataclass,
    dns_label,
    scaled_by,
)

_REPOSITORY = re.compile(r"(https://|ssh://([\w.-]+@)?|[\w.-]+@)[A-Za-z0-9.-]+(:\d+)?[:/][\w./~-]+", re.ASCII)
_CREDENTIALS = re.compile(r"https?://[^/]*@|ssh://[^/@]*:[^/]*@")
_REVISION = re.compile(r"[A-Za-z0-9][\w./+-]*", re.ASCII)
_SERVER = re.compile(r"https://[A-Za-z0-9.-]+(:\d+)?(/[\w./-]*)?", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9]([\w./-]*[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ClusterServer:
    """A cluster by the URL of its API server.

    Args:
        server: The URL; the cluster that ArgoCD runs in unless given.
    """

    server: str = "https://kubernetes.default.svc"

    def __post_init__(self) -> None:
        """Refuse what is no URL."""
        if not _SERVER.fullmatch(self.server):
            raise SettingError(
                "ClusterServer.server", self.server, "Give an https URL, such as 'https://kubernetes.default.svc'."
            )


@dataclass(frozen=True, kw_only=True)
class ClusterName:
    """A cluster by its name in ArgoCD, as ``argocd cluster list`` shows it.

    Args:
        name: The name.
    """

    name: str

    def __post_init__(self) -> None:
        """Refuse what is no name."""
        if not _LABEL.fullmatch(self.name):
            raise SettingError(
                "ClusterName.name", self.name, "Give the cluster's name in ArgoCD, such as 'production'."
            )


@dataclass(frozen=True, kw_only=True)
class ClusterSelector:
    """Every cluster that ArgoCD knows and that carries some labels: an ApplicationSet makes an Application for each.

    Args:
        labels: The labels of the cluster's Secret in ArgoCD, as ``(key, value)``.
    """

    labels: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        """Refuse a selector that selects every cluster, or none."""
        for text in [part for label in self.labels for part in label] or [""]:
            if not _LABEL.fullmatch(text):
                raise SettingError(
                    "ClusterSelector.labels", self.labels, "Give at least one label, such as ('environment', 'prod')."
                )


Destination = ClusterServer | ClusterName | ClusterSelector
"""Where an application is deployed."""


@dataclass(frozen=True, kw_only=True)
class Automated:
    """ArgoCD syncs each new commit by itself.

    Args:
        prune: Whether objects that are gone from the repository are deleted. Namespace and claims never are.
        self_heal: Whether a change in the cluster is undone.
    """

    prune: bool = True
    self_heal: bool = True


@dataclass(frozen=True, kw_only=True)
class Manual:
    """ArgoCD shows what differs, and a person syncs."""


@dataclass(frozen=True, kw_only=True)
class ArgoCdProjectSettings:
    """An AppProject.

    Args:
        repo_url: The repository that holds the manifests, by HTTPS or SSH. Credentials are given to ArgoCD itself.
        description: What the project is.
    """

    repo_url: str
    description: str = ""

    def __post_init__(self) -> None:
        """Refuse a repository that ArgoCD cannot read, or that tells its password."""
        if _CREDENTIALS.match(self.repo_url):
            raise SettingError(
                "ArgoCdProjectSettings.repo_url",
                "(not shown)",
                "It holds credentials, which would end in git. Give it without; ArgoCD has a Secret for them.",
            )
        if not _REPOSITORY.fullmatch(self.repo_url):
            raise SettingError(
                "ArgoCdProjectSettings.repo_url",
                self.repo_url,
                "Give 'https://…' or 'ssh://…', such as 'https://git.example.com/shop.git'.",
            )


@dataclass(frozen=True, kw_only=True)
class ArgoCdSettings:
    """How ArgoCD deploys one environment of an application.

    Args:
        target_revision: The branch, tag or commit that is deployed.
        path: The folder in the repository that holds the manifests, such as ``dist/prod``.
        destination: The cluster, or the clusters.
        sync: Whether ArgoCD syncs by itself.
        name: The Application's name, without the prefix; the folder's unless given. One folder that is deployed to
            several clusters, each at a revision of its own, has an Application for each. Where all of them are to be
            at one revision, a `ClusterSelector` is shorter.
    """

    target_revision: str
    path: str
    destination: Destination
    sync: Automated | Manual = Manual()
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse a revision that says nothing, and a path that leaves the repository."""
        if not _REVISION.fullmatch(self.target_revision) or ".." in self.target_revision:
            raise SettingError(
                "ArgoCdSettings.target_revision",
                self.target_revision,
                "Give a branch, a tag or a commit, such as 'main'.",
            )
        if self.target_revision == "HEAD":
            raise SettingError(
                "ArgoCdSettings.target_revision",
                self.target_revision,
                "It is whatever the repository's default branch is on that day. Name the branch, a tag or a commit.",
            )
        if self.name:
            dns_label("ArgoCdSettings.name", self.name)
        parts = PurePosixPath(self.path).parts
        if not parts or ".." in parts or not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", self.path):
            raise SettingError(
                "ArgoCdSettings.path", self.path, "Give a folder inside the repository, such as 'dist/prod'."
            )


class ArgoCdProject(Component):
    """The AppProject: one repository, the namespaces of its Applications, and the kinds that they render.

    It belongs into an Application of its own, whose namespace is ArgoCD's.

    Args:
        scope: A Phase.
        settings: The repository.
    """

    def __init__(self, scope: Construct, settings: ArgoCdProjectSettings) -> None:
        super().__init__(scope, "project", "project")
        self.settings = settings
        self._deployed: list[ArgoCdApplication] = []

    @property
    def project_name(self) -> str:
        """The AppProject's name."""
        return self.application.settings.name

    @property
    def wave(self) -> int:
        """Before the Applications, which belong to it."""
        return GROUND_WAVE

    def admit(self, deployed: ArgoCdApplication) -> None:
        """Take an Application up; it calls this itself.

        Raises:
            SettingError: Another Application has the same destination: each would undo what the other does.
        """
        for present in self._deployed:
            if (present.settings.destination, present.deployed.settings.namespace) == (
                deployed.settings.destination,
                deployed.deployed.settings.namespace,
            ):
                raise SettingError(
                    f"ArgoCdSettings.destination of {deployed.name!r}",
                    deployed.settings.destination,
                    f"{present.name!r} has the same cluster and namespace. Give each its own.",
                )
        self._deployed.append(deployed)

    def kinds(self) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """The kinds, as ``(group, kind)``, that its Applications need: without a namespace, and with one."""
        cluster: set[tuple[str, str]] = set()
        namespaced: set[tuple[str, str]] = set()
        for deployed in self._deployed:
            for manifest in deployed.rendered():
                group = str(manifest["apiVersion"]).rpartition("/")[0]
                kind = (group, str(manifest["kind"]))
                if "namespace" in at(manifest, "metadata"):
                    namespaced |= {kind, *_MADE_OF.get(kind, ())}
                else:
                    cluster.add(kind)
        return cluster, namespaced

    def manifests(self) -> list[Manifest]:
        """The AppProject.

        It has no finalizer. The one that ArgoCD takes off a project again has a name without a path, of which every API
        server warns; of its other forms ArgoCD knows only those of Applications, and would never take them off. Without
        the project, its Applications say so and deploy nothing more; what runs goes on.
        """
        cluster, namespaced = self.kinds()
        manifest = argoproj.AppProject.manifest(
            metadata=ApiObjectMetadata(
                name=self.project_name,
                namespace=self.namespace,
                labels=self.labels(),
            ),
            spec=argoproj.AppProjectSpec(
                description=self.settings.description or None,
                source_repos=[self.settings.repo_url],
                destinations=[
                    argoproj.AppProjectSpecDestinations(
                        server=deployed.allowed_server,
                        name=deployed.allowed_name,
                        namespace=deployed.deployed.settings.namespace,
                    )
                    for deployed in self._deployed
                ],
                cluster_resource_whitelist=[
                    argoproj.AppProjectSpecClusterResourceWhitelist(group=group, kind=kind)
                    for group, kind in sorted(cluster)
                ],
                namespace_resource_whitelist=[
                    argoproj.AppProjectSpecNamespaceResourceWhitelist(group=group, kind=kind)
                    for group, kind in sorted(namespaced)
                ],
                orphaned_resources=argoproj.AppProjectSpecOrphanedResources(warn=True),
            ),
        )
        return [manifest]


_MADE_OF = {
    ("apps", "Deployment"): (("apps", "ReplicaSet"), ("", "Pod")),
    ("apps", "StatefulSet"): (("", "PersistentVolumeClaim"), ("", "Pod")),
    ("batch", "CronJob"): (("batch", "Job"), ("", "Pod")),
    ("batch", "Job"): (("", "Pod"),),
}
"""What controllers make: ArgoCD hides objects of a kind that the project does not name, and pods' logs with them."""


class ArgoCdApplication(Component):
    """The ArgoCD Application of one environment; for a ClusterSelector, the ApplicationSet that makes them.

    Nothing is deleted from the cluster with it: it has no finalizer.

    Args:
        scope: A Phase, in the same Application as the project.
        settings: Revision, folder, cluster and sync.
        project: The project it belongs to.
        deployed: What it deploys: an Application whose folder has the name of the last part of ``path``.
    """

    def __init__(
        self, scope: Construct, settings: ArgoCdSettings, project: ArgoCdProject, deployed: Application
    ) -> None:
        folder = dns_label("Application outdir", deployed.directory.name)
        name = settings.name or folder
        super().__init__(scope, name, name)
        if PurePosixPath(settings.path).name != folder:
            raise SettingError(
                f"ArgoCdSettings.path of {name!r}", settings.path, f"Give a folder with the name {folder!r}."
            )
        self.settings = settings
        self.project = project
        self.deployed = deployed
        project.admit(self)

    @property
    def allowed_server(self) -> str | None:
        """The cluster's URL as the project names it: any for a selector, and none where the cluster has a name."""
        destination = self.settings.destination
        if isinstance(destination, ClusterServer):
            return destination.server
        return "*" if isinstance(destination, ClusterSelector) else None

    @property
    def allowed_name(self) -> str | None:
        """The cluster's name as the project names it."""
        destination = self.settings.destination
        return destination.name if isinstance(destination, ClusterName) else None

    def rendered(self) -> list[Manifest]:
        """Everything that it deploys."""
        return [manifest for phase in self.deployed.manifests().values() for manifest in phase]

    def manifests(self) -> list[Manifest]:
        """The Application, or the ApplicationSet."""
        destination = self.settings.destination
        annotations = {
            # What the API server would make of the manifests is compared, so defaults are no differences.
            "argocd.argoproj.io/compare-options": "ServerSideDiff=true",
        }
        application = argoproj.Application.manifest(
            metadata=ApiObjectMetadata(
                name=self.full_name, namespace=self.namespace, labels=self.labels(), annotations=annotations
            ),
            spec=self.spec(),
        )
        if not isinstance(destination, ClusterSelector):
            return [application]
        many = argoproj.ApplicationSet.manifest(
            metadata=ApiObjectMetadata(name=self.full_name, namespace=self.namespace, labels=self.labels()),
            spec=argoproj.ApplicationSetSpec(
                go_template=True,
                go_template_options=["missingkey=error"],
                generators=[
                    argoproj.ApplicationSetSpecGenerators(
                        clusters=argoproj.ApplicationSetSpecGeneratorsClusters(
                            selector=argoproj.ApplicationSetSpecGeneratorsClustersSelector(
                                match_labels=dict(destination.labels)
                            )
                        )
                    )
                ],
                # Neither a cluster that loses its label nor the end of the ApplicationSet takes anything down.
                sync_policy=argoproj.ApplicationSetSpecSyncPolicy(preserve_resources_on_deletion=True),
                template=argoproj.ApplicationSetSpecTemplate(
                    metadata=argoproj.ApplicationSetSpecTemplateMetadata(
                        name=f"{self.full_name}-{{{{.nameNormalized}}}}", labels=self.labels(), annotations=annotations
                    ),
                    spec=application["spec"],
                ),
            ),
        )
        return [many]

    def spec(self) -> argoproj.ApplicationSpec:
        """The Application's spec."""
        destination, sync = self.settings.destination, self.settings.sync
        differences = self.scaled_by_others()
        return argoproj.ApplicationSpec(
            project=self.project.project_name,
            source=argoproj.ApplicationSpecSource(
                repo_url=self.project.settings.repo_url,
                target_revision=self.settings.target_revision,
                path=self.settings.path,
                directory=argoproj.ApplicationSpecSourceDirectory(recurse=True),
            ),
            destination=argoproj.ApplicationSpecDestination(
                server="{{.server}}" if isinstance(destination, ClusterSelector) else self.allowed_server,
                name=self.allowed_name,
                namespace=self.deployed.settings.namespace,
            ),
            sync_policy=argoproj.ApplicationSpecSyncPolicy(
                automated=argoproj.ApplicationSpecSyncPolicyAutomated(prune=sync.prune, self_heal=sync.self_heal)
                if isinstance(sync, Automated)
                else None,
                # Without ApplyOutOfSyncOnly: a wave would then wait only for what has changed.
                sync_options=[
                    # The namespace is one of the manifests.
                    "CreateNamespace=false",
                    # An object that another Application has is refused, and not fought over.
                    "FailOnSharedResource=true",
                    # What is gone is deleted when what takes its place is healthy.
                    "PruneLast=true",
                    "ServerSideApply=true",
                ],
                retry=argoproj.ApplicationSpecSyncPolicyRetry(
                    limit=5,
                    backoff=argoproj.ApplicationSpecSyncPolicyRetryBackoff(duration="30s", factor=2, max_duration="5m"),
                ),
            ),
            ignore_differences=[
                argoproj.ApplicationSpecIgnoreDifferences(
                    group="apps", kind=kind, name=name, json_pointers=["/spec/replicas"]
                )
                for kind, name in differences
            ]
            or None,
        )

    def scaled_by_others(self) -> list[tuple[str, str]]:
        """The workloads, as ``(kind, name)``, whose replicas belong to an autoscaler.

        Their manifests leave the replicas out, so no sync sets them. RespectIgnoreDifferences would: it copies the live
        number into what is applied, and makes ArgoCD its owner.
        """
        return sorted(scaled_by(manifest)[:2] for manifest in Objects(self.rendered()).of(*SCALERS))
