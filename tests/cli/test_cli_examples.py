"""What the commands on examples print, and how answers are scored in a terminal: one key a score.

Set ROADWORTHY_UPDATE_SNAPSHOTS=1 to write the files anew, then read the diff.
"""

from __future__ import annotations

import io
import os
import pty
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import msgspec
import pytest
from fake_admin import EVIL, NOW, Cli, refusal
from rich.console import Console

from roadworthy.cli.errors import CliError
from roadworthy.cli.keyboard import keyboard
from roadworthy.cli.scoring import Session
from roadworthy.evals.rubric import read

SNAPSHOTS = Path(__file__).parent / "snapshots"
RUBRIC = read("## good = 1\nSend it.\n> Sent.\n\n## partly = 0.5\n> Nearly.\n\n## bad = 0\n> No.\n")
VERSION = "set_" + "3" * 64


def example(at: int, **more: Any) -> dict[str, Any]:
    content = f"Where is parcel {at}? {EVIL}"
    return {"id": f"exm_{at:016x}", "messages": [{"role": "user", "content": content}], **more}


def publication(count: int = 100) -> dict[str, Any]:
    return {"version": VERSION, "count": count, "at": NOW - 3600, "by": "ada"}


def taken(**facts: Any) -> dict[str, Any]:
    return {
        "publication": None, "created": False, "waiting": 0, "known": 0, "repeated": 0, "passed_over": 0,
        "system_dropped": 0, "notes": [], "read": 3, "expecting": 3, "owner": "ada", **facts,
    }  # fmt: skip


WAITING = [
    {"example": example(1, expected={"topic": "delivery"}), "at": NOW - 60, "by": "bo", "source": "tickets.csv"},
    {"example": example(2, critical=True, tags={"team": "blue"}), "at": NOW - 50, "by": "os:1000", "source": "marked"},
    {"example": example(3), "at": NOW - 40, "by": "ada", "source": "dropped", "drop": True},
]
POOL = {
    "items": WAITING, "merge": {"items": [], "added": 1, "changed": 1, "corrected": 0, "dropped": 1}, "count": 100,
    "held_out": 21, "critical": 1, "publication": publication(), "due": NOW + 5 * 86_400, "owner": "ada",
}  # fmt: skip
SAMPLE = {
    "workflow": "support-triage", "source": "live", "days": 30.0, "calls": 12_345, "looked_at": 4000, "redacted": False,
    "passed": {"without_body": 7, "unreadable": 0, "known": 12},
    "found": [{"example": example(at), "answered": at > 1} for at in range(1, 4)],
    "coverage": {
        "calls": 3981, "different": 2210, "kinds": 31, "covered": 27, "share": 0.974, "unseen": 0.0012,
        "parts": [
            {"dimension": "outcome", "value": "answered", "traffic": 0.97, "sample": 0.8},
            {"dimension": "outcome", "value": "escalated", "traffic": 0.03, "sample": 0.2},
            {"dimension": "length", "value": "short", "traffic": 1.0, "sample": 1.0},
            {"dimension": "theme", "value": f"refund {EVIL}", "traffic": 0.4, "sample": 0.3},
            {"dimension": "theme", "value": "hardly ever", "traffic": 0.001, "sample": 0.0},
        ],
        "missing": [["escalated, long, refund", 0.02]],
    },
}  # fmt: skip
AGREEMENT = {
    "scored": 40, "raters": {"ada": 40, "bo": 9}, "values": {"good": 30, "bad": 19},
    "examples": {example(1)["id"]: example(1)},
    "agreement": {
        "answers": 9, "same": 8, "share": [8 / 9, 0.565, 0.98], "kappa": [0.75, 0.21, 1.0], "raters": ["ada", "bo"],
        "differ": [[example(1)["id"], "ada", "good", "bo", "bad"]],
    },
}  # fmt: skip
MADE = {"publication": publication(101), "created": True, "held_out": 21, "merge": POOL["merge"]}
W = "support-triage"
CASES: dict[str, tuple[int, list[str], dict[tuple[str, str], Any]]] = {
    "evals-import": (0, ["evals", "import", W, "FILE", "--expect", "topic"],
                     {("POST", "/v1/evals/sets"): taken(publication=publication(), created=True, repeated=2)}),
    "evals-import-waits": (0, ["evals", "import", W, "FILE"],
                           {("POST", "/v1/evals/sets"): taken(waiting=2, known=1, expecting=0, passed_over=51,
                                                              system_dropped=1, notes=[f"asserted {EVIL}"])}),
    "evals-import-known": (0, ["evals", "import", W, "FILE"], {("POST", "/v1/evals/sets"): taken(known=3)}),
    "evals-capture": (0, ["evals", "capture", W],
                      {("POST", "/v1/evals/capture"): {**SAMPLE, "publication": None, "waiting": 3, "known": 0}}),
    "evals-capture-dry": (0, ["evals", "capture", W, "--dry-run"], {("POST", "/v1/evals/capture/plan"): SAMPLE}),
    "evals-pool": (0, ["evals", "pool", W], {("GET", "/v1/evals/pool"): POOL}),
    "evals-publish": (0, ["evals", "publish", W, "--yes"], {("POST", "/v1/evals/pool/publish"): MADE}),
    "evals-mark": (0, ["evals", "mark", W, "m1", "--critical", "--tag", "team=blue"],
                   {("POST", "/v1/evals/pool/mark"): {"items": [example(2)]}}),
    "evals-drop": (0, ["evals", "drop", W, "m1"], {("POST", "/v1/evals/pool/drop"): {"pooled": 1, "published": 1}}),
    "evals-examples": (0, ["evals", "examples", W],
                       {("GET", "/v1/evals/sets"): {"publication": publication(),
                                                    "items": [example(1), example(2, held_out=True)]}}),
    "evals-agreement": (0, ["evals", "agreement", W], {("GET", "/v1/evals/agreement"): AGREEMENT}),
    "evals-agreement-one": (1, ["evals", "agreement", W],
                            {("GET", "/v1/evals/agreement"): {**AGREEMENT, "agreement": None}}),
    "evals-score-nobody": (2, ["evals", "score", W], {("GET", "/v1/evals/hand"): {
        "workflow": W, "rubric": msgspec.to_builtins(RUBRIC), "digest": "rub_x", "mine": 0, "of": 1, "seconds": 0,
        "runs": [], "items": [{"example": example(1), "text": "x", "answer": "ans_1"}],
    }}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_examples_print_what_was_agreed(cli: Cli, name: str, tmp_path: Path) -> None:
    code, arguments, answers = CASES[name]
    file = tmp_path / "tickets.csv"
    file.write_text("message,topic\nHi,other\n", encoding="utf-8")
    cli.admin.answers |= {where: (200, answer) for where, answer in answers.items()}
    result = cli(*(str(file) if each == "FILE" else each for each in arguments))
    path = SNAPSHOTS / f"{name}.txt"
    printed = f"$ roadworthy {' '.join(arguments)}\n{result.output}(exit {result.exit_code})\n"
    if os.environ.get("ROADWORTHY_UPDATE_SNAPSHOTS"):
        path.write_text(printed, encoding="utf-8")
    assert result.exit_code == code, result.output
    assert printed == path.read_text(encoding="utf-8")
    assert not set(result.output) & {chr(c) for c in [*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E]}
    assert "owned" not in result.output


def test_an_import_sends_the_file_and_which_keys_mean_what(cli: Cli, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"message": "é", "topic": "other", "half": "test"}\n', encoding="utf-8")
    cli.admin.answers["POST", "/v1/evals/sets"] = 200, taken(waiting=1)
    options = {"--expect": "topic", "--where": "half=test", "--tag": "team", "--critical": "must", "--user": "who",
               "--label": "name"}  # fmt: skip
    given = [word for pair in options.items() for word in pair]
    assert cli("evals", "import", W, str(rows), "--input", "message", "--redact", *given).exit_code == 0
    _, _, _, sent = cli.admin.asked[-1]
    assert sent == {
        "workflow": W, "rows": rows.read_text(encoding="utf-8"), "source": "rows.jsonl", "redact": True,
        "columns": {"input": "message", "expect": ["topic"], "expect_text": "", "where": {"half": "test"},
                    "tags": ["team"], "critical": "must", "user": "who", "label": "name", "format": ""},
    }  # fmt: skip


def test_a_file_that_is_no_utf8_and_a_condition_that_is_none_are_refused(cli: Cli, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(b'{"message": "\xff"}')
    assert "is not UTF-8 at byte 13" in cli("evals", "import", "w", str(rows), "--expect", "t").output
    rows.write_bytes(b"{}")
    assert "expected KEY=VALUE" in cli("evals", "import", "w", str(rows), "--where", "half").output
    assert "nothing is said of them" in cli("evals", "mark", "w", "m1").output
    assert cli.admin.asked == []


# --- scoring


class Screen:
    """A terminal of 80 columns, and control behind it."""

    def __init__(self, *answers: str, **item: Any) -> None:
        self.output = io.StringIO()
        self.console = Console(file=self.output, width=80, no_color=True, highlight=False, force_terminal=False)
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.broken = ""
        self.held: dict[str, str] = {}
        """Answer → why this rater may not have it."""
        items = [
            {"example": example(at, **item), "text": text, "answer": f"ans_{at}"} for at, text in enumerate(answers, 1)
        ]
        self.desk = {"workflow": W, "rubric": msgspec.to_builtins(RUBRIC), "items": items, "mine": 10, "of": 40}

    def post(self, path: str, body: dict[str, Any]) -> Any:
        if self.broken:
            raise CliError(self.broken)
        self.posted.append((path.removeprefix("/v1/evals/"), body))
        return {}

    def session(self, keys: str | Callable[[], str]) -> Session:
        pressed = iter(keys) if isinstance(keys, str) else None
        key = (lambda: next(pressed)) if pressed is not None else keys
        assert callable(key)
        hold = lambda named: self.held.get(named["answer"], "")  # noqa: E731
        return Session(self.console, self.desk, run="evr_1", key=key, post=self.post, hold=hold)

    def scored(self) -> list[tuple[str, str]]:
        return [(body["answer"], body.get("value", "undone")) for _, body in self.posted]


def test_one_key_is_one_score_by_number_or_by_letter() -> None:
    screen = Screen("a", "b", "c")
    done = screen.session("1bp ").work()
    assert screen.scored() == [("ans_1", "good"), ("ans_2", "bad"), ("ans_3", "partly")]
    assert screen.posted[0] == (
        "hand", {"workflow": W, "example": example(1)["id"], "answer": "ans_1", "value": "good", "run": "evr_1"},
    )  # fmt: skip
    assert (done.scored, done.skipped, done.quit) == (3, 0, False)


def test_what_somebody_else_has_before_them_is_left_to_them() -> None:
    screen = Screen("a", "b", "c")
    screen.held = {"ans_2": "bo is scoring this answer now"}
    done = screen.session("11\n").work()
    assert screen.scored() == [("ans_1", "good"), ("ans_3", "good")]
    assert (done.scored, done.elsewhere) == (2, 1)


def test_whoever_read_for_so_long_that_another_took_the_answer_is_told_and_nothing_is_kept() -> None:
    screen = Screen("a", "b")

    def pressed() -> str:
        screen.held = {"ans_1": "bo scored this answer meanwhile"}
        return "1"

    done = screen.session(iter(lambda: pressed(), "never").__next__).work()
    assert screen.scored()[0] == ("ans_2", "good")
    assert done.elsewhere == 1
    assert "bo scored this answer meanwhile; nothing of yours was kept" in screen.output.getvalue()


def test_undo_takes_back_the_last_score_or_skip_and_asks_again() -> None:
    screen = Screen("a", "b")
    done = screen.session("ugsu3u1\n").work()
    assert screen.scored() == [("ans_1", "good"), ("ans_2", "bad"), ("ans_2", "undone"), ("ans_2", "good")]
    assert (done.scored, done.skipped) == (2, 0)


def test_what_is_skipped_or_left_is_kept_for_next_time_and_other_keys_score_nothing() -> None:
    screen = Screen("a", "b", "c")
    done = screen.session("sx9\x1bgq").work()
    assert screen.scored() == [("ans_2", "good")]
    assert (done.scored, done.skipped, done.quit) == (1, 1, True)
    assert "the key 'x' means nothing here" in screen.output.getvalue()


def test_a_score_that_control_did_not_take_is_not_counted() -> None:
    screen = Screen("a", "b")
    session = screen.session("g")
    screen.broken = "control does not answer"
    with pytest.raises(CliError, match="control does not answer"):
        session.work()
    assert session.done.scored == 0


def test_the_screen_fits_eighty_columns_and_obeys_no_model(tmp_path: Path) -> None:
    long = " ".join(f"word{at}" for at in range(150))
    screen = Screen('{"topic": "delivery", "reply": "' + "soon " * 40 + '"}', long + EVIL, expected={"topic": "other"})
    screen.session("gm ?  q").work()
    text = screen.output.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert not set(text) & {chr(c) for c in [*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E]}
    path = SNAPSHOTS / "evals-score.txt"
    if os.environ.get("ROADWORTHY_UPDATE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.fixture
def terminal() -> Iterator[tuple[int, TextIO]]:
    """(where keys are pressed, the end at which the command sits) of a pseudo-terminal."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "r") as stdin:
        yield master, stdin
    os.close(master)


def test_keys_are_read_without_return_in_their_order_however_fast_they_come(terminal: tuple[int, TextIO]) -> None:
    master, stdin = terminal
    screen = Screen("a", "b", "c")
    before = termios.tcgetattr(stdin.fileno())
    with keyboard(stdin) as keys:
        os.write(master, b"g\x1b[A\xc3\xa9bp ")
        screen.session(keys.read).work()
    assert screen.scored() == [("ans_1", "good"), ("ans_2", "bad"), ("ans_3", "partly")]
    assert "the key 'é' means nothing here" in screen.output.getvalue()
    assert termios.tcgetattr(stdin.fileno()) == before


def test_the_terminal_is_as_it_was_when_the_session_breaks_off(terminal: tuple[int, TextIO]) -> None:
    master, stdin = terminal
    before = termios.tcgetattr(stdin.fileno())
    screen = Screen("a", "b")
    screen.broken = "control does not answer"
    with keyboard(stdin) as keys:
        os.write(master, b"g")
        session = screen.session(keys.read)
        with pytest.raises(CliError):
            session.work()
    assert termios.tcgetattr(stdin.fileno()) == before


def test_the_end_of_the_input_quits(terminal: tuple[int, TextIO]) -> None:
    master, stdin = terminal
    with keyboard(stdin) as keys:
        os.write(master, b"\x04")
        assert Screen("a").session(keys.read).work().quit


def test_who_has_nothing_left_is_told_so_and_who_may_not_score_why(cli: Cli) -> None:
    desk = {"workflow": W, "items": [], "mine": 4, "of": 4, "rubric": msgspec.to_builtins(RUBRIC)}
    cli.admin.answers["GET", "/v1/evals/hand"] = 200, desk
    assert cli("evals", "score", W).output == f"Nothing is left for you: you have scored 4 answers of {W}.\n"
    cli.admin.answers["GET", "/v1/evals/hand"] = 200, {**desk, "mine": 0, "of": 0}
    assert "roadworthy evals answer support-triage" in cli("evals", "score", W).output
    cli.admin.answers["GET", "/v1/evals/hand"] = 409, refusal("ada has not signed the rubric", "conflict")
    refused = cli("evals", "score", W)
    assert "ada has not signed the rubric" in refused.output
