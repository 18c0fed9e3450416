"""Dead letters retried, and customers from files."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from lifecycle.errors import InvalidFile
from lifecycle.flow.consume import Taken
from lifecycle.flow.importing import import_customers
from lifecycle.flow.retrying import Retried, retry
from lifecycle.store import dead_letters
from lifecycle.store.database import Database

from .shop import LEASE, MAX_LATENESS, NOW, SHOP, document, identify, letters, order, rows, taking, track

DAY = timedelta(days=1)


def retrying(db: Database, *ids: int) -> Retried:
    return retry(db, SHOP, ids or None, NOW + DAY, lease=LEASE, max_lateness=MAX_LATENESS)


def mend(db: Database, entry_id: str, raw: bytes) -> None:
    """As if a newer version understood what it did not."""
    with db.transaction() as connection:
        connection.execute(text("UPDATE dead_letter SET raw = :raw WHERE entry_id = :id"), {"raw": raw, "id": entry_id})


def test_a_retry_takes_what_can_be_taken_now_and_keeps_the_rest(database: Database) -> None:
    taking(database, b"{", b'{"type": "page"}', order("1", "ann"))
    mend(database, "1-0", order("2", "ben"))

    result = retrying(database)

    assert (len(result.settled), len(result.kept), result.taken.accepted) == (1, 1, 1)
    assert rows(database, "SELECT customer_id FROM event ORDER BY 1") == [("ann",), ("ben",)]
    with database.reading() as connection:
        [left] = dead_letters.unsettled(connection)
        [settled] = dead_letters.named(connection, result.settled)
    assert (left.entry_id, settled.retried_at) == ("2-0", NOW + DAY)
    assert retrying(database).settled == [], "what is settled is not retried by --all"


def test_a_letter_that_fails_again_says_why_now(database: Database) -> None:
    taking(database, b"{", order("1", "ann"))
    mend(database, "1-0", order("1", "ann", total=99))
    [number] = retrying(database).kept
    assert "conflicting repeat" in letters(database)["1-0"]
    assert rows(database, "SELECT id, retried_at FROM dead_letter") == [(number, None)]


def test_a_letter_of_an_event_that_was_taken_in_part_is_settled_by_a_retry(database: Database) -> None:
    taking(database, identify("1", "ann", birthday="0000-00-00", vip=True))
    result = retrying(database, 1, 99)
    assert (len(result.settled), result.taken.duplicates) == (1, 1)
    assert rows(database, "SELECT count(*) FROM event") == [(1,)]


def test_all_letters_are_retried_however_many(database: Database) -> None:
    taking(database, *(b"%d" % n for n in range(230)))
    seen: list[int] = []
    result = retry(database, SHOP, None, NOW, lease=LEASE, max_lateness=MAX_LATENESS, progress=seen.append)
    assert len(result.kept) == 230
    assert seen == [100, 200, 230]


def importing(db: Database, file: Path) -> Taken:
    return import_customers(db, SHOP, file, NOW, lease=LEASE, max_lateness=MAX_LATENESS, batch=3)


def written(path: Path, content: str | bytes) -> Path:
    """A file that was last changed an hour ago."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (NOW.timestamp() - 3600,) * 2)
    return path


CSV = """\
id,email,first_name,vip,lifetime_value,birthday
1,siti@example.com,Siti,true,12.50,1994-02-28
2,ben@example.com,"Ben, Jr.",no,7,
3,,,,,
4,d@example.com,Dan,perhaps,1,
5,e@example.com,Eve,true,a lot,
6,f@example.com
,g@example.com,Gus,true,1,
8,h@example.com,Hal,true,1,0000-00-00
"""


def test_customers_come_from_csv_typed_by_the_vocabulary(database: Database, tmp_path: Path) -> None:
    taken = importing(database, written(tmp_path / "people.csv", CSV))

    assert (taken.accepted, taken.refused) == (4, 4)
    stored = rows(database, "SELECT id, email, first_name, birthday_md, traits FROM customer ORDER BY id")
    assert [(*row[:4], document(row[4])) for row in stored] == [
        ("1", "siti@example.com", "Siti", 228, {"vip": True, "lifetime_value": 12.5}),
        ("2", "ben@example.com", "Ben, Jr.", None, {"vip": False, "lifetime_value": 7}),
        ("3", None, None, None, {}),
        ("8", "h@example.com", "Hal", None, {"vip": True, "lifetime_value": 1}),
    ]
    reasons = letters(database)
    assert set(reasons) == {f"people.csv:{line}" for line in (5, 6, 7, 8, 9)}
    assert "neither true nor false" in reasons["people.csv:5"]
    assert "no number" in reasons["people.csv:6"]
    assert "2 cells where the header names 6" in reasons["people.csv:7"]
    assert "userId" in reasons["people.csv:8"]
    assert "birthday" in reasons["people.csv:9"]


def test_customers_come_from_json_lines(database: Database, tmp_path: Path) -> None:
    lines = b'{"id": 1, "email": "a@b.c", "tags": ["x"]}\n\n[1]\n{"id": "2", "vip": true}\n{"email": 1}\n{\xff}\n'
    taken = importing(database, written(tmp_path / "people.jsonl", lines))
    assert (taken.accepted, taken.refused) == (2, 3)
    assert set(letters(database)) == {"people.jsonl:3", "people.jsonl:5", "people.jsonl:6"}
    assert rows(database, "SELECT id, email FROM customer ORDER BY id") == [("1", "a@b.c"), ("2", None)]


def test_importing_twice_changes_nothing_and_what_an_app_said_later_stays(database: Database, tmp_path: Path) -> None:
    file = written(tmp_path / "people.csv", "id,first_name\n1,Siti\n2,Ben\n")
    importing(database, file)
    taking(database, identify("1", "1", NOW, first_name="Siti R."))
    again = importing(database, file)
    assert (again.accepted, again.duplicates) == (0, 2)
    assert rows(database, "SELECT first_name FROM customer ORDER BY id") == [("Siti R.",), ("Ben",)]


def test_an_import_raises_no_consent_and_starts_no_journey(database: Database, tmp_path: Path) -> None:
    taking(database, track("1", "1", "subscription.withdrawn", NOW - DAY))
    columns = "id,subscribed,consents,offers,event,type"
    taken = importing(
        database, written(tmp_path / "people.csv", f"{columns}\n1,true,all,true,subscription.granted,track\n")
    )
    assert (taken.accepted, taken.entered) == (1, 0)
    [(consents,)] = rows(database, "SELECT consents FROM customer")
    assert [said["granted"] for said in document(consents).values()] == [False]
    assert rows(database, "SELECT count(*) FROM consent") == [(1,)]


def test_files_that_are_none_are_refused_in_one_line(sqlite_database: Database, tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="no such file"):
        importing(sqlite_database, tmp_path / "nothing.csv")
    with pytest.raises(InvalidFile, match="`id` among them"):
        importing(sqlite_database, written(tmp_path / "odd.csv", "email,name\na@b.c,A\n"))
    with pytest.raises(InvalidFile, match="`id` among them"):
        importing(sqlite_database, written(tmp_path / "empty.csv", ""))


def test_a_file_that_is_not_utf8_is_refused_line_by_line(sqlite_database: Database, tmp_path: Path) -> None:
    content = "id,first_name\n1,J\xf6rg\n2,Ben\n".encode("latin-1")
    taken = importing(sqlite_database, written(tmp_path / "old.csv", content))
    assert (taken.accepted, taken.refused) == (1, 1)
    assert "UTF-8" in letters(sqlite_database)["old.csv:2"]
    assert rows(sqlite_database, "SELECT raw FROM dead_letter") == [(b"1,J\xf6rg",)]
