"""The snapshot on disk is whole, current and numbered."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.engine.publish import Publisher
from roadworthy.gateway import snapshot as snapshots
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.workflow.model import ApiKey, Configuration, Settings, Target
from roadworthy.workflow.ports import AppliedConfiguration


class Install:
    def __init__(self, root: Path) -> None:
        self.now = 1000.0
        self.state = MemoryState()
        self.root = root
        self.publisher = self.new_publisher(epoch=1)

    def new_publisher(self, epoch: int) -> Publisher:
        return Publisher(
            self.state,
            epoch=epoch,
            snapshot_path=self.root / "current.json",
            settings_path=self.root / "settings.json",
            endpoints_path=self.root / "endpoints.json",
            price_of=lambda target: None,
            clock=lambda: self.now,
        )

    def apply(self, version: int) -> None:
        configuration = Configuration(Settings(workers=version), {"sim": Target("sim", "simulated", "m")}, {}, {})
        with self.state.write() as tx:
            tx.add_configuration(AppliedConfiguration(version, self.now, "ada", {}, configuration))

    def launched(self, **endpoints: str) -> None:
        path = self.root / "endpoints.tmp"
        path.write_text(json.dumps(endpoints))
        path.rename(self.root / "endpoints.json")

    def on_disk(self) -> Snapshot:
        return snapshots.decode((self.root / "current.json").read_bytes())


@pytest.fixture
def install(tmp_path: Path) -> Install:
    return Install(tmp_path)


def test_the_first_publication_writes_even_an_empty_snapshot(install: Install) -> None:
    assert install.publisher.publish()
    assert install.on_disk().seq == 1
    assert not (install.root / "settings.json").exists()


def test_nothing_is_written_when_nothing_changed(install: Install) -> None:
    install.apply(1)
    install.publisher.publish()
    before = os.stat(install.root / "current.json").st_ino
    install.now += 60
    assert not install.publisher.publish()
    assert not install.publisher.publish_when_moved()
    assert os.stat(install.root / "current.json").st_ino == before


def test_each_change_rises_the_number_and_keeps_the_settings_beside_it(install: Install) -> None:
    for version in (1, 2):
        install.apply(version)
        assert install.publisher.publish()
    assert install.on_disk().seq == 2
    settings = msgspec.json.decode((install.root / "settings.json").read_bytes(), type=Settings)
    assert settings.workers == 2


def test_a_target_that_moved_is_published(install: Install) -> None:
    install.apply(1)
    install.publisher.publish()
    install.launched(sim="http://127.0.0.1:4/v1")
    assert install.publisher.publish_when_moved()
    assert install.on_disk().endpoints["sim"].url == "http://127.0.0.1:4/v1"
    install.launched()
    assert install.publisher.publish_when_moved()
    assert install.on_disk().endpoints == {}


def test_an_expired_key_leaves_the_snapshot_without_anybody_changing_anything(install: Install) -> None:
    install.apply(1)
    with install.state.write() as tx:
        tx.put_key(ApiKey("key_1", "h", "k", "default", ["*"], expires_at=1010.0))
    install.publisher.publish()
    assert list(install.on_disk().keys) == ["h"]
    install.now = 1010.0
    assert install.publisher.publish_when_moved()
    assert install.on_disk().keys == {}


def test_a_damaged_endpoints_file_takes_targets_down_and_nothing_else(install: Install) -> None:
    install.apply(1)
    (install.root / "endpoints.json").write_text('{"sim": ')
    assert install.publisher.publish()
    assert install.on_disk().endpoints == {}


def test_a_failed_write_leaves_the_last_good_snapshot_and_is_tried_again(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.apply(1)
    install.publisher.publish()
    install.apply(2)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            install.publisher.publish()
    assert install.on_disk().seq == 1
    assert [path.name for path in install.root.iterdir() if path.name.startswith(".")] == []
    assert install.publisher.publish()
    assert install.on_disk().seq == 2


def test_a_new_control_publishes_under_its_own_epoch(install: Install) -> None:
    install.apply(1)
    install.publisher.publish()
    later = install.new_publisher(epoch=2)
    assert later.publish()
    assert (install.on_disk().epoch, install.on_disk().seq) == (2, 1)
