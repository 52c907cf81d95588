"""A folder of configuration files, as ``{relative path: text}`` → ``Configuration`` or everything wrong with it.

All problems are reported at once.  A configuration is returned only when there is no error, so nothing
half-valid is ever applied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from roadworthy.workflow import channel_table, checks_of_targets, simulation
from roadworthy.workflow.checks import check_workflow
from roadworthy.workflow.checks_of_evals import judges_problems
from roadworthy.workflow.draft import Draft, workflow_of
from roadworthy.workflow.fields import INVALID, NAME, At, Reading, Section
from roadworthy.workflow.kinds import address_problem
from roadworthy.workflow.model import (
    BUILT_IN_CHANNELS,
    Configuration,
    Finance,
    PagingSettings,
    Person,
    RedactionRule,
    Retention,
    Settings,
    Target,
    Webhook,
    Workflow,
)
from roadworthy.workflow.on_call_table import check_rotations, rotations_of
from roadworthy.workflow.problems import Problem, did_you_mean, errors, hide_secrets, looks_secret, nearest
from roadworthy.workflow.reserved import refused
from roadworthy.workflow.source import SourceError, Value, parse_yaml
from roadworthy.workflow.tables import BUILT_IN_REDACTION, PEOPLE, ROADWORTHY
from roadworthy.workflow.workflow_table import WORKFLOW

PriceKnown = Callable[[Target], bool]
"""Is there a price for this target, declared or on the public list?"""

ModelsListed = Callable[[Target], Iterable[str]]
"""Names of models at the target's provider whose price is on the public list."""


def nothing_listed(target: Target) -> Iterable[str]:
    return ()


DEFAULT_ENDPOINTS: Final[Mapping[str, str]] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
}
MAX_FILES: Final = 2_000
_WORKFLOW_FILE: Final = re.compile(r"workflows/([^/]+)/workflow\.yaml")


class Checked(msgspec.Struct, frozen=True):
    """What reading found; ``configuration`` is ``None`` when there is an error."""

    configuration: Configuration | None
    problems: list[Problem]


def price_declared(target: Target) -> bool:
    """The answer when there is no price list at hand."""
    return target.price is not None


def read_configuration(
    files: Mapping[str, str], price_known: PriceKnown = price_declared, listed: ModelsListed = nothing_listed
) -> Checked:
    """Read and check everything.  Problems are ordered by file and line."""
    reading = Reading(files)
    _check_folder(reading)
    trees = {file: _tree(reading, file) for file in sorted(files) if _is_source(file)}
    install = _section(reading, ROADWORTHY, "roadworthy.yaml", trees)
    people = _section(reading, PEOPLE, "people.yaml", trees)
    targets = _targets(reading, install, trees.get("roadworthy.yaml"))
    workflows: dict[str, Workflow] = {}
    for file, tree in trees.items():
        named = _WORKFLOW_FILE.fullmatch(file)
        if named is None or tree is None:
            continue
        keys = _section(reading, WORKFLOW, file, trees)
        draft = Draft(file, tree, keys, targets, files)
        reading.problems.extend(check_workflow(draft))
        workflow = workflow_of(draft)
        if workflow is not None:
            workflows[named[1]] = workflow
    _check_webhooks(reading, install, trees.get("roadworthy.yaml"))
    _check_channels(reading, install, trees.get("roadworthy.yaml"))
    persons = _people(people)
    check_rotations(reading, trees.get("people.yaml"), people, persons)
    _check_prices(reading, targets, trees.get("roadworthy.yaml"), workflows, price_known, listed)
    _check_references(reading, trees, install)
    _check_judges(reading, trees, workflows)
    _check_replacements(reading, trees.get("roadworthy.yaml"), install)
    _check_secrets(reading)
    problems = sorted(set(map(_key, reading.problems)))
    ordered = [msgspec.convert(dict(zip(Problem.__struct_fields__, key, strict=True)), Problem) for key in problems]
    if errors(ordered):
        return Checked(None, ordered)
    settings = _settings(install)
    on_call = rotations_of(people, settings.timezone)
    return Checked(Configuration(settings, targets, persons, workflows, on_call), ordered)


def _key(problem: Problem) -> tuple[Any, ...]:
    """For order and equality; whatever a check put into words, no key and no flood of text gets out."""
    facts = msgspec.structs.asdict(problem)
    return tuple(hide_secrets(fact)[:500] if isinstance(fact, str) else fact for fact in facts.values())


def _is_source(file: str) -> bool:
    return file in ("roadworthy.yaml", "people.yaml") or _WORKFLOW_FILE.fullmatch(file) is not None


def _tree(reading: Reading, file: str) -> Value | None:
    try:
        return parse_yaml(file, reading.files[file])
    except SourceError as error:
        reading.problems.append(error.problem)
        return None


def _section(reading: Reading, section: Section, file: str, trees: Mapping[str, Value | None]) -> dict[str, Any]:
    """The keys of a file that are present and valid.  Missing required keys are noted, the rest is still read."""
    tree = trees.get(file)
    if tree is None:
        return {}
    read = Section(section.says, section.fields, partial=True).read(tree, At(reading, file))
    return {} if read is INVALID else dict(read)


def _check_folder(reading: Reading) -> None:
    """The files that must be there, and the ones that are nearly right."""
    files = reading.files
    if len(files) > MAX_FILES:
        At(reading, "").problem(0, f"{len(files):,} files", f"at most {MAX_FILES:,}", "apply the right folder")
    if "roadworthy.yaml" not in files:
        roots = [file for file in files if "/" not in file]
        mend = f"run 'roadworthy init', or {did_you_mean('roadworthy.yaml', roots)}"
        At(reading, "roadworthy.yaml").problem(0, "no such file", "the settings and targets", mend)
    folders = {file.split("/")[1] for file in files if file.startswith("workflows/") and file.count("/") >= 2}
    for folder in sorted(folders):
        path = f"workflows/{folder}/workflow.yaml"
        inside = [file.rpartition("/")[2] for file in files if file.startswith(f"workflows/{folder}/")]
        if path not in files:
            mend = f"create it, or {did_you_mean('workflow.yaml', inside)}"
            At(reading, path).problem(0, "no such file", "one in every folder of workflows/", mend)
        if re.fullmatch(NAME, folder) is None:
            expected = "a name of lower-case letters, digits, - and _"
            At(reading, path).problem(0, f"the folder name {folder!r}", expected, "rename the folder")
        elif (taken := refused(folder)) is not None:
            At(reading, path).problem(0, f"the folder name {folder!r}", *taken)


def _check_secrets(reading: Reading) -> None:
    """No file that is applied may hold a real key: files are stored and shown."""
    for file, text in reading.files.items():
        if not looks_secret(text):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if looks_secret(line):
                mend = "revoke it, put the new one into the environment and name it: key: env:NAME"
                At(reading, file).problem(
                    number, "what looks like a real key (not shown)", "names of secrets only", mend
                )


def _check_replacements(reading: Reading, tree: Value | None, install: Mapping[str, Any]) -> None:
    r"""A replacement may name groups (``\1``) of its own pattern only; a gateway refuses the snapshot otherwise."""
    import re2  # only control reads configuration

    rules = tree.data.get("redaction") if tree is not None and isinstance(tree.data, dict) else None
    if rules is None or errors(reading.problems):
        return
    for index, rule in enumerate(install.get("redaction", [])):
        groups = re2.compile(rule["pattern"]).groups
        try:
            re2.compile("()" * groups).sub(rule.get("replacement", ""), "")
        except (re2.error, IndexError, ValueError):
            at = At(reading, "roadworthy.yaml", f"redaction[{index}].replacement")
            expected = f"text that names no group beyond the {groups} of its pattern"
            mend = "write \\1 for the first group in brackets, and two backslashes for one"
            at.problem(rules.data[index].data["replacement"].line, f"'{rule['replacement']}'", expected, mend)


def _check_references(reading: Reading, trees: Mapping[str, Value | None], install: Mapping[str, Any]) -> None:
    def written(file: str, key: str) -> set[str] | None:
        """Names as written, valid or not: one mistake is one problem.  ``None``: the file cannot be read."""
        tree = trees.get(file)
        if tree is None:
            return None if file in reading.files else set()
        value = tree.data.get(key) if isinstance(tree.data, dict) else None
        return set(value.data) if value is not None and isinstance(value.data, dict) else set()

    rules = {rule["name"] for rule in install.get("redaction", [])} | set(BUILT_IN_REDACTION)
    folders = {named[1] for file in reading.files if (named := _WORKFLOW_FILE.fullmatch(file))}
    persons, rotations = written("people.yaml", "people"), written("people.yaml", "on_call")
    tables = {
        "on_call": (
            None if persons is None or rotations is None else persons | rotations,
            "a person or a rotation in people.yaml",
        ),
        "workflows": (folders, "a workflow in workflows/"),
        "people": (persons, "a person in people.yaml"),
        "targets": (written("roadworthy.yaml", "targets"), "a target in roadworthy.yaml"),
        "helpdesks": (written("roadworthy.yaml", "helpdesks"), "a helpdesk in roadworthy.yaml"),
        "channels": (
            _channels_named(written("roadworthy.yaml", "channels")),
            "mail, notify or a channel of roadworthy.yaml",
        ),
        "redaction": (rules, "a built-in rule or one of 'redaction' in roadworthy.yaml"),
    }
    for reference in reading.references:
        known, where = tables[reference.table]
        if known is not None and reference.name not in known:
            found, mend = f"'{reference.name}'", did_you_mean(reference.name, known)
            reference.at.problem(reference.line, found, where, mend)


def _channels_named(written: set[str] | None) -> set[str] | None:
    return None if written is None else written | set(BUILT_IN_CHANNELS)


def _check_judges(reading: Reading, trees: Mapping[str, Value | None], workflows: Mapping[str, Workflow]) -> None:
    kinds = {name: flow.behaviour.kind for name, flow in workflows.items() if flow.behaviour is not None}
    plans = {name: flow.evals for name, flow in workflows.items()}
    for workflow, scorer, found, expected in judges_problems(plans, kinds):
        file = f"workflows/{workflow}/workflow.yaml"
        tree = trees[file]
        assert tree is not None
        place = tree.data["evals"].data["scorers"].data[scorer].data["workflow"]
        at = At(reading, file, f"evals.scorers.{scorer}.workflow")
        at.problem(place.line, found, expected, "name another workflow")


def _targets(reading: Reading, install: Mapping[str, Any], tree: Value | None) -> dict[str, Target]:
    out: dict[str, Target] = {}
    for name, read in install.get("targets", {}).items():
        assert tree is not None
        place: Value = tree.data["targets"].data[name]
        at = At(reading, "roadworthy.yaml", f"targets.{name}")
        endpoint = read.get("endpoint", DEFAULT_ENDPOINTS.get(read["provider"]))
        target = Target(**{**read, "name": name, "endpoint": endpoint})
        _check_target(target, place, at)
        out[name] = target
    return out


def _check_prices(
    reading: Reading, targets: Mapping[str, Target], tree: Value | None, workflows: Mapping[str, Workflow],
    price_known: PriceKnown, listed: ModelsListed,
) -> None:  # fmt: skip
    """An unknown price is an error, but for targets that only workflows under ``observe`` use: an adopted app is
    recorded before anybody knows what it costs, and its costs are recorded as unknown, with the reason."""
    users: dict[str, set[str]] = {}
    for workflow in workflows.values():
        named = set(workflow.behaviour.targets) if workflow.behaviour is not None else set()
        for name in named | {workflow.passthrough or ""}:
            users.setdefault(name, set()).add(workflow.enforcement)
    for name, target in targets.items():
        if target.model == "*" or price_known(target):
            continue
        assert tree is not None
        place: Value = tree.data["targets"].data[name]
        close = nearest(target.model, listed(target))
        mend = "add 'price: {input: …, output: …}' in US dollars per 1M tokens, or mend the model's name"
        if close is not None:
            mend = f"did you mean '{close}'? Else {mend.partition(', or')[0]}"
        found, at = f"no price for {target.provider} {target.model}", At(reading, "roadworthy.yaml", f"targets.{name}")
        observed = users.get(name) == {"observe"}
        expected = "a price before it is enforced; until then its cost is unknown" if observed else "a price"
        at.child("price").problem(place.line, found, expected, mend, "warning" if observed else "error")


def _check_target(target: Target, place: Value, at: At) -> None:
    def line(key: str) -> int:
        return int(place.data[key].line) if key in place.data else place.line

    launched = target.provider in ("local", "simulated")
    if launched and "endpoint" in place.data:
        at.child("endpoint").problem(line("endpoint"), "an endpoint", f"none for {target.provider}", "remove it")
    if target.simulation is not None and target.provider != "simulated":
        at.child("simulation").problem(line("simulation"), "a simulation", "only for simulated", "remove it")
    if target.simulation is not None:
        _check_profile(target.simulation, line("simulation"), at.child("simulation"))
    for key, found, expected, mend in checks_of_targets.problems(target):
        at.child(key).problem(line(key.partition(".")[0]), found, expected, mend)
    if not launched and target.endpoint is not None:
        _check_address(target.endpoint, target.allow_private, line("endpoint"), at.child("endpoint"))


def _check_address(url: str, allow_private: bool, line: int, at: At) -> None:
    problem = address_problem(url, allow_private)
    if problem is not None:
        at.problem(line, *problem)


def _check_webhooks(reading: Reading, install: Mapping[str, Any], tree: Value | None) -> None:
    if tree is None or not isinstance(tree.data, dict):
        return
    named: list[tuple[tuple[str, ...], Webhook]] = [
        (("helpdesks", name), hook) for name, hook in install.get("helpdesks", {}).items()
    ]
    if "notify" in install:
        named.append((("notify",), install["notify"]))
    for path, hook in named:
        place = tree
        for key in (*path, "url"):
            place = place.data[key]
        _check_address(
            hook.url, hook.allow_private, place.line, At(reading, "roadworthy.yaml", ".".join((*path, "url")))
        )


def _check_channels(reading: Reading, install: Mapping[str, Any], tree: Value | None) -> None:
    for name, key, found, expected, mend in channel_table.problems(install.get("channels", {})):
        assert tree is not None
        place: Value = tree.data["channels"].data[name]
        At(reading, "roadworthy.yaml", f"channels.{name}.{key}").problem(place.data[key].line, found, expected, mend)


def _check_profile(profile: Any, line: int, at: At) -> None:
    try:
        simulation.parse(profile)
    except simulation.ProfileError as error:
        where = at if error.field == "profile" else at.child(error.field)
        where.problem(line, repr(error.found), error.expected, "mend the profile; docs/targets.md describes it")


_PLAIN = ("listen", "metrics", "console", "console_url", "workers", "timezone", "proxy", "public_url")


def _settings(install: Mapping[str, Any]) -> Settings:
    plain = {key: install[key] for key in _PLAIN if key in install}
    otlp = install.get("telemetry", {}).get("otlp", {})
    rules = [
        RedactionRule(rule["name"], rule["pattern"], rule.get("replacement", f"[{rule['name'].upper()}]"))
        for rule in install.get("redaction", [])
    ]
    return Settings(
        **plain,
        retention=install.get("retention", Retention()),
        redaction=rules,
        disk_full=install.get("journal", {}).get("disk_full", "bypass"),
        otlp_endpoint=otlp.get("endpoint"),
        otlp_headers=otlp.get("headers"),
        team_budgets=install.get("budgets", {}),
        helpdesks=install.get("helpdesks", {}),
        notify=install.get("notify"),
        oidc=install.get("oidc"),
        smtp=install.get("smtp"),
        finance=install.get("finance", Finance()),
        channels=install.get("channels", {}),
        paging=install.get("paging", PagingSettings()),
        heartbeat=install.get("heartbeat"),
    )


def _people(read: Mapping[str, Any]) -> dict[str, Person]:
    return {person: Person(id=person, **facts) for person, facts in read.get("people", {}).items()}
