"""E-mail goes out over SMTP, to an address that was checked, and a refusal is said as it came."""

from __future__ import annotations

import asyncio
import email
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import default

import pytest

from roadworthy.adapters.notify.mail import SmtpSender
from roadworthy.people.outbox.model import Mail, Sent
from roadworthy.people.outbox.service import Mailbox
from roadworthy.workflow.model import Smtp

MAIL = Mail(["bo@x.example"], "Costs\r\nBcc: eve@x.example", "Grüße: $4.00", "<p>$4.00</p>")


class Server:
    """Speaks as much SMTP as one message takes."""

    def __init__(self, refuse: str = "") -> None:
        self.refuse = refuse
        self.said: list[str] = []
        self.taken: list[EmailMessage] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def answer(text: str) -> None:
            writer.write(f"{text}\r\n".encode())

        answer("220 ready")
        while line := (await reader.readline()).decode().strip():
            self.said.append(line)
            word = line.split()[0].upper()
            if self.refuse.startswith(word):
                answer(self.refuse.removeprefix(f"{word} "))
            elif word == "EHLO":
                answer("250-here\r\n250 AUTH PLAIN")
            elif word == "AUTH":
                answer("235 welcome")
            elif word == "DATA":
                answer("354 go on")
                body = await reader.readuntil(b"\r\n.\r\n")
                self.taken.append(email.message_from_bytes(body[:-5], policy=default))  # type: ignore[arg-type]
                answer("250 taken")
            elif word == "QUIT":
                answer("221 bye")
                break
            else:
                answer("250 fine")
            await writer.drain()
        writer.close()


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[Server]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


def sent(server: Server, *, allow_private: bool = True, user: str | None = None) -> Sent:
    async def run() -> Sent:
        async with running(server):
            made = Smtp("127.0.0.1", "rw@x.example", server.port, "none", user, allow_private=allow_private)
            return await SmtpSender().send(Mailbox(made, "secret"), "msg_1", MAIL)

    return asyncio.run(run())


def test_a_message_arrives_whole_with_the_same_id_on_every_try_and_no_header_of_others() -> None:
    server = Server()
    assert sent(server, user="rw") == Sent(250)
    assert sent(server) == Sent(250)
    first, again = server.taken
    assert (first["From"], first["To"], first["Bcc"]) == ("rw@x.example", "bo@x.example", None)
    assert first["Subject"] == "Costs Bcc: eve@x.example"
    assert first["Message-ID"] == again["Message-ID"] == "<msg_1@x.example>"
    assert first["Auto-Submitted"] == "auto-generated"
    parts = {part.get_content_type(): part.get_content().strip() for part in first.walk() if not part.is_multipart()}
    assert parts == {"text/plain": "Grüße: $4.00", "text/html": "<p>$4.00</p>"}
    assert [line.split()[0] for line in server.said if line.startswith("AUTH")] == ["AUTH"]


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        ("RCPT 550 no such user", Sent(550, "it refused the address: 550 no such user")),
        ("MAIL 451 try later", Sent(451, "it answered 451: try later")),
    ],
)
def test_a_refusal_is_said_as_it_came(refuse: str, said: Sent) -> None:
    assert sent(Server(refuse)) == said


def test_a_server_at_a_private_address_must_be_allowed_and_one_that_is_not_there_is_an_error() -> None:
    server = Server()
    assert "allow_private" in sent(server, allow_private=False).error
    assert server.said == []
    gone = Smtp("127.0.0.1", "rw@x.example", server.port, "none", allow_private=True)
    assert "refused" in asyncio.run(SmtpSender().send(Mailbox(gone), "msg_1", MAIL)).error.lower()


def test_a_server_that_answers_byte_by_byte_is_given_up_and_its_thread_is_free_again() -> None:
    async def dribbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            writer.write(b"2")
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.close()

    async def go() -> tuple[Sent, list[str]]:
        async with await asyncio.start_server(dribbles, "127.0.0.1") as server:
            port = server.sockets[0].getsockname()[1]
            smtp = Smtp("127.0.0.1", "rw@x.example", port=port, security="none", allow_private=True)
            sender = SmtpSender(whole=0.05)
            sent = await sender.send(Mailbox(smtp), "msg_1", MAIL)
            await asyncio.to_thread(sender._threads.shutdown)  # returns only once no thread is at work
            return sent, [thread.name for thread in threading.enumerate() if thread.name.startswith("mail")]

    sent, at_work = asyncio.run(go())
    assert "did not take it in 0.05 s" in sent.error
    assert at_work == []
