"""What commands do beside printing: exit codes, files, sessions, and what happens when something is wrong."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from click.testing import CliRunner
from fake_admin import NOW, RECOVERED, Cli, refusal

from roadworthy.cli.context import Work
from roadworthy.cli.example import example
from roadworthy.cli.main import root
from roadworthy.wiring.cli import check_files, open_control
from roadworthy.wiring.folders.data_folder import create_folder


def test_help_loads_nothing_heavy() -> None:
    heavy = {
        "rich",
        "httpx2",
        "dateparser",
        "sqlalchemy",
        "apsw",
        "numpy",
        "pydantic",
        "starlette",
        "uvicorn",
        "pyarrow",
    }
    code = "import sys; from roadworthy.cli.main import root\n"
    code += "try: root(['--help'])\nexcept SystemExit: pass\nprint('LOADED', *sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.partition("LOADED ")[2].split())
    assert not loaded & heavy


def test_a_command_loads_its_own_module_and_none_of_the_others() -> None:
    code = "import sys; from roadworthy.cli.main import root\n"
    code += "try: root(['kill', '--help'])\nexcept SystemExit: pass\nprint('LOADED', *sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.partition("LOADED ")[2].split())
    commands = [name for name in loaded if name.startswith("roadworthy.cli.commands.")]
    assert commands == ["roadworthy.cli.commands.kill"]
    assert "asyncio" not in loaded


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "bedrock", "local", "simulated"])
def test_the_example_of_init_validates(provider: str) -> None:
    assert check_files(example(provider)) == []


def test_the_example_of_init_brings_schemas_that_its_files_name_and_satisfy(cli: Cli) -> None:
    folder = cli.home / "app"
    assert cli("init", str(folder), "--provider", "local").exit_code == 0
    for file in sorted(folder.rglob("*.yaml")):
        text = file.read_text()
        named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
        assert named, file
        schema = json.loads((file.parent / named[1]).read_text())
        assert schema["title"] == f"Roadworthy: {file.name}"
        jsonschema_rs.validator_for(schema).validate(yaml.safe_load(text))


def test_init_overwrites_nothing(cli: Cli) -> None:
    folder = cli.home / "app"
    assert cli("init", str(folder), "--provider", "simulated").exit_code == 0
    (folder / "people.yaml").write_text("mine")
    (folder / "roadworthy.yaml").unlink()
    result = cli("init", str(folder))
    assert result.exit_code == 2
    assert (folder / "people.yaml").read_text() == "mine"
    assert not (folder / "roadworthy.yaml").exists()


def test_check_needs_neither_data_folder_nor_control(cli: Cli) -> None:
    folder = cli.home / "app"
    cli("init", str(folder), "--provider", "simulated")
    assert cli("check", str(folder)).output == f"{folder}: good\n"
    (folder / "workflows/hello/workflow.yaml").write_text("targt: main\n")
    result = cli("check", str(folder))
    assert result.exit_code == 1
    assert "workflows/hello/workflow.yaml:1: error:" in result.output
    assert "did you mean 'target'?" in result.output
    found = json.loads(cli("check", str(folder), "--json").stdout)
    assert found["errors"][0]["file"] == "workflows/hello/workflow.yaml"
    assert cli.opened == 0


def test_apply_prints_the_plan_and_a_dry_run_says_so(cli: Cli) -> None:
    folder = cli.home / "app"
    cli("init", str(folder), "--provider", "simulated")
    result = cli("apply", str(folder), "--dry-run")
    assert "needs freeze" in result.output
    assert "nothing was changed" in result.output
    _, _, _, body = cli.admin.asked[-1]
    assert body["dry_run"] is True
    assert set(body["files"]) == set(example("simulated"))


def test_apply_with_errors_is_wrong_input_and_lists_each(cli: Cli) -> None:
    folder = cli.home / "app"
    cli("init", str(folder), "--provider", "simulated")
    problem = {"file": "roadworthy.yaml", "line": 3, "field": "targets", "found": "'x'", "expected": "a mapping",
               "mend": "write one"}  # fmt: skip
    cli.admin.answers["POST", "/v1/apply"] = (422, {**refusal("no", "invalid_configuration"), "errors": [problem]})
    result = cli("apply", str(folder))
    assert result.exit_code == 2
    assert "roadworthy.yaml:3: error: targets: found 'x'; expected a mapping\n  mend: write one" in result.output
    assert "nothing was changed" in result.output


def test_a_folder_without_configuration_is_named(cli: Cli) -> None:
    (cli.home / "empty").mkdir()
    result = cli("check", str(cli.home / "empty"))
    assert result.exit_code == 2
    assert "holds no roadworthy.yaml" in result.output


def test_the_beginning_of_an_id_is_enough_when_only_one_has_it(cli: Cli) -> None:
    assert json.loads(cli("show", RECOVERED["id"][:20], "--json").stdout)["inference"]["id"] == RECOVERED["id"]
    assert json.loads(cli("show", RECOVERED["id"][4:14], "--json").stdout)["inference"]["id"] == RECOVERED["id"]
    twin = {**RECOVERED, "id": RECOVERED["id"][:-1] + "f"}
    cli.admin.log.append(twin)
    result = cli("show", RECOVERED["id"][:20])
    assert result.exit_code == 2
    assert twin["id"] in result.output


@pytest.mark.parametrize("command", ["log", "stats", "export", "show"])
def test_an_unknown_time_zone_is_wrong_input(cli: Cli, command: str) -> None:
    result = cli(command, *([RECOVERED["id"]] if command == "show" else []), "--tz", "Mars/Olympus")
    assert result.exit_code == 2
    assert "'Mars/Olympus' is not a time zone" in result.output


def test_an_inference_that_is_not_there_is_a_negative_answer(cli: Cli) -> None:
    result = cli("show", "inf_" + "0" * 32)
    assert result.exit_code == 1
    assert ("POST", "/v1/journal/flush", {}, {}) in cli.admin.asked  # looked again after shipping


def test_a_login_is_remembered_for_its_data_folder_only_and_ends(cli: Cli) -> None:
    assert "Logged in as ada" in cli("login", "ABCD-EFGH").output
    path = cli.home / ".config" / "roadworthy" / "session.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    cli("people")
    assert cli.admin.authorization[-1] == "Bearer rws-secret"
    cli("people", "--data", str(cli.home / "other"))
    assert cli.admin.authorization[-1] is None
    assert cli("logout").exit_code == 0
    assert ("POST", "/v1/logout", {}, {}) in cli.admin.asked
    cli("people")
    assert cli.admin.authorization[-1] is None
    assert cli("logout").exit_code == 1


def test_an_expired_session_is_not_sent(cli: Cli) -> None:
    cli.admin.answers["POST", "/v1/login"] = (200, {"token": "rws-old", "person": "ada", "expires": NOW - 1})
    cli("login", "ABCD-EFGH")
    cli("people")
    assert cli.admin.authorization[-1] is None


def test_keys_are_found_by_name_and_a_misspelt_one_is_suggested(cli: Cli) -> None:
    assert cli("keys", "revoke", "shop").exit_code == 0
    assert ("POST", "/v1/keys/key_0123456789ab/revoke") in [(m, p) for m, p, _, _ in cli.admin.asked]
    result = cli("keys", "rotate", "shp")
    assert result.exit_code == 2
    assert "Did you mean 'shop'?" in result.output
    cli("keys", "rotate", "shop", "--grace", "10m")
    assert cli.admin.asked[-1][3] == {"grace": 600.0}
    assert cli("keys", "create", "x", "--expires", "soon").exit_code == 2


def test_forget_asks_a_person_or_wants_yes(cli: Cli) -> None:
    result = cli("forget", "u-42")
    assert result.exit_code == 2
    assert not cli.admin.asked
    cli.admin.answers["POST", "/v1/forget"] = (200, {"deleted": {"facts": 3}, "left": {"log.db": 2}})
    result = cli("forget", "u-42", "--yes")
    assert result.exit_code == 1
    assert "still found 2 times" in result.output


def test_an_export_appears_whole_or_not_at_all(cli: Cli) -> None:
    path = cli.home / "out.json"
    assert cli("export", "-o", str(path)).exit_code == 0
    assert json.loads(path.read_text()) == [{"id": "a"}]
    assert path.stat().st_mode & 0o777 == 0o600  # it may hold prompts
    assert cli("export", "-o", str(path)).exit_code == 2  # never overwrites
    nowhere = cli("export", "-o", str(cli.home / "missing" / "x.csv"))
    assert nowhere.exit_code == 2
    assert f"{cli.home / 'missing'}: no such folder" in nowhere.stderr
    cli.admin.answers["GET", "/v1/export"] = (400, refusal("format: found 'x'", "bad_request"))
    assert cli("export", "-o", str(cli.home / "bad.csv")).exit_code == 2
    assert sorted(p.name for p in cli.home.iterdir()) == ["data", "out.json"]


def test_a_broken_chain_fails_verification(cli: Cli) -> None:
    trail = cli.admin.answers["GET", "/v1/audit"][1]["items"]
    head = cli("audit", "verify").output.split("checkpoint: ")[1].strip()
    assert cli("audit", "verify", "--checkpoint", head).exit_code == 0
    cli.admin.answers["GET", "/v1/audit"] = (200, {"items": trail[:1]})
    assert cli("audit", "verify", "--checkpoint", head).exit_code == 1
    cli.admin.answers["GET", "/v1/audit"] = (200, {"items": [trail[0], {**trail[1], "actor": "eve"}]})
    result = cli("audit", "verify")
    assert result.exit_code == 1
    assert "broken at record 2" in result.output


def test_adopt_first_tells_what_to_change_then_writes_applies_and_freezes(cli: Cli) -> None:
    folder = cli.home / "app"
    first = {"roadworthy.yaml": "version: 1\n", "workflows/shop/workflow.yaml": "passthrough: shop\n"}
    cli.admin.answers["POST", "/v1/adopt"] = (
        200, {"files": first, "token": "rw-" + "B" * 40, "base_url": "http://127.0.0.1:8400/v1"}
    )  # fmt: skip
    result = cli("adopt", "shop", "--dir", str(folder))
    assert result.exit_code == 0, result.output
    assert "export OPENAI_BASE_URL=http://127.0.0.1:8400/v1\nexport OPENAI_API_KEY=rw-BBB" in result.output
    assert cli.admin.asked[-1][3] == {"name": "shop", "provider": "openai", "key": "env:OPENAI_API_KEY"}

    cli.admin.answers["GET", "/v1/configuration"] = (200, {"files": first})
    cli.admin.answers["POST", "/v1/adopt/shop/draft"] = (
        409,
        refusal("2 recorded calls; expected at least 3", "conflict"),
    )
    result = cli("adopt", "shop", "--dir", str(folder))
    assert result.exit_code == 1
    assert "expected at least 3" in result.output

    second = {"workflows/shop/workflow.yaml": "prompt: …\n", "workflows/shop/prompt.md": "Hello {{ name }}\n"}
    cli.admin.answers["POST", "/v1/adopt/shop/draft"] = (
        200, {"files": second, "calls": 12, "notes": ["the prompt varies in 1 places: name"], "errors": []}
    )  # fmt: skip
    (folder / "workflows/shop/workflow.yaml").write_text("edited\n")
    result = cli("adopt", "shop", "--dir", str(folder))
    assert result.exit_code == 2
    assert (folder / "workflows/shop/workflow.yaml").read_text() == "edited\n"  # an edit is never lost

    (folder / "workflows/shop/workflow.yaml").write_text(first["workflows/shop/workflow.yaml"])
    result = cli("adopt", "shop", "--dir", str(folder))
    assert result.exit_code == 0, result.output
    assert (folder / "workflows/shop/prompt.md").read_text() == "Hello {{ name }}\n"
    assert [p for _, p, _, _ in cli.admin.asked][-2:] == ["/v1/apply", "/v1/freeze"]
    assert cli.admin.asked[-2][3]["files"] == {**first, **second}
    assert "Next:\n  roadworthy stats" in result.output


def test_adopt_keeps_a_draft_that_a_person_must_finish_and_says_how(cli: Cli) -> None:
    folder = cli.home / "app"
    cli.admin.answers["GET", "/v1/configuration"] = (
        200,
        {"files": {"workflows/shop/workflow.yaml": "passthrough: x\n"}},
    )
    problem = {"file": "roadworthy.yaml", "line": 5, "field": "targets.main.price", "found": "no price",
               "expected": "a price", "mend": "add one"}  # fmt: skip
    draft = {"files": {"workflows/shop/prompt.md": "Hello\n"}, "calls": 12, "notes": [], "errors": [problem]}
    cli.admin.answers["POST", "/v1/adopt/shop/draft"] = (200, draft)
    result = cli("adopt", "shop", "--dir", str(folder))
    assert result.exit_code == 1
    assert "found no price; expected a price" in result.output
    assert "&& roadworthy freeze shop" in result.output
    assert (folder / "workflows/shop/prompt.md").exists()
    assert "/v1/apply" not in [path for _, path, _, _ in cli.admin.asked]


def test_adopt_changes_nothing_while_the_folder_holds_edits_that_were_not_applied(cli: Cli) -> None:
    folder = cli.home / "app"
    folder.mkdir()
    (folder / "roadworthy.yaml").write_text("edited\n")
    cli.admin.answers["POST", "/v1/adopt"] = (200, {"files": {"roadworthy.yaml": "version: 1\n"}})
    result = cli("adopt", "shop", "--dir", str(folder))
    assert result.exit_code == 2
    assert "nothing was written" in result.output
    assert [body["dry_run"] for _, path, _, body in cli.admin.asked if path == "/v1/adopt"] == [True]


def test_control_may_not_write_outside_of_the_folder(cli: Cli) -> None:
    cli.admin.answers["POST", "/v1/adopt"] = (200, {"files": {"../evil": "x"}, "token": "t", "base_url": "u"})
    assert cli("adopt", "shop", "--dir", str(cli.home / "app")).exit_code == 2
    assert not (cli.home / "evil").exists()


def test_a_refusal_is_printed_with_its_mend_and_without_a_traceback(cli: Cli) -> None:
    cli.admin.answers["GET", "/v1/people"] = (403, refusal("os:7 may not do this", "permission_denied"))
    result = cli("people")
    assert result.exit_code == 1
    assert result.output == "error: os:7 may not do this\n"
    cli.admin.answers["GET", "/v1/people"] = (503, refusal("state.db does not answer", "unavailable"))
    assert cli("people").exit_code == 3


def test_a_missing_data_folder_is_named_and_not_made(tmp_path: Path) -> None:
    result = CliRunner().invoke(root, ["--data", str(tmp_path / "none"), "log"], obj=Work())
    assert result.exit_code == 2
    assert "no Roadworthy data folder here" in result.output
    assert not (tmp_path / "none").exists()


def test_a_silent_control_is_unreachable(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "data")
    holding = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", holding, str(folder.control_lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        work = Work(connect=lambda data, create: open_control(data, patience=0.0))
        result = CliRunner().invoke(root, ["--data", str(folder.root), "people"], obj=work)
    finally:
        holder.communicate(b"\n")
    assert result.exit_code == 3
    assert "does not listen" in result.output


def test_without_control_a_command_acts_as_control_and_lets_go(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "ROADWORTHY_DATA": str(tmp_path / "data")}

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(root, list(arguments), obj=Work(environ=environ))
        assert result.exit_code == 0, result.output
        return result.output

    run("init", str(tmp_path / "app"), "--provider", "simulated")
    run("apply", str(tmp_path / "app"))
    assert "Froze release 1 of hello" in run("freeze", "hello")
    assert "Nothing new: this is release 1" in run("freeze", "hello")
    assert "export OPENAI_API_KEY=rwt-" in run("keys", "create", "mine", "-w", "hello", "--tester", "me")
    assert "hello (workflow)" in run("people")
    assert "the chain is whole" in run("audit", "verify")
    run("backup", str(tmp_path / "copy.tar.zst"))
    run("restore-backup", str(tmp_path / "copy.tar.zst"), "--data", str(tmp_path / "again"))
    assert "hello" in run("releases", "--data", str(tmp_path / "again"))


def test_a_reader_that_leaves_is_met_with_silence(tmp_path: Path) -> None:
    environ = {**os.environ, "HOME": str(tmp_path)}
    command = f"{sys.executable} -m roadworthy.cli.main --help | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environ, check=True)
    assert done.stderr == ""
