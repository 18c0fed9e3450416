"""Libraries that others import and never use here."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


def _in_a_process_of_its_own(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], text=True, check=True, capture_output=True
    ).stdout.strip()


def test_drawing_an_email_loads_nothing_that_fetches_or_guesses() -> None:
    loaded = _in_a_process_of_its_own("""
        import sys
        from lifecycle.mail.drawing import draw
        html = draw("<mjml><mj-body><mj-section><mj-column>Hi</mj-column></mj-section></mj-body></mjml>")
        assert "<html" in html
        print([name for name in ("urllib3", "charset_normalizer", "chardet.detector") if name in sys.modules])
    """)
    assert loaded == "[]"


@pytest.mark.parametrize(
    "use",
    [
        "import wave; assert wave.Wave_read",
        "from wave import Wave_read",
        "import importlib; assert importlib.import_module('wave').Wave_read",
        "import email.mime.text; assert email.mime.text.MIMEText",
        "from email.mime.text import MIMEText",
        "import importlib.util; assert importlib.util.find_spec('wave').name == 'wave'; import wave; wave.Wave_read",
    ],
)
def test_a_postponed_module_is_the_real_one_as_soon_as_anything_in_it_is_used(use: str) -> None:
    _in_a_process_of_its_own(f"""
        import sys
        from lifecycle.mail.postponed import postpone
        for name in [name for name in sys.modules if name.partition(".")[0] in ("email", "wave")]:
            del sys.modules[name]
        postpone("email", "wave")
        {use}
        name = "email" if "email" in {use!r} else "wave"
        assert type(sys.modules[name]) is type(sys), sys.modules[name]
        assert sys.modules[name].__file__
    """)


def test_many_threads_that_use_one_at_once_get_the_same() -> None:
    _in_a_process_of_its_own("""
        import sys, threading
        from lifecycle.mail.postponed import postpone
        assert "ftplib" not in sys.modules
        sys.setswitchinterval(1e-6)
        postpone("ftplib")
        import ftplib
        together, found = threading.Barrier(16), []
        def use():
            together.wait()
            found.append(ftplib.FTP)
        threads = [threading.Thread(target=use) for _ in range(16)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert found == [sys.modules["ftplib"].FTP] * 16
    """)


def test_what_is_loaded_or_not_installed_stays_so() -> None:
    _in_a_process_of_its_own("""
        import sys, wave
        from lifecycle.mail.postponed import postpone
        postpone("wave", "there_is_no_such_module")
        assert sys.modules["wave"] is wave and "there_is_no_such_module" not in sys.modules
    """)
