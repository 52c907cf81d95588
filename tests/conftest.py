"""What holds for every test."""

import gc
import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

# A deadline would turn a busy machine into a failing claim: how fast something is, the benches say.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# A suite that a script began in the background ignores Ctrl-C, and so would every command that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Ten thousand tests and all that they import stay until the end: nothing of them is walked for garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
