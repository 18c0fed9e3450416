"""Taking events: once for ever, refused with a reason, and never stopping the others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from lifecycle.flow.consume import take
from lifecycle.store import dead_letters
from lifecycle.store.database import Database
from lifecycle.store.dead_letters import Letter

from .shop import (
    FACTS,
    LEASE,
    MAX_LATENESS,
    NOW,
    SHOP,
    document,
    entries,
    identify,
    letters,
    order,
    rows,
    snapshot,
    taking,
    track,
    unforeseen,
)

HOUR = timedelta(hours=1)


def test_an_event_is_taken_once_for_ever(database: Database) -> None:
    batch = [order(str(n), f"c{n % 3}", NOW - n * HOUR) for n in range(10)]
    first = taking(database, *batch, *batch)
    before = snapshot(database, *FACTS, "enrollment")

    again = taking(database, *reversed(batch), now=NOW + HOUR)

    assert (first.accepted, first.duplicates, first.refused) == (10, 10, 0)
    assert (again.accepted, again.duplicates, again.entered) == (0, 10, 0)
    assert snapshot(database, *FACTS, "enrollment") == before
    assert rows(database, "SELECT sum(count) FROM activity") == [(10,)]


def test_a_repeat_with_other_content_is_refused_and_kept(database: Database) -> None:
    taken = taking(database, order("1", "ann", total=20), order("1", "ann", total=30))
    assert (taken.accepted, taken.refused, taken.letters) == (1, 1, ["2-0"])

    later = taking(database, order("1", "ann", total=40))

    assert later.refused == 1
    assert "conflicting repeat" in letters(database)["1-0"]
    assert rows(database, "SELECT count FROM activity") == [(1,)]


BAD_EVENTS = {
    "broken JSON": b'{"type": "track", ',
    "no user": b'{"type": "track", "event": "x"}',
    "unknown type": b'{"type": "page", "userId": "1"}',
    "1 MiB of properties": track("big", "1", "x", note="a" * 2**20),
    "a NUL byte": b'{"type": "track", "userId": "1", "event": "x", "properties": {"a": "\\u0000"}}',
    "a raw NUL byte": b'{"type": "track", "userId": "1\0"}',
    "the year 1900": track("old", "1", "x", datetime(1900, 1, 1, tzinfo=UTC)),
    "the year 2100": track("new", "1", "x", datetime(2100, 1, 1, tzinfo=UTC)),
    "a lone surrogate": b'{"type": "track", "userId": "1", "event": "\\ud800"}',
    "not UTF-8": b'{"type": "track", "userId": "\xff\xfe"}',
    "a list": b"[1, 2]",
    "nothing": b"",
    "a number too large": b'{"type": "track", "userId": "1", "event": "x", "properties": {"a": ' + b"9" * 400 + b"}}",
}


def test_bad_events_become_dead_letters_and_the_others_are_taken(database: Database) -> None:
    between = [raw for number, bad in enumerate(BAD_EVENTS.values()) for raw in (order(str(number), "ann"), bad)]

    taken = taking(database, *between)

    assert (taken.accepted, taken.refused) == (len(BAD_EVENTS), len(BAD_EVENTS))
    kept = {
        str(entry): (str(reason), bytes(raw))
        for entry, reason, raw in rows(database, "SELECT entry_id, reason, raw FROM dead_letter")
    }
    for number, (what, bad) in enumerate(BAD_EVENTS.items()):
        reason, raw = kept[f"{2 * number + 2}-0"]
        assert raw == bad, what
        assert reason.strip(), what
        assert "\n" not in reason, what


ODD_PROPERTIES: list[dict[str, Any]] = [
    {"a": 1e308, "b": -1e308},
    {"a": 1.5e-320},
    {"k" * 5000: "v"},
    {"": ""},
    {"a": "\u202eabc\U0001f600"},
    {"a": [[]]},
]


def test_odd_but_valid_properties_are_stored_as_they_are(database: Database) -> None:
    taken = taking(database, *(track(str(n), "ann", "x", **odd) for n, odd in enumerate(ODD_PROPERTIES)))
    assert taken.accepted == len(ODD_PROPERTIES)
    stored = rows(database, "SELECT properties FROM event ORDER BY message_id")
    assert [document(one) for (one,) in stored] == ODD_PROPERTIES


def test_what_only_the_database_refuses_is_found_by_halving(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a poison that nobody foresaw costs the one event that carries it."""
    unforeseen(monkeypatch, "poison")
    good = [order(str(n), f"c{n}") for n in range(7)]
    taken = taking(database, *good[:5], track("poison", "bob", "x"), *good[5:])

    assert (taken.accepted, taken.refused, taken.letters) == (7, 1, ["6-0"])
    assert "nobody foresaw this" in letters(database)["6-0"]
    assert rows(database, "SELECT count(*) FROM event") == [(7,)]


def test_what_is_to_be_done_beside_a_commit_begins_when_all_is_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dead letters are written last; whoever looks then, by another connection, sees nothing of the batch yet."""
    done: list[str] = []
    keep = dead_letters.keep

    def keeping(connection: Connection, letters: Sequence[Letter]) -> None:
        keep(connection, letters)
        done.append("kept")

    monkeypatch.setattr(dead_letters, "keep", keeping)
    look = lambda: done.append(f"{rows(database, 'SELECT count(*) FROM event')} committed")
    batch = entries(order("1", "ann"), order("2", "bob"))
    take(database, SHOP, batch, NOW, lease=LEASE, max_lateness=MAX_LATENESS, committing=look)
    assert done == ["kept", "[(0,)] committed"]
    assert rows(database, "SELECT count(*) FROM event") == [(2,)]


NAMES = ["x" * 10_000, "محمد\u202e", "👩‍👩‍👧‍👦", "{{ 7*7 }}", "<script>alert(1)</script>", "a\r\nBcc: b@c.d", ""]


def test_names_are_stored_as_given(database: Database) -> None:
    taking(database, *(identify(str(n), f"c{n}", first_name=name, last_name=name) for n, name in enumerate(NAMES)))
    assert rows(database, "SELECT first_name, last_name FROM customer ORDER BY id") == [(name, name) for name in NAMES]
    assert letters(database) == {}


ADDRESSES = [
    "a\r\nBcc: x@y.z",
    "nobody",
    "a" * 300 + "@example.com",
    "siti@xn--bcher-kva.example",
    "siti@bücher.example",
]


def test_any_text_is_stored_as_email_and_zone_for_the_policy_to_judge(database: Database) -> None:
    taking(database, *(identify(str(n), f"c{n}", email=it, timezone="Mars/Base") for n, it in enumerate(ADDRESSES)))
    stored = rows(database, "SELECT email, timezone FROM customer ORDER BY id")
    assert stored == [(address, "Mars/Base") for address in ADDRESSES]


BAD_BIRTHDAYS = ["0000-00-00", "1994-02-30", "yesterday", 19940228, "19940228", ["1994-02-28"], True]


def test_a_bad_birthday_leaves_the_other_traits_taken(database: Database) -> None:
    bad = [identify(str(n), f"c{n}", birthday=it, first_name="Ann", vip=True) for n, it in enumerate(BAD_BIRTHDAYS)]
    taken = taking(database, *bad)

    assert (taken.accepted, taken.refused) == (len(bad), 0)
    assert len(letters(database)) == len(bad)
    assert all("birthday" in reason and "the rest was taken" in reason for reason in letters(database).values())
    stored = rows(database, "SELECT first_name, birthday, birthday_md FROM customer")
    assert stored == [("Ann", None, None)] * len(bad)


def test_a_birthday_of_1900_is_a_birthday(database: Database) -> None:
    taking(database, identify("1", "ann", birthday="1900-01-01"), identify("2", "ben", birthday="1996-02-29"))
    assert rows(database, "SELECT id, birthday_md FROM customer ORDER BY id") == [("ann", 101), ("ben", 229)]


def test_a_reserved_trait_that_is_no_text_is_left_out(database: Database) -> None:
    reserved = ["email", "first_name", "last_name", "timezone", "locale", "created_at"]
    bad: dict[str, Any] = dict(zip(reserved, [7, {"a": 1}, False, [], 1.5, 20200101], strict=True))
    taking(database, identify("1", "ann", **bad, vip=True))
    assert all(f"the trait {trait} is no text" in letters(database)["1-0"] for trait in reserved)
    [(traits,)] = rows(database, "SELECT traits FROM customer")
    assert document(traits) == {"vip": True}


def test_null_forgets_a_trait_but_never_when_somebody_came(database: Database) -> None:
    taking(database, identify("1", "ann", NOW - HOUR, first_name="Ann", vip=True, created_at="2020-01-01T00:00:00Z"))
    taking(database, identify("2", "ann", NOW, first_name=None, vip=None, created_at=None))
    [(name, created_at, traits)] = rows(database, "SELECT first_name, created_at, traits FROM customer")
    assert (name, str(created_at)[:10]) == (None, "2020-01-01")
    assert document(traits) == {}


def test_what_somebody_was_called_who_is_forgotten_stands_nowhere_in_the_file(sqlite_database: Database) -> None:
    """A long story takes pages of its own, which become free."""
    file = Path(sqlite_database.url.removeprefix("sqlite:///"))
    story = "Once there was Wilhelmina. " * 1000
    taking(sqlite_database, identify("i1", "ann", story=story), identify("i2", "bob", first_name="Bob"))
    sqlite_database.checkpoint()
    assert b"Wilhelmina" in file.read_bytes()
    taking(sqlite_database, track("e1", "ann", "customer.erased"))
    sqlite_database.checkpoint()
    assert b"Wilhelmina" not in file.read_bytes()


def test_traits_in_a_tracks_context_count_at_its_timestamp(database: Database) -> None:
    taking(database, identify("1", "ann", NOW - HOUR, first_name="Ann", locale="de"))
    taking(database, track("2", "ann", "x", NOW, traits={"first_name": "Anna"}))
    taking(database, track("3", "ann", "x", NOW - 2 * HOUR, traits={"first_name": "Old", "last_name": "Lee"}))
    assert rows(database, "SELECT first_name, last_name, locale FROM customer") == [("Anna", "Lee", "de")]


def test_a_late_identify_does_not_overwrite(database: Database) -> None:
    taking(database, identify("1", "ann", NOW, first_name="New"))
    taking(database, identify("2", "ann", NOW - HOUR, first_name="Old", last_name="Lee"))
    assert rows(database, "SELECT first_name, last_name FROM customer") == [("New", "Lee")]


def test_a_huge_key_is_no_poison(database: Database) -> None:
    huge = [track(str(n), "ann", "order.completed", order_id="9" * 30_000 + end) for n, end in enumerate("aab")]
    taken = taking(database, *huge)
    assert (taken.accepted, taken.refused) == (3, 0)
    assert rows(database, "SELECT count(*) FROM enrollment WHERE journey = 'post_purchase'") == [(2,)]
