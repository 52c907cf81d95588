"""The surfaces by the path at which they are served."""

from __future__ import annotations

from roadworthy.gateway.surfaces.chat import CHAT, EMBEDDINGS
from roadworthy.gateway.surfaces.model import Surface

SURFACES: dict[str, Surface] = {
    "/v1/chat/completions": CHAT,
    "/v1/embeddings": EMBEDDINGS,
}
