"""Two threads that decode a type for the first time at once kill the process: control lets none of them be first."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from roadworthy.wiring.composition import Control
from roadworthy.wiring.folders.data_folder import create_folder
from roadworthy.wiring.processes.decoding import make_ready

AT_ONCE = """
import sys, threading
import msgspec
from roadworthy.wiring.processes.decoding import make_ready
from roadworthy.workflow.model import Configuration, Settings

said = msgspec.json.encode(Configuration(settings=Settings(), targets={}, people={}, workflows={}))
make_ready()
sys.setswitchinterval(1e-6)  # threads take turns wherever Python lets them
start = threading.Barrier(8)

def decode():
    start.wait()
    msgspec.json.decode(said, type=Configuration)

threads = [threading.Thread(target=decode) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def ours(base: type = msgspec.Struct) -> Iterator[type]:
    for kind in type.__subclasses__(base):
        if kind.__module__.startswith("roadworthy."):
            yield kind
        yield from ours(kind)


def learned(kind: type) -> bool:
    """Does msgspec know its fields already?  It keeps them on the class."""
    return any(type(each).__name__ == "StructInfo" for each in gc.get_referents(kind))


def test_whatever_control_imported_is_ready_before_its_first_thread(tmp_path: Path) -> None:
    control = Control(create_folder(tmp_path / "data"))
    try:
        left = [kind for kind in set(ours()) if not learned(kind)]
    finally:
        control.close()
    assert len(left) < 20
    for kind in left:  # nobody can decode it at all
        with pytest.raises((TypeError, NameError)):
            msgspec.json.Decoder(kind)


def test_what_is_imported_later_is_made_ready_by_whoever_imports_it() -> None:
    later = type("Later", (msgspec.Struct,), {"__annotations__": {"name": str}, "__module__": "roadworthy.later"})
    assert not learned(later)
    make_ready()
    assert learned(later)


def test_many_threads_may_decode_a_type_first() -> None:
    """Without ``make_ready`` this dies of SIGSEGV more often than not (msgspec 0.22)."""
    done = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
