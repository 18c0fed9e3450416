"""What a database or a queue that is away, missing or full means, in a line without its password."""

from __future__ import annotations

import re
import sys

_SECRETS = re.compile(r"(?<=://)[^\s/@]*@")


def explain(error: Exception) -> str | None:
    """The line for an error of SQLAlchemy's or redis-py's; None for any other."""
    if "sqlalchemy" in sys.modules and (line := _database(error)) is not None:
        return line
    return _queue(error) if "redis" in sys.modules else None


def _database(error: Exception) -> str | None:
    from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError, ProgrammingError

    if not isinstance(error, DBAPIError):
        return None
    cause = _first_line(error.orig or error)
    if re.search(r"no such (table|column)|(relation|column) .* does not exist", cause):
        return f"the database lacks what this version needs ({cause}); run: lifecycle db upgrade"
    if "database or disk is full" in cause or "No space left" in cause:
        return f"the disk of the database is full ({cause}); make room and try again"
    if "database is locked" in cause:
        return "the database is busy with another command; try again when that is done"
    if type(error) is DatabaseError:  # SQLite's word for a file that is none of its own, or damaged
        return f"the database cannot be used ({cause}); is DATABASE_URL right?"
    if isinstance(error, OperationalError) or error.connection_invalidated:
        return f"the database cannot be reached ({cause}); is it running, and is DATABASE_URL right?"
    return f"the database refuses this ({cause})" if isinstance(error, ProgrammingError) else None


def _queue(error: Exception) -> str | None:
    from redis.exceptions import AuthenticationError, RedisError

    if isinstance(error, AuthenticationError):
        return "Redis refuses the password; correct REDIS_URL"
    if isinstance(error, RedisError):
        return f"Redis cannot be reached ({_first_line(error)}); is it running, and is REDIS_URL right?"
    return None


def _first_line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return _SECRETS.sub("***@", text)[:300]
