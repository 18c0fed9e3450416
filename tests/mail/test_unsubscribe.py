"""Unsubscribe links are ours, whole and unforgeable."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import ConfigurationError, LifecycleError
from lifecycle.mail.mime import Letterhead
from lifecycle.mail.unsubscribe import UnsubscribeLinks

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
LINKS = UnsubscribeLinks("https://mail.example/", "a secret of some length")


def token_of(url: str) -> str:
    return url.removeprefix("https://mail.example/u/")


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(TEXTS, TEXTS)
def test_a_link_says_who_leaves_which_topic(customer_id: str, topic: str) -> None:
    url = LINKS.url(customer_id, topic)

    assert re.fullmatch(r"https://mail\.example/u/[A-Za-z0-9._-]+", url)
    assert LINKS.read(token_of(url)) == (customer_id, topic)


@pytest.mark.parametrize("customer_id", ["é" * 127, "客" * 85, '"' * 255, "\x1f" * 255])
def test_the_link_of_the_longest_customer_id_fits_into_a_header(customer_id: str) -> None:
    url = UnsubscribeLinks("https://mail." + "m" * 200 + ".example", "s").url(customer_id, "t" * 100)
    letter = Letterhead("Shop", "hello@shop.example").assemble(
        to="ann@example.com", subject="x", html="x", text="x", message_id="<1@x>", date=NOON, list_unsubscribe=url
    )
    assert max(map(len, letter.split(b"\r\n"))) <= 998
    assert f"List-Unsubscribe: <{url}>\r\n".encode() in letter


@given(st.data())
def test_a_link_altered_in_any_place_is_refused(data: st.DataObject) -> None:
    token = token_of(LINKS.url("42", "offers"))
    place = data.draw(st.integers(0, len(token) - 2))  # the last letter also holds two bits that say nothing
    letter = data.draw(st.sampled_from("ABCDEFGHabcdefgh0189-_.").filter(lambda letter: letter != token[place]))

    with pytest.raises(LifecycleError, match="incomplete or altered"):
        LINKS.read(token[:place] + letter + token[place + 1 :])


@pytest.mark.parametrize("token", ["", ".", "a.b", "é", "WyJhIl0", "x" * 5000])
def test_rubbish_is_refused_like_a_forgery(token: str) -> None:
    with pytest.raises(LifecycleError, match="incomplete or altered"):
        LINKS.read(token)


def test_a_link_of_another_secret_is_refused() -> None:
    other = UnsubscribeLinks("https://mail.example", "another secret")

    with pytest.raises(LifecycleError, match="incomplete or altered"):
        LINKS.read(token_of(other.url("42", "offers")))


def test_the_same_customer_and_topic_give_the_same_link() -> None:
    assert LINKS.url("42", "offers") == LINKS.url("42", "offers")
    assert LINKS.url("42", "offers") != LINKS.url("42", "orders")


def test_without_a_secret_there_are_no_links() -> None:
    with pytest.raises(ConfigurationError, match="LIFECYCLE_SECRET"):
        UnsubscribeLinks("https://mail.example", "")
