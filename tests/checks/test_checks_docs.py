"""docs/checks.md says what the code does, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

from roadworthy.fallback.checks.model import Context
from roadworthy.gateway.checks.results import read_result
from roadworthy.workflow.check_options import CHECK_KINDS, Option, python_problem
from roadworthy.workflow.model import CheckSpec

PAGE = (Path(__file__).parents[2] / "docs" / "checks.md").read_text()
LENGTHS = {"forbidden": "as long as its patterns", "prompt_leak": "`run`"}


def shown(option: Option) -> str:
    if option.required:
        return "required"
    if option.default is None or option.default == ():
        return "none"
    if isinstance(option.default, tuple):
        return ", ".join(option.default)
    return str(option.default).lower() if isinstance(option.default, bool) else f"{option.default:g}"


def test_every_kind_is_in_the_table_as_it_is() -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r"\| `\w+` \| .* \| \d s \|", line)]
    expected = [
        f"| `{kind}` | {row.doc} | `{row.failure}` | {row.timeout:g} s | {LENGTHS.get(kind, row.span or '–')} |"
        for kind, row in CHECK_KINDS.items()
    ]
    assert rows == expected


def test_every_option_is_in_the_table_as_it_is() -> None:
    expected = [
        f"| `{kind}` | `{name}` | {shown(option)} | {option.doc} |"
        for kind, row in CHECK_KINDS.items()
        for name, option in row.options.items()
    ]
    assert [line for line in PAGE.splitlines() if re.match(r"\| `\w+` \| `\w+` \| .* \| .* \|$", line)] == expected


def examples() -> list[str]:
    return [re.sub(r"(?m)^   ", "", block) if block.startswith("   ") else block
            for block in re.findall(r"(?ms)^ *```python\n(.*?)^ *```", PAGE)]  # fmt: skip


def test_the_function_on_the_page_is_a_check() -> None:
    source = examples()[0]
    assert python_problem("checks.tone:check", {"checks/tone.py": source}) == ""
    made: dict[str, Any] = {}
    exec(source, made)
    assert read_result(made["check"]("Hello there", {}), 0.5, 11).passed
    loud = read_result(made["check"]("HELLO", {}), 0.5, 5)
    assert (loud.passed, loud.detail, loud.score) == (False, "shouts", 1.0)


def test_the_built_in_on_the_page_is_a_check() -> None:
    module = ModuleType("shouting")
    exec(examples()[1], module.__dict__)
    check = module.build(CheckSpec("garbage", "invalid"))
    assert check("Hello there", Context()) is None
    assert check("HELLO THERE", Context()).detail == "shouts"


def test_the_keys_on_the_page_are_read_as_it_says() -> None:
    from roadworthy.workflow.checks_kind import ChecksKind
    from roadworthy.workflow.fields import At, Reading
    from roadworthy.workflow.source import parse_yaml

    for block in re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE):
        reading = Reading({})
        tree = parse_yaml("workflow.yaml", block)
        read = ChecksKind().read(tree.data["checks"], At(reading, "workflow.yaml", "checks"))
        assert reading.problems == []
        assert set(read) == set(tree.data["checks"].data)
