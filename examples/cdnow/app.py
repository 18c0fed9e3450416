"""The shop, as far as mail is concerned: says what its customers do, when they do it, and knows nothing else.

    REDIS_URL=redis://… python examples/cdnow/app.py events.jsonl --start 1997-03-20T05:00:00Z --speed 1200

It reads events that `make_events.py` made and emits those of one day through `lifecycle.client`, each at its time, on
a clock that runs `--speed` times as fast.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lifecycle.client import Client


def main() -> None:
    """Emits one day's events."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", type=Path)
    parser.add_argument("--start", type=datetime.fromisoformat, required=True, help="when the day begins")
    parser.add_argument("--end", type=datetime.fromisoformat, help="when it ends; 24 hours later, if not given")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times as fast as real time")
    parser.add_argument("--began", type=float, default=time.time(), help="when it begins, in Unix seconds")
    options = parser.parse_args()
    end = options.end or options.start + timedelta(days=1)
    client = Client(os.environ["REDIS_URL"])  # noqa: TID251 - an app has settings of its own
    for event in _between(options.events, options.start, end):
        at = datetime.fromisoformat(event["timestamp"])
        time.sleep(max(0.0, options.began + (at - options.start).total_seconds() / options.speed - time.time()))
        _emit(client, event, at)
    client.close()


def _between(path: Path, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if start <= datetime.fromisoformat(event["timestamp"]) < end:
                yield event


def _emit(client: Client, event: dict[str, Any], at: datetime) -> None:
    user, message_id = event["userId"], event["messageId"]
    if event["type"] == "identify":
        client.identify(user, event["traits"], timestamp=at, message_id=message_id)
    else:
        traits = event.get("context", {}).get("traits")
        client.track(user, event["event"], event["properties"], timestamp=at, message_id=message_id, traits=traits)


if __name__ == "__main__":
    main()
