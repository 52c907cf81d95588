"""The client for code that blocks."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from types import TracebackType

import httpx2

from roadworthy.client import protocol
from roadworthy.client.errors import RoadworthyError
from roadworthy.client.http import DEFAULT_TIMEOUT, Etags, headers_of, heard, lost
from roadworthy.client.polling import Polling
from roadworthy.client.protocol import Ask, Escalation, Flag, Flags, Heard
from roadworthy.client.telling import Told
from roadworthy.client.words import Thumb


class Roadworthy:
    """What the gateway serves beside inference.  Safe to use from many threads.

    Every method sends one request and repeats none; each may raise ``Unreachable``, ``TimedOut``, ``Refused`` (or its
    kinds ``Limited`` and ``Unavailable``) and ``Unreadable``.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float | httpx2.Timeout = DEFAULT_TIMEOUT,
        http_client: httpx2.Client | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``base_url``: as an OpenAI client has it, with or without ``/v1`` (else ``ROADWORTHY_BASE_URL``); ``api_key``
        (else ``ROADWORTHY_API_KEY``); ``timeout``: seconds (10, a connection 1); ``http_client``: one of your own,
        which stays yours to close.  Raises ``ValueError``.
        """
        self._root, key = protocol.place(base_url, api_key)
        self._headers = headers_of(key)
        self._timeout = timeout
        self._own = http_client is None
        self._http = http_client or httpx2.Client()
        self._clock = clock
        self._sleep = sleep
        self._etags = Etags()

    def feedback(
        self,
        inference: str | Told,
        *,
        thumb: Thumb | None = None,
        score: float | None = None,
        comment: str | None = None,
        user: str | None = None,
    ) -> None:
        """What a user thought of an answer: of ``thumb``, ``score`` (0 bad to 1 good) and ``comment`` at least one.

        It is on the gateway's disk when this returns.
        """
        protocol.read(self._send(protocol.ask_feedback(inference, thumb, score, comment, user)))

    def escalation(self, escalation: str | Told) -> Escalation:
        """How a call that was handed to a person stands now."""
        return protocol.read_escalation(self._send(protocol.ask_escalation(escalation)))

    def wait_for_answer(
        self,
        escalation: str | Told,
        *,
        timeout: float,
        longest_pause: float = 30.0,
        stop: threading.Event | None = None,
    ) -> Escalation:
        """Poll until a person has answered, nobody will (``expired``, ``cancelled``), or ``timeout`` seconds passed
        (``pending``).

        It asks again when the gateway says so, then more and more seldom, up to every ``longest_pause`` seconds.  A
        gateway that cannot be reached for a while ends nothing; where it never could, the last error is raised.
        Setting ``stop`` ends the waiting at once.
        """
        polling = Polling(timeout=timeout, longest_pause=longest_pause, now=self._clock(), random=random.random)
        while True:
            try:
                pause = polling.heard(self.escalation(escalation), self._clock())
            except RoadworthyError as error:
                pause = polling.failed(error, self._clock())
            if pause is None or self._stopped(pause, stop):
                return polling.result()

    def is_on(self, workflow: str, user: str | None = None, *, strict: bool = False) -> Flag:
        """Would a call of ``user`` be answered by the AI of ``workflow``?  The user is that of ``x-roadworthy-user``.

        Where nobody can say (no connection, a wrong key, an unknown workflow) it is off, ``flag.error`` says why, and
        a warning is logged; ``strict`` raises instead.
        """
        try:
            return protocol.read_flag(workflow, self._send(protocol.ask_flag(workflow, user)))
        except RoadworthyError as error:
            if strict:
                raise
            return protocol.unknown_flag(workflow, error)

    def flags(self, user: str | None = None, *, strict: bool = False) -> Flags:
        """``is_on`` for every workflow of the key at once; an unchanged answer is not sent again (``ETag``)."""
        known, etag = self._etags.known(user)
        try:
            answer = self._send(protocol.ask_flags(user, etag))
            return self._etags.keep(user, answer, known)
        except RoadworthyError as error:
            if strict:
                raise
            return protocol.unknown_flags(error)

    def models(self) -> list[str]:
        """The workflows that the key may call."""
        return protocol.read_models(self._send(protocol.ask_models()))

    def close(self) -> None:
        if self._own:
            self._http.close()

    def __enter__(self) -> Roadworthy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, ask: Ask) -> Heard:
        try:
            response = self._http.request(
                ask.method, self._root + ask.path, json=ask.body, headers=self._headers | ask.headers,
                timeout=self._timeout,
            )  # fmt: skip
        except httpx2.RequestError as error:
            raise lost(error, self._root) from error
        return heard(response)

    def _stopped(self, seconds: float, stop: threading.Event | None) -> bool:
        if stop is not None:
            return stop.wait(seconds)
        self._sleep(seconds)
        return False
