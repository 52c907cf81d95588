"""The wire of the bundled model: OpenAI's, less what its server cannot do.

The server would answer most of this with a 500, which reads as an outage; so it is refused by name before it leaves.
"""

from __future__ import annotations

from roadworthy.adapters.providers.openai import OpenAIWire
from roadworthy.gateway.admission.capabilities import has_image
from roadworthy.gateway.ports import Fields, Headers, Operation, Outgoing, Unusable

_NOTHING = (b"null", b"[]", b'"none"', b'"auto"')


class LocalWire(OpenAIWire):
    def encode(self, operation: Operation, fields: Fields, *, stream: bool, forwarded: Headers = ()) -> Outgoing:
        if operation == "embeddings":
            _refuse("model", "makes no embeddings")
        for name in ("tools", "tool_choice", "functions", "function_call"):
            if name in fields and bytes(fields[name]).strip() not in _NOTHING:
                _refuse(name, "calls no tools")
        if "n" in fields and bytes(fields["n"]).strip() not in (b"1", b"null"):
            _refuse("n", "counts the tokens of one choice only")
        if "messages" in fields and has_image(fields["messages"]):
            _refuse("messages", "reads text only, found an image")
        return super().encode(operation, fields, stream=stream)


def _refuse(field: str, why: str) -> None:
    raise Unusable.bad_request(f"`{field}`: the bundled local model {why}; use another target", field)
