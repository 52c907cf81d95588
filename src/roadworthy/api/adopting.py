"""Adopting an app that only changed its base URL and key.

POST /v1/adopt                {name, provider, endpoint?, key?, model?, owner?, allow_private?, dry_run?}
                              → {name, files, plan, warnings, key, token, base_url}; 422 with errors;
                              of a dry run {name, files, plan, warnings}
POST /v1/adopt/{name}/draft   → {name, files, notes, calls, errors, warnings}; nothing is applied

``key`` of a request names a secret (``env:NAME`` or ``file:/path``); ``files`` are those that are new or changed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.configuration import applied_in_words, refused
from roadworthy.api.errors import Invalid
from roadworthy.api.keys import new_token
from roadworthy.operations.adoption.adopt_files import AdoptRefused
from roadworthy.operations.keys import KeySpec
from roadworthy.operations.services import Services
from roadworthy.workflow.model import ProviderKind
from roadworthy.workflow.problems import errors


class Adopt(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    provider: ProviderKind = "openai"
    endpoint: str | None = None
    key: str | None = None
    model: str = "*"
    owner: str | None = None
    allow_private: bool = False
    dry_run: bool = False


def begin(services: Services, call: Call) -> Any:
    asked: Adopt = call.body
    try:
        begun = services.adoption.begin(
            asked.name,
            asked.provider,
            call.actor,
            endpoint=asked.endpoint,
            key=asked.key,
            model=asked.model,
            owner=asked.owner,
            allow_private=asked.allow_private,
            dry_run=asked.dry_run,
        )
    except AdoptRefused as error:
        raise Invalid(str(error)) from error
    found = applied_in_words(begun.applied)
    if found["errors"]:
        return refused(found)
    begins = {"name": asked.name, "files": begun.files, **found}
    if asked.dry_run:
        return begins
    made = services.keys.create(KeySpec(name=asked.name, workflows=[asked.name]), call.actor)
    return {**begins, **new_token(services, made)}


def draft(services: Services, call: Call) -> Any:
    services.shipper.ship()  # the calls of a moment ago count too
    try:
        made = services.adoption.draft(call.path["name"])
    except AdoptRefused as error:
        raise Invalid(str(error)) from error
    return {
        "name": call.path["name"],
        "files": made.files,
        "notes": made.notes,
        "calls": made.calls,
        "errors": errors(made.problems),
        "warnings": [problem for problem in made.problems if problem.severity == "warning"],
    }


ENDPOINTS = [
    Endpoint("POST", "/v1/adopt", "configure", begin, Adopt, publishes=True),
    Endpoint("POST", "/v1/adopt/{name}/draft", "configure", draft),
]
