"""Going on with a stream that broke after its first bytes: whether, by whom, and with which words.  Pure.

Continued is plain text of one choice whose stream was cut, stalled, or broke off with an error of the provider or with
events that cannot be read; never what the provider ended on purpose (``length``, a content filter), a refusal, a call
of a tool or structured output.

The same target goes on, else the targets of the ladder, as far as they can (``capabilities.prefill``): ``native`` takes
the begun answer as the last message and goes on with it, ``prompted`` is asked to in words.  ``seam`` joins what comes.
"""

from __future__ import annotations

from collections.abc import Iterator

from roadworthy.fallback.rules import LEAST_USEFUL_SECONDS
from roadworthy.gateway.admission.body import loosely
from roadworthy.gateway.call import Turns
from roadworthy.gateway.ports import Fields, Unusable
from roadworthy.gateway.streaming.live import LiveStream
from roadworthy.gateway.streaming.seam import MARKS, anchor_of
from roadworthy.gateway.verdict import BROKEN_OFF
from roadworthy.gateway.world import ServedTarget, Serving
from roadworthy.workflow.inference import Failure

BROKE_OFF: frozenset[Failure] = frozenset({"unavailable", "slow", "truncated", "overlimit"})
"""Failures after which the text so far is good and only the rest is missing."""

LEAST_SECONDS = LEAST_USEFUL_SECONDS

GO_ON = """Your last answer was cut off by a technical fault. Go on with it, so that both parts read as one text.
Begin by repeating its last words exactly as they stand between the marks, without the marks, and continue from there. \
Write nothing else: no greeting, no remark, nothing that was said before them.
{}
%s
{}""".format(*MARKS)


def said_before(live: LiveStream, unusable: Unusable) -> str | None:
    """The text with which the broken stream may be continued; ``None``: it may not."""
    call = live.call
    if not (unusable.failure in BROKE_OFF or live.garbled) or live.refused:
        return None
    if not BROKEN_OFF.issuperset(live.ends.values()):
        return None
    if call.n != 1 or call.structured:
        return None
    if "functions" in call.fields or _ends_with_assistant(call.fields):
        return None
    said = live.text()
    return said if said is not None and said.strip() else None


def _ends_with_assistant(fields: Fields) -> bool:
    """The caller began the answer itself: what it began is not in the stream, so the seam would be guessed."""
    messages = loosely(fields["messages"])
    if messages is None:
        return True
    last = messages[-1] if messages else None
    return isinstance(last, dict) and last.get("role") == "assistant"


def candidates(
    serving: Serving, broken: ServedTarget, failure: Failure, callable_now: frozenset[str]
) -> Iterator[ServedTarget]:
    """Who may go on, best first: the same target, then those of the ladder of ``failure`` and of a broken call."""
    names = [broken.name]
    for word in (failure, "truncated", "unavailable"):
        names += [step.target for step in serving.ladder.get(word, ()) if step.kind == "target" and step.target]
    for name in dict.fromkeys(names):
        target = serving.targets[name]
        if name in callable_now and target.target.capabilities.prefill != "none":
            yield target


def asked_to_go_on(said: str, target: ServedTarget) -> Turns:
    """What asks ``target`` for the rest."""
    if is_native(target):
        # an answer that ends in white space misleads tokenizers, and Anthropic refuses it
        return Turns(said.rstrip(), None)
    return Turns(said, GO_ON % anchor_of(said))


def is_native(target: ServedTarget) -> bool:
    return target.target.capabilities.prefill == "native"
