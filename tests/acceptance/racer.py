"""A worker process that delivers everything there is, when it is told to start.

    python -m tests.acceptance.racer DATABASE_URL SEED

Prints `ready`, waits for a line on stdin, then goes through all messages in batches of its own choice.
"""

from __future__ import annotations

import random
import sys
import time
from datetime import timedelta

from lifecycle import Cap, Journey, Send, days, on
from lifecycle.clock import Real
from lifecycle.flow.deliver import deliver
from lifecycle.journey.project import Project
from lifecycle.store.database import Database
from lifecycle.store.recorder import Recorder
from lifecycle.testing import Outbox, mailer_for
from tests.stage import Ordered, project_of

LIMIT = 3
_AT_ONCE = 20


def shop() -> Project:
    """A thank-you for each order, but no more than a few a day."""
    thanks = Journey(
        name="thanks",
        topic="orders",
        enter=on(Ordered),
        key=Ordered.order_id,
        steps=[Send("thanks", on_capped="skip")],
    )
    return project_of(thanks, caps=[Cap(LIMIT, per=days(1))])


def main(url: str, seed: str) -> None:
    db, project = Database(url), shop()
    mailer, recorder = mailer_for(project, Outbox()), Recorder(db, time.sleep)
    with db.reading() as connection:
        ids = list(connection.exec_driver_sql("SELECT id FROM message").scalars())
    random.Random(seed).shuffle(ids)
    print("ready", flush=True)
    sys.stdin.readline()
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        deliver(db, project, mailer, recorder, some, now=Real().now, lease=timedelta(minutes=5))
    recorder.close()
    print(*(letter.message_id for letter in mailer.transport.letters) if isinstance(mailer.transport, Outbox) else ())


if __name__ == "__main__":
    main(*sys.argv[1:])
