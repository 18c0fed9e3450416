"""An email compiled once: MJML → HTML with inlined styles → Jinja source, beside subject, preheader and text.

`lay_out` expands includes, checks, masks the Jinja tokens, and runs MJML and premailer: once for all locales. `finish`
guards the links, derives the text part and puts the tokens back: once per locale, and cheap.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from jinja2 import nodes

from lifecycle.errors import TemplateError
from lifecycle.mail.compiled import CompiledEmail
from lifecycle.mail.environment import text_environment
from lifecycle.mail.layout import LaidOut, lay_out
from lifecycle.mail.links import link_source
from lifecycle.mail.locales import language, tag
from lifecycle.mail.mask import Masked, Token, literal
from lifecycle.mail.source import Source, place, read_source
from lifecycle.mail.syntax import parse
from lifecycle.mail.text import plain_text
from lifecycle.mail.variables import variables_read

__all__ = ["CompiledEmail", "LaidOut", "compile_email", "finish", "lay_out"]

_LANG = re.compile(r'(<(?:html|div)\b[^>]*?\slang=")([^"]*)"')
_URL_ATTRIBUTE = re.compile(
    r"""(\s(?:href|src|srcset|action|background|poster)\s*=\s*)("[^"]*"|'[^']*')""", re.IGNORECASE
)
_KNOWN_SCHEME = re.compile(r"\s*(?:https?://|mailto:|tel:|sms:|cid:|/|#|\?)", re.IGNORECASE)


def compile_email(folder: Path, name: str) -> CompiledEmail:
    """Compile `folder/name.mjml` and the `name.txt` beside it, if any; takes about 65 ms.

    Raises TemplateError with file:line:column, the reason and the remedy.
    """
    return finish(lay_out(read_source(folder, name)), "en")


def finish(laid: LaidOut, locale: str) -> CompiledEmail:
    """Make the sources of all parts, in that locale; raises TemplateError where the text written by hand is wrong."""
    masked, written, places = laid.masked, laid.source.text, dict(laid.places)
    link, html = link_source(laid.html, masked)
    subject, preheader = (masked.replace(part, _original) for part in (laid.subject, laid.preheader))
    if written is None:
        text = plain_text(html, masked)
    else:
        text = written
        for variable, place in _text_places(laid.source).items():
            places.setdefault(variable, place)
    html = _in_language(html, locale)
    final = masked.replace(_guard_urls(literal(html), masked), _original)
    version = hashlib.blake2b("\0".join((subject, preheader, final, text)).encode(), digest_size=8).hexdigest()
    names = frozenset(places)
    return CompiledEmail(laid.source.name, subject, preheader, final, text, link, names, places, version, locale)


def _original(token: Token) -> str:
    return token.source


def _text_places(source: Source) -> dict[str, str]:
    def at(offset: int) -> str:
        return place(str(source.path.with_suffix(".txt")), source.text or "", offset)

    tree = parse(source.text or "", text_environment(), at)
    for found in tree.find_all((nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)):
        raise TemplateError(at(found.lineno), "a text part cannot include", "write it out")
    return {variable: at(offset) for variable, offset in variables_read(tree).items()}


def _in_language(html: str, locale: str) -> str:
    """The HTML saying its language: what the author wrote if it is the same one, else the locale's own tag."""

    def say(found: re.Match[str]) -> str:
        written = found[2].replace("-", "_")
        return f'{found[1]}{found[2] if language(written) == language(locale) else tag(locale)}"'

    return _LANG.sub(say, html)


def _guard_urls(html: str, masked: Masked) -> str:
    """Put `safe_url` around every URL whose scheme could come from data."""

    def guard(match: re.Match[str]) -> str:
        value = match[2][1:-1]
        first = masked.pattern.search(value)
        if not first or _KNOWN_SCHEME.match(value[: first.start()]):
            return match[0]
        quote = match[2][0]
        return f"{match[1]}{quote}{{% filter safe_url %}}{value}{{% endfilter %}}{quote}"

    return _URL_ATTRIBUTE.sub(guard, html)
