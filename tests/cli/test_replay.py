"""`lifecycle replay`: history through everything, byte for byte the same each time."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Shop


def order(number: int, at: str) -> dict[str, Any]:
    return {"type": "track", "userId": str(number % 7), "event": "order.completed", "timestamp": at,
            "properties": {"order_id": f"A{number}", "total": number}}  # fmt: skip


EVENTS = [
    *(
        {"type": "identify", "userId": str(user), "timestamp": "2025-03-01T00:00:00Z",
         "traits": {"email": f"{user}@example.com"}}
        for user in range(7)
    ),
    *(order(number, f"2025-03-{1 + number:02}T02:00:00Z") for number in range(20)),
]  # fmt: skip


@pytest.fixture
def file(bare_shop: Shop) -> Path:
    """The events as a file."""
    path = bare_shop.folder / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    return path


def listing(shop: Shop, url: str) -> str:
    """`messages --json`, but for generated ids."""
    shop.environment["DATABASE_URL"] = url
    found = shop.run("messages", "--json").stdout
    del shop.environment["DATABASE_URL"]
    return re.sub(r'"(id|enrollment_id)":\d+,', "", found)


def test_replaying_the_same_file_twice_gives_the_same_bytes(bare_shop: Shop, file: Path) -> None:
    urls = [f"sqlite:///{bare_shop.folder / name}" for name in ("one.db", "two.db")]
    for url in urls:
        bare_shop.run("replay", file.name, "--database", url)

    one, two = (listing(bare_shop, url) for url in urls)

    assert one == two
    assert one.count('"state":"sent"') == 20


def test_it_says_where_to_look_and_starts_afresh_each_time(bare_shop: Shop, file: Path) -> None:
    bare_shop.run("replay", file.name)
    again = bare_shop.run("replay", file.name).stdout

    url = f"sqlite:///{bare_shop.folder / '.lifecycle' / 'replay.db'}"
    assert "27 events taken; the clock stands at 2025-03-20 02:00 UTC" in again
    assert f"DATABASE_URL={url} lifecycle messages --json" in again
    assert listing(bare_shop, url).count('"state":"sent"') == 20
    assert not (bare_shop.folder / ".lifecycle" / "lifecycle.db").exists()


def test_it_reads_packed_files_stops_before_a_day_and_writes_the_emails(bare_shop: Shop, file: Path) -> None:
    packed = bare_shop.folder / "events.jsonl.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))

    bare_shop.run("replay", packed.name, "--until", "2025-03-04", "--outbox", "out")

    letters = sorted((bare_shop.folder / "out").glob("*.eml"))
    assert len(letters) == 3
    assert any("Subject: Thanks for A2" in letter.read_text() for letter in letters)


def test_with_a_database_of_its_own_it_goes_on_where_that_one_stands(bare_shop: Shop, file: Path) -> None:
    url = f"sqlite:///{bare_shop.folder / 'kept.db'}"
    bare_shop.run("replay", file.name, "--database", url, "--until", "2025-03-10")

    rest = bare_shop.run("replay", file.name, "--database", url).stdout

    assert "11 events taken, 16 known already" in rest
    assert listing(bare_shop, url).count('"state":"sent"') == 20


def test_the_live_database_is_refused(shop: Shop, file: Path) -> None:
    shop.environment["DATABASE_URL"] = f"sqlite:///{shop.folder / 'live.db'}"

    refused = shop.run("replay", file.name, "--database", shop.environment["DATABASE_URL"], exit_code=2)

    assert refused.stderr.startswith("error: that is the database of the live roles")
    assert not (shop.folder / "live.db").exists()


def test_lines_that_are_no_events_are_counted_and_kept(bare_shop: Shop) -> None:
    lines = "{broken\n" + json.dumps(order(1, "2025-03-01T02:00:00Z"))

    said = bare_shop.run("replay", "-", stdin=lines).stdout

    assert "1 event taken, 1 refused" in said
    assert "lifecycle events dead" in said


@pytest.mark.parametrize("until", ["soon", "1997-13-01"])
def test_a_moment_that_is_none_is_told_in_a_line(bare_shop: Shop, file: Path, until: str) -> None:
    refused = bare_shop.run("replay", file.name, "--until", until, exit_code=2)

    assert "is no day like 1997-03-20" in refused.stderr
    assert refused.stderr.count("\n") == 1
