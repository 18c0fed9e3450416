"""An email compiled once: MJML → HTML with inlined styles → Jinja source, beside subject, preheader and text.

`lay_out` expands includes, checks, masks the Jinja tokens, and runs MJML and premailer: once for all locales. `finish`
guards the links, derives the text part and puts the tokens back: once per locale, and cheap.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from lifecycle.journey.utm import Utm
from lifecycle.mail.compiled import CompiledEmail
from lifecycle.mail.layout import LaidOut, lay_out
from lifecycle.mail.links import link_source
from lifecycle.mail.locales import language, tag
from lifecycle.mail.mask import Masked, Token, literal
from lifecycle.mail.source import read_source
from lifecycle.mail.text import plain_text
from lifecycle.mail.urls import as_is, guarded, replace_urls
from lifecycle.mail.utm import Slots
from lifecycle.mail.written import read_written

__all__ = ["CompiledEmail", "LaidOut", "compile_email", "finish", "lay_out"]

# Those that MJML writes: of the page, and of the article that is all of its body.
_LANG = re.compile(r'(<(?:html|div(?=[^>]*\srole="article"))\b[^>]*?\slang=")([^"]*)"')


def compile_email(folder: Path, name: str, utm: Utm | None = None) -> CompiledEmail:
    """Compile `folder/name.mjml` and the `name.txt` beside it, if any; takes about 65 ms.

    With `utm` its links get the parameters that the context has as `utm`.

    Raises TemplateError with file:line:column, the reason and the remedy.
    """
    return finish(lay_out(read_source(folder, name)), "en", utm)


def finish(laid: LaidOut, locale: str, utm: Utm | None = None) -> CompiledEmail:
    """Make the sources of all parts, in that locale; raises TemplateError where the text written by hand is wrong."""
    masked, written, places = laid.masked, laid.source.text, dict(laid.places)
    link, html = link_source(laid.html, masked)
    subject, preheader = (masked.replace(part, _original) for part in (laid.subject, laid.preheader))
    slots = None if utm is None else Slots(masked, utm.hosts)
    if written is None:
        text = plain_text(replace_urls(html, slots.in_text) if slots else html, masked)
    else:
        text = slots.in_written(written, html) if slots else written
        places = {**read_written(laid.source).places, **places}
    html = literal(_in_language(html, masked, locale))
    html, link_places = guarded(
        html, masked, lambda at: laid.source.at(masked.origin(at)), slots.in_html if slots else as_is
    )
    final = masked.replace(html, _original)
    version = hashlib.blake2b("\0".join((subject, preheader, final, text)).encode(), digest_size=8).hexdigest()
    return CompiledEmail(
        laid.source.name, subject, preheader, final, text, link, frozenset(places), places, link_places, version, locale
    )


def _original(token: Token) -> str:
    return token.source


def _in_language(html: str, masked: Masked, locale: str) -> str:
    """The HTML saying its language: what the author wrote if it is the same one, else the locale's own tag."""

    def say(found: re.Match[str]) -> str:
        is_right = language(found[2].replace("-", "_")) == language(locale) or masked.words(found[2])
        return f'{found[1]}{found[2] if is_right else tag(locale)}"'

    return _LANG.sub(say, html)
