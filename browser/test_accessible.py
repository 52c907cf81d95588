"""Every page for everybody: by keyboard, on a phone, in light and dark; axe-core finds nothing serious on any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
from axe_playwright_python.sync_playwright import Axe

import pages
from installed import Installed, Person

FLOW = "complaints"
LOOKS = [(phone, dark) for phone in (False, True) for dark in (False, True)]
NAMES = [f"{'phone' if phone else 'wide'} {'dark' if dark else 'light'}" for phone, dark in LOOKS]


@pytest.fixture(scope="module")
def addresses(chromium: Any, installed: Installed) -> dict[str, str]:
    """Pages of a workflow that has calls, an incident and somebody who waits."""
    up = installed.up
    with openai.OpenAI(base_url=up.base_url, api_key=up.key("accessible"), max_retries=0) as app:
        for message in ("Where is it?", "Why? [[fault status code=503]]", "Now! [[fault content as=refusal]]"):
            app.chat.completions.create(model=FLOW, messages=[{"role": "user", "content": message}], user="u-1")
    up.admin("POST", "/v1/journal/flush")
    [newest, *_] = up.records(workflow=FLOW)
    ada = Person(chromium, installed, "ada")
    ada.reports(newest["id"], "It did not answer the question.")
    ada.close()
    return pages.addresses(pages.held(installed, FLOW))


@pytest.mark.parametrize(("phone", "dark"), LOOKS, ids=NAMES)
def test_axe_finds_nothing_serious_on_any_page(
    person: Callable[..., Person], addresses: dict[str, str], phone: bool, dark: bool
) -> None:
    """Light: all rules; dark, where nothing but colours differs: those about colours."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if dark:
        options["runOnly"] = ["color-contrast", "link-in-text-block"]
    visitor, axe, found = person("ada", phone=phone, dark=dark), Axe(), []
    for address in addresses.values():
        results = axe.run(visitor.goto(address), options=options).response
        for each in results["violations"]:
            if each["impact"] in ("serious", "critical"):
                found += [f"{address}: {each['id']}: {_told(node)}" for node in each["nodes"][:3]]
    assert not found, "\n".join(found)


def _told(node: dict[str, Any]) -> str:
    """Which element, and what is wrong with it."""
    return f"{node['html'][:160]}: {' '.join(node.get('failureSummary', '').split())[:300]}"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_page_scrolls_sideways_on_a_phone(
    person: Callable[..., Person], addresses: dict[str, str], dark: bool
) -> None:
    visitor, wide = person("ada", phone=True, dark=dark), []
    for address in addresses.values():
        page = visitor.goto(address)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            wide.append(f"{address}: {width}")
    assert not wide


STEP = """() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none";
  return {tag: at.tagName, text: (at.textContent || at.value || at.name || "").trim().slice(0, 60), ring,
          shown: box.width > 0 && box.height > 0, main: at.matches("main .main, main .stop"),
          body: at === document.body, inside: !!at.closest("main")};
}"""
"""What has the focus: whether one sees that, and whether it is the page's main action."""


def test_every_page_is_walked_by_the_tab_key_and_the_focus_is_always_seen(
    person: Callable[..., Person], addresses: dict[str, str]
) -> None:
    visitor, wrong = person("ada"), []
    for address in addresses.values():
        page = visitor.goto(address)
        page.evaluate("document.activeElement.blur()")  # of a field that has it by itself
        skip = page.locator("a.skip")
        main = page.locator("main .main:visible:enabled, main button.stop:visible:enabled, main a.stop:visible")
        wanted, reached = main.count() > 0, False
        if skip.count():
            skip.focus()
            page.keyboard.press("Enter")
        for _ in range(150):
            page.keyboard.press("Tab")
            at = page.evaluate(STEP)
            if at["body"] or (skip.count() and not at["inside"]):
                break
            if not (at["ring"] and at["shown"]):
                wrong.append(f"{address}: one does not see the focus on {at['tag']} “{at['text']}”")
            reached = reached or at["main"]
            if reached:
                break
        if wanted and not reached:
            wrong.append(f"{address}: the main action is not reached: {main.first.inner_text()}")
    assert not wrong, "\n".join(wrong)


def test_the_skip_link_comes_first_and_leads_past_the_menu(person: Callable[..., Person]) -> None:
    page = person("ada").goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator("a.skip").bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("!!document.activeElement.closest('main')")
