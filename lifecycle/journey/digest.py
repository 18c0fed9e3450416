"""The digest as the policy declares it."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.errors import DefinitionError

from .origin import here, is_text

JOURNEY = "digest"
"""What digests have in place of a journey: no journey may be named so."""


@dataclass(frozen=True, slots=True)
class Digest:
    """One email for what `on_capped="digest"` gathered: its `template`, and the most sections it holds."""

    template: str = "digest/gathered"
    most: int = 10

    def __post_init__(self) -> None:
        if not is_text(self.template):
            raise DefinitionError(here(), f"Digest: {self.template!r} is no template", "name one: 'digest/gathered'")
        if type(self.most) is not int or self.most < 2:
            raise DefinitionError(here(), f"Digest: most={self.most!r}", "give at least 2")
