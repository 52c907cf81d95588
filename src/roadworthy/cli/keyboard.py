"""Keys as they are pressed, without return."""

from __future__ import annotations

import codecs
import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

ESCAPE = b"\x1b"
TOGETHER = 0.02
"""Seconds within which the rest of an arrow key follows its escape."""
END = "\x04"
"""What Ctrl-D and the end of the input are read as."""


class Keyboard:
    """A terminal in one mode for as long as it is used, so that keys pressed ahead are kept, in their order."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._text = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> str:
        """Waits for one key; an arrow or function key is one text that begins with an escape.

        Raises ``KeyboardInterrupt`` for Ctrl-C.
        """
        while True:
            byte = os.read(self._descriptor, 1)
            if not byte:
                return END
            if byte == ESCAPE:
                return self._sequence()
            key = self._text.decode(byte)
            if key:
                return key

    def _sequence(self) -> str:
        found = ESCAPE
        while len(found) < 16 and select.select([self._descriptor], [], [], TOGETHER)[0]:
            byte = os.read(self._descriptor, 1)
            found += byte
            if not byte or (byte.isalpha() and byte != b"O") or byte == b"~":
                break
        return found.decode("utf-8", "replace")


@contextmanager
def keyboard(stdin: TextIO) -> Iterator[Keyboard]:
    """The terminal as it was comes back, whatever happens."""
    descriptor = stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        yield Keyboard(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
