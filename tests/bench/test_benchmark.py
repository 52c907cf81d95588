"""The report says what was found and admits what was not; nothing that was started stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bench.peers import ALL
from bench.peers.base import FromPyPI, NotInstalled, Peer, installed
from bench.table import Run

from bench import payloads, processes, run, table

HEAD = {
    "date": "2026-01-01",
    "cpu": "a CPU",
    "cores": 2,
    "memory_gib": 8,
    "kernel": "6.1",
    "python": "3.11.7",
    "versions": {"direct": "", "nginx": "1.22", "roadworthy": "0.1.0"},
    "missing": {"portkey": "npm: no network"},
    "quick": False,
    "seconds": 5.0,
}


def result(**changes: Any) -> dict[str, Any]:
    base = {"good": 500, "finished": 500, "unfinished": 0, "bad_status": 0, "broken": 0, "per_second": 100.0}
    base |= {"p50": 0.2, "p99": 0.5, "first_p50": 1.0, "first_p99": 2.0, "events_per_second": 26_000.0}
    return {**base, "streams_whole": 960, "streams_cut": 0, "stalls": 0, "gateway_cpu": 0.1, "foreign": 0.01, **changes}


def visit(peer: str, number: int, **measures: dict[str, Any]) -> dict[str, Any]:
    return {"peer": peer, "round": number, "at": "12:00:00", "measures": measures}


def lines(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(f"| {start}")]


def test_a_cell_is_the_median_with_its_spread() -> None:
    visits = [visit("nginx", i, closed64=result(per_second=rate)) for i, rate in enumerate((30_000, 41_234, 35_500))]
    (row,) = lines(table.requests_table(Run({**HEAD, "missing": {}}, visits)), "nginx")
    assert "| 35,500 [30,000–41,200] |" in row


def test_added_latency_is_over_direct_in_the_same_round() -> None:
    visits = [
        visit("direct", 0, open500=result(p50=0.2)),
        visit("direct", 1, open500=result(p50=1.2)),
        visit("nginx", 0, open500=result(p50=0.5)),
        visit("nginx", 1, open500=result(p50=1.6)),
    ]
    assert table.added(Run(HEAD, visits), "nginx", "open500", "p50") == pytest.approx([0.3, 0.4])


def test_a_rate_that_was_not_held_has_no_latency() -> None:
    late = result(good=200, finished=210, unfinished=290)
    visits = [visit("direct", 0, open500=result()), visit("nginx", 0, open500=late)]
    found = Run(HEAD, visits)
    assert table.added(found, "nginx", "open500", "p50") == []
    assert table.added_cell(found, "nginx", "open500", "p50") == "not held: 40% served"


def test_a_peer_that_cannot_be_installed_is_named_with_its_reason() -> None:
    report = table.render(Run(HEAD, [visit("direct", 0, closed64=result())]))
    assert lines(report, "Portkey gateway | not installed | – |")
    assert "- portkey: not installed: npm: no network" in report


def test_a_peer_that_does_not_start_is_named_with_its_reason() -> None:
    report = table.render(Run(HEAD, [{**visit("nginx", 0), "failed": "did not start: port taken"}]))
    assert lines(report, "nginx (plain reverse proxy) 1.22 | did not start |")
    assert "- nginx: round 1: did not start: port taken" in report


def test_refused_requests_stand_beside_the_rate() -> None:
    visits = [visit("nginx", 0, closed64=result(bad_status=7, per_second=100))]
    assert table.cell(table.results(Run(HEAD, visits), "nginx", "closed64"), "per_second") == "100 (7 failed)"


def test_a_budget_that_is_missed_is_called_missed() -> None:
    visits = [
        {**visit("roadworthy", 0, closed64=result(per_second=9_000)), "ready_seconds": 0.9, "memory_loaded": 130.0},
        visit("nginx", 0, closed64=result(per_second=20_000)),
    ]
    rows = {budget.promise: budget.row() for budget in table.budgets(Run(HEAD, visits))}
    assert rows["≥ 10,000 requests/s on one core"].endswith("9,000 | **missed** |")
    assert rows["≥ 0.4 × nginx as a plain reverse proxy"].endswith("0.45 | met |")
    assert rows["ready within 1.5 s"].endswith("| met |")
    assert rows["gateway memory ≤ 120 MiB after load"].endswith("| **missed** |")
    assert rows["≥ 3 × TensorZero"].endswith("| not measured | |")


def test_the_page_keeps_everything_around_its_results(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write(page, Run(HEAD, [visit("direct", 0, closed64=result())]))
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{table.END}\nafter\n")
    assert "old" not in text
    assert "Run of 2026-01-01" in text


def test_the_committed_page_has_a_place_for_the_results_and_names_every_peer() -> None:
    text = run.DOCS.read_text()
    assert text.count(table.BEGIN) == text.count(table.END) == 1
    for kind in ALL:
        assert kind.title.removesuffix(" proxy").removesuffix(" gateway").split(" (")[0] in text


def test_results_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    visits = [visit("direct", 0, closed64=result())]
    path.write_text("\n".join(json.dumps(line) for line in ({"run": HEAD}, *visits)) + "\n")
    assert table.read(path) == Run(HEAD, visits)


def test_the_installers_own_last_word_is_the_reason(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('fetching'); print('no such version'); raise SystemExit(1)"]
    with pytest.raises(NotInstalled, match="pip: fetching / no such version"):
        installed(command, cwd=tmp_path, what="pip")
    with pytest.raises(NotInstalled, match=r"npm: .* is not on this machine"):
        installed([tmp_path / "no-such-program"], cwd=tmp_path, what="npm")


def test_a_peer_is_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str | Path]] = []
    monkeypatch.setattr("bench.peers.base.installed", lambda command, *, cwd, what: ran.append(command))

    class Some(FromPyPI):
        name = "some"
        requirements = ("some==1.2",)

    assert Some(tmp_path).install() == Some(tmp_path).install() == "1.2"
    assert len(ran) == 2  # the environment and the package, the first time only


def test_a_peer_that_dies_at_start_is_not_waited_for(tmp_path: Path) -> None:
    class Dying(Peer):
        name = "dying"

    peer = Dying(tmp_path)
    process = processes.start([sys.executable, "-c", "raise SystemExit('no port left')"], core=None, log=peer.log())
    running = run.Running(process, {})
    process.wait(20)
    with pytest.raises(run.NotReady, match=r"ended with code 1.*no port left"):
        run.first_answer(peer, running, time.monotonic())


def test_stopping_a_process_ends_its_descendants(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    log = tmp_path / "log.txt"
    process = processes.start([sys.executable, "-c", script], core=None, log=log)
    deadline = time.monotonic() + 20
    while not log.read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child = int(log.read_text())
    assert set(processes.tree(process.pid)) == {process.pid, child}
    processes.stop(process, grace=5)
    assert processes.birth(child) is None
    assert process.poll() is not None


def test_what_the_benchmark_started_dies_with_it(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from bench import processes;"
        f"p = processes.start(['sleep', '60'], core=None, log=Path({str(tmp_path)!r}) / 'log.txt');"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    outer = subprocess.Popen([sys.executable, "-c", script], cwd=run.HERE.parent, stdout=subprocess.PIPE, text=True)
    assert outer.stdout is not None
    child = int(outer.stdout.readline())
    assert processes.birth(child) is not None
    os.kill(outer.pid, signal.SIGKILL)
    outer.wait()
    outer.stdout.close()
    deadline = time.monotonic() + 20
    while processes.birth(child) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_requests_and_streams_are_what_the_page_says() -> None:
    assert 1_500 <= len(payloads.request("instant", payloads.MODEL)) <= 1_900
    assert 1_000 <= len(payloads.answer()) <= 1_200
    assert len(payloads.events()) == 54
    body = json.loads(payloads.request("stream256", "m", user=None))
    assert body["stream"] is True
    assert "user" not in body


@pytest.mark.parametrize("wrong", [["--only", "nginx,nobody"], ["--measure", "nothing"], ["--rounds", "0"]])
def test_a_wrong_option_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.arguments(wrong)
    assert "error" in capsys.readouterr().err
