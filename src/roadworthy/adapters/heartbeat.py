"""Calls a dead-man's switch."""

from __future__ import annotations

from roadworthy.adapters.outbound import Outbound, OutboundFailed

LARGEST_ANSWER = 64 * 1024


class HttpBeat:
    """``engine.heartbeat.Beat``."""

    def __init__(self, outbound: Outbound | None = None) -> None:
        self._outbound = outbound or Outbound()

    async def beat(self, method: str, url: str, allow_private: bool) -> str:
        if not url.startswith(("https://", "http://")) or (url.startswith("http://") and not allow_private):
            return "the secret holds no https address"
        try:
            reply = await self._outbound.call(method, url, {}, allow_private=allow_private, largest=LARGEST_ANSWER)
        except OutboundFailed as error:
            return str(error)
        return "" if 200 <= reply.status < 300 else f"it answered {reply.status}"
