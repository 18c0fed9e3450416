"""What must not grow with the number of customers: taking events, and finding who enters without one."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from redis import Redis

from lifecycle.journey.load import load
from lifecycle.journey.project import Project
from lifecycle.settings import Settings
from lifecycle.store.database import Database

from . import enter, events
from .bars import BOTH, Line, median, per_second
from .bench import ROOT, Bench, settle
from .machine import cpu_meter

_BATCH: int = Settings.model_fields["consume_batch"].default


@dataclass(slots=True)
class _Taken:
    """Seconds and CPU seconds (consumer, database) of each run."""

    seconds: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)


def run(bench: Bench) -> Iterator[Line]:
    """All lines of both parts, which share their million customers."""
    project, problems = load(ROOT / "journeys")
    assert project is not None, problems
    many, few = bench.sizes.pick(1_000_000, 50_000), 10_000
    for kind in bench.wanted(*BOTH):
        with bench.database(kind) as small, bench.database(kind) as large:
            start = time.perf_counter()
            enter.populate(small, few)
            enter.populate(large, many)
            made = time.perf_counter() - start
            yield from _take(bench, kind, project, small, few, large, many)
            settle(large)
            yield from _enter(bench, kind, large)
            yield Line(None, kind, [made], f"{many:,} and {few:,} customers", "to make the customers", "s")


def _take(
    bench: Bench, kind: str, project: Project, small: Database, few: int, large: Database, many: int
) -> Iterator[Line]:
    """The same number of events for either, in turn."""
    number, seed = bench.sizes.pick(20_000, 5_000), random.randrange(10**9)
    of_many, of_few = _Taken(), _Taken()
    with Redis.from_url(bench.redis_url) as redis:
        for n in range(bench.rounds + 1):
            for db, customers, taken in ((large, many, of_many), (small, few, of_few)):
                seed += 1
                raws, meter = events.messages(number, customers, seed), cpu_meter(db)
                before = meter.cpu_seconds() if meter else 0.0
                seconds, cpu, all_taken = events.measure(redis, db, project, raws, _BATCH)
                assert all_taken.accepted == number, all_taken
                if n:  # the first only warms up
                    taken.seconds.append(seconds)
                    taken.own.append(cpu / number * 1e6)
                    taken.database.append(((meter.cpu_seconds() if meter else 0.0) - before) / number * 1e6)
    shares = f"CPU an event: consumer {median(of_many.own)} µs, database {median(of_many.database)}"
    yield Line("events.rate", kind, per_second(number, of_many.seconds), f"{many:,} customers; {shares}")
    yield Line(
        "events.growth",
        kind,
        [one / other for one, other in zip(of_many.seconds, of_few.seconds, strict=True)],
        f"{median(per_second(number, of_few.seconds))} events/s with {few:,} customers; "
        f"CPU an event there: consumer {median(of_few.own)} µs, database {median(of_few.database)}",
    )


def _enter(bench: Bench, kind: str, db: Database) -> Iterator[Line]:
    """The slowest kind of entry stands for all."""
    passes = enter.measure(db, bench.rounds)
    for bar in ("enter.when", "enter.each_year"):
        each = [one for one in passes if one.label.startswith(bar.partition(".")[2])]
        slowest = max(each, key=lambda one: sorted(one.empty)[len(one.empty) // 2])
        beside = "; ".join(
            f"{one.label.partition(': ')[2]}: {median(one.empty)} s, {one.entered:,} had entered" for one in each
        )
        yield Line(bar, kind, slowest.empty, beside)
    guilty = enter.full_reads(db)
    yield Line("enter.reads", kind, [len(guilty)], ", ".join(guilty) or f"of {len(passes)} kinds of entries")
