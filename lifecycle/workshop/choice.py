"""What somebody looks at, as the query of an address: for whom, in which language, when, how wide, in which light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from .moment import wall_moment
from .scheme import Scheme

PARTS = ("picture", "text", "source", "links")
WIDTHS = {"desktop": 700, "phone": 375}
"""Of the pictures, in CSS pixels."""

_ALLOWED = {"scheme": ("light", "dark"), "width": ("both", *WIDTHS), "part": PARTS}


@dataclass(frozen=True, slots=True)
class Choice:
    """Every value has a default, and those do not show in addresses."""

    customer: str = ""
    locale: str = ""
    at: str = ""
    scheme: Scheme = "light"
    width: str = "both"
    part: str = "picture"

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Choice:
        """The choice in a query; what is not known in it counts as not given."""
        given: dict[str, Any] = {}
        for field in fields(cls):
            value = query.get(field.name, "").strip()
            if value and value in _ALLOWED.get(field.name, (value,)):
                given[field.name] = value
        return cls(**given)

    def url(self, page: str, template: str = "", **changes: str) -> str:
        """The address of a page, with this choice but for the `changes`."""
        given = replace(self, **changes).given  # type: ignore[arg-type]  # templates pass the fields of this class
        path = f"/{page}{quote(template)}"
        return f"{path}?{urlencode(given)}" if given else path

    @property
    def given(self) -> dict[str, str]:
        """What is not as it would be without a choice."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {field.name: values[field.name] for field in fields(self) if values[field.name] != field.default}

    @property
    def moment(self) -> datetime | None:
        """The moment to look from, or None for now. Raises LifecycleError."""
        return wall_moment(self.at) if self.at else None
