"""Small emails written into a folder, for the tests of the compiler and the renderer."""

from __future__ import annotations

from pathlib import Path

FRAME = """<mjml>
<mj-head>
<mj-title>{title}</mj-title>
<mj-preview>{preview}</mj-preview>
{head}
</mj-head>
<mj-body>
{body}
</mj-body>
</mjml>
"""
FIRST_BODY_LINE = 8


def write(folder: Path, body: str, *, head: str = "", title: str = "A subject", preview: str = "A line") -> str:
    """Write an email whose body begins on FIRST_BODY_LINE, and return its name."""
    (folder / "hello.mjml").write_text(
        FRAME.format(title=title, preview=preview, head=head, body=body), encoding="utf-8"
    )
    return "hello"


def column(content: str) -> str:
    """Return blocks in a section and column, on one line."""
    return f"<mj-section><mj-column>{content}</mj-column></mj-section>"


def text(content: str) -> str:
    """Return content in a text block of its own section."""
    return column(f"<mj-text>{content}</mj-text>")
