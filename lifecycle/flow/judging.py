"""Judging a claim's messages one after the other: which go, alone or in a digest, and what is written of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from sqlalchemy import Connection

from lifecycle.core.assign import held_out
from lifecycle.core.calendar import zone_named
from lifecycle.core.caps import counted
from lifecycle.core.judge import CAPPED, Candidate, Defer, Go, Recipient, Skip, Verdict, judge
from lifecycle.core.pace import paused_until
from lifecycle.journey.project import Project
from lifecycle.store.facts import customer_traits
from lifecycle.store.messages import Due

from .amendments import fingerprint
from .claimed import SENT_AGAIN, Claimed, ToSend
from .digests import DIGESTED, Digests
from .mailer import Envelope, Mailer, deliverable
from .sends import Sends

_SOON = timedelta(minutes=1)


@dataclass(slots=True)
class Judging:
    """A batch under judgement, in the order of priority.

    `exited`: enrollments that ended just now. `muted`: by customer, the mute that holds for them.
    """

    project: Project
    mailer: Mailer
    claimed: Claimed
    now: datetime
    exited: Collection[int]
    muted: Mapping[str, str]
    sends: Sends
    digests: Digests

    def write(self, row: Due) -> dict[str, Any]:
        """The row's new columns; a message that may go joins the claim and counts from here on."""
        address = deliverable(row.email)
        verdict = self._verdict(row, address)
        if isinstance(verdict, Go) and self._is_in_a_digest(row, address):
            verdict = Skip(DIGESTED)
        self.sends.note(row, verdict, self.now)
        write: dict[str, Any] = {"id": row.id, "reason": row.reason, "email": address or row.email}
        once = (row.reason or "").startswith(SENT_AGAIN)  # it may have arrived at the first try
        match verdict:
            case Go():
                self.claimed.letters.append(self._to_send(row, address))
                return write | _reserved(row, self.mailer, self.claimed, self.now)
            case Defer(until, reason):
                until = min(until, self._no_later())
                reason = f"{SENT_AGAIN}, {reason}" if once else reason
                write |= {"state": "pending", "reason": reason, "due_at": until, "wake_at": until}
            case Skip(reason):
                outcome = ("uncertain", f"{SENT_AGAIN}, then {reason}") if once else ("skipped", reason)
                write |= {"state": outcome[0], "reason": outcome[1], "wake_at": self.claimed.until}
            case _:
                assert_never(verdict)
        return write | _lost(verdict, self.now)

    def _is_in_a_digest(self, row: Due, address: str | None) -> bool:
        """Whether `row`, which may go, goes out in a digest: one is formed if there is anything to go with it."""
        more = [each for each in self.digests.after(row) if isinstance(self._verdict(each, address), Go)]
        if more:
            digest = self.digests.form([row, *more][: self.project.policy.digest.most])
            self.sends.note(digest, Go(), self.now)
            self.claimed.letters.append(self._to_send(digest, address))
            self.digests.reserve(digest, {"email": address} | _reserved(digest, self.mailer, self.claimed, self.now))
        return self.digests.has(row)

    def write_digests(self, connection: Connection, writes: Sequence[dict[str, Any]]) -> None:
        """Writes the digests that were formed, and has letters and `writes` name them by their rows."""
        ids = self.digests.write(connection, self.claimed.name, self.mailer.transport.lanes)
        for item in self.claimed.letters if ids else ():
            item.envelope.id = ids.get(item.envelope.id, item.envelope.id)
        for write in writes if ids else ():
            if "lost_to" in write:
                write["lost_to"] = [ids.get(id, id) for id in write["lost_to"]]

    def _no_later(self) -> datetime:
        """Put off by another policy than the schedulers', a message is looked at again soon: see amendments."""
        followed = self.claimed.pauses.known.policy
        behind = followed is not None and followed != fingerprint(self.project)
        return self.now + _SOON if behind else datetime.max.replace(tzinfo=UTC)

    def _verdict(self, row: Due, address: str | None) -> Verdict:
        if self.digests.has(row):
            return Skip(DIGESTED)
        if row.id in self.digests.emptied:
            return Skip(self.digests.emptied[row.id])
        slots = self.sends.of(row.customer_id)
        return judge(
            self._candidate(row),
            self._recipient(row, address),
            self.project.policy,
            self.now,
            slots,
            None if slots is None else counted(row, self.now),
        )

    def _candidate(self, row: Due) -> Candidate:
        stops = self.claimed.pauses.known.stops
        if row.sections is not None:
            # What its sections' journeys say was asked when they were gathered, and of those that are left again.
            state, holdout = "active", False
            paused = any(stops(section["journey"], section["topic"], True) for section in row.sections)
        else:
            journey = self.project.journeys.get(row.journey)
            state = "exited" if row.enrollment_id in self.exited or journey is None else row.enrollment_state
            holdout = journey is not None and held_out(journey.name, journey.holdout, row.customer_id)
            paused = stops(row.journey, row.topic, row.kind == "marketing")
        return Candidate(
            kind=row.kind,
            topic=row.topic,
            on_capped=row.on_capped,
            expires_at=row.expires_at,
            capped_until=row.capped_until,
            enrollment_state=state,
            holdout=holdout,
            paused=paused,
        )

    def _recipient(self, row: Due, address: str | None) -> Recipient:
        zone = zone_named(row.timezone, self.project.policy.timezone)
        return Recipient(
            address=address,
            zone=zone,
            consents=row.consents,
            suppressed=row.suppressed,
            erased=row.erased_at is not None,
            allowed=address is None or self.mailer.allows(address),
            muted=self.muted.get(row.customer_id),
            sunset=self.project.policy.sunset is not None and row.sunset_at is not None,
            paused_until=paused_until(row.pace, zone, self.now) if row.pace else None,
        )

    def _to_send(self, row: Due, address: str | None) -> ToSend:
        return ToSend(
            Envelope(
                row.id, row.customer_id, address or "", row.message_id, row.topic, row.kind == "marketing", row.journey
            ),
            row.template,
            row.journey,
            customer_traits(row),
            row.trigger,
            zone_named(row.timezone, self.project.policy.timezone),
            row.attempts + 1,
            (row.reason or "").startswith(SENT_AGAIN),
            self.digests.sections_of(row) if row.sections else (),
        )


def _lost(verdict: Defer | Skip, now: datetime) -> dict[str, Any]:
    """The columns that say which cap held a message back, and what filled it."""
    if not verdict.reason.startswith(CAPPED):
        return {}
    return {"capped_at": now, "capped_by": verdict.reason.removeprefix(CAPPED), "lost_to": list(verdict.lost_to)}


def _reserved(row: Due, mailer: Mailer, claimed: Claimed, now: datetime) -> dict[str, Any]:
    """The columns of the last of the claim's letters."""
    return {
        "state": "sending",
        "due_at": now,
        "wake_at": claimed.until,
        "counted_at": now,
        "position": len(claimed.letters),
        "attempts": row.attempts + 1,
        "locale": mailer.locale_for(row.template, row.locale),
    }
