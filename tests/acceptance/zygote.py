"""Forks workers that a test may kill: the real functions over real SMTP, without the second that imports take.

    python -m tests.acceptance.zygote DATABASE_URL SMTP_URL LANES LEASE_SECONDS

Each line on stdin that says `fork` gives a worker, whose pid is printed; `reap PID` waits for its end. The workers end
with stdin.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from lifecycle import Journey, Send, on
from lifecycle.clock import Real
from lifecycle.flow.advance import advance
from lifecycle.flow.deliver import deliver
from lifecycle.flow.schedule import claim_due, recover
from lifecycle.journey.project import Project
from lifecycle.mail.smtp import SmtpTransport
from lifecycle.store import enrollments, messages
from lifecycle.store.database import Database
from lifecycle.store.recorder import Recorder
from lifecycle.testing import Outbox, mailer_for
from tests.stage import Ordered, project_of

_AT_ONCE = 60


def shop(**policy: object) -> Project:
    """A letter of marketing and a receipt for each order."""
    news = Journey(name="news", topic="news", enter=on(Ordered), steps=[Send("news")])
    receipt = Journey(name="receipt", topic="orders", kind="transactional", enter=on(Ordered), steps=[Send("receipt")])
    return project_of(news, receipt, **policy)


def serve(work: Callable[..., None], arguments: Sequence[str]) -> None:
    """Forks on demand what works for ever."""
    for line in sys.stdin:
        if line.strip() == "fork":
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
                work(*arguments)
            print(pid, flush=True)
        else:
            os.waitpid(int(line.split()[1]), 0)
            print("gone", flush=True)


def _work(url: str, smtp: str, lanes: str, seconds: str) -> None:
    """A scheduler and a worker in one: recovers, claims, advances, delivers, for ever."""
    db, lease, now = Database(url), timedelta(seconds=float(seconds)), Real().now
    project = shop()
    mailer = mailer_for(project, Outbox())
    mailer.transport = SmtpTransport(smtp, lanes=int(lanes))
    recorder = Recorder(db, time.sleep)
    while True:
        recover(db, now())
        due = claim_due(db, enrollments.CLAIM_DUE, now(), lease, _AT_ONCE)
        planned = advance(db, project, due, now(), lease) if due else []
        planned += claim_due(db, messages.CLAIM_DUE, now(), lease, _AT_ONCE)
        if planned:
            deliver(db, project, mailer, recorder, planned, now=now, lease=lease)
        elif not due:
            time.sleep(0.02)


if __name__ == "__main__":
    serve(_work, sys.argv[1:])
