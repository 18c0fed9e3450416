"""The tables. Every one that a customer owns carries `customer_id`, so that the schema can be spread by customer.

Two columns say when: `due_at` is the moment that something is meant for; `wake_at` is when the scheduler next
looks at the row (the same moment, or the end of a lease while somebody works on it; null when nobody needs to).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, Index, LargeBinary, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from .types import Id, Instant, Json, Key


class Customer(SQLModel, table=True):
    """One person, by the app's own id; reserved traits as columns, the others in `traits`."""

    __tablename__ = "customer"
    __table_args__ = (Index("customer_birthday", "birthday_md", postgresql_where=text("birthday_md IS NOT NULL")),)

    id: str = Field(primary_key=True, sa_type=Text)
    email: str | None = Field(default=None, sa_type=Text)
    first_name: str | None = Field(default=None, sa_type=Text)
    last_name: str | None = Field(default=None, sa_type=Text)
    birthday: date | None = None
    birthday_md: int | None = None
    """Month * 100 + day, so that anniversaries are found by index."""
    timezone: str | None = Field(default=None, sa_type=Text)
    """As the app gave it; null or unknown ones mean the policy's default."""
    locale: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=Instant)
    traits: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False, server_default="{}"))
    identified_at: datetime | None = Field(default=None, sa_type=Instant)
    """The timestamp of the newest identify; an older one that arrives later must not overwrite."""
    consents: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False, server_default="{}"))
    """Newest statement by topic ("*" is all): {"offers": {"granted": true, "at": "…Z"}}; history is in `consent`."""
    erased_at: datetime | None = Field(default=None, sa_type=Instant)
    pace: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False, server_default="{}"))
    """How much they asked for, the newest by topic ("*" is all): {"caps": {"offers": {"at_most": 1, "per_days": 7,
    "at": "…Z"}}, "pause": {"until": "2026-12-31", "at": "…Z"}}."""


class Event(SQLModel, table=True):
    """An accepted event, for ever; its primary key is what makes acceptance idempotent."""

    __tablename__ = "event"
    __table_args__ = (Index("event_of_customer", "customer_id", "name", "timestamp"),)

    message_id: str = Field(primary_key=True, sa_type=Text)
    customer_id: str = Field(sa_type=Text)
    name: str | None = Field(default=None, sa_type=Text)
    """The event's name; null for an identify, whose traits stand in `properties`."""
    traits: dict[str, Any] | None = Field(default=None, sa_column=Column(Json, nullable=True))
    """What came along in a track's context; it counts as traits at that timestamp."""
    timestamp: datetime = Field(sa_type=Instant)
    received_at: datetime = Field(sa_type=Instant)
    properties: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    digest: str = Field(sa_type=Text)


class Activity(SQLModel, table=True):
    """All events of one name of one customer in brief; most conditions need nothing more."""

    __tablename__ = "activity"
    __table_args__ = (
        Index("activity_by_event", "event", "last_at"),
        {"sqlite_with_rowid": False},  # each event changes a row: that is one page then, not two
    )

    customer_id: str = Field(primary_key=True, sa_type=Text)
    event: str = Field(primary_key=True, sa_type=Text)
    count: int
    first_at: datetime = Field(sa_type=Instant)
    last_at: datetime = Field(sa_type=Instant)


class Consent(SQLModel, table=True):
    """What somebody agreed to or withdrew, append-only; `topic` null is all."""

    __tablename__ = "consent"
    __table_args__ = (Index("consent_of_customer", "customer_id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    customer_id: str = Field(sa_type=Text)
    topic: str | None = Field(default=None, sa_type=Text)
    granted: bool
    source: str | None = Field(default=None, sa_type=Text)
    text_version: str | None = Field(default=None, sa_type=Text)
    at: datetime = Field(sa_type=Instant)
    event_id: str = Field(sa_type=Text)


class Suppression(SQLModel, table=True):
    """An address that must not be written to; `reason` is "hard_bounce" or "complaint"."""

    __tablename__ = "suppression"

    address: str = Field(primary_key=True, sa_type=Text)
    reason: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=Instant)
    reply: str | None = Field(default=None, sa_type=Text)


class Enrollment(SQLModel, table=True):
    """One customer in one journey. States: active, held, completed, goal_reached, exited."""

    __tablename__ = "enrollment"
    __table_args__ = (
        # The customer first, so that it finds one customer's enrollments too, open ones and others.
        UniqueConstraint("customer_id", "journey", "key", "entry", name="enrollment_once"),
        Index(
            "enrollment_open",
            "customer_id",
            postgresql_where=text("ended_at IS NULL"),
            sqlite_where=text("ended_at IS NULL"),
        ),
        Index(
            "enrollment_held",
            "journey",
            "step",
            postgresql_where=text("state = 'held'"),
            sqlite_where=text("state = 'held'"),
        ),
        Index(
            "enrollment_wake",
            "wake_at",
            postgresql_where=text("wake_at IS NOT NULL"),
            sqlite_where=text("wake_at IS NOT NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    journey: str = Field(sa_type=Text)
    customer_id: str = Field(sa_type=Text)
    key: str = Field(default="", sa_type=Text)
    entry: int = 1
    """1 for the first time that this customer enters with this key, 2 for the second, …"""
    state: str = Field(default="active", sa_type=Text)
    step: str = Field(sa_type=Text)
    due_at: datetime | None = Field(default=None, sa_type=Instant)
    wake_at: datetime | None = Field(default=None, sa_type=Instant)
    awaiting: str | None = Field(default="start", sa_column=Column(Text, server_default="start"))
    """What happens next: "start" before the first step, null when a Wait is over at `due_at`, "message" while a
    Send's outcome is awaited, else the event that a WaitFor waits for."""
    arrived: bool = False
    """The awaited event came (set by whoever took it, while the row was locked)."""
    trigger_id: str | None = Field(default=None, sa_type=Text)
    trigger: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    entered_at: datetime = Field(sa_type=Instant)
    ended_at: datetime | None = Field(default=None, sa_type=Instant)
    reason: str | None = Field(default=None, sa_type=Text)


class Message(SQLModel, table=True):
    """One email to one customer. States: pending, sending, sent, skipped, failed, uncertain.

    A row that is final but still has `wake_at` has an enrollment that waits to be told of it.
    """

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("enrollment_id", "step", name="message_once"),
        Index(
            "message_counted",
            "customer_id",
            "kind",
            "counted_at",
            "topic",
            "journey",
            postgresql_where=text("counted_at IS NOT NULL"),
            sqlite_where=text("counted_at IS NOT NULL"),
        ),
        Index(
            "message_capped",
            "capped_at",
            postgresql_where=text("capped_at IS NOT NULL"),
            sqlite_where=text("capped_at IS NOT NULL"),
        ),
        Index(
            "message_digest",
            "customer_id",
            postgresql_where=text("journey = 'digest' AND wake_at IS NOT NULL"),
            sqlite_where=text("journey = 'digest' AND wake_at IS NOT NULL"),
        ),
        Index(
            "message_wake",
            "wake_at",
            postgresql_where=text("wake_at IS NOT NULL"),
            sqlite_where=text("wake_at IS NOT NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    customer_id: str = Field(sa_type=Text)
    enrollment_id: int = Field(sa_type=Id)
    journey: str = Field(sa_type=Text)
    step: str = Field(sa_type=Text)
    key: str = Field(default="", sa_type=Text)
    template: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    topic: str = Field(sa_type=Text)
    priority: int = 50
    on_capped: str = Field(default="wait", sa_type=Text)
    state: str = Field(default="pending", sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    """Why it was skipped or is put off; for `failed` and retries the server's reply."""
    created_at: datetime = Field(sa_type=Instant)
    due_at: datetime | None = Field(default=None, sa_type=Instant)
    wake_at: datetime | None = Field(default=None, sa_type=Instant)
    expires_at: datetime = Field(sa_type=Instant)
    capped_until: datetime = Field(sa_type=Instant)
    """A capped message is given up after this moment: created_at + send_within."""
    message_id: str = Field(sa_type=Text)
    attempts: int = 0
    claim: str | None = Field(default=None, sa_type=Text)
    """Who sends it, with the batch: the rows of one claim are sent in the order of `position`."""
    position: int | None = None
    lanes: int | None = None
    """How many messages the claimer may have in flight at once: what a crash can leave uncertain."""
    counted_at: datetime | None = Field(default=None, sa_type=Instant)
    """When it was claimed for sending: what frequency caps count."""
    sent_at: datetime | None = Field(default=None, sa_type=Instant)
    email: str | None = Field(default=None, sa_type=Text)
    subject: str | None = Field(default=None, sa_type=Text)
    locale: str | None = Field(default=None, sa_type=Text)
    capped_at: datetime | None = Field(default=None, sa_type=Instant)
    """When a cap first held it back."""
    capped_by: str | None = Field(default=None, sa_type=Text)
    """The cap that first held it back, by name."""
    lost_to: list[int] | None = Field(default=None, sa_column=Column(Json, nullable=True))
    """The ids of the messages that filled that cap then."""
    digest_id: int | None = Field(default=None, sa_type=Id)
    """The digest that this message went into; its state is `skipped` then, its reason `digested`."""
    sections: list[dict[str, Any]] | None = Field(default=None, sa_column=Column(Json, nullable=True))
    """Of a digest: what it gathered, one {"id", "topic", "journey", "template", "message_id"} each."""


class Fatigue(SQLModel, table=True):
    """How much one customer has had of us, computed set by set; `state` is undersaturated, on_target, saturated or
    unknown. There is a row from the first marketing email on, while the policy asks for any of it."""

    __tablename__ = "fatigue"
    __table_args__ = (
        Index(
            "fatigue_wake",
            "wake_at",
            postgresql_where=text("wake_at IS NOT NULL"),
            sqlite_where=text("wake_at IS NOT NULL"),
        ),
    )

    customer_id: str = Field(primary_key=True, sa_type=Text)
    sent: int = 0
    opened: int = 0
    clicked: int = 0
    bought: int = 0
    complained: int = 0
    score: float | None = None
    state: str = Field(default="unknown", sa_type=Text)
    sunset_at: datetime | None = Field(default=None, sa_type=Instant)
    """Since when marketing has stopped; null while it has not."""
    computed_at: datetime = Field(sa_type=Instant)
    wake_at: datetime | None = Field(default=None, sa_type=Instant)
    """When it is computed again; null when only another email or event can change it."""


class Product(SQLModel, table=True):
    """A product of the catalogue; what of it was bought is counted by the job that computes recommendations."""

    __tablename__ = "product"
    __table_args__ = (
        Index(
            "product_popular",
            "popularity",
            postgresql_where=text("popularity IS NOT NULL"),
            sqlite_where=text("popularity IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True, sa_type=Key)
    name: str = Field(sa_type=Text)
    url: str = Field(sa_type=Text)
    image: str | None = Field(default=None, sa_type=Text)
    price: str = Field(sa_type=Text)
    """A plain decimal number, as text, because SQLite has no exact one."""
    currency: str | None = Field(default=None, sa_type=Text)
    category: str | None = Field(default=None, sa_type=Text)
    in_stock: bool = True
    imported_at: datetime = Field(sa_type=Instant)
    buyers: int = 0
    """How many people ever bought it."""
    lately: int = 0
    """How many people bought it in the policy's `lately`."""
    popularity: int | None = None
    """Its place among the most popular, from 1; null for the others."""


class Purchase(SQLModel, table=True):
    """What a customer bought of a product, over all their orders."""

    __tablename__ = "purchase"
    __table_args__ = (
        Index("purchase_of_product", "product_id", "customer_id"),
        {"sqlite_with_rowid": False},  # read by customer, who has few
    )

    customer_id: str = Field(primary_key=True, sa_type=Text)
    product_id: str = Field(primary_key=True, sa_type=Key)
    """As the order says; it need not be in the catalogue."""
    quantity: int
    last_at: datetime = Field(sa_type=Instant)
    place: int
    """1 for what they bought last, 2 for the product before it, …"""


class Shopper(SQLModel, table=True):
    """A customer whose orders are in `purchase`: so many of them, and others have come since if they have more."""

    __tablename__ = "shopper"

    customer_id: str = Field(primary_key=True, sa_type=Text)
    orders: int


class Related(SQLModel, table=True):
    """A product that goes with another; `score` is the cosine in millionths, `together` how many bought both."""

    __tablename__ = "related"
    __table_args__ = ({"sqlite_with_rowid": False},)

    product_id: str = Field(primary_key=True, sa_type=Key)
    other_id: str = Field(primary_key=True, sa_type=Key)
    score: int
    together: int


class Pause(SQLModel, table=True):
    """Sending stopped by an operator: `scope` is all, marketing, journey or topic; over when `resumed_at` is set."""

    __tablename__ = "pause"

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    scope: str = Field(sa_type=Text)
    name: str | None = Field(default=None, sa_type=Text)
    """The journey or topic; null for the other scopes."""
    reason: str = Field(sa_type=Text)
    paused_at: datetime = Field(sa_type=Instant)
    resumed_at: datetime | None = Field(default=None, sa_type=Instant)


class SendTest(SQLModel, table=True):
    """An email that somebody of us sent to have a look at it. States: sending, sent, failed, uncertain.

    One that stays in `sending` was cut short, and may have left. No cap, report or journey asks for any of them.
    """

    __tablename__ = "test_send"

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    template: str = Field(sa_type=Text)
    locale: str = Field(sa_type=Text)
    email: str | None = Field(default=None, sa_type=Text)
    """Where it went; null once a customer whose address that is asked to be forgotten, as is `subject`."""
    customer_id: str | None = Field(default=None, sa_type=Text)
    """Whose data it showed; null for sample data."""
    subject: str | None = Field(default=None, sa_type=Text)
    message_id: str = Field(sa_type=Text)
    state: str = Field(default="sending", sa_type=Text)
    reply: str | None = Field(default=None, sa_type=Text)
    """What the server said."""
    created_at: datetime = Field(sa_type=Instant)


class Fingerprint(SQLModel, table=True):
    """What was last seen of something that may change between two looks, such as the policy's caps."""

    __tablename__ = "fingerprint"

    name: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


class DeadLetter(SQLModel, table=True):
    """A stream entry that could not be taken, or only in part, with the reason and the bytes."""

    __tablename__ = "dead_letter"

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    entry_id: str = Field(sa_type=Text, unique=True)
    """Where it came from: the stream entry's id, or "file:line"."""
    reason: str = Field(sa_type=Text)
    raw: bytes = Field(sa_type=LargeBinary)
    received_at: datetime = Field(sa_type=Instant)
    retried_at: datetime | None = Field(default=None, sa_type=Instant)


class Tally(SQLModel, table=True):
    """Counts of what leaves no row, e.g. entries ignored because the customer was enrolled already."""

    __tablename__ = "tally"

    journey: str = Field(primary_key=True, sa_type=Text)
    what: str = Field(primary_key=True, sa_type=Text)
    count: int


class Sweep(SQLModel, table=True):
    """When a periodic job of the schedulers is next due, so that one of many runs it."""

    __tablename__ = "sweep"

    name: str = Field(primary_key=True, sa_type=Text)
    next_at: datetime = Field(sa_type=Instant)
