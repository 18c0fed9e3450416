"""Rewrite the golden copies of the shipped emails: `python -m tests.emails.refresh`, then read the diff."""

from __future__ import annotations

from lifecycle.mail.render import Renderer
from tests.emails.sample import GOLDEN, TEMPLATES, golden_copies


def main() -> None:
    """Write every golden file that differs, remove those of emails that are gone, and say which."""
    copies = golden_copies(Renderer(TEMPLATES))
    for path in sorted({path for path in GOLDEN.rglob("*") if path.is_file()} - set(copies)):
        path.unlink()
        print("removed", path.relative_to(GOLDEN))
    for path, content in copies.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="\n")
            print("wrote", path.relative_to(GOLDEN))


if __name__ == "__main__":
    main()
