"""Letters written into a folder."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lifecycle.mail.file import FileTransport, file_name
from lifecycle.mail.transport import Accepted, Deferred, Letter


def letter(message_id: str, data: bytes = b"Subject: x\r\n\r\nHello\r\n") -> Letter:
    return Letter(1, "shop@example.com", "siti@example.com", message_id, data)


def test_each_letter_becomes_a_file_named_by_its_message_id(tmp_path: Path) -> None:
    transport = FileTransport(tmp_path / "outbox")
    letters = [letter("<1.a@example.com>"), letter("<2.b@example.com>")]

    outcomes = list(transport.deliver(letters))

    assert [answered for answered, _ in outcomes] == letters
    assert all(isinstance(outcome, Accepted) for _, outcome in outcomes)
    names = sorted(path.name for path in (tmp_path / "outbox").iterdir())
    assert names == ["1.a@example.com.eml", "2.b@example.com.eml"]
    assert (tmp_path / "outbox" / names[0]).read_bytes() == letters[0].data


def test_a_letter_sent_again_replaces_its_file(tmp_path: Path) -> None:
    transport = FileTransport(tmp_path)

    list(transport.deliver([letter("<1@example.com>", b"first"), letter("<1@example.com>", b"second")]))

    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"second"]


def test_letters_are_written_one_at_a_time_as_they_are_asked_for(tmp_path: Path) -> None:
    outcomes = FileTransport(tmp_path).deliver(letter(f"<{n}@example.com>") for n in range(3))

    next(outcomes)

    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_defers_the_letter_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = FileTransport(tmp_path)

    def write_half(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    [(_, outcome)] = transport.deliver([letter("<1@example.com>")])

    assert isinstance(outcome, Deferred)
    assert "No space left on device" in outcome.reply
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "message_id", ["<../../etc/passwd@x>", "</abs@x>", "<a\\b@x>", "<é@x>", "<" + "x" * 400 + "@x>", "<..@x>"]
)
def test_no_message_id_leaves_the_folder(tmp_path: Path, message_id: str) -> None:
    list(FileTransport(tmp_path / "outbox").deliver([letter(message_id)]))

    assert len(list((tmp_path / "outbox").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["outbox"]


def test_ids_that_look_alike_as_file_names_keep_their_own_files() -> None:
    assert file_name("<a/b@x.example>") != file_name("<a_b@x.example>")
