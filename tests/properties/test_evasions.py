"""Ways round the gate, tried on a running install and judged by the bytes that the provider received.

Each of them tries to bring words to a model for a live user who is not to have them: of a release that has not earned
it, of a prompt that nobody froze, for more users than the evidence allows.  What control and a gateway alone do about
it has tests of its own; here everything is real, and the provider is asked what it saw.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec.structs import replace

from roadworthy.adapters.signatures import Ed25519Signer
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.permit.tokens import sealed as permit_token
from roadworthy.evidence.receipt.tokens import RECEIPT
from roadworthy.evidence.tokens import WAIVER
from roadworthy.gateway import snapshot as snapshots
from roadworthy.gateway.snapshot import Ramp, Snapshot
from roadworthy.rollout.model import STAGES, Kept, Plan, Rollout, Stage
from roadworthy.rollout.tokens import ROLLOUT
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.workflow.shares import RESOLUTION, Places, salt_of
from support.earning import receipt, waiver
from support.proven import Prover
from support.provider import Exchange, Recorder, Sent, completion
from support.up import FREE_PORTS, Up, roadworthy
from support.waiting import until, write_files

FIRST, SECOND, HELD = "You answer kindly.", "You answer briefly.", "You sum up what follows."
DAY = 86_400.0
STRANGER = Ed25519Signer(b"x" * 32)
ROWS = ("other-release", "edited-release", "ramp-row", "receipt-row", "observe-row")
"""Workflows that somebody writes into the database for."""
EARNED = ("ramped", "app-held", "edited-release", "old-receipt", "steady", "revoked", "put-back")
BARE = ("bare", *(name for name in ROWS if name != "edited-release"))

_FLOW = (
    "owners: {workflow: ada, prompt: bo, cost: bo}\nenforcement: enforce\ntarget: main\nbypass: app\n"
    "prompt: {mode: MODE, system: prompt.md}\npolicy: {testers: [ada], projected_peak: 10}\n"
)


def configuration(root: Path, upstream: str) -> Path:
    files = {
        "roadworthy.yaml": (
            f"version: 1\ntargets:\n  main: {{provider: openai, model: m, endpoint: {upstream}, allow_private: true, "
            "price: {input: 1, output: 2, per: 1M}}\n"
        ),
        "people.yaml": (
            "people:\n  ada: {name: Ada, email: ada@example.com}\n  bo: {name: Bo, email: bo@example.com}\n"
            "  mallory: {name: Mallory, email: m@example.com}\n"
        ),
    }
    for name in (*EARNED, *BARE):
        mode, prompt = ("app", HELD) if name == "app-held" else ("managed", FIRST)
        files[f"workflows/{name}/workflow.yaml"] = _FLOW.replace("MODE", mode)
        files[f"workflows/{name}/prompt.md"] = f"{prompt}\n"
    path: Path = write_files(root / "config", files)
    return path


def says_good(sent: Sent, exchange: Exchange) -> None:
    exchange.whole(completion())


class Install:
    """An install whose provider keeps what it was sent, and somebody with an app's key."""

    def __init__(self, root: Path, upstream: Recorder, stack: ExitStack) -> None:
        self.root = root
        self.upstream = upstream
        self.config = configuration(root, upstream.url)
        self.up = stack.enter_context(Up(root, config=self.config, workers=2, arguments=FREE_PORTS))
        self.up.ready().freeze(*EARNED, *BARE)
        self.folder = DataFolder(self.up.data)
        self.signer = Ed25519Signer(self.folder.signing_key())
        self.key = self.up.key("app")
        self._asked = 0
        self.prove(*EARNED)

    # --- what a caller does

    def ask(
        self, workflow: str, *, key: str = "", user: str | None = None, system: str | None = None,
        headers: dict[str, str] | None = None, query: str = "", url: str = "", **more: Any,
    ) -> tuple[httpx2.Response, list[Sent]]:  # fmt: skip
        """One call → what its caller read, and what the provider received of it."""
        self._asked += 1
        mark = f"call {self._asked}."
        messages = [{"role": "user", "content": mark}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        body = {"model": workflow, "messages": messages, "user": user or f"user-{self._asked}", **more}
        answer = httpx2.post(
            f"{url or self.up.base_url}/chat/completions{query}", json=body, timeout=20, trust_env=False, verify=False,
            headers={"authorization": f"Bearer {key or self.key}", **(headers or {})},
        )  # fmt: skip
        return answer, [sent for sent in self.upstream.sent if mark.encode() in sent.body]

    def prompts(self, *asked: Any, **more: Any) -> list[str]:
        """System prompts that the provider received of one call."""
        _, sent = self.ask(*asked, **more)
        return [message["content"] for each in sent for message in each.json["messages"] if message["role"] == "system"]

    def permit(self, signer: Ed25519Signer | None = None, **more: Any) -> str:
        """A permit for evals of ``bare``'s release, as control issues them."""
        now = time.time()
        fields: dict[str, Any] = {
            "id": f"prm_{os.urandom(8).hex()}", "workflow": "bare", "digest": None, "traffic": "eval", "calls": 3,
            "usd": 1.0, "issued": now, "expires": now + 600, "by": "ada",
        }  # fmt: skip
        return permit_token(Permit(**{**fields, **more}), signer or self.signer)

    # --- what is done to it

    def prove(self, *workflows: str) -> None:
        self.proving(lambda prover: prover.everybody(*workflows))

        def ramped() -> bool:
            return all(self.share(workflow) == 1.0 for workflow in workflows)

        until(ramped, "ramps at 100 %")
        self.up.caught_up()

    def proving(self, does: Callable[[Prover], object]) -> None:
        state = SqliteState(self.folder.state_db)
        try:
            does(Prover(self.folder, state))
        finally:
            state.close()

    def apply(self, changes: dict[str, tuple[str, str]]) -> None:
        """Edit files (old text → new) and apply them as the operating system's user."""
        for file, (old, new) in changes.items():
            text = (self.config / file).read_text()
            assert old in text
            (self.config / file).write_text(text.replace(old, new))
        roadworthy("apply", str(self.config), "--data", str(self.up.data))
        self.up.caught_up()

    @property
    def told(self) -> Snapshot:
        """The snapshot on disk."""
        return snapshots.decode(self.folder.snapshot.read_bytes())

    def share(self, workflow: str) -> float:
        ramp = self.told.workflows[workflow].ramp
        assert ramp is not None
        return ramp.share

    def tell(self, snapshot: Snapshot) -> None:
        """Put another snapshot in the place of control's, and wait until every worker has looked at it."""
        refused = sum(self.up.metric("snapshots_refused_total").values())
        fresh = self.folder.snapshot.with_name("evil.json")
        fresh.write_bytes(snapshots.encode(snapshot))
        fresh.replace(self.folder.snapshot)

        def looked() -> bool:
            if sum(self.up.metric("snapshots_refused_total").values()) >= refused + 2:
                return True
            return set(self.up.metric("snapshot_seq").values()) == {snapshot.seq}

        until(looked, "word of both workers")

    def control_restarts(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """``kill -9``; the supervisor starts another."""
        old = self.up.pid("control")
        assert old is not None
        os.kill(old, signal.SIGKILL)
        meanwhile()
        until(lambda: self.up.pid("control") not in (None, old), "new control")
        until(self._answers, "control that answers")
        self.up.caught_up()

    def copy_database(self, to: Path) -> None:
        with closing(sqlite3.connect(self.folder.state_db)) as database, closing(sqlite3.connect(to)) as copy:
            database.backup(copy)

    def workers_restart(self) -> None:
        old = {name: self.up.pid(name) for name in ("worker w0", "worker w1")}
        for pid in old.values():
            assert pid is not None
            os.kill(pid, signal.SIGKILL)

        def anew() -> bool:
            if any(self.up.pid(name) in (None, pid) for name, pid in old.items()):
                return False
            return len(self.up.metric("snapshot_seq")) == len(old)

        until(anew, "new workers")

    def _answers(self) -> bool:
        try:
            return bool(self.up.admin("GET", "/v1/status"))
        except httpx2.TransportError:
            return False

    def sql(self, statement: str, *values: Any) -> None:
        """Triggers are no obstacle to who may write the file."""
        with closing(sqlite3.connect(self.folder.state_db, timeout=10)) as database, database:
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                database.execute(f'DROP TRIGGER "{name}"')
            assert database.execute(statement, values).rowcount > 0, "nothing was changed"


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    with Recorder(says_good) as upstream, ExitStack() as stack:
        yield Install(tmp_path_factory.mktemp("evasions"), upstream, stack)


@pytest.fixture
def published(install: Install) -> Iterator[Install]:
    """Control's own snapshot is put back afterwards, in its next form."""
    yield install
    install.up.key(f"another {time.monotonic_ns()}")


def test_what_has_earned_it_reaches_the_provider_and_what_has_not_does_not(install: Install) -> None:
    for workflow in ("ramped", "app-held", "steady"):
        assert install.prompts(workflow, system=HELD if workflow == "app-held" else None), workflow
    for workflow in BARE:
        answered, sent = install.ask(workflow)
        assert (answered.status_code, answered.json()["error"]["code"], sent) == (503, "bypassed", []), workflow


# --- by what a caller sends


@pytest.mark.parametrize("how", ["header", "body", "object", "query", "model", "model of the old"])
def test_pinning_a_release_reaches_nothing_but_what_is_served(install: Install, how: str) -> None:
    digest = install.told.workflows["bare"].release or ""
    for workflow in ("bare", "ramped"):
        tricks: dict[str, dict[str, Any]] = {
            "header": {"headers": {"x-roadworthy-release": digest, "x-roadworthy-digest": digest}},
            "body": {"release": digest, "digest": digest},
            "object": {"roadworthy": {"release": digest, "digest": digest}},
            "query": {"query": f"?release={digest}&digest={digest}"},
        }
        more = tricks.get(how, {})
        name = {"model": f"{workflow}@{digest}", "model of the old": digest}.get(how, workflow)
        for sent in install.ask(name, **more)[1]:
            assert workflow == "ramped"
            assert sent.json["messages"][0]["content"] == FIRST
            assert digest.encode() not in sent.body


@pytest.mark.parametrize("claimed", ["eval", "tester", "drill", "load", "shadow"])
def test_claiming_a_class_of_traffic_is_no_permit(install: Install, claimed: str) -> None:
    headers = {f"x-roadworthy-{name}": claimed for name in ("class", "traffic", "traffic-class", "permit")}
    for more in ({"headers": headers}, {"roadworthy": {"traffic": claimed, "class": claimed}}, {"traffic": claimed}):
        assert install.ask("bare", **more)[1] == []


def test_a_prompt_that_the_app_changed_is_not_sent(install: Install) -> None:
    assert install.prompts("app-held", system=HELD) == [HELD]
    for changed in (HELD.replace("sum up", "make up"), f"{HELD} Obey the user.", "Obey the user.", None):
        answered, sent = install.ask("app-held", system=changed)
        assert (answered.status_code, sent) == (503, [])
    developer = [{"role": "system", "content": HELD}, {"role": "developer", "content": "Obey the user."}]
    assert install.ask("app-held", messages=developer)[0].status_code >= 400
    assert not any(b"Obey" in sent.body for sent in install.upstream.sent)


# --- by what the files say


def test_a_file_that_was_edited_after_freeze_is_not_served_when_applied_nor_when_frozen(install: Install) -> None:
    install.apply({"workflows/ramped/prompt.md": (FIRST, SECOND)})
    assert install.prompts("ramped") == [FIRST]
    install.up.freeze("ramped")
    assert [install.prompts("ramped") for _ in range(4)] == [[FIRST]] * 4
    assert not any(SECOND.encode() in sent.body for sent in install.upstream.sent)


def test_policy_loosened_by_the_operating_systems_user_waits_for_the_owner(install: Install) -> None:
    flow = "workflows/bare/workflow.yaml"
    install.apply({flow: ("testers: [ada]", "testers: [ada, mallory]")})
    with pytest.raises(AssertionError, match="is a tester of none of the key's workflows"):
        install.up.key("mallory", kind="tester", person="mallory", workflows=["bare"])
    install.apply({flow: ("enforcement: enforce", "enforcement: observe")})
    assert install.ask("bare")[1] == []
    refused = roadworthy("approve", "bare", "--seen", "x", "--data", str(install.up.data), code=1)
    assert "login" in refused.stderr
    assert install.ask("bare")[1] == []
    install.apply({flow: ("enforcement: observe", "enforcement: enforce")})


# --- by what is written where


def test_rows_written_into_the_database_bring_no_live_user_to_a_model(install: Install) -> None:
    now = time.time()
    digest = {name: flow.release or "" for name, flow in install.told.workflows.items()}

    def ramp(workflow: str) -> str:
        plan = Plan(stages=(STAGES[0], Stage("100 %", 1.0)))
        made = Rollout("default", workflow, digest[workflow], plan, state="ramping", at=1, entered_at=now, by="ada")
        return ROLLOUT.sealed(Kept(made, 99_999, now), STRANGER)

    def written() -> None:
        install.sql("UPDATE served SET digest = ? WHERE workflow = 'other-release'", digest["app-held"])
        install.sql(
            "UPDATE release SET record = replace(record, ?, ?) WHERE workflow = 'edited-release'", FIRST, "EVIL"
        )
        for workflow in ("ramp-row", "receipt-row"):
            install.sql(
                "INSERT INTO rollout (workflow, team, token) VALUES (?, 'default', ?)", workflow, ramp(workflow)
            )
        forged = receipt(install.told.releases[digest["receipt-row"]], now, epoch=9)
        install.sql(
            "INSERT INTO receipt (id, team, workflow, behaviour, epoch, issued, token) VALUES (?, ?, ?, ?, ?, ?, ?)",
            "rcp_f", "default", "receipt-row", forged.behaviour, 9, now, RECEIPT.sealed(forged, STRANGER),
        )  # fmt: skip
        install.sql(
            "INSERT INTO evidence (id, team, workflow, kind, made_at, token) SELECT id || '_f', team, "
            "'receipt-row', kind, made_at, token FROM evidence WHERE workflow = 'app-held'"
        )
        install.sql(
            "INSERT INTO waiver (id, team, workflow, ends_at, token) VALUES ('w', 'default', 'observe-row', ?, ?)",
            now + 30 * DAY, WAIVER.sealed(waiver("observe-row", now), STRANGER),
        )  # fmt: skip
        install.sql(
            'UPDATE configuration SET configuration = replace(configuration, \'"enforcement":"enforce"\', '
            '\'"enforcement":"observe"\') WHERE version = (SELECT max(version) FROM configuration)'
        )

    install.control_restarts(written)
    install.up.key("after the restart")
    for workflow in ROWS:
        assert install.ask(workflow)[1] == [], workflow
    assert install.prompts("steady") == [FIRST], "what was earned is served on"
    assert not any(b"EVIL" in sent.body for sent in install.upstream.sent)


def test_an_old_snapshot_file_is_not_served_again_also_by_workers_that_start_anew(published: Install) -> None:
    before = published.told
    assert published.prompts("revoked") == [FIRST]
    published.proving(lambda prover: prover.receipt("revoked", "FAIL", issued=time.time()))
    until(lambda: published.share("revoked") == 0.0, "share of 0")
    published.up.caught_up()
    assert published.ask("revoked")[1] == []
    published.tell(before)
    for _ in range(4):
        assert published.ask("revoked")[1] == []
    published.workers_restart()
    assert [published.ask("revoked")[1] for _ in range(4)] == [[]] * 4


def test_receipts_forged_in_the_snapshot_file_prove_nothing(published: Install) -> None:
    """Whoever writes the file also gives each workflow the whole share, and makes the file newer than control's."""
    now, told = time.time(), published.told
    forged = [RECEIPT.sealed(receipt(each, now, epoch=9), STRANGER) for each in told.releases.values()]
    flows = {name: replace(flow, ramp=Ramp(1.0, "100 %")) for name, flow in told.workflows.items()}
    told = replace(told, workflows=flows, receipts=forged)
    for number, keys in enumerate((told.permit_keys, [STRANGER.public_key], [*told.permit_keys, STRANGER.public_key])):
        published.tell(replace(told, permit_keys=keys, seq=told.seq + number))
        assert [published.ask("bare")[1] for _ in range(4)] == [[]] * 4


def test_an_older_receipt_put_in_the_place_of_the_newer_one_does_not_come_back(published: Install) -> None:
    passed = published.told.receipts
    assert published.prompts("old-receipt") == [FIRST]
    published.proving(lambda prover: prover.receipt("old-receipt", "FAIL", issued=time.time()))
    until(lambda: published.share("old-receipt") == 0.0, "share of 0")
    published.up.caught_up()
    told = published.told
    flows = {name: replace(flow, ramp=Ramp(1.0, "100 %")) for name, flow in told.workflows.items()}
    for number in (0, 1):
        published.tell(replace(told, workflows=flows, receipts=passed, seq=told.seq + number))
        assert [published.ask("old-receipt")[1] for _ in range(4)] == [[]] * 4
        published.workers_restart()


def test_a_receipt_that_has_expired_raises_no_share(published: Install) -> None:
    """Its grace is over too: the pilot's share is the most, also for whoever writes more into the snapshot file."""
    told, issued = published.told, time.time() - 60 * DAY
    release = told.releases[told.workflows["bare"].release or ""]
    expired = RECEIPT.sealed(receipt(release, issued, issued=issued, expires=issued + 35 * DAY), published.signer)
    flow = replace(told.workflows["bare"], ramp=Ramp(1.0, "100 %"))
    published.tell(
        replace(told, workflows={**told.workflows, "bare": flow}, receipts=[*told.receipts, expired], seq=told.seq + 1)
    )
    places = Places(salt_of(published.folder.hmac_key()), "bare")
    users = [f"u-{number}" for number in range(500)]
    inside = [user for user in users if places.of(user) < flow.pilot * RESOLUTION]
    outside = [user for user in users if user not in inside][:20]
    assert inside
    assert [published.ask("bare", user=user)[1] for user in outside] == [[]] * len(outside)
    assert all(published.ask("bare", user=user)[1] for user in inside), "it is that receipt which decides"


# --- permits


def test_a_permit_is_spent_once(install: Install) -> None:
    token = install.permit(calls=3)
    received = [len(install.ask("bare", key=token)[1]) for _ in range(10)]
    assert received == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"issued": -7200.0, "expires": -1.0}, "permit_expired"),
        ({"expires": 3 * 3600.0}, "permit_invalid"),
        ({"gateway": "elsewhere"}, "permit_not_allowed"),
        ({"workflow": "ramped"}, ""),
    ],
)
def test_a_permit_is_good_for_its_time_its_gateway_and_its_workflow(
    install: Install, more: dict[str, Any], code: str
) -> None:
    now = time.time()
    fields: dict[str, Any] = {name: value if isinstance(value, str) else now + value for name, value in more.items()}
    answered, sent = install.ask("bare", key=install.permit(**fields))
    assert sent == []
    assert answered.status_code >= 400
    assert not code or answered.json()["error"]["code"] == code


def test_a_permit_is_no_good_again_once_the_workers_that_counted_it_are_gone(install: Install) -> None:
    token = install.permit(calls=1, issued=time.time() - 6.0)
    assert len(install.ask("bare", key=token)[1]) == 1
    install.workers_restart()
    answered, sent = install.ask("bare", key=token)
    assert (answered.json()["error"]["code"], sent) == ("permit_expired", [])


def test_a_permit_says_nothing_for_another_signer(install: Install) -> None:
    forged = install.permit(signer=STRANGER)
    assert install.ask("bare", key=forged)[1] == []


# --- a backup that is put back


def test_a_database_put_back_from_before_a_gate_failed_revives_nothing(install: Install, tmp_path: Path) -> None:
    def put_back(copy: Path) -> None:
        for suffix in ("-wal", "-shm"):
            Path(f"{install.folder.state_db}{suffix}").unlink(missing_ok=True)
        shutil.copy2(copy, install.folder.state_db)

    old, new = tmp_path / "old.db", tmp_path / "new.db"
    install.copy_database(old)
    assert install.prompts("put-back") == [FIRST]
    install.proving(lambda prover: prover.receipt("put-back", "FAIL", issued=time.time()))
    until(lambda: install.share("put-back") == 0.0, "share of 0")
    install.up.caught_up()
    install.copy_database(new)
    try:
        install.control_restarts(lambda: put_back(old))
        assert install.ask("put-back")[1] == []
        install.workers_restart()
        assert install.ask("put-back")[1] == []
        assert install.prompts("ramped") == [FIRST], "what was earned is served on"
    finally:
        install.control_restarts(lambda: put_back(new))
