"""Whole conversations with servers that behave and servers that do not."""

from __future__ import annotations

import itertools
import logging
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lifecycle.engine import Engine
from lifecycle.errors import ConfigurationError
from lifecycle.mail.relay import Relay
from lifecycle.mail.smtp import SmtpTransport
from lifecycle.mail.transport import Accepted, Deferred, Letter, Outcome, Refused, Unknown, Withdrawn
from lifecycle.settings import Settings
from tests.smtp_servers import DROP, HANG, KEEP_AND_DROP, KEEP_AND_HANG, Action, Authority, SmtpServer

NO_SUCH_USER = b"550 5.1.1 no such user"
BUSY = b"451 4.3.2 busy"


def a_letter(number: int, data: bytes | None = None) -> Letter:
    message_id = f"<{number}@shop.example>"
    content = data or f"Message-ID: {message_id}\r\nSubject: {number}\r\n\r\nHello\r\n".encode()
    return Letter(number, "shop@shop.example", f"c{number}@example.com", message_id, content)


def letters(count: int) -> list[Letter]:
    return [a_letter(number) for number in range(1, count + 1)]


def deliver(server: SmtpServer, batch: Iterable[Letter], *, lanes: int = 1, timeout: float = 5) -> dict[int, Outcome]:
    transport = SmtpTransport(server.url, lanes=lanes, timeout=timeout)
    outcomes = {letter.id: outcome for letter, outcome in transport.deliver(batch)}
    transport.close()
    return outcomes


def names(outcomes: dict[int, Outcome]) -> list[str]:
    return [type(outcomes[number]).__name__ for number in sorted(outcomes)]


@pytest.fixture(params=[True, False], ids=["pipelined", "plain"])
def pipelining(request: pytest.FixtureRequest) -> bool:
    offered: bool = request.param
    return offered


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.mark.parametrize("lanes", [1, 4])
def test_every_letter_arrives_once_and_unchanged(pipelining: bool, lanes: int) -> None:
    # Given letters with all that could be mistaken for the end of one
    odd = [b".", b".\r\n", b"..\r\n", b"a\r\n.\r\nb\r\n", b"\r\n.\r\n.\r\n..\r\n", b"no line end", b"x" * 300_000]
    batch = [a_letter(number, data) for number, data in enumerate(odd, 1)] + [
        a_letter(number) for number in range(8, 50)
    ]
    with SmtpServer(pipelining=pipelining) as server:
        # When they are delivered
        outcomes = deliver(server, batch, lanes=lanes)
    # I expect the server to have each as it was, with a line end
    assert set(names(outcomes)) == {"Accepted"}
    received = {mail.recipients[0]: mail.data for mail in server.received}
    assert len(server.received) == len(received) == len(batch)
    for letter in batch:
        assert received[letter.recipient] == letter.data + (b"" if letter.data.endswith(b"\r\n") else b"\r\n")


def test_a_bare_line_feed_before_a_dot_cannot_end_the_message_early() -> None:
    with SmtpServer() as server:
        deliver(server, [a_letter(1, b"a\n.\nMAIL FROM:<x@y>\r\n")])
    assert server.received[0].data == b"a\n..\nMAIL FROM:<x@y>\r\n"


def test_one_round_trip_per_letter_where_pipelining_is_offered() -> None:
    # Given a server on which a connection is open
    with SmtpServer() as server, closing(SmtpTransport(server.url)) as transport:
        list(transport.deliver(letters(1)))
        waits: list[int] = []

        def watched() -> Iterator[Letter]:
            for letter in letters(10):
                waits.append(len(server.received))
                yield letter

        # When ten letters go out on the open connection
        assert len(list(transport.deliver(watched()))) == 10
    # I expect the envelope of each to have been pulled before the content of the one before it was sent
    assert waits == [1, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    # and to have travelled with it
    assert server.behind_content == [b"", *[b"MAIL"] * 9, b""]


def test_with_one_lane_an_outcome_is_yielded_before_the_next_content_is_sent(pipelining: bool) -> None:
    with SmtpServer(pipelining=pipelining) as server:
        transport = SmtpTransport(server.url)
        for number, (letter, outcome) in enumerate(transport.deliver(letters(20)), 1):
            assert letter.id == number
            assert isinstance(outcome, Accepted)
            assert len(server.received) == number
        transport.close()


def test_a_refused_recipient_costs_only_its_own_letter(pipelining: bool) -> None:
    with SmtpServer({"rcpt": [None, NO_SUCH_USER, None, BUSY]}, pipelining=pipelining) as server:
        outcomes = deliver(server, letters(5))
    assert outcomes[2] == Refused(550, "5.1.1", "550 5.1.1 no such user")
    assert outcomes[4] == Deferred("451 4.3.2 busy", 451)
    assert names(outcomes) == ["Accepted", "Refused", "Accepted", "Deferred", "Accepted"]
    assert server.connections == 1
    assert server.commands.count("data") == (5 if pipelining else 3)


def test_data_taken_without_a_recipient_is_left_by_a_lone_dot() -> None:
    # Given a server that answers 354 although it refused the recipient (RFC 2920 section 3.1)
    with SmtpServer({"rcpt": [None, NO_SUCH_USER]}, data_without_recipient=True) as server:
        outcomes = deliver(server, letters(3))
    assert names(outcomes) == ["Accepted", "Refused", "Accepted"]
    assert server.commands.count("lone dot") == 1
    assert [mail.recipients for mail in server.received] == [("c1@example.com",), ("c3@example.com",)]


def test_data_taken_without_a_sender_ends_the_connection() -> None:
    # Given a server that refuses MAIL, and yet answers 354: what a lone dot would send is anyone's guess
    with SmtpServer({"mail": [None, BUSY]}, data_without_recipient=True) as server:
        outcomes = deliver(server, letters(3))
    assert names(outcomes) == ["Accepted", "Deferred", "Accepted"]
    assert server.connections == 2
    assert "lone dot" not in server.commands


@pytest.mark.parametrize("step", ["mail", "data", "content"])
@pytest.mark.parametrize(("reply", "expected"), [(b"554 5.7.1 no", "Refused"), (b"452 4.2.2 later", "Deferred")])
def test_a_no_at_any_step_is_the_outcome_of_that_letter(
    step: str, reply: bytes, expected: str, pipelining: bool
) -> None:
    with SmtpServer({step: [None, reply]}, pipelining=pipelining) as server:
        assert names(deliver(server, letters(3))) == ["Accepted", expected, "Accepted"]


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
def test_a_connection_lost_before_the_dot_costs_nothing_if_it_had_worked(step: str, pipelining: bool) -> None:
    with SmtpServer({step: [None, DROP]}, pipelining=pipelining) as server:
        assert names(deliver(server, letters(3))) == ["Accepted", "Accepted", "Accepted"]
    assert server.connections == 2


def test_a_server_that_always_drops_at_data_defers_each_letter(pipelining: bool) -> None:
    with SmtpServer({"data": DROP}, pipelining=pipelining) as server:
        outcomes = deliver(server, letters(3))
    assert names(outcomes) == ["Deferred"] * 3
    assert "before the final dot" in str(outcomes[1])


@pytest.mark.parametrize("action", [DROP, KEEP_AND_DROP])
def test_a_connection_lost_after_the_dot_leaves_the_letter_unknown(action: Action, pipelining: bool) -> None:
    with SmtpServer({"content": [None, action]}, pipelining=pipelining) as server:
        outcomes = deliver(server, letters(4))
    assert names(outcomes) == ["Accepted", "Unknown", "Accepted", "Accepted"]
    assert "after the final dot" in str(outcomes[2])
    assert server.connections == 2


def test_a_message_larger_than_all_buffers_arrives_whole(pipelining: bool) -> None:
    large = a_letter(2, b"0123456789abcdef\r\n" * 500_000)
    with SmtpServer(pipelining=pipelining) as server:
        outcomes = deliver(server, [a_letter(1), large, a_letter(3)], timeout=20)
    assert names(outcomes) == ["Accepted"] * 3
    assert server.received[1].data == large.data


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (DROP, "Deferred"),
        (b"552 5.3.4 too large", "Refused"),
        (b"250 2.0.0 Ok", "Unknown"),
        (b"250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go ahead", "Unknown"),
    ],
)
def test_what_happens_before_the_final_dot_is_never_taken_for_acceptance(
    action: Action, expected: str, pipelining: bool
) -> None:
    # Given a server that closes, refuses or accepts after a part of the content, and reads no more
    with SmtpServer({"arriving": action}, pipelining=pipelining) as server:
        outcomes = deliver(
            server, [a_letter(1), a_letter(2, b"0123456789abcdef\r\n" * 500_000), a_letter(3)], timeout=20
        )
    assert names(outcomes) == ["Accepted", expected, "Accepted"]


def test_one_hanging_lane_is_ended_in_time_while_the_others_work_on() -> None:
    # Given a server that never answers the first letter, and no end of others
    outcomes: dict[int, Outcome] = {}

    def endless() -> Iterator[Letter]:
        for number in itertools.count(1):
            if 1 in outcomes or number > 100_000:
                return
            yield a_letter(number)

    def behave(step: str, argument: str) -> Action:
        return HANG if (step, argument) == ("content", "c1@example.com") else None

    with SmtpServer(behave=behave) as server, closing(SmtpTransport(server.url, lanes=3, timeout=1)) as transport:
        for letter, outcome in transport.deliver(endless()):
            outcomes[letter.id] = outcome
    # I expect the first to be given up, not to wait for the last
    assert isinstance(outcomes.pop(1), Unknown)
    assert set(names(outcomes)) == {"Accepted"}
    assert len(outcomes) < 100_000


def test_rests_grow_while_a_server_is_away_and_start_small_again_once_it_was_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lifecycle.mail.smtp._FIRST_REST", 0.001)
    busy = b"421 4.3.2 busy"
    with (
        caplog.at_level(logging.WARNING, "lifecycle.mail.smtp"),
        SmtpServer({"connect": [busy, busy, None, busy]}) as server,
        closing(SmtpTransport(server.url)) as transport,
    ):
        for _ in range(4):
            list(transport.deliver(letters(1)))
            server.drop_connections()
            time.sleep(0.01)  # longer than any rest here
    assert [record.args[1] for record in caplog.records if isinstance(record.args, tuple)] == [0.001, 0.002, 0.001]


@pytest.mark.parametrize(
    ("own_name", "said"),
    [("box", "[127.0.0.1]"), ("mail.shop.example", "mail.shop.example"), ("büro.example", "[127.0.0.1]")],
)
def test_the_client_gives_its_full_name_or_else_its_address(
    own_name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: own_name)
    with SmtpServer() as server:
        deliver(server, letters(1))
    assert server.client_names == [said]


@pytest.mark.parametrize(("step", "action"), [("content", HANG), ("content", KEEP_AND_HANG), ("data", HANG)])
def test_a_server_that_hangs_is_left_after_the_timeout(step: str, action: Action, pipelining: bool) -> None:
    with SmtpServer({step: [None, action]}, pipelining=pipelining) as server:
        outcomes = deliver(server, letters(2), timeout=1)
    assert isinstance(outcomes[1], Accepted)
    if step == "content":
        assert isinstance(outcomes[2], Unknown)
        assert "did not answer within 1 s" in outcomes[2].reply
    else:
        assert isinstance(outcomes[2], Deferred)


def test_no_content_begins_to_leave_when_its_time_is_over(pipelining: bool) -> None:
    """Another worker may have taken the letter over by then."""
    with (
        SmtpServer(pipelining=pipelining) as server,
        closing(SmtpTransport(server.url, lanes=2, within=0)) as transport,
    ):
        outcomes = {letter.id: outcome for letter, outcome in transport.deliver(letters(5))}
    assert names(outcomes) == ["Deferred"] * 5
    assert "too slow" in str(outcomes[1])
    assert not server.received


def test_a_server_is_waited_for_an_eighth_of_a_lease() -> None:
    with (
        SmtpServer({"connect": HANG}) as server,
        closing(Engine(Settings.load(smtp_url=server.url, lease=1)).transport()) as transport,
    ):
        assert isinstance(transport, SmtpTransport)
        ((_, outcome),) = transport.deliver(letters(1))
    assert "did not answer within 0.125 s" in str(outcome)


@pytest.mark.parametrize("step", ["connect", "ehlo"])
def test_a_server_that_hangs_from_the_start_defers_all_after_one_timeout(step: str) -> None:
    with SmtpServer({step: HANG}) as server:
        outcomes = deliver(server, letters(50), timeout=0.2)
    assert names(outcomes) == ["Deferred"] * 50
    assert "did not answer within 0.2 s" in str(outcomes[50])
    assert server.connections == 1


def test_a_server_that_is_not_there_defers_all_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    transport = SmtpTransport(f"smtp://127.0.0.1:{port}", lanes=4)
    with caplog.at_level(logging.WARNING):
        outcomes = {letter.id: outcome for letter, outcome in transport.deliver(letters(200))}
    assert names(outcomes) == ["Deferred"] * 200
    assert outcomes[200] == Deferred(f"127.0.0.1:{port} cannot be reached: Connection refused", None)
    assert len(caplog.records) == 1


def test_a_server_that_comes_back_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer({"connect": [b"421 4.3.2 restarting", None]}) as server:
        transport = SmtpTransport(server.url)
        monkeypatch.setattr("lifecycle.mail.smtp._LONGEST_REST", 0.0)
        first, second = (outcome for _, outcome in transport.deliver(letters(2)))
        transport.close()
    assert first == Deferred(f"127.0.0.1:{server.port} does not want to talk: 421 4.3.2 restarting", 421)
    assert isinstance(second, Accepted)


def test_a_server_with_no_room_for_another_connection_is_served_by_those_it_took() -> None:
    with SmtpServer({"connect": [None, None, *[b"421 4.7.0 too many connections"] * 50]}) as server:
        assert set(names(deliver(server, letters(40), lanes=4))) == {"Accepted"}
    assert len(server.received) == 40


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
def test_a_goodbye_to_a_connection_that_had_worked_costs_no_letter(step: str, pipelining: bool) -> None:
    with SmtpServer({step: [None, b"421 4.7.0 too many messages"]}, pipelining=pipelining) as server:
        assert names(deliver(server, letters(3))) == ["Accepted"] * 3
    assert server.connections == 2


def test_a_goodbye_after_the_dot_defers_the_letter(pipelining: bool) -> None:
    with SmtpServer({"content": [None, b"421 4.3.2 shutting down"]}, pipelining=pipelining) as server:
        outcomes = deliver(server, letters(3))
    assert outcomes[2] == Deferred("421 4.3.2 shutting down", 421)
    assert names(outcomes) == ["Accepted", "Deferred", "Accepted"]


def test_a_server_that_says_goodbye_at_once_is_left_alone_for_a_while() -> None:
    with SmtpServer({"mail": b"421 4.7.0 slow down"}) as server:
        outcomes = deliver(server, letters(30))
    assert names(outcomes) == ["Deferred"] * 30
    assert outcomes[1] == Deferred("421 4.7.0 slow down", 421)
    assert "421 4.7.0 slow down" in str(outcomes[30])
    assert server.connections == 1


def test_after_a_letter_left_unknown_no_envelope_rides_behind_a_content_for_a_while() -> None:
    # Given a server that closes its connection on whatever comes behind a content, which can cost us its reply
    with SmtpServer({"content": [None, KEEP_AND_DROP]}) as server:
        outcomes = deliver(server, letters(6))
    # I expect that letter to be the only one in doubt
    assert names(outcomes) == ["Accepted", "Unknown", *["Accepted"] * 4]
    assert server.behind_content == [b"MAIL", b"MAIL", b"", b"", b"", b""]


def test_a_refusal_proves_a_connection_as_well_as_an_acceptance() -> None:
    # Given a kept connection on which one letter was refused, and which the server then closed
    with SmtpServer({"rcpt": [NO_SUCH_USER]}) as server, closing(SmtpTransport(server.url)) as transport:
        list(transport.deliver(letters(1)))
        server.drop_connections()
        # When another letter goes out, I expect it to cost nothing
        ((_, outcome),) = transport.deliver(letters(1))
    assert isinstance(outcome, Accepted)


def test_a_connection_that_the_server_closed_while_idle_is_replaced(pipelining: bool) -> None:
    with SmtpServer(pipelining=pipelining) as server:
        transport = SmtpTransport(server.url, lanes=2)
        for round_ in range(3):
            assert all(isinstance(outcome, Accepted) for _, outcome in transport.deliver(letters(4)))
            server.drop_connections()
            assert len(server.received) == 4 * (round_ + 1)
        transport.close()


def test_a_connection_closed_while_the_caller_is_slow_costs_no_letter(
    pipelining: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a transport that takes no silence for granted, and a server that closes all while the third letter is made
    monkeypatch.setattr("lifecycle.mail.lane._RECENT", 0.0)
    with SmtpServer(pipelining=pipelining) as server:

        def slow() -> Iterator[Letter]:
            for letter in letters(4):
                if letter.id == 3:
                    server.drop_connections()
                yield letter

        outcomes = deliver(server, slow())
    assert names(outcomes) == ["Accepted"] * 4
    assert server.connections == 2


def test_an_unasked_reply_is_not_taken_for_the_next_answer() -> None:
    with SmtpServer({"content": [b"250 yes\r\n250 yes again"]}) as server:
        with closing(SmtpTransport(server.url)) as transport:
            assert [type(outcome) for _, outcome in transport.deliver(letters(1))] == [Accepted]
            assert [type(outcome) for _, outcome in transport.deliver(letters(2))] == [Accepted] * 2
        assert server.connections == 2


def test_kept_connections_are_used_again_and_old_ones_closed() -> None:
    with SmtpServer() as server:
        transport = SmtpTransport(server.url, idle=3600)
        for _ in range(3):
            list(transport.deliver(letters(2)))
        assert server.connections == 1
        transport.close()
        list(transport.deliver(letters(2)))
        assert server.connections == 2
        transport.close()
        brief = SmtpTransport(server.url, idle=0)
        for _ in range(3):
            list(brief.deliver(letters(2)))
        assert server.connections == 5
        brief.close()


def test_nothing_to_deliver_opens_no_connection() -> None:
    with SmtpServer() as server:
        assert deliver(server, []) == {}
    assert server.connections == 0


def test_an_error_of_the_caller_follows_the_outcomes_of_all_pulled_letters() -> None:
    def failing() -> Iterator[Letter]:
        yield from letters(5)
        raise ZeroDivisionError

    for lanes in (1, 4):
        seen: list[tuple[int, type[Outcome]]] = []
        with SmtpServer() as server:
            transport = SmtpTransport(server.url, lanes=lanes)
            delivery = ((letter.id, type(outcome)) for letter, outcome in transport.deliver(failing()))
            with pytest.raises(ZeroDivisionError):
                seen.extend(delivery)
            # and the transport works on
            assert len(list(transport.deliver(letters(1)))) == 1
            transport.close()
        assert sorted(seen) == [(number, Accepted) for number in range(1, 6)]


def test_closing_early_leaves_no_letter_in_flight_and_the_transport_usable() -> None:
    with SmtpServer(delay=0.01) as server:
        transport = SmtpTransport(server.url, lanes=4)
        pulled = []

        def watched() -> Iterator[Letter]:
            for letter in letters(100):
                pulled.append(letter.id)
                yield letter

        delivery = transport.deliver(watched())
        first, _ = next(delivery)
        delivery.close()  # type: ignore[attr-defined]
        unreported = {letter.id: outcome for letter, outcome in transport.unreported}
        # Then every pulled letter is accounted for, and accepted exactly if the server has it
        assert sorted([first.id, *unreported]) == pulled
        accepted = {number for number, outcome in unreported.items() if isinstance(outcome, Accepted)}
        assert {f"c{number}@example.com" for number in accepted | {first.id}} == {
            mail.recipients[0] for mail in server.received
        }
        assert {type(outcome) for outcome in unreported.values()} <= {Accepted, Deferred}
        assert len(list(transport.deliver(letters(3)))) == 3
        transport.close()


def test_one_transport_delivers_for_one_caller_at_a_time() -> None:
    with SmtpServer() as server:
        transport = SmtpTransport(server.url)
        first = transport.deliver(letters(2))
        next(first)
        with pytest.raises(RuntimeError, match="delivering already"):
            next(transport.deliver(letters(2)))
        assert len(list(first)) == 1
        transport.close()


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        ("a@b.example>\r\nRCPT TO:<victim@b.example", Refused),
        ("a b@example.com", Refused),
        ("a\n@example.com", Refused),
        ("", Refused),
        ("x" * 400 + "@example.com", Refused),
        ("jürgen@example.com", Refused),
        ("o'brien+tag@example.com", Accepted),
    ],
)
def test_an_address_that_smtp_cannot_carry_never_reaches_the_server(recipient: str, expected: type[Outcome]) -> None:
    bad = Letter(1, "shop@shop.example", recipient, "<1@x>", b"x\r\n")
    with SmtpServer() as server:
        outcomes = deliver(server, [bad, a_letter(2)])
    assert type(outcomes[1]) is expected
    assert isinstance(outcomes[2], Accepted)
    assert len(server.received) == (2 if expected is Accepted else 1)
    assert "victim" not in str(outcomes[1])


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("550 5.1.1 Empfänger unbekannt".encode("latin-1"), "550 5.1.1 Empfänger unbekannt"),
        ("550 5.1.1 Empfänger unbekannt".encode(), "550 5.1.1 Empfänger unbekannt"),
        (b"550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user", "550 5.1.1 no 5.1.1 such 5.1.1 user"),
        (b"550 5.1.1 \x1b[31m\x00red", "550 5.1.1  [31m red"),
        (b"550 5.1.1 " + b"x" * 3000, "550 5.1.1 " + "x" * 494),
        (b"550 5.1.1", "550 5.1.1"),
    ],
)
def test_any_reply_is_kept_as_one_printable_line(reply: bytes, text: str) -> None:
    with SmtpServer({"rcpt": [reply]}) as server:
        assert deliver(server, letters(1))[1] == Refused(550, "5.1.1", text)


@pytest.mark.parametrize("nonsense", [b"hello", b"99 x", b"250", b"250 yes\r\n250 yes again", b"250 " + b"x" * 9999])
def test_a_server_that_talks_nonsense_after_the_dot_is_not_trusted_further(nonsense: bytes) -> None:
    # Given a server that is out of step after its first letter
    with SmtpServer({"content": [None, nonsense]}) as server:
        outcomes = deliver(server, letters(4))
    # I expect the doubt to stop at that letter
    accepted = nonsense in (b"250", b"250 yes\r\n250 yes again")
    assert names(outcomes) == ["Accepted", "Accepted" if accepted else "Unknown", "Accepted", "Accepted"]
    assert server.connections == (1 if nonsense == b"250" else 2)


def test_a_login_over_starttls(authority: Authority, pipelining: bool) -> None:
    with SmtpServer(authority=authority, login=("shop", "p@ss/word"), pipelining=pipelining) as server:
        transport = SmtpTransport(server.url_of("shop", "p%40ss%2Fword", "?starttls=1&verify=0"), lanes=2)
        outcomes = [outcome for _, outcome in transport.deliver([*letters(8), a_letter(9, b"x" * 500_000)])]
        transport.close()
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 9
    assert "starttls" in server.commands


def test_tls_from_the_start_with_a_certificate_that_holds(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = tmp_path / "ca.pem"
    authority.ca.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with SmtpServer(authority=authority, tls_from_the_start=True) as server:
        assert names(deliver(server, letters(20))) == ["Accepted"] * 20


@pytest.mark.parametrize("at_once", [True, False])
def test_a_certificate_that_does_not_hold_defers_and_sends_nothing(authority: Authority, at_once: bool) -> None:
    with SmtpServer(authority=authority, tls_from_the_start=at_once, login=("shop", "sesame")) as server:
        transport = SmtpTransport(server.url_of("shop", "sesame", "" if at_once else "?starttls=1"))
        ((_, outcome),) = transport.deliver(letters(1))
    assert isinstance(outcome, Deferred)
    assert "certificate that does not hold" in outcome.reply
    assert "auth" not in server.commands
    assert server.received == []


def test_starttls_that_is_not_offered_defers_and_says_so() -> None:
    with SmtpServer(login=("shop", "sesame")) as server:
        ((_, outcome),) = SmtpTransport(server.url_of("shop", "sesame", "?starttls=1")).deliver(letters(1))
    assert isinstance(outcome, Deferred)
    assert "STARTTLS extension not supported" in outcome.reply
    assert "auth" not in server.commands


def test_a_refused_login_defers_names_the_cause_and_is_not_hammered(caplog: pytest.LogCaptureFixture) -> None:
    with SmtpServer(login=("shop", "sesame")) as server:
        transport = SmtpTransport(server.url_of("shop", "wrong-secret"))
        outcomes = [outcome for _, outcome in transport.deliver(letters(30))]
    assert outcomes == [Deferred(f"127.0.0.1:{server.port} refused the login: 535 5.7.8 bad credentials", None)] * 30
    assert server.commands.count("auth") == 1
    assert "wrong-secret" not in caplog.text + repr(transport) + repr(vars(transport))


def test_a_server_that_wants_a_login_defers_rather_than_fails_everyone() -> None:
    with SmtpServer(login=("shop", "sesame")) as server:
        outcomes = deliver(server, letters(2))
    assert names(outcomes) == ["Deferred", "Deferred"]
    assert "wants a login" in str(outcomes[1])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", Relay("mail.example", 25, "none")),
        ("smtps://mail.example", Relay("mail.example", 465, "tls")),
        ("smtp://u%40x:p%3Aw@mail.example:587?starttls=1", Relay("mail.example", 587, "starttls", "u@x", "p:w")),
        ("smtp://u:p@mail.example?starttls=0", Relay("mail.example", 25, "none", "u", "p")),
        ("smtp://u:p@[::1]:2525?verify=0", Relay("::1", 2525, "none", "u", "p", verify=False)),
    ],
)
def test_a_url_is_read_whole(url: str, expected: Relay) -> None:
    assert Relay.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://u:hidden@mail.example:nonsense",
        "smtp://u:hidden@mail.example",
        "smtp://u:hidden@mail.example/path",
        "smtp://u:hidden@mail.example?starttls=yes",
        "smtp://u:hidden@mail.example?startls=1",
        "smtps://u:hidden@mail.example?starttls=1",
        "smtps://u:hidden@mail.example?verify=0",
        "smtps://u:hidd%C3%A9n@mail.example",
        "smtps://u%0d:hidden@mail.example",
    ],
)
def test_a_wrong_url_is_refused_in_one_line_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        SmtpTransport(url)
    assert "SMTP_URL" in str(raised.value)
    assert "hidd" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_no_password_shows_in_any_repr() -> None:
    transport = SmtpTransport("smtps://shop:sesame@mail.example")
    assert "sesame" not in repr(transport) + repr(vars(transport)) + str(
        Relay.parse("smtps://shop:sesame@mail.example")
    )


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_letter_withdrawn_until_its_content_would_leave_does_not_leave(pipelining: bool, lanes: int) -> None:
    """And those behind it do, over another connection: a server that waits for content cannot be told otherwise."""
    unwanted = {2, 5, 6}
    asked: list[int] = []

    def wanted(number: int) -> bool:
        asked.append(number)
        return number not in unwanted

    batch = [replace(letter, wanted=partial(wanted, letter.id)) for letter in letters(8)]
    with SmtpServer(pipelining=pipelining) as server:
        outcomes = deliver(server, batch, lanes=lanes)
    assert {number for number, outcome in outcomes.items() if isinstance(outcome, Withdrawn)} == unwanted
    assert {number for number, outcome in outcomes.items() if isinstance(outcome, Accepted)} == {1, 3, 4, 7, 8}
    assert sorted(mail.recipients[0] for mail in server.received) == [f"c{n}@example.com" for n in (1, 3, 4, 7, 8)]
    assert set(asked) == set(range(1, 9))


def test_a_letter_is_asked_for_when_the_server_is_ready_and_no_earlier() -> None:
    """Seconds may pass between pulling a letter and that moment."""
    withdrawn_at = float("inf")

    def wanted() -> bool:
        return time.monotonic() < withdrawn_at

    with SmtpServer(delay=0.3) as server:
        withdrawn_at = time.monotonic() + 1.0  # greeting, EHLO and envelope take 0.9 s, the second envelope more
        outcomes = deliver(server, [replace(letter, wanted=wanted) for letter in letters(3)])
        received = len(server.received)
    assert received == sum(isinstance(outcome, Accepted) for outcome in outcomes.values()) == 1
    assert names(outcomes) == ["Accepted", "Withdrawn", "Withdrawn"]
