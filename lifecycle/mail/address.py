"""The one form of an email address that the engine delivers to."""

from __future__ import annotations

import re

from lifecycle.errors import InvalidAddress

# Lengths: RFC 5321 §4.5.3.1, and erratum 1690 of RFC 3696 for the 254.
LONGEST_ADDRESS = 254
LONGEST_LOCAL_PART = 64

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LOCAL_PART = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?=[A-Za-z0-9-]*[A-Za-z]){_LABEL}")
# Everyday addresses: one match, no length to check but the whole.
_PLAIN = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_+.-]{0,62}(?<!\.)@(?:[a-z0-9-]{1,63}\.)+[a-z]{2,63}")
_SUSPECT = re.compile(r"\.\.|[@.]-|-\.")


def parse_address(text: str) -> str:
    """Return the address in the form to deliver to: domain in lower case and ASCII (IDNA), local part as given.

    Raises InvalidAddress with the one reason why nothing can be delivered there (RFC 5321, without SMTPUTF8).
    """
    if len(text) <= LONGEST_ADDRESS and _PLAIN.fullmatch(text) and not _SUSPECT.search(text):
        return text
    address = _one_line(text)
    if address.count("@") != 1:
        raise InvalidAddress("the address has no @" if "@" not in address else "the address has more than one @")
    local_part, domain = address.split("@")
    _check_local_part(local_part)
    address = f"{local_part}@{_ascii_domain(domain)}"
    if len(address) > LONGEST_ADDRESS:
        raise InvalidAddress(f"the address is longer than {LONGEST_ADDRESS} characters")
    return address


def _one_line(text: str) -> str:
    if "\r" in text or "\n" in text:
        raise InvalidAddress("the address contains a line break")
    address = text.strip(" ")
    if not address:
        raise InvalidAddress("the address is empty")
    if any(character.isspace() for character in address):
        raise InvalidAddress("the address contains a space")
    if any(character < " " or "\x7f" <= character <= "\x9f" for character in address):
        raise InvalidAddress("the address contains a control character")
    if len(address) > LONGEST_ADDRESS:
        raise InvalidAddress(f"the address is longer than {LONGEST_ADDRESS} characters")
    return address


def _check_local_part(local_part: str) -> None:
    if not local_part:
        raise InvalidAddress("nothing stands before the @")
    if not local_part.isascii():
        raise InvalidAddress("the part before the @ is not ASCII, and mail goes out without SMTPUTF8")
    if len(local_part) > LONGEST_LOCAL_PART:
        raise InvalidAddress(f"the part before the @ is longer than {LONGEST_LOCAL_PART} characters")
    if not _LOCAL_PART.fullmatch(local_part):
        raise InvalidAddress("the part before the @ has a dot or a character that mail servers refuse")


def _ascii_domain(domain: str) -> str:
    if not domain:
        raise InvalidAddress("nothing stands after the @")
    if not domain.isascii():
        import idna  # only foreign domains pay for its tables

        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except UnicodeError as error:
            raise InvalidAddress(f"the domain is not a valid international name: {error}") from error
    if not _DOMAIN.fullmatch(domain):
        reason = "the domain has no dot" if "." not in domain else "the domain is not a valid host name"
        raise InvalidAddress(reason)
    return domain.lower()
