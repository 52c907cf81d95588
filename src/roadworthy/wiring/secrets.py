"""Secrets are named in configuration (``env:NAME``, ``file:/path``) and read where they are used, never stored."""

from __future__ import annotations

import os
from pathlib import Path


def find_secret(name: str) -> str | None:
    """The secret called ``env:NAME`` or ``file:/path``; ``None`` when it is not there or empty."""
    kind, _, place = name.partition(":")
    if kind == "env":
        return os.environ.get(place) or None
    if kind == "file":
        try:
            return Path(place).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            return None
    return None
