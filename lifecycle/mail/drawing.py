"""An MJML document drawn: MJML, then all styles inlined by premailer.

It knows nothing of Jinja or of what an email must have, so it draws any document as it is.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Mapping

from lifecycle.mail.mask import unused_salt

_MJML_TAG = re.compile(r"""<mj-[^\s>/]+(?:"[^"]*"|'[^']*'|[^"'>])*>""", re.IGNORECASE)
_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")
_TITLE = re.compile(r"(<mj-title[^>]*>)(.*?)(</mj-title)", re.DOTALL | re.IGNORECASE)
_WEB_FONTS = re.compile(r"<!--\[if !mso\]><!-->\s*<link\b.*?<!--<!\[endif\]-->", re.DOTALL)
_STYLE = re.compile(r"<style\b.*?</style>", re.DOTALL | re.IGNORECASE)
_INDENT = re.compile(r"\n\s+")
_FONT = re.compile(r"<mj-font\b[^>]*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_NOT_INLINED = ' data-premailer="ignore"'


class CannotDraw(Exception):
    """MJML gave up on a document; says why."""


def attributes_of_tags() -> dict[str, Mapping[str, str | None]]:
    """Return the tags that are drawn, each with its attributes and MJML's word for the type of each."""
    from lifecycle.mail.components import drawn

    return {name: {**dict.fromkeys(kind.default_attrs()), **kind.allowed_attrs()} for name, kind in drawn().items()}


def draw(mjml: str) -> str:
    """Return a document as HTML with inlined styles; raises CannotDraw. Nothing is fetched, web fonts are linked."""
    ampersand = unused_salt(mjml) + "ampz"
    fonts = _fonts(mjml)
    mjml = _TITLE.sub(lambda tag: tag[1] + _shield(tag[2], ampersand) + tag[3], mjml)
    mjml = _MJML_TAG.sub(lambda tag: _QUOTED.sub(lambda value: _shield_value(value[0], ampersand), tag[0]), mjml)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # theirs, not the author's
        html = _run_mjml(mjml)
        html = re.sub(rf"{ampersand}(#?\w+;)?", lambda match: f"&{match[1] or 'amp;'}", html)
        html = _run_premailer(_WEB_FONTS.sub("", html))
    html = html.replace("</head>", _font_links(html, fonts) + "</head>", 1)
    html = _STYLE.sub(lambda style: _ascii_css(style[0]), html)
    html = _INDENT.sub("\n", html)
    return html.replace("\n.", "\n .")  # or SMTP doubles the dot, which costs every email a copy


def _fonts(mjml: str) -> dict[str, str]:
    fonts: dict[str, str] = {}
    for tag in _FONT.findall(mjml):
        attributes = {name.lower(): one or other for name, one, other in _ATTRIBUTE.findall(tag)}
        fonts[attributes.get("name", "")] = attributes.get("href", "")
    return fonts


def _shield(text: str, ampersand: str) -> str:
    # MJML writes attribute values and the title raw into HTML attributes: `&quot;` would end them.
    return text.replace("&", ampersand).replace('"', f"{ampersand}quot;")


def _shield_value(value: str, ampersand: str) -> str:
    return value[0] + _shield(value[1:-1], ampersand) + value[-1]


# MJML and premailer, imported where they are used: rendering from the cache must not load them


def _run_mjml(mjml: str) -> str:
    from mjml import mjml_to_html

    from lifecycle.mail.components import drawn

    try:
        return str(mjml_to_html(mjml, custom_components=list(drawn().values())).html)
    except Exception as error:  # the package raises anything from KeyError to AssertionError on odd input
        raise CannotDraw(f"{type(error).__name__}: {error}".rstrip(": ")) from error


def _run_premailer(html: str) -> str:
    from premailer import Premailer

    from lifecycle.mail.components import AUTHORS

    # lxml keeps the document type only in capitals.
    html = re.sub(r"^\s*<!doctype html>", "<!DOCTYPE html>", html, flags=re.IGNORECASE)
    # MJML's own sheets are for programs that read sheets; inlined, they would make up a third of the mail and show
    # at once what a carousel shows when it is touched.
    html = re.sub(rf"(<style\b[^>]*)>(?!\s*{re.escape(AUTHORS)})", rf"\1{_NOT_INLINED}>", html, flags=re.IGNORECASE)
    # One sheet for each <mj-style>, while it works: premailer remembers those it has read, and emails share some.
    sheet = f'<style type="text/css">{AUTHORS}'
    seam = f"</style>{sheet}"
    html = html.replace(AUTHORS, seam).replace(f'<style type="text/css">{seam}', sheet)
    inliner = Premailer(
        html,
        disable_validation=True,
        keep_style_tags=True,
        strip_important=False,
        allow_network=False,
        cssutils_logging_level=logging.CRITICAL,
    )
    html = str(inliner.transform(pretty_print=False)).replace(seam, "").replace(AUTHORS, "")
    return html.replace(_NOT_INLINED, "")  # which premailer takes away itself, but not within comments


def _font_links(html: str, fonts: Mapping[str, str]) -> str:
    used = [href for name, href in fonts.items() if re.search(rf'font-family:[^;"}}]*{re.escape(name)}', html)]
    links = "".join(f'\n<link href="{href}" rel="stylesheet" type="text/css">' for href in used)
    return f"<!--[if !mso]><!-->{links}\n<!--<![endif]-->\n" if links else ""


def _ascii_css(style: str) -> str:
    # Mail goes out as ASCII with numeric references, which style sheets do not know.
    return re.sub(r"[^\x00-\x7f]", lambda match: f"\\{ord(match[0]):06x} ", style)
