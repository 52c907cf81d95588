"""Embeddings that a provider gives as numbers, packed as their caller asked for them.

OpenAI's clients ask for ``base64`` (32-bit floats, little-endian) unless told otherwise, and not all of them can read
numbers then.
"""

from __future__ import annotations

import base64
import sys
from array import array

import msgspec

from roadworthy.gateway.admission.body import loosely
from roadworthy.gateway.ports import Answer, Fields


def packed(answer: Answer, fields: Fields) -> Answer:
    """``answer`` (``unpacked``) in the ``encoding_format`` of the request."""
    wanted = fields.get("encoding_format")
    if wanted is None or loosely(wanted) != "base64":
        return answer
    body = msgspec.json.decode(answer.body)
    for one in body["data"]:
        numbers = array("f", one["embedding"])
        if sys.byteorder == "big":
            numbers.byteswap()
        one["embedding"] = base64.b64encode(numbers.tobytes()).decode()
    return msgspec.structs.replace(answer, body=msgspec.json.encode(body), unpacked=False)
