"""The log's dictionaries are trained on releases, when they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from roadworthy.engine.train import Training
from roadworthy.inference_log.ports import LogStore
from roadworthy.workflow.digest import release
from roadworthy.workflow.model import Behaviour, FrozenRelease, Handling, Prompt


class Trained:
    def __init__(self) -> None:
        self.rounds: list[Sequence[bytes]] = []

    def train(self, samples: Sequence[bytes]) -> None:
        self.rounds.append(samples)


def frozen(system: str, schema: dict[str, Any] | None = None) -> FrozenRelease:
    behaviour = Behaviour("chat", Prompt("managed", system), "main", {}, schema=schema)
    return FrozenRelease(release("triage", behaviour, Handling()), "default", 1, 1.0, "ada")


def test_training_follows_the_served_releases_and_rests_while_they_stay() -> None:
    store, served = Trained(), {"triage": frozen("Be kind.", {"type": "object"})}
    training = Training(cast(LogStore, store), lambda: served)
    training.round()
    training.round()
    served["triage"] = frozen("Be brief.")
    training.round()
    assert store.rounds == [[b"Be kind.", b'{"type":"object"}'], [b"Be brief."]]


def test_an_install_without_releases_trains_nothing() -> None:
    store = Trained()
    Training(cast(LogStore, store), dict).round()
    assert store.rounds == []
