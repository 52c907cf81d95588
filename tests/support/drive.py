"""Run one file once for each environment on standard input; a JSON list of what each run printed is the last line.

One process, so that an import of seconds is paid once.  Nothing of ours is imported: it runs in the clients' own
environment.
"""

import code
import contextlib
import io
import json
import os
import sys


def run(source: str, path: str, environment: dict[str, str]) -> str:
    """What it printed, its traceback included."""
    os.environ.update(environment)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        interpreter = code.InteractiveInterpreter({"__name__": "__main__", "__file__": path})
        interpreter.runcode(compile(source, path, "exec"))
    return said.getvalue()


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    told = [run(text, sys.argv[1], case) for case in json.load(sys.stdin)]
    print("\n" + json.dumps(told))
