"""Rows of a file as examples of a workflow: what they would become, said before it counts, and then taken.

A release that renders its own system messages gets none from a file; what is asked may be redacted by the rules of the
workflow's policy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from roadworthy.evals.examples import identified
from roadworthy.evals.importing import Columns, NotImported
from roadworthy.evals.model import Example
from roadworthy.evals.pool import Pool, Seen, Taken
from roadworthy.operations.proving.capture import Redactor
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.service import Actor, Unknown, Workflows

LARGEST: Final = 24 * 1024 * 1024
"""Characters of a file."""


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    rows: str
    """The file's text."""
    columns: Columns
    source: str = ""
    """Its name."""
    redact: bool = False
    """By the rules that the workflow's policy names."""


class Importing:
    """Blocking.  Everything raises ``Unknown``, ``NotImported`` and ``Refused``, and then nothing is changed."""

    def __init__(
        self, workflows: Workflows, pool: Pool, redactor: Callable[[Workflow], Redactor | None]
    ) -> None:  # fmt: skip
        self._workflows = workflows
        self._pool = pool
        self._redactor = redactor

    def look(self, asked: Rows, actor: Actor) -> Seen:
        """What would become of them."""
        columns, redacted = self._meant(asked)
        return self._pool.foresee(asked.workflow, asked.rows, columns, actor, asked.source, redacted=redacted)

    def take(self, asked: Rows, actor: Actor) -> Taken:
        """They wait in the pool, or are published at once: the owner's first ones."""
        columns, redacted = self._meant(asked)
        return self._pool.take(asked.workflow, asked.rows, columns, actor, asked.source, redacted=redacted)

    def _meant(self, asked: Rows) -> tuple[Columns, Callable[[Example], Example] | None]:
        if len(asked.rows) > LARGEST:
            raise NotImported([f"rows: {len(asked.rows):,} characters, expected at most {LARGEST:,}"])
        columns, managed = asked.columns, self._managed(asked.workflow)
        if managed and columns.keep_system:
            columns = msgspec.structs.replace(columns, keep_system=False)
        return columns, self._redacting(asked.workflow) if asked.redact else None

    def _managed(self, workflow: str) -> bool:
        """Does the release render its own system messages?  The draft's word counts before there is one."""
        self._workflows.named(workflow)
        frozen = self._workflows.candidates().get(workflow)
        try:
            release = frozen.release if frozen is not None else self._workflows.find(workflow, "draft")[0]
        except Unknown:
            return False
        prompt = release.behaviour.prompt
        return prompt is not None and prompt.mode == "managed"

    def _redacting(self, workflow: str) -> Callable[[Example], Example]:
        redactor = self._redactor(self._workflows.named(workflow))
        if redactor is None:
            raise NotImported(
                [f"redact: the policy of {workflow} names no rule; write policy: {{redact: [email, phone]}} and apply"]
            )
        return lambda example: _redacted(example, redactor)


def _redacted(example: Example, redactor: Redactor) -> Example:
    """What is asked; what is expected stays."""
    raw = redactor.json(msgspec.json.encode([example.messages, example.inputs]))
    if raw is None:
        raise NotImported([f"rows: '{example.label or example.id}' cannot be redacted; leave it out"])
    messages, inputs = msgspec.json.decode(raw, type=tuple[list[dict[str, Any]], dict[str, str]])
    return identified(msgspec.structs.replace(example, messages=messages, inputs=inputs))
