"""An older copy of the database publishes nothing, until an owner says that it may."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from enforced_install import ADA, BO, FILES, OS, Install

from roadworthy.operations.publication.restored import AcceptRefused, NoOwner
from roadworthy.wiring.folders.backup import back_up, restore
from roadworthy.wiring.folders.lineage import Lineage


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    made = Install(tmp_path)
    made.apply()
    made.freeze()
    yield made
    made.close()


def put_back(install: Install, copy: Path) -> None:
    """Stop control, put the older database in the place of the newer one, start control again."""
    install.control.close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{install.folder.state_db}{suffix}").unlink(missing_ok=True)
    shutil.copy2(copy / "state.db", install.folder.state_db)
    install.control = type(install.control)(install.folder, clock=install.clock)
    install.control.publish()


def test_a_database_that_goes_on_where_it_was_publishes(install: Install) -> None:
    for _ in range(3):
        install.restart()
        assert install.control.enforcing.held == ""
        assert install.told.epoch == install.control.epoch


def test_an_older_copy_of_the_same_day_is_noticed_by_its_audit_trail(install: Install, tmp_path: Path) -> None:
    back_up(install.folder, tmp_path / "copy", FILES)
    install.edited("testers: [ada]", "testers: []")
    told = install.told
    put_back(install, tmp_path / "copy")
    assert "its audit trail ends at" in install.control.enforcing.held
    assert not install.control.publisher.publish()
    assert install.told == told, "gateways go on with what they were told last"


def test_waiting_and_restarting_never_wears_it_down(install: Install, tmp_path: Path) -> None:
    back_up(install.folder, tmp_path / "copy", FILES)
    for _ in range(4):
        install.restart()
        install.edited("testers: [ada]", "testers: []")
        install.apply()
    epoch = install.told.epoch
    put_back(install, tmp_path / "copy")
    for _ in range(2 * epoch):
        install.restart()
        install.edited("testers: [ada]", "testers: []")
        install.apply()
        assert install.control.enforcing.held
    assert install.told.epoch == epoch


def test_status_and_doctor_say_so(install: Install, tmp_path: Path) -> None:
    back_up(install.folder, tmp_path / "copy", FILES)
    install.restart()
    install.edited("testers: [ada]", "testers: []")
    put_back(install, tmp_path / "copy")
    waiting = [entry.what for entry in install.control.board.read()["waiting"]]
    assert any("roadworthy backup accept" in what for what in waiting)
    assert "roadworthy backup accept" in install.folder.held_file.read_text()


def test_only_an_owner_accepts_with_a_reason_and_gateways_then_follow(install: Install, tmp_path: Path) -> None:
    back_up(install.folder, tmp_path / "copy", FILES)
    install.restart()
    install.restart()
    install.edited("testers: [ada]", "testers: []")
    before = install.told
    put_back(install, tmp_path / "copy")
    restored = install.control.restored
    for actor in (OS, BO):
        with pytest.raises(NoOwner, match="ada may"):
            restored.accept(actor, "the disk is gone")
    with pytest.raises(AcceptRefused, match="--reason"):
        restored.accept(ADA, " ")
    assert restored.accept(ADA, "the disk is gone") > before.epoch
    assert install.told.epoch > before.epoch
    assert not install.folder.held_file.exists()
    outcomes = [(each.actor, each.outcome) for each in install.audit() if each.action == "backup.accept"]
    assert outcomes == [("os:0", "denied"), ("bo", "denied"), ("ada", "denied"), ("ada", "done")]
    install.restart()
    assert install.control.enforcing.held == ""
    with pytest.raises(AcceptRefused, match="nothing waits"):
        install.control.restored.accept(ADA, "again")


def test_what_was_revoked_and_tightened_since_the_backup_is_not_undone_by_it(install: Install, tmp_path: Path) -> None:
    install.prover.everybody("triage")
    behaviour = next(iter(install.told.releases.values())).behaviour_digest
    back_up(install.folder, tmp_path / "copy", FILES)
    ledger = install.control.proving.ledger
    ledger.revoke("triage", behaviour, team="default", person="ada", reason="it lied", epoch=1)
    install.edited("testers: [ada]", "testers: []")
    put_back(install, tmp_path / "copy")
    install.control.restored.accept(ADA, "the disk is gone")
    assert len(install.told.revocations) == 1
    assert install.served.ramp is not None
    assert install.served.ramp.share == 0.0
    assert install.served.policy.testers == []


def test_a_restore_that_takes_the_old_folder_along_waits_and_keeps_what_was_revoked(
    install: Install, tmp_path: Path
) -> None:
    install.prover.everybody("triage")
    behaviour = next(iter(install.told.releases.values())).behaviour_digest
    back_up(install.folder, tmp_path / "copy.tar.zst", FILES)
    ledger = install.control.proving.ledger
    ledger.revoke("triage", behaviour, team="default", person="ada", reason="it lied", epoch=1)
    assert len(install.told.revocations) == 1
    restore(tmp_path / "copy.tar.zst", tmp_path / "new", forgotten=install.folder.root)
    again = Install(tmp_path, data="new")
    try:
        assert again.control.enforcing.held
        again.control.restored.accept(ADA, "a new machine")
        assert len(again.told.revocations) == 1
    finally:
        again.close()


def test_a_gateway_of_another_folder_that_has_seen_more_holds_it_too(install: Install, tmp_path: Path) -> None:
    other = Install(tmp_path, data="elsewhere")
    try:
        other.folder.seen_file.write_text('{"epoch": 9, "seq": 1}')
        lineage = Lineage(install.folder, lambda: [other.folder])
        assert "gateways have seen 9" in lineage.broken(install.control.state)
        assert lineage.highest() == 9
    finally:
        other.close()
