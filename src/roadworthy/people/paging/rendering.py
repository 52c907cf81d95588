"""A message as mail, as a webhook, and as the few lines of a chat or a text message.

Everything comes from counts, names and our own words, and is escaped nevertheless.  A button without an address (nobody
serves the console) is left out.
"""

from __future__ import annotations

from html import escape
from typing import Final

import msgspec

from roadworthy.people.escalation.payloads import iso
from roadworthy.people.outbox.model import Mail
from roadworthy.people.paging.model import Button, Message

AFFECTED: Final = "Who is affected"
FAULT: Final = "Whose fault"
DONE: Final = "Already done"
OTHERWISE: Final = "If you do nothing"
CHANGED: Final = "Changed in the last 24 hours"
HAPPENED: Final = "What happened"
WHY_YOU: Final = "Why you"
SHORT: Final = (WHY_YOU, AFFECTED, FAULT)
"""What a chat or a text message shows below the line."""

LINE: Final = 160
TEST: Final = "TEST: "
SUBJECT: Final = {"trigger": "", "acknowledge": "Taken over: ", "resolve": "Resolved: "}

_PAGE: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>{line}</title>'
    '<body style="font:16px/1.45 system-ui,sans-serif;color:#1a1a1a;max-width:40em;margin:0 auto;padding:1em">'
    '<p style="font-size:1.15em;font-weight:600;margin:0 0 1em">{line}</p>{buttons}{parts}'
    '<p style="color:#555;font-size:.9em">{foot}</p></body></html>'
)
_BUTTON: Final = (
    '<a href="{link}" style="display:inline-block;padding:.6em 1em;margin:0 .5em .5em 0;border:1px solid #1a1a1a;'
    'border-radius:6px;color:#1a1a1a;text-decoration:none">{label}</a>'
)


def headline(message: Message) -> str:
    """The first line: at most 160 characters."""
    return _cut((TEST if message.test else "") + SUBJECT[message.signal] + " ".join(message.line.split()))


def buttons(message: Message) -> list[Button]:
    """Those that lead somewhere."""
    return [button for button in message.buttons if button.link.startswith(("https://", "http://"))]


def mail(message: Message) -> Mail:
    """Plain text, and the same as a page without script or outside request."""
    return Mail([message.email], headline(message), _text(message), _html(message))


def webhook(message: Message) -> bytes:
    """``{"type": "page.trigger" | "page.acknowledge" | "page.resolve", "timestamp", "data": {…}}``."""
    data = {
        "incident": message.incident,
        "workflow": message.workflow or None,
        "person": message.person,
        "name": message.name,
        "test": message.test,
        "severity": message.severity,
        "line": headline(message),
        "parts": [{"what": what, "text": text} for what, text in message.parts],
        "links": [{"label": button.label, "url": button.link} for button in buttons(message)],
    }
    return msgspec.json.encode({"type": f"page.{message.signal}", "timestamp": iso(message.at), "data": data})


def short(message: Message) -> tuple[str, str]:
    """(title, text) for a chat, a push message or a text message: the line, whose fault, the addresses."""
    lines = [text for what, text in message.parts if what in SHORT]
    lines += [f"{button.label}: {button.link}" for button in buttons(message)]
    return headline(message), "\n".join(lines) or headline(message)


def _text(message: Message) -> str:
    lines = [headline(message), ""]
    for button in buttons(message):
        lines += [f"{button.label}:", f"  {button.link}"]
    for what, text in message.parts:
        lines += ["", f"{what}:", *(f"  {line}" for line in text.splitlines())]
    return "\n".join([*lines, "", _foot(message), ""])


def _html(message: Message) -> str:
    parts = "".join(
        f'<h2 style="font-size:1em;margin:1.2em 0 .2em">{escape(what)}</h2>'
        + "".join(f'<p style="margin:.1em 0">{escape(line)}</p>' for line in text.splitlines())
        for what, text in message.parts
    )
    made = "".join(_BUTTON.format(link=escape(one.link), label=escape(one.label)) for one in buttons(message))
    return _PAGE.format(
        line=escape(headline(message)), parts=parts, foot=escape(_foot(message)),
        buttons=f"<p>{made}</p>" if made else "",
    )  # fmt: skip


def _foot(message: Message) -> str:
    acts = " A link acts once, only for you, and only after you confirm." if buttons(message) else ""
    return f"To {message.name}, by Roadworthy, about {message.incident}.{acts}"


def _cut(text: str) -> str:
    return text if len(text) <= LINE else text[: LINE - 1].rstrip() + "…"
