"""This module is whether a pod finds room on nodes, wherever a scheduler puts the others: arithmetic, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from .quantity import Amount


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
    by_cpu = sorted(left.cpu + 1 for left, _ in opened)
    by_memory = sorted(left.memory + 1 for left, _ in opened)
    return not any(
        _can_give(others, cpu=sum(by_cpu[:count]), memory=sum(by_memory[: still - count])) for count in range(still + 1)
    )


def _most_shut(needed: Sequence[int], given: int) -> int:
    """How many nodes can be shut, when each needs an amount for that."""
    shut = 0
    for amount in sorted(needed):
        given -= amount
        if given < 0:
            break
        shut += 1
    return shut


def _can_give(others: Mapping[Amount, int], *, cpu: int, memory: int) -> bool:
    """Whether the pods, parted in two, have this CPU in one part and this memory in the other."""
    left = sum(amount.memory * count for amount, count in others.items())
    # Those first that bring much CPU for the memory that goes with it.
    for amount in sorted(others, key=lambda amount: Fraction(amount.cpu, amount.memory), reverse=True):
        here = amount.cpu * others[amount]
        if here >= cpu:
            return left - Fraction(amount.memory * others[amount] * cpu, here) >= memory
        cpu -= here
        left -= amount.memory * others[amount]
    return False
