"""A Locust file that plays the same plan, for Locust's own distributed mode: past what one machine can send.

The file needs Locust and nothing of ours: it holds the questions, the headers but for the key, and the very source of
our pacers, so its workers compute the same intended starts and each takes every N-th of them.  Latency counts from the
intended start there too, as two entries: the whole answer and, of streams, the first token.
"""

from __future__ import annotations

import ast
import inspect
import pprint
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Final

from roadworthy.latency import pacing
from roadworthy.latency.model import Arrival, Arrivals, Body
from roadworthy.latency.sending import asked
from roadworthy.latency.traces import Traced

MOST_REPLAYED: Final = 1_000_000
_TEMPLATE: Final = "locustfile.py.in"
_SETTINGS: Final = "# @SETTINGS@"
_PACERS: Final = "# @PACERS@"


class TooLong(ValueError):
    """The trace is longer than a file should hold."""


def write(
    arrivals: Arrivals,
    bodies: Sequence[Body],
    *,
    host: str,
    path: str,
    model: str,
    stream: bool,
    headers: Mapping[str, str] | None = None,
    fields: Mapping[str, object] | None = None,
    trace: Sequence[Traced] = (),
    sizes: Sequence[int] = (),
    most_under_way: int = 512,
) -> str:
    """The text of a ``locustfile.py``.

    ``host`` is scheme, name and port; ``headers`` never hold the key: the file reads it from ``ROADWORTHY_API_KEY``.
    Raises ``pacing.Unplannable`` and ``TooLong``.
    """
    pacing.check(arrivals, len(bodies), trace)
    replayed: list[tuple[float, int, int | None]] = []
    if arrivals.shape == "replay":
        planned: list[Arrival] = list(pacing.plan(arrivals, len(bodies), trace, sizes=sizes))
        if len(planned) > MOST_REPLAYED:
            raise TooLong(f"{len(planned):,} calls, at most {MOST_REPLAYED:,} fit a file: shorten --duration")
        replayed = [(round(each.at, 6), each.body, each.max_tokens) for each in planned]
    settings = {
        "HOST": host,
        "PATH": path,
        "STREAM": stream,
        "HEADERS": {"content-type": "application/json", **(headers or {})},
        "MOST_UNDER_WAY": most_under_way,
        "PLAN": (arrivals.shape, arrivals.rate, arrivals.seconds, arrivals.cv, arrivals.start_rate, arrivals.seed),
        "QUESTIONS": [
            (asked(body, model=model, stream=stream, fields=fields), body.user) for body in bodies
        ],
        "REPLAYED": replayed,
    }  # fmt: skip
    pacers = "\n\n".join(
        _without_annotations(inspect.getsource(each)) for each in (pacing.starts, pacing.when_reached, pacing.dealt)
    )
    lines = "\n".join(f"{name} = {_literal(value)}" for name, value in settings.items())
    before, _, rest = resources.files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8").partition(_SETTINGS)
    between, _, after = rest.partition(_PACERS)
    made = "".join((before, lines, between, pacers, after))
    compile(made, "locustfile.py", "exec")  # what cannot be read by Python is never handed out
    return made


def _literal(value: object) -> str:
    return pprint.pformat(value, width=116, sort_dicts=False)


def _without_annotations(source: str) -> str:
    """A function without its types, whose names the file does not have."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
    return ast.unparse(tree)
