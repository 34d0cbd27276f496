"""This module is whether a pod finds room on nodes, wherever a scheduler puts the others: arithmetic, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate

from .quantity import Amount
from .values import dataclass


@dataclass(frozen=True, kw_only=True)
class Room:
    """What pods may take of one node.

    Args:
        amount: CPU, memory and disk.
        pods: How many pods.
    """

    amount: Amount
    pods: int


def surely_fits(one: Amount, others: Mapping[Amount, int], nodes: Sequence[Room]) -> bool:
    """Whether a pod finds a node, wherever the others are.

    A scheduler takes the pods as they come and spreads them. It does not pack, and it moves none that runs. So the
    question is not whether there is a good way to place all, but whether there is a bad one that shuts every node to
    this pod: each then holds so much of the others that too little is left of its CPU, its memory, its disk, or its
    places. The others are divided for that as if they were sand. So a yes is sure, and a no may be too careful.

    Args:
        one: What the pod requests.
        others: Who may be there already: how many pods request how much. Those that make way for it are not among them.
        nodes: The nodes that it may run on, empty.
    """
    short = [(node.amount - one, node.pods) for node in nodes]
    opened = [(left, pods) for left, pods in short if min(left.cpu, left.memory, left.disk) >= 0 and pods > 0]
    # Disk and places are seldom short: what they shut is taken off, as if other pods shut the rest.
    disk = sum(amount.disk * count for amount, count in others.items())
    still = len(opened)
    still -= _most_shut([left.disk + 1 for left, _ in opened], disk)
    still -= _most_shut([pods for _, pods in opened], sum(others.values()))
    if still < 1:
        return False
    by_cpu = _sums(left.cpu + 1 for left, _ in opened)
    by_memory = _sums(left.memory + 1 for left, _ in opened)
    # Those first that bring much CPU for the memory that goes with it.
    pods = sorted(others.items(), key=lambda entry: Fraction(entry[0].cpu, entry[0].memory), reverse=True)
    return not any(_can_give(pods, cpu=by_cpu[count], memory=by_memory[still - count]) for count in range(still + 1))


def _sums(needed: Iterable[int]) -> list[int]:
    """What it takes to shut none, the one that needs least, the two that do, and so on."""
    return list(accumulate(sorted(needed), initial=0))


def _most_shut(needed: Sequence[int], given: int) -> int:
    """How many nodes can be shut, when each needs an amount for that."""
    shut = 0
    for amount in sorted(needed):
        given -= amount
        if given < 0:
            break
        shut += 1
    return shut


def _can_give(pods: Sequence[tuple[Amount, int]], *, cpu: int, memory: int) -> bool:
    """Whether the pods, parted in two in their order, have this CPU in one part and this memory in the other."""
    left = sum(amount.memory * count for amount, count in pods)
    for amount, count in pods:
        here = amount.cpu * count
        if here >= cpu:
            return left - Fraction(amount.memory * count * cpu, here) >= memory
        cpu -= here
        left -= amount.memory * count
    return False
