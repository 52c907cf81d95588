"""Hints of how to save: told to providers that know them, and no reason to refuse a call to others."""

from __future__ import annotations

import msgspec
import pytest

from roadworthy.adapters.providers import bedrock_request, gemini_request
from roadworthy.formats.messages import request as messages
from roadworthy.formats.model import HINTS
from roadworthy.formats.responses import request as responses

ASKED = {
    "messages": msgspec.Raw(b'[{"role":"user","content":"Hi"}]'),
    "prompt_cache_key": msgspec.Raw(b'"session-7"'),
    "prompt_cache_retention": msgspec.Raw(b'"24h"'),
}


@pytest.mark.parametrize("hint", sorted(HINTS))
def test_a_hint_goes_to_those_that_know_it(hint):
    assert responses.from_chat(ASKED, model="m", stream=False)[hint] == ASKED[hint]
    asked = {"input": msgspec.Raw(b'"Hi"'), hint: ASKED[hint]}
    assert responses.to_chat(asked).fields[hint] == ASKED[hint]


def test_others_are_asked_without_it():
    assert HINTS.isdisjoint(messages.from_chat(ASKED, model="m", stream=False))
    assert HINTS.isdisjoint(gemini_request.translate(ASKED, model="gemini-2.5-flash"))
    assert HINTS.isdisjoint(bedrock_request.translate(ASKED, enforce_schema=True))
