"""Pictures of every page, light and dark, of the running demo: ``python browser/pictures.py URL [FOLDER]``.

``roadworthy demo`` prints the URL of its console.  Whoever owns the sample's workflow goes in by the demo's login and
follows links: the first address of each page of the page list is photographed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import expect, sync_playwright

from chromium import CHROMIUM, FLAGS
from pages import NO_PAGES
from palette import reduced
from roadworthy.console.routes import PAGES

FOLDER = Path("docs/pictures/console")
WIDTH, TALLEST = 1280, 1400
"""Pixels; what is longer is cut off."""


def pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) + "$")


def wanted() -> dict[str, re.Pattern[str]]:
    """Page → what its addresses look like."""
    return {page.path: pattern(page.path) for page in PAGES if page.method == "GET" and page.path not in NO_PAGES}


def walk(page: Any, begin: str, seen: Callable[[str], None]) -> list[str]:
    """Open the first address of every page, by following links from ``begin``; what was not found."""
    unseen, waiting, workflow = wanted(), [begin], ""
    rest = [path for path in unseen if path.replace("{workflow}", "").count("{") == 0 and path != "/login"]
    while waiting or rest:
        address = waiting.pop(0) if waiting else _filled(rest.pop(0), workflow)
        # the most exact of the patterns: /evals/{workflow}/score, not a run of that name
        names = [name for name, looks in unseen.items() if looks.match(urlsplit(address).path)]
        name = min(names, key=lambda each: each.count("{"), default="/login")
        if name == "/login" or page.goto(address).status != 200:
            continue
        del unseen[name]
        if name == "/workflows/{workflow}":
            workflow = urlsplit(address).path.split("/")[2]
        seen(name)
        hrefs = page.eval_on_selector_all("main a[href]", "links => links.map(link => link.getAttribute('href'))")
        local = [urljoin(address, href).partition("#")[0] for href in hrefs if href.startswith(("/", "?"))]
        waiting += sorted(dict.fromkeys(local), key=lambda each: "?" in each)
    return sorted(set(unseen) - {"/login"})


def _filled(path: str, workflow: str) -> str:
    """Of a page that is reached by a form: the two releases that the demo gates are compared."""
    return path.replace("{workflow}", workflow) + ("?a=2&b=3" if path.endswith("/compare") else "")


def name_of(path: str) -> str:
    """``/evals/{workflow}/runs/{run}`` → ``evals-workflow-runs-run``."""
    return re.sub(r"[{}]", "", path).strip("/").replace("/", "-") or "waiting"


def main() -> None:
    base, folder = sys.argv[1].rstrip("/"), Path(sys.argv[2]) if len(sys.argv) > 2 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        context = browser.new_context(base_url=base, viewport={"width": WIDTH, "height": 800})
        page = context.new_page()
        page.goto("/login")
        take(page, "/login", folder)
        page.get_by_role("button", name="Go in as").first.click()
        page.wait_for_url("**/")
        for missed in walk(page, "/", lambda name: take(page, name, folder)):
            print(f"not found: {missed}")
        browser.close()


def take(page: Any, name: str, folder: Path) -> None:
    """Of the page that is open."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": WIDTH, "height": 500})
        if scheme == "dark" and page.locator("[data-chart]").count():
            page.reload()  # charts are drawn in the colours of the moment
        still_coming = "main [data-chart]:empty, main [hx-trigger^=load]:not(:has(#figures))"
        expect(page.locator(still_coming)).to_have_count(0, timeout=60_000)
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": WIDTH, "height": max(620, min(TALLEST, height))})
        path = folder / f"{name_of(name)}-{scheme}.png"
        path.write_bytes(reduced(page.screenshot(animations="disabled")))
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB", flush=True)
    page.emulate_media(color_scheme="light")


if __name__ == "__main__":
    main()
