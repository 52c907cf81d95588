"""The console opens for whoever signs in, and for nobody else."""

from __future__ import annotations

from collections.abc import Callable

from installed import Person


def test_an_operator_signs_in_and_sees_the_workflows(person: Callable[..., Person]) -> None:
    page = person("ola").goto("/")
    assert "Waiting for you" in page.title()
    assert page.get_by_role("heading", name="refunds").is_visible()


def test_a_stranger_sees_the_login_page_alone(person: Callable[..., Person]) -> None:
    page = person(None).goto("/workflows/triage")
    assert "/login" in page.url
    assert page.get_by_text("triage").count() == 0
