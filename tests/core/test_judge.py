"""The policy's objections stand in one order; the first that holds names the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lifecycle import Cap, Policy, QuietHours, Sender, days
from lifecycle.core.caps import Counted, Slots
from lifecycle.core.judge import Candidate, Defer, Go, Recipient, Skip, Verdict, judge

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
NEW_YEAR = datetime(2026, 12, 31, tzinfo=UTC)
NIGHT = datetime(2026, 3, 4, 23, tzinfo=UTC)
SENDER = Sender("Shop", "hello@shop.example", postal_address="1 Main Street")
CAPS = (Cap(2, per=days(1)), Cap(1, per=days(7), topic="offers"))

MESSAGE = Candidate(
    kind="marketing",
    topic="offers",
    on_capped="skip",
    expires_at=NIGHT + timedelta(days=7),
    capped_until=NIGHT + timedelta(days=3),
    enrollment_state="active",
    holdout=False,
)
SITI = Recipient(
    address="siti@example.com",
    zone=ZoneInfo("UTC"),
    consents={"offers": {"granted": True, "at": "2026-01-01T00:00:00.000000Z"}},
)


def of(topic: str, at: datetime, number: int = 0, marketing: bool = True) -> Counted:
    return Counted(at, frozenset((topic,)), frozenset(("journey",)), marketing, 50, number)


@dataclass(frozen=True)
class Case:
    """Somebody who may be written to, until something is put in the way."""

    message: Candidate = field(default_factory=lambda: MESSAGE)
    recipient: Recipient = field(default_factory=lambda: SITI)
    quiet: QuietHours | None = field(default_factory=lambda: QuietHours(time(21), time(8)))
    consent: Any = "opt_in"
    history: tuple[Counted, ...] = ()
    now: datetime = NOON

    def message_with(self, **changes: Any) -> Case:
        return replace(self, message=replace(self.message, **changes))

    def recipient_with(self, **changes: Any) -> Case:
        return replace(self, recipient=replace(self.recipient, **changes))

    def verdict(self) -> Verdict:
        policy = Policy(sender=SENDER, quiet_hours=self.quiet, caps=CAPS, consent=self.consent)
        slots = Slots(CAPS, self.recipient.zone, list(self.history))
        counted = of(self.message.topic, self.now, marketing=self.message.kind == "marketing")
        return judge(self.message, self.recipient, policy, self.now, slots, counted)


def refused(case: Case) -> Case:
    return case.recipient_with(consents={"offers": {"granted": False, "at": "2026-01-01T00:00:00.000000Z"}})


Objection = Callable[[Case], Case]
IN_ORDER: list[tuple[str, Objection]] = [
    ("paused", lambda case: case.message_with(paused=True)),
    ("erased", lambda case: case.recipient_with(erased=True)),
    ("invalid_address", lambda case: case.recipient_with(address=None)),
    ("recipient_not_allowed", lambda case: case.recipient_with(allowed=False)),
    ("suppressed", lambda case: case.recipient_with(suppressed="hard_bounce")),
    ("unsubscribed", refused),
    ("journey_ended", lambda case: case.message_with(enrollment_state="exited")),
    ("holdout", lambda case: case.message_with(holdout=True)),
    ("muted:complaint", lambda case: case.recipient_with(muted="complaint")),
    ("sunset", lambda case: case.recipient_with(sunset=True)),
    ("expired", lambda case: case.message_with(expires_at=NOON)),
    ("quiet_hours", lambda case: replace(case, now=NIGHT)),
    ("capped:paused until 2026-12-31", lambda case: case.recipient_with(paused_until=NEW_YEAR)),
    ("capped:2 per 1 day", lambda case: replace(case, history=(of("orders", NOON), of("orders", NOON)))),
]


def reason(verdict: Verdict) -> str | None:
    return None if isinstance(verdict, Go) else verdict.reason


def test_nothing_in_the_way_means_go() -> None:
    assert Case().verdict() == Go()


@pytest.mark.parametrize(("name", "objection"), IN_ORDER, ids=[name for name, _ in IN_ORDER])
def test_each_objection_alone_names_its_reason(name: str, objection: Objection) -> None:
    assert reason(objection(Case()).verdict()) == name


@pytest.mark.parametrize(
    ("earlier", "later"),
    [pair for pair in combinations(IN_ORDER, 2) if [name for name, _ in pair] != ["muted:complaint", "expired"]],
    ids=lambda objection: str(objection[0]).replace(" ", "_"),
)
def test_of_two_objections_the_earlier_names_the_reason(
    earlier: tuple[str, Objection], later: tuple[str, Objection]
) -> None:
    assert reason(later[1](earlier[1](Case())).verdict()) == earlier[0]
    assert reason(earlier[1](later[1](Case())).verdict()) == earlier[0]


PASSING = ("paused", "muted:complaint", "quiet_hours", "capped:paused until 2026-12-31", "capped:2 per 1 day")


@pytest.mark.parametrize(("name", "objection"), IN_ORDER, ids=[name for name, _ in IN_ORDER])
def test_what_passes_by_itself_defers_and_what_does_not_skips(name: str, objection: Objection) -> None:
    case = objection(Case().message_with(on_capped="wait"))
    verdict = case.verdict()
    assert isinstance(verdict, Defer) == (name in PASSING)
    if isinstance(verdict, Defer):
        assert verdict.until > case.now


def test_what_is_muted_expires_in_the_end() -> None:
    muted = Case().recipient_with(muted="complaint").message_with(expires_at=NOON + timedelta(minutes=20))
    assert muted.verdict() == Defer(NOON + timedelta(minutes=20), "muted:complaint")
    assert replace(muted, now=NOON + timedelta(minutes=20)).verdict() == Skip("expired")


def test_a_goal_names_the_reason_that_a_mere_end_would_not() -> None:
    assert Case().message_with(enrollment_state="goal_reached").verdict() == Skip("goal_reached")


# Transactional mail


@pytest.mark.parametrize("name", ["unsubscribed", "sunset", *PASSING[1:]])
def test_transactional_mail_passes_what_protects_from_marketing(name: str) -> None:
    objection = dict(IN_ORDER)[name]
    assert objection(Case().message_with(kind="transactional")).verdict() == Go()


def test_transactional_mail_needs_no_consent_and_passes_a_complaint() -> None:
    case = Case().message_with(kind="transactional").recipient_with(consents={}, suppressed="complaint")
    assert case.verdict() == Go()
    assert case.message_with(kind="marketing").verdict() == Skip("suppressed")


@pytest.mark.parametrize("name", ["erased", "invalid_address", "recipient_not_allowed", "suppressed", "expired"])
def test_transactional_mail_never_passes_what_makes_it_impossible(name: str) -> None:
    objection = dict(IN_ORDER)[name]
    assert objection(Case().message_with(kind="transactional")).verdict() == Skip(name)


# Consent


def statement(granted: bool, day: int) -> dict[str, Any]:
    return {"granted": granted, "at": f"2026-01-{day:02}T00:00:00.000000Z"}


@pytest.mark.parametrize(
    ("consents", "opt_in", "opt_out"),
    [
        ({}, "no_consent", None),
        ({"orders": statement(True, 1)}, "no_consent", None),
        ({"offers": statement(True, 1)}, None, None),
        ({"offers": statement(False, 1)}, "unsubscribed", "unsubscribed"),
        ({"*": statement(True, 1)}, None, None),
        ({"*": statement(False, 1)}, "unsubscribed", "unsubscribed"),
        ({"*": statement(False, 1), "offers": statement(True, 2)}, None, None),
        ({"*": statement(False, 2), "offers": statement(True, 1)}, "unsubscribed", "unsubscribed"),
        ({"*": statement(True, 2), "offers": statement(False, 1)}, None, None),
        ({"*": statement(True, 1), "offers": statement(False, 1)}, "unsubscribed", "unsubscribed"),
        ({"*": statement(False, 1), "orders": statement(True, 2)}, "unsubscribed", "unsubscribed"),
    ],
)
def test_the_newest_statement_counts_and_of_two_at_one_moment_the_refusal(
    consents: dict[str, Any], opt_in: str | None, opt_out: str | None
) -> None:
    case = Case().recipient_with(consents=consents)
    assert reason(case.verdict()) == opt_in
    assert reason(replace(case, consent="opt_out").verdict()) == opt_out


# Caps


def test_a_capped_message_waits_for_the_next_free_slot() -> None:
    early = NOON - timedelta(hours=20)
    case = replace(Case().message_with(on_capped="wait", topic="orders"), history=(of("a", early),) * 2)
    case = case.recipient_with(consents={"*": statement(True, 1)})
    assert case.verdict() == Defer(early + timedelta(days=1), "capped:2 per 1 day")


def test_a_slot_in_the_quiet_hours_is_put_off_to_their_end() -> None:
    last_night = NOON - timedelta(hours=14, minutes=30)  # 21:30, sent before the quiet hours were declared
    case = replace(Case().message_with(on_capped="wait", topic="orders"), history=(of("a", last_night),) * 2)
    case = case.recipient_with(consents={"*": statement(True, 1)})
    assert case.verdict() == Defer(datetime(2026, 3, 5, 8, tzinfo=UTC), "capped:2 per 1 day")


def test_a_capped_message_is_given_up_when_its_time_is_over() -> None:
    case = replace(Case(), history=(of("offers", NOON - timedelta(hours=1)),))
    waiting = case.message_with(on_capped="wait", capped_until=NOON + timedelta(days=3))
    assert waiting.verdict() == Defer(NOON + timedelta(days=3), "capped:1 per 7 days of offers")
    assert case.message_with(on_capped="wait", capped_until=NOON).verdict() == Skip("capped:1 per 7 days of offers")


def test_a_message_whose_time_for_waiting_is_over_still_goes_when_no_cap_is_full() -> None:
    assert Case().message_with(capped_until=NOON - timedelta(days=1)).verdict() == Go()


def test_nothing_is_put_off_past_its_expiry() -> None:
    """A journey waits for the fate of its message, which is known then."""
    full = replace(Case(), history=(of("offers", NOON - timedelta(hours=1)),))
    soon: dict[str, Any] = {"expires_at": NIGHT + timedelta(hours=1), "on_capped": "wait"}
    assert full.message_with(**soon).verdict() == Defer(soon["expires_at"], "capped:1 per 7 days of offers")
    assert replace(Case(), now=NIGHT).message_with(**soon).verdict() == Defer(soon["expires_at"], "quiet_hours")
    left_alone = Case().message_with(**soon).recipient_with(paused_until=NEW_YEAR)
    assert left_alone.verdict() == Defer(soon["expires_at"], "capped:paused until 2026-12-31")
