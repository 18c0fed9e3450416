"""Structured logs: one JSON object per line in production, readable lines elsewhere, on stderr.

    log = logging.getLogger(__name__)
    log.info("taken", extra={"events": 500, "seconds": 0.04})

Logs speak of ids and counts. As a seat belt, whatever looks like an email address, a signed token or a password in a
URL is masked in every line, tracebacks of libraries included.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import IO, Any

_STOP = r"\s@<>()\[\]{}\"',;:=/\\"
_MASKS = (
    (re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]*(?=@)"), "***"),
    # An asterisk belongs to no usual address, but to what the line above has left.
    (re.compile(rf"(?:\"[^\"@\n]{{1,64}}\"|[^*{_STOP}]{{1,64}})(?:@|%40)[^{_STOP}]+"), "[address]"),
    (re.compile(r"(?<=/u/)[^\s/?#\"'<>]+"), "[token]"),
    (re.compile(r"(?i)(?<=token=)[^\s&#\"'<>]+"), "[token]"),
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
QUIET = {
    "CSSUTILS": logging.CRITICAL,
    "alembic": logging.WARNING,
    "dramatiq": logging.WARNING,
    "premailer": logging.WARNING,
}


def masked(text: str) -> str:
    """The text without email addresses, tokens of links, and passwords in URLs."""
    if "@" in text or "%40" in text or "/u/" in text or "oken=" in text.casefold():
        for pattern, mask in _MASKS:
            text = pattern.sub(mask, text)
    return text


class JsonLines(logging.Formatter):
    """One JSON object per record: time, level, logger, message, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(_masked_values(line))


class Lines(logging.Formatter):
    """One readable line per record; a traceback follows it."""

    def format(self, record: logging.LogRecord) -> str:
        extra = "".join(f"  {name}={value}" for name, value in _extra(record).items())
        line = f"{_time(record):%H:%M:%S} {record.levelname.lower():<7} {record.name}: {record.getMessage()}{extra}"
        if record.exc_info:
            line += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return masked(line)


def configure(*, as_json: bool, level: str = "info", stream: IO[str] | None = None) -> None:
    """Send all logs to `stream` (stderr) in one form, in place of whatever was configured before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if as_json else Lines())
    root = logging.getLogger()
    for former in list(root.handlers):
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))


def _time(record: logging.LogRecord) -> datetime:
    # The wall clock, also when the engine's own clock is scaled: logs are read beside those of other programs.
    return datetime.fromtimestamp(record.created, UTC)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _masked_values(value: Any) -> Any:
    match value:
        case str():
            return masked(value)
        case dict():
            return {name: _masked_values(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_masked_values(inner) for inner in value]
        case None | bool() | int() | float():
            return value
    return masked(str(value))
