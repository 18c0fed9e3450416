"""`lifecycle preview`: one email for a look at it, as a page, a text, a picture, or the very bytes."""

from __future__ import annotations

import threading
import webbrowser
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import click

from lifecycle.errors import LifecycleError

from . import opened
from .moments import WallMoment

if TYPE_CHECKING:
    from lifecycle.workshop.look import Look

Form: TypeAlias = Literal["html", "text", "eml", "png"]

_ENDINGS = {"html": "html", "text": "txt", "eml": "eml", "png": "png"}
_WIDTH = 700  # of a picture: what a window of a mail program shows
_STANDARD_OUTPUT = Path("-")


@click.command(
    epilog="""\b
Examples:
  lifecycle preview win_back/whats_new                       writes the HTML and says where
  lifecycle preview win_back/whats_new --text                subject, preheader and text part
  lifecycle preview win_back/whats_new --customer 42 --open  with what is known of customer 42
  lifecycle preview win_back/whats_new --png --width 375 --dark
  lifecycle preview win_back/whats_new --locale id --at 2026-12-01T09:00
  lifecycle preview win_back/whats_new --customer 42 --eml --out - | grep -i ^list-
  lifecycle preview --serve --open                           all of them in a browser, until Ctrl-C"""
)
@click.argument("template", required=False)
@click.option("--customer", metavar="ID", help="What this customer got last, or would get; with their own data.")
@click.option("--sample", is_flag=True, help="With sample data, as without --customer.")
@click.option("--locale", metavar="LOCALE", help="As if they read this language, e.g. id.")
@click.option("--at", type=WallMoment(), show_default="now", help="The moment, by the clock of their zone.")
@click.option("--html", "form", flag_value="html", default="html", help="The HTML part (default).")
@click.option("--text", "form", flag_value="text", help="Print subject, preheader and text part.")
@click.option("--eml", "form", flag_value="eml", help="The whole letter, as bytes.")
@click.option("--png", "form", flag_value="png", help="A picture of the HTML, by Chromium or Chrome.")
@click.option("--width", type=click.IntRange(200, 2000), show_default=str(_WIDTH), help="Of the picture, in pixels.")
@click.option("--dark", is_flag=True, help="The picture as people see it who prefer dark.")
@click.option(
    "--out",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    show_default="preview/ in LIFECYCLE_HOME",
    help="Where to write it; - for standard output.",
)
@click.option("--open", "opens", is_flag=True, help="Open what was written, or the gallery.")
@click.option("--serve", is_flag=True, help="Show all emails in a browser, and follow the files.")
@click.option("--host", show_default="127.0.0.1", help="Serve to others too, who then need the token.")
@click.option("--port", type=click.IntRange(0, 65535), show_default="8026", help="Of the gallery; 0 for any.")
def preview(
    template: str | None,
    customer: str | None,
    sample: bool,
    locale: str | None,
    at: datetime | None,
    form: Form,
    width: int | None,
    dark: bool,
    out: Path | None,
    opens: bool,
    serve: bool,
    host: str | None,
    port: int | None,
) -> None:
    """Render an email as somebody would get it, through the pipeline that sends it.

    With --customer, their newest message of it if there is one: the same template, data and moment give the same
    bytes. The template of digests is shown with the emails that may go into one.

    With --serve, all emails in a browser, where everything else is chosen on the page; each is drawn anew when its
    file is saved.
    """
    if serve:
        if form != "html" or any((template, customer, sample, locale, at, width, dark, out)):
            raise click.UsageError("with --serve, everything else is chosen on the page")
        return _serve(host, port, opens)
    if host is not None or port is not None:
        raise click.UsageError("--host and --port are for the gallery; add --serve")
    if template is None:
        raise click.UsageError("name an email, or say --serve to see all of them")
    if sample and customer is not None:
        raise click.UsageError("--sample and --customer: say one of them")
    if form != "png" and (dark or width is not None):
        raise click.UsageError("--width and --dark are for pictures; add --png")
    if opens and out == _STANDARD_OUTPUT:
        raise click.UsageError("--open wants a file; drop --out -")
    settings = opened.settings()
    look = opened.workshop(settings, template).look(template, customer=customer, locale=locale, at=at)
    for note in look.notes:
        click.echo(f"note: {note}", err=True)
    content = _content(look, form, width or _WIDTH, dark)
    if out == _STANDARD_OUTPUT or (form == "text" and out is None and not opens):
        click.echo(content, nl=form in ("html", "text"))
        return None
    file = out or settings.home / "preview" / _file_name(look, form, locale, width or _WIDTH, dark)
    return _keep(file, content, look.rendered.subject, opens)


def _keep(file: Path, content: bytes, subject: str, opens: bool) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    click.echo(f"{file}  “{subject}”")
    if opens and not webbrowser.open(file.resolve().as_uri()):
        raise LifecycleError(f"nothing on this machine opens {file}; it is there to be looked at")


def _serve(host: str | None, port: int | None, opens: bool) -> None:
    """The gallery, until somebody ends it."""
    from lifecycle.workshop.serve import HOST, PORT, Serving, listen

    settings = opened.settings()
    address = listen(host or HOST, PORT if port is None else port)

    def tell() -> None:
        click.echo(f"{address.url}  Ctrl-C ends it")
        if opens:
            threading.Thread(target=webbrowser.open, args=(address.url,), daemon=True).start()

    Serving(settings, address, tell).listen()


def _content(look: Look, form: Form, width: int, dark: bool) -> bytes:
    rendered = look.rendered
    match form:
        case "html":
            return rendered.html.encode("utf-8", "replace")
        case "text":
            text = f"Subject: {rendered.subject}\nPreheader: {rendered.preheader}\n\n{rendered.text}"
            return text.encode("utf-8", "replace")
        case "eml":
            return look.letter
        case "png":
            from lifecycle.workshop.picture import drawn

            return drawn(rendered.html, width=width, dark=dark)


def _file_name(look: Look, form: Form, locale: str | None, width: int, dark: bool) -> str:
    """Another one for each way of looking, so that two can be laid side by side."""
    ways = [look.template, *([look.locale] if locale is not None else [])]
    if form == "png":
        ways += [str(width), *(["dark"] if dark else [])]
    return ".".join([*ways, _ENDINGS[form]])
