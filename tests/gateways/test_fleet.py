"""What control knows of its gateways, and whom it lets join."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadworthy.wiring.fleet.gateways import LOCAL, Fleet, JoinRefused
from roadworthy.wiring.folders.data_folder import DataFolder, FolderLock, create_folder


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return create_folder(tmp_path / "control")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fleet(folder: DataFolder, clock: Clock) -> Fleet:
    return Fleet(folder, clock=clock)


def test_an_install_has_the_local_gateway_and_keeps_no_file_for_it(folder: DataFolder, fleet: Fleet) -> None:
    assert [known.name for known in fleet.gateways()] == [LOCAL]
    assert fleet.journals() == [folder.journal]
    assert not (folder.root / "gateways.json").exists()


def test_no_two_gateways_share_a_worker_number(tmp_path: Path, fleet: Fleet) -> None:
    numbers: set[int] = set()
    for name in ("a", "b", "c"):
        joined = fleet.add(name, create_folder(tmp_path / name).root, 2)
        numbers |= {joined.first, joined.first + 1}
    assert len(numbers) == 6
    assert min(numbers) >= 1000


def test_a_number_is_never_given_twice(tmp_path: Path, fleet: Fleet) -> None:
    first = fleet.add("a", tmp_path / "a", 1).first
    assert fleet.remove("a")
    assert fleet.add("b", tmp_path / "b", 1).first > first


def test_a_gateway_that_joins_again_keeps_its_numbers(tmp_path: Path, fleet: Fleet) -> None:
    first = fleet.add("a", tmp_path / "a", 1)
    assert fleet.ended("a")
    again = fleet.add("a", tmp_path / "a", 4)
    assert (again.first, again.workers, again.ended_at) == (first.first, 4, None)


def test_a_control_that_starts_anew_knows_whom_to_ask(tmp_path: Path, folder: DataFolder, fleet: Fleet) -> None:
    joined = fleet.add("a", tmp_path / "a", 2, listen="127.0.0.1:8500")
    assert Fleet(folder).get("a") == joined


def test_the_sockets_of_all_gateways_are_found_under_numbers_of_their_own(
    tmp_path: Path, folder: DataFolder, fleet: Fleet
) -> None:
    other = create_folder(tmp_path / "a")
    first = fleet.add("a", other.root, 1).first
    for place in (folder, other):
        place.worker_socket(0).touch()
    assert fleet.sockets() == {0: folder.worker_socket(0), first: other.worker_socket(0)}


def test_who_was_not_heard_of_for_long_is_stale_and_who_left_is_not(tmp_path: Path, fleet: Fleet, clock: Clock) -> None:
    for name in ("a", "b"):
        fleet.add(name, tmp_path / name, 1)
    fleet.ended("b")
    clock.now += 31.0
    assert [known.name for known in fleet.gateways() if known.stale(clock.now)] == ["a"]
    fleet.seen("a")
    assert not any(known.stale(clock.now) for known in fleet.gateways())


@pytest.mark.parametrize(
    ("name", "place", "says"),
    [
        (LOCAL, "g", "choose another with --name"),
        ("No Spaces", "g", "lower-case letters"),
        ("../x", "g", "lower-case letters"),
        ("g", "control", "that of the gateway 'local'"),
        ("g", "control/inside", "inside one another"),
        ("g", ".", "inside one another"),
        ("a", "g", "roadworthy gateways --remove a"),
        ("g", "a", "that of the gateway 'a'"),
        ("g", "a/../a", "that of the gateway 'a'"),
    ],
)
def test_a_hostile_or_mistaken_join_is_refused_with_the_mend(
    tmp_path: Path, fleet: Fleet, name: str, place: str, says: str
) -> None:
    fleet.add("a", tmp_path / "a", 1)
    with pytest.raises(JoinRefused, match=says):
        fleet.add(name, tmp_path / place, 1)
    assert [known.name for known in fleet.gateways()] == [LOCAL, "a"]


def test_a_name_is_not_taken_over_while_its_holder_lives(tmp_path: Path, fleet: Fleet) -> None:
    held = create_folder(tmp_path / "a")
    fleet.add("a", held.root, 1)
    with FolderLock(held.supervisor_lock, purpose="test"), pytest.raises(JoinRefused, match="is alive"):
        fleet.add("a", tmp_path / "b", 1)


def test_relative_folders_and_no_workers_are_refused(tmp_path: Path, fleet: Fleet) -> None:
    with pytest.raises(JoinRefused, match="absolute"):
        fleet.add("a", Path("here"), 1)
    with pytest.raises(JoinRefused, match="workers"):
        fleet.add("a", tmp_path / "a", 0)


def test_a_damaged_file_takes_nothing_down(folder: DataFolder) -> None:
    (folder.root / "gateways.json").write_text("{")
    assert [known.name for known in Fleet(folder).gateways()] == [LOCAL]
