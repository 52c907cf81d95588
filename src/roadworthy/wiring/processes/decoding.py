"""What msgspec knows of our types, made by one thread before there are others.

msgspec (0.22, ``StructInfo_Convert``) learns the fields of a ``Struct`` when it is first decoded, and keeps what it
learns on the class *before* it is whole; in between it runs Python, where threads take turns.  A second thread that
decodes the same type just then reads a null pointer, and the process dies of SIGSEGV.  Control decodes in a dozen
threads, all of them for the first time in the second after its start.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

import msgspec

_making = threading.Lock()
_known: set[type] = set()


def make_ready() -> None:
    """Let msgspec learn every ``Struct`` of ours that was imported so far, in this thread (80 ms for control's, once).

    Call it before the first other thread starts, and again by whoever imports more, before others can reach that.
    """
    with _making:
        for kind in _structs(msgspec.Struct):
            if kind not in _known and kind.__module__.startswith("roadworthy."):
                _known.add(kind)
                _learn(kind)


def _learn(kind: type) -> None:
    with suppress(TypeError, NameError):  # what holds things that no JSON can say, nobody decodes
        msgspec.json.Decoder(kind)


def _structs(base: type) -> Iterator[type]:
    found: list[type] = type.__subclasses__(base)
    for kind in found:
        yield kind
        yield from _structs(kind)
