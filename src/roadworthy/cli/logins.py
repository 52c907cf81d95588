"""Where the person of ``roadworthy login`` is remembered: one file of the user, 0600, a session per data folder."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from roadworthy.cli.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Login:
    """A session; ``expires`` is Unix seconds."""

    token: str
    person: str
    expires: float


class Logins:
    """The session file.  A missing file means nobody is logged in."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def current(self, data: Path, now: float) -> Login | None:
        """The session for this data folder that has not expired."""
        found = self._read().get(_name(data))
        if not isinstance(found, dict):
            return None
        try:
            login = Login(str(found["token"]), str(found["person"]), float(found["expires"]))
        except (KeyError, TypeError, ValueError):
            return None
        return login if login.expires > now else None

    def remember(self, data: Path, login: Login) -> None:
        sessions = self._read()
        sessions[_name(data)] = dataclasses.asdict(login)
        self._write(sessions)

    def forget(self, data: Path) -> bool:
        sessions = self._read()
        known = sessions.pop(_name(data), None) is not None
        if known:
            self._write(sessions)
        return known

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise BadInput(f"{self.path}: cannot be read ({error})", "remove the file and log in again") from error
        sessions = found.get("sessions") if isinstance(found, dict) else None
        return dict(sessions) if isinstance(sessions, dict) else {}

    def _write(self, sessions: dict[str, Any]) -> None:
        from roadworthy.adapters.files import write_atomically

        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self.path, json.dumps({"sessions": sessions}, indent=2).encode(), mode=0o600)


def _name(data: Path) -> str:
    return os.path.abspath(data)
