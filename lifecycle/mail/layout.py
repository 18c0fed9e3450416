"""The laying-out half of compiling: what is done once for all locales of an email, and costs nearly all the time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from html import escape

from lifecycle.errors import TemplateError
from lifecycle.mail.drawing import CannotDraw, attributes_of_tags, draw
from lifecycle.mail.environment import html_environment
from lifecycle.mail.links import with_marks
from lifecycle.mail.macros import with_macros
from lifecycle.mail.mask import Masked, literal
from lifecycle.mail.messages import Message, messages
from lifecycle.mail.outline import Outline, outline
from lifecycle.mail.source import Source
from lifecycle.mail.syntax import parse, parse_again
from lifecycle.mail.urls import as_browsers_read, replace_urls
from lifecycle.mail.variables import variables_read


@dataclass(frozen=True)
class LaidOut:
    """An email after MJML and premailer, with words in place of its Jinja tokens (`masked.tokens` has them by word).

    `subject` and `preheader` are plain text, `html` has the marks of `links.with_marks`; `places` says where each
    variable is first read, `messages` what translators translate.
    """

    source: Source
    masked: Masked
    subject: str
    preheader: str
    html: str
    places: Mapping[str, str]
    messages: tuple[Message, ...]

    def with_texts(self, texts: Mapping[str, str]) -> LaidOut:
        """Return it with plain text, escaped where that is due, in place of these words of its tokens."""

        def put(into: str, by: Callable[[str], str]) -> str:
            return self.masked.pattern.sub(lambda word: by(texts[word[0]]) if word[0] in texts else word[0], into)

        return replace(
            self,
            subject=put(self.subject, literal),
            preheader=put(self.preheader, literal),
            html=put(self.html, lambda text: escape(text).replace("\n", " ")),
        )


def lay_out(source: Source) -> LaidOut:
    """Check a source, and run MJML and premailer over it.

    Raises TemplateError with file:line:column, the reason and the remedy.
    """
    environment = html_environment()
    tree = parse(source.mjml, environment, source.at)
    written = with_macros(source, environment)
    if written is not source:
        source, tree = written, parse(written.mjml, environment, written.at)
    masked = Masked(source.mjml, environment)
    found = outline(source, masked, attributes_of_tags())
    places = {variable: source.at(offset) for variable, offset in variables_read(tree).items()}
    _check_preheader(source, masked, found.preview, places)
    said = tuple(messages(tree, source.at))
    return LaidOut(source, masked, found.title, found.preview, _to_html(source, masked, found), places, said)


def _check_preheader(source: Source, masked: Masked, preheader: str, places: Mapping[str, str]) -> None:
    """Refuse one that reads what only the subject sets: each is a template of its own."""
    tokens = [masked.tokens[word] for word in masked.words(preheader)]
    alone = parse_again("".join(token.source for token in tokens), html_environment())
    for variable in variables_read(alone).keys() - places.keys():
        name = variable.partition(".")[0]
        at = next(token.start for token in tokens if name in token.source)
        raise TemplateError(source.at(at), f"{name!r} is set in <mj-title> only", "set it in <mj-preview> too")


def _to_html(source: Source, masked: Masked, found: Outline) -> str:
    marked = replace_urls(with_marks(masked, found.links), as_browsers_read)
    mjml = masked.pattern.sub(lambda word: _hidden(word[0], found), marked)
    try:
        html = draw(mjml)
    except CannotDraw as error:
        reason = f"MJML cannot lay this email out: {error}"
        raise TemplateError(source.at(0), reason, "undo the latest change") from error
    html = re.sub(f"<!--({masked.pattern.pattern})-->", r"\1", html)
    for word, token in masked.tokens.items():
        if word not in html:
            shown = source.shown(token.start, token.source)
            raise TemplateError(source.at(token.start), f"{shown} is lost in the layout", "move it into <mj-text>")
    return html


def _hidden(word: str, found: Outline) -> str:
    if word in found.blocks:
        return f"<mj-raw><!--{word}--></mj-raw>"
    return f"<!--{word}-->" if word in found.flow else word
