"""Claims about the pool: who puts in, who publishes, how often, and what becomes of the set."""

from __future__ import annotations

import json

import msgspec
import pytest
from examples_bench import ADA, BO, DAY, MONTH, UID, ExampleBench

from roadworthy.evals.examples import is_held_out, question_of, sound
from roadworthy.evals.importing import Columns
from roadworthy.evals.model import Example
from roadworthy.evals.service import Refused
from roadworthy.workflow.model import EvalPlan, ScorerSpec
from roadworthy.workflow.service import Actor, Unknown


@pytest.fixture
def bench() -> ExampleBench:
    return ExampleBench()


def test_the_owners_first_examples_are_published_at_once_and_later_ones_wait(bench: ExampleBench) -> None:
    assert bench.take(20).created
    taken = bench.take(25)
    assert (taken.created, taken.waiting, taken.known) == (False, 5, 20)
    assert len(bench.current().items) == 20
    assert bench.pool.look("support").count == 25


@pytest.mark.parametrize("who", [UID, BO])
def test_what_anybody_else_brings_in_waits_even_when_it_is_the_first(bench: ExampleBench, who: Actor) -> None:
    assert (bench.take(20, who).waiting, bench.evals.published("support")) == (20, None)
    with pytest.raises(Refused, match="its owner ada does"):
        bench.pool.publish("support", who)
    assert ("evals.publish", "denied") in bench.audited()
    made = bench.pool.publish("support", ADA)
    assert (made.created, made.publication.by, made.merge.added) == (True, "ada", 20)
    assert bench.pool.look("support").items == []


def test_a_set_is_published_once_a_month_unless_the_owner_says_why_it_cannot_wait(bench: ExampleBench) -> None:
    bench.take(20)
    bench.now += 5 * DAY
    bench.take(21)
    with pytest.raises(Refused, match=r"the next is due in 25\.0 days"):
        bench.pool.publish("support", ADA)
    assert bench.pool.publish("support", ADA, reason="the shop sells shoes now").created
    assert [record.reason for record in bench.records("evals.publish")][-1] == "the shop sells shoes now"
    bench.take(22)
    bench.now += MONTH
    assert bench.pool.publish("support", ADA).publication.count == 22


def test_following_a_scorer_of_ours_is_no_publication_of_the_owners(
    bench: ExampleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from roadworthy.evals.scorers.exact import Exact

    bench.take(20)
    bench.take(21)
    bench.now += MONTH - DAY
    monkeypatch.setattr(Exact, "version", 99)
    assert bench.evals.publish_anew() == ["support"]
    bench.now += DAY
    assert bench.pool.publish("support", ADA).created


def test_nothing_is_published_of_an_empty_pool_or_to_an_empty_set(bench: ExampleBench) -> None:
    bench.take(2)
    bench.now += MONTH
    with pytest.raises(Refused, match="nothing waits in the pool of support"):
        bench.pool.publish("support", ADA)
    bench.pool.drop("support", [each.id for each in bench.current().items], ADA)
    with pytest.raises(Refused, match="no example of support would be left"):
        bench.pool.publish("support", ADA)


def test_a_row_with_another_label_corrects_the_one_that_asks_the_same(bench: ExampleBench) -> None:
    bench.take(3)
    bench.rows([{"message": "0: about it", "topic": "payment"}, {"message": "new", "topic": "other"}])
    bench.now += MONTH
    made = bench.pool.publish("support", ADA)
    assert (made.merge.added, made.merge.corrected, made.publication.count) == (1, 1, 4)
    found = {each.messages[0]["content"]: each.expected["topic"] for each in bench.current().items}
    assert found["0: about it"] == "payment"


def test_replacing_leaves_nothing_of_the_set_in_force(bench: ExampleBench) -> None:
    bench.take(3)
    bench.rows([{"message": "new", "topic": "other"}])
    assert bench.pool.look("support", replace=True).count == 1
    assert bench.pool.publish("support", ADA, reason="all were wrong", replace=True).publication.count == 1


def test_an_example_is_critical_from_the_next_version_on_and_keeps_its_id(bench: ExampleBench) -> None:
    bench.take(3)
    first = bench.current()
    bench.pool.mark("support", ["m1", first.items[0].id[:12]], ADA, critical=True, tags={"team": "blue"})
    assert not any(each.critical for each in bench.current().items)
    bench.now += MONTH
    made = bench.pool.publish("support", ADA)
    assert made.merge.changed == made.publication.critical == len({"m1", first.items[0].label})
    assert [each.id for each in bench.current().items] == [each.id for each in first.items]
    assert made.publication.version != first.version
    assert sound(bench.current())
    assert bench.pool.mark("support", ["m1"], ADA, tags={"team": ""})[0].tags == {}


def test_an_example_that_nobody_knows_is_told(bench: ExampleBench) -> None:
    bench.take(3)
    for name in ("m9", "exm_", ""):
        with pytest.raises(Unknown, match="roadworthy evals examples support lists them"):
            bench.pool.mark("support", [name], ADA, critical=True)


def test_dropping_takes_out_of_the_pool_and_out_of_the_next_version(bench: ExampleBench) -> None:
    bench.take(3)
    bench.rows([{"message": "new", "topic": "other", "id": "new"}])
    assert bench.pool.drop("support", ["new", "m0"], UID) == (1, 1)
    bench.now += MONTH
    assert bench.pool.publish("support", ADA).publication.count == 2
    bench.take(3)  # it may come back
    bench.now += MONTH
    assert bench.pool.publish("support", ADA).publication.count == 3


def test_a_fifth_is_held_out_by_its_question_whatever_is_expected_and_wherever(bench: ExampleBench) -> None:
    bench.take(400)
    items = bench.current().items
    held = {each.id for each in items if each.held_out}
    assert 50 < len(held) < 110
    assert all((each.id in held) == is_held_out(each, 0.2) for each in items)
    other = msgspec.structs.replace(items[0], expected={"topic": "x"}, label="other")
    assert is_held_out(other, 0.2) == is_held_out(items[0], 0.2)
    assert {each.id for each in items if is_held_out(each, 0.1)} < held
    assert question_of(other) == question_of(items[0])


def test_what_somebody_wrote_into_the_pool_by_hand_is_not_published(bench: ExampleBench) -> None:
    bench.take(3)
    bench.rows([{"message": "new", "topic": "other"}])
    with bench.state.write() as tx:
        rows = tx._trials_change.waiting
        [(key, (waiting, token))] = rows.items()
        rows[key] = waiting, token[:-4] + "AAAA"
    assert bench.pool.look("support").items == []


def test_a_file_with_errors_puts_nothing_in(bench: ExampleBench) -> None:
    from roadworthy.evals.importing import NotImported

    with pytest.raises(NotImported):
        bench.pool.take("support", '{"message": "a", "topic": "b"}\n{', Columns(expect=["topic"]), ADA)
    assert bench.evals.published("support") is None
    assert bench.pool.look("support").items == []


def test_what_is_asked_can_be_redacted_before_anything_is_kept(bench: ExampleBench) -> None:
    def redacted(example: Example) -> Example:
        text = json.dumps(example.messages).replace("a@b.com", "[email]")
        return msgspec.structs.replace(example, messages=json.loads(text), id="exm_" + "0" * 16)

    rows = json.dumps({"message": "I am a@b.com", "topic": "other"})
    bench.pool.take("support", rows, Columns(expect=["topic"]), UID, redacted=redacted)
    [waiting] = bench.pool.look("support").items
    assert waiting.example.messages[0]["content"] == "I am [email]"


def test_other_scorers_are_published_though_no_example_waits(bench: ExampleBench) -> None:
    bench.take(20)
    with pytest.raises(Refused, match="nothing waits"):
        bench.pool.publish("support", ADA, reason="again")
    bench.apply(evals=EvalPlan(scorers={"topic": ScorerSpec("normalised", {"field": "topic"})}))
    before = bench.evals.published("support")
    assert before is not None
    assert bench.pool.look("support").anew
    bench.now += 1
    made = bench.pool.publish("support", ADA, reason="capitals are fine").publication
    assert (made.version, made.scorers == before.scorers) == (before.version, False)
    with pytest.raises(Refused, match="nothing waits"):
        bench.pool.publish("support", ADA, reason="again")


def test_what_should_be_answered_can_be_said_of_an_example_that_waits_and_of_one_that_is_published(
    bench: ExampleBench,
) -> None:
    bench.take(20)
    bench.rows([{"id": "new", "message": "Where is it?", "topic": "other"}], UID)
    [waiting] = bench.pool.mark("support", ["new"], BO, expected={"topic": "parcel"}, text="It comes tomorrow.")
    assert [each.example for each in bench.pool.look("support").items] == [waiting]
    [corrected] = bench.pool.mark("support", ["m3"], BO, expected={"topic": "return"})
    assert bench.pool.look("support").eased == ["1 with another expectation"]
    bench.now += 1
    made = bench.pool.publish("support", ADA, reason="they were wrong")
    assert (made.merge.added, made.merge.corrected, made.publication.count) == (1, 1, 21)
    assert sound(bench.current())
    assert {each.label: each.expected["topic"] for each in bench.current().items if each.label in ("new", "m3")} == {
        "new": "parcel", "m3": "return",
    }  # fmt: skip
    assert corrected.id in {each.id for each in bench.current().items}
    with pytest.raises(Refused, match="cannot be called exact"):
        bench.pool.mark("support", ["m4"], BO, expected={"exact": "x"})
