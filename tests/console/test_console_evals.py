"""What a workflow is judged by, in the console: a file becomes examples, people score, runs stand side by side."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator

import pytest

from roadworthy.evals.model import Answer, Run
from roadworthy.evals.turns import LIFE
from roadworthy.operations.proving.eval_plans import Order
from roadworthy.workflow.service import Actor
from support.console import FILES, Browser, Console, text_of

RUBRIC = "# Rubric\n\n## good = 1\nSend it.\n> Sent.\n\n## bad = 0\nDo not.\n> No.\n"
EVIL = "<script>alert(1)</script>"
PEOPLE = FILES["people.yaml"] + "  sam: {name: Sam Score, email: sam@example.com, roles: [scorer]}\n"
CASES = {
    **FILES,
    "people.yaml": PEOPLE,
    "workflows/triage/workflow.yaml": FILES["workflows/triage/workflow.yaml"].replace(
        "policy: {", "rubric: rubric.md\nevals: {held_out: 0.4}\npolicy: {gate: {floors: {topic: 0.8}}, "
    ),
    "workflows/triage/rubric.md": RUBRIC,
}
HOME = "/evals/triage"
SCORE = f"{HOME}/score"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """Twelve examples, published through the console by their owner, the rubric signed, all of them answered."""
    made = Console(tmp_path_factory.mktemp("evals"), CASES)
    ada = made.browser("ada")
    rows = "id,message,topic\n" + "".join(f"m{at},{at}: about {EVIL},billing\n" for at in range(12))
    seen = ada.post(f"{HOME}/import", {"pasted": rows, "expect": "topic", "label": "id"}, on=f"{HOME}/import")
    assert seen.status_code == 200
    assert "12" in text_of(seen.text)
    assert not made.services.evals.evals.published("triage"), "a preview changes nothing"
    [asked] = re.findall(r'name="asked" value="([^"]*)"', seen.text)
    page = ada.done(f"{HOME}/import/take", {"asked": html.unescape(asked)}, on=f"{HOME}/import")
    assert "Published 12 examples" in text_of(page)
    assert "You signed the rubric" in text_of(ada.done(f"{HOME}/rubric/sign", on=f"{HOME}/rubric"))
    answered(made, "evr_00000000000000aa", '{{"topic": "billing", "said": "{}"}}')
    yield made
    made.close()


def answered(console: Console, ident: str, says: str) -> Run:
    evals = console.services.evals.evals
    examples = evals.current("triage").examples
    run = evals.begin(
        Run(
            id=ident, team="default", workflow="triage", release="rel_1", number=1, behaviour="beh_1",
            handling="han_1", set_version=examples.version, scorers="scr", floors={}, margin=0.1, policy="pol",
            examples=len(examples.items), began=console.clock(), by="ada", purpose="answers",
        )
    )  # fmt: skip
    for each in examples.items:
        evals.keep(Answer(run=ident, example=each.id, at=1.0, outcome="answered", text=says.format(each.label)))
    return run


def hidden(page: str) -> dict[str, str]:
    """What the scoring form names."""
    return {name: re.findall(rf'name="{name}" value="([^"]*)"', page)[0] for name in ("example", "answer", "run")}


def scored(browser: Browser, value: str = "good") -> str:
    page = browser.get(SCORE)
    return browser.done(SCORE, {**hidden(page), "value": value}, on=SCORE)


def test_whoever_scores_is_asked_on_the_first_page_and_a_viewer_is_not(desk: Console) -> None:
    page = text_of(desk.browser("sam").get("/"))
    assert "Score 12 conversations of triage" in page
    assert "6 min" in page
    assert "conversations of triage" not in text_of(desk.browser("vi").get("/"))


def test_a_scorer_goes_through_answers_one_at_a_time_with_the_rubric_beside_them(desk: Console) -> None:
    sam = desk.browser("sam")
    page = sam.get(SCORE)
    assert "1 of 12, about 6 min left" in text_of(page)
    assert "Send it." in text_of(page)
    assert 'data-key="1 g"' in page
    assert EVIL not in page
    assert html.escape(EVIL) in page
    assert "2 of 12" in text_of(scored(sam))
    before = hidden(sam.get(SCORE))
    assert hidden(sam.done(f"{SCORE}/skip", before, on=SCORE)) != before
    assert "here it is again" in text_of(again := sam.done(f"{SCORE}/back", on=SCORE))
    assert hidden(again) == before
    assert "“good” was taken back" in text_of(sam.done(f"{SCORE}/back", on=SCORE))
    assert "1 of 12" in text_of(sam.get(SCORE))
    assert "nothing of this sitting" in text_of(sam.done(f"{SCORE}/back", on=SCORE))


def test_two_people_never_have_the_same_answer_before_them_and_who_is_late_is_told(desk: Console) -> None:
    sam, bo = desk.browser("sam"), desk.browser("bo")
    mine = hidden(sam.get(SCORE))
    assert hidden(bo.get(SCORE)) != mine
    late = bo.done(SCORE, {**mine, "value": "bad"}, on=SCORE)
    assert "sam is scoring this answer now; nothing of yours was kept" in text_of(late)
    held = bo.post(f"{SCORE}/hold", mine, on=SCORE)
    assert "sam is scoring this answer now" in held.text
    assert sam.post(f"{SCORE}/hold", mine, on=SCORE).status_code == 204
    desk.clock.now += LIFE + 1
    assert bo.post(f"{SCORE}/hold", mine, on=SCORE).status_code == 204, "who has gone keeps nothing from others"


def test_whoever_reads_an_example_or_an_answer_is_in_the_audit_trail(desk: Console) -> None:
    before = len(desk.audit())
    desk.browser("sam").get(SCORE)
    desk.browser("ada").get(f"{HOME}/examples")
    desk.browser("vi").get(HOME)
    read = [row for row in desk.audit()[before:] if "read" in row]
    assert read == [f"{who} examples.read workflow/triage done" for who in ("sam", "ada")]


def test_without_a_value_nothing_is_kept_and_the_page_says_what_to_do(desk: Console) -> None:
    sam = desk.browser("sam")
    page = sam.get(SCORE)
    assert "Choose a value first" in text_of(sam.done(SCORE, hidden(page), on=SCORE))


def test_whoever_has_no_role_that_scores_sees_the_evals_and_scores_nothing(desk: Console) -> None:
    vi = desk.browser("vi")
    assert "You have no role that scores" in text_of(vi.get(HOME))
    vi.get(SCORE, 403)
    assert vi.post(f"{HOME}/pool/publish", on=HOME).status_code == 403
    assert desk.browser("sky").get(HOME, 403), "another team"


def test_held_out_examples_are_counted_and_never_shown(desk: Console) -> None:
    page = text_of(desk.browser("ada").get(f"{HOME}/examples"))
    found = desk.services.evals.evals.current("triage").examples.items
    out = [each for each in found if each.held_out]
    assert out
    assert f"{len(out)} of them are held out and not shown" in page
    shown = {each.label for each in found if re.search(rf"\b{each.label}\b", page)}
    assert shown == {each.label for each in found if not each.held_out}


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("id,message,topic\nm1,,billing\n", "line 2"),
        ('{"message": "x", "topic": "a"}\nnot json\n', "2"),
        ("id,text\nm1,hello\n", "has no 'message'"),
    ],
)
def test_a_file_that_is_not_understood_is_refused_by_line_and_nothing_is_taken(
    desk: Console, rows: str, why: str
) -> None:
    before = desk.audit()
    ada = desk.browser("ada")
    page = ada.post(f"{HOME}/import", {"pasted": rows, "expect": "topic"}, on=f"{HOME}/import")
    assert page.status_code == 422
    assert "Nothing was taken" in text_of(page.text)
    assert why in text_of(page.text)
    assert len(desk.audit()) - len(before) <= 2, "nothing but the login"


def test_a_later_file_waits_and_only_the_owner_publishes_it_with_a_reason_when_it_is_early(desk: Console) -> None:
    bo, ada = desk.browser("bo"), desk.browser("ada")
    seen = bo.post(
        f"{HOME}/import", {"pasted": "id,message,topic\nz1,one more,billing\n", "expect": "topic"},
        on=f"{HOME}/import",
    ).text  # fmt: skip
    [asked] = re.findall(r'name="asked" value="([^"]*)"', seen)
    page = text_of(bo.done(f"{HOME}/import/take", {"asked": html.unescape(asked)}, on=f"{HOME}/import"))
    assert "1 example waits in the pool" in page
    assert "Ada Lovelace, who owns triage, publishes it" in page
    assert "cannot publish examples" in text_of(bo.done(f"{HOME}/pool/publish", on=f"{HOME}/pool"))
    assert "say why" in text_of(ada.done(f"{HOME}/pool/publish", on=f"{HOME}/pool"))
    said = bo.done(f"{HOME}/pool/expect", {"example": "z1", "expect:topic": "return"}, on=f"{HOME}/pool")
    assert "z1 expects that from the next version on" in text_of(said)
    [waiting] = desk.services.evals.pool.look("triage").items
    assert waiting.example.expected == {"topic": "return"}
    dropped = ada.done(f"{HOME}/pool/drop", {"example": waiting.example.id}, on=f"{HOME}/pool")
    assert "1 taken out of the pool" in text_of(dropped)
    assert "Nothing waits" in text_of(dropped)


def test_the_last_answer_is_followed_by_how_far_people_agree_and_what_to_do_next(desk: Console) -> None:
    sam = desk.browser("sam")
    desk.clock.now += LIFE + 1
    rater = Actor("sam")
    for at, each in enumerate(desk.services.evals.hand.desk("triage", rater).items[1:]):
        value = "bad" if at % 5 == 0 else "good"
        desk.services.evals.hand.score("triage", each.example.id, each.answer, value, rater)
    page = scored(sam)
    assert "Nothing is left for you" in text_of(page)
    assert "Run the gate" in text_of(page)
    bo = desk.browser("bo")
    while "Nothing is left" not in (page := bo.get(SCORE)):
        assert "sam" not in text_of(page).partition("asked")[2], "who scored it before is not told"
        scored(bo, "good")
    assert "two people" in text_of(page)


def run_of(console: Console, answers: dict[str, str]) -> Run:
    """A complete run of the frozen release, as a gateway would have left it.  ``answers``: label → text; the rest is
    right."""
    gate = console.services.evals.gate
    run = gate.begin(gate.ready(Order("triage", purpose="check", fresh=True)), Actor("ada"))
    right = '{"topic": "billing"}'
    for each in gate.evals.current("triage").examples.items:
        text = answers.get(each.label, right)
        gate.evals.keep(
            Answer(run=run.id, example=each.id, at=1.0, outcome="answered", text=text, model_answered="sim")
        )
    console.clock.now += 60
    return run


def test_a_run_stands_beside_another_with_what_got_worse_first_and_nothing_of_what_is_held_out(desk: Console) -> None:
    desk.services.workflows.freeze("triage", Actor("bo"))
    ada = desk.browser("ada")
    items = desk.services.evals.evals.current("triage").examples.items
    open_, out = [each for each in items if not each.held_out], [each for each in items if each.held_out]
    mended, broken, hidden_ = open_[0].label, open_[1].label, out[0].label
    bad = json.dumps({"topic": f"returns {EVIL}"})
    old = run_of(desk, {mended: bad})
    new = run_of(desk, {broken: bad, hidden_: bad})
    page = ada.get(f"{HOME}/runs/{new.id}?against={old.id}")
    said = text_of(page)
    assert "2 worse , 1 better; 2 of 12 not as expected" in said
    assert said.index(f"{broken} worse") < said.index(f"{mended} better")
    assert "A try: nothing that counts comes of it" in said
    assert EVIL not in page
    assert f"{hidden_} worse held out What it asks and what was answered is not shown." in said
    assert f"{hidden_[1:]}: about" not in said
    both = text_of(ada.get(f"{HOME}/compare?a={old.id}&b={new.id}"))
    assert "Worse: 2" in both
    assert "topic 1 → 0" in both
    wrong = text_of(ada.get(f"{HOME}/runs/{new.id}?wrong=yes"))
    assert f"{broken} " in wrong
    assert f"{mended} better" not in wrong
    assert text_of(ada.get(HOME)).count("a try") == 2
    ada.get(f"/evals/other/runs/{new.id}", 404)


def test_what_a_run_would_cost_is_said_before_it_begins_and_what_is_no_money_is_refused(desk: Console) -> None:
    ada = desk.browser("ada")
    page = text_of(ada.get(f"{HOME}/plan?purpose=check&sample=5"))
    assert "You may close the page: it goes on" in page
    assert "what it can see" in page
    assert "expected dollars" in text_of(ada.get(f"{HOME}/plan?purpose=check&usd=lots", 422))
    assert "expected a whole number" in text_of(ada.get(f"{HOME}/plan?purpose=check&sample=-1", 422))
    assert "it needs the permission" in text_of(desk.browser("vi").get(f"{HOME}/plan?purpose=check"))
