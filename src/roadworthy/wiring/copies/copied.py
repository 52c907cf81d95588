"""What a disposable copy serves: the live configuration and release, but for where they lead."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from roadworthy.fallback.drills.wires import played
from roadworthy.gateway.admission.permits import isolated
from roadworthy.workflow.digest import release as release_made_of
from roadworthy.workflow.model import (
    Configuration,
    FrozenRelease,
    Price,
    ProviderKind,
    Settings,
    Target,
    TargetIdentity,
    Workflow,
)


class Original(msgspec.Struct, frozen=True):
    """What is copied."""

    configuration: Configuration
    frozen: FrozenRelease
    """As the live gateway serves it."""
    prices: dict[str, Price]
    """Target → price, as the live gateway knows it."""


def led_astray(original: Original, urls: dict[str, str]) -> tuple[Configuration, FrozenRelease]:
    """Configuration and release in which every target is a server of the drill and nobody outside is reached."""
    configuration, frozen = original.configuration, original.frozen
    release = frozen.release
    targets = {
        name: Target(
            name, _provider(known), known.model if known else release.behaviour.targets[name].model, endpoint=url,
            price=original.prices.get(name), limits=known.limits if known else Target(name, "openai", "").limits,
            capabilities=known.capabilities if known else Target(name, "openai", "").capabilities, allow_private=True,
        )
        for name, url in urls.items()
        for known in [configuration.targets.get(name.split("@")[0])]
    }  # fmt: skip
    identities = {
        name: TargetIdentity(targets[name].provider, targets[name].model, urlsplit(urls[name]).netloc)
        for name in release.behaviour.targets
    }
    handling = isolated(release.handling)
    changed = release_made_of(
        release.workflow, msgspec.structs.replace(release.behaviour, targets=identities), handling
    )
    workflow: Workflow = configuration.workflows[release.workflow]
    escalation = msgspec.structs.replace(workflow.policy.escalation, helpdesk=None)
    workflow = msgspec.structs.replace(
        workflow,
        enforcement="observe",  # what it drills has no receipt; the copy signs its own waiver
        behaviour=changed.behaviour,
        handling=handling,
        passthrough=None,
        policy=msgspec.structs.replace(workflow.policy, escalation=escalation),
    )
    settings = Settings(timezone=configuration.settings.timezone, disk_full=configuration.settings.disk_full)
    alone = Configuration(settings, targets, configuration.people, {workflow.name: workflow})
    return alone, msgspec.structs.replace(frozen, release=changed)


def _provider(known: Target | None) -> ProviderKind:
    """The one whose wire reads what stands for a target."""
    return "anthropic" if known is not None and played(known).format == "messages" else "openai"
