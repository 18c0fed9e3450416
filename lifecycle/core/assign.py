"""Sticky assignment: the same customer always lands in the same arm and on the same side of a holdout.

A hash of experiment and customer decides, never dice, so that nothing need be stored and a growing share keeps
everybody it already had.
"""

from __future__ import annotations

from hashlib import blake2b

from lifecycle.journey.steps import Arm, Split

_BUCKETS = 10_000


def bucket(experiment: str, customer_id: str) -> int:
    """A number from 0 to 9,999, evenly spread over customers and independent between experiments."""
    digest = blake2b(f"{experiment}\x1f{customer_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % _BUCKETS


def held_out(journey: str, percent: int, customer_id: str) -> bool:
    """Whether the customer is among the `percent` of a journey who are counted but never mailed."""
    return percent > 0 and bucket(f"{journey}/holdout", customer_id) < percent * _BUCKETS // 100


def arm_of(journey: str, split: Split, customer_id: str) -> Arm:
    """The arm of `split` that the customer goes."""
    place = bucket(f"{journey}/{split.name}", customer_id)
    edge = 0
    for arm in split.arms:
        edge += arm.percent * _BUCKETS // 100
        if place < edge:
            return arm
    raise AssertionError("the arms of a Split add to 100")
