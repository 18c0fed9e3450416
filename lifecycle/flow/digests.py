"""Digests: what caps held back from one customer goes out as one email, once there is room.

A marketing message with `on_capped="digest"` that a cap has held back is gathered. When a claim finds two or more of a
customer's that could go out, each judged by itself, they end as `digested` and one digest is written in their place:
a message like any other from then on, that is sent, put off and recovered as they are, and counts once.

A digest that has to be tried again is looked through first: a section whose topic was withdrawn meanwhile, that has
expired, or whose journey has reached its goal, is taken out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from lifecycle.core.identity import message_id
from lifecycle.core.judge import no_consent
from lifecycle.journey.digest import JOURNEY
from lifecycle.journey.policy import Policy
from lifecycle.mail.sections import Section
from lifecycle.store import digests
from lifecycle.store.messages import Due

DIGESTED = "digested"
"""The reason of a message that goes out as a part of a digest."""


def is_gathered(row: Due) -> bool:
    """Whether a message may go out as a part of a digest."""
    return row.capped_at is not None and row.on_capped == "digest" and row.kind == "marketing" and row.sections is None


class Digests:
    """The digests of one claim.

    `rows` are its messages, in the order in which they are judged; those of digests stand as they are now, without
    what was taken out of them. `emptied` says of those that nothing is left of why that is, by row id.
    """

    def __init__(self, connection: Connection, policy: Policy, rows: Sequence[Due], now: datetime) -> None:
        self.emptied: dict[int, str] = {}
        self._policy = policy
        self._triggers: dict[int, Mapping[str, Any]] = {}
        self._gathered: dict[str, list[Due]] = {}
        self._within: dict[int, int] = {}
        self._formed: list[dict[str, Any]] = []
        self.rows = self._revised(connection, rows, now)
        for row in self.rows:
            if is_gathered(row):
                self._gathered.setdefault(row.customer_id, []).append(row)

    # Those that are due again

    def _revised(self, connection: Connection, rows: Sequence[Due], now: datetime) -> list[Due]:
        again = {row.id: row for row in rows if row.sections}
        if not again:
            return [*rows]
        ids = [section["id"] for row in again.values() for section in row.sections or ()]
        known = {id: one for id, one in digests.gathered(connection, ids).items() if one.digest_id in again}
        self._triggers.update((id, one.trigger) for id, one in known.items())
        changed: dict[int, Due] = {}
        taken: dict[int, list[dict[str, Any]]] = {}
        for row in again.values():
            sections = row.sections or ()
            whys = {each["id"]: self._objection(row, each, known[each["id"]], now) for each in sections}
            out = {id: why for id, why in whys.items() if why is not None}
            if out:
                left = [each for each in sections if each["id"] not in out]
                changed[row.id] = row._replace(**revised(row.id, left, row.topic))
                taken[row.id] = [{"id": id, "state": "skipped", "reason": why} for id, why in out.items()]
                if not left:
                    self.emptied[row.id] = next(iter(out.values()))
        if changed:
            now_are = [revised(row.id, row.sections or (), row.topic) for row in changed.values()]
            digests.take_out(connection, now_are, taken)
        return [changed.get(row.id, row) for row in rows]

    def _objection(self, row: Due, section: Mapping[str, Any], own: Any, now: datetime) -> str | None:
        """Why a section of a digest must not go out any more, or None; `own` is of `digests.gathered`."""
        if row.erased_at is None and (refusal := no_consent(row.consents, section["topic"], self._policy)):
            return refusal
        if own.state == "goal_reached":
            return "goal_reached"
        if own.state == "exited" and own.reason == "exit_when":
            return "journey_ended"
        return "expired" if now >= own.expires_at else None

    # Those that are formed now

    def after(self, row: Due) -> Sequence[Due]:
        """The gathered messages that may go out together with `row`, and are judged after it."""
        if not is_gathered(row):
            return ()
        theirs = self._gathered[row.customer_id]
        return [each for each in theirs[theirs.index(row) + 1 :] if each.id not in self._within]

    def has(self, row: Due) -> bool:
        """Whether a message went into a digest of this claim."""
        return row.id in self._within

    def form(self, together: Sequence[Due]) -> Due:
        """The digest of these messages, the most important first, as a message that may go; it has no row yet.

        Its id is negative until `write`.
        """
        lead = together[0]
        number = -1 - len(self._formed)
        self._within.update((row.id, number) for row in together)
        self._triggers.update((row.id, row.trigger) for row in together)
        domain = self._policy.sender.email.rpartition("@")[2]
        return lead._replace(
            id=number,
            journey=JOURNEY,
            step=f"{JOURNEY}:{lead.id}",
            template=self._policy.digest.template,
            on_capped="wait",
            expires_at=max(row.expires_at for row in together),
            capped_until=max(row.capped_until for row in together),
            message_id=message_id(JOURNEY, lead.customer_id, lead.message_id, 1, JOURNEY, domain),
            attempts=0,
            reason=None,
            capped_at=None,
            sections=[
                {
                    "id": row.id,
                    "topic": row.topic,
                    "journey": row.journey,
                    "template": row.template,
                    "message_id": row.message_id,
                }
                for row in together
            ],
            trigger={},
        )

    def reserve(self, digest: Due, columns: Mapping[str, Any]) -> None:
        """Notes a formed digest that goes out, with what its claim says of it."""
        lead = next(each["id"] for each in digest.sections or ())
        self._formed.append({**digest._asdict(), **columns, "lead": lead})

    def sections_of(self, row: Due) -> tuple[Section, ...]:
        """What is shown in a digest; nothing of another message."""
        return tuple(Section(**section, event=self._triggers[section["id"]]) for section in row.sections or ())

    def write(self, connection: Connection, claim: str, lanes: int) -> dict[int, int]:
        """Writes the digests that were formed; returns their ids by the negative ones that they had."""
        if not self._formed:
            return {}
        rows = [{name: row[name] for name in digests.COLUMNS} for row in self._formed]
        by_step = digests.insert(connection, rows, claim, lanes)
        ids = {row["id"]: by_step[row["step"]] for row in self._formed}
        digests.link(connection, {gathered: ids[number] for gathered, number in self._within.items()})
        return ids


def revised(id: int, left: Sequence[Mapping[str, Any]], topic: str) -> dict[str, Any]:
    """What a digest is with the sections that are `left`: its topic is that of the first, or as it was."""
    return {"id": id, "topic": left[0]["topic"] if left else topic, "sections": [*left]}
