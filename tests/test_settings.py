from __future__ import annotations

import stat
import subprocess
import sys
from datetime import timedelta
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pytest

from lifecycle import clock
from lifecycle.errors import ConfigurationError
from lifecycle.settings import Settings, is_local, redacted

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_nothing_set_is_a_complete_development_set_up(tmp_path: Path) -> None:
    settings = Settings.load()
    assert settings.database == f"sqlite:///{tmp_path}/.lifecycle/lifecycle.db"
    assert settings.redis_url is None
    assert settings.smtp_url is None
    assert settings.outbox == Path(".lifecycle/outbox")
    assert settings.max_lateness == timedelta(hours=72)
    assert (settings.stream, settings.group) == ("lifecycle:events", "lifecycle")
    assert isinstance(settings.make_clock(), clock.Real)
    assert not settings.logs_as_json


def test_every_setting_is_documented() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://u:p@h:5433/d?sslmode=require", "postgresql+psycopg://u:p@h:5433/d?sslmode=require"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg://h/d"),
        ("postgresql://postgres@/d?host=/tmp/run", "postgresql+psycopg://postgres@/d?host=/tmp/run"),
        ("sqlite:///here.db", "sqlite:///here.db"),
        ("sqlite:////var/there.db", "sqlite:////var/there.db"),
    ],
)
def test_a_database_url_is_turned_into_the_one_driver_per_kind(
    given: str, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", given)
    assert Settings.load().database == taken


def test_a_setting_with_the_prefix_goes_before_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://usual/0")
    assert Settings.load().redis_url == "redis://usual/0"
    monkeypatch.setenv("LIFECYCLE_REDIS_URL", "redis://own/0")
    assert Settings.load().redis_url == "redis://own/0"


def test_an_empty_url_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "SMTP_URL"):
        monkeypatch.setenv(name, "")
    assert Settings.load() == Settings()


def test_a_dotenv_file_is_read_where_there_is_one() -> None:
    Path(".env").write_text("LIFECYCLE_LANES=7\nSMTP_URL=smtp://relay:25\nUNRELATED=1\n")
    settings = Settings.load()
    assert settings.lanes == 7
    assert settings.smtp_url == "smtp://relay:25"


def test_recipients_are_globs_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_ALLOW_RECIPIENTS", "*@Example.com, me@elsewhere.org")
    assert Settings.load().allow_recipients == ("*@example.com", "me@elsewhere.org")


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("DATABASE_URL", "mysql://u:hunter2@h/d", "postgresql://"),
        ("DATABASE_URL", "hunter2", "sqlite:///path"),
        ("DATABASE_URL", "sqlite://lost.db", "three slashes"),
        ("LIFECYCLE_DATABASE_URL", "oracle://hunter2@h", "postgresql://"),
        ("REDIS_URL", "http://:hunter2@h", "redis://"),
        ("REDIS_URL", "redis://", "redis://host"),
        ("SMTP_URL", "smtp://u:hunter2@h:99999", "port"),
        ("SMTP_URL", "mail.hunter2", "smtp://"),
        ("LIFECYCLE_ENV", "hunter2", "'production'"),
        ("LIFECYCLE_LANES", "0", "greater than or equal to 1"),
        ("LIFECYCLE_CONSUME_BATCH", "many", "integer"),
        ("LIFECYCLE_LEASE", "0", "at least 1 second"),
        ("LIFECYCLE_LEASE", "nan", "number of seconds"),
        ("LIFECYCLE_MAX_LATENESS", "three days", "number of seconds"),
        ("LIFECYCLE_CLOCK", "tomorrow", "for example 1997"),
        ("LIFECYCLE_BASE_URL", "links.example.com", "https://"),
        ("LIFECYCLE_SECRET", "hunter2", "32 characters"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it_and_the_remedy(
    variable: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    message = str(caught.value)
    assert variable in message
    assert says in message
    assert "\n" not in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"base_url": "https://m.example.com"}, "LIFECYCLE_SECRET"),
        ({"secret": SECRET}, "LIFECYCLE_BASE_URL"),
        (
            {"secret": SECRET, "base_url": "https://m.example.com", "clock": "1997-03-20T05:00:00Z@1.0x2"},
            "LIFECYCLE_CLOCK",
        ),
        ({"secret": SECRET, "base_url": "https://m.example.com", "lease": 59}, "LIFECYCLE_LEASE.*at least 60"),
    ],
)
def test_production_demands_what_it_cannot_do_without(given: dict[str, Any], missing: str) -> None:
    with pytest.raises(ConfigurationError, match=missing):
        Settings.load(env="production", **given)
    assert Settings.load(env="production", secret=SECRET, base_url="https://m.example.com/").logs_as_json


def test_the_development_secret_is_made_once_and_kept_for_its_owner(tmp_path: Path) -> None:
    settings = Settings.load()
    with ThreadPool(8) as pool:
        seen = set(pool.map(lambda _: settings.signing_secret(), range(16)))
    assert len(seen) == 1
    assert len(seen.pop()) >= 32
    assert stat.S_IMODE((tmp_path / ".lifecycle" / "secret").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / ".lifecycle").iterdir()] == ["secret"]
    assert Settings.load(secret=SECRET).signing_secret() == SECRET


def test_no_password_is_in_the_repr() -> None:
    settings = Settings.load(
        database_url="postgresql://u:hunter2@h/d?password=hunter2", redis_url="redis://:hunter2@h", secret=SECRET,
        smtp_url="smtps://u:hunter2@h",
    )  # fmt: skip
    for text in (repr(settings), str(settings)):
        assert "hunter2" not in text
        assert SECRET not in text
        assert "u:***@h" in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@h:6379/0", "redis://:***@h:6379/0"),
        ("smtp://h:25", "smtp://h:25"),
        ("sqlite:////var/there.db", "sqlite:////var/there.db"),
        (
            "postgresql://u:p%40w@h/d?sslmode=require&sslpassword=x",
            "postgresql://u:***@h/d?sslmode=require&sslpassword=***",
        ),
        ("http://[broken", "***"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redacted(url) == shown


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("smtp://localhost:25", True),
        ("smtp://127.0.0.1:1025", True),
        ("smtp://[::1]:25", True),
        ("smtp://127.0.0.1.example.com:25", False),
        ("smtp://relay.example.com", False),
        ("smtp://10.0.0.1", False),
    ],
)
def test_only_this_machine_is_local(url: str, local: bool) -> None:
    assert is_local(url) is local


def test_a_child_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFECYCLE_REDIS_URL", "redis://from-the-parent/0")
    settings = Settings.load(
        database_url="postgresql://u:p@h/d",
        redis_url=None,
        lease=timedelta(seconds=2.5),
        allow_recipients=("*@a.example", "b@c.example"),
        clock="1997-03-20T05:00:00Z@1760000000.0x1200",
        home=Path("elsewhere"),
    )
    code = "from lifecycle.settings import Settings; print(Settings.load().model_dump_json())"
    child = subprocess.run(
        [sys.executable, "-c", code], env=settings.environment(), capture_output=True, text=True, check=True
    )
    assert child.stdout.strip() == settings.model_dump_json()
