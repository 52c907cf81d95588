"""What gateways are told of an enforced workflow: a share only as far as ramp and evidence carry it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from enforced_install import ADA, DAY, FILES, FLOW, START, Install

from roadworthy.gateway.snapshot import Later, Ramp
from roadworthy.workflow.audit import Event, chain


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    made = Install(tmp_path)
    yield made
    made.close()


def share(install: Install) -> float:
    """Of live traffic, as published."""
    ramp = install.served.ramp
    return 0.0 if ramp is None else ramp.share


def later_of(install: Install) -> list[Later]:
    ramp = install.served.ramp
    return [] if ramp is None else ramp.later


def test_a_frozen_release_reaches_nobody_but_testers(install: Install) -> None:
    install.apply()
    done = install.freeze()
    assert done.reach == "testers"
    assert install.served.release == done.release.release.digest
    assert install.served.ramp == Ramp(0.0, "frozen")
    assert install.served.previous is None


def test_a_ramp_is_published_with_the_release_before_it(install: Install) -> None:
    install.apply()
    first = install.freeze().release.release.digest
    install.prover.everybody("triage")
    assert (install.served.release, share(install)) == (first, 1.0)
    second = install.freeze("You are brief.\n").release.release.digest
    assert install.served.release == first, "freezing never changes what live users get"
    install.prover.everybody("triage", share=0.10, previous=first)
    told = install.served
    assert (told.release, told.previous) == (second, first)
    assert told.ramp is not None
    assert (told.ramp.share, told.ramp.stage) == (0.10, "10 %")
    assert told.previous_ramp is not None
    assert told.previous_ramp.share == 1.0
    assert len(install.told.receipts) == 2


def test_what_is_frozen_beside_a_ramp_is_there_for_permits_and_for_nobody_else(install: Install) -> None:
    install.apply()
    first = install.freeze().release.release.digest
    install.prover.everybody("triage")
    done = install.freeze("You are brief.\n")
    assert done.reach == "nobody"
    assert install.served.release == first
    assert set(install.told.releases) == {first, done.release.release.digest}
    listed = {each.frozen.number: (each.served, each.candidate) for each in install.control.workflows.releases()}
    assert listed == {1: (True, False), 2: (False, True)}


def test_the_share_never_exceeds_what_the_evidence_allows(install: Install) -> None:
    install.apply()
    install.freeze()
    install.prover.receipt("triage")
    install.prover.ramp("triage", 0.50)
    assert share(install) == 0.01, "a pilot: nine items are missing"
    install.prover.items("triage")
    assert share(install) == 0.50


def test_a_gate_that_failed_takes_live_traffic_away_at_once(install: Install) -> None:
    install.apply()
    install.freeze()
    install.prover.everybody("triage", share=0.50)
    assert share(install) == 0.50
    install.prover.receipt("triage", "FAIL", issued=START + 1)
    install.clock.now += 2
    assert share(install) == 0.0


def test_a_snapshot_says_how_its_shares_fall_should_control_never_be_heard_of_again(install: Install) -> None:
    install.apply()
    install.freeze()
    install.prover.everybody("triage")
    later = later_of(install)
    assert [each.share for each in later] == sorted({each.share for each in later}, reverse=True)
    assert later[-1].share == 0.01, "never zero for paperwork"
    first = later[0].at - START
    assert 7 * DAY < first <= 7 * DAY + 14 * DAY + 60, "the canary lapses after 7 days and has 14 of grace"


def test_what_has_lapsed_is_published_without_anybody_changing_anything(install: Install) -> None:
    install.apply()
    install.freeze()
    install.prover.everybody("triage")
    later = later_of(install)
    install.clock.now = later[0].at + 1
    assert install.control.publisher.publish_when_moved()
    assert share(install) == later[0].share
    assert not install.control.publisher.publish_when_moved()


def test_under_observe_the_candidate_is_everybodys_as_before(install: Install) -> None:
    install.apply({FLOW: FILES[FLOW].replace("enforcement: enforce", "enforcement: observe")})
    done = install.freeze()
    assert done.reach == "everybody"
    assert install.served.release == done.release.release.digest
    assert install.told.waivers, "the first apply of an observed workflow makes its waiver"
    again = install.freeze("You are brief.\n")
    assert install.served.release == again.release.release.digest


def test_in_a_lapsed_pilot_freezing_serves_nothing_new_until_the_owner_renews(install: Install) -> None:
    install.apply({FLOW: FILES[FLOW].replace("enforcement: enforce", "enforcement: observe")})
    first = install.freeze().release.release.digest
    install.clock.now += 31 * DAY
    files = {FLOW: FILES[FLOW].replace("enforcement: enforce", "enforcement: observe")}
    install.apply(files | {"workflows/triage/prompt.md": "You are brief.\n"})
    done = install.control.workflows.freeze("triage", ADA)
    assert done.reach == "nobody"
    assert install.served.release == first
    assert done.release.release.digest in install.told.releases, "permits reach it"
    install.prover.waiver("triage", install.clock.now + DAY)
    again = install.control.workflows.freeze("triage", ADA)
    assert (again.created, again.reach) == (False, "everybody")
    assert install.served.release == done.release.release.digest


def test_publishing_many_workflows_after_a_change_takes_milliseconds(install: Install) -> None:
    """No timed assertion: the figure is printed, and what makes it small is claimed."""
    names = [f"flow-{number:02}" for number in range(20)]
    files = {
        f"workflows/{name}/{file}": FILES[f"workflows/triage/{file}"]
        for name in names
        for file in ("workflow.yaml", "prompt.md")
    }
    install.apply(files)
    for name in names:
        install.control.workflows.freeze(name, ADA)
        install.prover.everybody(name)
    install.control.publish()
    began = time.perf_counter()
    assert not install.control.publisher.publish_when_moved()
    idle = time.perf_counter() - began
    install.control.workflows.apply(FILES | files | {"workflows/flow-00/prompt.md": "Other.\n"}, ADA)
    began = time.perf_counter()
    install.control.publish()
    changed = time.perf_counter() - began
    print(f"20 workflows: {idle * 1000:.1f} ms idle, {changed * 1000:.1f} ms after a change")
    assert len(install.told.receipts) == 20


def test_a_workflow_that_moves_to_another_team_keeps_its_ramp(install: Install) -> None:
    install.apply()
    install.freeze()
    install.prover.everybody("triage", share=0.50)
    install.edited("bypass: app\n", "bypass: app\nteam: support\n")
    rollouts = install.control.ramping.rollouts
    rollouts.look("triage")
    found = rollouts.current("triage")
    assert found is not None
    assert (install.served.team, found.team, share(install)) == ("support", "support", 0.50)


def test_a_gateway_that_joins_without_its_drill_lets_shares_fall_after_the_grace(install: Install) -> None:
    install.apply()
    install.freeze()
    install.prover.everybody("triage", share=0.50)
    joined = install.clock.now + 1
    due = Later(joined + 14 * DAY, 0.01)
    assert due not in later_of(install)
    install.clock.now = joined
    install.control.proving.board._gateways = lambda: {"local": 0.0, "b": joined}
    with install.control.state.write() as tx:
        tx.append_audit(chain(tx.last_audit(), Event("os:0", "gateway.join", "gateway/b"), joined))
    assert due in later_of(install)
