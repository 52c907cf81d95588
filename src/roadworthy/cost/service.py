"""Where a target's price comes from: the user's own table, else the public price list, else nowhere, with the reason.

The public list is the one that the installed ``genai-prices`` ships; it is not polled.  It loads pydantic, so it is
imported on the first look-up and only control looks prices up: a gateway reads them from its snapshot.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from roadworthy.cost.model import Priced
from roadworthy.workflow.model import Price, Target
from roadworthy.workflow.problems import did_you_mean

_PER = 1_000_000
_HOSTS = {
    "openai.azure.com": "azure",
    "services.ai.azure.com": "azure",
    "cognitiveservices.azure.com": "azure",
    "generativelanguage.googleapis.com": "google",
    "aiplatform.googleapis.com": "google",
}
"""Ends of host names that the list's own patterns miss or that serve an OpenAI-compatible path."""


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class PriceList:
    """Look-ups in the user's tables and the public list.  ``now``: aware, for prices that depend on the date."""

    def __init__(self, now: Callable[[], datetime.datetime] = _now) -> None:
        self._now = now

    def price_of(self, target: Target) -> Price | None:
        """The price of ``target``, if one is known."""
        return self.look_up(target).price

    def look_up(self, target: Target) -> Priced:
        """The price of ``target`` with its source, or why there is none."""
        found = self._undiscounted(target)
        if found.price is None or not target.discount:
            return found
        return msgspec.structs.replace(found, price=discounted(found.price, target.discount))

    def models_of(self, target: Target) -> dict[str, Price]:
        """What every model of the target's provider costs by the public list; a name that ends in ``*`` stands for
        all that begin so.  Empty for a provider that the list does not know."""
        from genai_prices import data_snapshot

        if target.provider not in ("openai", "anthropic", "gemini", "bedrock"):
            return {}
        provider_id, endpoint = self._provider(target)
        try:
            provider = data_snapshot.get_snapshot().find_provider(None, provider_id, endpoint)
        except LookupError:
            return {}
        out: dict[str, Price] = {}
        for model in provider.models:
            price, _note = _converted(model.get_prices(self._now()))
            if price is not None:
                out |= dict.fromkeys(_names(model), discounted(price, target.discount))
        return out

    def listed(self, model: str, provider: str | None = None) -> tuple[str, Priced]:
        """(provider, price of one of its models) by the public list alone; ``provider``: its id there, else told by the
        model's name.  An unknown name is answered with those that are near it."""
        from genai_prices import data_snapshot

        listed = data_snapshot.get_snapshot()
        everyone, name = listed.providers, model.lower()
        sellers = [each.id for each in everyone if each.find_model(name, all_providers=everyone) is not None]
        try:
            only = sellers[0] if provider is None and len(sellers) == 1 else provider
            found, named = listed.find_provider_model(model, None, only, None)
        except LookupError:
            return provider or "", Priced(None, _unlisted(everyone, model, provider, sellers))
        price, note = _converted(named.get_prices(self._now()))
        if price is None:
            return found.id, Priced(None, f"the public price list has no token price for {model} at {found.id}")
        return found.id, Priced(price, note=note)

    def names_of(self, target: Target) -> list[str]:
        """Names of models at the target's provider that the public list prices."""
        return [name for name in self.models_of(target) if not name.endswith("*")]

    def _undiscounted(self, target: Target) -> Priced:
        if target.price is not None:
            return Priced(target.price)
        if target.provider == "local":
            return Priced(Price(input=0.0, output=0.0, source="the bundled model runs on this machine"))
        if target.provider == "simulated":
            return Priced(None, f"simulated target {target.name} declares no price; give it a `price` table")
        if target.model == "*":
            return Priced(None, f"target {target.name} passes on whatever model is asked for; give it a `price` table")
        return self._public(target)

    def _public(self, target: Target) -> Priced:
        from genai_prices import data_snapshot

        name = f"{target.model} (target {target.name})"
        mend = "give the target a `price` table"
        listed = data_snapshot.get_snapshot()
        try:
            _, model = listed.find_provider_model(target.model, None, *self._provider(target))
        except LookupError:
            where = urlsplit(target.endpoint).hostname if target.endpoint else target.provider
            return Priced(None, f"the public price list knows no {name} at {where}; {mend}")
        listed_prices = model.get_prices(self._now())
        price, note = _converted(listed_prices)
        if price is None:
            return Priced(None, f"the public price list has no token price for {name}; {mend}")
        return Priced(price, note=note)

    def _provider(self, target: Target) -> tuple[str | None, str | None]:
        """(provider id, endpoint): one of them is given."""
        if target.provider == "anthropic":
            return "anthropic", None
        if target.provider == "gemini":
            return "google", None
        if target.provider == "bedrock":
            return "aws", None
        if target.endpoint is None:
            return "openai", None
        host = urlsplit(target.endpoint).hostname or ""
        known = next((provider for end, provider in _HOSTS.items() if host == end or host.endswith(f".{end}")), None)
        return (known, None) if known is not None else (None, target.endpoint)


def discounted(price: Price, share: float) -> Price:
    """The price with a contract's discount taken off."""
    if not share:
        return price
    left = 1.0 - share
    return Price(
        input=price.input * left,
        output=price.output * left,
        cache_read=None if price.cache_read is None else price.cache_read * left,
        cache_write=None if price.cache_write is None else price.cache_write * left,
        per_request=price.per_request * left,
        source=f"{price.source}, less {share * 100:g} %",
        cache_write_1h=None if price.cache_write_1h is None else price.cache_write_1h * left,
    )


def _unlisted(providers: Any, model: str, provider: str | None, sellers: list[str]) -> str:
    """Why the list has no price, with what it has that is near.  ``sellers``: ids of those that sell it."""
    ids = [each.id for each in providers]
    if provider is not None and provider not in ids:
        return f"the public price list knows no provider {provider!r}: {did_you_mean(provider, ids)}"
    if sellers:
        return f"{model!r} is sold by others: name one with --provider ({', '.join(sellers[:12])})"
    names = [m.id for each in providers if provider in (None, each.id) for m in each.models]
    at = f" at {provider}" if provider else ""
    return f"the public price list knows no model {model!r}{at}: {did_you_mean(model, names)}"


def _names(model: Any) -> list[str]:
    """The names by which a model of the list is asked for; ``stem*`` for all that begin so."""
    names, clauses = [str(model.id)], [model.match]
    while clauses:
        clause = clauses.pop()
        clauses += getattr(clause, "or_", ())
        if exact := getattr(clause, "equals", None):
            names.append(exact)
        elif stem := getattr(clause, "starts_with", None):
            names.append(f"{stem}*")
    return names


def _converted(listed: Any) -> tuple[Price | None, str]:
    """Our price per token of the list's prices per million.  A tiered price counts with its first tier, and says so."""
    tiered: dict[int, list[str]] = {}

    def per_token(key: str) -> float | None:
        found = getattr(listed, key, None)
        if found is None:
            return None
        tiers = getattr(found, "tiers", None)
        if tiers is not None:
            if tiers:
                tiered.setdefault(tiers[0].start, []).append(key.removesuffix("_mtok"))
            found = found.base
        return float(found / _PER)  # decimal until here

    paid, answered = per_token("input_mtok"), per_token("output_mtok")
    if paid is None:
        return None, ""
    fee = getattr(listed, "requests_kcount", None)
    price = Price(
        input=paid,
        output=answered or 0.0,  # embeddings have no output
        cache_read=per_token("cache_read_mtok"),
        cache_write=per_token("cache_write_mtok"),
        per_request=float(fee / 1000) if fee is not None else 0.0,
        source=f"genai-prices {_version()}",
        cache_write_1h=per_token("cache_write_1h_mtok"),
    )
    notes = [
        f"above {start:,} input tokens other prices hold for {', '.join(kinds)}" for start, kinds in tiered.items()
    ]
    return price, "; ".join(notes)


def _version() -> str:
    import genai_prices

    return str(genai_prices.__version__)
