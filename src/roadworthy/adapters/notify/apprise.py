"""Pages through Apprise, which speaks to some hundred services: chats, push messages, text messages.

Its URLs hold their keys: they are secrets, and nothing that Apprise says of them is logged or kept.  It runs in threads
of its own, because it blocks, and because a service that hangs must not hold up other messages.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from roadworthy.people.outbox.model import Sent
from roadworthy.people.outbox.places import AppriseUrl
from roadworthy.people.paging.model import Message
from roadworthy.people.paging.rendering import short

PATIENCE: Final = 20.0
"""Seconds for one message."""
THREADS: Final = 4
TAKEN: Final = 200
UNREADABLE: Final = "the secret is no URL that Apprise knows"


class AppriseSender:
    """``people.outbox.service.AppriseSender``."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="apprise")

    async def send(self, place: AppriseUrl, message: Message) -> Sent:
        """One try."""
        title, body = short(message)
        kind = {"trigger": "failure", "acknowledge": "info", "resolve": "success"}[message.signal]
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._patience + 1.0):
                return await loop.run_in_executor(self._threads, self._notify, place.url, title, body, kind)
        except TimeoutError:
            return Sent(error=f"the service behind Apprise did not answer in {self._patience:.0f} s")

    def _notify(self, url: str, title: str, body: str, kind: str) -> Sent:
        import apprise  # 0.12 s, and few installs use it

        for name in ("apprise", "urllib3"):  # they name URLs
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        asset = apprise.AppriseAsset(
            app_id="Roadworthy", app_desc="Roadworthy", app_url="", secure_logging=True, storage_mode="memory"
        )
        sender = apprise.Apprise(asset=asset)
        if not sender.add(url):
            return Sent(error=UNREADABLE, final=True)
        with sender.notify(body, title, notify_type=kind, body_format="text", timeout=self._patience) as result:
            name = next((str(one.name) for one in result), "Apprise")[:40]
            if result:
                return Sent(TAKEN, said=f"{name} says that it has it")
            slow = result.status.name == "TIMEOUT"
        return Sent(error=f"{name} " + ("did not answer in time" if slow else "did not take it"))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
