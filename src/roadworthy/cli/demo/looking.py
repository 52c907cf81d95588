"""The demo's look at its console: what the first page says, and how one call of many is found."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

from roadworthy.cli.demo import pilot
from roadworthy.cli.demo.browsing import Browser, text_of
from roadworthy.cli.demo.system import OWNER, Message, System
from roadworthy.cli.errors import CliError


class Seen(msgspec.Struct, frozen=True):
    console: str
    person: str
    waiting: list[str]
    """What the first page says that waits for ``person``."""
    search: str
    """A line for the search box."""
    finds: str
    """The inference that it finds."""


def look(system: System, message: Message, ident: str) -> Seen:
    """Go in as the owner, and read.  ``ident``: the inference of ``message``'s customer."""
    with Browser(system.console) as browser:
        browser.enter(OWNER)
        waiting = sentences(browser.page("/").text)
    if not waiting:
        raise CliError("the first page of the console says that nothing waits")
    asked = datetime.fromtimestamp(pilot.inference(system, ident)["ts"], UTC)  # the sample's zone
    search = f"user customer-{message.id} {asked:%A} {asked:%I%p}".lower().replace(" 0", " ")
    return Seen(system.console, OWNER, waiting, search, ident)


def sentences(page: str) -> list[str]:
    """What waits, as the first page says it."""
    return [text_of(each) for each in re.findall(r'<span class="what">(.*?)</span>', page, re.DOTALL)]
