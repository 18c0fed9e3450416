"""The people for whom the shipped emails are rendered, and the golden copies of what they get."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

from lifecycle.mail.recommended import Recommended
from lifecycle.mail.render import Rendered, Renderer

TEMPLATES = Path(__file__).parents[2] / "templates" / "email"
GOLDEN = Path(__file__).parent / "golden"
SHIPPED = [
    "birthday/greeting",
    "digest/gathered",
    "onboarding/first_order_nudge",
    "onboarding/how_it_works",
    "onboarding/second_order_idea",
    "onboarding/welcome",
    "post_purchase/ask_review",
    "post_purchase/thanks",
    "win_back/personal_note",
    "win_back/ten_percent_off",
    "win_back/whats_new",
]
LOCALES = ("en", "id")
WHY = {"en": "You get this", "id": "Kamu menerima"}
"""How every email begins to say why it came."""
UNSUBSCRIBE = "https://blueroom.example/unsubscribe/eyJjIjoiNDIifQ.Zm9v?topic=offers&lang=en"
POSTAL_ADDRESS = "Blue Room Records, 12 Harbour Lane, Portland, ME 04101"

_ALL_AROUND = {
    "company": {"name": "Blue Room Records", "postal_address": POSTAL_ADDRESS, "email": "hello@blueroom.example"},
    "links": {"unsubscribe": UNSUBSCRIBE},
    "now": datetime(1997, 3, 20, 9, 0, tzinfo=timezone(timedelta(hours=-5))),
}
_ONE_CD = {"order_id": "A1", "total": 14.96, "quantity": 1}


def _section(template: str, subject: str, preheader: str, link: str, event: Mapping[str, object]) -> dict[str, object]:
    """One of what a digest shows; emails that are none do not look at it."""
    return {
        "template": template,
        "topic": "offers",
        "journey": template.partition("/")[0],
        "subject": subject,
        "preheader": preheader,
        "url": link and f"https://blueroom.example/{link}",
        "event": event,
    }


def _record(name: str) -> dict[str, object]:
    """A product that is recommended."""
    return {"id": "BR-1", "name": name, "url": "https://blueroom.example/cd/1", "price": Decimal("12.99")}


_OFFER = _section(
    "win_back/ten_percent_off",
    "It has been a while. Here is 10% off",
    "One code, any CD, no minimum. It keeps until you use it.",
    "shelves?code=BACKAGAIN",
    {},
)
_NEWS = _section(
    "win_back/whats_new",
    "Five records that came in while you were away",
    "Erykah Badu, Nick Cave, Daft Punk, Bowie and Blur, with a line on each.",
    "new",
    {},
)
_REVIEW = _section(
    "post_purchase/ask_review",
    "How does it sound?",
    "One tap is a review. Two sentences would make our week.",
    "orders/A1/review",
    _ONE_CD,
)
_IN_INDONESIAN = [
    _section(
        "win_back/ten_percent_off",
        "Sudah lama, ya. Ini potongan 10%",
        "Satu kode, CD apa saja, tanpa minimum. Berlaku sampai kamu pakai.",
        "shelves?code=BACKAGAIN",
        {},
    ),
    _section(
        "post_purchase/ask_review",
        "Bagaimana suaranya, Siti?",
        "Satu ketukan sudah jadi ulasan. Dua kalimat bikin kami senang seminggu.",
        "orders/A1/review",
        _ONE_CD,
    ),
]
_HOSTILE = _section("x", "<script>alert(1)</script> " + "W" * 400, "<b>&amp;" + "Q" * 400, "", {})

# A regular of whom everything is known, and one in Jakarta; somebody of whom nothing is; somebody whose every word is
# long or hostile.
PEOPLE: dict[str, dict[str, object]] = {
    "regular": {
        **_ALL_AROUND,
        "customer": {
            "email": "alice.marsh@example.com",
            "first_name": "Alice",
            "last_name": "Marsh",
            "birthday": date(1964, 3, 20),
            "timezone": "America/New_York",
            "locale": "en",
            "created_at": datetime(1996, 11, 2, 15, 30, tzinfo=UTC),
            "lifetime_value": 612.4,
            "vip": True,
            "favourite_genre": "Jazz",
        },
        "event": {"order_id": "00004-1997-01-18", "total": 29.33, "quantity": 2},
        "recommended": Recommended(
            [_record("Bill Evans Trio, Sunday at the Village Vanguard"), _record("Nick Drake, Pink Moon")]
        ),
        "sections": [_OFFER, _NEWS, _REVIEW],
    },
    "stranger": {
        **_ALL_AROUND,
        "customer": {},
        "event": _ONE_CD,
        "recommended": Recommended([]),
        "sections": [_REVIEW],
    },
    "siti": {
        **_ALL_AROUND,
        "now": datetime(1997, 3, 20, 21, 0, tzinfo=timezone(timedelta(hours=7))),
        "customer": {
            "email": "siti.rahma@example.com",
            "first_name": "Siti",
            "last_name": "Rahma",
            "birthday": date(1994, 3, 20),
            "timezone": "Asia/Jakarta",
            "locale": "id-ID",
            "created_at": datetime(1996, 11, 2, 15, 30, tzinfo=UTC),
            "lifetime_value": 1612.4,
            "vip": True,
            "favourite_genre": "Jazz",
        },
        "event": {"order_id": "00007-1997-01-18", "total": 1029.33, "quantity": 2},
        "recommended": Recommended([_record("Bill Evans Trio, Moon Beams")]),
        "sections": _IN_INDONESIAN,
    },
    "nuisance": {
        **_ALL_AROUND,
        "customer": {
            "email": "x" * 60 + "@" + "y" * 180 + ".example",
            "first_name": "<script>alert(1)</script> {{ 7*7 }} " + "Wolfeschlegelsteinhausen" * 20,
            "favourite_genre": 'R&B/"Soul" <b>',
            "vip": None,
        },
        "event": {"order_id": '"><img src=x> ' + "9" * 200, "total": 1234567.5, "quantity": 240},
        "recommended": Recommended([_record("<script>alert(1)</script> " + "W" * 400)]),
        "sections": [_HOSTILE, *[_NEWS] * 10],
    },
}


REGULARS = {"en": "regular", "id": "siti"}
"""For whom the HTML and the pictures of each locale are made."""


def golden_start(renderer: Renderer, name: str, locale: str) -> str:
    """How the names of an email's golden files begin: as its own file, with the locale if it is not the default."""
    return name if locale == renderer.locale else f"{name}.{locale}"


def golden_copies(renderer: Renderer) -> dict[Path, str]:
    """Return what every golden file should hold: HTML for the regular of a locale, text for them and the stranger."""
    copies: dict[Path, str] = {}
    for name in SHIPPED:
        for locale in renderer.locales(name):
            start = golden_start(renderer, name, locale)
            for person in (REGULARS[locale], "stranger"):
                rendered = renderer.render(name, PEOPLE[person], locale)
                copies[GOLDEN / f"{start}.{person}.txt"] = _as_text(rendered)
                if person != "stranger":
                    copies[GOLDEN / f"{start}.html"] = rendered.html
    return copies


def _as_text(rendered: Rendered) -> str:
    return f"Subject: {rendered.subject}\nPreheader: {rendered.preheader}\n\n{rendered.text}"
