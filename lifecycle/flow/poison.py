"""Data that makes work fail: found by halving a batch, so that one customer's never stops the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

log = logging.getLogger(__name__)


def is_poisonous(error: Exception) -> bool:
    """Whether it may be the data's fault, and not that of the database's state or its being away.

    A fault of the code counts too: what nobody foresaw in one customer's data must not stop those behind it.
    """
    if not isinstance(error, DBAPIError):
        return not isinstance(error, SQLAlchemyError) or type(error) is StatementError
    state = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, DataError | IntegrityError) or state.startswith("54")  # 54: too large for an index, …


def without_poison(what: str, work: Callable[[Sequence[int]], list[int]], ids: Sequence[int]) -> list[int]:
    """What `work`, one transaction, returns for all `ids`; those alone with which it fails are logged and left.

    The scheduler asks for them again whenever their lease is over.
    """
    try:
        return work(ids)
    except Exception as error:
        if not is_poisonous(error):
            raise
        if len(ids) == 1:
            log.error(
                "a fault in the engine; it is left where it stands", extra={"of": what, "id": ids[0]}, exc_info=error
            )
            return []
    middle = len(ids) // 2
    return [*without_poison(what, work, ids[:middle]), *without_poison(what, work, ids[middle:])]
