"""Replies are cut from the stream wherever it is torn, and read no further than they go."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lifecycle.mail.reply import LONGEST_LINE, LONGEST_REPLY, GibberishError, Reply, take_reply, usual_reply
from lifecycle.mail.transport import Accepted, Deferred, Refused, Unknown

LINES = st.lists(st.binary(max_size=40).filter(lambda line: not set(line) & set(b"\r\n")), min_size=1, max_size=4)


@given(code=st.integers(200, 599), lines=LINES, end=st.sampled_from([b"\r\n", b"\n"]), before=st.binary(max_size=5))
def test_a_reply_is_whole_only_with_its_last_byte(code: int, lines: list[bytes], end: bytes, before: bytes) -> None:
    wire = b"".join(b"%d-%s%s" % (code, line, end) for line in lines[:-1]) + b"%d %s%s" % (code, lines[-1], end)
    for cut in range(len(wire)):
        assert take_reply(before + wire[:cut], len(before)) is None
    whole = Reply(code, tuple(lines)), len(before) + len(wire)
    assert take_reply(before + wire, len(before)) == whole
    assert take_reply(before + wire + b"250 next\r\n", len(before)) == whole


@given(
    codes=st.tuples(
        *(st.sampled_from([usual, 199, 200, 299, 300, 354, 399, 421, 550]) for usual in (250, 250, 250, 354))
    ),
    lines=st.tuples(LINES, LINES, LINES, LINES),
    end=st.sampled_from([b"\r\n", b"\n"]),
    more=st.sampled_from([b"", b"2", b"250 x\r\n"]),
)
@example(codes=(250, 250, 250, 354), lines=([b"a"], [b"b"], [b""], [b"c"]), end=b"\r\n", more=b"")
@example(codes=(250, 250, 250, 354), lines=([b"a"], [b"b"], [b""], [b"c", b"d"]), end=b"\r\n", more=b"")
def test_the_usual_replies_read_at_once_are_those_read_one_by_one(
    codes: tuple[int, ...], lines: tuple[list[bytes], ...], end: bytes, more: bytes
) -> None:
    said = more.join(
        [b"".join(b"%d%s%s%s" % (code, b" " if n == len(of) else b"-", line, end) for n, line in enumerate(of, 1))
         for code, of in zip(codes, lines, strict=True)]
    )  # fmt: skip
    usual = all(low <= code < low + 100 for low, code in zip((200, 200, 200, 300), codes, strict=True))
    plain = end == b"\r\n" and not more and all(len(of) == 1 for of in lines)
    first = take_reply(said, 0) if usual and plain else None
    assert usual_reply(said) == (first[0] if first else None)
    for cut in range(len(said)):
        assert usual_reply(said[:cut]) is None


@pytest.mark.parametrize(
    "said",
    [
        b"\r\n",
        b"hello\r\n",
        b"25\r\n",
        b"150 x\r\n",
        b"600 x\r\n",
        b"2500 x\r\n",
        b"250-one\r\ntwo\r\n",
        "２５０ x\r\n".encode(),
        b"250 " + b"x" * LONGEST_LINE + b"\r\n",
        b"250 " + b"x" * LONGEST_LINE,
        b"250-yes\r\n" * (LONGEST_REPLY // 9 + 1),
        b"250-yes\r\n" * (LONGEST_REPLY // 9 + 1) + b"250 yes\r\n",
    ],
    ids=range(12),
)
def test_what_is_no_reply_or_has_no_end_is_gibberish(said: bytes) -> None:
    with pytest.raises(GibberishError):
        take_reply(said, 0)


@pytest.mark.parametrize(
    ("code", "line", "enhanced"),
    [
        (550, b"5.1.1 no such user", "5.1.1"),
        (550, b"5.7.509", "5.7.509"),
        (550, b"no such user 5.1.1", None),
        (550, b"4.2.1 odd", None),
        (550, b"5.1.1.1 an address", None),
        (550, b"5.1111.1 x", None),
        (550, b"", None),
    ],
)
def test_the_enhanced_code_is_the_one_at_the_front_and_of_the_same_class(
    code: int, line: bytes, enhanced: str | None
) -> None:
    assert Reply(code, (line,)).enhanced == enhanced


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (250, Accepted("250 x")),
        (354, Unknown("out of step: 354 x")),
        (421, Deferred("421 x", 421)),
        (452, Deferred("452 x", 452)),
        (530, Deferred("the server wants a login that it does not have: 530 x", None)),
        (554, Refused(554, None, "554 x")),
    ],
)
def test_each_class_of_reply_to_the_dot_has_its_outcome(code: int, outcome: object) -> None:
    assert Reply(code, (b"x",)).to_content() == outcome
