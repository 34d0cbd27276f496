"""This module is the way to a cluster: the right context, an answer, and a word of consent before a change."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import cast

from mcpmesh_k8s.kubernetes import SCALERS, at, each, name_of

from .environment import Environment, Minikube, SharedCluster
from .programs import ConsentError, Kubectl, OperationError, captured, output, read_object, require, succeeds, told
from .rendered import RenderedPhase
from .terminal import show

CONTROLLERS = {
    "argoproj.io": "Argo CD",
    "autoscaling.k8s.io": "the VerticalPodAutoscaler, of which its recommender alone must run where nothing is changed",
    "bitnami.com": "the Sealed Secrets controller",
    "cert-manager.io": "cert-manager",
    "cilium.io": "Cilium, which is the network plugin of a cluster from its start",
    "external-secrets.io": "the External Secrets Operator",
    "gateway.networking.k8s.io": "the Gateway API, with a controller for it",
    "keda.sh": "KEDA",
    "policy.linkerd.io": "Linkerd, with its CNI plugin",
    "security.istio.io": "Istio, with its ambient mode",
}
"""Who brings the kinds of an API group that Kubernetes itself has not."""

METRICS = "v1beta1.metrics.k8s.io"
"""The API that says how much pods use. It is listed when its server does not answer, too."""


def choose_context(environment: Environment, given: str, environments: Sequence[Environment]) -> Kubectl:
    """Kubectl for the context of an environment, or for the one that was given instead.

    Raises:
        OperationError: There is no such context, or it is one that this environment must not touch.
    """
    require("kubectl")
    context = given or environment.cluster.context
    known = output(["kubectl", "config", "get-contexts", "--output=name"]).splitlines()
    if context not in known:
        advice = (
            f"Start the cluster: {environment.cluster.start}"
            if isinstance(environment.cluster, Minikube) and not given
            else "Give CONTEXT=<one of them>, or add it to the kubeconfig."
        )
        raise OperationError(f"kubectl has no context {context!r}, only: {', '.join(known) or 'none'}. {advice}")
    if isinstance(environment.cluster, SharedCluster) and is_minikube(context):
        raise OperationError(
            f"{context!r} is a minikube, and {environment.name} is never deployed to one. Give CONTEXT=<its cluster>."
        )
    for other in environments:
        theirs = other.cluster.context
        if not isinstance(other.cluster, SharedCluster) or other.name == environment.name or theirs not in known:
            continue
        # By its address too: a cluster may have contexts of several names.
        if context == theirs or server_of(context) == server_of(theirs):
            raise OperationError(
                f"{context!r} is the cluster of {other.name}, not of {environment.name}. Give another CONTEXT."
            )
    return Kubectl(context=context, namespace=environment.namespace)


def clusters_of(context: str) -> list[Mapping[str, object]]:
    """The cluster of a context, as the kubeconfig has it."""
    view = ["kubectl", "config", "view", "--minify", "--context", context, "--output=json"]
    return [at(cluster, "cluster") for cluster in each(read_object(view, output(view)), "clusters")]


def server_of(context: str) -> str:
    """The address of a context's cluster."""
    return " ".join(str(cluster.get("server")) for cluster in clusters_of(context))


def is_minikube(context: str) -> bool:
    """Whether minikube made the cluster of a context."""
    extensions = [
        at(extension, "extension").get("provider")
        for cluster in clusters_of(context)
        for extension in each(cluster, "extensions")
    ]
    return context == "minikube" or "minikube.sigs.k8s.io" in extensions


def complaint_about(environment: Environment, kubectl: Kubectl) -> str:
    """Why nothing can be done with the cluster, and what to do; empty when it answers.

    One that does not let you in, or is not in order, is not gone: no reason to start another, or to go on without.
    """
    result = captured(kubectl.command("get", "--raw=/readyz", "--request-timeout=10s"), allowed=(0, 1))
    # Who may not ask whether it is ready may still do other things.
    if not result.returncode or "(Forbidden)" in result.stderr:
        return ""
    said = told(result.stderr).removeprefix("error: ")
    cluster = f"The cluster of context {kubectl.context!r}"
    if "You must be logged in" in result.stderr:
        return f"{cluster} does not let you in ({said}): sign in to it again."
    if said.startswith("Error from server"):
        return f"{cluster} is not in order ({said}): wait, and give the command again."
    start = f" Start it: {environment.cluster.start}" if isinstance(environment.cluster, Minikube) else ""
    return f"{cluster} does not answer ({said}).{start}"


def require_answer(environment: Environment, kubectl: Kubectl) -> None:
    """Refuse to go on when the cluster does not answer."""
    if complaint := complaint_about(environment, kubectl):
        raise OperationError(complaint)


def require_consent(environment: Environment, kubectl: Kubectl, confirm: str) -> None:
    """Refuse to change a cluster that is no minikube without the environment's name as a word of consent.

    Raises:
        ConsentError: It was not given.
    """
    if confirm != environment.name and not is_minikube(kubectl.context):
        raise ConsentError(
            f"This changes {environment.name}, in {kubectl.context!r}. If you mean it: CONFIRM={environment.name}"
        )


def require_prerequisites(kubectl: Kubectl, phases: Sequence[RenderedPhase], advice: str = "") -> None:
    """Refuse to begin when the cluster lacks what the manifests need: kinds, classes of ingress and storage, metrics.

    Args:
        kubectl: The cluster.
        phases: What was rendered.
        advice: What else to do about it, as a sentence.

    Raises:
        OperationError: All that is missing, and what to install, in one line.
    """
    objects = [manifest for phase in phases for manifest in phase.objects]
    missing: list[str] = []
    served = set(kubectl.output("api-versions").split())
    for version in sorted({str(manifest["apiVersion"]) for manifest in objects} - served):
        kinds = sorted({str(manifest["kind"]) for manifest in objects if manifest["apiVersion"] == version})
        controller = CONTROLLERS.get(version.partition("/")[0], "its controller")
        missing.append(f"{', '.join(kinds)} ({version}): install {controller}")
    classes = {
        str(at(manifest, "spec").get("ingressClassName")) for manifest in objects if manifest["kind"] == "Ingress"
    }
    for name in sorted(classes):
        if not kubectl.read("ingressclass", name, "--ignore-not-found"):
            there = [line.partition("/")[2] for line in kubectl.output("get", "ingressclass", "--output=name").split()]
            instead = f"or let the settings name one that is there ({', '.join(there)})" if there else "there is none"
            missing.append(f"IngressClass {name}: install an ingress controller whose class has this name, {instead}")
    if needs_default_storage_class(objects):
        found = kubectl.read("storageclass")
        if not any(is_default(storage_class) for storage_class in each(found, "items")):
            missing.append("a default StorageClass: mark one, or name it in the settings")
    for driver in storage_drivers(objects):
        if not kubectl.read("csidriver", driver, "--ignore-not-found"):
            missing.append(f"CSIDriver {driver}: install the driver, or let the settings name one that is there")
    if measures_pods(objects) and not is_available(kubectl, METRICS):
        missing.append(f"the metrics API ({METRICS}), which autoscalers read: install metrics-server")
    if missing:
        raise OperationError(
            f"The cluster of context {kubectl.context!r} lacks {'; '.join(missing)}. {advice}".rstrip()
        )


def needs_default_storage_class(objects: Sequence[object]) -> bool:
    """Whether a claim leaves its storage class to the cluster."""
    claims = [manifest for manifest in objects if at(manifest).get("kind") == "PersistentVolumeClaim"]
    templates = [template for manifest in objects for template in each(manifest, "spec", "volumeClaimTemplates")]
    return any("storageClassName" not in at(claim, "spec") for claim in [*claims, *templates])


def storage_drivers(objects: Sequence[object]) -> list[str]:
    """The drivers of the classes of storage that are rendered."""
    return sorted({str(at(one)["provisioner"]) for one in objects if at(one).get("kind") == "StorageClass"})


def measures_pods(objects: Sequence[object]) -> bool:
    """Whether an autoscaler reads how much CPU or memory pods use."""
    scalers = [manifest for manifest in objects if at(manifest).get("kind") in SCALERS]
    measures = [one for manifest in scalers for key in ("metrics", "triggers") for one in each(manifest, "spec", key)]
    return any(one.get("type") in ("Resource", "ContainerResource", "cpu", "memory") for one in measures) or any(
        at(manifest).get("kind") == "VerticalPodAutoscaler" for manifest in objects
    )


def is_available(kubectl: Kubectl, service: str) -> bool:
    """Whether an API that another program serves is there, and answers."""
    conditions = each(kubectl.read("apiservice", service, "--ignore-not-found"), "status", "conditions")
    return any(one.get("type") == "Available" and one.get("status") == "True" for one in conditions)


def is_default(storage_class: object) -> bool:
    """Whether claims that name no class get this one."""
    annotations = at(storage_class, "metadata", "annotations")
    return annotations.get("storageclass.kubernetes.io/is-default-class") == "true"


def require_namespace(environment: Environment, kubectl: Kubectl) -> None:
    """Refuse to go on before the namespace was made, or while it is deleted."""
    if not has_namespace(kubectl):
        raise OperationError(
            f"Context {kubectl.context!r} has no namespace {kubectl.namespace!r}: make k8s-setup ENV={environment.name}"
        )


def has_namespace(kubectl: Kubectl) -> bool:
    """Whether the namespace is there.

    Raises:
        OperationError: Someone deletes it: what is in it goes, and nothing can be made in it.
    """
    found = kubectl.read("namespace", kubectl.namespace, "--ignore-not-found")
    if at(found, "status").get("phase") == "Terminating":
        look = shlex.join(["kubectl", "--context", kubectl.context, "describe", "namespace", kubectl.namespace])
        raise OperationError(
            f"Namespace {kubectl.namespace!r} of context {kubectl.context!r} is being deleted. Wait until it is gone, "
            f"then begin with make k8s-setup. What holds it up: {look}"
        )
    return bool(found)


def require_no_self_heal(kubectl: Kubectl) -> None:
    """Refuse a change that ArgoCD would undo at once."""
    argocd = Kubectl(context=kubectl.context, namespace="argocd")
    look = argocd.command("get", "applications.argoproj.io", "--ignore-not-found", "--output=json")
    found = captured(look, allowed=(0, 1))
    if found.returncode:
        if "the server doesn't have a resource type" not in found.stderr:
            show(f"Whether ArgoCD syncs this by itself cannot be seen: {found.stderr.strip()}")
        return
    if not found.stdout.strip():
        return
    for application in each(read_object(look, found.stdout), "items"):
        here = at(application, "spec", "destination").get("namespace") == kubectl.namespace
        if here and at(application, "spec", "syncPolicy", "automated"):
            name = name_of(cast("dict[str, object]", application))
            raise OperationError(
                f"ArgoCD would undo this: its Application {name!r} syncs by itself. Stop it first: "
                f"kubectl --context {kubectl.context} --namespace argocd patch application {name} --type=merge "
                '--patch \'{"spec":{"syncPolicy":{"automated":null}}}\''
            )


def use_context(environment: Environment, kubectl: Kubectl) -> None:
    """Make sure that the cluster runs, and make its context the current one."""
    if isinstance(environment.cluster, Minikube) and kubectl.context == environment.cluster.context:
        require("minikube")
        if not succeeds(["minikube", "--profile", environment.cluster.profile, "status"]):
            raise OperationError(
                f"minikube profile {environment.cluster.profile!r} is not running: {environment.cluster.start}"
            )
    require_answer(environment, kubectl)
    output(["kubectl", "config", "use-context", kubectl.context])
    show(f"kubectl uses context {kubectl.context!r} from now on. Our own commands name theirs each time.")
