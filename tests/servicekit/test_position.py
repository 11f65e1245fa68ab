"""What a fact's number is to a reader, without a database: repeats, holes, first sight, and epochs of a producer put back."""

from __future__ import annotations

import pytest

from servicekit.position import NOTHING_SAID, Said, Step, judge

TWO = Said(1, 120, ((2, 100),))  # epoch 2 continues 100
THREE = Said(1, 160, ((2, 100), (3, 150)))


@pytest.mark.parametrize(
    ("at", "fact", "said", "step"),
    [
        (None, (1, 1), NOTHING_SAID, Step.NEXT),
        (None, (1, 2), NOTHING_SAID, Step.HOLE),
        (None, (1, 40), Said(lowest_retained=40), Step.NEXT),
        (None, (1, 41), Said(lowest_retained=40), Step.HOLE),
        ((1, 7), (1, 7), NOTHING_SAID, Step.REPEAT),
        ((1, 7), (1, 8), NOTHING_SAID, Step.NEXT),
        ((1, 7), (1, 9), NOTHING_SAID, Step.HOLE),
        ((1, 100), (2, 101), NOTHING_SAID, Step.HOLE),  # where epoch 2 began is not heard yet
        ((1, 100), (2, 101), TWO, Step.NEXT),
        ((1, 80), (1, 81), TWO, Step.NEXT),
        ((1, 80), (2, 101), TWO, Step.HOLE),  # it first needs the rest
        ((1, 100), (1, 101), TWO, Step.REPEAT),  # said in an epoch that ended before
        ((1, 101), (2, 101), TWO, Step.BEYOND),
        ((2, 101), (2, 102), TWO, Step.NEXT),
        (None, (1, 101), TWO, Step.REPEAT),
        ((1, 120), (3, 151), THREE, Step.BEYOND),  # beyond a start that is not the last
        ((2, 150), (3, 151), THREE, Step.NEXT),
        ((2, 150), (2, 151), THREE, Step.REPEAT),
        ((3, 100), (2, 101), THREE, Step.NEXT),  # resumed by a person: the rest of epoch 2 still counts
    ],
)
def test_judge(at: tuple[int, int] | None, fact: tuple[int, int], said: Said, step: Step) -> None:
    assert judge(at, *fact, said) is step


def test_what_can_be_repeated() -> None:
    assert Said(lowest_retained=5, last_stored=9).can_repeat(5)
    assert not Said(lowest_retained=5, last_stored=9).can_repeat(4)
    assert not Said(lowest_retained=0, last_stored=9).can_repeat(9)
    assert Said(lowest_retained=0, last_stored=9).can_repeat(10)
