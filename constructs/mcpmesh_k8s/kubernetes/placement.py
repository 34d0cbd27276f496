"""This module is placement: on which nodes pods may run, and beside which others, in the terms of Kubernetes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from .api import k8s
from .errors import SettingError
from .labels import label_key, label_pairs, label_value
from .names import dns_label, dns_subdomain, once
from .values import dataclass

_SET = ("In", "NotIn")
_PRESENCE = ("Exists", "DoesNotExist")
_NUMBER = ("Gt", "Lt")
_EFFECTS = ("", "NoSchedule", "PreferNoSchedule", "NoExecute")


def _one_of(where: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise SettingError(where, given, f"Give one of {', '.join(map(repr, known))}.")


def _requirement(where: str, key: str, operator: str, values: tuple[str, ...]) -> None:
    """Refuse what the API server would refuse of an operator and its values."""
    label_key(f"{where}.key", key)
    if operator in _SET and not values:
        raise SettingError(f"{where}.values of {key!r}", values, f"{operator} needs at least one value.")
    if operator in _PRESENCE and values:
        raise SettingError(f"{where}.values of {key!r}", values, f"{operator} takes none.")
    if operator in _NUMBER and not (len(values) == 1 and values[0].isascii() and values[0].isdecimal()):
        raise SettingError(f"{where}.values of {key!r}", values, f"{operator} takes one whole number, such as ('4',).")
    for value in values:
        label_value(f"{where}.values of {key!r}", value)


@dataclass(frozen=True, kw_only=True)
class Toleration:
    """What lets pods onto nodes that a taint keeps others from.

    Args:
        key: The taint's key; every taint with ``Exists`` and no key.
        operator: ``Equal`` for a taint with this value, ``Exists`` for any value.
        value: The taint's value, with ``Equal``.
        effect: The taint's effect; every effect unless given.
        toleration_seconds: Seconds that a pod stays once a ``NoExecute`` taint comes; for ever unless given.
    """

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    toleration_seconds: int | None = None

    def __post_init__(self) -> None:
        """Refuse what the API server would refuse."""
        _one_of("Toleration.operator", self.operator, ("Equal", "Exists"))
        _one_of("Toleration.effect", self.effect, _EFFECTS)
        if self.key:
            label_key("Toleration.key", self.key)
        elif self.operator != "Exists":
            raise SettingError("Toleration.key", self.key, "Give the taint's key, or operator='Exists' for all taints.")
        if self.operator == "Exists" and self.value:
            raise SettingError("Toleration.value", self.value, "'Exists' takes any value: give none, or 'Equal'.")
        label_value("Toleration.value", self.value)
        if self.toleration_seconds is not None and (self.toleration_seconds < 0 or self.effect != "NoExecute"):
            raise SettingError(
                "Toleration.toleration_seconds",
                self.toleration_seconds,
                "Give 0 or more, and effect='NoExecute': no other effect removes a pod.",
            )

    def render(self) -> k8s.Toleration:
        """The toleration as the API has it."""
        return k8s.Toleration(
            key=self.key or None,
            operator=self.operator,
            value=self.value or None,
            effect=self.effect or None,
            toleration_seconds=self.toleration_seconds,
        )


@dataclass(frozen=True, kw_only=True)
class NodeSelectorRequirement:
    """What a label of a node must be.

    Args:
        key: The label's key.
        operator: How it is compared.
        values: With what: some for ``In`` and ``NotIn``, none for ``Exists`` and ``DoesNotExist``, one whole number
            for ``Gt`` and ``Lt``.
    """

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = "In"
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the API server would refuse."""
        _one_of("NodeSelectorRequirement.operator", self.operator, (*_SET, *_PRESENCE, *_NUMBER))
        _requirement("NodeSelectorRequirement", self.key, self.operator, self.values)

    def render(self) -> k8s.NodeSelectorRequirement:
        """The requirement as the API has it."""
        return k8s.NodeSelectorRequirement(key=self.key, operator=self.operator, values=list(self.values) or None)


@dataclass(frozen=True, kw_only=True)
class NodeSelectorTerm:
    """What a node must be, all of it together.

    Args:
        match_expressions: What its labels must be.
    """

    match_expressions: tuple[NodeSelectorRequirement, ...]

    def __post_init__(self) -> None:
        """Refuse a term that matches no node."""
        if not self.match_expressions:
            raise SettingError(
                "NodeSelectorTerm.match_expressions", self.match_expressions, "An empty term matches no node. Give one."
            )

    def render(self) -> k8s.NodeSelectorTerm:
        """The term as the API has it."""
        return k8s.NodeSelectorTerm(match_expressions=[part.render() for part in self.match_expressions])


def _weight(where: str, weight: int) -> None:
    if not 1 <= weight <= 100:
        raise SettingError(where, weight, "Give 1 to 100.")


@dataclass(frozen=True, kw_only=True)
class PreferredSchedulingTerm:
    """What a node had better be.

    Args:
        weight: How much, from 1 to 100: the weights of what a node matches are summed up.
        preference: What it had better be.
    """

    weight: int
    preference: NodeSelectorTerm

    def __post_init__(self) -> None:
        """Check the weight."""
        _weight("PreferredSchedulingTerm.weight", self.weight)

    def render(self) -> k8s.PreferredSchedulingTerm:
        """The term as the API has it."""
        return k8s.PreferredSchedulingTerm(weight=self.weight, preference=self.preference.render())


@dataclass(frozen=True, kw_only=True)
class NodeAffinity:
    """Which nodes pods run on.

    Args:
        required: A node must match one of these.
        preferred: And had better match these.
    """

    required: tuple[NodeSelectorTerm, ...] = ()
    preferred: tuple[PreferredSchedulingTerm, ...] = ()

    def render(self) -> k8s.NodeAffinity | None:
        """The affinity as the API has it, or nothing."""
        if not (self.required or self.preferred):
            return None
        terms = [term.render() for term in self.required]
        return k8s.NodeAffinity(
            required_during_scheduling_ignored_during_execution=k8s.NodeSelector(node_selector_terms=terms)
            if terms
            else None,
            preferred_during_scheduling_ignored_during_execution=[term.render() for term in self.preferred] or None,
        )


@dataclass(frozen=True, kw_only=True)
class LabelSelectorRequirement:
    """What a label of a pod must be.

    Args:
        key: The label's key.
        operator: How it is compared.
        values: With what: some for ``In`` and ``NotIn``, none for ``Exists`` and ``DoesNotExist``.
    """

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = "In"
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the API server would refuse."""
        _one_of("LabelSelectorRequirement.operator", self.operator, (*_SET, *_PRESENCE))
        _requirement("LabelSelectorRequirement", self.key, self.operator, self.values)

    def render(self) -> k8s.LabelSelectorRequirement:
        """The requirement as the API has it."""
        return k8s.LabelSelectorRequirement(key=self.key, operator=self.operator, values=list(self.values) or None)


@dataclass(frozen=True, kw_only=True)
class PodAffinityTerm:
    """Pods that others run beside, or stay away from.

    Args:
        match_labels: The labels that the pods carry, as ``(key, value)``. Those of a workload carry
            ``("app.kubernetes.io/name", "<application>-<workload>")``.
        match_expressions: What their labels must be, beside that.
        topology_key: The label of nodes that says what "beside" means: ``kubernetes.io/hostname`` is the same node,
            ``topology.kubernetes.io/zone`` the same zone.
        namespaces: The namespaces that they are in; the application's own unless given.
    """

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()
    topology_key: str = "kubernetes.io/hostname"
    namespaces: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a term that means every pod, and what the API server would refuse."""
        if not (self.match_labels or self.match_expressions):
            raise SettingError(
                "PodAffinityTerm.match_labels", self.match_labels, "It would mean every pod. Give the labels of some."
            )
        label_pairs("PodAffinityTerm.match_labels", self.match_labels)
        label_key("PodAffinityTerm.topology_key", self.topology_key)
        for namespace in self.namespaces:
            dns_label("PodAffinityTerm.namespaces", namespace)
        once("PodAffinityTerm.namespaces", self.namespaces)

    def render(self) -> k8s.PodAffinityTerm:
        """The term as the API has it."""
        return k8s.PodAffinityTerm(
            topology_key=self.topology_key,
            label_selector=k8s.LabelSelector(
                match_labels=dict(self.match_labels) or None,
                match_expressions=[part.render() for part in self.match_expressions] or None,
            ),
            namespaces=list(self.namespaces) or None,
        )


@dataclass(frozen=True, kw_only=True)
class WeightedPodAffinityTerm:
    """Pods that others had better run beside, or stay away from.

    Args:
        weight: How much, from 1 to 100: the weights of what a node matches are summed up.
        pod_affinity_term: The pods.
    """

    weight: int
    pod_affinity_term: PodAffinityTerm

    def __post_init__(self) -> None:
        """Check the weight."""
        _weight("WeightedPodAffinityTerm.weight", self.weight)

    def render(self) -> k8s.WeightedPodAffinityTerm:
        """The term as the API has it."""
        return k8s.WeightedPodAffinityTerm(weight=self.weight, pod_affinity_term=self.pod_affinity_term.render())


@dataclass(frozen=True, kw_only=True)
class PodAffinity:
    """Beside which pods others run: all that is required, and what is preferred as far as it can be.

    Args:
        required: Pods that there must be.
        preferred: Pods that there had better be.
    """

    required: tuple[PodAffinityTerm, ...] = ()
    preferred: tuple[WeightedPodAffinityTerm, ...] = ()

    def render(self) -> k8s.PodAffinity | None:
        """The affinity as the API has it, or nothing."""
        if not (self.required or self.preferred):
            return None
        return k8s.PodAffinity(
            required_during_scheduling_ignored_during_execution=[term.render() for term in self.required] or None,
            preferred_during_scheduling_ignored_during_execution=[term.render() for term in self.preferred] or None,
        )


@dataclass(frozen=True, kw_only=True)
class PodAntiAffinity:
    """Which pods others stay away from: all that is required, and what is preferred as far as it can be.

    Args:
        required: Pods that there must not be.
        preferred: Pods that there had better not be.
    """

    required: tuple[PodAffinityTerm, ...] = ()
    preferred: tuple[WeightedPodAffinityTerm, ...] = ()

    def render(self) -> k8s.PodAntiAffinity | None:
        """The affinity as the API has it, or nothing."""
        if not (self.required or self.preferred):
            return None
        return k8s.PodAntiAffinity(
            required_during_scheduling_ignored_during_execution=[term.render() for term in self.required] or None,
            preferred_during_scheduling_ignored_during_execution=[term.render() for term in self.preferred] or None,
        )


@dataclass(frozen=True, kw_only=True)
class Affinity:
    """Where pods are drawn to, and what they stay away from.

    Args:
        node_affinity: Which nodes.
        pod_affinity: Beside which pods.
        pod_anti_affinity: Away from which pods. ``Availability.spread`` keeps a workload's own pods apart.
    """

    node_affinity: NodeAffinity = NodeAffinity()
    pod_affinity: PodAffinity = PodAffinity()
    pod_anti_affinity: PodAntiAffinity = PodAntiAffinity()

    def render(self) -> k8s.Affinity | None:
        """The affinity as the API has it, or nothing."""
        nodes, pods, others = self.node_affinity.render(), self.pod_affinity.render(), self.pod_anti_affinity.render()
        if nodes is None and pods is None and others is None:
            return None
        return k8s.Affinity(node_affinity=nodes, pod_affinity=pods, pod_anti_affinity=others)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where pods may run: any node of the cluster unless something is said.

    Args:
        node_selector: The labels that a node must carry, as ``(key, value)``.
        tolerations: The taints that keep others away and not these pods.
        affinity: Nodes and pods that they are drawn to, or stay away from.
        runtime_class: The RuntimeClass that runs the containers, such as one of gVisor; the cluster's default unless
            given. It must be in the cluster. What it adds as overhead is not in the namespace's quota.
    """

    node_selector: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    affinity: Affinity = Affinity()
    runtime_class: str = ""

    def __post_init__(self) -> None:
        """Check labels and the class's name."""
        label_pairs("Placement.node_selector", self.node_selector)
        if self.runtime_class:
            dns_subdomain("Placement.runtime_class", self.runtime_class)
