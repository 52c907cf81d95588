"""What the two servers that we launch ourselves share: announcing their port and dying with their parent."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path


def announce(port_file: Path, port: int) -> None:
    """Write ``port`` so that a reader sees all of it or nothing.  The server listens already."""
    temporary = port_file.with_name(f"{port_file.name}.{os.getpid()}")
    temporary.write_text(f"{port}\n")
    temporary.replace(port_file)


def endpoint(port_file: Path) -> str | None:
    """Base URL of the server that announced itself; ``None`` while it has not."""
    try:
        return f"http://127.0.0.1:{int(port_file.read_text())}/v1"
    except (FileNotFoundError, ValueError):
        return None


def die_with(parent: int | None) -> None:
    """End this process within half a second of its parent's end.

    Watches the parent's id instead of asking the kernel for a signal: that signal comes when the *thread* that
    started us ends, which a supervisor's threads do all the time.
    """
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(0)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def command(module: str, *arguments: str) -> list[str]:
    """Command line of a server of this package, told to die with the calling process."""
    return [sys.executable, "-m", f"roadworthy.adapters.providers.{module}", *arguments, "--parent", str(os.getpid())]
