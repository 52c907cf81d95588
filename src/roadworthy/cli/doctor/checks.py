"""The checks, each a function of the world; pure but for what the world gives them."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from roadworthy.adapters.kill_files import FileKillStore
from roadworthy.adapters.providers.bedrock import BedrockWire
from roadworthy.cli import words
from roadworthy.cli.doctor.model import Finding, NotReached, World
from roadworthy.kill_switch.files import FILE, workflow_of
from roadworthy.kill_switch.model import EVERY, severity
from roadworthy.workflow.checks_of_targets import gemini_auth
from roadworthy.workflow.model import Target

LEAST_FREE = 1_000_000_000
"""Bytes below which a disk is nearly full."""
LEAST_SHARE = 0.05
MOST_SKEW = 30.0
"""Seconds between our clock and a provider's from which on signatures and time windows go wrong."""
SOURCE_DATE = 1_767_225_600.0
"""1 January 2026: no right clock shows an earlier time."""

Check = Callable[[World], Iterator[Finding]]


def data_folder(world: World) -> Iterator[Finding]:
    """Is the folder there, ours alone, and of a version that we read?"""
    name = "data folder"
    root = world.data
    if not root.is_dir():
        yield Finding(name, "FAIL", f"{root} does not exist", "run `roadworthy up`, or name the right one with --data")
        return
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & 0o077:
        yield Finding(name, "FAIL", f"{root} is open to others (mode {mode:04o})", f"chmod 700 {root}")
    else:
        yield Finding(name, "ok", f"{root}, mode {mode:04o}")
    key = root / "hmac.key"
    if not key.is_file():
        yield Finding(
            "key file", "FAIL", f"{key} is missing", "restore it from a backup: no API key is valid without it"
        )
    elif stat.S_IMODE(key.stat().st_mode) & 0o077:
        yield Finding("key file", "FAIL", f"{key} is open to others", f"chmod 600 {key}")
    else:
        yield Finding("key file", "ok", "private")
    signing = root / "signing.key"
    if signing.is_file() and stat.S_IMODE(signing.stat().st_mode) & 0o077:
        yield Finding(
            "signing key", "FAIL", f"{signing} is open to others: whoever read it can sign receipts and permits",
            f"chmod 600 {signing}; if somebody read it, rm it and restart control: all that was signed is made anew",
        )  # fmt: skip
    elif signing.is_file():
        yield Finding("signing key", "ok", "private")


def disk(world: World) -> Iterator[Finding]:
    place = world.data if world.data.exists() else world.data.absolute().parent
    try:
        free, total = world.free(place)
    except OSError as error:
        yield Finding("disk", "FAIL", f"cannot be asked: {error}", "check that the file system is mounted")
        return
    found = f"{words.size(free)} free of {words.size(total)}"
    if free < LEAST_FREE / 10:
        yield Finding("disk", "FAIL", found, "free some space: the journal stops when the disk is full")
    elif free < LEAST_FREE or free < total * LEAST_SHARE:
        yield Finding("disk", "warn", found, "free some space, or shorten `retention` in roadworthy.yaml")
    else:
        yield Finding("disk", "ok", found)


def clock(world: World) -> Iterator[Finding]:
    now = world.clock()
    if now < SOURCE_DATE:
        yield Finding("clock", "FAIL", "it shows a time before 2026", "set it: timedatectl set-ntp true")
        return
    made = world.snapshot.made_at if world.snapshot else None
    if made is not None and made > now + 5:
        ahead = words.seconds(made - now)
        yield Finding("clock", "FAIL", f"the snapshot was made {ahead} in the future: the clock went back",
                      "set it: timedatectl set-ntp true")  # fmt: skip
        return
    yield Finding("clock", "ok", "plausible")


def state(world: World) -> Iterator[Finding]:
    """Is the database the one that its gateways know?"""
    try:
        held = (world.data / "run" / "held.txt").read_text(encoding="utf-8").strip()
    except OSError:
        return
    yield Finding("state", "FAIL", held, "roadworthy backup accept --reason WHY, as an owner")


def snapshot(world: World) -> Iterator[Finding]:
    if world.snapshot_error:
        yield Finding("snapshot", "FAIL", world.snapshot_error, "run `roadworthy apply DIR` with the same version")
    elif world.snapshot is None:
        yield Finding("snapshot", "FAIL", "nothing is applied yet", "run `roadworthy apply DIR`")
    else:
        served = sum(1 for flow in world.snapshot.workflows.values() if flow.release or flow.passthrough)
        found = f"{words.plural(len(world.snapshot.workflows), 'workflow')}, {served} served"
        if served:
            yield Finding("snapshot", "ok", found)
        else:
            yield Finding("snapshot", "warn", found, "run `roadworthy freeze WORKFLOW`")


def ports(world: World) -> Iterator[Finding]:
    """Ours when we run, free when we do not."""
    running = world.lock_holder(world.data / "supervisor.lock") is not None
    for name, address in world.listens.items():
        taken = world.answers(address)
        if running and taken:
            yield Finding(f"port ({name})", "ok", f"{address} answers")
        elif running:
            yield Finding(f"port ({name})", "FAIL", f"{address} does not answer", "see what `roadworthy up` printed")
        elif taken:
            yield Finding(f"port ({name})", "FAIL", f"{address} is taken by another program",
                          f"stop it, or set `{name}` in roadworthy.yaml")  # fmt: skip
        else:
            yield Finding(f"port ({name})", "ok", f"{address} is free")


def control(world: World) -> Iterator[Finding]:
    holder = world.lock_holder(world.data / "control.lock")
    sock = world.data / "run" / "control.sock"
    if holder is None:
        yield Finding("control", "warn", "not running", "run `roadworthy up`; commands act as control meanwhile")
    elif world.healthy(sock, "/healthz"):
        yield Finding("control", "ok", f"answers (pid {holder})")
    else:
        yield Finding("control", "FAIL", f"pid {holder} holds the lock but {sock} does not answer",
                      f"see {world.data / 'run'}; stop pid {holder} and run `roadworthy up`")  # fmt: skip


def kill_switch(world: World) -> Iterator[Finding]:
    """Is anything stopped on purpose?  Read from the files, for control may be dead."""
    name = "kill switch"
    stopped = False
    for workflow, switch in sorted(FileKillStore(world.data).switches().items()):
        if switch.state != "on":
            stopped = True
            held = max(switch.held.values(), key=lambda each: (severity(each.state), each.since))
            which = "--all" if workflow == EVERY else workflow
            why = f": {held.reason}" if held.reason else ""
            yield Finding(name, "warn", f"{workflow} is {switch.state}, by {held.by}{why}",
                          f"if it may go on: roadworthy restore {which}")  # fmt: skip
    for path in sorted(world.data.glob(f"{FILE}*")) if world.data.is_dir() else ():
        if workflow_of(path.name) is not None:
            stopped = True
            yield Finding(name, "warn", f"{path} stops {workflow_of(path.name)}", f"if it may go on: rm {path}")
    if not stopped:
        yield Finding(name, "ok", "nothing is stopped")


def gateway(world: World) -> Iterator[Finding]:
    if world.lock_holder(world.data / "supervisor.lock") is None:
        yield Finding("gateway", "warn", "not running", "run `roadworthy up`")
        return
    socks = sorted((world.data / "run").glob("worker-*.sock"))
    ready = [sock for sock in socks if world.healthy(sock, "/readyz")]
    found = f"{len(ready)} of {words.plural(len(socks), 'worker')} ready"
    if socks and len(ready) == len(socks):
        yield Finding("gateway", "ok", found)
    else:
        yield Finding("gateway", "FAIL", found, "see `roadworthy status` for why, and the log of `roadworthy up`")


def gateways(world: World) -> Iterator[Finding]:
    """Those that joined: are they there, with all of their workers?"""
    for known in world.gateways:
        if known.local:
            continue
        name = f"gateway {known.name}"
        if known.ended_at is not None:
            yield Finding(name, "skip", f"stopped, in {known.folder}")
            continue
        if world.lock_holder(known.data.supervisor_lock) is None:
            yield Finding(name, "FAIL", f"not running, in {known.folder}",
                          "start it (`roadworthy gateway`), or forget it: "
                          f"roadworthy gateways --remove {known.name}")  # fmt: skip
            continue
        ready = sum(world.healthy(sock, "/readyz") for sock in known.sockets().values())
        found = f"{ready} of {words.plural(known.workers, 'worker')} ready at {known.listen}"
        heard = world.clock() - known.seen_at
        if ready < known.workers:
            yield Finding(name, "FAIL", found, f"see the log of its `roadworthy gateway`, in {known.folder}")
        elif known.stale(world.clock()):
            yield Finding(name, "warn", f"{found}; control has not heard of it for {words.seconds(heard)}",
                          "it serves its last snapshot; is control up?")  # fmt: skip
        else:
            yield Finding(name, "ok", found)


def proxy(world: World) -> Iterator[Finding]:
    configured = world.snapshot.proxy if world.snapshot else None
    ambient = next((n for n in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy") if world.environ.get(n)), None)
    if configured is None:
        if ambient:
            yield Finding("proxy", "warn", f"${ambient} is set, and the gateway does not read it",
                          "set `proxy` in roadworthy.yaml if providers are behind it")  # fmt: skip
        else:
            yield Finding("proxy", "ok", "none")
        return
    parts = urlsplit(configured)
    address = f"{parts.hostname}:{parts.port or 80}"
    if world.answers(address):
        yield Finding("proxy", "ok", f"{address} answers")
    else:
        yield Finding("proxy", "FAIL", f"{address} does not answer", "start it, or mend `proxy` in roadworthy.yaml")


def targets(world: World) -> Iterator[Finding]:
    """Key, way and answer of every target."""
    if world.snapshot is None:
        yield Finding("targets", "skip", "nothing is applied yet")
        return
    for target in world.snapshot.targets.values():
        name = f"target {target.name}"
        if target.provider in ("local", "simulated"):
            yield from _launched(world, target, name)
        else:
            yield from _provider(world, target, name)


def _launched(world: World, target: Target, name: str) -> Iterator[Finding]:
    assert world.snapshot is not None
    endpoint = world.snapshot.endpoints.get(target.name)
    if endpoint is None:
        running = world.lock_holder(world.data / "supervisor.lock") is not None
        yield Finding(name, "warn" if running else "skip", f"{target.provider}: not started",
                      "see run/*.log for why" if running else "`roadworthy up` starts it")  # fmt: skip
        return
    parts = urlsplit(endpoint.url)
    if world.answers(f"{parts.hostname}:{parts.port or 80}"):
        yield Finding(name, "ok", f"{target.provider}: answers at {endpoint.url}")
    else:
        running = world.lock_holder(world.data / "supervisor.lock") is not None
        yield Finding(name, "FAIL" if running else "skip", f"{target.provider}: does not answer at {endpoint.url}",
                      "see run/*.log for why" if running else "`roadworthy up` starts it")  # fmt: skip


def _provider(world: World, target: Target, name: str) -> Iterator[Finding]:
    assert world.snapshot is not None
    secret = None
    if target.key is None:
        yield Finding(f"{name}: key", "warn", "no key is configured", "set `key: env:NAME` if the provider wants one")
    else:
        try:
            secret = world.secret(target.key)
        except LookupError as error:
            yield Finding(f"{name}: key", "FAIL", str(error.args[0]), _mend_key(target.key))
        else:
            if target.provider == "bedrock":
                wrong = BedrockWire(target, b"", secret).problem.removeprefix(f"{name}: ")
                secret = None  # an AWS key signs; it is never sent
                if wrong:
                    yield Finding(f"{name}: key", "FAIL", wrong, f"mend {target.key} and restart `roadworthy up`")
                    return
            yield Finding(f"{name}: key", "ok", f"{target.key} is set here")
    endpoint = world.snapshot.endpoints.get(target.name)
    url = endpoint.url if endpoint else target.endpoint
    if url is None:
        yield Finding(name, "FAIL", "has no endpoint", "set `endpoint` in roadworthy.yaml")
        return
    host = urlsplit(url).hostname
    try:
        reached = world.reach(url, world.snapshot.proxy, _headers(target, secret), target.allow_private)
    except NotReached as error:
        yield Finding(name, "FAIL", str(error), _mend_reach(error.kind, host, target))
        return
    if reached.status in (401, 403) and secret is not None:
        yield Finding(name, "FAIL", f"{host} answers, and refuses the key ({reached.status})",
                      f"put a valid key into {target.key} and restart `roadworthy up`")  # fmt: skip
    elif reached.status >= 500:
        yield Finding(name, "warn", f"{host} answers with {reached.status}", "the provider has trouble; try again")
    else:
        yield Finding(name, "ok", f"{host} answers ({reached.status})")
    if reached.date is not None and abs(reached.date - world.clock()) > MOST_SKEW:
        skew = words.seconds(abs(reached.date - world.clock()))
        yield Finding("clock", "FAIL", f"differs from {host} by {skew}", "set it: timedatectl set-ntp true")


def _headers(target: Target, secret: str | None) -> dict[str, str]:
    headers = dict(target.headers)
    if secret is None:
        return headers
    if target.provider == "anthropic":
        return {"anthropic-version": "2023-06-01", "x-api-key": secret, **headers}
    if target.provider == "gemini":
        header, prefix = gemini_auth(target.endpoint)
        return {header: prefix + secret, **headers}
    return {"authorization": f"Bearer {secret}", **headers}


def _mend_key(name: str) -> str:
    where, _, what = name.partition(":")
    if where == "env":
        return f"export {what}=… where `roadworthy up` runs"
    return f"write the key into {what}, readable for this user"


def _mend_reach(kind: str, host: str | None, target: Target) -> str:
    return {
        "dns": f"check DNS on this machine (getent hosts {host}) and the endpoint's spelling",
        "forbidden": f"set `allow_private: true` on target {target.name} if {host} is meant to be private",
        "refused": "start the server there, or open the firewall for it",
        "timeout": "open the firewall for it, or set `proxy` in roadworthy.yaml",
        "tls": "install its CA certificate in the system's trust store; check the clock and the endpoint's spelling",
        "proxy": "mend `proxy` in roadworthy.yaml, or let the proxy allow this host",
    }.get(kind, "check the endpoint: it must be an HTTP/1.1 API")


CHECKS: tuple[Check, ...] = (
    data_folder,
    disk,
    clock,
    state,
    snapshot,
    control,
    kill_switch,
    gateway,
    gateways,
    ports,
    proxy,
    targets,
)


def examine(world: World) -> Iterator[Finding]:
    """Every finding, as it is made."""
    for check in CHECKS:
        yield from check(world)
