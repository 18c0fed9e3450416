"""Delivering: one worker process from `pending` rows to recorded `sent`, against what else could be done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from lifecycle import clock
from lifecycle.journey.project import Project
from lifecycle.store.database import Database

from . import seed
from .bars import BOTH, Line, median, per_second, ratios
from .bench import Bench, settle
from .courier import Courier, Delivered
from .machine import cpu_meter
from .rivals import UsualWay, bare_smtplib, pipelined_smtplib, ready_made, unread_blast
from .sink import Sink


@dataclass(slots=True)
class _Runs:
    """Emails per second of each way, run by run, and CPU seconds per 1,000 emails.

    `ours`: from `pending` to recorded `sent`; `whole`: with finding what is due and moving the journeys on.
    """

    ours: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    smtplib: list[float] = field(default_factory=list)
    blast: list[float] = field(default_factory=list)
    unread: list[float] = field(default_factory=list)
    usual: list[float] = field(default_factory=list)
    two: list[float] = field(default_factory=list)
    worker: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)


def run(bench: Bench) -> Iterator[Line]:
    """All lines of the part."""
    project = seed.project()
    for kind in bench.wanted(*BOTH):
        with bench.database(kind) as db, Sink() as sink:
            runs, size = _measure(bench, project, db, sink)
        ours = f"{median(runs.ours)} emails/s of {size / 1000:.1f} KB"
        cpu = [one + other for one, other in zip(runs.worker, runs.database, strict=True)]
        shares = f"worker {median(runs.worker)}, database {median(runs.database)}"
        for bar, name, theirs in (
            ("deliver.smtplib", "smtplib", runs.smtplib),
            ("deliver.usual", "the usual way", runs.usual),
            ("deliver.blast", "blast", runs.blast),
        ):
            yield Line(bar, kind, ratios(runs.ours, theirs), f"{ours}; {name} {median(theirs)}/s")
        beside = f"{ours}; bytes into a socket {median(runs.unread)}/s"
        what = "delivering ÷ bytes into a socket, no reply looked at"
        yield Line(None, kind, ratios(runs.ours, runs.unread), beside, what, "×")
        what = "finding what is due, delivering it and moving the journeys on ÷ a bare smtplib loop"
        yield Line(None, kind, ratios(runs.whole, runs.smtplib), f"{median(runs.whole)} emails/s", what, "×")
        yield Line("deliver.cpu", kind, cpu, shares)
        two = f"two {median(runs.two)} emails/s, one {median(runs.whole)} emails/s, all of the work"
        yield Line("deliver.two", kind, ratios(runs.two, runs.whole), two)


def memory(bench: Bench) -> Iterator[Line]:
    """How much memory a worker has after many emails."""
    tenth = bench.sizes.pick(10_000, 1_000)
    for kind in bench.wanted(*BOTH):
        with bench.database(kind) as db, Sink() as sink, Courier(db, sink.url, bench.templates_cache) as courier:
            now, went = clock.now(), []
            for n in range(10):
                seed.customers(db, n * tenth, tenth, now)
                seed.pending(db, n * tenth, tenth, now)
                went.append(_checked(courier.go(), tenth))
        figures = ", ".join(f"{one.memory:.0f}" for one in went)
        yield Line(
            "memory.peak",
            kind,
            [max(one.memory for one in went)],
            f"after each of ten times {tenth:,} emails: {figures} MB",
        )


def _measure(bench: Bench, project: Project, db: Database, sink: Sink) -> tuple[_Runs, float]:
    runs, many, few = _Runs(), bench.sizes.pick(5_000, 1_500), bench.sizes.pick(500, 150)
    letters = ready_made(project, bench.templates_cache)
    now = clock.now()
    usual, meter, cache = UsualWay(db, project, sink.url, bench.templates_cache), cpu_meter(db), bench.templates_cache
    with Courier(db, sink.url, cache) as one, Courier(db, sink.url, cache) as other:
        first = 0
        for warm in range(bench.rounds + 1):
            seed.customers(db, first, 3 * many + few, now)
            seed.pending(db, first, many, now)
            settle(db)
            smtplib = bare_smtplib(sink.url, letters, many)
            before = meter.cpu_seconds() if meter else 0.0
            ours = _checked(one.go(), many)
            database = (meter.cpu_seconds() if meter else 0.0) - before
            blasted = pipelined_smtplib(sink.url, letters, many)
            unread = unread_blast(sink.url, letters, many)
            seconds = usual.deliver(seed.pending(db, first + many, few, now))
            seed.pending(db, first + many + few, 2 * many, now)
            settle(db)  # as before the one that it is compared with
            two = _together(one, other, 2 * many)
            first += 3 * many + few
            if not warm:
                continue
            runs.ours += per_second(many, [ours.sending])
            runs.whole += per_second(many, [ours.seconds])
            runs.smtplib += per_second(many, [smtplib])
            runs.blast += per_second(many, [blasted])
            runs.unread += per_second(many, [unread])
            runs.usual += per_second(few, [seconds])
            runs.two += per_second(2 * many, [two])
            runs.worker.append(ours.cpu / many * 1000)
            runs.database.append(database / many * 1000)
    usual.close()
    return runs, sum(len(letter.data) for letter in letters) / len(letters)


def _together(one: Courier, other: Courier, emails: int) -> float:
    """Seconds until both have found nothing more."""
    start = time.perf_counter()
    one.begin()
    other.begin()
    done = [one.end(), other.end()]
    seconds = time.perf_counter() - start
    assert sum(each.emails for each in done) == emails, done
    return seconds


def _checked(went: Delivered, emails: int) -> Delivered:
    assert went.emails == emails, went
    return went
