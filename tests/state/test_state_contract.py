"""One suite for every adapter of the state port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.fallback.drills.model import DrillRun, Result
from roadworthy.people.model import LoginCode, LoginSession
from roadworthy.workflow import audit
from roadworthy.workflow.model import (
    ApiKey,
    Behaviour,
    Bypass,
    Canned,
    Configuration,
    FrozenRelease,
    Handling,
    Release,
    Settings,
    Step,
    Target,
)
from roadworthy.workflow.ports import AppliedConfiguration, StateConflict
from roadworthy.workflow.wording import Wording

Store = MemoryState | SqliteState


@pytest.fixture(params=["memory", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryState()
    else:
        store = SqliteState(tmp_path / "state.db")
        yield store
        store.close()


def applied(version: int) -> AppliedConfiguration:
    target = Target("main", "openai", "gpt-x", endpoint="https://api.example.com/v1")
    configuration = Configuration(Settings(workers=version), {"main": target}, {}, {})
    return AppliedConfiguration(
        version, 100.0 + version, "ada", {"roadworthy.yaml": "version: 1\n# ü\n"}, configuration
    )


def frozen(workflow: str, number: int) -> FrozenRelease:
    behaviour = Behaviour("chat", None, "main", {}, parameters={"temperature": 0.2}, schema={"type": "object"})
    handling = Handling(ladder={"unavailable": [Step("retry", times=2)]}, bypass=Bypass("canned", text="later"))
    release = Release(workflow, f"rel_{workflow}{number}", "b", "h", behaviour, handling)
    return FrozenRelease(release, "default", number, 5.0, "ada", note="first")


def key(key_id: str = "key_1", *, digest: str = "ab", created: float = 1.0) -> ApiKey:
    return ApiKey(key_id, digest, "app", "default", ["*"], created_at=created)


def test_a_new_state_is_empty(state: Store) -> None:
    with state.read() as tx:
        assert tx.applied() is None
        assert list(tx.configurations()) == []
        assert list(tx.releases()) == []
        assert tx.candidates() == {}
        assert list(tx.keys()) == []
        assert tx.last_audit() is None
        assert tx.epoch() == 0


def test_the_newest_configuration_is_in_force(state: Store) -> None:
    with state.write() as tx:
        for version in (1, 2, 3):
            tx.add_configuration(applied(version))
    with state.read() as tx:
        assert tx.applied() == applied(3)
        assert [row.version for row in tx.configurations(limit=2)] == [3, 2]


def test_a_version_is_taken_once(state: Store) -> None:
    with state.write() as tx:
        tx.add_configuration(applied(1))
    with pytest.raises(StateConflict), state.write() as tx:
        tx.add_configuration(applied(1))


def test_releases_come_back_as_they_were_frozen_newest_first(state: Store) -> None:
    with state.write() as tx:
        for release in (frozen("b", 1), frozen("a", 1), frozen("a", 2)):
            tx.add_release(release)
    with state.read() as tx:
        assert list(tx.releases()) == [frozen("a", 2), frozen("a", 1), frozen("b", 1)]
        assert list(tx.releases("b")) == [frozen("b", 1)]
        assert tx.release("rel_a1") == frozen("a", 1)
        assert tx.release("rel_none") is None


def test_a_release_number_is_taken_once(state: Store) -> None:
    with state.write() as tx:
        tx.add_release(frozen("a", 1))
    clash = frozen("a", 1)
    other = FrozenRelease(Release("a", "rel_x", "b", "h", clash.release.behaviour, Handling()), "default", 1, 6.0, "bo")
    with pytest.raises(StateConflict), state.write() as tx:
        tx.add_release(other)


def test_only_an_existing_release_of_the_workflow_is_put_forward(state: Store) -> None:
    with state.write() as tx:
        tx.add_release(frozen("a", 1))
        tx.add_release(frozen("a", 2))
        tx.put_forward("a", "rel_a1")
        tx.put_forward("a", "rel_a2")
    for workflow, digest in (("a", "rel_none"), ("b", "rel_a1")):
        with pytest.raises(StateConflict), state.write() as tx:
            tx.put_forward(workflow, digest)
    with state.read() as tx:
        assert tx.candidates() == tx.newest() == {"a": "rel_a2"}
    with state.write() as tx:
        tx.put_forward("a", "rel_a1")
        assert (tx.candidates(), tx.newest()) == ({"a": "rel_a1"}, {"a": "rel_a2"})


def test_keys_are_replaced_by_id_and_unique_by_hash(state: Store) -> None:
    revoked = ApiKey("key_1", "ab", "app", "default", ["*"], created_at=1.0, revoked_at=9.0)
    with state.write() as tx:
        tx.put_key(key("key_2", digest="cd", created=2.0))
        tx.put_key(key())
        tx.put_key(revoked)
    with pytest.raises(StateConflict), state.write() as tx:
        tx.put_key(key("key_3", digest="ab"))
    with state.read() as tx:
        assert list(tx.keys()) == [revoked, key("key_2", digest="cd", created=2.0)]
        assert tx.key("key_1") == revoked
        assert tx.key("key_9") is None


def test_codes_and_sessions_are_found_by_hash_and_replaced(state: Store) -> None:
    code = LoginCode("h1", "ada", 1.0, 50.0)
    session = LoginSession("h1", "ada", 1.0, 5.0)
    with state.write() as tx:
        tx.put_login_code(code)
        tx.put_login_session(session)
        tx.put_login_code(msgspec.structs.replace(code, used_at=3.0))
    with state.read() as tx:
        assert tx.login_code("h1") == msgspec.structs.replace(code, used_at=3.0)
        assert tx.login_session("h1") == session
        assert tx.login_code("h2") is None
        assert tx.login_session("h2") is None


def test_the_audit_trail_reads_back_verifiable(state: Store) -> None:
    with state.write() as tx:
        for number in range(5):
            event = audit.Event("os:0", "key.create", f"key/{number}", after={"n": [number, None, "ü"]})
            tx.append_audit(audit.chain(tx.last_audit(), event, 1000.123456 + number))
    with state.read() as tx:
        records = list(tx.audit())
        assert [record.seq for record in tx.audit(after=2, limit=2)] == [3, 4]
    assert audit.verify(record.as_dict() for record in records) is None


def test_an_audit_number_is_taken_once(state: Store) -> None:
    record = audit.chain(None, audit.Event("os:0", "a", "b"), 1.0)
    with state.write() as tx:
        tx.append_audit(record)
    with pytest.raises(StateConflict), state.write() as tx:
        tx.append_audit(record)


def test_an_exception_rolls_change_and_audit_back_together(state: Store) -> None:
    def create_a_key_and_stumble() -> None:
        with state.write() as tx:
            tx.put_key(key())
            tx.append_audit(audit.chain(None, audit.Event("os:0", "key.create", "key/key_1"), 1.0))
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        create_a_key_and_stumble()
    with state.read() as tx:
        assert list(tx.keys()) == []
        assert tx.last_audit() is None


def test_the_epoch_rises_by_one_each_time(state: Store) -> None:
    for expected in (1, 2, 3):
        with state.write() as tx:
            assert tx.next_epoch() == expected
    with state.write() as tx:
        assert (tx.next_epoch(above=9), tx.next_epoch(above=2)) == (10, 11)
    with state.read() as tx:
        assert tx.epoch() == 11


def test_a_read_transaction_refuses_to_write(state: Store) -> None:
    with pytest.raises(RuntimeError, match="asked to write"), state.read() as tx:
        tx.put_key(key())


def drill_run(number: int, workflow: str = "support") -> DrillRun:
    result = Result(
        fault="refusal", row="content", says="It refuses.", guard="step refused", stream=True, verdict="PASS"
    )
    return DrillRun(
        id=f"drl_{workflow}{number}", team="default", workflow=workflow, digest="rel_1", behaviour="b", handling="h",
        began=float(number), by="ada", results=[result],
    )  # fmt: skip


def test_drill_runs_come_newest_first_and_the_oldest_go(state: Store) -> None:
    with state.write() as tx:
        for number in (1, 3, 2):
            tx.put_drill_run(drill_run(number))
        tx.put_drill_run(drill_run(9, "other"))
        tx.put_drill_run(msgspec.structs.replace(drill_run(3), state="done"))
    with state.read() as tx:
        assert [run.id for run in tx.drill_runs("support")] == ["drl_support3", "drl_support2", "drl_support1"]
        assert tx.drill_run("drl_support3") == msgspec.structs.replace(drill_run(3), state="done")
        assert tx.drill_run("drl_none") is None
    with state.write() as tx:
        tx.keep_drill_runs("support", 2)
    with state.read() as tx:
        assert [run.id for run in tx.drill_runs("support", limit=9)] == ["drl_support3", "drl_support2"]
        assert len(tx.drill_runs("other")) == 1


def test_words_in_hand_are_one_of_each_workflow(state: Store) -> None:
    draft = Wording("triage", "shop", base="rel_1", words={"holding": Canned("Soon.", {"reply": "Soon."})}, by="ada")
    with state.write() as tx:
        tx.put_wording(draft)
        tx.put_wording(Wording("billing", "shop"))
    with state.write() as tx:
        tx.put_wording(msgspec.structs.replace(draft, words={}, published="rel_2"))
    with state.read() as tx:
        assert tx.wording("other") is None
        assert tx.wordings() == [
            Wording("billing", "shop"),
            msgspec.structs.replace(draft, words={}, published="rel_2"),
        ]
        with pytest.raises(RuntimeError):
            tx.put_wording(draft)
