"""What can be wrong with emails beyond not compiling: `lint` finds it in all of them, `lint_email` in one."""

from .linter import lint, lint_email

__all__ = ["lint", "lint_email"]
