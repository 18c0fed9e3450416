from __future__ import annotations

import io
import json
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import logs

log = logging.getLogger("lifecycle.test")


def test_a_line_of_json_has_the_time_the_level_and_what_was_given() -> None:
    stream = io.StringIO()
    logs.configure(as_json=True, stream=stream)
    log.info("taken %d", 500, extra={"events": 500, "journey": "win_back", "ids": (1, 2)})
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "lifecycle.test",
        "message": "taken 500",
        "events": 500,
        "journey": "win_back",
        "ids": [1, 2],
    }


def test_a_readable_line_says_the_same() -> None:
    stream = io.StringIO()
    logs.configure(as_json=False, stream=stream)
    log.warning("late", extra={"seconds": 3})
    assert stream.getvalue().rstrip().endswith("warning lifecycle.test: late  seconds=3")


def test_what_is_below_the_level_is_left_out() -> None:
    stream = io.StringIO()
    logs.configure(as_json=True, level="warning", stream=stream)
    log.info("quiet")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("as_json", [True, False])
def test_no_address_token_or_password_gets_into_a_log(as_json: bool) -> None:
    stream = io.StringIO()
    logs.configure(as_json=as_json, stream=stream)
    log.info(
        "to %s", "siti.rahma+kopi@example.co.id", extra={"link": "https://m.example/u/eyJ0b3BpYyI6.Zx-9_secret?x=1"}
    )
    log.info("retry", extra={"reply": {"text": ["550 5.1.1 <Siti@Example.com>: unknown"]}})
    log.info("connecting to redis://:hunter2@localhost:6379/0 and smtp://siti%40example.com:hunter2@relay")
    log.info('quoted "siti rahma"@example.com and unicode ünï@exämple.de')
    try:
        raise ValueError("cannot send to siti@example.com")
    except ValueError:
        log.exception("failed")
    text = stream.getvalue()
    assert "failed" in text
    assert "Traceback" in text
    for secret in ("siti", "Siti", "rahma", "ünï", "\\u00fcn", "secret", "eyJ0", "hunter2"):
        assert secret not in text
    assert "localhost:6379" in text


def test_one_record_is_one_line_of_json_whatever_it_holds() -> None:
    stream = io.StringIO()
    logs.configure(as_json=True, stream=stream)
    log.info("two\nlines \ud800 \u2028", extra={"big": 2**70, "odd": object(), "none": None})
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert json.loads(line)["big"] == 2**70


@given(
    before=st.text(alphabet="abc <>\"'(,:;=", max_size=20),
    local=st.from_regex(r"[a-z0-9][a-z0-9.+_-]{0,20}", fullmatch=True),
    domain=st.from_regex(r"[a-z0-9-]{1,20}\.[a-z]{2,6}", fullmatch=True),
)
def test_an_address_is_masked_wherever_it_stands(before: str, local: str, domain: str) -> None:
    assert f"{local}@{domain}" not in logs.masked(f"{before}{local}@{domain} after")
    assert logs.masked(f"{local}@{domain} after") == "[address] after"


def test_masking_takes_no_longer_than_the_line_is_long() -> None:
    started = time.thread_time()
    for piece in ("a", '"', "@", "a@", '"@', "://:", "/u/", "%40"):
        logs.masked(piece * 20_000 + "@")
    assert time.thread_time() - started < 5
