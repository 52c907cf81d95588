"""The page of the figures: each stands between two comments, and is replaced as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bench import machine

_BLOCK = r"(<!-- figure: {name} -->\n).*?(<!-- /figure -->)"


def check(text: str, names: Iterable[str]) -> None:
    """Raises ``SystemExit`` naming the figures that the page has no place for."""
    missing = [name for name in names if not re.search(_BLOCK.format(name=name), text, re.DOTALL)]
    if missing:
        raise SystemExit(f"the page has no `<!-- figure: … -->` … `<!-- /figure -->` for: {', '.join(missing)}")


def replaced(text: str, figures: Mapping[str, str]) -> str:
    """The page with these figures, each dated and with the machine that it was made on."""
    for name, made in figures.items():
        block = f"{made.strip()}\n\n*{_where()}*\n"
        pattern = re.compile(_BLOCK.format(name=name), re.DOTALL)
        text = pattern.sub(lambda found, block=block: found[1] + block + found[2], text)  # type: ignore[misc]
    return text


def _where() -> str:
    facts = machine.facts()
    return (
        f"{facts['date']}, {facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, "
        f"Linux {facts['kernel']}, Python {facts['python']}"
    )
