"""What new events say of the customers themselves: activity, traits, consents, pace, suppressions, erasures.

All of it follows timestamps and not arrival: the same events in any order leave the same rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from lifecycle.core import profile
from lifecycle.core.pace import merged, preference
from lifecycle.store import consents, customers, events, messages, paces, purchases, suppressions, tests_sent
from lifecycle.store.consents import Stated
from lifecycle.store.suppressions import Reason, Suppressed
from lifecycle.store.types import stamp
from lifecycle.wire import Fact, Track

from .mailer import deliverable

GRANTED, WITHDRAWN = "subscription.granted", "subscription.withdrawn"
BOUNCED, COMPLAINED = "email.bounced", "email.complained"
ERASED = "customer.erased"
PREFERRED = "frequency.preferred"

MAX_ADDRESS = 320  # RFC 3696, erratum 1690

Faults = dict[str, list[str]]
"""What of an event was not taken, by message id."""


@dataclass(frozen=True, slots=True)
class Folded:
    """What was not taken, and the traits of the customers for whom something older than what was known arrived.

    `paced`: the customers who asked for another pace.
    """

    faults: Faults
    anew: dict[str, dict[str, object]]
    paced: set[str] = field(default_factory=set)


def fold(connection: Connection, new: Sequence[Fact], late: Collection[str]) -> Folded:
    """Folds new events, already stored, into their customers, who are locked; `late` is what locking returned."""
    tracks = [fact for fact in new if isinstance(fact, Track)]
    faults: Faults = defaultdict(list)
    events.count(connection, tracks)
    erased = earliest(track for track in tracks if track.event == ERASED)
    if erased:
        customers.erase(connection, erased)
        messages.FORGET.run(connection, keys=sorted(erased))
        tests_sent.FORGET.run(connection, keys=sorted(erased))
        purchases.forget(connection, sorted(erased))
    anew = _fold_traits(connection, new, {fact.customer_id for fact in new} & (set(late) | erased.keys()), faults)
    stated = [one for track in tracks if track.event in (GRANTED, WITHDRAWN) and (one := _stated(track, faults))]
    if stated:
        consents.state(connection, stated)
    unwanted = [track for track in tracks if track.event in (BOUNCED, COMPLAINED)]
    if unwanted:
        _suppress(connection, unwanted, faults)
    preferred = [track for track in tracks if track.event == PREFERRED]
    return Folded(faults, anew, _fold_pace(connection, preferred, faults) if preferred else set())


def earliest(facts: Iterable[Fact]) -> dict[str, datetime]:
    """The earliest timestamp among these events, by customer id."""
    found: dict[str, datetime] = {}
    for fact in facts:
        known = found.get(fact.customer_id)
        if known is None or fact.timestamp < known:
            found[fact.customer_id] = fact.timestamp
    return found


def _fold_traits(
    connection: Connection, new: Sequence[Fact], late: Collection[str], faults: Faults
) -> dict[str, dict[str, object]]:
    """Newer traits go over what is known; where something older arrives, all statements are read anew."""
    said = sorted((fact for fact in new if fact.traits), key=lambda fact: (fact.timestamp, fact.message_id))
    current = {fact.customer_id for fact in said}.difference(late)
    known = customers.read(connection, current) if current else {}
    identified_at: dict[str, datetime | None] = {}
    for fact in said:
        wrong = profile.merge(known.get(fact.customer_id, {}), fact.traits)
        if wrong:
            faults[fact.message_id].append("; ".join(wrong) + "; the rest was taken")
        identified_at[fact.customer_id] = fact.timestamp
    if late:
        _fold_anew(connection, late, known, identified_at)
    if known:
        customers.write(connection, known, identified_at)
    return {customer: known[customer] for customer in late}


def _fold_anew(
    connection: Connection,
    late: Collection[str],
    known: dict[str, dict[str, object]],
    identified_at: dict[str, datetime | None],
) -> None:
    erased = customers.erased(connection, late)
    if erased:
        events.forget(connection, erased)
    first = events.first_timestamps(connection, late)
    said = events.statements(connection, late)
    for customer in late:
        statements = said.get(customer)
        known[customer] = {"created_at": first[customer], **(profile.fold(statements.traits) if statements else {})}
        identified_at[customer] = statements.newest if statements else None


def _stated(track: Track, faults: Faults) -> Stated | None:
    granted, topic = track.event == GRANTED, track.properties.get("topic")
    if not isinstance(topic, str | None):
        faults[track.message_id].append(
            "the topic is no text; the event was taken, "
            + ("no consent" if granted else "and consent to all topics withdrawn")
        )
        if granted:
            return None
        topic = None
    return Stated(
        track.customer_id,
        topic,
        granted,
        _text(track.properties.get("source")),
        _text(track.properties.get("text_version")),
        track.timestamp,
        track.message_id,
    )


def _fold_pace(connection: Connection, tracks: Sequence[Track], faults: Faults) -> set[str]:
    """Keeps the newest of what customers ask for; returns those for whom that is something else than before."""
    before = paces.read(connection, {track.customer_id for track in tracks})
    after = dict(before)
    for track in tracks:
        said, wrong = preference(track.properties, stamp(track.timestamp))
        if wrong:
            faults[track.message_id].append("; ".join(wrong))
        after[track.customer_id] = merged(after[track.customer_id], said)
    changed = {customer: pace for customer, pace in after.items() if pace != before[customer]}
    if changed:
        paces.write(connection, changed)
    return set(changed)


def _suppress(connection: Connection, tracks: Sequence[Track], faults: Faults) -> None:
    """Complaints and hard bounces name an address, or mean the customer's own."""
    wanted = [track for track in tracks if track.event == COMPLAINED or track.properties.get("hard") is True]
    unnamed = {track.customer_id for track in wanted if not isinstance(track.properties.get("address"), str)}
    known = customers.read(connection, unnamed) if unnamed else {}
    suppressed = []
    for track in wanted:
        address = track.properties.get("address")
        if not isinstance(address, str):
            address = known[track.customer_id].get("email")
        if isinstance(address, str) and len(address) <= MAX_ADDRESS:
            reply = _text(track.properties.get("reply"))
            reason: Reason = "complaint" if track.event == COMPLAINED else "hard_bounce"
            suppressed.append(Suppressed(deliverable(address) or address, reason, track.timestamp, reply))
        else:
            faults[track.message_id].append(
                "it names no address that mail can go to, nor is one known; the event was taken, nothing suppressed"
            )
    suppressions.add(connection, suppressed)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
