"""The language of the search box: one line as a person types it → the filter that is meant, word by word.

``user u-42 tuesday 2pm unsafe`` is read as the user u-42, the hour from 14:00 of the last Tuesday, and the failure
``unsafe``.  Every word of a line ends up in one of three places: in a ``Chip`` (what it was understood as), in
``Missed`` (it was not, with a hint), or it says nothing (``calls of``).  Nothing is dropped silently; a word that
means nothing here is tried as the id of a user, and its chip says so.

Pure: what names mean (workflows, releases, targets) comes in as ``Names``, the time and its zone as arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.inference_log.model import WORDED, Filter
from roadworthy.inference_log.searching_words import (
    ANSWERED_BY,
    CLOCK,
    DOES,
    FIELDS,
    MEANS,
    SAYS_NOTHING,
    SECOND,
    amount,
    duration,
    timelike,
)
from roadworthy.inference_log.when import Unreadable, Window, parse

LONGEST = 400
"""Characters of a line that are read."""
MOST_WORDS = 60
LONGEST_TIME = 8
"""Words of a time: ``2026-11-17 14:00 to 2026-11-18 09:30 utc``."""

_WORD = re.compile(r'(?P<name>[A-Za-z_-]+[:=])?(?:"(?P<double>[^"]*)"|\'(?P<single>[^\']*)\')|\S+')
_GLUED = re.compile(
    r"(?P<what>cost|price|costs|latency|slow|slower|took|time)(?P<sign>>=|>|≥|=|:)(?P<rest>\S*)", re.IGNORECASE
)
_IDENT = re.compile(r"inf_[0-9a-f]{1,32}")
_DIGEST = re.compile(r"rel_[0-9a-f]{1,64}")
_LEAST_IDENT = 8
"""Hex digits after ``inf_``: fewer name more than a minute of calls."""

MORE: frozenset[str] = frozenset({">", ">=", "≥", "than", "over", "above", "least", "at", "=", ":", "more"})


@dataclass(frozen=True)
class Names:
    """What names mean here.  Callables are asked only when a line needs them."""

    workflows: Sequence[str] = ()
    targets: Sequence[str] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    """Name of a key → its id."""
    releases: Callable[[int], Mapping[str, str]] = lambda number: {}
    """Number → workflow → digest."""
    second: Callable[[], Mapping[str, str]] = dict
    """Workflow → the target that its ladder goes to when the first one fails."""


class Chip(msgspec.Struct, frozen=True):
    """One condition as it was understood."""

    field: str
    """Of ``Filter``; ``when`` for a window of time, ``id`` for one inference."""
    says: str
    """For a person: ``user u-42``, ``answered by backup``."""
    typed: str
    without: str
    """The line without it."""
    guess: str = ""
    """Why it is a guess, and what else may have been meant; empty: it is none."""


class Missed(msgspec.Struct, frozen=True):
    """A word that was not understood."""

    typed: str
    hint: str


class Search(msgspec.Struct, frozen=True):
    """What a line means."""

    text: str
    where: Filter
    chips: list[Chip] = []
    missed: list[Missed] = []
    ident: str = ""
    """An inference's id, or at least 8 digits of its beginning."""
    window: Window | None = None
    silent: list[str] = []
    """Words that say nothing."""


class _Token(msgspec.Struct, frozen=True):
    text: str
    begin: int
    end: int
    quoted: bool = False
    name: str = ""
    """Of ``name:"quoted"``."""

    @property
    def bare(self) -> str:
        """Without the comma that follows it in a sentence."""
        return self.text if self.quoted else self.text.rstrip(",;") or self.text

    @property
    def low(self) -> str:
        return "" if self.quoted else self.bare.lower()


def understand(text: str, names: Names | None = None, *, now: float, zone: ZoneInfo) -> Search:
    """Read a line.  Never raises for what is typed.

    ``now``: Unix seconds; clock times are read in ``zone``.
    """
    return _Reader(" ".join(text[:LONGEST].split()).rstrip("?"), names or Names(), now, zone).read()


def quoted(value: str) -> str:
    """A value as one word of the language."""
    return value if re.fullmatch(r"[^\s\"'<>=:,;]+", value) else '"' + value.replace('"', "'") + '"'


class _Reader:
    def __init__(self, line: str, names: Names, now: float, zone: ZoneInfo) -> None:
        self._line = line
        self._names = names
        self._now = datetime.fromtimestamp(now, UTC)
        self._zone = zone
        tokens = list(_tokens(line))
        self._tokens, self._over = tokens[:MOST_WORDS], tokens[MOST_WORDS:]
        self._values: dict[str, str | float] = {}
        self._chips: list[tuple[list[_Token], Chip]] = []
        self._missed: list[Missed] = []
        self._silent: list[str] = []
        self._times: list[list[_Token]] = []
        self._unknown: list[_Token] = []
        self._releases: list[tuple[list[_Token], int]] = []
        self._second: list[_Token] = []

    def read(self) -> Search:
        at = 0
        while at < len(self._tokens):
            at += self._one(at)
        self._read_second()
        self._read_releases()
        window = self._read_times()
        self._read_unknown()
        if self._over:
            self._missed.append(Missed(self._typed(self._over), f"only the first {MOST_WORDS} words are read"))
        ident = str(self._values.pop("id", ""))
        order = sorted(self._chips, key=lambda pair: pair[0][0].begin)
        return Search(
            self._line, msgspec.convert(self._values, Filter), [chip for _, chip in order], self._missed, ident,
            window, self._silent,
        )  # fmt: skip

    # --- one word, or a word and its value

    def _one(self, at: int) -> int:
        """Read what begins at a word; returns how many words that were."""
        token = self._tokens[at]
        if token.name:
            return self._named(token.name[:-1].lower(), token.text, [token])
        if token.quoted:
            return self._take("text", token.text, f"text “{token.text}”", [token])
        for reader in (
            self._measure,
            self._keyword,
            self._by,
            self._release,
            self._self_named,
            self._known,
            self._time,
        ):
            used = reader(at)
            if used:
                return used
        if token.low in SAYS_NOTHING or not re.search(r"\w", token.text):
            self._silent.append(token.text)
        else:
            self._unknown.append(token)
        return 1

    def _measure(self, at: int) -> int:
        """``slow > 5s``, ``slower than 5 s``, ``cost > 0.01``, ``over 5s``, ``> $1``."""
        low = self._tokens[at].low
        end, what = at, ""
        if low in ("slow", "slower", "latency", "took", "time"):
            end, what = at + 1, "slower_than"
        elif low in ("cost", "costs", "price", "costing"):
            end, what = at + 1, "min_cost"
        start = end
        while end < len(self._tokens) and self._tokens[end].low in MORE:
            end += 1
        if end == at or (what == "slower_than" and low in ("slow", "time") and end == start):
            return 0  # `slow` alone is a failure
        for words in (2, 1):
            text = "".join(each.text for each in self._tokens[end : end + words])
            if end + words > len(self._tokens):
                continue
            if what != "min_cost" and (seconds := duration(text, bare=bool(what))) is not None:
                says = f"slower than {seconds:g} s"
                return self._take("slower_than", seconds, says, self._tokens[at : end + words])
            if what != "slower_than" and (usd := amount(text, bare=bool(what))) is not None:
                return self._take("min_cost", usd, f"cost at least ${usd:g}", self._tokens[at : end + words])
        if not what:
            return 0
        example = "slow > 5s" if what == "slower_than" else "cost > 0.01"
        return self._miss(self._tokens[at:end], f"say how much, for example “{example}”")

    def _keyword(self, at: int) -> int:
        """``user u-42``, ``tag topic=return``, ``outcome error``."""
        token = self._tokens[at]
        name = token.low.rstrip(":=")
        if name not in FIELDS:
            return 0
        after = self._tokens[at + 1] if at + 1 < len(self._tokens) else None
        if after is not None and not after.quoted and after.text in (":", "=") and at + 2 < len(self._tokens):
            return self._named(name, self._tokens[at + 2].bare, self._tokens[at : at + 3])
        if after is None:
            if token.low in MEANS:
                return 0
            return self._miss([token], f"say which, for example “{FIELDS[name][1]}”")
        if not after.quoted and after.low in DOES:
            return 0  # `what did the model do`
        if name == "release" and not (after.quoted or re.fullmatch(r"\d{1,6}|(rel_)?[0-9a-f]{4,64}", after.low)):
            return 0  # `release` is a route too
        if name != "release" and token.low in MEANS and (after.low in MEANS or timelike(after.low)):
            return 0  # `slow yesterday`: the word means something by itself
        if name == "stage" and at + 2 < len(self._tokens) and self._tokens[at + 2].text == "%":
            return self._named(name, f"{after.text} %", self._tokens[at : at + 3])
        return self._named(name, after.bare, self._tokens[at : at + 2])

    def _named(self, name: str, value: str, used: list[_Token]) -> int:
        """A field and its value."""
        if name not in FIELDS:
            return self._tagged(f"{name}={value}", used)
        name = FIELDS[name][0]
        if name == "tag":
            return self._tagged(value, used)
        if name == "when":
            return self._miss(used, "a time needs no name: write tuesday 2pm")
        if name == "id":
            return self._ident(value.lower(), used)
        if name in ("slower_than", "min_cost"):
            found = (duration if name == "slower_than" else amount)(value, bare=True)
            if found is None:
                return self._miss(used, "say how much as a number, for example 5s or 0.01")
            says = f"slower than {found:g} s" if name == "slower_than" else f"cost at least ${found:g}"
            return self._take(name, found, says, used)
        if name == "release":
            return self._released(value.lower(), used)
        if name in WORDED:
            return self._worded(name, value.lower(), used)
        if name == "key":
            value = self._names.keys.get(value, value)
        if name == "stage":
            value = re.sub(r"^(\d+(?:\.\d+)?)\s*%$", r"\1 %", value)
        return self._take(name, value, f"{FIELDS[_spoken(name)][2]} {value}", used)

    def _tagged(self, value: str, used: list[_Token]) -> int:
        name, sign, _ = value.partition("=")
        if not name:
            return self._miss(used, "a tag has a name: tag topic=return, or tag topic for any value")
        return self._take("tag", value, f"tag {value}" if sign else f"any tag {name}", used)

    def _worded(self, name: str, value: str, used: list[_Token]) -> int:
        words = [word for word in value.split(",") if word]
        meant = [next((v for f, v, _ in MEANS.get(word, ()) if f == name), "") for word in words]
        if not words or not all(meant):
            known = sorted({v for rows in MEANS.values() for f, v, _ in rows if f == name})
            return self._miss(used, f"{name} is one of {', '.join(known)}")
        return self._take(name, ",".join(meant), f"{_spoken(name)} {' or '.join(meant)}", used)

    def _by(self, at: int) -> int:
        """``by backup``, ``answered by the second target``."""
        tokens, end = self._tokens, at
        while end < len(tokens) and tokens[end].low in ANSWERED_BY:
            end += 1
        more = end + 1
        if end < len(tokens) and tokens[end].low in SECOND:
            if more < len(tokens) and tokens[more].low in ("target", "model", "provider"):
                self._second += tokens[at : more + 1]
                return more + 1 - at
            if end > at and tokens[end].text not in self._names.targets:
                self._second += tokens[at : end + 1]
                return end + 1 - at
        if at < end < len(tokens) and tokens[end].text in self._names.targets:
            return self._take("target", tokens[end].text, f"answered by {tokens[end].text}", tokens[at : end + 1])
        return 0

    def _release(self, at: int) -> int:
        token = self._tokens[at]
        found = re.fullmatch(r"(?:r|release|#)(\d{1,6})", token.low)
        if found is not None:
            return self._released(found.group(1), [token])
        return self._released(token.low, [token]) if _DIGEST.fullmatch(token.low) else 0

    def _released(self, value: str, used: list[_Token]) -> int:
        if value.isdecimal() and len(value) <= 6:
            self._releases.append((used, int(value)))
            return len(used)
        return self._take("release", value, f"release {value[:16]}", used)

    def _self_named(self, at: int) -> int:
        """Ids and ``name=value`` say by themselves what they are."""
        token = self._tokens[at]
        if token.low.startswith("inf_"):
            return self._ident(token.low, [token])
        if re.fullmatch(r"key_\w+", token.low):
            return self._take("key", token.text, f"key {token.text}", [token])
        name, sign, value = token.bare.partition("=" if "=" in token.text else ":")
        if sign and name.lower() in FIELDS and value:
            return self._named(name.lower(), value, [token])
        if "=" in token.text and name and not name.startswith(("<", ">")):
            return self._tagged(token.bare, [token])
        return 0

    def _ident(self, value: str, used: list[_Token]) -> int:
        value = value if value.startswith("inf_") else f"inf_{value}"
        if not _IDENT.fullmatch(value):
            return self._miss(used, "an id is inf_ and up to 32 digits from 0 to 9 and a to f")
        if len(value) < 4 + _LEAST_IDENT:
            return self._miss(used, f"give at least {_LEAST_IDENT} digits after inf_: fewer name too many calls")
        return self._take("id", value, f"inference {value}", used)

    def _known(self, at: int) -> int:
        """A workflow, a target, a key by its name, or a word that says how a call ended."""
        token = self._tokens[at]
        bare = token.bare
        if bare in self._names.workflows:
            return self._take("workflow", bare, f"workflow {bare}", [token])
        for words in (2, 1):
            used = self._tokens[at : at + words]
            meant = MEANS.get(" ".join(each.low for each in used), ()) if len(used) == words else ()
            if meant:
                name, value, _ = meant[0]
                return self._take(name, value, f"{_spoken(name)} {value.replace(',', ' or ')}", used)
        if bare in self._names.targets:
            return self._take("target", bare, f"answered by {bare}", [token])
        if bare in self._names.keys:
            return self._take("key", self._names.keys[bare], f"key {bare}", [token])
        return 0

    def _time(self, at: int) -> int:
        """The longest run of words from here that is a time."""
        end = at
        while end < len(self._tokens) and end - at < LONGEST_TIME and timelike(self._tokens[end].low, begun=end > at):
            end += 1
        for stop in range(end, at, -1):
            if not any(timelike(each.low, sure=True) for each in self._tokens[at:stop]):
                break
            try:
                parse(" ".join(each.text for each in self._tokens[at:stop]), now=self._now, zone=self._zone)
            except Unreadable as error:
                if "future" not in str(error):
                    continue
            self._times.append(self._tokens[at:stop])
            return stop - at
        return 0

    # --- what needs the whole line

    def _read_times(self) -> Window | None:
        """All words about time are one time: ``tuesday unsafe 2pm``."""
        first, *others = self._times or [[]]
        if not first:
            return None
        joined = [*first, *others[0]] if len(others) == 1 and _clocks(first) != _clocks(others[0]) else first
        why = ""
        for used in (joined, first):
            try:
                window = parse(" ".join(token.text for token in used), now=self._now, zone=self._zone)
            except Unreadable as error:
                why = str(error)
                continue
            self._values["since"], self._values["until"] = window.since, window.until
            self._chip("when", window.reading, used)
            for group in others if used is first else ():
                self._miss(group, "it is a second time: say one, such as tuesday 2pm")
            return window
        for group in self._times:
            self._miss(group, why)
        return None

    def _read_releases(self) -> None:
        for used, number in self._releases:
            known = self._names.releases(number)
            flow = self._values.get("workflow")
            rows = {name: digest for name, digest in known.items() if flow is None or name == flow}
            if len(rows) == 1:
                ((name, digest),) = rows.items()
                self._take("release", digest, f"release {number} of {name}", used)
            elif rows:
                names = ", ".join(sorted(rows))
                self._miss(used, f"several workflows have a release {number}: add one of {names}")
            else:
                self._miss(used, f"there is no release {number}" + (f" of {flow}" if flow else ""))

    def _read_second(self) -> None:
        if not self._second:
            return
        flow, seconds = self._values.get("workflow"), self._names.second()
        found = {target for name, target in seconds.items() if flow is None or name == flow}
        if len(found) == 1:
            (target,) = found
            self._take("target", target, f"answered by {target}, the second target", self._second)
        elif not found:
            self._miss(self._second, f"no ladder{f' of {flow}' if flow else ''} names a second target")
        else:
            self._miss(self._second, f"which is it? Say by {' or by '.join(sorted(found))}, or name a workflow")

    def _read_unknown(self) -> None:
        """The first unknown word may be a user; of the others it is said that they are not known."""
        for token in self._unknown:
            near = self._near(token.low)
            meant = f"did you mean “{near}”? " if near else ""
            if "unit" not in self._values:
                guess = f"{meant}“{token.text}” is no word of the search, so it is tried as a user"
                self._take("unit", token.bare, f"user {token.bare}", [token], guess)
            else:
                hint = f"{meant}It is no word of the search; to look into texts, write text “{token.text}” in quotes"
                self._missed.append(Missed(token.text, hint[0].upper() + hint[1:]))

    def _near(self, word: str) -> str:
        from difflib import get_close_matches

        known = [*self._names.workflows, *self._names.targets, *MEANS, *FIELDS, "yesterday", "today"]
        found = get_close_matches(word, known, n=1, cutoff=0.75)
        return found[0] if found else ""

    # --- keeping what was understood

    def _take(self, name: str, value: str | float, says: str, used: Sequence[_Token], guess: str = "") -> int:
        """Keep a condition.  Words of one field add up (this or that); of any other field there is one value."""
        before = self._values.get(name)
        if before is not None and name in WORDED:
            words = dict.fromkeys(f"{before},{value}".split(","))
            value = ",".join(words)
        elif before is not None and before != value:
            return self._miss(used, f"{_spoken(name)} is {before} already: one at a time")
        if isinstance(value, str) and not value.strip():
            return self._miss(used, "it is empty")
        self._values[name] = value
        self._chip(name, says, used, guess)
        return len(used)

    def _chip(self, name: str, says: str, used: Sequence[_Token], guess: str = "") -> None:
        chip = Chip(name, says, self._typed(used), self._without(used), guess)
        self._chips.append((list(used), chip))

    def _miss(self, used: Sequence[_Token], hint: str) -> int:
        self._missed.append(Missed(self._typed(used), hint))
        return len(used)

    def _typed(self, used: Sequence[_Token]) -> str:
        return " ".join(self._line[token.begin : token.end] for token in used)

    def _without(self, used: Sequence[_Token]) -> str:
        line = self._line
        for token in sorted(used, key=lambda token: -token.begin):
            line = line[: token.begin] + line[token.end :]
        return " ".join(line.split())


def _clocks(words: Sequence[_Token]) -> bool:
    """Do words tell a time of day, and no day?"""
    return all(CLOCK.fullmatch(token.low) or token.low in ("at", "am", "pm") for token in words)


def _spoken(name: str) -> str:
    return {"unit": "user", "traffic": "class", "min_cost": "cost", "slower_than": "slow", "kill": "kill"}.get(
        name, name
    )


def _tokens(line: str) -> Iterator[_Token]:
    for found in _WORD.finditer(line):
        inner = found["double"] if found["double"] is not None else found["single"]
        if inner is not None:
            yield _Token(inner, found.start(), found.end(), True, found["name"] or "")
            continue
        glued = _GLUED.fullmatch(found.group())
        if glued is None:
            yield _Token(found.group(), found.start(), found.end())
            continue
        for part in ("what", "sign", "rest"):
            if glued[part]:
                begin = found.start() + glued.start(part)
                yield _Token(glued[part], begin, begin + len(glued[part]))
