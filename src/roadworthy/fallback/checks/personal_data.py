# ruff: noqa: E501  (a pattern is read as one line)
"""Personal data that the caller did not send and that the prompt does not tell: invented, or another person's.

Numbers are believed by their check digits (cards: Luhn, IBAN: ISO 13616), phones by their form; what is reserved for
examples (RFC 2606 domains, 555-01xx) and the addresses of roles (``support@``) belong to nobody.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

from roadworthy.fallback.checks.model import Context, Finding, TextCheck
from roadworthy.fallback.checks.patterns import Patterns
from roadworthy.workflow.check_options import option
from roadworthy.workflow.model import CheckSpec

_EDGE = r"(?:^|[^\pL\pN])"

SHAPES: dict[str, tuple[str, ...]] = {
    "email": (r"([A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24})",),
    "phone": (
        r"(?:^|[^\pL\pN+])(\+[1-9][0-9]{0,2}[ ./-]?(?:\(?[0-9]{1,5}\)?[ ./-]?){1,5}[0-9]{2,5})(?:$|[^0-9])",
        r"(?:^|[^\pL\pN.+-])(\(?[2-9][0-9]{2}\)?[ .-][2-9][0-9]{2}[.-][0-9]{4})(?:$|[^\pL\pN-])",
        r"(?i)(?:phone|mobile|cell|tel|telephone|telefon|handy|mobil|portable|tél|téléphone|teléfono|móvil|telefono|cellulare)"
        r"(?: (?:number|nummer|no|nr|numéro|número|numero))?[.:]{0,2}(?: is| ist| lautet| est| es| è)?[ :]{1,2}"
        r"(\(?0?[0-9](?:[ ()./-]{0,2}[0-9]){6,13})",
    ),
    "card": (_EDGE + r"([2-6][0-9]{3}(?:[ -]?[0-9]{4}){2}[ -]?[0-9]{1,7}|3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5})(?:$|[^0-9])",),
    "iban": (_EDGE + r"([A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)(?:$|[^\pL\pN])",),
    "ssn": (_EDGE + r"([0-8][0-9]{2}-[0-9]{2}-[0-9]{4})(?:$|[^\pL\pN-])",),
    "ip": (r"(?:^|[^0-9.])((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?:$|[^0-9.])",),
}  # fmt: skip
WORDS = {
    "email": "an e-mail address",
    "phone": "a phone number",
    "card": "a card number",
    "iban": "an IBAN",
    "ssn": "a social security number",
    "ip": "an IP address",
}

_ROLES = re.compile(
    r"(?i)(?:support|help|helpdesk|info|contact|kontakt|hello|hallo|sales|billing|service|services|admin|press|privacy"
    r"|datenschutz|legal|security|abuse|no-?reply|do-?not-?reply|team|office|hr|jobs|orders?|returns?|refunds?|claims"
    r"|customer-?(?:service|support|care)|kundenservice|kundendienst|atencion|soporte|assistance|assistenza|contatti)"
    r"(?:[.+_-].*)?@.*"
)
_RESERVED = re.compile(r"(?i).*[@.](?:example\.(?:com|net|org)|example|test|invalid|localhost|domain\.com|email\.com)")
_IBAN_LENGTHS = {
    "AD": 24, "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20, "ES": 24,
    "FI": 18, "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IS": 26, "IT": 27, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "TR": 26, "UA": 29, "SA": 24, "AE": 23, "IL": 23, "QA": 29, "KW": 30, "BR": 29,
}  # fmt: skip
_TEST_CARDS = frozenset({"4242424242424242", "4111111111111111", "5555555555554444", "378282246310005"})


def _digits(value: str) -> str:
    return "".join(letter for letter in value if letter in "0123456789")


def _is_email(value: str) -> bool:
    return _ROLES.fullmatch(value) is None and _RESERVED.fullmatch(value) is None


def _is_phone(value: str) -> bool:
    digits = _digits(value)
    if not 7 <= len(digits) <= 15 or len(set(digits)) < 3:
        return False
    national = digits[1:] if value.startswith("+1") or (len(digits) == 11 and digits[0] == "1") else digits
    toll_free = len(national) == 10 and national[:3] in ("800", "833", "844", "855", "866", "877", "888")
    return not toll_free and "55501" not in national[-7:]


def _is_card(value: str) -> bool:
    digits = _digits(value)
    if not 13 <= len(digits) <= 19 or digits in _TEST_CARDS or len(set(digits)) < 3:
        return False
    total = 0
    for index, letter in enumerate(reversed(digits)):
        number = int(letter) * (1 + index % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def _is_iban(value: str) -> bool:
    compact = value.replace(" ", "")
    if len(compact) != _IBAN_LENGTHS.get(compact[:2]):
        return False
    return int("".join(str(int(letter, 36)) for letter in compact[4:] + compact[:4])) % 97 == 1


def _is_ssn(value: str) -> bool:
    area, group, serial = value.split("-")
    return area not in ("000", "666") and group != "00" and serial != "0000" and value != "123-45-6789"


def _is_ip(value: str) -> bool:
    try:
        return ipaddress.ip_address(value).is_global
    except ValueError:
        return False


_BELIEVED: dict[str, Callable[[str], bool]] = {
    "email": _is_email, "phone": _is_phone, "card": _is_card, "iban": _is_iban, "ssn": _is_ssn, "ip": _is_ip,
}  # fmt: skip


class PersonalData:
    def __init__(self, kinds: Iterable[str], allowed: Iterable[str]) -> None:
        self._patterns = Patterns([(kind, shape) for kind in kinds for shape in SHAPES[kind]])
        values = [value.strip().lower() for value in allowed]
        self._domains = tuple(value for value in values if value.startswith("@"))
        self._allowed = {_plain(value) for value in values}

    def __call__(self, text: str, context: Context) -> Finding | None:
        known: _Known | None = None
        for kind, value, span in self._patterns.every(text):
            if not _BELIEVED[kind](value):
                continue
            plain = _plain(value)
            if plain in self._allowed or (kind == "email" and value.lower().endswith(self._domains or ("\0",))):
                continue
            known = known or _Known(f"{context.sent}\n{context.prompt}", self._patterns)
            if not known.holds(plain):
                return Finding(f"holds {WORDS[kind]} that the caller did not send", span=span)
        return None


class _Known:
    """What the caller sent and the prompt tells."""

    def __init__(self, text: str, patterns: Patterns) -> None:
        self._values = {_plain(value) for _, value, _ in patterns.every(text)}
        self._text = _plain(text)

    def holds(self, plain: str) -> bool:
        return plain in self._values or plain in self._text


_SEPARATORS = str.maketrans("", "", " \t\u00a0\u202f-./()")


def _plain(text: str) -> str:
    """Without what separates digits, so that ``0171 555`` and ``0171-555`` are the same."""
    return text.lower().translate(_SEPARATORS)


def build(spec: CheckSpec) -> TextCheck:
    return PersonalData(option(spec, "kinds"), option(spec, "allow"))
