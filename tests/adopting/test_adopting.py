"""``roadworthy adopt``: an app that changes its base URL and its key, and nothing else, gets a workflow of its own."""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import httpx2
import openai
import pytest
from pydantic import BaseModel

from support.provider import Rehearsal
from support.up import Up, clean_env, exported, roadworthy
from support.waiting import die_with_this_process

HERE = Path(__file__).parent
QUESTIONS = [
    ("Ada", "gold", "Where is my bike?"),
    ("Bo", "basic", "The brake squeaks."),
    ("Cy & Sons", "gold", "Do you buy old bikes?"),
    ("Di", "family", "My bell fell off."),
]


class Shop:
    """The app of ``shop.py`` under uvicorn, told where its model is by two variables."""

    def __init__(self, folder: Path, base_url: str, key: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "shop:app", "--port", "0", "--no-access-log"],
            cwd=folder,
            env=clean_env({"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": key}),
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_this_process,
        )
        self._url: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self._url.get(timeout=30)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            found = re.search(r"running on (http://\S+)", line)
            if found:
                self._url.put(found[1])

    def ask(self, customer: str, plan: str, text: str) -> httpx2.Response:
        question = {"customer": customer, "plan": plan, "text": text}
        return httpx2.post(f"{self.url}/ask", json=question, timeout=20, trust_env=False)

    def ask_all(self) -> None:
        for question in QUESTIONS:
            answer = self.ask(*question)
            assert answer.status_code == 200, answer.text
            assert answer.json()["reply"]

    def __enter__(self) -> Shop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(10)
        self._reader.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()


class Adopted(NamedTuple):
    folder: Path
    """Where the operator works: configuration and data folder."""
    up: Up
    shop: Shop
    provider: Rehearsal
    commands: list[str]
    """What was typed on the way."""
    said: str
    """By the last of them."""
    exports: dict[str, str]
    before: list[dict[str, Any]]
    """Records before there was a release."""


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    with Rehearsal(tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory, provider: Rehearsal) -> Iterator[Adopted]:
    """An app taken over, as its developer would: every command is counted."""
    folder = tmp_path_factory.mktemp("a")
    commands: list[str] = []

    def typed(command: str) -> str:
        commands.append(command)
        return roadworthy(*command.split()[1:], cwd=folder).stdout

    commands.append("roadworthy up")
    with Up(folder, data=folder / ".roadworthy", cwd=folder, env={"OPENAI_API_KEY": "sk-of-the-provider"}) as up:
        up.said("control ")
        exports = exported(typed(f"roadworthy adopt desk --endpoint {provider.url} --allow-private"))
        commands += [f"export {name}={value}" for name, value in exports.items()]
        commands.append("uvicorn shop:app")
        with Shop(HERE, exports["OPENAI_BASE_URL"], exports["OPENAI_API_KEY"]) as shop:
            up.caught_up()
            shop.ask_all()
            before = up.records()
            said = typed("roadworthy adopt desk")
            up.caught_up()
            yield Adopted(folder, up, shop, provider, commands, said, exports, before)


def test_an_unchanged_app_is_adopted_in_at_most_six_commands(adopted: Adopted) -> None:
    assert len(adopted.commands) <= 6, adopted.commands
    assert sorted(adopted.exports) == ["OPENAI_API_KEY", "OPENAI_BASE_URL"]
    assert "Froze release 1 of desk" in adopted.said
    app = (HERE / "shop.py").read_text()
    assert len(app.splitlines()) <= 30
    assert "roadworthy" not in app.split('"""')[2].lower()


def test_until_then_it_was_passed_through_and_recorded(adopted: Adopted) -> None:
    assert {(row["route"], row["outcome"]) for row in adopted.before} == {("passthrough", "answered")}
    assert len(adopted.before) == len(QUESTIONS)
    record = adopted.up.record(adopted.before[-1]["id"])
    assert record["model_asked"] == "gpt-4o-mini"
    assert record["request"]["messages"][0]["content"].startswith("You answer for Bike & Co.\nThe customer is Ada")
    assert [call["asked"] for call in adopted.provider.calls()[:4]] == ["gpt-4o-mini"] * 4


def test_what_varied_became_holes_and_what_did_not_is_fixed(adopted: Adopted) -> None:
    workflow = adopted.folder / "workflows" / "desk"
    prompt = (workflow / "prompt.md").read_text()
    holes = re.findall(r"\{\{ *(\w+) *\}\}", prompt)
    assert len(holes) == 2
    assert re.sub(r"\{\{ *\w+ *\}\}", "_", prompt).strip() == (
        "You answer for Bike & Co.\nThe customer is _, on the _ plan. Be brief."
    )
    text = (workflow / "workflow.yaml").read_text()
    assert "parameters: {temperature: 0.2}" in text
    assert "enforcement: observe" in text
    assert "mode: app" in text
    assert roadworthy("check", ".", cwd=adopted.folder).stdout
    assert roadworthy("releases", "desk", cwd=adopted.folder).stdout


def test_afterwards_the_unchanged_app_is_served_by_its_release(adopted: Adopted) -> None:
    adopted.shop.ask_all()
    assert adopted.shop.ask("Eve, with a comma", "x" * 200, "New customer, new plan.").status_code == 200
    rows = adopted.up.records(route="release")[: len(QUESTIONS) + 1]
    assert len(rows) == len(QUESTIONS) + 1
    for row in rows:
        record = adopted.up.record(row["id"])
        assert record["outcome"] == "answered"
        assert not record.get("notes")
        assert not record.get("overrides")


def test_the_command_that_adopt_prints_next_works(adopted: Adopted) -> None:
    following = adopted.said.strip().splitlines()[-1].split()
    assert following[0] == "roadworthy"
    assert "passthrough" in roadworthy(*following[1:], cwd=adopted.folder).stdout


def test_a_prompt_changed_in_the_app_is_served_and_recorded_as_unreleased(adopted: Adopted, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text((HERE / "shop.py").read_text().replace("Be brief.", "Be rude."))
    with Shop(tmp_path, adopted.exports["OPENAI_BASE_URL"], adopted.exports["OPENAI_API_KEY"]) as changed:
        assert changed.ask("Ada", "gold", "Where is my bike?").status_code == 200
    record = adopted.up.record(adopted.up.records()[0]["id"])
    assert (record["route"], record["outcome"], record["notes"]) == ("release", "answered", ["prompt_unreleased"])
    listed = roadworthy("log", "--workflow", "desk", "--json", cwd=adopted.folder).stdout
    assert [line for line in listed.splitlines() if "prompt_unreleased" in line], listed


def test_a_model_changed_in_the_app_is_recorded_while_the_released_one_answers(
    adopted: Adopted, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text((HERE / "shop.py").read_text().replace("gpt-4o-mini", "gpt-5"))
    with Shop(tmp_path, adopted.exports["OPENAI_BASE_URL"], adopted.exports["OPENAI_API_KEY"]) as changed:
        assert changed.ask("Ada", "gold", "Where is my bike?").status_code == 200
    record = adopted.up.record(adopted.up.records()[0]["id"])
    assert (record["model_asked"], record["overrides"]) == ("gpt-4o-mini", ["model"])
    assert record["request"]["model"] == "gpt-5"


def test_what_was_adopted_once_is_never_drafted_over(adopted: Adopted) -> None:
    place = adopted.folder / "workflows" / "desk" / "workflow.yaml"
    mine = place.read_text().replace("description: desk, adopted from a running app.", "description: Mine.")
    place.write_text(mine)
    roadworthy("apply", ".", cwd=adopted.folder)
    refused = roadworthy("adopt", "desk", cwd=adopted.folder, code=1)
    assert "is adopted already" in refused.stderr
    assert place.read_text() == mine


# Apps of other kinds, the client itself standing for them


class Topic(BaseModel):
    topic: str
    urgent: bool


TOOLS: Any = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}]


def adopt(adopted: Adopted, name: str) -> openai.OpenAI:
    """A client bound to a new app that is passed through."""
    began = roadworthy(
        "adopt", name, "--endpoint", adopted.provider.url, "--allow-private", "--owner", "owner", cwd=adopted.folder
    )
    found = exported(began.stdout)
    adopted.up.caught_up()
    return openai.OpenAI(base_url=found["OPENAI_BASE_URL"], api_key=found["OPENAI_API_KEY"])


def call(client: openai.OpenAI, kind: str, number: int) -> dict[str, Any]:
    """One call of an app of this kind; our object of its answer."""
    messages: Any = [
        {"role": "system", "content": f"Sort mails of {2020 + number}."},
        {"role": "user", "content": "Hi"},
    ]
    answer: Any
    if kind == "parsed":
        answer = client.chat.completions.parse(model="gpt-4o", messages=messages, response_format=Topic)
        assert isinstance(answer.choices[0].message.parsed, Topic)
    elif kind == "streamed":
        answer = list(client.chat.completions.create(model="gpt-4o", messages=messages, stream=True))[-1]
    elif kind == "tools":
        answer = client.chat.completions.create(model="gpt-4o", messages=messages, tools=TOOLS)
        assert answer.choices[0].message.tool_calls
    elif kind == "plain":
        answer = client.chat.completions.create(model="gpt-4o", messages=messages[1:], max_tokens=100 + number)
    elif kind == "loose":
        schema = {"name": "t", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}
        wanted: Any = {"type": "json_schema", "json_schema": schema}
        answer = client.chat.completions.create(model="gpt-4o", messages=messages, response_format=wanted)
    else:
        answer = client.embeddings.create(model="text-embedding-3-small", input=f"mail {number}", dimensions=8)
    told: dict[str, Any] = answer.model_extra["roadworthy"]
    return told


@pytest.mark.parametrize("kind", ["parsed", "streamed", "tools", "plain", "loose", "embeddings"])
def test_every_kind_of_app_is_served_the_same_by_its_release(adopted: Adopted, kind: str) -> None:
    with adopt(adopted, kind) as client:
        for number in range(4):
            assert call(client, kind, number)["route"] == "passthrough"
        drafted = roadworthy("adopt", kind, cwd=adopted.folder).stdout
        assert f"Froze release 1 of {kind}" in drafted
        adopted.up.caught_up()
        told = call(client, kind, 7)
        assert (told["route"], told["outcome"]) == ("release", "answered")
        expected = {"plain": ["max_tokens"], "loose": ["response_format"]}.get(kind, [])
        assert told.get("overrides", []) == expected, drafted
        assert not told.get("notes")
        enforce(adopted, kind)
        assert call(client, kind, 9)["outcome"] == "answered"


def enforce(adopted: Adopted, name: str) -> None:
    """Trust the file, which has its evidence by now: from observe to enforce.  Nobody publishes prices for a provider
    on this machine."""
    install = adopted.folder / "roadworthy.yaml"
    priced = re.sub(r"(    model: (?:gpt-4o|text-embedding-3-small))$", r"\1\n    price: {input: 1, output: 2}",
                    re.sub(r"\n    price: .*", "", install.read_text()), flags=re.MULTILINE)  # fmt: skip
    install.write_text(priced)
    place = adopted.folder / "workflows" / name / "workflow.yaml"
    text = place.read_text()
    assert "enforcement: observe" in text
    assert "policy:" not in text
    place.write_text(text.replace("enforcement: observe", "policy: {projected_peak: 9}\nenforcement: enforce"))
    roadworthy("apply", ".", cwd=adopted.folder)
    adopted.up.prove(name)


def test_an_app_of_two_kinds_keeps_both_while_it_is_observed(adopted: Adopted) -> None:
    with adopt(adopted, "both") as client:
        for number in range(4):
            call(client, "streamed", number)
        assert call(client, "embeddings", 1)["route"] == "passthrough"
        drafted = roadworthy("adopt", "both", cwd=adopted.folder).stdout
        assert "1 of 5 calls are not chat calls" in drafted
        adopted.up.caught_up()
        assert call(client, "streamed", 5)["route"] == "release"
        assert call(client, "embeddings", 2)["route"] == "passthrough"


def test_too_few_calls_are_said_and_nothing_is_written(adopted: Adopted) -> None:
    with adopt(adopted, "rare") as client:
        call(client, "streamed", 1)
        refused = roadworthy("adopt", "rare", cwd=adopted.folder, code=1)
        assert "at least 3" in refused.stderr
        assert not (adopted.folder / "workflows" / "rare" / "prompt.md").exists()
