"""Which addresses are delivered to, and the one reason why not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import InvalidAddress
from lifecycle.mail.address import parse_address


@pytest.mark.parametrize(
    ("text", "delivered"),
    [
        ("siti@example.com", "siti@example.com"),
        ("Siti.Aminah+shop@Example.COM", "Siti.Aminah+shop@example.com"),
        ("  siti@example.com ", "siti@example.com"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("a@b-c.example", "a@b-c.example"),
        ("siti@bücher.example", "siti@xn--bcher-kva.example"),
        ("siti@BÜCHER.example", "siti@xn--bcher-kva.example"),
        ("siti@例え.テスト", "siti@xn--r8jz45g.xn--zckzah"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("x" * 64 + "@example.com", "x" * 64 + "@example.com"),
    ],
)
def test_an_address_is_brought_to_the_form_that_is_delivered(text: str, delivered: str) -> None:
    assert parse_address(text) == delivered


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("siti", "no @"),
        ("siti@@example.com", "more than one @"),
        ("a@b@example.com", "more than one @"),
        ("siti@example.com\r\nBcc: all@example.com", "line break"),
        ("siti@example.com\n", "line break"),
        ("siti@exam\x00ple.com", "control character"),
        ("si ti@example.com", "space"),
        ("siti@exam\u00a0ple.com", "space"),
        ("x" * 65 + "@example.com", "longer than 64"),
        ("a@" + "b" * 300 + ".example", "longer than 254"),
        ("x" * 290 + "@example.com", "longer than 254"),
        ("sïti@example.com", "SMTPUTF8"),
        ("@example.com", "before the @"),
        ("siti@", "after the @"),
        (".siti@example.com", "refuse"),
        ("siti.@example.com", "refuse"),
        ("si..ti@example.com", "refuse"),
        ('"si ti"@example.com', "space"),
        ("siti@example", "no dot"),
        ("siti@-example.com", "not a valid host name"),
        ("siti@example-.com", "not a valid host name"),
        ("siti@example..com", "not a valid host name"),
        ("siti@.example.com", "not a valid host name"),
        ("siti@127.0.0.1", "not a valid host name"),
        ("siti@" + "b" * 64 + ".example", "not a valid host name"),
        ("siti@☃.example", "not a valid international name"),
        ("siti@ex_ample.com", "not a valid host name"),
        ("Siti <siti@example.com>", "space"),
    ],
)
def test_an_address_that_cannot_be_delivered_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidAddress, match=reason):
        parse_address(text)


@given(st.text() | st.from_regex(r"[\w.+-]{0,70}@[\w.-]{0,260}", fullmatch=True))
def test_what_is_accepted_is_safe_for_an_envelope_and_stays_as_it_is(text: str) -> None:
    try:
        address = parse_address(text)
    except InvalidAddress:
        return
    local_part, _, domain = address.partition("@")
    assert address.isascii()
    assert address.isprintable()
    assert not set(address) & set(' <>()[],;:"\\')
    assert 0 < len(local_part) <= 64
    assert len(address) <= 254
    assert "." in domain
    assert domain == domain.lower()
    assert parse_address(address) == address
