"""Telling a database that is away, restarting or full from one that was asked something wrong."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError


def is_outage(error: DBAPIError) -> bool:
    """Whether asking again later may help: the connection was lost or refused, the disk is full, the lock is held."""
    return isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated


def cause(error: DBAPIError) -> str:
    """The driver's own words in one line, without the statement and parameters that SQLAlchemy adds."""
    driver = error.orig or error
    return f"{type(driver).__name__}: {str(driver).strip().partition(chr(10))[0][:300]}"
