"""A provider's bill against the log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from roadworthy.cost.invoices import Bill, Logged, Reconciled, read, reconcile
from roadworthy.cost.service import PriceList
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.service import Log
from roadworthy.workflow.model import Configuration, Price, Target

CHARGED = "live,tester,load,eval,shadow"
"""Classes whose calls reach a provider: a drill's reach a server of ours."""
UTC_ZONE = ZoneInfo("UTC")


class Reconciler:
    """Blocking."""

    def __init__(
        self,
        log: Log,
        configuration: Callable[[], Configuration | None],
        price_of: Callable[[Target], Price | None],
        prices: PriceList,
    ) -> None:
        self._log = log
        self._configuration = configuration
        self._price_of = price_of
        self._prices = prices

    def file(self, text: str, name: str = "the file") -> Reconciled:
        """Raises ``cost.invoices.NotRead``."""
        bill = read(text, name)
        found = reconcile(bill, self._logged(bill), lambda model: self._price(bill, model))
        notes = list(found.notes)
        if bill.maker != "own" and not self._targets(bill):
            notes.append(
                f"no target of provider {bill.maker} is configured: the log's calls of all targets are compared"
            )
        return Reconciled(found.maker, found.since, found.until, found.rows, notes)

    def _logged(self, bill: Bill) -> list[Logged]:
        since = datetime.fromisoformat(bill.rows[0].day).replace(tzinfo=UTC)
        until = datetime.fromisoformat(bill.rows[-1].day).replace(tzinfo=UTC) + timedelta(days=1)
        where = Filter(since=since.timestamp(), until=until.timestamp(), traffic=CHARGED)
        own = self._targets(bill)
        found = []
        for row in self._log.stats("day,model,target", where, UTC_ZONE).rows:
            target, model = row.group["target"] or "", row.group["model"] or ""
            if (own and target not in own) or not model:  # nobody is billed for what no model answered
                continue
            day = (row.group["day"] or "")[:10]
            found.append(Logged(day, model, row.count, row.cost_unknown, row.cost_usd or 0.0, row.tokens))
        return found

    def _targets(self, bill: Bill) -> set[str]:
        """Names of those whose calls such a bill is for; empty: of all."""
        configuration = self._configuration()
        if bill.maker == "own" or configuration is None:
            return set()
        return {name for name, target in configuration.targets.items() if target.provider == bill.maker}

    def _price(self, bill: Bill, model: str) -> Price | None:
        """By the targets' own tables first, as calls are priced; then by the public list."""
        configuration = self._configuration()
        for target in () if configuration is None else configuration.targets.values():
            if target.model == model:
                return self._price_of(target)
        provider = bill.maker if bill.maker != "own" else None
        return self._prices.listed(model, provider)[1].price if model else None
