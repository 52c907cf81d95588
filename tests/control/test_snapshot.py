"""What gateways are told follows from state, and a release keeps the models that it was frozen with."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from roadworthy.gateway import snapshot as snapshots
from roadworthy.gateway.snapshot import SNAPSHOT_FORMAT, Snapshot, SnapshotRefused
from roadworthy.operations.publication.snapshot import Picture, build, unresolved
from roadworthy.workflow.check_options import python_hash, python_sources
from roadworthy.workflow.digest import release
from roadworthy.workflow.draft import target_identity
from roadworthy.workflow.model import (
    ApiKey,
    Behaviour,
    CheckSpec,
    Configuration,
    FrozenRelease,
    Handling,
    Hedge,
    Owners,
    Price,
    Settings,
    Step,
    Target,
    Workflow,
)
from roadworthy.workflow.ports import AppliedConfiguration

OWNERS = Owners("ada", "ada", "ada")
MAIN = Target("main", "openai", "gpt-4", endpoint="https://api.example.com/v1", price=Price(1.0, 2.0))
NEXT = msgspec.structs.replace(MAIN, model="gpt-5")
SIM = Target("sim", "simulated", "sim")


def declared_price(target: Target) -> Price | None:
    return target.price


def behaviour(*targets: Target) -> Behaviour:
    return Behaviour("chat", None, targets[0].name, {target.name: target_identity(target) for target in targets})


def applied(version: int, *targets: Target, names: tuple[str, ...] = ("triage",)) -> AppliedConfiguration:
    workflows = {name: Workflow(name, "default", OWNERS, "enforce") for name in names}
    configuration = Configuration(Settings(), {target.name: target for target in targets}, {}, workflows)
    return AppliedConfiguration(version, 1.0, "ada", {}, configuration)


def frozen(workflow: str, facet: Behaviour, number: int = 1) -> FrozenRelease:
    handling = Handling(ladder={"slow": [Step("retry"), Step("target", target=facet.target)]})
    return FrozenRelease(release(workflow, facet, handling), "default", number, 1.0, "ada")


def picture(
    *configurations: AppliedConfiguration, served: tuple[FrozenRelease, ...] = (), keys: tuple[ApiKey, ...] = ()
):
    return Picture(
        configurations,
        {one.release.digest: one for one in served},
        {one.release.workflow: one.release.digest for one in served},
        keys,
    )


def test_before_the_first_apply_the_snapshot_is_empty_and_valid() -> None:
    built = build(picture(), {}, declared_price, epoch=3, seq=1, now=9.0)
    assert snapshots.decode(snapshots.encode(built.snapshot)) == built.snapshot
    assert (built.snapshot.epoch, built.snapshot.workflows) == (3, {})


def test_a_served_release_and_its_target_are_in_the_snapshot() -> None:
    one = frozen("triage", behaviour(MAIN))
    built = build(picture(applied(1, MAIN), served=(one,)), {}, declared_price, epoch=1, seq=1, now=9.0)
    assert built.snapshot.workflows["triage"].release == one.release.digest
    assert built.snapshot.releases == {one.release.digest: one.release}
    assert built.snapshot.endpoints["main"].url == "https://api.example.com/v1"
    assert not built.snapshot.endpoints["main"].trusted
    assert built.snapshot.prices["main"] == MAIN.price
    assert built.warnings == []


def test_a_launched_target_is_trusted_where_it_is_and_absent_where_it_is_not() -> None:
    up = build(picture(applied(1, SIM)), {"sim": "http://127.0.0.1:9/v1"}, declared_price, epoch=1, seq=1, now=9.0)
    assert (up.snapshot.endpoints["sim"].url, up.snapshot.endpoints["sim"].trusted) == ("http://127.0.0.1:9/v1", True)
    down = build(picture(applied(1, SIM)), {}, declared_price, epoch=1, seq=1, now=9.0)
    assert down.snapshot.endpoints == {}


def test_a_release_goes_on_calling_the_model_that_it_was_frozen_with() -> None:
    one = frozen("triage", behaviour(MAIN))
    shown = picture(applied(2, NEXT), applied(1, MAIN), served=(one,))
    built = build(shown, {}, declared_price, epoch=1, seq=1, now=9.0)
    serving = built.snapshot.releases[one.release.digest]
    assert serving.digest == one.release.digest
    assert serving.behaviour.target == "main@v1"
    assert built.snapshot.targets["main@v1"].model == "gpt-4"
    assert serving.handling.ladder["slow"][1].target == "main@v1"
    assert built.snapshot.targets["main"].model == "gpt-5"
    assert built.snapshot.prices["main@v1"] == MAIN.price
    assert "still calls gpt-4" in built.warnings[0]


def test_a_hedge_and_a_check_go_on_asking_the_model_that_they_were_frozen_with() -> None:
    handling = Handling(hedge=Hedge(target="main"), checks={"guard": CheckSpec("guard", "unsafe", target="main")})
    one = FrozenRelease(release("triage", behaviour(MAIN), handling), "default", 1, 1.0, "ada")
    shown = picture(applied(2, NEXT), applied(1, MAIN), served=(one,))
    built = build(shown, {}, declared_price, epoch=1, seq=1, now=9.0)
    serving = built.snapshot.releases[one.release.digest].handling
    assert serving.hedge is not None
    assert (serving.hedge.target, serving.checks["guard"].target) == ("main@v1", "main@v1")


def test_two_workflows_may_be_on_two_sides_of_a_changed_target() -> None:
    old, new = frozen("triage", behaviour(MAIN)), frozen("reply", behaviour(NEXT))
    shown = picture(applied(2, NEXT, names=("triage", "reply")), applied(1, MAIN), served=(old, new))
    releases = build(shown, {}, declared_price, epoch=1, seq=1, now=9.0).snapshot.releases
    assert releases[old.release.digest].behaviour.target == "main@v1"
    assert releases[new.release.digest].behaviour.target == "main"


def test_a_target_that_nothing_holds_any_more_is_unavailable_and_said() -> None:
    one = frozen("triage", behaviour(MAIN))
    shown = picture(applied(2, NEXT), served=(one,))
    assert unresolved(shown)
    built = build(shown, {}, declared_price, epoch=1, seq=1, now=9.0)
    assert built.snapshot.releases[one.release.digest].behaviour.target not in built.snapshot.targets
    assert "no applied configuration holds" in built.warnings[0]


def test_a_change_of_limits_or_price_acts_without_a_freeze() -> None:
    dearer = msgspec.structs.replace(MAIN, price=Price(5.0, 9.0))
    one = frozen("triage", behaviour(MAIN))
    shown = picture(applied(2, dearer), applied(1, MAIN), served=(one,))
    assert not unresolved(shown)
    built = build(shown, {}, declared_price, epoch=1, seq=1, now=9.0)
    assert built.snapshot.releases[one.release.digest].behaviour.target == "main"
    assert built.snapshot.prices["main"] == dearer.price


def test_revoked_and_expired_keys_are_left_out() -> None:
    def key(number: int, **facts: float) -> ApiKey:
        return ApiKey(f"key_{number}", f"hash{number}", "k", "default", ["*"], **facts)

    keys = (key(1), key(2, revoked_at=5.0), key(3, expires_at=9.0), key(4, expires_at=9.1))
    built = build(picture(applied(1, MAIN), keys=keys), {}, declared_price, epoch=1, seq=1, now=9.0)
    assert sorted(built.snapshot.keys) == ["hash1", "hash4"]


def test_an_undeclared_price_is_looked_up_and_an_unknown_one_left_out() -> None:
    bare = msgspec.structs.replace(MAIN, price=None)
    shown = picture(applied(1, bare, SIM))
    listed = Price(3.0, 4.0, source="list")
    built = build(shown, {}, lambda t: listed if t.name == "main" else None, epoch=1, seq=1, now=9.0)
    assert built.snapshot.prices == {"main": listed}


def whole() -> dict[str, Any]:
    """A snapshot of everything, as JSON."""
    one = frozen("triage", behaviour(MAIN))
    keys = (ApiKey("key_1", "hash1", "k", "default", ["*"]),)
    built = build(picture(applied(1, MAIN), served=(one,), keys=keys), {}, declared_price, epoch=1, seq=1, now=9.0)
    made: dict[str, Any] = msgspec.json.decode(snapshots.encode(built.snapshot))
    return made


def with_news(value: Any) -> Any:
    """The same with a field more in every object that is a struct (not in maps by name, where it would be a name)."""
    if isinstance(value, list):
        return [with_news(item) for item in value]
    if not isinstance(value, dict):
        return value
    maps = {"workflows", "releases", "targets", "endpoints", "prices", "keys", "ladder"}
    out = {
        name: {key: with_news(each) for key, each in item.items()}
        if name in maps and isinstance(item, dict)
        else with_news(item)
        for name, item in value.items()
    }
    return {**out, "of_the_next_version": {"x": [1]}}


def test_a_gateway_reads_the_snapshot_of_the_next_version_with_fields_it_does_not_know() -> None:
    newer = {**with_news(whole()), "format": SNAPSHOT_FORMAT + 1}
    assert "of_the_next_version" in newer["targets"]["main"]
    read = snapshots.decode(msgspec.json.encode(newer))
    mine = snapshots.decode(msgspec.json.encode(whole()))
    assert msgspec.structs.replace(read, format=SNAPSHOT_FORMAT) == mine


def test_a_gateway_reads_the_snapshot_of_the_version_before_without_newer_fields() -> None:
    needed = {field.encode_name for field in msgspec.structs.fields(Snapshot) if field.required}
    older = {name: value for name, value in whole().items() if name in needed} | {"format": SNAPSHOT_FORMAT - 1}
    assert snapshots.decode(msgspec.json.encode(older)).workflows.keys() == {"triage"}


@pytest.mark.parametrize("apart", [-2, 2])
def test_two_versions_apart_is_refused_and_says_what_to_do(apart: int) -> None:
    far = msgspec.json.encode({**whole(), "format": SNAPSHOT_FORMAT + apart})
    with pytest.raises(SnapshotRefused, match="run the same version of Roadworthy"):
        snapshots.decode(far)


def test_check_code_is_served_as_it_was_frozen_and_older_configurations_are_read_for_it() -> None:
    path = "workflows/triage/checks/tone.py"
    old, new = ({path: f"def check(text, context):\n    return {what}\n"} for what in ("True", "False"))
    sources = python_sources(old, "triage")
    one = frozen("triage", msgspec.structs.replace(behaviour(MAIN), checks={"tone": python_hash(sources)}))
    now, before = (
        msgspec.structs.replace(applied(version, MAIN), files=files) for version, files in ((2, new), (1, old))
    )
    assert unresolved(picture(now, served=(one,)))
    assert not unresolved(picture(now, before, served=(one,)))
    built = build(picture(now, before, served=(one,)), {}, declared_price, epoch=1, seq=1, now=9.0)
    assert built.snapshot.workflows["triage"].check_sources == {"checks/tone.py": old[path]}
    assert python_hash(built.snapshot.workflows["triage"].check_sources) in one.release.behaviour.checks.values()
