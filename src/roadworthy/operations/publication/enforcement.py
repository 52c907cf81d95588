"""Is a workflow enforced, observed under a waiver, or left over from a pilot whose waiver has ended?  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from roadworthy.evidence.model import Waiver
from roadworthy.readiness.rules import extension
from roadworthy.rollout.model import Rollout
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.service import Reach

Watch = Literal["enforced", "observed", "lapsed"]


def watch_of(workflow: Workflow, waivers: Iterable[Waiver], now: float) -> Watch:
    """``observe`` without any waiver of enforcement that we signed is ``enforce``, here as in a gateway."""
    mine = [each for each in waivers if each.workflow == workflow.name and each.item is None]
    if workflow.enforcement == "enforce" or not mine:
        return "enforced"
    return "observed" if any(each.holds(now) for each in mine) else "lapsed"


def notice_of(workflow: Workflow, watch: Watch, waivers: Iterable[Waiver], now: float) -> str:
    """What must show beside a workflow that is not enforced."""
    if watch == "enforced":
        return ""
    mine = [each for each in waivers if each.workflow == workflow.name and each.item is None and each.holds(now)]
    return extension(max(mine, key=lambda each: each.over, default=None))


def reach_of(watch: Watch, rollout: Rollout | None) -> Reach:
    """Who gets a release as soon as it is frozen."""
    if watch == "observed":
        return "everybody"
    return "testers" if watch == "enforced" and rollout is None else "nobody"


def comes_next(workflow: str, watch: Watch) -> list[str]:
    """What brings a frozen release to live users, as commands."""
    if watch == "observed":
        return []
    if watch == "lapsed":
        return [f"roadworthy waive {workflow} --enforcement --until DATE --reason WHY", f"roadworthy freeze {workflow}"]
    return [f"roadworthy evals gate {workflow}", f"roadworthy rollout start {workflow}"]
