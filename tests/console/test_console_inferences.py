"""Finding past calls in the console, and one of them whole."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import msgspec
import pytest

from roadworthy.inference_log.model import Batch
from roadworthy.workflow.inference import Attempt, Check, Feedback, Inference, Rung, Tokens, new_inference_id
from support.console import FILES, Browser, Console, text_of

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
LONG = "word " * 800


def call(number: int, ts: float, **fields: object) -> Inference:
    asked = {"messages": [{"role": "user", "content": fields.pop("asked", "Where is my parcel?")}]}
    answer = {"choices": [{"message": {"role": "assistant", "content": fields.pop("said", "On its way.")}}]}
    made: dict[str, object] = {
        "id": new_inference_id(ts, number), "ts": ts, "team": "default", "workflow": "triage", "outcome": "answered",
        "unit": f"u-{number}", "unit_source": "header", "key": "key_1", "target": "main", "model_answered": "sim-1",
        "latency": 0.5, "tokens": Tokens(input=100, output=20), "cost_usd": 0.002,
        "attempts": [
            Attempt("main", ended=0.5, first_token=0.2, status=200, tokens=Tokens(input=100, output=20), cost_usd=0.002)
        ],
        "request": msgspec.Raw(msgspec.json.encode(asked)), "response": msgspec.Raw(msgspec.json.encode(answer)),
    }  # fmt: skip
    return Inference(**{**made, **fields})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """With a workflow of another team beside the usual one."""
    vault = FILES["workflows/triage/workflow.yaml"].replace(
        "owners: {workflow: ada", "team: other\nowners: {workflow: sky"
    )
    files = {**FILES, "workflows/vault/workflow.yaml": vault, "workflows/vault/prompt.md": "You are discreet.\n"}
    made = Console(tmp_path_factory.mktemp("console"), files)
    yield made
    made.close()


@pytest.fixture(scope="module")
def calls(console: Console) -> list[Inference]:
    """Newest last: plain ones, one of another team's workflow, one that has everything, one that is long."""
    now = console.clock.now
    rows = [call(number, now - 7200.0 + number * 60.0) for number in range(60)]
    rows.append(call(70, now - 3000.0, workflow="vault", team="other", unit="u-other"))
    rows.append(
        call(
            71, now - 1000.0, outcome="recovered", failure="slow", unit="u-42", target="backup", tags={"topic": EVIL},
            asked=EVIL, said='{"topic": "return", "why": "<b>bold</b>"}', latency=6.0, session="s-1",
            attempts=[
                Attempt("main", ended=4.0, failure="slow", detail="no first token in 4 s", status=504),
                Attempt("backup", step="target", started=4.0, first_token=5.0, ended=6.0, status=200, cost_usd=0.002),
            ],
            ladder=[Rung("slow", "target", "backup", 4.0)],
            checks=[Check("promises", True, seconds=0.002), Check("tone", False, EVIL, failure=None, score=0.9)],
        )
    )  # fmt: skip
    rows.append(call(72, now - 900.0, said=LONG, cost_usd=None, cost_unknown="no price for sim"))
    said = Feedback(rows[-2].id, now - 500.0, "thumb", 0.0, "down", "u-42")
    console.control.store.ship(Batch(ends=rows, feedback=[said]))
    return rows


@pytest.fixture
def ada(console: Console, calls: list[Inference]) -> Browser:
    return console.browser("ada")


def rows_of(page: str) -> list[str]:
    return re.findall(r'<tr id="(inf_\w+)"', page)


def test_the_newest_calls_come_first_and_no_text_is_among_them(ada: Browser, calls: list[Inference]) -> None:
    page = ada.get("/inferences")
    newest = sorted(calls, key=lambda row: -row.ts)
    assert rows_of(page) == [row.id for row in newest[:50]]
    assert "parcel" not in page


def test_older_and_newer_lead_back_and_forth(ada: Browser) -> None:
    first = ada.get("/inferences")
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older
    second = ada.get(older.group(1).replace("&amp;", "&"))
    newer = re.search(r'rel="prev" href="([^"]+)"', second)
    assert newer
    assert rows_of(ada.get(newer.group(1).replace("&amp;", "&"))) == rows_of(first)
    assert not set(rows_of(first)) & set(rows_of(second))


def test_a_line_is_understood_and_says_how(ada: Browser, calls: list[Inference]) -> None:
    page = ada.get("/inferences?q=user+u-42+today+recovered+nonsense")
    assert rows_of(page) == [calls[-2].id]
    told = text_of(page)
    for said in ("user u-42", "outcome recovered", "“nonsense” was not understood"):
        assert said in told
    assert 'href="/inferences?q=user+u-42+today+nonsense"' in page


def test_an_id_or_its_beginning_opens_the_call(ada: Browser, calls: list[Inference]) -> None:
    for ident in (calls[3].id, calls[3].id[:20]):
        assert ada.request("GET", f"/inferences?q={ident}").headers["location"] == f"/inferences/{calls[3].id}"
    assert "no call in the log begins so" in text_of(ada.get("/inferences?q=inf_00000000"))


def test_only_the_newest_of_now_are_live(ada: Browser) -> None:
    assert "sse:log" in ada.get("/inferences")
    for quiet in ("?live=0", "?q=yesterday", "?q=%22parcel%22", "?after=1~!"):
        assert "sse:log" not in ada.get(f"/inferences{quiet}"), quiet


def test_nobody_sees_another_teams_calls(ada: Browser, console: Console, calls: list[Inference]) -> None:
    other = next(row for row in calls if row.workflow == "vault")
    sky = console.browser("sky")
    assert rows_of(sky.get("/inferences")) == [other.id]
    assert "that you may read" in text_of(sky.get(f"/inferences/{calls[0].id}", 404))
    assert [row["id"] for row in msgspec.json.decode(sky.get("/inferences/export?format=json"))] == [other.id]
    vi = console.browser("vi")
    assert other.id not in vi.get("/inferences?q=u-other")
    assert other.id not in vi.get("/inferences/export?q=u-other")
    vi.get(f"/inferences/{other.id}/json", 404)


def test_one_call_tells_everything(ada: Browser, calls: list[Inference]) -> None:
    page = ada.get(f"/inferences/{calls[-2].id}")
    told = text_of(page)
    for said in (
        "Answered after trouble", "no first token in 4 s", "slow 504", "after slow : target backup", "recorded only",
        "u-42 (from header)", "backup / sim-1", "thumb: down by u-42", "Same minute",
    ):  # fmt: skip
        assert said in told, said
    assert "&#34;topic&#34;: &#34;return&#34;" in page
    assert len(re.findall('<svg class="timeline"', page)) == 2


def test_what_callers_and_models_wrote_is_text(ada: Browser, calls: list[Inference]) -> None:
    for path in (f"/inferences/{calls[-2].id}", "/inferences?q=%3Cscript%3Ealert(1)%3C/script%3E"):
        page = ada.get(path)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "<b>bold" not in page
        assert "style=" not in page


def test_a_long_answer_is_folded_and_an_unknown_cost_is_not_nothing(ada: Browser, calls: list[Inference]) -> None:
    page = ada.get(f"/inferences/{calls[-1].id}")
    assert re.search(r'<details class="fold"><summary>word .*?4,000 characters', page, re.S) or "4k characters" in page
    assert "no price for sim" in text_of(page)


def test_that_a_text_was_read_is_audited_every_time(ada: Browser, console: Console, calls: list[Inference]) -> None:
    before = len(console.audit())
    ada.get(f"/inferences/{calls[5].id}")
    ada.get(f"/inferences/{calls[5].id}/json")
    ada.get("/inferences?q=%22parcel%22+today")
    ada.get("/inferences")
    told = [line for line in console.audit()[before:]]
    assert told == [
        f"ada inference.read inference/{calls[5].id} done",
        f"ada inference.read inference/{calls[5].id} done",
        "ada inference.search_texts inferences done",
    ]


def test_a_search_in_texts_finds_what_was_said(ada: Browser, calls: list[Inference]) -> None:
    assert rows_of(ada.get("/inferences?q=%22parcel%22+u-7")) == [calls[7].id]


def test_an_export_is_what_the_search_found(ada: Browser, console: Console) -> None:
    rows = list(csv.DictReader(io.StringIO(ada.get("/inferences/export?q=u-7&format=csv"))))
    assert [row["unit"] for row in rows] == ["u-7"]
    assert "request" not in rows[0]
    whole = msgspec.json.decode(ada.get("/inferences/export?q=u-7&format=json&texts=1"))
    assert whole[0]["request"]["messages"][0]["content"] == "Where is my parcel?"
    with console.control.state.read() as tx:
        last = tx.last_audit()
    assert last is not None
    assert last.action == "inference.export"
    assert "u-7" not in repr(last.after)
    assert "expected csv or json" in text_of(ada.get("/inferences/export?format=xml", 422))
    assert "was" in text_of(ada.get("/inferences/export?q=a+b+c+nonsense+words", 422))


def test_a_wrong_answer_is_reported_to_the_owner(ada: Browser, console: Console, calls: list[Inference]) -> None:
    page = ada.done(f"/inferences/{calls[9].id}/report", {"why": "It is rude"}, on=f"/inferences/{calls[9].id}")
    assert "who owns triage" in text_of(page)
    [made] = console.services.incidents.list(inference=calls[9].id)
    assert "It is rude" in made.told
    assert f"/incidents/{made.id}" in page


def test_a_call_becomes_an_example_with_what_was_expected(
    ada: Browser, console: Console, calls: list[Inference]
) -> None:
    page = ada.done(
        f"/inferences/{calls[11].id}/example", {"expect:topic": "delivery", "text": "On its way.", "critical": "1"}
    )
    assert "waits in the pool of triage, critical" in text_of(page)
    assert "Your admin can grant it" in text_of(
        console.browser("vi").post(f"/inferences/{calls[12].id}/example", {}, on="/inferences").text
    )


def test_a_call_that_is_not_there_says_so(ada: Browser) -> None:
    assert "no inference" in text_of(ada.get("/inferences/inf_" + "0" * 32, 404))
    assert "cursor" in text_of(ada.get("/inferences?after=x", 422))
