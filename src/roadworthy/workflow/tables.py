"""Every key of roadworthy.yaml and people.yaml: with ``workflow_table`` the one table behind parser, schemas, docs."""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

from roadworthy.workflow.channel_table import CHANNELS, PAGING
from roadworthy.workflow.fields import NAME, Field, ListOf, MapOf, Section
from roadworthy.workflow.hours import Hours
from roadworthy.workflow.kinds import (
    Address,
    Boolean,
    Choice,
    Day,
    Duration,
    File,
    Number,
    Ref,
    Secret,
    Share,
    Text,
    Url,
)
from roadworthy.workflow.model import (
    Breaker,
    Budget,
    Capabilities,
    Finance,
    Heartbeat,
    Oidc,
    Price,
    Retention,
    Role,
    Smtp,
    TargetLimits,
    Webhook,
)
from roadworthy.workflow.on_call_table import ON_CALL
from roadworthy.workflow.shapes import Pattern, Timezone, yaml_file

BUILT_IN_REDACTION: Final = ("email", "phone", "card", "iban", "key")

_TOKENS_PER: Final = {"1": 1, "1K": 1_000, "1M": 1_000_000}


def _price(read: dict[str, Any]) -> Price:
    rate = read.get("usd_per_unit", 1.0)
    unit = _TOKENS_PER[read.get("per", "1M")] / rate
    kinds: tuple[str, ...] = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
    each = {kind: float(f"{read[kind] / unit:.12g}") for kind in kinds if kind in read}
    return msgspec.convert(each | {"per_request": read.get("per_request", 0.0) * rate}, Price)


def _money(doc: str, required: bool = False) -> Field:
    return Field(Number(0, 1e6, "a price, 0 or more"), doc, required)


PRICE: Final = Section(
    "a price table: {input: 0.15, output: 0.60}",
    {
        "input": _money("Price of uncached input tokens.", required=True),
        "output": _money("Price of output tokens.", required=True),
        "cache_read": _money("Price of input tokens read from the provider's cache; else as input."),
        "cache_write": _money("Price of input tokens written to the provider's cache; else as input."),
        "cache_write_1h": _money("Price of input tokens written to be cached for an hour; else as cache_write."),
        "per_request": _money("Price of a call, whatever its tokens."),
        "per": Field(Choice(("1M", "1K", "1")), "How many tokens the prices are for.", default="1M"),
        "usd_per_unit": Field(
            Number(1e-6, 1e6, "US dollars for one unit of the currency"),
            "US dollars for one unit of the currency that the prices are in.",
            default="1",
        ),
    },
    _price,
)

TARGET: Final = Section(
    "a target",
    {
        "provider": Field(
            Choice(("openai", "anthropic", "gemini", "bedrock", "local", "simulated")),
            "openai is any OpenAI-compatible endpoint; gemini Google's native API; bedrock Amazon's Converse; "
            "local the bundled model; simulated the rehearsal target.",
            required=True,
        ),
        "model": Field(
            Text("the exact model"),
            "The exact model. '*' passes on what an adopted app asks for, and cannot be frozen into a release.",
            required=True,
        ),
        "endpoint": Field(
            Url(),
            "Base URL with its version path; not for local and simulated, always for bedrock.",
            default="the provider's own (https://api.openai.com/v1, https://api.anthropic.com/v1, "
            "https://generativelanguage.googleapis.com/v1beta)",
        ),
        "key": Field(Secret(), "Name of the secret that holds the provider's key; never the key itself."),
        "price": Field(PRICE, "What tokens cost, in front of the public price list.", default="the public price list"),
        "discount": Field(Share(), "What your contract takes off the price, declared or listed."),
        "limits": Field(
            Section(
                "limits",
                {
                    "concurrency": Field(
                        Number(1, 100_000, "a whole number of calls", whole=True),
                        "Most calls under way at once, per worker: the ceiling of the adaptive limit.",
                        default="256",
                    ),
                    "adaptive": Field(
                        Boolean(), "Let the limit follow what the target bears, down to 1.", default="true"
                    ),
                    "queue": Field(
                        Number(0, 100_000, "a whole number of calls", whole=True),
                        "Most calls that wait for a slot, per worker; the next ones go to the ladder.",
                        default="64",
                    ),
                    "requests_per_minute": Field(
                        Number(1, 10_000_000, "a whole number of calls", whole=True), "The provider's limit on calls."
                    ),
                    "tokens_per_minute": Field(
                        Number(1, 10_000_000_000, "a whole number of tokens", whole=True),
                        "The provider's limit on tokens.",
                    ),
                },
                lambda read: TargetLimits(**read),
            ),
            "What the provider allows.",
        ),
        "capabilities": Field(
            Section(
                "capabilities",
                {
                    "prefill": Field(
                        Choice(("native", "prompted", "none")),
                        "Can it go on from a begun answer? Needed for 'continuation'.",
                        default="none",
                    ),
                    "response_schema": Field(Boolean(), "Does it obey a JSON schema?", default="true"),
                    "tools": Field(Boolean(), "Does it call tools?", default="true"),
                    "images": Field(Boolean(), "Does it read images?", default="true"),
                    "surfaces": Field(
                        ListOf(Choice(("chat", "responses", "messages")), 3),
                        "Wire formats that its endpoint takes as they are; others are translated.",
                        default="openai: chat, and responses at *.openai.com and *.openai.azure.com; "
                        "anthropic: messages; others: chat",
                    ),
                },
                lambda read: Capabilities(**read),
            ),
            "What the model can do.",
        ),
        "breaker": Field(
            Section(
                "a breaker: {share: 50%, calls: 10}",
                {
                    "share": Field(
                        Share(), "It opens when this share of the calls in the window failed.", default="50%"
                    ),
                    "calls": Field(
                        Number(1, 1_000_000, "a whole number of calls", whole=True),
                        "It needs at least so many calls.",
                        default="10",
                    ),
                    "window": Field(Duration(0.1, 3600.0), "The calls of so long are looked at.", default="10s"),
                    "cooldown": Field(
                        Duration(0.1, 3600.0),
                        "Time until one call is let through as a probe; doubled when it fails, at most 60s.",
                        default="5s",
                    ),
                },
                lambda read: Breaker(**read),
            ),
            "When a target that keeps failing is left alone.",
        ),
        "allow_private": Field(Boolean(), "May the endpoint be on this machine or a private network?", default="false"),
        "headers": Field(
            MapOf(Text("a header value"), "extra headers", r"[A-Za-z0-9-]{1,64}", "a header name"),
            "Extra fixed headers; no secrets.",
        ),
        "simulation": Field(
            File("a YAML file with the profile of a simulated target", yaml_file), "Only for provider simulated."
        ),
    },
)

BUDGET: Final = Section(
    "a budget: {day, month}",
    {
        "day": Field(Number(0.0, 1e9, "US dollars"), "Most US dollars in a calendar day.", default="no limit"),
        "month": Field(Number(0.0, 1e9, "US dollars"), "Most US dollars in a calendar month.", default="no limit"),
    },
    lambda read: Budget(**read),
)

SMTP: Final = Section(
    "a mail server: {host, from, port, security, user, password}",
    {
        "host": Field(Text("the name of a server", r"[A-Za-z0-9.:-]{1,253}"), "Server that takes the mail.", True),
        "from": Field(Text("a mail address", r"[^@\s]+@[^@\s]+"), "Address that mail comes from.", True),
        "port": Field(Number(1, 65535, "a port", whole=True), "Port.", default="587"),
        "security": Field(
            Choice(("starttls", "tls", "none")),
            "How the connection is protected; none only on this machine.",
            default="starttls",
        ),
        "user": Field(Text("a user name"), "User to log in as.", default="no log-in"),
        "password": Field(Secret(), "Where the password is: 'env:NAME' or 'file:/path'."),
        "allow_private": Field(Boolean(), "Allow the server to be at an address that is not public.", default="false"),
    },
    lambda read: Smtp(sender=read["from"], **{key: value for key, value in read.items() if key != "from"}),
)

OIDC: Final = Section(
    "an identity provider: {issuer, client_id, client_secret}",
    {
        "issuer": Field(Url(), "The issuer, as its discovery document says it.", True),
        "client_id": Field(Text("a client id", r"\S{1,200}"), "How Roadworthy is registered there.", True),
        "client_secret": Field(Secret(), "Name of the secret of that registration.", True),
        "name": Field(
            Text("a name", r".{1,40}"), "What the button says: 'Sign in with …'.", default="your company account"
        ),
        "allow_private": Field(Boolean(), "Allow it to be at an address that is not public.", default="false"),
    },
    lambda read: Oidc(**{**read, "issuer": read["issuer"].rstrip("/")}),
)

FINANCE: Final = Section(
    "how money is shown: {currency: EUR, per_usd: 0.92, as_of: 2026-11-01}",
    {
        "currency": Field(Text("a currency of three letters", r"[A-Z]{3}"), "Currency of the sheet.", default="USD"),
        "per_usd": Field(Number(1e-6, 1e6, "units of the currency for one US dollar"), "Rate.", default="1"),
        "as_of": Field(Day(), "Day of that rate."),
        "cost_centres": Field(MapOf(Text("a cost centre", r".{1,60}"), "cost centres by team"), "Who pays, by team."),
    },
    lambda read: Finance(**read),
)

WEBHOOK: Final = Section(
    "a webhook: {url, secret}",
    {
        "url": Field(Url(), "Address that is told, by a signed POST.", True),
        "secret": Field(Secret(), "Name of the secret that signs (Standard Webhooks).", True),
        "allow_private": Field(Boolean(), "May the address be on this machine or a private network?", default="false"),
    },
    lambda read: Webhook(**read),
)

HEARTBEAT: Final = Section(
    "a heartbeat: {url: env:HEARTBEAT_URL, every: 60s}",
    {
        "url": Field(Secret(), "Name of the secret that holds the address of a dead-man's switch.", True),
        "every": Field(Duration(10.0, 86_400.0), "How often it is called while everything works.", default="60s"),
        "method": Field(Choice(("GET", "POST")), "How it is called.", default="GET"),
        "allow_private": Field(Boolean(), "May the address be on this machine or a private network?", default="false"),
    },
    lambda read: Heartbeat(**read),
)

ROADWORTHY: Final = Section(
    "the settings of this install",
    {
        "version": Field(Number(1, 1, "1, the format of these files", whole=True), "Format of the files.", True),
        "listen": Field(Address(), "Where apps reach the gateway.", default="127.0.0.1:8400"),
        "metrics": Field(Address(), "Where /metrics is served.", default="127.0.0.1:8401"),
        "console": Field(
            Address("host:port, or off", off=True), "Where people open the console.", default="127.0.0.1:8402"
        ),
        "console_url": Field(Url(), "What people type to reach the console, when that differs from `console`."),
        "workers": Field(Number(1, 256, "a whole number of processes", whole=True), "Gateway processes.", default="1"),
        "timezone": Field(Timezone(), "Time zone in which times are read and printed.", default="UTC"),
        "targets": Field(MapOf(TARGET, "targets by name"), "Exact models at providers, by name.", True),
        "retention": Field(
            Section(
                "retention times",
                {
                    "bodies": Field(Duration(60.0), "How long prompts and answers are kept.", default="30d"),
                    "facts": Field(Duration(60.0), "How long everything else is kept.", default="400d"),
                    "cold_after": Field(Duration(60.0), "After this, days move to Parquet files.", default="7d"),
                },
                lambda read: Retention(**read),
            ),
            "How long the inference log keeps what.",
        ),
        "redaction": Field(
            ListOf(
                Section(
                    "a redaction rule",
                    {
                        "name": Field(Text("a name", NAME, "use lower-case letters"), "Name, for policy.redact.", True),
                        "pattern": Field(Pattern(), "RE2 pattern, applied to the text of bodies.", True),
                        "replacement": Field(Text("the replacement"), "What is written instead.", default="[NAME]"),
                    },
                )
            ),
            f"Own redaction rules, besides the built-in {', '.join(BUILT_IN_REDACTION)}.",
        ),
        "telemetry": Field(
            Section(
                "telemetry settings",
                {
                    "otlp": Field(
                        Section(
                            "an OTLP exporter",
                            {
                                "endpoint": Field(Url(), "OTLP/HTTP endpoint for traces.", True),
                                "headers": Field(Secret(), "Name of the secret that holds its headers: k=v,k=v."),
                            },
                        ),
                        "Where traces are exported to; none by default.",
                    )
                },
            ),
            "Where telemetry goes besides /metrics.",
        ),
        "journal": Field(
            Section(
                "journal settings",
                {
                    "disk_full": Field(
                        Choice(("bypass", "serve_unlogged")),
                        "What calls get when the disk is full and the reserve is used up.",
                        default="bypass",
                    )
                },
            ),
            "The journal between gateway and log.",
        ),
        "proxy": Field(Url(), "HTTP proxy for calls to providers."),
        "public_url": Field(
            Url(), "Where callers and helpdesks reach the gateway from outside, without /v1; by default at 'listen'."
        ),
        "budgets": Field(MapOf(BUDGET, "budgets by team"), "What all workflows of a team together may spend, by team."),
        "helpdesks": Field(
            MapOf(WEBHOOK, "helpdesks by name"), "Helpdesks to which calls are escalated, for policy.escalation."
        ),
        "notify": Field(WEBHOOK, "Where incidents and alerts are told."),
        "oidc": Field(OIDC, "Identity provider with which people may sign in to the console (docs/people.md)."),
        "smtp": Field(SMTP, "Server by which whoever must know is told by e-mail (docs/finance.md)."),
        "finance": Field(FINANCE, "How money is shown on the finance sheet (docs/finance.md)."),
        "channels": Field(CHANNELS, "Ways to page people besides mail (smtp) and notify, by name (docs/paging.md)."),
        "paging": Field(PAGING, "How people are paged (docs/paging.md)."),
        "heartbeat": Field(
            HEARTBEAT, "Somebody outside who raises the alarm when Roadworthy falls silent (docs/monitoring.md)."
        ),
    },
)


def _person(read: dict[str, Any]) -> dict[str, Any]:
    return read | {key: tuple(dict.fromkeys(read[key])) for key in ("roles", "pages") if key in read}


PEOPLE: Final = Section(
    "the people",
    {
        "people": Field(
            MapOf(
                Section(
                    "a person",
                    {
                        "name": Field(Text("a name"), "Full name.", True),
                        "email": Field(Text("a mail address", r"[^@\s]+@[^@\s]+"), "Mail address.", True),
                        "phone": Field(Text("a phone number", r"\+?[0-9 ()/.-]{4,30}"), "For pages."),
                        "team": Field(Text("the name of a team", NAME), "Team.", default="default"),
                        "roles": Field(
                            ListOf(Choice(get_args(Role)), 6),
                            "Roles in the team (docs/people.md); owners are owners of their workflows besides.",
                            default="[operator]",
                        ),
                        "hours": Field(
                            Hours(), "Working hours, for what is no page: 'Mon-Fri 09:00-17:00'.", default="always"
                        ),
                        "zone": Field(Timezone(), "Time zone of those hours.", default="that of the install"),
                        "pages": Field(
                            ListOf(Ref("channels", "the name of a channel"), 20),
                            "Channels by which they are paged: names of channels, mail, notify (docs/paging.md).",
                            default="every one",
                        ),
                        "left": Field(
                            Boolean(), "Left: may do nothing any more; what they owned shows at once.", default="false"
                        ),
                    },
                    _person,
                ),
                "people by id",
                r"(?!engine$)[A-Za-z0-9][A-Za-z0-9._-]{0,62}",
                "an id of letters, digits, '.', '-' and '_', and not 'engine', as Roadworthy calls itself",
            ),
            "Everybody who may own, test or approve, by id.",
            True,
        ),
        "on_call": ON_CALL,
    },
)
