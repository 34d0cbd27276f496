"""Whether a pod finds room, wherever the others are: compared with every way in which they can be."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from mcpmesh_k8s.kubernetes.packing import Room, surely_fits
from mcpmesh_k8s.kubernetes.quantity import Amount

Gi = 2**30


def of(cpu: int, memory: int = 1, disk: int = 0) -> Amount:
    return Amount(cpu=cpu, memory=memory, disk=disk)


def rooms(*amounts: Amount, pods: int = 110) -> list[Room]:
    return [Room(amount=amount, pods=pods) for amount in amounts]


def fits(one: Amount, taken: Amount, pods: int, room: Room) -> bool:
    left = room.amount - taken - one
    return min(left.cpu, left.memory, left.disk) >= 0 and pods < room.pods


def can_be_shut_out(one: Amount, others: list[Amount], nodes: list[Room]) -> bool:
    """Whether there is a way to place all others after which no node has room: all ways are tried."""
    for places in itertools.product(range(len(nodes)), repeat=len(others)):
        taken, counts = [Amount() for _ in nodes], [0] * len(nodes)
        for place, other in zip(places, others, strict=True):
            if not fits(other, taken[place], counts[place], nodes[place]):
                break
            taken[place] += other
            counts[place] += 1
        else:
            if not any(map(fits, [one] * len(nodes), taken, counts, nodes)):
                return True
    return False


def test_what_is_sure_to_fit_fits_wherever_the_others_are() -> None:
    dice = random.Random(8)
    sure = shut = 0
    for _ in range(1500):
        nodes = [
            Room(amount=of(dice.randint(6, 12), dice.randint(6, 12), dice.randint(6, 12)), pods=dice.randint(2, 6))
            for _ in range(dice.randint(1, 3))
        ]
        others = [of(dice.randint(1, 5), dice.randint(1, 5), dice.randint(0, 3)) for _ in range(dice.randint(0, 5))]
        one = of(dice.randint(1, 6), dice.randint(1, 6), dice.randint(0, 3))
        out = can_be_shut_out(one, others, nodes)
        if surely_fits(one, Counter(others), nodes):
            sure += 1
            assert not out, (one, others, nodes)
        shut += out
    assert sure > 300
    assert shut > 300


@pytest.mark.parametrize(
    ("one", "others", "nodes", "expected"),
    [
        (of(500), {}, rooms(of(500)), True),
        (of(501), {}, rooms(of(500)), False),
        # The sum has room for it, and no node has.
        (of(500), {of(300): 2}, rooms(of(700), of(700)), False),
        (of(500), {of(300): 1}, rooms(of(700), of(700)), True),
        # Memory shuts one node and CPU the other.
        (of(500, 500), {of(600, 1): 1, of(1, 600): 1}, rooms(of(1000, 1000), of(1000, 1000)), False),
        # The same pods shut one node, and not the other beside.
        (of(500, 500), {of(600, 600): 1}, rooms(of(1000, 1000), of(1000, 1000)), True),
        (of(500, 1, 4 * Gi), {of(1, 1, 7 * Gi): 1}, rooms(of(1000, 9, 10 * Gi)), False),
        (of(500, 1, 3 * Gi), {of(1, 1, 7 * Gi): 1}, rooms(of(1000, 9, 10 * Gi)), True),
        (of(1), {of(1): 2}, rooms(of(1000, 9), pods=2), False),
        (of(1), {of(1): 1}, rooms(of(1000, 9), pods=2), True),
        # A node that is too small for it is none.
        (of(500), {of(300): 1}, rooms(of(700), of(400)), False),
        (of(500), {}, [], False),
    ],
)
def test_a_pod_has_room_for_sure(one: Amount, others: dict[Amount, int], nodes: list[Room], expected: bool) -> None:
    assert surely_fits(one, others, nodes) is expected
