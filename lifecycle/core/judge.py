"""The policy's verdict on one message at the moment of sending; the first objection names the reason.

The order is the contract (docs/operating.md): what can never be mended stands before what passes by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from lifecycle.journey.policy import Policy

from .calendar import quiet_until
from .caps import Counted, full, next_free

_ENDED = {"goal_reached": "goal_reached", "exited": "journey_ended"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that is due, with what its journey says of it."""

    kind: str
    topic: str
    on_capped: str
    expires_at: datetime
    capped_until: datetime
    enrollment_state: str
    holdout: bool


@dataclass(frozen=True, slots=True)
class Recipient:
    """The customer as the policy sees them; `address` is None when no mail can go there.

    `consents`: the newest statement by topic, "*" being all: {"offers": {"granted": True, "at": "…Z"}}.
    `suppressed`: "hard_bounce", "complaint" or None. `allowed`: whether this installation may write to them.
    """

    address: str | None
    zone: ZoneInfo
    consents: Mapping[str, Mapping[str, Any]]
    suppressed: str | None = None
    erased: bool = False
    allowed: bool = True


@dataclass(frozen=True, slots=True)
class Go:
    """Send it now."""


@dataclass(frozen=True, slots=True)
class Defer:
    """Look again at `until`."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Do not send it, ever."""

    reason: str


Verdict: TypeAlias = Go | Defer | Skip


def judge(
    message: Candidate,
    recipient: Recipient,
    policy: Policy,
    counts: Sequence[int],
    history: Sequence[Counted],
    now: datetime,
) -> Verdict:
    """Whether `message` may go to `recipient` at `now`.

    `counts`: how many messages count under each of the policy's caps; `history`: those messages, needed only
    where a cap is full.
    """
    reason = never(message, recipient, policy, now)
    if reason:
        return Skip(reason)
    if message.kind == "transactional":
        return Go()
    quiet = quiet_until(now, policy.quiet_hours, recipient.zone)
    if quiet:
        return Defer(quiet, "quiet_hours")
    cap = full(policy.caps, counts, message.topic)
    if cap is None:
        return Go()
    if message.on_capped == "skip" or now >= message.capped_until:
        return Skip(f"capped:{cap.name}")
    slot = next_slot(policy, history, message.topic, recipient.zone, now)
    return Defer(min(slot or message.capped_until, message.capped_until), f"capped:{cap.name}")


def never(message: Candidate, recipient: Recipient, policy: Policy, now: datetime) -> str | None:
    """The reason for which `message` must not go out at all, or None."""
    if recipient.erased:
        return "erased"
    if recipient.address is None:
        return "invalid_address"
    if not recipient.allowed:
        return "recipient_not_allowed"
    marketing = message.kind == "marketing"
    if recipient.suppressed and (marketing or recipient.suppressed == "hard_bounce"):
        return "suppressed"
    if marketing and (refusal := no_consent(recipient.consents, message.topic, policy)):
        return refusal
    if message.enrollment_state in _ENDED:
        return _ENDED[message.enrollment_state]
    if message.holdout:
        return "holdout"
    return "expired" if now >= message.expires_at else None


def no_consent(consents: Mapping[str, Mapping[str, Any]], topic: str, policy: Policy) -> str | None:
    """ "unsubscribed" or "no_consent", or None where marketing on `topic` is allowed.

    The newest statement among the topic's own and the one on all topics counts; of two at one moment, the refusal.
    """
    statements = [statement for key in (topic, "*") if (statement := consents.get(key))]
    if not statements:
        return "no_consent" if policy.consent == "opt_in" else None
    newest = max(statements, key=lambda statement: (statement["at"], not statement["granted"]))
    return None if newest["granted"] else "unsubscribed"


def next_slot(policy: Policy, history: Sequence[Counted], topic: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The first moment from `now` on that all caps and the quiet hours allow; None if a cap never does."""
    slot = next_free(policy.caps, history, topic, now)
    return slot if slot is None else quiet_until(slot, policy.quiet_hours, zone) or slot
