"""The misbehaving server on loopback: one for each target of a drilled release, on a port of its own.

It accepts, reads a request, and lets the drill's fault answer it; calls past ``Drill.times``, and those of targets that
are well, get a good answer.  It never outlives its event loop and holds no state between drills.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from roadworthy.fallback.drills.exchange import ClientGone, Exchange, Good
from roadworthy.fallback.drills.model import Drill, Sent

LONGEST_HEAD = 64 * 1024
UNRESOLVABLE = "fault.invalid"
"""``.invalid`` never resolves (RFC 6761)."""

__all__ = ["Exchange", "FaultServer", "Good"]


class FaultServer:
    """Stands for one target during one drilled call."""

    def __init__(self, drill: Drill, good: Good, target: str, nonce: str, *, faulty: bool = True) -> None:
        """``nonce`` begins the mark of every call; ``faulty``: this target commits the fault."""
        self.drill = drill
        """May be changed while it serves."""
        self._good = good
        self._target = target
        self._nonce = nonce
        self._faulty = faulty
        self._open: set[asyncio.StreamWriter] = set()
        self._held: list[socket.socket] = []
        self._server: asyncio.Server | None = None
        self.sent: list[Sent] = []
        self.url = ""
        """Base URL, once started."""

    @property
    def open_connections(self) -> int:
        return len(self._open)

    async def start(self) -> str:
        """Listen, or be the place where nobody does.  Returns the base URL."""
        place = self.drill.fault if self._faulty and isinstance(self.drill.fault, str) else ""
        scheme, host = "http", "127.0.0.1"
        if place == "unresolvable":
            host, port = UNRESOLVABLE, 9
        elif place == "closed":
            port = self._bound().getsockname()[1]
        elif place == "deaf":
            port = self._deaf()
        else:
            context = untrusted_context() if place == "untrusted" else None
            scheme = "https" if context is not None else "http"
            self._server = await asyncio.start_server(
                self._connected, host, 0, limit=LONGEST_HEAD, ssl=context, backlog=512
            )
            port = self._server.sockets[0].getsockname()[1]
        self.url = f"{scheme}://{host}:{port}/v1"
        return self.url

    async def stop(self) -> None:
        """Close everything now."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        for held in self._held:
            held.close()
        self._held.clear()
        await asyncio.sleep(0)

    def _bound(self) -> socket.socket:
        """A port of ours on which nobody listens: it refuses, and nobody else can take it."""
        held = socket.socket()
        held.bind(("127.0.0.1", 0))
        self._held.append(held)
        return held

    def _deaf(self) -> int:
        """A port whose queue of connections is full, so that a further one gets no answer at all."""
        listening = self._bound()
        listening.listen(0)
        address = listening.getsockname()
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(address)
            self._held.append(filler)
        port: int = address[1]
        return port

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            kept = False
            while await self._one(reader, writer, kept):
                kept = True
        except (ClientGone, ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass  # the client left, which is its right
        finally:
            self._open.discard(writer)
            if not writer.is_closing():
                writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bool) -> bool:
        """Answer one request, ``kept``: not the connection's first.  Returns whether it can take another."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        raw = await reader.readexactly(length)
        path = head.split(b" ", 2)[1].decode("latin-1").partition("?")[0]
        exchange = Exchange(reader, writer, path, raw, self._good, self._next(), kept=kept)
        await self._answer(exchange)
        return exchange.open

    def _next(self) -> Sent:
        number = len(self.sent) + 1
        faulty = self._faulty and (self.drill.times is None or number <= self.drill.times)
        sent = Sent(self._target, number, f"{self._nonce}-{self._target}-{number}", faulty, at=time.monotonic())
        self.sent.append(sent)
        return sent

    async def _answer(self, exchange: Exchange) -> None:
        fault = self.drill.fault
        if not exchange.sent.faulty or fault is None or isinstance(fault, str):
            await exchange.good()
        else:
            await fault(exchange)


def untrusted_context() -> ssl.SSLContext:
    """A server's TLS with a certificate for this host that it signed itself, made now and thrown away."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
    certificate = builder.sign(key, None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "certificate.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context.load_cert_chain(file)
    return context


def targets_of(drill: Drill, first: str, others: Sequence[str]) -> dict[str, bool]:
    """Name of every target that a drill stands for → whether it commits the fault."""
    return {first: True, **dict.fromkeys((name for name in others if name != first), drill.everywhere)}
