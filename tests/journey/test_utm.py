"""UTM parameters as the policy declares them."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle import Policy, Sender, Utm
from lifecycle.errors import DefinitionError

SENDER = Sender("Shop", "hello@shop.example", "12 Harbour Lane, Portland")


def test_by_default_they_say_the_journey_and_the_email() -> None:
    query = Utm("newsletter").query(journey="win_back", template="win_back/whats_new", topic="offers")

    assert query == "utm_source=newsletter&utm_medium=email&utm_campaign=win_back&utm_content=win_back/whats_new"


def test_each_value_may_hold_what_varies_and_is_encoded() -> None:
    utm = Utm("Kopi & Co", medium="e-mail", campaign="{topic}: {journey}", content="", term="größe=#1?")

    assert utm.query(journey="win_back", template="x", topic="50% off") == (
        "utm_source=Kopi%20%26%20Co&utm_medium=e-mail&utm_campaign=50%25%20off%3A%20win_back"
        "&utm_term=gr%C3%B6%C3%9Fe%3D%231%3F"
    )


def test_what_comes_out_blank_is_left_away() -> None:
    assert Utm("newsletter").query() == "utm_source=newsletter&utm_medium=email"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": ""}, "source=''"),
        ({"source": " a"}, "source=' a'"),
        ({"source": "a\nb"}, "source="),
        ({"source": "{journey}"}, "varies"),
        ({"source": 7}, "source=7"),
        ({"source": "a", "medium": ""}, "medium=''"),
        ({"source": "a", "campaign": "{journy}"}, "did you mean 'journey'"),
        ({"source": "a", "campaign": "{customer.email}"}, "unknown {customer.email}"),
        ({"source": "a", "content": "{"}, "stray brace"),
        ({"source": "a", "hosts": "shop.example"}, "put brackets around"),
        ({"source": "a", "hosts": ["https://shop.example"]}, "is no host"),
        ({"source": "a", "hosts": ["shop.example/x"]}, "is no host"),
        ({"source": "a", "hosts": ["*.shop.example"]}, "is no host"),
        ({"source": "a", "hosts": [7]}, "is no host"),
    ],
)
def test_mistakes_are_refused_when_defined(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=r"test_utm\.py:\d+") as caught:
        Utm(**arguments)
    assert message in str(caught.value)


def test_a_policy_has_none_unless_told() -> None:
    assert Policy(sender=SENDER).utm is None
    assert Policy(sender=SENDER, utm=Utm("newsletter", hosts=["bücher.example"])).utm is not None
    with pytest.raises(DefinitionError, match="is no Utm"):
        Policy(sender=SENDER, utm="newsletter")  # type: ignore[arg-type]
