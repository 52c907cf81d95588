"""Which workflow a call is for and on whose behalf it is made."""

from __future__ import annotations

from roadworthy.gateway.admission.body import LONGEST_NAME, LONGEST_VALUE, Extension, check_tags, read_text
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.ports import Fields, Operation
from roadworthy.gateway.world import ServedKey, Serving, World
from roadworthy.workflow.inference import UnitSource

TAG_PREFIX = b"x-roadworthy-tag-"
OUR_PREFIX = b"x-roadworthy-"
_NAMES_SHOWN = 50


def workflow_for(model: str, key: ServedKey, world: World) -> Serving:
    """The workflow that ``model`` names; for a key bound to one adopted workflow, that one whatever it names.

    Raises ``Refused``: 404 ``model_not_found`` with the names that the key may call (a workflow of another team
    does not exist for it), 403 ``key_not_allowed`` for one of its own team that it is not bound to and for a tester key
    whose person is no tester of it.
    """
    serving = key.only or world.workflows.get(model)
    if serving is None or (serving.name not in key.names and serving.team != key.key.team):
        raise Refused(404, "model_not_found", f"There is no workflow '{model[:100]}'. {_callable(key)}", param="model")
    if serving.name not in key.names:
        raise Refused(
            403, "key_not_allowed", f"This key may not call '{serving.name}'. {_callable(key)}", param="model"
        )
    if not is_welcome(key, serving):
        raise Refused(
            403,
            "key_not_allowed",
            f"This is the tester key of '{key.key.person}', who is no tester of '{serving.name}' "
            "(policy.testers in workflow.yaml).",
        )
    return serving


def is_welcome(key: ServedKey, serving: Serving) -> bool:
    """Tester keys are, while policy names their person."""
    return key.key.kind != "tester" or key.key.person in serving.policy.testers


def vet_operation(serving: Serving, operation: Operation) -> None:
    """Raises ``Refused``: 503 ``unavailable`` for a workflow that has neither a release nor a target to pass calls
    through to, 400 for one that answers elsewhere."""
    if serving.target is None:
        raise Refused(
            503,
            "unavailable",
            f"Workflow '{serving.name}' is not served: it has no release whose target exists. Freeze one with "
            f"'roadworthy freeze {serving.name}'.",
            failure="unavailable",
        )
    if serving.release is not None and serving.operation != operation:
        path = "/v1/embeddings" if serving.operation == "embeddings" else "/v1/chat/completions"
        raise Refused(
            400, "bad_request", f"Workflow '{serving.name}' answers at {path}.", param="model", failure="bad_request"
        )


def _callable(key: ServedKey) -> str:
    if not key.names:
        return "This key may call no workflow that is served."
    shown = ", ".join(key.names[:_NAMES_SHOWN])
    more = f" and {len(key.names) - _NAMES_SHOWN} more" if len(key.names) > _NAMES_SHOWN else ""
    return f"This key may call: {shown}{more}."


def unit_of(headers: dict[bytes, bytes], fields: Fields, session: str | None) -> tuple[str | None, UnitSource]:
    """On whose behalf the call is made, by the first of: header, ``safety_identifier``, ``user``, session."""
    given = headers.get(b"x-roadworthy-user")
    if given:
        return text_of(given), "header"
    if "safety_identifier" in fields:
        named = read_text(fields, "safety_identifier")
        if named:
            return named[:LONGEST_VALUE], "safety_identifier"
    if "user" in fields:
        named = read_text(fields, "user")
        if named:
            return named[:LONGEST_VALUE], "user"
    if session:
        return session, "session"
    return None, "random"


def session_of(headers: dict[bytes, bytes], extension: Extension) -> str | None:
    given = headers.get(b"x-roadworthy-session")
    return text_of(given) if given else extension.session


def tags_of(headers: dict[bytes, bytes], extension: Extension) -> dict[str, str]:
    """The body's tags and those of ``x-roadworthy-tag-<name>`` headers, which win.  Raises ``Refused``."""
    tags = extension.tags
    if TAG_PREFIX in b"\n".join(headers):  # one look at all names instead of a loop that seldom finds one
        tags = dict(tags)
        for name in headers:
            if name.startswith(TAG_PREFIX):
                tags[name[len(TAG_PREFIX) :].decode("ascii", "replace")[: LONGEST_NAME + 1]] = text_of(headers[name])
    if tags:
        check_tags(tags)
    return tags


def text_of(value: bytes) -> str:
    """A header value as text: UTF-8, else Latin-1, at most 256 characters."""
    try:
        return value.decode()[:LONGEST_VALUE]
    except UnicodeDecodeError:
        return value.decode("latin-1")[:LONGEST_VALUE]
