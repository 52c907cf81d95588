"""What files may declare of the unhappy path, and what is refused before anybody meets it."""

from __future__ import annotations

import json

import pytest

from roadworthy.workflow.check_options import CHECK_KINDS
from roadworthy.workflow.files import read_configuration
from roadworthy.workflow.model import (
    Breaker,
    Budget,
    CacheSpec,
    Canned,
    CheckSpec,
    Configuration,
    Hedge,
    Step,
    Webhook,
)
from roadworthy.workflow.problems import Problem

Files = dict[str, str]
MAIN, FLOW = "roadworthy.yaml", "workflows/triage/workflow.yaml"

SETTINGS = """\
version: 1
targets:
  main:
    provider: openai
    model: gpt-4o-mini
    key: env:K
    price: {input: 0.15, output: 0.60}
    breaker: {share: 20%, calls: 5, window: 30s, cooldown: 2s}
    limits: {concurrency: 8, adaptive: false, queue: 2}
    capabilities: {prefill: prompted}
  backup: {provider: openai, model: gpt-4o-mini, key: env:K, price: {input: 1, output: 2}}
  judge: {provider: openai, model: omni-moderation, key: env:K, price: {input: 0, output: 0}}
budgets: {default: {day: 50, month: 900}}
helpdesks: {desk: {url: https://desk.example.com/hook, secret: env:DESK}}
notify: {url: http://localhost:9/hook, secret: env:NOTIFY, allow_private: true}
"""
HEAD = """\
owners: {workflow: ada, prompt: ada, cost: bo}
prompt: {mode: managed, system: prompt.md}
target: main
bypass: human
holding: {text: A colleague answers.}
"""


def folder(extra: str = "", head: str = HEAD, settings: str = SETTINGS, **files: str) -> Files:
    """A valid folder of a chat in plain text; ``extra``: further keys of its workflow."""
    people = "people:\n  ada: {name: Ada, email: a@example.com}\n  bo: {name: Bo, email: b@example.com}\n"
    prompt = {"workflows/triage/prompt.md": "You are kind.\n"}
    beside = {f"workflows/triage/{name}": text for name, text in files.items()}
    return {MAIN: settings, "people.yaml": people, FLOW: head + extra, **prompt, **beside}


def good(files: Files) -> Configuration:
    checked = read_configuration(files)
    assert checked.problems == [], "\n".join(map(str, checked.problems))
    assert checked.configuration is not None
    return checked.configuration


def wrong(files: Files) -> list[Problem]:
    return read_configuration(files).problems


EVERYTHING = """\
ladder:
  unavailable: [retry: {times: 2}, target: backup, cache: {max_age: 1h}, escalate, canned]
  invalid: [repair: {times: 2}, escalate]
  unsafe: [drop, escalate, canned]
  overspent: []
canned: {text: Later.}
blocked: {text: Not this.}
repair_prompt: repair.md
cache: {use: always, max_age: 30m, shared: true}
hedge: {after: 800ms, target: backup, share: 10%}
stream: buffered
checks:
  language: {allowed: [en], record_only: true}
  promises: {kind: forbidden, patterns: ['(?i)full refund'], failure: invalid}
  tone: {python: checks.tone:check, timeout: 200ms, on_error: pass}
  vendor: {http: https://checks.example.com/v1, key: env:V}
  moderation: {target: judge, threshold: 0.7}
policy:
  budgets: {inference: 0.05, user: {day: 1}, key: {month: 30}, workflow: {day: 20, month: 300}, alert_at: 90%}
  escalation: {helpdesk: desk, answer_within: 2h, capacity: 50}
"""
BESIDE = {"repair.md": "Mend this: {{ errors }}\n", "checks/tone.py": "def check(text, context):\n    return None\n"}


def test_every_declaration_is_read() -> None:
    marked = HEAD.replace("prompt.md}", "prompt.md, canary: true}")
    configuration = good(folder(EVERYTHING.replace("checks:\n", "checks:\n  prompt_leak: {}\n"), marked, **BESIDE))
    workflow = configuration.workflows["triage"]
    handling, behaviour = workflow.handling, workflow.behaviour
    assert behaviour is not None
    assert handling.ladder["unavailable"][2] == Step("cache", max_age=3600.0)
    assert handling.ladder["invalid"][0] == Step("repair", times=2)
    assert [step.kind for step in handling.ladder["slow"]] == ["retry", "cache", "escalate", "canned"]
    assert handling.ladder["overspent"] == []
    assert (handling.holding, handling.blocked) == (Canned("A colleague answers."), Canned("Not this."))
    assert handling.cache == CacheSpec("always", 1800.0, True)
    assert handling.hedge == Hedge(0.8, "backup", 0.1)
    assert list(handling.checks) == ["prompt_leak", "language", "promises", "tone", "vendor", "moderation"]
    tone = handling.checks["tone"]
    assert (tone.kind, tone.failure, tone.on_error, tone.timeout) == ("python", "invalid", "pass", 0.2)
    assert handling.checks["promises"].failure == "invalid"
    judge = CheckSpec("moderation", "unsafe", timeout=2.0, target="judge", options={"threshold": 0.7})
    assert handling.checks["moderation"] == judge
    assert handling.bypass.kind == "human"
    assert set(behaviour.targets) == {"main", "backup", "judge"}
    assert behaviour.repair_prompt == "Mend this: {{ errors }}"
    assert set(behaviour.checks) == {"tone"}
    assert behaviour.prompt is not None
    assert behaviour.prompt.canary
    policy = workflow.policy
    assert (policy.budgets.inference, policy.budgets.workflow) == (0.05, Budget(20.0, 300.0))
    assert (policy.escalation.helpdesk, policy.escalation.answer_within) == ("desk", 7200.0)
    assert configuration.settings.team_budgets == {"default": Budget(50.0, 900.0)}
    assert configuration.settings.helpdesks["desk"] == Webhook("https://desk.example.com/hook", "env:DESK")
    main = configuration.targets["main"]
    assert main.breaker == Breaker(0.2, 5, 30.0, 2.0)
    assert (main.limits.adaptive, main.limits.queue, main.capabilities.prefill) == (False, 2, "prompted")


def test_the_code_of_a_check_is_behaviour_and_its_settings_are_handling() -> None:
    before = good(folder(EVERYTHING, **BESIDE)).workflows["triage"]
    code = {**BESIDE, "checks/tone.py": "def check(text, context):\n    return 1.0\n"}
    after = good(folder(EVERYTHING, **code)).workflows["triage"]
    assert before.behaviour != after.behaviour
    assert before.handling == after.handling


@pytest.mark.parametrize(
    ("keys", "mode"),
    [
        ("", "passthrough"),
        ("checks: {language: {allowed: [en], record_only: true}}\n", "passthrough"),
        ("checks: {language: {allowed: [en]}}\n", "buffered"),
        ("checks: {secrets: {}}\nstream: windowed\n", "windowed"),
        ("tools: tools.json\n", "buffered"),
    ],
)
def test_a_stream_waits_by_default_for_whatever_judges_it(keys: str, mode: str) -> None:
    tools = json.dumps([{"type": "function", "function": {"name": "look_up"}}])
    assert good(folder(keys, **{"tools.json": tools})).workflows["triage"].handling.stream == mode


def test_a_window_may_be_declared() -> None:
    handling = good(folder("checks: {personal_data: {}}\nstream: {windowed: 250}\n")).workflows["triage"].handling
    assert (handling.stream, handling.window) == ("windowed", 250)


MISTAKES = [
    # keys of the workflow, field, words of found or expected
    ("stream: windowed\nchecks: {language: {allowed: [en]}}\n", "stream", "needs the whole answer"),
    ("stream: windowed\nchecks: {moderation: {target: judge}}\n", "stream", "needs the whole answer"),
    ("stream: passthrough\nchecks: {secrets: {}}\n", "stream", "held back until it is checked"),
    ("stream: {windowed: 60}\nchecks: {personal_data: {}}\n", "stream", "looks at so many"),
    ("stream: windowed\nchecks: {a: {kind: forbidden, patterns: ['a.*b']}}\n", "stream", "needs the whole answer"),
    ("stream: passthrough\ntools: tools.json\n", "stream", "tools, whose arguments are checked"),
    ("continuation: 1\nstream: buffered\n", "continuation", "passthrough or windowed"),
    ("continuation: 1\nparameters: {n: 2}\n", "continuation", "one choice"),
    ("checks: {tone: {python: checks.tone:check}}\n", "checks.tone.python", "no file checks/tone.py"),
    ("checks: {vendor: {http: 'http://10.0.0.1/x'}}\n", "checks.vendor.http", "private host"),
    ("checks: {vendor: {http: 'https://x.example', key: secret}}\n", "checks.vendor.key", "not shown"),
    ("checks: {moderation: {}}\n", "checks.moderation.target", "no such key"),
    ("checks: {moderation: {target: juge}}\n", "checks.moderation.target", "'juge'"),
    ("checks: {languag: {allowed: [en]}}\n", "checks.languag", "says not what it does"),
    ("checks: {forbidden: {}}\n", "checks.forbidden", "one of patterns, phrases"),
    ("checks: {a: {kind: forbidden, patterns: ['(?=x)']}}\n", "checks.a.patterns[0]", "(?=x)"),
    ("checks: {language: {allowed: [xx]}}\n", "checks.language.allowed[0]", "'xx'"),
    ("checks: {secrets: yes}\n", "checks.secrets", "{}"),
    ("checks: {a: {kind: guard, target: judge, template: repair.md}}\n", "checks.a.template", "{{ answer }}"),
    ("repair_prompt: plain.md\n", "repair_prompt", "no hole"),
    ("hedge: {target: nobody}\n", "hedge.target", "'nobody'"),
    ("hedge: {after: soon}\n", "hedge.after", "soon"),
    ("cache: {use: sometimes}\n", "cache.use", "sometimes"),
    ("ladder: {unsafe: [drop, drop]}\n", "ladder.unsafe", "'drop' twice"),
    ("ladder: {gateway_lost: [canned]}\n", "ladder.gateway_lost", "gateway_lost"),
    ("policy: {escalation: {helpdesk: desc}}\n", "policy.escalation.helpdesk", "'desc'"),
    ("policy: {budgets: {user: {week: 1}}}\n", "policy.budgets.user.week", "unknown key"),
    ("holding2: {text: x}\n", "holding2", "unknown key"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m[0].strip()[:50])
def test_a_mistake_is_found_where_it_stands(mistake: tuple[str, str, str]) -> None:
    keys, field, words = mistake
    beside = {"plain.md": "Mend it.\n", "repair.md": "{{ errors }}\n", "tools.json": '[{"type": "function"}]'}
    hits = [problem for problem in wrong(folder(keys, **beside)) if problem.field == field]
    assert any(words in f"{hit.found} {hit.expected} {hit.mend}" for hit in hits), wrong(folder(keys, **beside))


def test_a_continuation_needs_a_target_that_goes_on_from_a_begun_answer() -> None:
    good(folder("continuation: 2\n"))
    cannot = folder("continuation: 2\n", settings=SETTINGS.replace("{prefill: prompted}", "{tools: true}"))
    [problem] = wrong(cannot)
    assert "prefill" in problem.mend


def test_a_canary_needs_a_prompt_that_is_rendered_here_and_a_check_that_looks_for_it() -> None:
    marked = HEAD.replace("prompt.md}", "prompt.md, canary: true}")
    looks = "stream: buffered\nchecks: {leaks: {kind: prompt_leak, record_only: true}}\n"
    [problem] = wrong(folder(looks, head=marked.replace("mode: managed", "mode: app")))
    assert problem.field == "prompt.canary"
    assert good(folder(looks, head=marked)).workflows
    [warning] = wrong(folder(head=marked))
    assert (warning.severity, warning.field) == ("warning", "prompt.canary")
    assert "prompt_leak" in warning.mend


def test_a_webhook_is_public_and_encrypted_unless_somebody_says_otherwise() -> None:
    for url, words in (("http://desk.example.com/x", "http to a public host"), ("https://10.1.2.3/x", "private host")):
        [problem] = wrong(folder(settings=SETTINGS.replace("https://desk.example.com/hook", url)))
        assert problem.field == "helpdesks.desk.url"
        assert words in problem.found


def test_texts_are_held_to_the_schema() -> None:
    schema = {"type": "object", "properties": {"topic": {"enum": ["a"]}}, "required": ["topic"]}
    beside = {"schema.json": json.dumps(schema)}
    head = HEAD.replace("A colleague answers.", "A colleague answers., json: {topic: a}")
    good(folder("output: {schema: schema.json, repair_json: true}\n", head=head, **beside))
    [problem] = wrong(folder("output: {schema: schema.json}\n", head=head.replace("topic: a", "topic: b"), **beside))
    assert problem.field == "holding.json"


def test_embeddings_know_neither_texts_nor_checks() -> None:
    head = "owners: {workflow: ada, prompt: ada, cost: bo}\nkind: embeddings\ntarget: main\nbypass: app\n"
    ladder = "ladder: {slow: [retry, target: backup, cache]}\ncache: {max_age: 1h}\nhedge: {target: backup}\n"
    good(folder(ladder, head=head))
    for keys, field in (
        ("checks: {secrets: {}}\n", "checks"),
        ("holding: {text: x}\n", "holding"),
        ("ladder: {invalid: [repair]}\n", "ladder.invalid"),
        ("ladder: {slow: [escalate]}\n", "ladder.slow"),
        ("continuation: 1\n", "continuation"),
    ):
        assert field in {problem.field for problem in wrong(folder(keys, head=head))}


def test_every_built_in_check_can_be_declared_by_its_own_name() -> None:
    settings = {"language": "{allowed: [en]}", "forbidden": "{phrases: [x]}", "length": "{max_chars: 9}"}
    settings |= dict.fromkeys(("moderation", "guard"), "{target: judge}")
    named = [kind for kind in CHECK_KINDS if kind not in ("python", "http")]
    keys = "".join(f"  {kind}: {settings.get(kind, '{}')}\n" for kind in named)
    checks = good(folder(f"checks:\n{keys}")).workflows["triage"].handling.checks
    assert [spec.kind for spec in checks.values()] == named
    assert all(spec.failure == CHECK_KINDS[spec.kind].failure for spec in checks.values())


def test_nobody_is_called_as_roadworthy_calls_itself() -> None:
    files = folder("")
    files["people.yaml"] += "  engine: {name: E, email: e@example.com}\n"
    assert "and not 'engine'" in str(wrong(files)[0])
