"""Which wire speaks to which kind of provider: the one place to add the next."""

from __future__ import annotations

from roadworthy.adapters.providers.anthropic import AnthropicWire
from roadworthy.adapters.providers.bedrock import BedrockWire
from roadworthy.adapters.providers.gemini import GeminiWire
from roadworthy.adapters.providers.local_wire import LocalWire
from roadworthy.adapters.providers.openai import OpenAIWire
from roadworthy.adapters.providers.simulated_wire import SimulatedWire
from roadworthy.gateway.ports import Wire, WireFactory
from roadworthy.workflow.model import ProviderKind, Target

WIRES: dict[ProviderKind, WireFactory] = {
    "openai": OpenAIWire,
    "anthropic": AnthropicWire,
    "gemini": GeminiWire,
    "bedrock": BedrockWire,
    "local": LocalWire,
    "simulated": SimulatedWire,
}


def wire_for(target: Target, base: bytes, secret: str | None) -> Wire:
    """The wire of ``target``.  ``base``: path of its endpoint (``b"/v1"``); a ``WireFactory`` for every kind."""
    return WIRES[target.provider](target, base, secret)
