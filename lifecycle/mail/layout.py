"""The laying-out half of compiling: what is done once for all locales of an email, and costs nearly all the time."""

from __future__ import annotations

import difflib
import logging
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from jinja2 import TemplateSyntaxError, nodes

from lifecycle.errors import TemplateError
from lifecycle.mail.environment import Sandbox, html_environment
from lifecycle.mail.links import with_marks
from lifecycle.mail.mask import Masked, Token, literal
from lifecycle.mail.messages import Message, messages
from lifecycle.mail.outline import Outline, outline
from lifecycle.mail.source import Source
from lifecycle.mail.variables import variables_read

_MJML_TAG = re.compile(r"""<mj-[^\s>/]+(?:"[^"]*"|'[^']*'|[^"'>])*>""", re.IGNORECASE)
_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")
_TITLE = re.compile(r"(<mj-title[^>]*>)(.*?)(</mj-title)", re.DOTALL | re.IGNORECASE)
_WEB_FONTS = re.compile(r"<!--\[if !mso\]><!-->\s*<link\b.*?<!--<!\[endif\]-->", re.DOTALL)
_STYLE = re.compile(r"<style\b.*?</style>", re.DOTALL | re.IGNORECASE)
_INDENT = re.compile(r"\n\s+")


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
    tree = parse(source.mjml, environment, source.where)
    masked = Masked(source.mjml, environment)
    found = outline(source, masked, _mjml_attributes())
    places = {variable: source.where(line) for variable, line in variables_read(tree).items()}
    said = tuple(messages(tree, source.where))
    return LaidOut(source, masked, found.title, found.preview, _to_html(source, masked, found), places, said)


def parse(text: str, environment: Sandbox, where: Callable[[int], str]) -> nodes.Template:
    try:
        tree = environment.parse(text)
        # Jinja itself puts off an unknown filter inside an `if` until it runs.
        for call in tree.find_all(nodes.Filter):
            _check_known("filter", call, environment.filters, where)
        for test in tree.find_all(nodes.Test):
            _check_known("test", test, environment.tests, where)
        environment.compile(tree, raw=True)
    except TemplateSyntaxError as error:
        message = (error.message or str(error)).rstrip(".")
        raise TemplateError(where(error.lineno), f"Jinja: {message}", "mend the {{ … }} or {% … %} there") from error
    return tree


def _check_known(
    kind: str, call: nodes.Filter | nodes.Test, known: Mapping[str, object], where: Callable[[int], str]
) -> None:
    if call.name in known:
        return
    words = sorted(filter(str.isalpha, known))
    close = difflib.get_close_matches(call.name, words, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(words)}"
    raise TemplateError(where(call.lineno), f"unknown {kind} {call.name!r}", hint)


# MJML and premailer, imported where they are used: rendering from the cache must not load them


def _mjml_attributes() -> dict[str, frozenset[str]]:
    from mjml.core.registry import register_core_components

    components: dict[str, Any] = register_core_components()
    return {name: frozenset({*kind.allowed_attrs(), *kind.default_attrs()}) for name, kind in components.items()}


def _to_html(source: Source, masked: Masked, found: Outline) -> str:
    ampersand = masked.salt + "ampz"
    mjml = with_marks(masked, found.links)
    mjml = _TITLE.sub(lambda tag: tag[1] + _shield(tag[2], ampersand) + tag[3], mjml)
    mjml = _MJML_TAG.sub(lambda tag: _QUOTED.sub(lambda value: _shield_value(value[0], ampersand), tag[0]), mjml)
    mjml = masked.replace(mjml, lambda token: _hide(token, found))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # theirs, not the author's
        html = _run_mjml(source, mjml)
        html = re.sub(rf"{ampersand}(#?\w+;)?", lambda match: f"&{match[1] or 'amp;'}", html)
        html = _run_premailer(_WEB_FONTS.sub("", html))
    html = html.replace("</head>", _font_links(html, found.fonts) + "</head>", 1)
    html = _STYLE.sub(lambda style: _ascii_css(style[0]), html)
    html = _INDENT.sub("\n", html)
    html = html.replace("\n.", "\n .")  # or SMTP doubles the dot, which costs every email a copy
    html = re.sub(f"<!--({masked.pattern.pattern})-->", r"\1", html)
    for word, token in masked.tokens.items():
        if word not in html:
            raise TemplateError(
                source.where(token.line), f"{token.source} is lost in the layout", "move it into <mj-text>"
            )
    return html


def _shield(text: str, ampersand: str) -> str:
    # MJML writes attribute values and the title raw into HTML attributes: `&quot;` would end them.
    return text.replace("&", ampersand).replace('"', f"{ampersand}quot;")


def _shield_value(value: str, ampersand: str) -> str:
    return value[0] + _shield(value[1:-1], ampersand) + value[-1]


def _hide(token: Token, found: Outline) -> str:
    if token.word in found.blocks:
        return f"<mj-raw><!--{token.word}--></mj-raw>"
    return f"<!--{token.word}-->" if token.word in found.flow else token.word


def _run_mjml(source: Source, mjml: str) -> str:
    from mjml import mjml_to_html
    from mjml.elements.head import MjFont, MjStyle

    class Font(MjFont):  # type: ignore[misc]
        """Does nothing: MJML cannot take a font twice or one that it knows, so the links are written here."""

        def handler(self) -> None:
            return None

    class Style(MjStyle):  # type: ignore[misc]
        """Never `inline`: premailer inlines all rules, and MJML would need another library for it."""

        def get_attr(self, name: str, *, missing_ok: bool = False) -> Any:
            return "" if name == "inline" else super().get_attr(name, missing_ok=missing_ok)

    try:
        return str(mjml_to_html(mjml, custom_components=[Font, Style]).html)
    except Exception as error:  # the package raises anything from KeyError to AssertionError on odd input
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise TemplateError(
            source.where(1), f"MJML cannot lay this email out: {reason}", "undo the latest change"
        ) from error


def _run_premailer(html: str) -> str:
    from premailer import Premailer

    # lxml keeps the document type only in capitals.
    html = re.sub(r"^\s*<!doctype html>", "<!DOCTYPE html>", html, flags=re.IGNORECASE)
    # MJML's own first sheet sets every cell to what programs that need it read from the sheet; inlined, it would
    # make up a third of the mail.
    html = html.replace("<style ", '<style data-premailer="ignore" ', 1)
    inliner = Premailer(
        html,
        disable_validation=True,
        keep_style_tags=True,
        strip_important=False,
        allow_network=False,
        cssutils_logging_level=logging.CRITICAL,
    )
    return str(inliner.transform(pretty_print=False))


def _font_links(html: str, fonts: Mapping[str, str]) -> str:
    used = [href for name, href in fonts.items() if re.search(rf'font-family:[^;"}}]*{re.escape(name)}', html)]
    links = "".join(f'\n<link href="{href}" rel="stylesheet" type="text/css">' for href in used)
    return f"<!--[if !mso]><!-->{links}\n<!--<![endif]-->\n" if links else ""


def _ascii_css(style: str) -> str:
    # Mail goes out as ASCII with numeric references, which style sheets do not know.
    return re.sub(r"[^\x00-\x7f]", lambda match: f"\\{ord(match[0]):06x} ", style)
