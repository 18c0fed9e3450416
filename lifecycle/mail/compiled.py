"""What compiling an email gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lifecycle.mail.messages import Message
from lifecycle.mail.speech import ENGLISH_PLURAL


@dataclass(frozen=True)
class CompiledEmail:
    """Jinja sources of one email's parts, in one locale.

    `link` prints the links that it may lead to, for `main_link` to choose from; it is "" where there are none.
    `variables` are the dotted names that the sources read; `places` says where each name is first used, `link_places`
    where the links stand that are checked when rendered; `version` changes whenever the content does. What `_` and
    `ngettext` say while it is rendered: `texts` and `plurals` by the email's own texts, with the `plural_rule`;
    `untranslated` are those of its texts that are in neither.
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
    locale: str
    texts: Mapping[str, str] = field(default_factory=dict)
    plurals: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    plural_rule: str = ENGLISH_PLURAL
    untranslated: tuple[Message, ...] = ()
