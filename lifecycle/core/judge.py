"""The policy's verdict on one message at the moment of sending; the first objection names the reason.

The order is the contract (docs/operating.md): what can never be mended stands before what passes by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from lifecycle.journey.policy import Policy

from .calendar import quiet_until
from .caps import Counted, Slots

_ENDED = {"goal_reached": "goal_reached", "exited": "journey_ended"}
CAPPED = "capped:"
"""What the reasons begin with that name a cap."""
MUTED = "muted:"
"""What the reasons begin with that name a mute."""

_LOOK_AGAIN = timedelta(hours=1)
"""What ends by somebody's doing is looked at again then, if nobody says so earlier."""
_LATE = timedelta(minutes=1)
"""A slot that was kept for a message is free again if that has not gone so long after it was due."""


@dataclass(slots=True)  # one for every message; not frozen, because making a frozen one takes four times as long
class Candidate:
    """A message that is due, with what its journey says of it."""

    kind: str
    topic: str
    on_capped: str
    expires_at: datetime
    capped_until: datetime
    enrollment_state: str
    holdout: bool
    paused: bool = False
    """An operator has stopped this kind of mail."""


@dataclass(slots=True)  # as above
class Recipient:
    """The customer as the policy sees them; `address` is None when no mail can go there.

    `consents`: the newest statement by topic, "*" being all: {"offers": {"granted": True, "at": "…Z"}}.
    `suppressed`: "hard_bounce", "complaint" or None. `allowed`: whether this installation may write to them.
    `muted`: the mute of the policy that holds for them, by name. `sunset`: whether marketing to them has stopped.
    `paused_until`: they asked for no marketing before.
    """

    address: str | None
    zone: ZoneInfo
    consents: Mapping[str, Mapping[str, Any]]
    suppressed: str | None = None
    erased: bool = False
    allowed: bool = True
    muted: str | None = None
    sunset: bool = False
    paused_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """Send it now."""


@dataclass(frozen=True, slots=True)
class Defer:
    """Look again at `until`; `lost_to`: the rows of what fills the cap, if it is one that holds it."""

    until: datetime
    reason: str
    lost_to: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Skip:
    """Do not send it, ever; `lost_to` as in Defer."""

    reason: str
    lost_to: tuple[int, ...] = ()


Verdict: TypeAlias = Go | Defer | Skip


def judge(
    message: Candidate,
    recipient: Recipient,
    policy: Policy,
    now: datetime,
    slots: Slots | None = None,
    counted: Counted | None = None,
) -> Verdict:
    """Whether `message` may go to `recipient` at `now`.

    `slots`: the customer's caps with what counts under them; None where no cap can be full. `counted`: the message as
    caps see it, needed with `slots`.
    """
    if message.paused:
        return Defer(now + _LOOK_AGAIN, "paused")
    verdict = _never(message, recipient, policy, now)
    if verdict is not None:
        return verdict
    marketing = message.kind == "marketing"
    if marketing:
        quiet = quiet_until(now, policy.quiet_hours, recipient.zone)
        if quiet:
            return Defer(min(quiet, message.expires_at), "quiet_hours")
        if recipient.paused_until is not None and now < recipient.paused_until:
            until = recipient.paused_until.astimezone(recipient.zone).date()
            begins = quiet_until(recipient.paused_until, policy.quiet_hours, recipient.zone) or recipient.paused_until
            free = _next_free(policy, slots and slots.without_ahead(), counted, begins)
            return _capped(message, free, f"{CAPPED}paused until {until}", (), now)
    if slots is None or counted is None:
        return Go()
    full = slots.full(counted, now)
    if full is None:
        return Go()
    # It may be that what a slot is kept for never takes it: looked at again when nothing else holds the message.
    free = _next_free(policy, slots.without_ahead(), counted, now)
    if free == now:
        freed = min(each.at for each in full.kept_for) + _LATE
        free = min(_next_free(policy, slots, counted, now) or freed, freed)
    return _capped(message, free, f"{CAPPED}{full.cap.name}", full.ids, now)


def _capped(
    message: Candidate, free: datetime | None, reason: str, lost_to: tuple[int, ...], now: datetime
) -> Defer | Skip:
    """What becomes of a message that has no slot before `free`."""
    if message.on_capped == "skip" or now >= message.capped_until:
        return Skip(reason, lost_to)
    return Defer(min(free or message.capped_until, message.capped_until, message.expires_at), reason, lost_to)


def _next_free(policy: Policy, slots: Slots | None, counted: Counted | None, moment: datetime) -> datetime | None:
    """The first moment from `moment` on that all caps and, for marketing, the quiet hours allow; None for never."""
    if slots is None or counted is None:
        return moment
    return slots.next_free(counted, moment, policy.quiet_hours if counted.marketing else None)


def _never(message: Candidate, recipient: Recipient, policy: Policy, now: datetime) -> Defer | Skip | None:
    """What speaks against `message` whatever else has gone out, or None."""
    reason = _impossible(message, recipient, policy)
    if reason:
        return Skip(reason)
    if message.kind == "marketing":
        if recipient.muted is not None and now < message.expires_at:
            return Defer(min(now + _LOOK_AGAIN, message.expires_at), f"{MUTED}{recipient.muted}")
        if recipient.sunset:
            return Skip("sunset")
    return Skip("expired") if now >= message.expires_at else None


def _impossible(message: Candidate, recipient: Recipient, policy: Policy) -> str | None:
    """The reason that no time can mend, or None."""
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
    return "holdout" if message.holdout else None


def no_consent(consents: Mapping[str, Mapping[str, Any]], topic: str, policy: Policy) -> str | None:
    """ "unsubscribed" or "no_consent", or None where marketing on `topic` is allowed.

    The newest statement among the topic's own and the one on all topics counts; of two at one moment, the refusal.
    """
    statements = [statement for key in (topic, "*") if (statement := consents.get(key))]
    if not statements:
        return "no_consent" if policy.consent == "opt_in" else None
    newest = max(statements, key=lambda statement: (statement["at"], not statement["granted"]))
    return None if newest["granted"] else "unsubscribed"
