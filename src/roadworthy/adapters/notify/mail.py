"""E-mail out: one connection a message, by the standard library, to the address that was checked after resolution."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import formatdate

from roadworthy.http1.errors import AddressForbidden, Http1Error
from roadworthy.http1.guard import AddressGuard, Resolve
from roadworthy.http1.origin import Origin
from roadworthy.people.outbox.model import Mail, Sent
from roadworthy.people.outbox.service import Mailbox

PATIENCE = 15.0
"""Seconds that the server may be silent."""
TAKEN = 250


class SmtpSender:
    """``people.outbox.service.MailSender``."""

    def __init__(self, *, resolve: Resolve | None = None, tls: ssl.SSLContext | None = None) -> None:
        """``tls``: what certificates are held against; by default the system's."""
        self._resolve = resolve
        self._tls = tls

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
        return await asyncio.to_thread(self._deliver, mailbox, str(addresses[0]), message(mailbox, ident, mail))

    def _deliver(self, mailbox: Mailbox, address: str, made: EmailMessage) -> Sent:
        server = mailbox.server
        tls = self._tls or ssl.create_default_context()
        try:
            with _connected(address, server.host, server.port, tls if server.security == "tls" else None) as session:
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
        return Sent(TAKEN)


def _text(told: bytes | str) -> str:
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else told


class _Session(smtplib.SMTP):
    """Connects to an address that was checked, whatever the name resolves to now."""

    def __init__(self, address: str, host: str, tls: ssl.SSLContext | None) -> None:
        super().__init__(local_hostname=socket.gethostname(), timeout=PATIENCE)
        self._address = address
        self._tls = tls
        self._host = host  # what STARTTLS holds the certificate against

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((self._address, port), timeout)
        return plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=host)


def _connected(address: str, host: str, port: int, tls: ssl.SSLContext | None) -> smtplib.SMTP:
    """``tls``: from the first byte on; ``None``: plain, or STARTTLS later."""
    session = _Session(address, host, tls)
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
