"""Examples, runs, verdicts and judges in words.  Pure.

Takes what the admin API tells, so that the command line and the console say the same; neither is made safe for a
terminal here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from roadworthy.evals.wording import percent, signed
from roadworthy.workflow import words

Facts = Mapping[str, Any]

DAY = 86_400.0
LEAST = 50
"""Held-out answers from which they alone decide (``evals.calibration.LEAST``; a test holds the two together)."""


# --- runs


def short(digest: str) -> str:
    return digest[:12]


def preview(plan: Facts, anew: str = "--fresh asks anew") -> list[str]:
    """What a gate would do, a line each.  ``anew``: how nothing is reused."""
    floors = ", ".join(f"{name} ≥ {percent(least, 0)}" for name, least in plan["floors"].items()) or "no floor"
    cost = "nobody knows what it costs" if plan["usd"] is None else f"about {words.dollars(plan['usd'])} at most"
    calls = words.plural(plan["calls"], "call")
    on = f"; goes on with run {plan['resumes']}" if plan["resumes"] else ""
    if plan.get("reused"):
        reused = words.plural(plan["reused"], "answer")
        on += f"; {reused} reused, the oldest of {words.ago(0.0, plan['reused_age'])} ({anew})"
    said = [
        f"release {plan['number']} of {plan['workflow']} ({short(plan['release'])}): {calls} for "
        f"{words.plural(plan['examples'], 'example')}, {cost}{on}",
        f"declared beforehand: {floors}"
        + (f"; beside release {plan['against']}, margin {percent(plan['margin'], 0)}" if plan["against"] else ""),
        f"what it can see: {plan['sees']}",
    ]
    if plan.get("critical") and plan.get("targets"):
        said.append(
            f"{words.plural(plan['critical'], 'critical example')} asked of {', '.join(plan['targets'])} as well: a "
            "ladder uses no target that fails one"
        )
    if plan.get("marks"):
        said.append(f"asks for {', '.join(plan['asks'])} {words.plural(plan['marks'], 'time')}{_asking(plan)}")
    return said + [f"note: {warning}" for warning in plan["warnings"]]


def _asking(plan: Facts) -> str:
    usd = plan.get("usd_asks", 0.0)
    if usd is None:
        return "; nobody knows what that costs"
    return f", for about {words.dollars(usd)} of that" if usd else "; what an endpoint charges for it is not counted"


def schedule(found: Facts, zone: tzinfo, now: float) -> list[str]:
    """A line each."""
    name = found["workflow"]
    if found["release"] is None:
        why = f"{name} serves no release that its gate let pass"
        return [f"Nothing is run by itself, for {why}: roadworthy evals gate {name}"]
    cost = "nobody knows what it costs" if found["usd"] is None else f"about {words.dollars(found['usd'])} at most"
    last = "never yet" if found["last"] is None else words.moment(found["last"], zone, now=now)
    nightly = (
        f"Every night, in the quietest hour: {words.plural(found['nightly'], 'example')} of release "
        f"{found['release']}, {cost}; last: {last} {found['last_run']}".rstrip()
        if found["nightly"]
        else "No nightly sample: evals.nightly is 0 in workflow.yaml."
    )
    return [nightly, "Every month, a week before its receipt lapses: the whole gate, fresh."]


def paired(pair: Facts) -> str:
    """``-2.5 %, from -6.0 % to +1.1 % (one-sided 95 % each); 3 better, 6 worse; McNemar p = 0.51``."""
    found = f"{signed(pair['difference'])}, from {signed(pair['lower'])} to {signed(pair['upper'])}"
    counted = f"{pair['gained']:g} better, {pair['lost']:g} worse"
    p = "" if pair["mcnemar"] is None else f"; McNemar p = {pair['mcnemar']:.2g}"
    return f"{found}; {counted}{p}"


def grant(receipt: Facts) -> str:
    """What a receipt is good for."""
    if receipt["verdict"] == "PASS":
        return "good for as much traffic as the other evidence allows"
    if receipt["verdict"] == "INSUFFICIENT" and receipt["floors_met"]:
        return "good for the pilot share, since the floors are met in the sample"
    return "good for named testers only"


def is_wrong(scored: Facts) -> bool:
    """Was it answered otherwise than expected?"""
    return scored["standing"] != "good" or any(value < 1 for value in scored["scores"].values())


def asked(example: Facts) -> str:
    """The last thing that somebody said."""
    content = example["messages"][-1].get("content", "")
    return content if isinstance(content, str) else str(content)


def expected(example: Facts) -> str:
    said = [f"{name}={value}" for name, value in example.get("expected", {}).items()]
    return ", ".join([*said, *([example["text"]] if example.get("text") else [])])


def scores(each: Facts) -> str:
    if each["standing"] == "unanswered":
        return "not answered"
    said = [f"{name} {value:g}" for name, value in each["scores"].items()]
    return ", ".join(said + [f"{name} ?" for name in (*each.get("unscored", {}), *each.get("lost", {}))])


# --- examples


def conversation(example: Facts) -> list[tuple[str, str]]:
    """(who, what); the holes that the app filled first."""
    said = [(f"{name} (filled in by the app)", value) for name, value in example.get("inputs", {}).items()]
    for message in example["messages"]:
        content = message.get("content")
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        role = str(message.get("role", "?"))
        said.append(("asked" if role == "user" else role, text))
    return said


def pretty(text: str) -> str:
    """JSON laid out; anything else as it is."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(found, dict | list):
        return text
    return json.dumps(found, ensure_ascii=False, indent=1 if _deep(found) else 2)


def _deep(found: Any) -> bool:
    values: Sequence[Any] = list(found.values()) if isinstance(found, dict) else found
    return any(isinstance(each, dict | list) for each in values)


def taken(workflow: str, answer: Facts) -> list[str]:
    """What came of a file."""
    made, said = answer["publication"], []
    if answer["created"]:
        version = short(made["version"])
        said.append(f"Published {words.plural(made['count'], 'example')} for {workflow}, version {version}.")
    elif answer["waiting"]:
        said.append(f"{words.plural(answer['waiting'], 'example')} for {workflow} now {wait(answer['waiting'])}.")
    else:
        said.append(f"Nothing new: every example of the file is in the set or the pool of {workflow} already.")
    if answer["known"] and answer["waiting"]:
        said.append(f"{words.plural(answer['known'], 'example')} {_were(answer['known'])} there already.")
    left = [(answer["repeated"], "said the same as another row"), (answer["passed_over"], "were not asked for"),
            (answer["system_dropped"], "had a system message; it was left out: the release has its own")]  # fmt: skip
    said += [f"{words.plural(number, 'row')} {why}." for number, why in left if number]
    said += [f"Not taken over: {note}." for note in answer["notes"]]
    without = answer["read"] - answer["expecting"]
    if without:
        many = "none" if without == answer["read"] else f"{without} of {answer['read']} do not"
        say = "They expect nothing" if many == "none" else f"{many} say what is right"
        said.append(f"{say}: a person or a judge scores the answers (roadworthy evals score {workflow}).")
    if answer["created"]:
        alone = without == answer["read"]  # nothing of it can be scored by a scorer that compares
        next_ = f"roadworthy evals answer {workflow}" if alone else f"roadworthy evals gate {workflow}"
    else:
        next_ = f"roadworthy evals publish {workflow}, by {answer['owner']}"
    return [*said, f"Next: {next_}"] if answer["created"] or answer["waiting"] else said


def pooled(workflow: str, answer: Facts, now: float) -> list[str]:
    """What publishing would make of the set."""
    merge, made = answer["merge"], answer["publication"]
    before = f"{made['count']} now" if made else "there is none yet"
    said = [
        f"The next version would have {words.plural(answer['count'], 'example')} ({before}): {changes(merge)}; "
        f"{answer['held_out']} held out, {answer['critical']} critical."
    ]
    if answer.get("eased"):
        said.append(f"Of the examples in force: {', '.join(answer['eased'])}. The next gate says so.")
    if answer.get("anew"):
        said.append(
            "It would be scored by other scorers than now: what workflow.yaml declares, or a judge, was changed."
        )
    wait = answer["due"] - now
    if wait > 0:
        said.append(
            f"It is due in {max(wait / DAY, 0.1):.1f} days; before that {answer['owner']} publishes with a reason: "
            f"roadworthy evals publish {workflow} --now REASON"
        )
    else:
        said.append(f"{answer['owner']} may publish it: roadworthy evals publish {workflow}")
    return said


def published(workflow: str, answer: Facts) -> list[str]:
    made = answer["publication"]
    version = short(made["version"])
    if not answer["created"]:
        return [f"Nothing new: in force are {words.plural(made['count'], 'example')}, version {version}."]
    return [
        f"Published {words.plural(made['count'], 'example')} for {workflow}, version {version}: "
        f"{changes(answer['merge'])}; {answer['held_out']} held out.",
        f"Next: roadworthy evals gate {workflow}",
    ]


def changes(merge: Facts) -> str:
    """What publishing does to the set."""
    said = [(merge["added"], "new"), (merge["corrected"], "corrected"), (merge["changed"], "marked otherwise"),
            (merge["dropped"], "left out")]  # fmt: skip
    return ", ".join(f"{number} {what}" for number, what in said if number) or "nothing changes"


def wait(number: int) -> str:
    return "waits in the pool" if number == 1 else "wait in the pool"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


# --- people and judges


def reading(kappa: float) -> str:
    """What a kappa is usually taken to say (Landis and Koch, Biometrics 33 (1977) 159-174)."""
    for least, word in (
        (0.8, "almost perfect"),
        (0.6, "substantial"),
        (0.4, "moderate"),
        (0.2, "fair"),
        (0.0, "slight"),
    ):
        if kappa > least:
            return f"{word} beyond chance"
    return "no better than chance"


def calibration_preview(plan: Facts) -> list[str]:
    """What a calibration would do, a line each."""
    cost = "nobody knows what it costs" if plan["usd"] is None else f"about {words.dollars(plan['usd'])} at most"
    on = f"; goes on with {plan['resumes']}, {words.dollars(plan['spent'])} until now" if plan["resumes"] else ""
    said = [
        f"{plan['scorer']} of {plan['workflow']}, judged by {plan['judge']}: {words.plural(plan['calls'], 'answer')} "
        f"to judge of {plan['answers']} that people scored ({plan['held_out']} held out, {plan['twice']} scored by "
        f"two or more), {cost}{on}"
    ]
    return said + [f"note: {warning}" for warning in plan["warnings"]]


def stands(concluded: Facts) -> Facts:
    """The part of the answers that decided."""
    apart = concluded["held_out"]
    found: Facts = apart if apart and apart["n"] >= LEAST else concluded["whole"]
    return found


def calibrated(part: Facts) -> list[list[str]]:
    """Row: figure, value, its interval, what it means."""
    seen = part["recognises"]
    rows = [
        ["kappa", part["kappa"], "agreement beyond chance, 1 is all"],
        ["weighted kappa", part["weighted"], "the same, near values forgiven"],
        ["alpha", part["alpha"], "people and judge together"],
        ["sensitivity", seen["sensitivity"], f"of {seen['good']} that people call good, called good"],
        ["specificity", seen["specificity"], f"of {seen['bad']} that people call bad, called bad"],
    ]
    if part["people"] is not None:
        rows.insert(3, ["alpha of people", part["people"], "people among themselves: no judge need do better"])
    found = [[word, *_figure(value), means] for word, value, means in rows]
    lean = "no more than chance" if part["leaning_p"] > 0.05 else "more than chance"
    found.append(["leniency", f"{part['lenient']:+.2f}", "", f"mean score of the judge minus people's; {lean}"])
    worth = part["worth"] - part["n"]
    found.append(["worth", f"{worth:.0f}", "", f"hand scores that 1,000 answers judged beside these {part['n']} "
                  "are worth (PPI++)"])  # fmt: skip
    return found


def _figure(value: Facts) -> list[str]:
    return [f"{value['value']:.2f}", f"{value['lower']:.2f} to {value['upper']:.2f}"]


def estimate(value: Facts) -> str:
    """With its interval."""
    return f"{value['value']:.2f} ({value['lower']:.2f} to {value['upper']:.2f})"
