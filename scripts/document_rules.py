"""Writes docs/lint.md from the rules of lint. With --check it only tells whether the page is current."""

from __future__ import annotations

import sys
from pathlib import Path

from lifecycle.lint import support
from lifecycle.lint.rules import RULES

PAGE = Path(__file__).parents[1] / "docs" / "lint.md"
_HEAD = """\
# Lint: what is demanded of emails

Made from the rules by `python scripts/document_rules.py`; do not edit.

`lifecycle templates lint` looks at every email of the folder, or at those you name; `lifecycle check` does the same
beside journeys and policy. Each problem has the file, line and column where you wrote it, also in partials, macros,
texts and locales of their own; a rule's id; and a remedy. Errors end with exit code 1, warnings only with `--strict`.

```text
$ lifecycle templates lint win_back/whats_new
templates/email/win_back/whats_new.mjml
   12:41  error  customer.first_name may be missing, and then the message fails  [no_fallback]
          → write customer.first_name | default("…"), or put it behind {% if customer.first_name is defined %}
1 error in 1 file
```

What is measured (subject, size, words) is measured on a sample, in every locale: on the email's `.sample.json` where
there is one, else on data made from the vocabulary's types. Subject, preheader, and that it can be rendered at all, are
asked for a second reader too, who lacks whatever may be missing and has ordered nothing before.

| rule | | what it demands |
|---|---|---|
"""
_FOOT = """
## What may be missing
A trait is always there if the vocabulary calls it `required=True`; `email` and `created_at` are too, for everybody who
can get mail. A property of the event is, if it is required in every event that may start a journey of this email. Of
all others lint demands, wherever they are printed, compared or looped over, one of these:

```
{{ customer.first_name | default("friend") }}
{% if customer.first_name is defined %}Dear {{ customer.first_name }}{% endif %}
{{ "Dear " ~ customer.first_name if customer.first_name | default("", true) else "Hello" }}
{% set name = customer.first_name | default("") %}{% if name %}Dear {{ name }}{% endif %}
```

A bare `{% if customer.first_name %}` is none: who has no such trait makes it fail, as sending would.

## To turn a rule off
`{# lint: off no_width because the picture is as wide as the phone #}` accepts what that rule finds in the same line or
the next; `{# lint: off no_width in this file because … #}` in the whole file. The reason is a must.

"""


def page() -> str:
    """The page, with every rule."""
    rows = [f"| `{rule.id}` | {rule.severity} | {rule.demands.replace('|', chr(92) + '|')} |\n" for rule in RULES]
    support_note = f"""\
## What mail programs support
`unsupported` follows the tables of [caniemail.com](https://www.caniemail.com) as of {support.as_of()}, for
{", ".join(support.programs()[:-1])} and {support.programs()[-1]}. Only what you write counts, not what MJML makes of
it; and of that, what changes more than ornament: that {support.WORD} draws round corners square is no problem, that it
knows no `display:flex` is one. It does not count where {support.WORD} shows nothing (`mso-hide:all`), or in an
`@media` rule, which it skips. `scripts/refresh_caniemail.py` takes newer tables.
"""
    return _HEAD + "".join(rows) + _FOOT + support_note


def main() -> int:
    """Write the page, or compare it."""
    made = page()
    if "--check" in sys.argv:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == made
        print("docs/lint.md is current" if current else "run: python scripts/document_rules.py")
        return 0 if current else 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
