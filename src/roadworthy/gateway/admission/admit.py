"""From an authenticated request to a call that may be attempted: the steps before anything leaves the gateway.

Everything that this module refuses is the caller's to mend; nothing has been spent yet.
"""

from __future__ import annotations

import msgspec

from roadworthy.gateway.admission import body, resolve
from roadworthy.gateway.admission.prompting import prepare, vet_unknown
from roadworthy.gateway.admission.routing import Router
from roadworthy.gateway.admission.sides import Side, beside
from roadworthy.gateway.answers.escalations import vet_wishes
from roadworthy.gateway.call import Call
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.ports import Fields
from roadworthy.gateway.stopping.board import Board, Halted
from roadworthy.gateway.streaming.sse import stream_options
from roadworthy.gateway.surfaces.model import forwarded
from roadworthy.gateway.world import Serving, World

WOULD_UNRELEASED = "bypassed: unreleased prompt"
MOST_OVERRIDES = 50
"""How many of a caller's own fields are named in its record."""

_TRUE = msgspec.Raw(b"true")
_PLAIN_TEXT = b'{"type":"text"}'


class Bypassed(Exception):
    """No model is asked: the call takes the bypass of its workflow."""

    def __init__(self, side: Side) -> None:
        super().__init__(side.why)
        self.side = side


def admit(call: Call, headers: dict[bytes, bytes], world: World, board: Board) -> None:
    """Resolve and prepare ``call``.  Raises ``Refused``, ``Bypassed``, ``Halted``, ``prompting.PromptUnreleased``."""
    fields = body.parse_fields(call.request.body)
    extension = body.read_extension(fields)
    if extension.wait is not None or extension.callback is not None:
        vet_wishes(extension, call.key)
    call.model = body.read_model(fields)
    call.serving = resolve.workflow_for(call.model, call.key, world)
    surface, unknown = call.surface, None
    if surface.format != "chat":
        call.own = fields
        call.forwarded = forwarded(surface, headers)
        taken = surface.take(fields)
        fields, call.lost, unknown = taken.fields, taken.lost, taken.unknown
    call.session = resolve.session_of(headers, extension)
    call.unit, call.unit_source = resolve.unit_of(headers, fields, call.session)
    call.tags = resolve.tags_of(headers, extension)
    halting = board.halting(call) if board.any else None
    router = world.routers[call.serving.name]
    serving, side = _take(call, router, router.side(call, halting.state if halting is not None else "on"))
    if call.operation == "chat":
        _read_chat(call, fields)
    elif "input" not in fields:
        raise Refused(400, "invalid_type", "'input' is missing: give the text to embed.", param="input")
    if side.why:
        raise Bypassed(side) if halting is None or halting.state != "off" else Halted(halting)
    prepared = prepare(serving, fields, extension, surface, tester=call.traffic == "tester")
    call.fields = prepared.fields
    call.prompt = prepared.prompt
    if prepared.overrides:
        call.overrides = [surface.name(name)[: body.LONGEST_NAME] for name in prepared.overrides[:MOST_OVERRIDES]]
    if unknown is not None and serving.behaviour is not None:
        vet_unknown(serving, unknown)
        call.overrides = [*call.overrides, unknown[: body.LONGEST_NAME]]
    if serving.asked_otherwise(call.model):
        call.overrides = [*call.overrides, "model"]
    if prepared.notes:
        call.notes = [*call.notes, *prepared.notes]
        if not serving.enforced and not call.would and call.traffic == "live":
            call.would = WOULD_UNRELEASED


def _take(call: Call, router: Router, side: Side) -> tuple[Serving, Side]:
    """Have the call served by the side that was decided.  Raises ``Refused``."""
    main = router.main
    serving = router.servings[side.serves]
    if main.release is not None and serving.operation != call.operation and main.beside is not None:
        serving = main.beside  # the calls of the other kind of an app that is served as before
        if not side.why:
            side = beside(side, main.name)
    else:
        resolve.vet_operation(serving, call.operation)
    call.serving = serving
    call.route = side.route
    call.stage, call.would, call.kill = side.stage, side.would, side.kill
    call.drafted = side.drafted
    call.deadline = call.began + serving.handling.deadline
    call.left_as_is = not serving.enforced or serving.release is None
    return serving, side


def _read_chat(call: Call, fields: Fields) -> None:
    """Read what the gateway itself acts on, and ask a streaming upstream for its usage."""
    body.require_array(fields, "messages")
    assert call.serving is not None
    call.structured = call.serving.structured or "tools" in fields or _asks_for_schema(fields)
    if "n" in fields:
        call.n = max(1, body.read_count(fields, "n", 1))
    if "stream" not in fields or not body.read_flag(fields, "stream"):
        return
    call.stream = True
    try:
        options, call.usage_asked = stream_options(fields)
    except msgspec.DecodeError as error:
        raise Refused(
            400, "invalid_type", f"'stream_options' must be an object: {error}.", param="stream_options"
        ) from None
    if call.surface.format != "chat":
        call.usage_asked = True  # the others tell it always
    if call.serving.handling.stream != "buffered":
        fields["stream"], fields["stream_options"] = _TRUE, options
    else:
        del fields["stream"]
        fields.pop("stream_options", None)


def _asks_for_schema(fields: Fields) -> bool:
    given = fields.get("response_format")
    return given is not None and bytes(given) not in (b"null", _PLAIN_TEXT)
