"""The Locust file: the same plan, played by Locust's own workers.  A stand-in replaces Locust and its client."""

import sys
from types import ModuleType
from typing import Any

import pytest

from roadworthy.latency import locust
from roadworthy.latency.model import Arrivals, Body
from roadworthy.latency.pacing import Unplannable, plan
from roadworthy.latency.traces import Traced

BODIES = [
    Body([{"role": "user", "content": "a 'quoted' \"text\"\n# @PACERS@ # @SETTINGS@ {x} \\"}], user="u-1"),
    Body([{"role": "user", "content": "äöü\u2028"}], inputs={"name": "Ann"}),
]


class _Anything:
    def __getattr__(self, name: str) -> Any:
        return _Anything()

    def __call__(self, *given: Any, **named: Any) -> Any:
        return given[0] if given else self


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gevent", "geventhttpclient", "geventhttpclient.url", "locust", "locust.runners"):
        module = ModuleType(name)
        for needed in ("HTTPClient", "URL", "User", "task", "events", "MasterRunner", "WorkerRunner", "spawn", "sleep"):
            setattr(module, needed, object if needed == "User" else _Anything())
        monkeypatch.setitem(sys.modules, name, module)


def _loaded(arrivals: Arrivals, **more: Any) -> dict[str, Any]:
    text = locust.write(
        arrivals, BODIES, host="http://gw:1", path="/v1/chat/completions", model="w", stream=True, **more
    )
    held: dict[str, Any] = {}
    exec(compile(text, "locustfile.py", "exec"), held)
    return held


@pytest.mark.parametrize(
    "arrivals",
    [
        Arrivals(shape="constant", rate=20, seconds=10),
        Arrivals(shape="poisson", rate=20, seconds=10, seed=4),
        Arrivals(shape="gamma", rate=20, seconds=10, cv=4, seed=4),
        Arrivals(shape="ramp", rate=20, seconds=10, start_rate=1, seed=4),
    ],
)
def test_the_file_plays_the_very_plan_that_the_generator_plays(arrivals: Arrivals) -> None:
    assert list(_loaded(arrivals)["plan"]()) == [(each.at, each.body, None) for each in plan(arrivals, 2)]


def test_a_replay_is_written_into_the_file_with_its_lengths() -> None:
    trace = [Traced(5.0, 10, 7), Traced(65.0, 10, None)]
    held = _loaded(Arrivals(shape="replay", seconds=60, compression=60), trace=trace)
    assert [(at, tokens) for at, _, tokens in held["plan"]()] == [(0.0, 7), (1.0, None)]


def test_questions_arrive_as_they_are_and_no_key_is_written() -> None:
    held = _loaded(Arrivals(shape="constant", rate=1, seconds=1), fields={"temperature": 0})
    (first, user), (second, nobody) = held["QUESTIONS"]
    assert first["messages"] == BODIES[0].messages
    assert (first["model"], first["stream"], first["temperature"], user, nobody) == ("w", True, 0, "u-1", "")
    assert second["roadworthy"] == {"inputs": {"name": "Ann"}}
    assert "authorization" not in held["HEADERS"]


def test_what_cannot_be_planned_is_refused() -> None:
    with pytest.raises(Unplannable):
        _loaded(Arrivals(shape="poisson", rate=0, seconds=1))
