"""What workers spent is carried over to another number of them, and read while they run."""

from __future__ import annotations

import mmap
from pathlib import Path

from roadworthy.cost.budgets import RATE
from roadworthy.cost.lending import WHOLE, first_share
from roadworthy.gateway.limits.ledger import Booked, Ident, Ledger, fresh, ident_of, read
from roadworthy.wiring.fleet import ledgers
from roadworthy.wiring.folders.data_folder import DataFolder

TODAY = 740_000 * 4


def scope(user: str, stamp: int = TODAY) -> Ident:
    return ident_of(("user", "support", user, "day"), stamp)


def worked(folder: DataFolder, worker: int, workers: int, **spent: int) -> None:
    ledger = Ledger(folder.spend_file(worker), workers=workers)
    for user, amount in spent.items():
        ledger.book(scope(user), amount, first_share(worker, workers))
    ledger.close()


def install(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path)
    folder.run.mkdir()
    return folder


def test_fewer_workers_know_all_that_more_of_them_spent(tmp_path: Path) -> None:
    folder = install(tmp_path)
    for worker in range(4):
        worked(folder, worker, 4, ada=10, **{f"only{worker}": 7})
    ledgers.prepare(folder, 1)
    workers, records = read(folder.spend_file(0))
    assert workers == 1
    assert {ident: booked.spent for ident, booked in records.items()} == {
        scope("ada"): 40,
        **{scope(f"only{worker}"): 7 for worker in range(4)},
    }
    assert not folder.spend_file(1).exists()


def test_more_workers_together_know_what_one_spent_and_begin_with_equal_slices(tmp_path: Path) -> None:
    folder = install(tmp_path)
    worked(folder, 0, 1, ada=11)
    ledgers.prepare(folder, 3)
    found = [read(folder.spend_file(worker))[1][scope("ada")] for worker in range(3)]
    assert [booked.spent for booked in found] == [4, 4, 3]
    assert [booked.share for booked in found] == [fresh(first_share(worker, 3)) for worker in range(3)]


def test_others_together_may_spend_what_those_before_them_might(tmp_path: Path) -> None:
    folder = install(tmp_path)
    worked(folder, 0, 2, ada=11)  # the other never heard of her: its share is the first one
    ledger = Ledger(folder.spend_file(0), workers=2)
    at = ledger.find(scope("ada"), TODAY)
    assert at is not None
    ledger.lend(at, WHOLE // 8)
    ledger.close()
    worked(folder, 1, 2)
    ledgers.prepare(folder, 3)
    found = [read(folder.spend_file(worker))[1][scope("ada")].share for worker in range(3)]
    assert sum(fresh(share) for share in found) == WHOLE // 8 + WHOLE // 2


def test_a_table_of_an_older_version_goes_on_with_the_share_that_its_worker_had(tmp_path: Path) -> None:
    folder = install(tmp_path)
    worked(folder, 0, 2, ada=11)
    with folder.spend_file(0).open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        words = memoryview(data).cast("q")
        words[0] -= 1
        at = words.tolist().index(scope("ada")[0])
        words[at + 5] = -1
        words.release()
    ledger = ledgers.open_ledger(folder, 0, 2)
    assert (ledger.spent(at), ledger.share(at)) == (11, WHOLE // 2)


def test_the_same_workers_go_on_with_their_own(tmp_path: Path) -> None:
    folder = install(tmp_path)
    for worker in range(2):
        worked(folder, worker, 2, ada=worker + 1)
    before = folder.spend_file(0).stat().st_ino
    ledgers.prepare(folder, 2)
    assert folder.spend_file(0).stat().st_ino == before
    assert ledgers.totals(ledgers.tables(folder))[scope("ada")].spent == 3


def test_lent_rates_do_not_outlive_the_number_of_workers_that_they_were_lent_among(tmp_path: Path) -> None:
    folder = install(tmp_path)
    ledger = Ledger(folder.spend_file(0), workers=2)
    at = ledger.find(scope("rate", RATE), RATE)
    assert at is not None
    ledger.lend(at, 99)
    ledger.close()
    ledgers.prepare(folder, 3)
    assert read(folder.spend_file(0))[1] == {}


def test_a_damaged_table_is_put_aside_and_the_others_are_kept(tmp_path: Path) -> None:
    folder = install(tmp_path)
    worked(folder, 0, 2, ada=5)
    folder.spend_file(1).write_bytes(b"not a table")
    ledgers.prepare(folder, 2)
    assert ledgers.totals(ledgers.tables(folder))[scope("ada")].spent == 5
    assert folder.spend_file(1).with_suffix(".damaged").exists()
    ledgers.open_ledger(folder, 1, 2).close()


def test_what_a_killed_worker_had_reserved_counts_as_spent(tmp_path: Path) -> None:
    folder = install(tmp_path)
    ledger = Ledger(folder.spend_file(0), workers=1)
    at = ledger.find(scope("ada"), TODAY)
    assert at is not None
    ledger.reserve(at, 30)
    ledger.settle(at, 10, 4)
    again = Ledger(folder.spend_file(0), workers=1)  # the first one never closed it
    assert again.held(at) == again.spent(at) == 24
    assert ledgers.totals(ledgers.tables(folder))[scope("ada")] == Booked(24, 0, WHOLE)


def test_a_user_is_counted_too_high_rather_than_twice_when_the_table_is_full() -> None:
    ledger = Ledger(records=1 << 6)
    places = {}
    for number in range(500):
        at = ledger.find(scope(f"u{number}"), TODAY)
        assert at is not None
        ledger.book(scope(f"u{number}"), 3)
        places[number] = at
    for number, at in places.items():
        assert ledger.find(scope(f"u{number}"), TODAY) == at
        assert ledger.spent(at) >= 3


def test_records_of_days_gone_by_make_room_and_those_of_yesterday_do_not() -> None:
    ledger = Ledger(records=1 << 6)
    for day in range(30):
        stamp = TODAY + 4 * day
        for number in range(20):
            at = ledger.find(scope(f"u{number}", stamp), stamp)
            assert at is not None
            assert ledger.owns(at, scope(f"u{number}", stamp))
            ledger.settle(at, 0, 5)
            assert ledger.spent(at) == 5
            yesterday = ledger.find(scope(f"u{number}", stamp - 4), stamp, make=False)
            assert day == 0 or (yesterday is not None and ledger.spent(yesterday) == 5)
