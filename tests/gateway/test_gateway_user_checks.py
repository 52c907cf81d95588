# ruff: noqa: E501  (texts are read as one line)
"""Users' check functions in their subprocess: warm, keyless, bounded, and never able to take the gateway with them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from gateway_support import FakeClock, on_loop

from roadworthy.gateway.checks.results import CannotTell
from roadworthy.gateway.checks.user_checks import UserChecks
from roadworthy.wiring.worker.user_checks import CheckProcess, launch_checks
from roadworthy.workflow.check_options import python_hash

TEAM = "default"
PATIENCE = 20.0
"""Seconds for what must come; a machine under load starts Python slowly."""


class Launched:
    """Counts the processes."""

    def __init__(self) -> None:
        self.processes: list[CheckProcess] = []

    async def __call__(self) -> CheckProcess:
        made = await launch_checks()
        self.processes.append(made)
        return made


class Made:
    def __init__(self, files: dict[str, str]) -> None:
        self.clock = FakeClock()
        self.launched = Launched()
        self.code = python_hash(files)
        self.checks = UserChecks(self.launched, self.clock)
        self.files = files
        self.checks.follow({TEAM: {self.code: files}})

    async def run(self, path: str, text: str = "Hello", seconds: float = PATIENCE, context: Any = None) -> Any:
        return await self.checks.run(TEAM, self.code, path, text, context or {}, seconds)

    async def broken(self, path: str, seconds: float = PATIENCE) -> str:
        with pytest.raises(CannotTell) as told:
            await self.run(path, seconds=seconds)
        return told.value.why

    def rest(self) -> None:
        """Let the pause between two starts go by."""
        self.clock.time += 60.0


@asynccontextmanager
async def checks(**files: str) -> AsyncIterator[Made]:
    made = Made({f"checks/{name}.py": source for name, source in files.items()})
    try:
        yield made
    finally:
        made.checks.close()


TONE = """
from checks.words import RUDE

def check(text, context):
    print("talking", flush=True)
    found = [word for word in RUDE if word in text.lower()]
    return {"passed": not found, "score": len(found) / 3, "detail": "is rude" if found else "", "span": None}

def ask(text, context):
    return context["question"] == "Hi"
"""


@on_loop
async def test_a_function_is_called_with_text_and_context_and_may_use_its_neighbours() -> None:
    async with checks(tone=TONE, words='RUDE = ["idiot"]') as made:
        assert await made.run("checks.tone:check") == {"passed": True, "score": 0.0, "detail": "", "span": None}
        rude = await made.run("checks.tone:check", "You IDIOT")
        assert (rude["passed"], rude["detail"]) == (False, "is rude")
        assert await made.run("checks.tone:ask", context={"question": "Hi"}) is True
        assert len(made.launched.processes) == 1


@on_loop
async def test_two_workflows_with_the_same_file_names_do_not_mix() -> None:
    async with checks(
        tone="def check(text, context):\n    import checks.words\n    return checks.words.GOOD", words="GOOD = True"
    ) as made:
        other = {
            "checks/tone.py": "def check(text, context):\n    import checks.words\n    return checks.words.GOOD",
            "checks/words.py": "GOOD = False",
        }
        made.checks.follow({TEAM: {made.code: made.files, python_hash(other): other}})
        for _ in range(2):
            assert await made.run("checks.tone:check") is True
            assert await made.checks.run(TEAM, python_hash(other), "checks.tone:check", "", {}, PATIENCE) is False
        assert len(made.launched.processes) == 1


KEEPS = """
seen = []

def check(text, context):
    seen.append(text)
    return {"passed": True, "detail": " ".join(seen)}
"""


@on_loop
async def test_what_one_team_sends_is_never_in_the_process_of_another_though_they_run_the_same_code() -> None:
    async with checks(keeps=KEEPS) as made:
        made.checks.follow({team: {made.code: made.files} for team in (TEAM, "claims")})
        told = {}
        for team in (TEAM, "claims", TEAM):
            told[team] = (await made.checks.run(team, made.code, "checks.keeps:check", f"of {team}", {}, PATIENCE))[
                "detail"
            ]
        assert told == {TEAM: "of default of default", "claims": "of claims"}
        assert len(made.launched.processes) == 2


@on_loop
async def test_a_check_that_hangs_holds_up_nobody_but_its_own_team() -> None:
    async with checks(bad=HANGS["sleeps"], good=GOOD) as made:
        made.checks.follow({team: {made.code: made.files} for team in (TEAM, "claims")})
        assert await made.run("checks.good:check") is True
        hanging = asyncio.create_task(made.checks.run("claims", made.code, "checks.bad:check", "", {}, PATIENCE))
        await asyncio.sleep(0.05)
        assert await made.run("checks.good:check") is True
        hanging.cancel()


@on_loop
async def test_a_team_that_is_served_no_longer_has_no_process() -> None:
    async with checks(good=GOOD) as made:
        assert await made.run("checks.good:check") is True
        made.checks.follow({})
        (process,) = made.launched.processes
        assert await asyncio.wait_for(process._inner.wait(), PATIENCE) == -9
        assert "not in the snapshot" in await made.broken("checks.good:check")


@on_loop
async def test_no_key_and_no_open_file_of_the_gateway_is_visible() -> None:
    source = """
import os
def check(text, context):
    return {"passed": True, "detail": " ".join(sorted(os.environ)) + "|" + str(len(os.listdir("/proc/self/fd")))}
"""
    os.environ["SECRET_FOR_TEST"] = "sk-1"
    inherited = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        async with checks(look=source) as made:
            told = (await made.run("checks.look:check"))["detail"]
    finally:
        del os.environ["SECRET_FOR_TEST"]
        os.close(inherited)
    names, _, files = told.partition("|")
    assert set(names.split()) <= {"PATH", "LANG", "LC_CTYPE"}
    assert int(files) <= 6  # standard streams, two pipes, the listing itself


HANGS = {
    "sleeps": "import time\ndef check(text, context):\n    time.sleep(60)",
    "spins": "def check(text, context):\n    while True:\n        pass",
    "ignores": "import signal, time\ndef check(text, context):\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(60)",
    "swallows": "import time\ndef check(text, context):\n    while True:\n        try:\n            time.sleep(9)\n        except BaseException:\n            pass",
}
GOOD = "def check(text, context):\n    return True"


@pytest.mark.parametrize("how", sorted(HANGS))
@on_loop
async def test_a_check_that_hangs_is_killed_and_the_next_one_works(how: str) -> None:
    async with checks(bad=HANGS[how], good=GOOD) as made:
        assert await made.run("checks.good:check") is True
        assert await made.broken("checks.bad:check", seconds=0.1) == "was not done in 0.1 s"
        made.rest()
        assert await made.run("checks.good:check") is True
        first, second = made.launched.processes
        assert first.pid != second.pid
        assert await asyncio.wait_for(first._inner.wait(), PATIENCE) == -9


DIES = {
    "exits": "import os\ndef check(text, context):\n    os._exit(3)",
    "killed": "import os, signal\ndef check(text, context):\n    os.kill(os.getpid(), signal.SIGKILL)",
    "closes": "import os\ndef check(text, context):\n    os.closerange(3, 60)\n    return True",
}


@pytest.mark.parametrize("how", sorted(DIES))
@on_loop
async def test_a_check_that_dies_is_said_so_and_the_next_one_works(how: str) -> None:
    async with checks(bad=DIES[how], good=GOOD) as made:
        assert "ended" in await made.broken("checks.bad:check")
        made.rest()
        assert await made.run("checks.good:check") is True


RAISES = {
    "raises": ("def check(text, context):\n    raise ValueError('no')", "ValueError: no"),
    "exits": ("def check(text, context):\n    raise SystemExit(1)", "SystemExit: 1"),
    "object": ("def check(text, context):\n    return object()", "returned what is not JSON"),
    "endless": (
        "def check(text, context):\n    made = []\n    made.append(made)\n    return made",
        "returned what is not JSON",
    ),
    "flood": ("def check(text, context):\n    return 'x' * 10_000_000", "returned too much"),
    "deep": ("def check(text, context):\n    return check(text, context)", "RecursionError"),
    "memory": ("def check(text, context):\n    return len(bytearray(8 * 1024**3))", "MemoryError"),
    "arguments": ("def check(text):\n    return True", "TypeError"),
}


@on_loop
async def test_a_check_that_raises_costs_no_process() -> None:
    async with checks(**{name: source for name, (source, _) in RAISES.items()}) as made:
        for name, (_, why) in RAISES.items():
            assert why in await made.broken(f"checks.{name}:check")
        assert len(made.launched.processes) == 1


@on_loop
async def test_printing_and_writing_to_standard_streams_harms_nothing() -> None:
    source = """
import os, sys
def check(text, context):
    print("{}"), sys.stderr.write("x" * 100_000), os.write(1, b'{"id": 1, "result": false}\\n' * 1000)
    return sys.stdin.read() == ""
"""
    async with checks(loud=source) as made:
        for _ in range(3):
            assert await made.run("checks.loud:check") is True


@on_loop
async def test_a_fork_cannot_answer_for_its_parent_and_dies_with_it() -> None:
    source = """
import os, time
def check(text, context):
    return os.fork() > 0

def linger(text, context):
    child = os.fork()
    if child == 0:
        time.sleep(120)
    with open("/proc/self/fdinfo/0"):
        pass
    context["pid"] = child
    time.sleep(120)
"""
    async with checks(forks=source) as made:
        for _ in range(5):
            assert await made.run("checks.forks:check") is True
        await made.broken("checks.forks:linger", seconds=0.2)
        group = made.launched.processes[0].pid
        for _ in range(400):
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("a forked process is left")


@on_loop
async def test_code_that_cannot_be_imported_is_told_to_each_call_and_not_imported_again() -> None:
    async with checks(bad="import no_such_library\ndef check(text, context):\n    return True") as made:
        for _ in range(2):
            assert "No module named 'no_such_library'" in await made.broken("checks.bad:check")
        assert len(made.launched.processes) == 1


@on_loop
async def test_processes_that_go_on_dying_are_started_ever_more_seldom() -> None:
    async with checks(bad=DIES["exits"]) as made:
        await made.broken("checks.bad:check")
        assert await made.broken("checks.bad:check") == "its process died and is not started again yet"
        assert len(made.launched.processes) == 1
        made.rest()
        await made.broken("checks.bad:check")
        assert len(made.launched.processes) == 2


@on_loop
async def test_calls_take_turns_and_one_that_waits_too_long_harms_nobody() -> None:
    slow = "import time\ndef check(text, context):\n    time.sleep(0.3)\n    return True"
    async with checks(slow=slow, good=GOOD) as made:
        await made.run("checks.good:check")
        first = asyncio.create_task(made.run("checks.slow:check"))
        await asyncio.sleep(0.05)
        assert await made.broken("checks.good:check", seconds=0.05) == "was not done in 0.05 s"
        assert await first is True
        assert len(made.launched.processes) == 1


@on_loop
async def test_a_call_that_is_given_up_does_not_answer_the_next_one() -> None:
    async with checks(bad=HANGS["sleeps"], good=GOOD) as made:
        await made.run("checks.good:check")
        given_up = asyncio.create_task(made.run("checks.bad:check"))
        await asyncio.sleep(0.05)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        made.rest()
        assert await made.run("checks.good:check") is True


@on_loop
async def test_clients_that_leave_during_a_check_do_not_put_off_the_checks_of_others() -> None:
    async with checks(bad=HANGS["sleeps"], good=GOOD) as made:
        for _ in range(3):
            given_up = asyncio.create_task(made.run("checks.bad:check"))
            while made.checks._teams[TEAM]._process is None:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            assert await made.run("checks.good:check") is True


@on_loop
async def test_a_check_whose_asker_keeps_the_time_is_to_blame_for_being_late() -> None:
    async with checks(bad=HANGS["sleeps"], good=GOOD) as made:
        await made.run("checks.good:check")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await made.run("checks.bad:check", seconds=0.3)
        assert made.checks._teams[TEAM]._deaths == 1


@on_loop
async def test_code_that_is_not_in_the_snapshot_is_not_run() -> None:
    async with checks(good=GOOD) as made:
        with pytest.raises(CannotTell, match="not in the snapshot"):
            await made.checks.run(TEAM, "other", "checks.good:check", "", {}, PATIENCE)
        with pytest.raises(CannotTell, match="not in the snapshot"):
            await made.checks.run("stranger", made.code, "checks.good:check", "", {}, PATIENCE)


@on_loop
async def test_a_megabyte_of_text_goes_through() -> None:
    async with checks(size="def check(text, context):\n    return len(text) == 1_000_000") as made:
        assert await made.run("checks.size:check", "é" * 1_000_000) is True


@on_loop
async def test_a_process_that_cannot_be_started_is_said_so() -> None:
    async def nobody() -> Any:
        raise OSError(12, "Cannot allocate memory")

    made = UserChecks(nobody, FakeClock())
    made.follow({TEAM: {"code": {}}})
    with pytest.raises(CannotTell, match="cannot be started"):
        await made.run(TEAM, "code", "checks.a:b", "", {}, PATIENCE)
