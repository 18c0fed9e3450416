"""What events mean to journeys: entries, goals, awaited events, exits; and to consents and suppressions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from lifecycle.store.database import Database

from .shop import NOW, document, enrolled, identify, letters, order, rows, taking, track

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def put(db: Database, journey: str, customer_id: str, **columns: object) -> int:
    """An enrollment in the middle of a journey."""
    values: dict[str, object] = {
        "journey": journey,
        "customer_id": customer_id,
        "key": "",
        "entry": 1,
        "state": "active",
        "step": "consider",
        "due_at": NOW + DAY,
        "wake_at": NOW + DAY,
        "awaiting": None,
        "arrived": False,
        "trigger": "{}",
        "entered_at": NOW - DAY,
    } | columns
    values = {name: _stored(db, value) for name, value in values.items()}
    names = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join(f":{name}" for name in values)
    with db.transaction() as connection:
        sql = f"INSERT INTO enrollment ({names}) VALUES ({marks}) RETURNING id"
        return int(connection.execute(text(sql), values).scalar_one())


def put_message(db: Database, enrollment: int, state: str = "pending") -> None:
    """A message of it that is due in a week."""
    columns = {"customer_id": "ann", "journey": "x", "step": "s", "key": "", "template": "t", "kind": "marketing"}
    columns |= {"topic": "offers", "on_capped": "wait", "state": state, "message_id": "m@x"}
    values: dict[str, object] = dict(columns)
    values |= {"enrollment_id": enrollment, "priority": 50, "attempts": 0}
    values |= {name: _stored(db, NOW + 7 * DAY) for name in ("created_at", "due_at", "wake_at", "expires_at")}
    values["capped_until"] = values["expires_at"]
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    with db.transaction() as connection:
        connection.execute(text(f"INSERT INTO message ({names}) VALUES ({marks})"), values)


def _stored(db: Database, value: object) -> object:
    if db.is_sqlite and isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}"
    return value


def when_due(db: Database, table: str = "enrollment") -> list[tuple[bool, bool]]:
    """Whether due now, and whether the scheduler looks later than now."""
    now = _stored(db, NOW)
    with db.reading() as connection:
        sql = text(f"SELECT due_at = :now, wake_at > :now FROM {table} ORDER BY id")
        return [(bool(due), bool(later)) for due, later in connection.execute(sql, {"now": now})]


def test_an_event_enters_and_the_worker_is_hinted_now_the_scheduler_only_after_the_lease(database: Database) -> None:
    taken = taking(database, track("1", "ann", "customer.registered"))
    assert taken.entered == 1
    assert rows(database, "SELECT id, step, awaiting FROM enrollment") == [(taken.advance[0], "a while", "start")]
    assert when_due(database) == [(True, True)]


def test_one_order_reaches_win_backs_goal_and_enters_post_purchase(database: Database) -> None:
    back = put(database, "win_back", "ann")
    put_message(database, back)
    put_message_of_other = put(database, "win_back", "ben")

    taken = taking(database, order("7", "ann", NOW))

    assert (taken.goals, taken.entered) == (1, 2)  # post_purchase and first_order
    assert rows(database, f"SELECT state, reason, due_at, wake_at FROM enrollment WHERE id = {back}") == [
        ("goal_reached", "goal_reached", None, None)
    ]
    assert rows(database, f"SELECT state FROM enrollment WHERE id = {put_message_of_other}") == [("active",)]
    assert enrolled(database, "post_purchase") == [("ann", "7", 1, "active", None)]
    assert when_due(database, "message") == [(True, False)], "the message comes up at once, to be skipped"


def test_an_order_before_the_entry_is_no_goal(database: Database) -> None:
    put(database, "win_back", "ann", entered_at=NOW - HOUR)
    assert taking(database, order("1", "ann", NOW - HOUR), order("2", "ann", NOW - 2 * HOUR)).goals == 0
    assert taking(database, order("3", "ann", NOW - HOUR + timedelta(microseconds=1))).goals == 1


def test_a_goal_counts_however_late_it_arrives_but_starts_nothing(database: Database) -> None:
    put(database, "win_back", "ann", entered_at=NOW - 10 * DAY)
    taken = taking(database, order("1", "ann", NOW - 4 * DAY))
    assert (taken.goals, taken.entered) == (1, 0)
    assert rows(database, "SELECT what, sum(count) FROM tally GROUP BY what") == [("late", 2)]
    assert rows(database, "SELECT count FROM activity") == [(1,)]


def test_people_who_are_held_reach_goals_too_and_those_who_are_done_stay_done(database: Database) -> None:
    put(database, "win_back", "ann", state="held", due_at=None, wake_at=None)
    put(database, "win_back", "ben", state="completed", due_at=None, wake_at=None)
    assert taking(database, order("1", "ann"), order("2", "ben")).goals == 1
    assert [state for _, _, _, state, _ in enrolled(database, "win_back")] == ["goal_reached", "completed"]


def test_an_awaited_event_wakes_those_whom_it_matches(database: Database) -> None:
    mine: dict[str, Any] = {"step": "review", "awaiting": "review.posted", "due_at": NOW + 9 * DAY}
    seven = put(database, "post_purchase", "ann", key="7", trigger='{"order_id": "7"}', **mine)
    put(database, "post_purchase", "ann", key="8", trigger='{"order_id": "8"}', **mine)
    put(database, "post_purchase", "ben", key="7", trigger='{"order_id": "7"}', **mine)

    taken = taking(database, track("r", "ann", "review.posted", NOW, order_id="7"))

    assert (taken.woken, taken.advance) == (1, [seven])
    arrived = rows(database, "SELECT id, arrived FROM enrollment ORDER BY id")
    assert [bool(came) for _, came in arrived] == [True, False, False]
    assert when_due(database)[0] == (True, True)
    again = taking(database, track("r2", "ann", "review.posted", NOW, order_id="7"))
    assert again.woken == 0, "one compare-and-set: what has arrived does not arrive again"


def test_an_awaited_event_counts_between_entry_and_timeout_only(database: Database) -> None:
    trigger = '{"order_id": "7"}'
    put(
        database, "post_purchase", "ann", key="7", trigger=trigger, step="review", awaiting="review.posted",
        due_at=NOW - HOUR, wake_at=NOW,
    )  # fmt: skip
    review: dict[str, Any] = {"order_id": "7"}
    assert taking(database, track("a", "ann", "review.posted", NOW - 2 * DAY, order_id="7")).woken == 0
    assert taking(database, track("b", "ann", "review.posted", NOW, order_id="7")).woken == 0
    assert taking(database, track("c", "ann", "review.posted", NOW - 2 * HOUR, **review)).woken == 1


def test_an_entry_while_enrolled_is_ignored_and_counted(database: Database) -> None:
    put(database, "loyal", "ann", entered_at=NOW - 10 * DAY)
    put(database, "loyal", "ben", entered_at=NOW - 10 * DAY, state="held")
    taken = taking(
        database, *(track(str(n), who, "customer.registered") for n, who in enumerate(["ann", "ann", "ben"]))
    )
    assert (taken.entered, taken.ignored) == (0, 3)
    assert rows(database, "SELECT journey, what, count FROM tally") == [("loyal", "ignored", 3)]


def test_people_enter_again_after_the_interval_with_the_next_number(database: Database) -> None:
    put(database, "loyal", "ann", entered_at=NOW - 2 * HOUR, state="completed", due_at=None, wake_at=None)
    put(database, "loyal", "ben", entered_at=NOW - HOUR / 2, state="completed", due_at=None, wake_at=None)
    signups = [track(who, who, "customer.registered") for who in ("ann", "ben")]
    taken = taking(database, *signups)
    assert (taken.entered, taken.ignored) == (1, 1)
    assert [(who, entry, state) for who, _, entry, state, _ in enrolled(database, "loyal")] == [
        ("ann", 1, "completed"),
        ("ann", 2, "active"),
        ("ben", 1, "completed"),
    ]


def test_without_an_interval_one_enters_once_ever_per_key(database: Database) -> None:
    put(database, "post_purchase", "ann", key="7", state="completed", due_at=None, wake_at=None)
    orders = [track(str(n), "ann", "order.completed", NOW, order_id=key, total=1) for n, key in enumerate("7889")]
    taken = taking(database, *orders)
    assert (taken.entered, taken.ignored) == (2, 2)
    assert [key for _, key, _, _, _ in enrolled(database, "post_purchase")] == ["7", "8", "9"]


def test_an_event_without_the_key_starts_nothing_and_is_counted(database: Database) -> None:
    taken = taking(database, track("1", "ann", "order.completed", NOW, total=1, order_id=None))
    assert (taken.accepted, taken.entered) == (1, 0)
    assert rows(database, "SELECT journey, what FROM tally") == [("post_purchase", "no_key")]


def test_where_and_only_see_the_customer_as_of_each_event_whatever_the_batches(database: Database) -> None:
    """first_order: an order of 10 or more, and no second order."""
    taking(database, order("1", "ann", NOW - HOUR), order("2", "ann", NOW))  # in one batch
    taking(database, order("4", "ben", NOW))  # the second arrives first …
    taking(database, order("3", "ben", NOW - HOUR))  # … and the first second
    taking(database, order("5", "cid", NOW, total=5))
    taking(database, order("6", "dan", NOW + HOUR))  # by a clock that is ahead
    assert [who for who, *_ in enrolled(database, "first_order")] == ["ann", "ben", "dan"]
    trigger = rows(database, "SELECT trigger_id FROM enrollment WHERE journey = 'first_order' ORDER BY customer_id")
    assert trigger == [("order-1",), ("order-4",), ("order-6",)]


def test_a_trait_that_makes_exit_when_true_ends_the_journey(database: Database) -> None:
    loyal = put(database, "loyal", "ann")
    put_message(database, loyal)
    assert taking(database, identify("1", "ann", vip=False)).exited == 0
    taken = taking(database, identify("2", "ann", vip=True))
    assert taken.exited == 1
    assert enrolled(database, "loyal") == [("ann", "", 1, "exited", "exit_when")]
    assert when_due(database, "message") == [(True, False)]


def test_a_late_trait_does_not_end_a_journey_when_a_newer_one_says_otherwise(database: Database) -> None:
    put(database, "loyal", "ann")
    taking(database, identify("1", "ann", NOW, vip=False))
    assert taking(database, identify("2", "ann", NOW - HOUR, vip=True)).exited == 0


def test_a_goal_does_not_make_its_own_journeys_entry_vanish(database: Database) -> None:
    from dataclasses import replace

    from lifecycle import Journey, Send, days, on

    from .shop import SHOP, Order

    ring = Journey(name="ring", topic="x", enter=on(Order), goal=Order, again_after=days(1), steps=[Send("a/b")])
    project = replace(SHOP, journeys={"ring": ring})
    assert taking(database, order("1", "ann"), project=project).entered == 1
    taken = taking(database, order("2", "ann", NOW + 2 * DAY), now=NOW + 2 * DAY, project=project)
    assert (taken.goals, taken.entered) == (1, 1)
    assert [(entry, state) for _, _, entry, state, _ in enrolled(database, "ring")] == [
        (1, "goal_reached"),
        (2, "active"),
    ]


def consent(message_id: str, granted: bool, at: datetime = NOW, **properties: Any) -> bytes:
    name = "subscription.granted" if granted else "subscription.withdrawn"
    return track(message_id, "ann", name, at, source="form", **properties)


def consents(db: Database) -> dict[str, bool]:
    [(stored,)] = rows(db, "SELECT consents FROM customer WHERE id = 'ann'")
    return {topic: said["granted"] for topic, said in document(stored).items()}


def test_the_newest_statement_of_a_topic_counts_and_all_are_kept(database: Database) -> None:
    taking(database, consent("1", True, topic="offers"), consent("2", True))
    taking(database, consent("3", False, NOW - HOUR, topic="offers"))
    assert consents(database) == {"offers": True, "*": True}
    taking(database, consent("4", False, NOW, topic="offers"))
    assert consents(database) == {"offers": False, "*": True}, "of two at one moment the refusal counts"
    assert rows(database, "SELECT count(*) FROM consent") == [(4,)]


def test_nothing_but_a_statement_raises_consent(database: Database) -> None:
    taking(database, consent("1", False, topic="offers"))
    wishes: dict[str, Any] = {"consents": {"offers": {"granted": True}}, "subscribed": True, "offers": True}
    taking(database, identify("2", "ann", NOW + HOUR, **wishes), track("3", "ann", "x", NOW + HOUR, traits=wishes))
    assert consents(database) == {"offers": False}


def test_a_topic_that_is_no_text_grants_nothing_and_withdraws_all(database: Database) -> None:
    taking(database, consent("1", True, topic=["offers"]))
    assert consents(database) == {}
    taking(database, consent("2", False, topic=["offers"]))
    assert consents(database) == {"*": False}
    assert "the topic is no text" in letters(database)["1-0"]


def test_bounces_and_complaints_suppress_the_address_in_lower_case(database: Database) -> None:
    taking(database, identify("1", "ann", NOW - HOUR, email="Ann@Example.com"))
    taking(
        database,
        track("2", "ann", "email.bounced", hard=True),
        track("3", "ann", "email.bounced", hard=False, address="soft@example.com"),
        track("4", "ben", "email.complained", address="BEN@example.com"),
        track("5", "cid", "email.complained"),
    )
    assert rows(database, "SELECT address, reason FROM suppression ORDER BY address") == [
        ("ann@example.com", "hard_bounce"),
        ("ben@example.com", "complaint"),
    ]
    assert "nothing suppressed" in letters(database)["4-0"]


def test_a_hard_bounce_outweighs_a_complaint_in_any_order(database: Database) -> None:
    bounce = track("1", "ann", "email.bounced", NOW, hard=True, address="a@b.c")
    complaint = track("2", "ann", "email.complained", NOW - HOUR, address="a@b.c")
    taking(database, bounce)
    taking(database, complaint)
    assert rows(database, "SELECT reason FROM suppression") == [("hard_bounce",)]


def test_an_erased_customer_is_forgotten_whatever_arrives_later(database: Database) -> None:
    taking(database, identify("1", "ann", NOW - HOUR, email="ann@b.c", birthday="1990-01-02", vip=True))
    taking(database, track("2", "ann", "customer.erased", NOW))
    taking(database, identify("3", "ann", NOW - 2 * HOUR, last_name="Lee"), identify("4", "ann", NOW + HOUR, vip=True))

    columns = "email, last_name, birthday, birthday_md, erased_at IS NOT NULL AS erased, traits"
    [(*gone, erased, traits)] = rows(database, f"SELECT {columns} FROM customer")
    assert (gone, bool(erased), document(traits)) == ([None, None, None, None], True, {})
    stored = rows(database, "SELECT properties FROM event WHERE name IS NULL")
    assert [document(one) for (one,) in stored] == [{}, {}, {}]
    assert taking(
        database, identify("1", "ann", NOW - HOUR, email="ann@b.c", birthday="1990-01-02", vip=True)
    ).duplicates
