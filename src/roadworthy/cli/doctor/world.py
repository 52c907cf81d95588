"""The real world of the checks."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from roadworthy.cli.doctor.model import NotReached, Reached, World
from roadworthy.gateway.snapshot import Snapshot, SnapshotRefused, decode
from roadworthy.http1 import errors as http1_errors
from roadworthy.http1.origin import Origin
from roadworthy.wiring.cli import settings
from roadworthy.wiring.fleet.gateways import Fleet
from roadworthy.wiring.folders.data_folder import DataFolder, lock_holder
from roadworthy.wiring.folders.run_facts import run_facts
from roadworthy.workflow.model import Settings

PATIENCE = 5.0
"""Seconds that an endpoint has to answer."""

KINDS: tuple[tuple[type[http1_errors.Http1Error], str], ...] = (
    (http1_errors.NameNotResolved, "dns"),
    (http1_errors.AddressForbidden, "forbidden"),
    (http1_errors.Refused, "refused"),
    (http1_errors.ConnectTimeout, "timeout"),
    (http1_errors.TlsFailure, "tls"),
    (http1_errors.ProxyFailure, "proxy"),
    (http1_errors.ReadTimeout, "timeout"),
)


def real_world(data: Path, environ: Mapping[str, str], clock: Callable[[], float]) -> World:
    found, error = read_snapshot(data)
    return World(
        data=data,
        environ=environ,
        clock=clock,
        snapshot=found,
        snapshot_error=error,
        listens=_listens(data),
        free=_free,
        reach=reach,
        answers=_answers,
        healthy=_healthy,
        gateways=Fleet(DataFolder(data), clock=clock).gateways(),
        lock_holder=lock_holder,
        secret=lambda name: secret(name, environ),
    )


def _listens(data: Path) -> dict[str, str]:
    """Where we listen, or would."""
    folder = DataFolder(data)
    applied = settings(data) or Settings()
    running = lock_holder(folder.supervisor_lock) is not None
    facts = run_facts(folder) if running else None
    return {
        "listen": (facts and facts.listen) or applied.listen,
        "metrics": (facts and facts.metrics) or applied.metrics,
    }


def read_snapshot(data: Path) -> tuple[Snapshot | None, str]:
    """What the gateways serve from, or why they cannot."""
    path = data / "snapshot" / "current.json"
    try:
        return decode(path.read_bytes()), ""
    except FileNotFoundError:
        return None, ""
    except (OSError, SnapshotRefused) as error:
        return None, f"{path}: {error}"


def secret(name: str, environ: Mapping[str, str]) -> str:
    """``env:NAME`` or ``file:/path`` → the secret.  Raises ``LookupError`` saying why there is none."""
    where, _, what = name.partition(":")
    if where == "env":
        if not environ.get(what):
            raise LookupError(f"${what} is not set here")
        return environ[what]
    try:
        value = Path(what).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LookupError(f"{what} cannot be read: {error}") from error
    if not value:
        raise LookupError(f"{what} is empty")
    return value


def reach(url: str, proxy: str | None, headers: Mapping[str, str], private: bool) -> Reached:
    """Ask an endpoint for its models with the client, the guard and the TLS rules of the gateway."""
    return asyncio.run(_reach(url, proxy, headers, private))


async def _reach(url: str, proxy: str | None, headers: Mapping[str, str], private: bool) -> Reached:
    from roadworthy.http1.client import Client
    from roadworthy.http1.guard import AddressGuard
    from roadworthy.http1.messages import Clocks, head
    from roadworthy.http1.pool import PoolLimits

    origin = Origin.from_url(url)
    guard = AddressGuard(allowed=[origin] if private else [])
    client = Client(limits=PoolLimits(), proxy=proxy, guard=guard)
    path = urlsplit(url).path.rstrip("/") + "/models"
    lines = [(name.encode(), value.encode()) for name, value in {"accept": "application/json", **headers}.items()]
    try:
        clocks = Clocks(PATIENCE, PATIENCE, PATIENCE, PATIENCE)
        reply = await client.fetch(origin, head(b"GET", path.encode(), origin, lines), b"", clocks)
    except http1_errors.Http1Error as error:
        kind = next((word for known, word in KINDS if isinstance(error, known)), "protocol")
        raise NotReached(kind, str(error) or type(error).__name__) from error
    except ValueError as error:  # a key or a header that HTTP cannot carry
        raise NotReached("protocol", f"the request cannot be made: {error}") from error
    finally:
        await client.close()
    return Reached(reply.status, _date(dict(reply.headers).get(b"date")))


def _date(header: bytes | None) -> float | None:
    if header is None:
        return None
    try:
        return parsedate_to_datetime(header.decode("ascii")).timestamp()
    except ValueError:
        return None


def _free(path: Path) -> tuple[int, int]:
    usage = shutil.disk_usage(path)
    return usage.free, usage.total


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104 - asked, not bound
    try:
        with socket.create_connection((host, int(port)), timeout=1.0):
            return True
    except (OSError, ValueError):
        return False


def _healthy(sock: Path, path: str) -> bool:
    import httpx2

    try:
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(sock)), timeout=2.0, trust_env=False) as client:
            return client.get(f"http://roadworthy{path}").status_code == 200
    except httpx2.HTTPError:
        return False
