"""What compiling an email gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CompiledEmail:
    """Jinja sources of one email's parts.

    `link` prints the links that it may lead to, for `main_link` to choose from; it is "" where there are none.
    `variables` are the dotted names that the sources read; `places` says where each name is first used,
    `link_places` where the links stand that are checked when rendered; `version` changes whenever the content does.
    """

    name: str
    subject: str
    preheader: str
    html: str
    text: str
    link: str
    variables: frozenset[str]
    places: Mapping[str, str]
    link_places: tuple[str, ...]
    version: str
