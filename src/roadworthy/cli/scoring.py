"""Scoring by hand: one answer on the screen, one key a score.

What was scored is kept at once.  Nothing tells the rater which release wrote an answer, or what others thought of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from roadworthy.cli import evals_view, words
from roadworthy.cli.terminal import clean, line
from roadworthy.evals.rubric import Rubric
from roadworthy.operations.proving.words import conversation, pretty

if TYPE_CHECKING:
    from rich.console import Console

Facts = Mapping[str, Any]
Post = Callable[[str, dict[str, Any]], Any]

UNDO, SKIP, QUIT, HELP, MORE = "u", "s", "q", "?", "m"
LINES: Final = 14
"""Of a text that are shown before somebody asks for more."""
INDENT: Final = 2


class Done(msgspec.Struct):
    """What came of a session."""

    scored: int = 0
    skipped: int = 0
    elsewhere: int = 0
    """Answers that somebody else had before them, or scored meanwhile."""
    quit: bool = False


class Session:
    """One person at one screen."""

    def __init__(
        self, console: Console, desk: Facts, *, run: str, key: Callable[[], str], post: Post,
        hold: Callable[[Facts], str] = lambda named: "",
    ) -> None:  # fmt: skip
        """``key``: waits for one key; ``post``: (path, body) → control's answer; ``hold``: has an answer before this
        rater, or says why it cannot be."""
        self._console = console
        self._desk = desk
        self._run = run
        self._key = key
        self._post = post
        self._hold = hold
        self._rubric = msgspec.convert(desk["rubric"], Rubric)
        self._keys = self._rubric.keys()
        self._left: list[Facts] = list(desk["items"])
        self._past: list[tuple[Facts, str]] = []
        """Answers of this session, each with its value; empty: skipped."""
        self.done = Done()

    def work(self) -> Done:
        """Until nothing is left or the rater quits.  Raises what ``post`` raises; what was scored is kept."""
        said = ""
        while not self.done.quit:
            if self._held():
                self._show(self._left[0], said)
                said = self._act(self._key())
            elif self._wants_the_last_again(said):
                said = self._undo()
            else:
                break
        return self.done

    def _wants_the_last_again(self, said: str) -> bool:
        if self._console.is_terminal:
            self._console.clear()
        self._print(f"That was the last  ·  {line(said)}  ·  any other key ends", "")
        return self._key() == UNDO

    def _act(self, key: str) -> str:
        """What a key does → what is said of it above the next answer."""
        value = self._keys.get(key)
        if value is not None:
            return self._score(value.name)
        if key in (SKIP, " "):
            self._past.append((self._left.pop(0), ""))
            self.done.skipped += 1
            return "skipped  ·  u takes it back"
        if key == UNDO:
            return self._undo()
        if key in (QUIT, "\x04"):
            self.done.quit = True
            return ""
        if key == HELP:
            self._explain()
        elif key == MORE:
            self._whole(self._left[0])
        else:
            return f"the key {line(repr(key), 12)} means nothing here"
        self._console.print("any key goes on", style="dim")
        self._key()
        return ""

    def _held(self) -> bool:
        """Is there an answer that nobody else has before them?  Those that are gone are left to whoever has them."""
        while self._left:
            if not self._hold(self._named(self._left[0])):
                return True
            self._left.pop(0)
            self.done.elsewhere += 1
        return False

    def _score(self, value: str) -> str:
        item = self._left[0]
        gone = self._hold(self._named(item))  # whoever read for long may have lost it
        if gone:
            self._left.pop(0)
            self.done.elsewhere += 1
            return f"{gone}; nothing of yours was kept"
        self._post("/v1/evals/hand", {**self._named(item), "value": value, "run": self._run})
        self._past.append((self._left.pop(0), value))
        self.done.scored += 1
        return f"{value}  ·  u takes it back"

    def _undo(self) -> str:
        if not self._past:
            return "nothing of this session to take back"
        item, value = self._past[-1]
        if value:
            self._post("/v1/evals/hand/undo", self._named(item))
            self.done.scored -= 1
        else:
            self.done.skipped -= 1
        self._past.pop()
        self._left.insert(0, item)
        return f"'{value or 'skipped'}' was taken back"

    def _named(self, item: Facts) -> dict[str, Any]:
        return {"workflow": self._desk["workflow"], "example": item["example"]["id"], "answer": item["answer"]}

    # --- the screen

    def _show(self, item: Facts, said: str) -> None:
        console = self._console
        if console.is_terminal:
            console.clear()
        at = self._desk["mine"] + len(self._past) + 1
        head = f"{self._desk['workflow']}  ·  answer {at} of {self._desk['of']}"
        self._print(f"{head}  ·  {line(said)}" if said else head, "dim")
        self._rule()
        for title, text in asked(item["example"]):
            self._block(title, text, "")
        self._block("answered", pretty(item["text"]), "bold")
        self._rule()
        self._print(self._choices(), "")
        self._print("s skip   u undo   m whole text   ? rubric   q quit", "dim")

    def _choices(self) -> str:
        said = []
        for at, value in enumerate(self._rubric.values, 1):
            letters = [key for key, named in self._keys.items() if named == value and not key.isdigit()]
            said.append(f"{at}{'/' + letters[0] if letters else ''} {value.name}")
        return "   ".join(said)

    def _block(self, title: str, text: str, style: str, limit: int = LINES) -> None:
        from rich.padding import Padding
        from rich.text import Text

        self._print(title, "dim")
        rendered = Padding(Text(clean(text), style=style, overflow="fold"), (0, 0, 0, INDENT))
        rows = self._console.render_lines(rendered, pad=False)
        shown = ["".join(segment.text for segment in row).rstrip() for row in rows]
        for row in shown[:limit]:
            self._print(row, style)
        if len(shown) > limit:
            self._print(f"  … {words.plural(len(shown) - limit, 'more line')}: m", "dim")

    def _whole(self, item: Facts) -> None:
        if self._console.is_terminal:
            self._console.clear()
        for title, text in asked(item["example"]):
            self._block(title, text, "", 10_000)
        self._block("answered", pretty(item["text"]), "bold", 10_000)
        expected = evals_view.expected(item["example"])
        if expected:
            self._block("expected, as it was labelled", expected, "")

    def _explain(self) -> None:
        if self._console.is_terminal:
            self._console.clear()
        for value in self._rubric.values:
            self._print(f"{value.name} = {value.score:g}", "bold")
            self._block("", value.text, "", 100)
            for example in value.examples:
                self._block("for example", example, "dim", 100)

    def _rule(self) -> None:
        self._print("─" * min(self._console.width, 100), "dim")

    def _print(self, text: str, style: str) -> None:
        if text:
            self._console.print(text, style=style or None, soft_wrap=True, markup=False, highlight=False)


def asked(example: Facts) -> list[tuple[str, str]]:
    return [(line(who, 60), text) for who, text in conversation(example)]
