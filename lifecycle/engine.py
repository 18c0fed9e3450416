"""Everything that a role works with, opened from the settings on first use, so after a fork."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property

from lifecycle import clock, embedded
from lifecycle.errors import DefinitionError
from lifecycle.flow.mailer import Mailer
from lifecycle.journey.emails import require_emails
from lifecycle.journey.live import LiveProject
from lifecycle.journey.load import load
from lifecycle.journey.project import Problem, Project
from lifecycle.mail.file import FileTransport
from lifecycle.mail.render import Renderer
from lifecycle.mail.smtp import SmtpTransport
from lifecycle.mail.transport import Transport
from lifecycle.mail.unsubscribe import UnsubscribeLinks
from lifecycle.settings import Settings, is_local
from lifecycle.store.database import Database
from lifecycle.store.recorder import Recorder


class Engine:
    """One process's (or thread's) database, project and mailer.

    Raises ConfigurationError or DefinitionError on first use of what is wrong.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def db(self) -> Database:
        """The database; its folder is made if it is the default one."""
        if not self.settings.database_url:
            self.settings.home.mkdir(parents=True, exist_ok=True)
        return Database(self.settings.database)

    @property
    def project(self) -> Project:
        """The journeys and vocabulary as they were at first, and the policy as its file stands now."""
        return self._live.now()

    @cached_property
    def _live(self) -> LiveProject:
        folder, templates = self.settings.journeys, self.settings.templates
        return LiveProject(
            folder / "policy.py", lambda: sound(*load(folder)), lambda project: require_emails(project, templates)
        )

    @cached_property
    def renderer(self) -> Renderer:
        """The emails, compiled on first use and kept in home/compiled, in the policy's locale, currency and UTM
        parameters as they are now: like the sender they change by a restart."""
        policy = self.project.policy
        compiled = self.settings.home / "compiled"
        return Renderer(
            self.settings.templates, compiled, locale=policy.locale, currency=policy.currency, utm=policy.utm
        )

    @property
    def lease(self) -> timedelta:
        """The lease on the current clock: a scaled clock must not let it end in a moment of real time."""
        wanted = self.settings.lease.total_seconds()
        real = clock.current().real_seconds(wanted)
        return timedelta(seconds=wanted * wanted / real) if real else self.settings.lease

    def transport(self) -> Transport:
        """A new transport, owned by the caller."""
        if self.settings.smtp_url is None:
            return FileTransport(self.settings.outbox)
        # Nothing is begun in the second half of a lease. What was begun before is with the server, or given up, while
        # an eighth of the lease is left: nobody else takes over a letter whose content can still leave.
        lease = self.settings.lease.total_seconds()
        return SmtpTransport(
            self.settings.smtp_url, lanes=self.settings.lanes, timeout=min(30, lease / 8), within=lease * 3 / 8
        )

    def mailer(self, transport: Transport | None = None) -> Mailer:
        """A new mailer, owned by the caller."""
        links = UnsubscribeLinks(self.settings.base_url, self.settings.signing_secret())
        return Mailer(self.project.policy.sender, self.renderer, links, transport or self.transport(), self._allowed())

    def recorder(self) -> Recorder:
        """A new recorder, owned by the caller."""
        return Recorder(self.db, time.sleep)

    def _allowed(self) -> tuple[str, ...] | None:
        """Outside production a relay elsewhere gets only those on the list; what stays on this machine gets all."""
        settings = self.settings
        if settings.env == "production" or settings.smtp_url is None or is_local(settings.smtp_url):
            return None
        return settings.allow_recipients

    @cached_property
    def redis_url(self) -> str:
        """The Redis-protocol server; where none is set, the embedded one of home, started on demand."""
        if self.settings.redis_url is None:
            self._embedded = embedded.start(self.settings.home)
            return self._embedded.url
        return self.settings.redis_url


def sound(project: Project | None, problems: Sequence[Problem]) -> Project:
    """The project, if there are no problems; raises DefinitionError with the first of them."""
    if project is None or problems:
        first = problems[0]
        more = f" … and {len(problems) - 1} more: lifecycle check" if len(problems) > 1 else ""
        raise DefinitionError(first.where, first.message + more, first.hint)
    return project
