"""What is wrong across the files of a project: all of it, as values, never only the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lifecycle.mail.render import Renderer

from .emails import check_digest, check_emails
from .project import Problem, Project, by_line
from .vocabulary import nearest
from .words import check_mute, check_words


def check(project: Project, templates: Path, cache: Path | None = None) -> list[Problem]:
    """All problems of journeys, templates and policy together, by file and line.

    `templates` is the folder of the emails, `cache` one for what is compiled.
    """
    policy = project.policy
    renderer = Renderer(templates, cache, locale=policy.locale, currency=policy.currency, utm=policy.utm)
    problems = check_policy(project)
    for journey in project.journeys.values():
        problems += check_words(journey, project.vocabulary)
        problems += check_emails(journey, project.vocabulary, renderer)
    problems += check_digest(project, renderer)
    return sorted(dict.fromkeys(problems), key=by_line)


def check_policy(project: Project) -> list[Problem]:
    """Problems of the policy beside these journeys and this vocabulary, templates aside."""
    problems = [*_check_caps(project), *_check_purchases(project)]
    for mute in project.policy.mutes:
        problems += check_mute(mute, project.vocabulary)
    return sorted(dict.fromkeys(problems), key=by_line)


def check_parked(project: Project, parked: Iterable[tuple[str, str, int]]) -> list[Problem]:
    """Problems of people who are parked where the files lead nowhere: (journey, step, how many people)."""
    problems = []
    for name, step, count in parked:
        people = "1 person is" if count == 1 else f"{count:,} people are"
        journey = project.journeys.get(name)
        if journey is None:
            message = f"{people} in journey {name!r}, which no file has any more"
            hint = nearest(name, project.journeys, "bring the journey back until they are through")
            problems.append(Problem("journey_removed", str(Path(project.policy.defined_at).parent), message, hint))
        elif journey.place(step) is None:
            message = f"{people} at step {step!r} of journey {name!r}, which is not in the file any more"
            hint = f"write was={step!r} in the step where they shall go on"
            problems.append(Problem("step_removed", journey.defined_at, message, hint))
    return sorted(problems, key=by_line)


def _check_caps(project: Project) -> Iterator[Problem]:
    topics = {journey.topic for journey in project.journeys.values()}
    for cap in project.policy.caps:
        if cap.topic is not None and cap.topic not in topics:
            message = f"the cap {cap.name!r} never counts: no journey has the topic {cap.topic!r}"
            hint = nearest(cap.topic, topics, "mend its topic=, or drop the cap")
            yield Problem("unknown_topic", project.policy.defined_at, message, hint)
        if cap.journey is not None and cap.journey not in project.journeys:
            message = f"the cap {cap.name!r} never counts: there is no journey {cap.journey!r}"
            hint = nearest(cap.journey, project.journeys, "mend its journey=, or drop the cap")
            yield Problem("unknown_journey", project.policy.defined_at, message, hint)


def _check_purchases(project: Project) -> Iterator[Problem]:
    purchases, events = project.policy.purchases, project.vocabulary.events
    if purchases is not None and purchases.event not in events:
        message = f"purchases= reads {purchases.event!r}, an event that the vocabulary does not have"
        hint = nearest(purchases.event, events, "import it from vocabulary.py")
        yield Problem("unknown_event", project.policy.defined_at, message, hint)
