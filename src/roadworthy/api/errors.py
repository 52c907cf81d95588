"""Every way in which the admin API says no, in the one error shape of Roadworthy.

ApiError
├── Invalid            400  the request cannot be read: ``bad_request``, ``invalid_json``
├── Unauthenticated    401  a login session that is none (any more): ``invalid_session``
├── Denied             403  known, and not allowed: ``permission_denied``
├── NotFound           404  ``not_found``
├── Conflict           409  the world is otherwise than the request assumes: ``conflict``
├── TooLarge           413  ``body_too_large``
├── Unprocessable      422  readable and wrong, with its problems: ``invalid_configuration``
└── Unavailable        503  a store that does not answer: ``unavailable``
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from roadworthy.api.encoding import json_bytes


class ApiError(Exception):
    status = 500
    code = "internal"
    kind = "api_error"

    def __init__(self, message: str, *, param: str | None = None, **more: Any) -> None:
        """``param`` names the field; ``more`` is added beside ``error`` in the body."""
        super().__init__(message)
        self.param = param
        self.more = more


class Invalid(ApiError):
    status, code, kind = 400, "bad_request", "invalid_request_error"

    def __init__(self, message: str, *, code: str = "bad_request", param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.code = code


class Unauthenticated(ApiError):
    status, code, kind = 401, "invalid_session", "authentication_error"


class Denied(ApiError):
    status, code, kind = 403, "permission_denied", "permission_error"


class NotFound(ApiError):
    status, code, kind = 404, "not_found", "not_found_error"


class Conflict(ApiError):
    status, code, kind = 409, "conflict", "invalid_request_error"


class TooLarge(ApiError):
    status, code, kind = 413, "body_too_large", "invalid_request_error"


class Unprocessable(ApiError):
    status, code, kind = 422, "invalid_configuration", "invalid_request_error"


class Unavailable(ApiError):
    status, code, kind = 503, "unavailable", "api_error"


def response(error: ApiError) -> Response:
    body = {
        "error": {"message": str(error), "type": error.kind, "param": error.param, "code": error.code},
        **error.more,
    }
    return Response(json_bytes(body), error.status, media_type="application/json", headers={"x-should-retry": "false"})
