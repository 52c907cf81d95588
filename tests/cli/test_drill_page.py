"""What a run of drills looks like: in the order of the catalogue, honest about what was left out, and inert."""

from __future__ import annotations

import re
from typing import Any

from roadworthy.cli import drill_view
from roadworthy.cli.drill_page import LONGEST_TEXT, page

NASTY = '<script>alert(1)</script><img src=x onerror=alert(1)> \x1b]0;title\x07 \u202e evil & "quoted"'


def result(fault: str = "html-and-script", **changes: Any) -> dict[str, Any]:
    seen = {
        "asked": [{"role": "user", "content": "This is a drill."}], "outcome": "escalated", "status": 200,
        "seconds": 0.25, "attempts": 1, "told": "incident", "text": "We will write to you.", "cost_usd": None,
    }  # fmt: skip
    base: dict[str, Any] = {
        "fault": fault, "row": "content", "says": "It says so.", "guard": "check markup", "stream": False,
        "verdict": "PASS", "why": "", "misses": [], "expected": {"wait": 2.0, "attempts": 1}, "seen": seen,
    }  # fmt: skip
    for name, value in changes.items():
        if name in seen:
            seen[name] = value
        else:
            base[name] = value
    return base


def skipped(fault: str, why: str, *, stream: bool = False) -> dict[str, Any]:
    return result(fault, verdict="SKIPPED", why=why, stream=stream, seen=None, expected=None)


def run(*results: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": "drl_1", "workflow": "support", "digest": "rel_0123456789abcdef", "state": "done", "detail": "",
        "results": list(results), **changes,
    }  # fmt: skip


def test_what_a_model_wrote_is_text_on_the_page_and_nothing_else() -> None:
    made = page(run(result(text=NASTY, asked=[{"role": NASTY, "content": NASTY}], misses=[NASTY])), 0.0)
    assert set(re.findall(r"<(\w+)", made)) <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "code", "details", "summary", "b",
        "span", "i", "div", "ul", "li", "pre",
    }  # fmt: skip
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in made
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", made)
    assert "default-src 'none'" in made


def test_a_long_answer_is_cut_and_the_page_says_by_how_much() -> None:
    made = page(run(result(text="x" * (LONGEST_TEXT + 1234))), 0.0)
    assert "(1,234 further characters)" in made
    assert "x" * (LONGEST_TEXT + 1) not in made


def test_a_miss_stands_open_and_the_sum_says_it_failed() -> None:
    made = page(run(result(verdict="FAIL", misses=["outcome: expected canned, found error"]), result("refusal")), 0.0)
    assert made.count("<details open>") == 1
    assert '<p class="sum FAIL">1 of 2 passed</p>' in made
    assert "outcome: expected canned, found error" in made


def test_an_interrupted_run_is_no_pass() -> None:
    made = page(run(result(), state="interrupted", detail="stopped by its owner"), 0.0)
    assert "sum FAIL" in made
    assert "interrupted: stopped by its owner" in made


def test_what_was_left_out_is_told_once_with_what_to_declare() -> None:
    results = [
        result("refusal"),
        skipped("refusal", "only possible in a whole answer", stream=True),
        skipped("no-done-marker", "only possible in a stream"),
        skipped("no-done-marker", "its answers are not relayed (stream: passthrough)", stream=True),
        skipped("cut-in-mid-stream", "its answers are not relayed (stream: passthrough)", stream=True),
    ]
    assert drill_view.left_out(results) == {
        "its answers are not relayed (stream: passthrough)": ["no-done-marker", "cut-in-mid-stream"]
    }


def test_of_json_the_customers_words_are_shown() -> None:
    found = '{"topic":"other","reply":"A colleague will answer within four hours."}'
    assert drill_view.reads("escalated", found) == "A colleague will answer within four hours."
    assert drill_view.reads("canned", "Please wait.") == "Please wait."
    assert drill_view.reads("recovered", found) == "the model's answer"
    assert drill_view.reads("canned", "[1, 2]") == "[1, 2]"
