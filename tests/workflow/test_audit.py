"""The audit chain: any change, removal or insertion is seen, with the standard library alone."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.workflow.audit import AuditRecord, Event, chain, record_hash, verify


def records(count: int) -> list[dict[str, Any]]:
    last: AuditRecord | None = None
    out = []
    for number in range(count):
        event = Event(
            actor="os:0", action="key.create", target=f"key/{number}", before=None, after={"n": number, "é": [1.5]}
        )
        last = chain(last, event, 1_700_000_000.25 + number)
        out.append(last.as_dict())
    return out


def test_an_untouched_chain_verifies() -> None:
    assert verify([]) is None
    assert verify(records(5)) is None


@given(st.integers(0, 5), st.sampled_from(["actor", "action", "target", "time", "after", "reason", "outcome", "team"]))
def test_a_changed_fact_is_found_where_it_was_changed(place: int, field: str) -> None:
    changed = records(6)
    changed[place] = {**changed[place], field: "other"}
    broken = verify(changed)
    assert broken is not None
    assert broken.seq == place + 1


@given(st.integers(0, 4))
def test_a_removed_record_is_found(place: int) -> None:
    shortened = records(6)
    del shortened[place]
    assert verify(shortened) is not None


def test_a_record_rewritten_with_its_own_hash_breaks_the_next_one() -> None:
    forged = records(4)
    forged[1] = {**forged[1], "actor": "somebody"}
    forged[1]["hash"] = record_hash(forged[1])
    broken = verify(forged)
    assert broken is not None
    assert broken.seq == 3


def test_a_cut_or_rewritten_chain_disagrees_with_a_checkpoint() -> None:
    whole = records(4)
    checkpoint = (4, whole[3]["hash"])
    assert verify(whole, checkpoint) is None
    cut = verify(whole[:3], checkpoint)
    assert cut is not None
    assert "ends before" in cut.why
    other = verify(whole, (4, "f" * 64))
    assert other is not None
    assert "rewritten" in other.why


def test_verifying_loads_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import roadworthy.workflow.audit;"
        "new = {m.split('.')[0] for m in set(sys.modules) - before} - {'roadworthy'};"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
