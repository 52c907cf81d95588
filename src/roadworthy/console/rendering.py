"""Templates: sandboxed, everything escaped, undefined names are errors.  What is shown of numbers is decided here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup
from starlette.responses import HTMLResponse

from roadworthy.console import shown, static, words
from roadworthy.console.access import Access, Visit
from roadworthy.console.names import Names
from roadworthy.console.navigation import SECTIONS, counts
from roadworthy.console.places import places
from roadworthy.operations.services import Services

FOLDER = Path(__file__).parent / "templates"


class Renderer:
    def __init__(self, services: Services, access: Access) -> None:
        self._services = services
        self._access = access
        self._environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(FOLDER),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._names = names = Names(services.sign_in.people)
        self._environment.globals.update(static=static.url, label=words.label, tip=words.tip, places=places)
        self._environment.filters.update(shown.FILTERS)
        self._environment.filters.update(island=island, name=names.name, names=names.within)

    def page(self, visit: Visit, template: str, context: Mapping[str, Any], status: int = 200) -> HTMLResponse:
        self._names.look()
        sections = [section for section in SECTIONS if visit.may(section.needs, anywhere=True)]
        text = self._environment.get_template(template).render(
            visit=visit, sections=sections, zone=visit.zone, now=visit.now,
            counts=counts(self._services, visit) if visit.person is not None else {}, **context
        )  # fmt: skip
        return HTMLResponse(text, status)


def island(value: Any) -> Markup:
    """Data for the page's script, as JSON inside ``<script type="application/json">``: nothing in it can end the
    element or begin another."""
    text = msgspec.json.encode(value).decode()
    for plain in "&<>\u2028\u2029":
        text = text.replace(plain, f"\\u{ord(plain):04x}")
    return Markup(text)  # noqa: S704  (escaped above)
