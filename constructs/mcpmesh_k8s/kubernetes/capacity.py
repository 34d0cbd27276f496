"""This module is proof that an application has room on the nodes of its budget, whatever the scheduler does.

A pod makes room for itself where only pods of lower priority are in its way. So what may be in its way is the system's
pods, and all pods of its own priority or a higher one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from .budget import Budget, FreeNode
from .packing import Room, surely_fits
from .placement import Placement
from .pod import Pod
from .priority import PriorityClass
from .quantity import Amount
from .scope import ApplicationScope
from .values import dataclass


@dataclass(frozen=True, kw_only=True)
class Share:
    """For how many pods of a workload there is room for sure.

    Args:
        pod: The workload, or the task.
        steady: How many when all that may run does, nothing is rolled out, and no node is lost.
        rolled_out: How many of the running ones while everything is rolled out at once.
        left: How many when any one node is lost, or any one zone of several. None in a cluster of one node.
        new_first: Whether a new pod starts before an old one ends.
        bound: Whether its placement requires more than labels of nodes. Nothing is then known for sure.
    """

    pod: Pod
    steady: int
    rolled_out: int
    left: int | None
    new_first: bool
    bound: bool


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What counts of a workload: those that are alike here need one look."""

    amount: Amount
    priority: int
    promise: str
    most: int
    always: int
    least: int
    may_surge: bool
    placement: Placement

    @property
    def bound(self) -> bool:
        affinity = self.placement.affinity
        return bool(
            affinity.node_affinity.required or affinity.pod_affinity.required or affinity.pod_anti_affinity.required
        )


_Pods = Mapping[_Kind, int]


def _always(kind: _Kind) -> int:
    return kind.always


class Capacity:
    """What the nodes of a budget have room for.

    Args:
        application: The application, with all its pods.
        budget: The budget, with its nodes.
    """

    def __init__(self, application: ApplicationScope, budget: Budget) -> None:
        self._places = budget.places
        self._guests = budget.guests
        classes = {one.name: one.settings for one in application.find_all(PriorityClass)}
        self._kinds: dict[Pod, _Kind] = {}
        for pod in application.find_all(Pod):
            settings = classes.get(pod.priority_class)
            self._kinds[pod] = _Kind(
                amount=pod.requests,
                priority=settings.value if settings else 0,
                promise="min_available"
                if pod.kept_pods
                else "survives_a_node of its PriorityClass"
                if settings and settings.survives_a_node
                else "",
                most=pod.steady_pods,
                always=pod.lasting_pods,
                least=pod.kept_pods or 1,
                may_surge=pod.may_surge,
                placement=pod.extras.placement,
            )
        self._present = Counter(self._kinds.values())
        self._surging = self._grant()

    @property
    def shares(self) -> tuple[Share, ...]:
        """What each workload has, the most important first."""
        losses = self._losses()
        surges = Counter(self._kinds[pod] for pod in self._surging)
        found: dict[_Kind, tuple[int, int, int | None]] = {}
        for kind in self._present:
            found[kind] = (
                self._count(kind, self._places, Counter()),
                self._count(kind, self._places, surges),
                min((self._count(kind, left, Counter()) for left in losses if left), default=None),
            )
        order = sorted(self._kinds, key=lambda pod: (-self._kinds[pod].priority, pod.name))
        return tuple(
            Share(
                pod=pod,
                steady=steady,
                rolled_out=rolled_out,
                left=left,
                new_first=pod in self._surging,
                bound=self._kinds[pod].bound,
            )
            for pod in order
            for steady, rolled_out, left in [found[self._kinds[pod]]]
        )

    def _losses(self) -> list[list[FreeNode]]:
        """What is left when any one is lost, node or zone: once of those that are alike."""
        domains = defaultdict[str, list[FreeNode]](list)
        for place in self._places:
            domains[place.domain].append(place)
        alike = {
            frozenset(Counter((place.room, place.labels) for place in lost).items()): domain
            for domain, lost in domains.items()
        }
        return [[place for place in self._places if place.domain != domain] for domain in alike.values()]

    def problems(self) -> Iterator[str]:
        """Every promise that cannot be kept, a sentence each."""
        for share in self.shares:
            kind, name = self._kinds[share.pod], share.pod.full_name
            if kind.bound:
                continue
            if not self._nodes(kind, self._places):
                wanted = ", ".join(f"{key}={value}" for key, value in kind.placement.node_selector)
                yield (
                    f"{name} runs on nodes with {wanted} alone, and no node of Budget.nodes has that: say which do, "
                    "Nodes(labels=…), or mend its Placement.node_selector."
                )
            elif share.steady < kind.most:
                yield (
                    f"{name} may run {kind.most} pods of {kind.amount}, and the nodes have room for {share.steady} for "
                    f"sure, wherever the scheduler puts all others: {_INSTEAD}"
                )
            elif kind.promise and share.left is not None and share.left < kind.least:
                yield (
                    f"{name} must keep {kind.least} of its pods of {kind.amount} when a node is lost ({kind.promise}), "
                    f"and the others have room for {share.left} for sure: {_INSTEAD}"
                )

    def may_surge(self, name: str) -> bool:
        """Whether a roll-out of everything has room for one more pod of a workload, by its full name."""
        return any(pod.full_name == name for pod in self._surging)

    def _grant(self) -> frozenset[Pod]:
        """The workloads that start a new pod before an old one ends, all at once.

        One that runs a single pod goes before those that run several: it would be away meanwhile.
        """
        granted = Counter[_Kind]()
        found: list[Pod] = []
        asking = [pod for pod, kind in self._kinds.items() if kind.may_surge and not kind.bound]
        for pod in sorted(asking, key=lambda pod: (-self._kinds[pod].priority, self._kinds[pod].most > 1, pod.name)):
            kind = self._kinds[pod]
            if self._bears(granted + Counter([kind]), kind.priority):
                granted[kind] += 1
                found.append(pod)
        return frozenset(found)

    def _bears(self, surges: Counter[_Kind], priority: int) -> bool:
        """Whether all pods of this priority have room beside these surges, and those that always run of all others.

        What an autoscaler has added may have to make way meanwhile.
        """
        return all(
            self._count(kind, self._places, surges) == kind.most
            if kind.priority == priority
            else kind.priority > priority or self._count(kind, self._places, surges, _always) == kind.always
            for kind in self._present
            if not kind.bound
        )

    def _count(
        self,
        kind: _Kind,
        places: Sequence[FreeNode],
        surges: Counter[_Kind],
        counted: Callable[[_Kind], int] = lambda kind: kind.most,
    ) -> int:
        """For how many pods of one workload there is room for sure, beside all of the others."""
        others = self._others(kind, counted)
        others += self._surges(surges, lambda other: other.priority >= kind.priority)
        nodes = self._nodes(kind, places)
        for count in range(counted(kind), 0, -1):
            others[kind.amount] -= 1
            if surely_fits(kind.amount, +others, nodes):
                return count
        return 0

    def _others(self, kind: _Kind, counted: Callable[[_Kind], int]) -> Counter[Amount]:
        """The system's pods, and all of a priority that does not make way."""
        found = Counter(self._guests)
        for other, workloads in self._present.items():
            if other.priority >= kind.priority:
                found[other.amount] += counted(other) * workloads
        return found

    def _surges(self, surges: _Pods, counted: Callable[[_Kind], bool]) -> Counter[Amount]:
        found = Counter[Amount]()
        for other, count in surges.items():
            if counted(other):
                found[other.amount] += count
        return found

    def _nodes(self, kind: _Kind, places: Sequence[FreeNode]) -> list[Room]:
        """The nodes that it may run on."""
        return [place.room for place in places if place.labels.issuperset(kind.placement.node_selector)]


_INSTEAD = (
    "give smaller requests, fewer pods, more or larger nodes (Budget.nodes), or a priority_class before which others "
    "make way."
)
