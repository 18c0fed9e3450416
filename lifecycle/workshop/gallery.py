"""The gallery: every email of the project in a browser, as an application of its own that only shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from lifecycle.errors import LifecycleError

from . import asked, picture
from .cards import Cards
from .choice import WIDTHS, Choice
from .guard import PICTURE_POLICY
from .inbox import links, row
from .live import LiveWorkshop
from .look import Entry, Look
from .pages import Pages
from .people import MOST, Finder, Person
from .scheme import as_shown_in, knows_dark
from .shelf import groups
from .trouble import Trouble, nobody, overdue, trouble

_DRAWING = 40.0  # seconds that a PNG may take, from starting the browser on
_NOT_DARK = "this email has no styles for dark mode: some mail programs leave it light, others turn its colours"


def gallery(live: LiveWorkshop, find: Finder) -> Starlette:
    """The application; within its lifespan it follows the files."""
    shown = Gallery(live, find, Pages())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with live.watching():
            yield

    return Starlette(
        routes=[
            Route("/", shown.index),
            Route("/email/{name:path}", shown.email),
            Route("/picture/{name:path}", shown.picture),
            Route("/letter/{name:path}", shown.letter),
            Route("/png/{name:path}", shown.png),
            Route("/changes", shown.changes),
            Route("/assets/{name}", shown.asset),
            Route("/{rest:path}", shown.nothing),
        ],
        exception_handlers={
            asked.NoSuchEmail: shown.unknown,
            LifecycleError: shown.broken,
            TimeoutError: shown.broken,
        },
        lifespan=lifespan,
    )


class Gallery:
    """What is answered to each address."""

    def __init__(self, live: LiveWorkshop, find: Finder, pages: Pages) -> None:
        self._live = live
        self._find = find
        self._pages = pages
        self._drawing = asyncio.Semaphore(1)

    async def index(self, request: Request) -> Response:
        """All emails by journey. The page begins before any of them is rendered."""
        choice, version = Choice.read(request.query_params), self._live.version
        shelf = await self._live.ask(groups)
        entries = [entry for group in shelf for entry in group.entries]
        return self._pages.stream(
            "gallery.html",
            version=version,
            choice=choice,
            groups=shelf,
            locales=_locales(entries),
            show=Cards(self._live, entries, choice).card,
        )

    async def email(self, request: Request) -> Response:
        """One email, from all sides."""
        name, choice, version = request.path_params["name"], Choice.read(request.query_params), self._live.version
        spot = await self._live.ask(lambda workshop: asked.spot(workshop, name))
        people, wrong = await self._meant(choice.customer)
        if len(people) == 1 and people[0].id != choice.customer:
            return RedirectResponse(choice.url("email/", name, customer=people[0].id), 303)
        if len(people) > 1 or wrong:
            look = None
        else:
            look, wrong = await self._look(name, choice)
        sources = await self._live.ask(lambda workshop: asked.sources(workshop, name, choice))
        return await self._pages.page(
            "email.html",
            version=version,
            choice=choice,
            plain=Choice(),
            spot=spot,
            locales=_locales([spot.entry]),
            look=look,
            row=look and row(look),
            links=links(look.rendered.html) if look else [],
            notes=_notes(look, choice) if look else (),
            picture=look and asked.picture_url(choice, look),
            widths=[(width, WIDTHS[width]) for width in WIDTHS if choice.width in ("both", width)],
            trouble=wrong,
            sources=sources,
            candidates=people[:MOST] if len(people) > 1 else (),
            more_candidates=len(people) > MOST,
            can_picture=picture.chromium() is not None,
        )

    async def picture(self, request: Request) -> Response:
        """The HTML of an email, for an iframe: as it is sent, but for its questions about light and dark."""
        choice = Choice.read(request.query_params)
        headers = {"Content-Security-Policy": PICTURE_POLICY, "X-Frame-Options": "SAMEORIGIN"}
        look, wrong = await self._look(request.path_params["name"], choice)
        if look is None:
            return PlainTextResponse(wrong.message if wrong else "", 500, headers)
        html = as_shown_in(choice.scheme, look.rendered.html)
        return HTMLResponse(html.encode("utf-8", "replace"), headers=headers)

    async def letter(self, request: Request) -> Response:
        """The very bytes that would be sent."""
        name = request.path_params["name"]
        look = await self._live.ask(
            lambda workshop: asked.look(workshop, name, Choice.read(request.query_params)),
        )
        return Response(look.letter, media_type="message/rfc822", headers=_as_file(name, ".eml"))

    async def png(self, request: Request) -> Response:
        """A picture of the email by Chromium, one at a time."""
        name, choice = request.path_params["name"], Choice.read(request.query_params)
        look = await self._live.ask(lambda workshop: asked.look(workshop, name, choice))
        width, dark = WIDTHS.get(choice.width, WIDTHS["desktop"]), choice.scheme == "dark"
        async with self._drawing:
            data = await self._live.run(lambda: picture.drawn(look.rendered.html, width=width, dark=dark), _DRAWING)
        ending = f"-{width}{'-dark' if dark else ''}.png"
        return Response(data, media_type="image/png", headers=_as_file(name, ending))

    async def changes(self, request: Request) -> Response:
        """The version of the files, now and after every change, as server-sent events."""

        async def events() -> AsyncIterator[str]:
            yield "retry: 1000\n\n"
            async for version in self._live.versions():
                yield f"data: {version}\n\n" if version else ":\n\n"

        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        return StreamingResponse(events(), media_type="text/event-stream")

    async def asset(self, request: Request) -> Response:
        """What the pages are dressed in."""
        return self._pages.asset(request.path_params["name"]) or await self.nothing(request)

    async def nothing(self, request: Request) -> Response:
        """An address that is none of the gallery's."""
        return await self._missing("There is nothing at this address", None)

    async def unknown(self, request: Request, error: Exception) -> Response:
        """An email that is not there."""
        assert isinstance(error, asked.NoSuchEmail)
        return await self._missing(str(error), error.nearest)

    async def broken(self, request: Request, error: Exception) -> Response:
        """What stands in the way of all pages: the journeys cannot be read."""
        wrong = (
            trouble(error, self._live.folders)
            if isinstance(error, LifecycleError)
            else overdue(request.url.path, self._live.patience)
        )
        return await self._pages.page("broken.html", 500, version=self._live.version, trouble=wrong)

    async def _missing(self, what: str, nearest: str | None) -> Response:
        return await self._pages.page(
            "missing.html", 404, version=self._live.version, what=what, nearest=nearest, choice=Choice()
        )

    async def _look(self, name: str, choice: Choice) -> tuple[Look | None, Trouble | None]:
        """The email as chosen, or what is wrong with it; raises NoSuchEmail."""
        try:
            return await self._live.ask(lambda workshop: asked.look(workshop, name, choice)), None
        except asked.NoSuchEmail:
            raise
        except LifecycleError as error:
            return None, trouble(error, self._live.folders)
        except TimeoutError:
            return None, overdue(name, self._live.patience)

    async def _meant(self, word: str) -> tuple[Sequence[Person], Trouble | None]:
        """The customers who could be meant, or why there are none."""
        if not word:
            return (), None
        try:
            people = await self._live.run(lambda: self._find(word))
        except LifecycleError as error:
            return (), trouble(error, self._live.folders)
        return people, None if people else nobody(word)


def _locales(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """All locales that any of these emails exists in, each with the word for it."""
    return [(locale, locale) for locale in dict.fromkeys(locale for entry in entries for locale in entry.locales)]


def _notes(look: Look, choice: Choice) -> tuple[str, ...]:
    dark = (_NOT_DARK,) if choice.scheme == "dark" and not knows_dark(look.rendered.html) else ()
    return look.notes + dark


def _as_file(name: str, ending: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name.replace('/', '-') + ending, safe='')}"}
