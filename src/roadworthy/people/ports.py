"""What signing in needs of the state store; the same transaction object as ``workflow.ports.Transaction`` has it."""

from __future__ import annotations

from typing import Protocol

from roadworthy.people.model import LoginCode, LoginSession


class LoginTransaction(Protocol):
    """Codes and sessions, looked up by hash; ``put_…`` inserts or replaces by hash."""

    def login_code(self, code_hash: str) -> LoginCode | None: ...

    def put_login_code(self, code: LoginCode) -> None: ...

    def login_session(self, token_hash: str) -> LoginSession | None: ...

    def put_login_session(self, session: LoginSession) -> None: ...
