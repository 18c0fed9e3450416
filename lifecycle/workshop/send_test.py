"""Test sends: letters to an address of one's own, marked, recorded apart, and from which nobody is unsubscribed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

from lifecycle import clock
from lifecycle.errors import LifecycleError
from lifecycle.flow.mailer import Mailer
from lifecycle.mail.transport import Accepted, Deferred, Letter, Outcome, Refused, Unknown, Withdrawn
from lifecycle.store import reports, tests_sent
from lifecycle.store.database import Database

from .look import Look, Workshop

MARK = "[Test]"


@dataclass(frozen=True, slots=True)
class Proof:
    """One email for one address of one's own, and the letter that brings it."""

    look: Look
    letter: Letter


def require_permission(db: Database, mailer: Mailer, recipients: Sequence[str], *, customers_too: bool) -> None:
    """Raises LifecycleError, with the remedy, where a recipient must not get a test from here."""
    for recipient in recipients:
        if not mailer.allows(recipient):
            raise LifecycleError(
                f"{recipient} may not be written to from here; add it to LIFECYCLE_ALLOW_RECIPIENTS (globs, by commas)"
            )
        if customers_too:
            continue
        with db.reading() as connection:
            whose = reports.whose_address(connection, recipient)
        if whose is not None:
            raise LifecycleError(
                f"{recipient} is the address of customer {whose!r}; to send it all the same, say --yes"
            )


def written(
    workshop: Workshop,
    mailer: Mailer,
    template: str,
    recipients: Sequence[str],
    customer: str | None,
    locales: Sequence[str | None],
) -> list[Proof]:
    """One letter for each recipient and each of `locales` (None: what the customer reads); raises as `Workshop.look`.

    All are rendered before any leaves, so that a broken one stops them all.
    """
    sender = workshop.engine.project.policy.sender.email
    proofs = []
    for locale in locales:
        occasion = workshop.occasion(template, customer, locale)
        mark = f"{MARK} " if locale is None else f"{MARK} [{locale}] "
        for recipient in recipients:
            message_id = f"test-{secrets.token_hex(10)}@{sender.rpartition('@')[2]}"
            look = workshop.show(mailer, template, occasion.as_test(recipient, message_id), customer, mark=mark)
            proofs.append(Proof(look, Letter(0, sender, recipient, message_id, look.letter)))
    return proofs


def send(db: Database, mailer: Mailer, proofs: Iterable[Proof]) -> Iterator[tuple[Proof, Outcome]]:
    """Sends them as real ones go; each is recorded before it may leave, and again with what became of it."""
    begun: dict[int, Proof] = {}

    def recorded() -> Iterator[Letter]:
        for proof in proofs:
            with db.transaction() as connection:
                id = tests_sent.begin(connection, _row(proof))
            begun[id] = proof
            yield replace(proof.letter, id=id)

    for letter, outcome in mailer.transport.deliver(recorded()):
        with db.transaction() as connection:
            tests_sent.settle(connection, letter.id, _state(outcome), outcome.reply)
        yield begun[letter.id], outcome


def _row(proof: Proof) -> dict[str, Any]:
    look, letter = proof.look, proof.letter
    return {
        "template": look.template,
        "locale": look.locale,
        "email": letter.recipient,
        "customer_id": look.customer,
        "subject": look.rendered.subject,
        "message_id": letter.message_id,
        "created_at": clock.now(),
    }


def _state(outcome: Outcome) -> str:
    match outcome:
        case Accepted():
            return "sent"
        case Unknown():
            return "uncertain"
        case Deferred() | Refused() | Withdrawn():
            return "failed"
        case _:
            assert_never(outcome)
