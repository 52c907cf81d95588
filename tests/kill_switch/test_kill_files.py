"""What files and the environment say: whatever cannot be read stops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.kill_switch.files import (
    LONGEST,
    environment_states,
    file_name,
    file_states,
    file_text,
    state_in,
    workflow_of,
)
from roadworthy.kill_switch.model import STATES


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (None, "off"), (b"", "off"), (b" \n", "off"), (b"\xff\xfe", "off"), (b"stop it", "off"), (b"of", "off"),
        (b"off", "off"), (b"OFF\n", "off"), (b"guarded", "guarded"), (b"\n assist by ada", "assist"), (b"on", "on"),
        (b"guarded" + b" " * LONGEST, "off"),
    ],
)  # fmt: skip
def test_the_first_word_of_a_file_decides_and_anything_else_is_off(content: bytes | None, state: str) -> None:
    assert state_in(content) == state


@given(st.binary(max_size=50))
def test_no_content_is_looser_than_off_unless_it_says_so(content: bytes) -> None:
    state = state_in(content)
    assert state == "off" or content.decode("utf-8", "replace").lower().split()[0] == state


@given(st.sampled_from(STATES), st.text(max_size=30), st.text(max_size=5000))
def test_what_we_write_is_read_back(state: str, by: str, reason: str) -> None:
    text = file_text(state, by, 1e9, reason)  # type: ignore[arg-type]
    assert state_in(text) == state
    assert text.endswith(b"\n")


def test_a_file_names_its_workflow_and_others_are_passed_over() -> None:
    names = ["KILL", "KILL.support", "KILL.Support", "KILL.a.b", "KILL.", "kill", "kill.json", "KILLED", "state.db"]
    assert [workflow_of(name) for name in names] == ["*", "support", "support", "a.b", None, None, None, None, None]
    assert file_states({"KILL.a": b"off", "KILL.A": b"guarded"}) == {"a": "off"}, "the most restrictive of both"
    assert file_states({"KILL": b"guarded", "KILL.x": None, "log.db": b"on"}) == {"*": "guarded", "x": "off"}
    assert [file_name(name) for name in ("*", "support")] == ["KILL", "KILL.support"]
    for bad in ("", "../x"):
        with pytest.raises(ValueError, match="is no workflow"):
            file_name(bad)


@pytest.mark.parametrize(
    ("value", "states"),
    [
        (None, {}), ("", {}), (" , ", {}), ("off", {"*": "off"}), ("GUARDED", {"*": "guarded"}),
        ("support", {"support": "off"}), ("support=guarded, triage", {"support": "guarded", "triage": "off"}),
        ("support=nonsense", {"support": "off"}), ("support=", {"support": "off"}), ("=guarded", {"*": "guarded"}),
        ("support=guarded;support=off", {"support": "off"}), ("Support", {"support": "off"}),
        ("1", {"*": "off"}), ("true", {"*": "off"}), ("Yes", {"*": "off"}), ("all", {"*": "off"}), ("*", {"*": "off"}),
        ("all=guarded", {"*": "guarded"}), ("0", {"0": "off"}),
    ],
)  # fmt: skip
def test_what_the_environment_says(value: str | None, states: dict[str, str]) -> None:
    assert environment_states(value) == states
