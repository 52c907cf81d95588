"""docs/streaming.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from roadworthy.gateway.streaming.continuation import BROKE_OFF
from roadworthy.gateway.streaming.live import CONTINUED
from roadworthy.gateway.streaming.window import STRIDE, STRIDE_SHIFT
from roadworthy.workflow.model import Handling

PAGE = (Path(__file__).parents[2] / "docs" / "streaming.md").read_text()


def test_the_numbers_of_the_window_are_those_of_the_code() -> None:
    assert f"({Handling().window} characters unless declared) and at most {STRIDE} characters more" in PAGE
    assert f"1/{1 << STRIDE_SHIFT} of a text of more than {(STRIDE << STRIDE_SHIFT) // 1024} KB" in PAGE


def test_the_words_that_a_caller_reads_are_those_of_the_code() -> None:
    assert f'"note": "{CONTINUED}"' in PAGE
    assert f'"notes": ["{CONTINUED}"]' in PAGE


def test_every_failure_that_is_continued_is_in_the_table_of_breaks() -> None:
    table = PAGE[PAGE.index("| what the provider does |") : PAGE.index("**What cannot be known.**")]
    assert {failure for failure in BROKE_OFF if f"`{failure}`" in table} == BROKE_OFF


def test_the_page_shows_keys_that_a_workflow_may_have() -> None:
    from roadworthy.workflow.workflow_table import WORKFLOW

    shown = {line.split(":")[0] for line in re.findall(r"^(\w+:.*)$", PAGE, re.MULTILINE) if "#" in line}
    assert shown == {"stream", "continuation"}
    assert shown <= set(WORKFLOW.fields)
