"""Recorded bodies as chat completions, for whoever reads the log.  Never raises: a record may hold anything."""

from __future__ import annotations

import msgspec

from roadworthy.formats.model import Format, Inexpressible

_request = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ERRORS = (b'{"error":{', b'{"type":"error"')
"""How an error of ours begins; a whole answer may say ``"error":null``."""
_UNREADABLE = (msgspec.DecodeError, Inexpressible, RecursionError)


def asked(surface: Format, body: msgspec.Raw | None) -> msgspec.Raw | None:
    """A request; ``None`` where there is none, or none that can be read."""
    if body is None or surface == "chat":
        return body
    try:
        fields = _request.decode(body)
        ours = fields.pop("roadworthy", None)
        if surface == "responses":
            from roadworthy.formats.responses import request as responses

            made = responses.to_chat(fields).fields
        else:
            from roadworthy.formats.messages import request as messages

            made = messages.to_chat(fields).fields
        if ours is not None:
            made["roadworthy"] = ours
        return msgspec.Raw(msgspec.json.encode(made))
    except _UNREADABLE:
        return None


def said(surface: Format, body: msgspec.Raw | None) -> msgspec.Raw | None:
    """An answer, or the error that took its place (told as it is)."""
    if body is None or surface == "chat" or bytes(body).startswith(_ERRORS):
        return body
    try:
        if surface == "responses":
            from roadworthy.formats.responses import answer as responses

            return msgspec.Raw(responses.to_chat(bytes(body)))
        from roadworthy.formats.messages import answer as messages

        return msgspec.Raw(messages.to_chat(bytes(body)))
    except _UNREADABLE:
        return None
