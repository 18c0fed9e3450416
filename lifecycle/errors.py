"""Everything that can go wrong, as one tree; each message says what to do next.

LifecycleError
├── ConfigurationError      a setting is missing or wrong
├── DefinitionError         a journey, vocabulary or policy file says something impossible
├── TemplateError           an email's source cannot be compiled
├── RenderError             one email cannot be rendered for one customer
├── InvalidAddress          no mail can go to that address
├── InvalidEvent            an event that the client refuses to send
├── InvalidFile             a file to import cannot be read at all
└── StoreError              the database is missing, too old or too new
"""

from __future__ import annotations

import re

_PLACE = re.compile(r"(.+?):(\d+)(?::(\d+))?")


class LifecycleError(Exception):
    """The root of all errors that this package raises on purpose; `str()` is one line for a person."""


class ConfigurationError(LifecycleError):
    """A setting is missing or wrong; names the environment variable and the remedy."""


class DefinitionError(LifecycleError):
    """A journey, vocabulary or policy file says something impossible.

    `where` is "file:line", `hint` the remedy.
    """

    def __init__(self, where: str, message: str, hint: str = "") -> None:
        self.where = where
        self.message = message
        self.hint = hint
        super().__init__(f"{where}: {message}" + (f" ({hint})" if hint else ""))


class TemplateError(LifecycleError):
    """An email's source cannot be compiled.

    `where` is "file:line:column" in the author's file, `hint` the remedy, `code` the rule of lint that is broken.
    """

    def __init__(self, where: str, message: str, hint: str = "", code: str = "template") -> None:
        self.where = where
        self.message = message
        self.hint = hint
        self.code = code
        super().__init__(f"{where}: {message}" + (f" ({hint})" if hint else ""))


class RenderError(LifecycleError):
    """One email cannot be rendered for one customer; `where` is "file:line:column", where that is known."""

    def __init__(self, template: str, message: str, where: str = "") -> None:
        self.template = template
        self.message = message
        self.where = where
        super().__init__(f"{template}: {message}")


class InvalidAddress(LifecycleError):
    """No mail can go to that address; says why."""


class InvalidEvent(LifecycleError, ValueError):
    """An event that the client refuses to send, because the engine would refuse to take it."""


class NotEmitted(LifecycleError, ConnectionError):
    """The queue cannot be reached; `message_ids` are the ids with which to emit the same events again."""

    def __init__(self, message_ids: list[str], cause: Exception) -> None:
        self.message_ids = message_ids
        super().__init__(
            f"{len(message_ids)} event(s) may not have reached the queue ({cause}); "
            "emit them again with the same message ids"
        )


class InvalidFile(LifecycleError):
    """A file to import cannot be read at all; says what it should look like."""


class StoreError(LifecycleError):
    """The database is missing, too old or too new; says which command mends it."""


def place_of(where: str) -> tuple[str, int, int]:
    """Split "file:line:column" or "file:line" into its parts; a number that is lacking is 0."""
    found = _PLACE.fullmatch(where)
    return (found[1], int(found[2]), int(found[3] or 0)) if found else (where, 0, 0)
