"""Bars that show how far a step of the demo is, where somebody watches."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bar:
    """A bar that leaves nothing behind; ``with Bar(…) as (progress, task)``."""

    def __init__(self, console: Console, what: str, total: int | None) -> None:
        columns = (TextColumn("   {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task(what, total=total)

    def __enter__(self) -> tuple[Progress, TaskID]:
        self._progress.start()
        return self._progress, self._task

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def onto(bar: Progress, task: TaskID) -> Callable[[int, int], None]:
    """``told(done, wanted)`` for a step that counts itself."""
    return lambda done, wanted: bar.update(task, completed=done, total=wanted)
