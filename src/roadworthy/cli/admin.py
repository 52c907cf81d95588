"""The admin API as the commands see it: JSON in, JSON out, failures as the errors of ``errors``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from roadworthy.cli.errors import BadInput, CliError, Unreachable
from roadworthy.cli.words import plural

if TYPE_CHECKING:
    import httpx2

Params = Mapping[str, Any]

_SILENT = "run `roadworthy doctor`; `roadworthy up` starts control and gateway"


class Refused(CliError):
    """Control understood and said no.  ``status`` and ``error_code`` are those of its answer."""

    def __init__(self, message: str, status: int, error_code: str, body: Mapping[str, Any], mend: str = "") -> None:
        super().__init__(message, mend)
        self.status = status
        self.error_code = error_code
        self.body = body
        if status in (400, 404, 405, 409, 413, 422):
            self.code = BadInput.code
        elif status in (502, 503, 504):
            self.code = Unreachable.code


class Admin:
    """A client of the admin API.  ``token`` is a login session's; without one control sees the OS user."""

    def __init__(self, transport: httpx2.BaseTransport, *, token: str | None = None, timeout: float = 60.0) -> None:
        import httpx2

        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx2.Client(
            transport=transport,
            base_url="http://control",
            headers=headers,
            timeout=httpx2.Timeout(timeout, connect=5.0),
            trust_env=False,
        )

    def get(self, path: str, params: Params | None = None) -> Any:
        return self._json("GET", path, params=_present(params))

    def post(self, path: str, body: Any = None, *, timeout: float | None = None) -> Any:
        options: dict[str, Any] = {"json": {} if body is None else body}
        if timeout is not None:
            options["timeout"] = timeout
        return self._json("POST", path, **options)

    def post_raw(self, path: str, body: bytes, params: Params | None = None) -> Any:
        """A POST whose body goes as it is."""
        return self._json("POST", path, content=body, params=_present(params))

    def stream(self, path: str, params: Params | None = None) -> Iterator[bytes]:
        """The body of a GET in pieces, as it arrives."""
        with self._failures(), self._client.stream("GET", path, params=_present(params), timeout=None) as response:
            if response.status_code >= 400:
                response.read()
                raise refusal(response)
            yield from response.iter_bytes()

    def close(self) -> None:
        self._client.close()

    def _json(self, method: str, path: str, **options: Any) -> Any:
        try:
            request = self._client.build_request(method, path, **options)
        except ValueError as error:  # JSON has no such number
            raise BadInput("found nan or inf, expected a number", "give one that is finite") from error
        with self._failures():
            response = self._client.send(request)
        if response.status_code >= 400:
            raise refusal(response)
        try:
            return response.json()
        except ValueError as error:
            raise CliError(f"control answered {path} with something that is not JSON") from error

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Map the client library's errors to ours, once."""
        import httpx2

        try:
            yield
        except httpx2.ConnectError as error:
            raise Unreachable(f"control does not answer on its socket: {error}", _SILENT) from error
        except httpx2.TimeoutException as error:
            raise Unreachable("control took too long to answer", _SILENT) from error
        except httpx2.TransportError as error:
            raise Unreachable(f"the connection to control broke: {error}", _SILENT) from error


def refusal(response: httpx2.Response) -> Refused:
    """What an answer of 400 or more says, as an error of ours."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        error = {}
    message = str(error.get("message") or f"control answered {response.status_code}")
    mend = str(error.get("mend") or "")
    problems = body.get("errors") if isinstance(body, dict) else None
    if isinstance(problems, list):
        message = "\n".join([plural(len(problems), "error"), *map(problem_text, problems)])
    if response.status_code == 401:
        mend = mend or "log in again: roadworthy login CODE"
    return Refused(message, response.status_code, str(error.get("code") or ""), body, mend)


def problem_text(problem: Any) -> str:
    """One configuration problem: where, what was found and expected, and the mend."""
    if not isinstance(problem, dict):
        return str(problem)
    where = f"{problem.get('file', '')}:{problem['line']}" if problem.get("line") else str(problem.get("file", ""))
    field = f" {problem['field']}:" if problem.get("field") else ""
    mend = f"\n  mend: {problem['mend']}" if problem.get("mend") else ""
    kind = problem.get("severity") or "error"
    return f"{where}: {kind}:{field} found {problem.get('found')}; expected {problem.get('expected')}{mend}"


def _present(params: Params | None) -> dict[str, Any]:
    """Query parameters without those that were not given."""
    return {name: value for name, value in (params or {}).items() if value is not None and value != ()}
