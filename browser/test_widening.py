"""A release gets more traffic once its owner has let it in, and not before."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from installed import Installed, Person
from support.waiting import until


def test_the_owner_approves_the_next_step_of_a_ramp_and_the_gateway_serves_more(
    person: Callable[..., Person], installed: Installed
) -> None:
    def missing() -> list[str]:
        stand = installed.up.admin("GET", "/v1/rollouts/orders")
        return [gate["name"] for gate in stand["gates"] if gate["verdict"] != "PASS"]

    until(lambda: missing() == ["approval"], "an owner who is asked")
    other = person("ola").goto("/workflows/orders")
    assert other.get_by_role("button", name="Approve 50 %").count() == 0
    page = person("ada").goto("/")
    page.get_by_role("listitem").filter(has_text="orders").filter(has_text="50 %").get_by_role("link").click()
    page.get_by_role("button", name="Approve 50 %").click()
    expect(page.get_by_role("status")).to_contain_text("Release at 50 %")
    assert installed.up.admin("GET", "/v1/rollouts/orders")["share"] == 0.5
    installed.up.caught_up()
