"""Whatever a server does, each letter has one outcome, and that outcome is true."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from functools import partial
from threading import Lock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.mail.receiver import Mail
from lifecycle.mail.smtp import SmtpTransport
from lifecycle.mail.transport import Accepted, Deferred, Letter, Outcome, Refused, Unknown, Withdrawn
from tests.smtp_servers import DROP, KEEP_AND_DROP, Action, SmtpServer

# What may happen to a letter at a step; mostly nothing, or hardly a letter would come through
STEPS = ["mail", "rcpt", "data", "content"]
REPLIES: list[Action] = [b"421 4.3.2 goodbye", b"451 4.3.0 later", b"550 5.1.1 never", DROP]
MISCHIEF = st.one_of(
    st.tuples(st.sampled_from(STEPS), st.sampled_from(REPLIES)), st.just(("content", KEEP_AND_DROP)), st.none()
)
SCRIPTS = st.lists(MISCHIEF, min_size=1, max_size=12)
CONTENTS = st.sampled_from([b"", b".\r\n", b"x\r\n.\r\ny\r\n", b"a" * 20_000])


class Witness:
    """What the server saw against what the caller was told, at every moment."""

    def __init__(self) -> None:
        self.seen: Counter[int] = Counter()
        self.told: dict[int, Outcome] = {}
        self.most_in_flight = 0
        self.out_of_turn = 0
        self.pulled: list[int] = []
        self._lock = Lock()

    def in_content(self, mail: Mail) -> None:
        """A content has arrived whole: it is in flight until its outcome is told."""
        number = number_of(mail)
        with self._lock:
            self.seen[number] += 1
            open_ones = [one for one in self.seen if one not in self.told]
            self.most_in_flight = max(self.most_in_flight, len(open_ones))
            earlier = [one for one in self.pulled if one < number and one not in self.told]
            self.out_of_turn = max(self.out_of_turn, len(earlier))

    def tell(self, number: int, outcome: Outcome) -> None:
        """The caller got an outcome."""
        with self._lock:
            assert number not in self.told, "a second outcome"
            self.told[number] = outcome


def number_of(mail: Mail) -> int:
    return int(mail.recipients[0].removeprefix("c").partition("@")[0])


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the transport try again at once, or one goodbye would end an example."""
    monkeypatch.setattr("lifecycle.mail.smtp._LONGEST_REST", 0.0)


@pytest.fixture(scope="module")
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "plain"])
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    script=SCRIPTS,
    contents=st.lists(CONTENTS, max_size=25),
    lone_dots=st.booleans(),
    connections=st.sampled_from([1, 2, 4, 8, 99]),
    withdrawn=st.frozensets(st.integers(0, 24), max_size=6),
)
def test_one_true_outcome_per_letter_whatever_the_server_does(
    server: SmtpServer,
    lanes: int,
    pipelining: bool,
    script: list[tuple[str, Action] | None],
    contents: list[bytes],
    lone_dots: bool,
    connections: int,
    withdrawn: frozenset[int],
) -> None:
    # Given a server that takes so many connections, and on them goes wrong as the script says
    turn, connection = itertools.count(), itertools.count()

    def behave(step: str, argument: str) -> Action:
        if step == "connect":
            return b"421 4.7.0 no more" if next(connection) >= connections else None
        if step not in STEPS:
            return None
        what = script[next(turn) % len(script)]
        return what[1] if what is not None and what[0] == step else None

    witness = Witness()
    server.behave, server.pipelining, server.in_content = behave, pipelining, witness.in_content
    server.data_without_recipient = lone_dots
    server.received.clear()

    def pulled() -> Iterator[Letter]:
        for number, data in enumerate(contents):
            witness.pulled.append(number)
            wanted = partial(withdrawn.isdisjoint, [number])
            yield Letter(number, "a@x.example", f"c{number}@example.com", f"<{number}@x>", data, wanted)

    # When letters are delivered
    transport = SmtpTransport(server.url, lanes=lanes)
    for letter, outcome in transport.deliver(pulled()):
        witness.tell(letter.id, outcome)
    transport.close()

    # I expect one outcome for each
    assert sorted(witness.told) == witness.pulled == list(range(len(contents)))
    kept = Counter(number_of(mail) for mail in server.received)
    for number, outcome in witness.told.items():
        match outcome:
            case Accepted():
                assert kept[number] == 1
            case Deferred() | Refused():
                assert kept[number] == 0
            case Withdrawn():
                assert number in withdrawn
            case Unknown():
                assert kept[number] <= 1
    # and nothing of what was withdrawn
    assert withdrawn.isdisjoint(witness.seen)
    # and never more in flight than there are lanes, nor any content before its turn
    assert witness.most_in_flight <= lanes
    assert witness.out_of_turn < lanes
    # and content that was sent once is never sent again
    assert all(count == 1 for count in witness.seen.values())
