"""``channels``, ``paging`` and ``pages``: what is read, and what is refused with its place and how to mend it."""

from __future__ import annotations

from roadworthy.workflow.files import read_configuration
from roadworthy.workflow.model import Channel, PagingSettings

TARGETS = "version: 1\ntargets: {main: {provider: simulated, model: sim, price: {input: 1, output: 2}}}\n"
PEOPLE = "people:\n  ada: {name: Ada, email: ada@example.com%s}\n"


def read(channels: str = "", person: str = "", more: str = "") -> tuple[list[str], object]:
    text = TARGETS + (f"channels:\n{channels}" if channels else "") + more
    done = read_configuration({"roadworthy.yaml": text, "people.yaml": PEOPLE % person})
    told = [f"{each.file} {each.field}: found {each.found}, expected {each.expected}" for each in done.problems]
    return told, done.configuration


def test_every_kind_of_channel_is_read_with_its_secret_by_name() -> None:
    told, configuration = read(
        "  pager: {kind: pagerduty, secret: env:PD, region: eu, signed_by: env:SIGN}\n"
        "  phone: {kind: apprise, secret: env:NTFY}\n"
        "  bridge: {kind: webhook, secret: env:B, url: 'https://bridge.example.com/page'}\n",
        ", pages: [phone, mail, phone]", "paging: {most_an_hour: 7}\n",
    )  # fmt: skip
    assert told == []
    settings = configuration.settings  # type: ignore[attr-defined]
    assert settings.channels == {
        "pager": Channel("pagerduty", "env:PD", region="eu", signed_by="env:SIGN"),
        "phone": Channel("apprise", "env:NTFY"),
        "bridge": Channel("webhook", "env:B", "https://bridge.example.com/page"),
    }
    assert settings.paging == PagingSettings(most_an_hour=7)
    assert configuration.people["ada"].pages == ("phone", "mail")  # type: ignore[attr-defined]


def test_without_any_word_a_person_is_paged_by_every_channel() -> None:
    _, configuration = read()
    assert configuration.people["ada"].pages is None  # type: ignore[attr-defined]


def test_what_cannot_work_is_refused_where_it_stands() -> None:
    for channel, said in (
        ("x: {kind: webhook, secret: env:B}", "channels.x.kind: found a webhook without 'url'"),
        ("x: {kind: apprise, secret: env:B, url: 'https://e.org'}", "channels.x.url: found an address of an apprise"),
        ("x: {kind: apprise, secret: env:B, region: eu}", "channels.x.region: found 'region' of kind apprise"),
        ("x: {kind: webhook, secret: env:B, url: 'https://e.org', signed_by: env:C}", "channels.x.signed_by: found"),
        ("x: {kind: pagerduty, secret: env:B, url: 'http://10.0.0.1/'}", "channels.x.url: found"),
        ("x: {kind: pager, secret: env:B}", "channels.x.kind: found 'pager'"),
        ("x: {kind: apprise}", "channels.x.secret: found no such key"),
        ("mail: {kind: apprise, secret: env:B}", "channels.mail: found the name 'mail'"),
    ):
        told, configuration = read(f"  {channel}\n")
        assert configuration is None, channel
        assert any(said in each for each in told), (channel, told)


def test_a_person_cannot_be_paged_by_a_channel_that_there_is_not() -> None:
    told, _ = read("  phone: {kind: apprise, secret: env:B}\n", ", pages: [fone]")
    assert told == [
        "people.yaml people.ada.pages[0]: found 'fone', expected mail, notify or a channel of roadworthy.yaml"
    ]
