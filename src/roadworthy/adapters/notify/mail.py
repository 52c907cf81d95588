"""E-mail out: one connection a message, by the standard library, to the address that was checked after resolution."""

from __future__ import annotations

import asyncio
import os
import smtplib
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate
from functools import partial

from roadworthy.http1.errors import AddressForbidden, Http1Error
from roadworthy.http1.guard import AddressGuard, Resolve
from roadworthy.http1.origin import Origin
from roadworthy.people.outbox.model import Mail, Sent
from roadworthy.people.outbox.service import Mailbox

PATIENCE = 15.0
"""Seconds that the server may be silent."""
WHOLE = 30.0
"""Seconds for one message, however busy the server seems."""
THREADS = 16
TAKEN = 250


class SmtpSender:
    """``people.outbox.service.MailSender``."""

    def __init__(
        self, *, resolve: Resolve | None = None, tls: ssl.SSLContext | None = None, whole: float = WHOLE
    ) -> None:
        """``tls``: what certificates are held against; by default the system's.  Threads are its own: a server that
        hangs holds up mail and nothing else."""
        self._resolve = resolve
        self._tls = tls
        self._whole = whole
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mail")

    async def send(self, mailbox: Mailbox, ident: str, mail: Mail) -> Sent:
        """One try.  Whatever a network or a server does becomes a ``Sent``."""
        server = mailbox.server
        try:
            origin = Origin("https", server.host.lower(), server.port)
            guard = AddressGuard(allowed=[origin] if server.allow_private else [], resolve=self._resolve)
            addresses = await guard.addresses(origin)
        except AddressForbidden as error:
            return Sent(error=str(error).replace("on the target", "at smtp in roadworthy.yaml"))
        except (Http1Error, OSError, ValueError) as error:
            return Sent(error=f"{server.host}: {error}")
        patience = _Patience()
        work = partial(self._deliver, mailbox, str(addresses[0]), message(mailbox, ident, mail), patience)
        try:
            async with asyncio.timeout(self._whole):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            patience.end()
            return Sent(error=f"{server.host}:{server.port} did not take it in {self._whole:g} s")

    def _deliver(self, mailbox: Mailbox, address: str, made: EmailMessage, patience: _Patience) -> Sent:
        server = mailbox.server
        tls = self._tls or ssl.create_default_context()
        try:
            with _connected(
                address, server.host, server.port, tls if server.security == "tls" else None, patience
            ) as session:
                if server.security == "starttls":
                    session.starttls(context=tls)
                    session.ehlo()
                if server.user is not None:
                    session.login(server.user, mailbox.password)
                session.send_message(made)
        except smtplib.SMTPResponseException as error:
            return Sent(error.smtp_code, f"it answered {error.smtp_code}: {_text(error.smtp_error)}"[:300])
        except smtplib.SMTPRecipientsRefused as error:
            code, told = next(iter(error.recipients.values()))
            return Sent(code, f"it refused the address: {code} {_text(told)}"[:300])
        except (smtplib.SMTPException, OSError) as error:
            return Sent(error=f"{server.host}:{server.port}: {error}"[:300])
        finally:
            patience.close()
        return Sent(TAKEN)


def _text(told: bytes | str) -> str:
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else told


class _Patience:
    """Ends a conversation from another thread, begun or not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over = False
        self._same: socket.socket | None = None

    def watch(self, connection: socket.socket) -> None:
        """It was just made; TLS, also by STARTTLS, goes on with it.  Raises ``OSError`` when it is over."""
        with self._lock:
            if self._over:
                raise OSError("it took too long")
            self._same = socket.socket(fileno=os.dup(connection.fileno()))  # smtplib may close its own meanwhile

    def end(self) -> None:
        with self._lock, suppress(OSError):
            self._over = True
            if self._same is not None:
                self._same.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            if self._same is not None:
                self._same.close()


class _Session(smtplib.SMTP):
    """Connects to an address that was checked, whatever the name resolves to now."""

    def __init__(self, address: str, host: str, tls: ssl.SSLContext | None, patience: _Patience) -> None:
        super().__init__(local_hostname=socket.gethostname(), timeout=PATIENCE)
        self._address = address
        self._tls = tls
        self._patience = patience
        self._host = host  # what STARTTLS holds the certificate against

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((self._address, port), timeout)
        self._patience.watch(plain)
        return plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=host)


def _connected(
    address: str, host: str, port: int, tls: ssl.SSLContext | None, patience: _Patience
) -> smtplib.SMTP:  # fmt: skip
    """``tls``: from the first byte on; ``None``: plain, or STARTTLS later."""
    session = _Session(address, host, tls, patience)
    code, told = session.connect(host, port)
    if code != 220:
        session.close()
        raise smtplib.SMTPConnectError(code, told)
    return session


def message(mailbox: Mailbox, ident: str, mail: Mail) -> EmailMessage:
    """The same message has the same id on every try, so a receiver can tell a repeat."""
    made = EmailMessage()
    made["Subject"] = " ".join(mail.subject.split())
    made["From"] = mailbox.server.sender
    made["To"] = ", ".join(mail.to)
    made["Date"] = formatdate(usegmt=True)
    made["Message-ID"] = f"<{ident}@{mailbox.server.sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(mail.text)
    if mail.html:
        made.add_alternative(mail.html, subtype="html")
    return made
