"""The SMTP transport: kept connections, polled in one thread, one round trip per letter where PIPELINING is offered."""

from __future__ import annotations

import bisect
import logging
import math
import selectors
import time
from collections import deque
from collections.abc import Iterable, Iterator

from lifecycle.mail.lane import Lane, LostError, Ticket, unfit
from lifecycle.mail.relay import Relay, UnreachableError
from lifecycle.mail.transport import Deferred, Letter, Outcome, Withdrawn

_log = logging.getLogger(__name__)

_AT_ONCE = (0.1, 0.4)  # seconds before a second and third attempt to connect
_FIRST_REST = 1.0  # seconds for which an unreachable server is left alone, doubling …
_LONGEST_REST = 30.0  # … up to this
_WARY = 60.0  # seconds without a second letter on the wire after a server lost its footing there
_GOODBYE = 1.0  # seconds in which open conversations are brought to an end
_TRIES = 3  # connections that may be lost under one letter before it is deferred


class SmtpTransport:
    """Delivers letters over kept SMTP connections (RFC 5321, RFC 2920).

    `url` is `smtp://user:pass@host:587?starttls=1` or `smtps://…` (see Relay.parse). `lanes` is the number of
    connections and of letters in flight. `timeout` in seconds bounds every wait for the server; a letter whose content
    has not begun to leave `within` seconds of being pulled is Deferred; connections unused for `idle` seconds are
    closed at the next use. Raises ConfigurationError for a bad URL, and nothing for a bad
    server: its letters are Deferred. For one thread at a time.
    """

    def __init__(
        self, url: str, *, lanes: int = 1, timeout: float = 30, within: float = math.inf, idle: float = 60
    ) -> None:
        if lanes < 1:
            raise ValueError("lanes must be at least 1")
        self.lanes = lanes
        self.unreported: list[tuple[Letter, Outcome]] = []
        """Outcomes that became known after the caller had closed `deliver`."""
        self._relay = Relay.parse(url)
        self._timeout = timeout
        self._within = within
        self._idle = idle
        self._pool: list[Lane] = []
        self._selector = selectors.DefaultSelector()
        self._busy = False
        self._rest_until = 0.0
        self._rest = 0.0
        self._troubled_at = 0.0
        self._trouble = Deferred("no connection is left")
        self._wary_until = 0.0

    def __repr__(self) -> str:
        return f"SmtpTransport({str(self._relay)!r}, lanes={self.lanes})"

    def deliver(self, letters: Iterable[Letter]) -> Iterator[tuple[Letter, Outcome]]:
        """Deliver letters as they are pulled; see Transport.

        Letters are pulled one ahead, so at most `2 * lanes` are without outcome, and an iterable that waits holds up
        the letter before. To stop early, let the iterable end; closing the generator waits a second for what is in
        flight, and leaves the outcomes that were still to come in `unreported`.
        """
        if self._busy:
            raise RuntimeError("this transport is delivering already; use another one")
        self._busy = True
        self.unreported = []
        run = _Run(letters, self.lanes)
        try:
            self._drop_stale()
            while True:
                while run.known:
                    ticket, outcome = run.known.popleft()
                    run.unsettled.remove(ticket.place)
                    yield ticket.letter, outcome
                self._feed(run)
                if run.known:
                    continue
                if any(lane.waiting for lane in self._pool):
                    self._wait(run)
                elif not run.returned:
                    break
                elif run.no_way or len(self._pool) == self.lanes:
                    run.known.append((run.returned.pop(0), self._trouble))
        finally:
            self._leave(run)
            self._busy = False
        assert not run.unsettled
        if run.error is not None:
            raise run.error

    def close(self) -> None:
        """Say QUIT on every kept connection and close it; a delivery under way must be closed before."""
        for lane in self._pool:
            self._forget(lane)
            lane.quit()
        self._pool.clear()

    # What to do next

    def _feed(self, run: _Run) -> None:
        """Give idle lanes their next letter, open more lanes while there are letters, send what may be sent."""
        run.no_way = False
        for lane in [*self._pool]:
            if lane.idle and (ticket := run.take()) is not None:
                self._drive(run, lane, ticket)
        while len(self._pool) < self.lanes and not run.known and self._open_lane(run):
            pass
        for lane in [*self._pool]:
            if lane.ready and run.may_send(lane.envelope):
                self._drive(run, lane, None)

    def _drive(self, run: _Run, lane: Lane, ticket: Ticket | None) -> None:
        """Begin `ticket` on the lane, or without one send the content that it is ready for."""
        try:
            if ticket is not None:
                lane.begin(ticket)
            elif self._too_late(lane.envelope):
                raise LostError(f"the server was too slow: no content within {self._within:g} s")
            elif (unwanted := lane.withdraw()) is not None:
                run.known.append((unwanted, Withdrawn()))
                raise LostError("the letter was withdrawn")  # the server waits for content: there is no other way out
            else:
                following = run.take() if lane.pipelining and time.monotonic() >= self._wary_until else None
                if lane.still_there():
                    lane.proceed(following)
                else:
                    if following is not None:
                        run.put_back(following)
                    raise LostError("the server closed the connection")
            self._watch(lane)
        except LostError as lost:
            self._end(run, lane, str(lost))

    def _open_lane(self, run: _Run) -> bool:
        """Open a lane for the next letter; False when there is no letter or no way."""
        resting = time.monotonic() < self._rest_until
        if resting and self._pool:
            return False
        ticket = run.take()
        if ticket is None:
            return False
        lane = None if resting else self._connect()
        if lane is None:
            run.no_way = True
            if self._pool:
                run.put_back(ticket)
            else:
                run.known.append((ticket, self._trouble))
            return False
        self._pool.append(lane)
        self._selector.register(lane.sock, selectors.EVENT_READ, lane)
        self._drive(run, lane, ticket)
        return True

    def _connect(self) -> Lane | None:
        """Open a connection; None, and a rest for the server, when that fails."""
        for pause in (*_AT_ONCE, None):
            try:
                return Lane(*self._relay.connect(self._timeout))
            except UnreachableError as error:
                if pause is None or not error.again or self._pool or self._rest:
                    self._be_patient(str(error), error.code)
                    return None
                time.sleep(pause)
        return None

    def _be_patient(self, reason: str, code: int | None) -> None:
        """Leave the server alone for a while, longer each time until a connection proves of use."""
        self._trouble = Deferred(reason, code)
        self._troubled_at = time.monotonic()
        self._rest = min(_LONGEST_REST, self._rest * 2 or _FIRST_REST)
        self._rest_until = self._troubled_at + self._rest
        _log.warning("%s; leaving it alone for %g s", reason, self._rest)

    # What the servers say

    def _wait(self, run: _Run) -> None:
        """Wait until a server says something or its time is up, and take it in."""
        now = time.monotonic()
        latest = min(lane.since for lane in self._pool if lane.waiting) + self._timeout
        if not self._hear(run, latest - now) or now >= latest:
            self._time_out(run)

    def _hear(self, run: _Run, seconds: float) -> bool:
        """Take in what servers say within that time; False when none says anything."""
        events = self._selector.select(max(0.0, seconds))
        for key, _ in events:
            lane: Lane = key.data
            try:
                lane.exchange()
                self._watch(lane)
            except LostError as lost:
                self._end(run, lane, str(lost))
            else:
                if lane.known:
                    self._collect(run, lane)
        return bool(events)

    def _collect(self, run: _Run, lane: Lane) -> None:
        if self._rest and lane.opened > self._troubled_at and lane.served:
            self._rest = 0.0
        run.known.extend(lane.known)
        lane.known.clear()

    def _time_out(self, run: _Run) -> None:
        now = time.monotonic()
        late = [lane for lane in self._pool if lane.waiting and now - lane.since >= self._timeout]
        reason = f"{self._relay} did not answer within {self._timeout:g} s"
        for lane in late:
            self._end(run, lane, reason)
        if late:
            self._be_patient(reason, None)

    def _end(self, run: _Run, lane: Lane, reason: str) -> None:
        """Settle a lost connection.

        Letters whose content never left go out on another one, if this one had worked or if they only rode behind.
        """
        self._forget(lane)
        self._pool.remove(lane)
        riding = lane.content is not None and lane.envelope is not None
        if riding:
            self._wary_until = time.monotonic() + _WARY
        left = lane.end(reason)
        self._collect(run, lane)
        if lane.dismissed and not lane.served:
            self._be_patient(reason, 421)
        for ticket in left:
            ticket.tries += 1
            if ticket.tries < _TRIES and (lane.served or riding) and not self._too_late(ticket):
                run.put_back(ticket)
            else:
                run.known.append((ticket, Deferred(f"{reason}, before the final dot")))

    def _too_late(self, ticket: Ticket | None) -> bool:
        return ticket is not None and time.monotonic() - ticket.pulled >= self._within

    def _watch(self, lane: Lane) -> None:
        """Poll for room to send only while there is something to send."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if lane.wants_to_send else 0)
        if lane.watched != events:
            self._selector.modify(lane.sock, events, lane)
            lane.watched = events

    # Coming and going

    def _forget(self, lane: Lane) -> None:
        self._selector.unregister(lane.sock)

    def _drop_stale(self) -> None:
        now = time.monotonic()
        for lane in [*self._pool]:
            if now - lane.since > self._idle or not lane.still_there():
                self._forget(lane)
                self._pool.remove(lane)
                lane.quit()

    def _leave(self, run: _Run) -> None:
        """Finish what is in flight when the caller walks away; an idle lane is kept, any other closed."""
        deadline = time.monotonic() + _GOODBYE
        while any(lane.content for lane in self._pool) and (left := deadline - time.monotonic()) > 0:
            self._hear(run, left)
        for lane in [*self._pool]:
            if not lane.idle:
                self._end(run, lane, "the delivery was stopped")
        while run.returned:
            run.known.append((run.returned.pop(0), Deferred("the delivery was stopped")))
        self.unreported = [(ticket.letter, outcome) for ticket, outcome in run.known]


class _Run:
    """One call of `deliver`: where its letters come from, and which are without outcome."""

    def __init__(self, letters: Iterable[Letter], lanes: int) -> None:
        self.known: deque[tuple[Ticket, Outcome]] = deque()
        self.unsettled: list[int] = []  # places of the letters pulled and not yet yielded, ascending
        self.error: Exception | None = None
        self._lanes = lanes
        self._source: Iterator[Letter] | None = iter(letters)
        self.returned: list[Ticket] = []  # letters that no connection has carried
        self.no_way = False  # another lane was needed, and could not be opened
        self._place = 0

    def take(self) -> Ticket | None:
        """The next letter; one that cannot be sent at all is settled on the way."""
        if self.returned:
            return self.returned.pop(0)
        if self._source is None:
            return None
        try:
            letter = next(self._source, None)
        except Exception as error:  # noqa: BLE001  it is raised again once the letters under way are settled
            self.error = error
            letter = None
        if letter is None:
            self._source = None
            return None
        self._place += 1
        ticket = Ticket(letter, self._place)
        self.unsettled.append(ticket.place)
        if (refused := unfit(letter)) is not None:
            self.known.append((ticket, refused))
            return None
        return ticket

    def put_back(self, ticket: Ticket) -> None:
        """Take back a letter that no connection has carried; the earliest goes out first."""
        bisect.insort(self.returned, ticket, key=lambda one: one.place)

    def may_send(self, ticket: Ticket | None) -> bool:
        """Whether fewer than `lanes` earlier letters are without outcome."""
        assert ticket is not None
        return len(self.unsettled) <= self._lanes or ticket.place <= self.unsettled[self._lanes - 1]
