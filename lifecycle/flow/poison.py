"""Work that fails stops nothing beside it: one customer's data are found by halving a batch, a step stays apart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from lifecycle.store.outage import is_outage

log = logging.getLogger(__name__)

T = TypeVar("T")
Id = TypeVar("Id", int, str)


def is_poisonous(error: Exception) -> bool:
    """Whether it may be the data's fault, and not that of the database's state or its being away.

    A fault of the code counts too: what nobody foresaw in one customer's data must not stop those behind it.
    """
    if not isinstance(error, DBAPIError):
        return not isinstance(error, SQLAlchemyError) or type(error) is StatementError
    state = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, DataError | IntegrityError) or state.startswith("54")  # 54: too large for an index, …


@contextmanager
def apart(step: str, **of: str) -> Iterator[None]:
    """Whatever error ends the block, unless the database is away, is logged and stays in it: what is next goes on."""
    try:
        yield
    except Exception as error:
        if isinstance(error, DBAPIError) and is_outage(error):
            raise
        log.error("%s failed; the rest goes on, and it is tried again", step, extra=of, exc_info=error)


def without_poison(what: str, work: Callable[[Sequence[int]], list[T]], ids: Sequence[int]) -> list[T]:
    """What `work`, one transaction, returns for all `ids`; those alone with which it fails are logged and left.

    The scheduler asks for them again whenever their lease is over.
    """
    return [one for done in in_parts(what, work, ids) for one in done]


def in_parts(what: str, work: Callable[[Sequence[Id]], T], ids: Sequence[Id]) -> Iterator[T]:
    """What `work` returns for all `ids` or, where it fails, for ever smaller parts of them, each when it is asked for.

    Those alone with which it fails are logged and left.
    """
    try:
        done = work(ids)
    except Exception as error:
        if not is_poisonous(error):
            raise
        if len(ids) == 1:
            log.error(
                "a fault in the engine; it is left where it stands", extra={"of": what, "id": ids[0]}, exc_info=error
            )
            return
    else:
        yield done
        return
    middle = len(ids) // 2
    yield from in_parts(what, work, ids[:middle])
    yield from in_parts(what, work, ids[middle:])
