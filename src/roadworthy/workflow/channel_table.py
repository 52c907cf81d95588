"""The keys ``channels`` and ``paging`` of roadworthy.yaml, and what must hold between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from roadworthy.workflow.fields import NAME, Field, MapOf, Section
from roadworthy.workflow.kinds import Boolean, Choice, Number, Secret, Url, address_problem
from roadworthy.workflow.model import BUILT_IN_CHANNELS, Channel, PagingSettings

CHANNELS: Final = MapOf(
    Section(
        "a way to page people: {kind, secret}",
        {
            "kind": Field(Choice(("pagerduty", "apprise", "webhook")), "What it speaks.", True),
            "secret": Field(
                Secret(), "Name of the secret: PagerDuty's routing key, Apprise's URL, what signs a webhook.", True
            ),
            "url": Field(Url(), "Where a webhook goes; of pagerduty: another receiver of Events v2."),
            "region": Field(Choice(("us", "eu")), "PagerDuty's service region.", default="us"),
            "signed_by": Field(
                Secret(), "Name of the secret that signs the V3 webhooks which PagerDuty sends to /hooks/pagerduty."
            ),
            "allow_private": Field(
                Boolean(), "May the address be on this machine or a private network?", default="false"
            ),
        },
        lambda read: Channel(**read),
    ),
    "channels by name",
    rf"(?!(?:{'|'.join(BUILT_IN_CHANNELS)})$){NAME}",
    f"a name of lower-case letters, digits, - and _, and not {' or '.join(BUILT_IN_CHANNELS)}",
)

PAGING: Final = Section(
    "how people are paged: {most_an_hour: 20}",
    {
        "most_an_hour": Field(
            Number(3, 1000, "a whole number of pages", whole=True),
            "Most pages that one person gets in an hour; further ones are told in one.",
            default="20",
        ),
    },
    lambda read: PagingSettings(**read),
)


def problems(channels: Mapping[str, Channel]) -> Iterator[tuple[str, str, str, str, str]]:
    """What is wrong with channels that were read: (channel, key, found, expected, how to mend it)."""
    for name, channel in channels.items():
        if channel.kind == "webhook" and channel.url is None:
            yield name, "kind", "a webhook without 'url'", "the address that is told", "add 'url: https://…'"
        if channel.kind == "apprise" and channel.url is not None:
            yield (
                name, "url", "an address of an apprise channel", "its URL in the secret, where its keys are safe",
                "put the URL into the environment and name it: secret: env:NAME",
            )  # fmt: skip
        if channel.kind != "pagerduty" and channel.signed_by is not None:
            yield name, "signed_by", f"'signed_by' of kind {channel.kind}", "it for kind pagerduty only", "remove it"
        if channel.kind != "pagerduty" and channel.region != "us":
            yield name, "region", f"'region' of kind {channel.kind}", "it for kind pagerduty only", "remove it"
        if channel.url is not None and channel.kind != "apprise":
            wrong = address_problem(channel.url, channel.allow_private)
            if wrong is not None:
                yield (name, "url", *wrong)
