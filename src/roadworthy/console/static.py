"""Our own files: style, script and what is vendored.  Their paths carry a hash, so browsers keep them for good."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.responses import FileResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

FOLDER = Path(__file__).parent / "static"
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}


@cache
def digests() -> dict[str, str]:
    """Name below ``static/`` → short hash of its bytes.  Read once: what is served is what was installed."""
    return {
        path.relative_to(FOLDER).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in KINDS
    }


def url(name: str) -> str:
    """Where a file of ours is; a name that is not there is a defect of a template."""
    return f"/static/{digests()[name]}/{name}"


class Static:
    """``/static/HASH/NAME``; nothing else of the disk can be named."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        digest, _, name = path.partition("/")
        if scope["method"] not in ("GET", "HEAD") or digests().get(name) != digest:
            await PlainTextResponse("There is no such file.\n", 404)(scope, receive, send)
            return
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        file = FileResponse(FOLDER / name, media_type=KINDS[Path(name).suffix], headers=headers)
        await file(scope, receive, send)
