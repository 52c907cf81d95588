"""One pair of names tells an app where the gateway is and who asks, wherever it is said."""

from __future__ import annotations

import re

import pytest

from support.snippets import PAGE, ROOT, environment, snippets

TOLD = re.compile(r"\bROADWORTHY_\w*(?:URL|KEY|TOKEN|HOST|ADDRESS)\b")
ENDINGS = (".py", ".in", ".md", ".toml", ".html")
READ = [
    ROOT / "README.md",
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "clients").glob("*.py"),
    *(path for path in (ROOT / "src" / "roadworthy").rglob("*") if path.suffix in ENDINGS),
]
RUN = {name: each.text for name, each in snippets().items() if each.language in ("python", "js")}
ROW = re.compile(r"^\| \[[^|]*?\]\(#([\w-]+)\)[^|]*\| ([^|]+) \| ([^|]+) \|", re.MULTILINE)
ROWS = ROW.findall(PAGE.read_text(encoding="utf-8"))


def test_no_page_and_no_module_has_another_spelling() -> None:
    found = {(path.name, name) for path in READ for name in TOLD.findall(path.read_text(encoding="utf-8"))}
    assert {name for _, name in found} == {"ROADWORTHY_BASE_URL", "ROADWORTHY_API_KEY"}, sorted(found)


@pytest.mark.parametrize(("client", "speaks", "base"), ROWS)
def test_the_table_says_which_clients_add_the_v1_themselves(client: str, speaks: str, base: str) -> None:
    assert base == ("no `/v1`" if speaks == "Messages" else "`…/v1`")
    for name in RUN:
        if name.startswith(client.replace("-for", "")):
            told = environment(name, "http://gw", "rw-x")["ROADWORTHY_BASE_URL"]
            assert told == ("http://gw" if speaks == "Messages" else "http://gw/v1")


@pytest.mark.parametrize("name", RUN)
def test_a_snippet_gives_its_client_the_address_as_it_was_told(name: str) -> None:
    assert re.search(r"ROADWORTHY_BASE_URL\W*[,)\n]", RUN[name])
    assert "/v1" not in RUN[name]
