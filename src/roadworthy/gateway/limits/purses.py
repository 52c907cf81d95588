"""What a call may cost: reserved before each attempt, settled after it, within every budget that holds for it.

Reserved is what an attempt costs at most as far as that is known beforehand: its estimated input, and the output that
the caller allows (the larger of ``max_completion_tokens`` and ``max_tokens``) or, where it names none, that 95 % of the
release's answers stay below.  Settled is what it did cost; where that is not known, the reserve.  All of it happens
without awaiting, so no two calls of a worker can spend the same dollar, and each worker keeps within its own slice of a
budget (``cost/lending.py``).

A worker that nobody has told anything about a budget yet grants the first call that fits the whole of it, though it be
larger than its slice: with N workers a budget smaller than N calls could otherwise never be used.

Fails closed: a call for which a budget has nothing left is not made.  It fails open in one case, where the install
knows no price at all: nothing can be reserved then (``roadworthy status`` says which targets have no price).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from math import ceil
from typing import NamedTuple

import msgspec

from roadworthy.cost.budgets import NANO, RATE, begin_before, nano
from roadworthy.cost.lending import (
    EVERYTHING,
    MOST_SCOPES,
    WHOLE,
    Order,
    Orders,
    Parts,
    Slice,
    Word,
    first_share,
    obeyed,
    part_at,
)
from roadworthy.gateway.call import Call
from roadworthy.gateway.counters import BudgetCount
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.limits.buckets import Bucket
from roadworthy.gateway.limits.ledger import RESERVED, SHARE, SPENT, Ident, Ledger, fresh, ident_of, parsed
from roadworthy.gateway.limits.plans import Hold, Place, Places, Plan, Scope, Tab
from roadworthy.gateway.limits.pricing import tokens_in
from roadworthy.gateway.limits.slots import Slots
from roadworthy.gateway.ports import ANY_MODEL, Clock, Unusable
from roadworthy.gateway.world import ServedTarget, World
from roadworthy.workflow.inference import Attempt
from roadworthy.workflow.model import Price

MOST_PLACES = 10_000
"""Callers (users and their keys) whose places in the ledger are remembered; the others are looked up by their hash."""
MOST_TOLD = 10_000
UNSEEN_OUTPUT = 1000
"""Output tokens that are reserved while a release has answered too seldom to tell."""
OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens")
"""Either may be the one that a provider obeys."""
MOST_OUTPUT = 999_999_999
ONE_CALL = 1000
"""A call, where calls are counted and not dollars: slices of few calls would be rounded away."""
LINGER = 2.0
"""Seconds for which a slice that was too small counts as such."""
SOON = 1.0
"""Seconds: when a slice is used up and the budget is not, more is lent within two rounds."""


_orders = msgspec.json.Decoder(Orders)


class _Booked(NamedTuple):
    plan: Plan
    """Kept, so that no other plan gets its ``id``."""
    begin: float
    end: float
    places: Places


class Recent:
    """The 95th percentile of the last 128 numbers, worked out anew every 16."""

    __slots__ = ("_count", "_last", "p95")

    def __init__(self) -> None:
        self._last = [0] * 128
        self._count = 0
        self.p95: int | None = None

    def add(self, number: int) -> None:
        self._last[self._count % 128] = number
        self._count += 1
        if self._count % 16 == 0:
            known = sorted(self._last[: min(self._count, 128)])
            self.p95 = known[len(known) * 95 // 100]


class Purses:
    """Budgets and rates of one worker."""

    def __init__(
        self,
        clock: Clock,
        slots: Mapping[str, Slots],
        *,
        worker: int = 0,
        workers: int = 1,
        number: int | None = None,
        parts: Parts = EVERYTHING,
        ledger: Ledger | None = None,
    ) -> None:
        """``worker`` of ``workers`` of this gateway; ``number``: among all of the install, as control knows it."""
        self.ledger = ledger if ledger is not None else Ledger(workers=workers, records=1 << 12)
        self._clock = clock
        self._slots = slots
        self._worker = worker
        self._workers = workers
        self._known_as = worker if number is None else number
        self._parts = parts
        self._alone = workers == 1 and parts == EVERYTHING
        """Has nobody else anything that could be lent?"""
        self._firsts: dict[int, int] = {}
        """Stamp → share of a scope of that period of which nobody has spoken."""
        self._number = (0, 0)
        self._places: dict[tuple[int, str | None, str], _Booked] = {}
        """(``id`` of the plan, unit, key) → where its budgets are booked today."""
        self._rates: dict[tuple[str, str, str], tuple[str, Bucket]] = {}
        """(kind, owner, name) → (id, bucket)."""
        self._limits: dict[str, float] = {}
        """Id of a rate → its limit a minute."""
        self._short: dict[Ident, tuple[int, int, float]] = {}
        """Scope → (limit, what it could not grant, monotonic time until which control is told so)."""
        self._others: dict[str, int] = {}
        """Scope → what the other workers hold of it, as control said last."""
        self._told: dict[Ident, int] = {}
        """Scope → nanodollars of the highest alert that a record has carried: a raised budget has others beyond it."""
        self._recent: dict[str, Recent] = {}
        self.active = False
        """Has any workflow a budget?"""
        self._named: dict[tuple[str, str, str], tuple[Scope, Plan]] = {}

    def follow(self, world: World) -> None:
        """Serve another snapshot: what was spent stays spent, whatever the budgets are now."""
        self._named = {}
        self.active = any(serving.money is not None for serving in world.workflows.values())
        for serving in world.workflows.values():
            plan = serving.money
            for scope in plan.scopes if plan is not None else ():
                if scope.kind in ("workflow", "team") and plan is not None:
                    self._named[(scope.kind, scope.owner, scope.period)] = scope, plan
        now = self._clock.monotonic()
        for name, slots in self._slots.items():
            quota = slots.quota
            if quota is None:
                continue
            for kind, limit in (
                ("requests", quota.limits.requests_per_minute),
                ("tokens", quota.limits.tokens_per_minute),
            ):
                if limit is not None:
                    ident, share = self._lent_rate(kind, name, "")
                    bucket = quota.bucket(kind, now)
                    bucket.share = share
                    self._rates[(kind, name, "")] = ident, bucket
                    self._limits[ident] = limit

    # --- calls

    def admit(self, call: Call) -> Unusable | None:
        """May the call begin?  ``throttled``: its key's calls a minute; ``overspent``: a budget is used up."""
        serving = call.serving
        assert serving is not None
        key = call.key.key
        per_minute = key.requests_per_minute
        if per_minute is None:
            per_minute = serving.policy.requests_per_minute_per_key
        if per_minute is not None:
            wait = self._rate(serving.name, key.id, per_minute).take(call.began, per_minute)
            if wait > 0.0:
                again = max(1, math.ceil(wait))
                return Unusable(
                    "throttled",
                    f"This key may call {serving.name} {per_minute} times a minute. Try again in {again} s.",
                    retry_after=wait,
                )
        tester = call.traffic == "tester"
        call.money = plan = serving.tester_money if tester else serving.money
        if plan is None:
            return None
        if tester and (full := self._tester_calls(call, plan, serving.policy.tester_calls_per_day)) is not None:
            return full
        call.tab = tab = Tab(self._booked(call, plan))
        for scope, place in tab.places:
            if not self._fits(scope.limit, place.at, 1):
                return self._refusal(call, plan, scope, place, 1)
        return None

    def reserve(
        self, call: Call, target: ServedTarget, attempt: Attempt, check: tuple[bytes, int] | None = None
    ) -> None:
        """Set aside what the attempt may cost.  Raises ``Unusable`` (``overspent``) and then reserves nothing.

        ``check``: the attempt asks for a check; what it sends, and the most tokens that it wants to read.
        """
        plan, tab = call.money, call.tab
        if plan is None or tab is None:
            return
        amount = self._estimate(call, target, plan) if check is None else _estimate_check(target, plan, *check)
        if plan.allowance is not None and tab.held() + amount > plan.allowance:
            _note(call, "budget:inference")
            raise Unusable(
                "overspent",
                f"A call of {target.name} may cost {amount / NANO:.6f} dollars, and of this call's "
                f"{plan.allowance / NANO:g} there are {max(0, plan.allowance - tab.held()) / NANO:.6f} left.",
            )
        words = self.ledger.words
        for scope, place in tab.places:
            at, limit = place.at, scope.limit
            held, share = words[at + SPENT] + words[at + RESERVED], words[at + SHARE]
            mine = limit * (share if share >= 0 else -1 - share) // WHOLE
            if held + amount > mine and not (share < 0 and held == 0 and amount <= limit):
                raise self._refusal(call, plan, scope, place, amount)
            if 2 * (held + amount) > mine and not self._alone and place.ident not in self._short:
                self._run_short(place.ident, limit, 1)  # ask for more while half of it is still there
        for _, place in tab.places:
            words[place.at + RESERVED] += amount
        tab.holds[id(attempt)] = Hold(amount, attempt)

    def settle(self, call: Call, attempt: Attempt) -> None:
        """The attempt is over: what it cost takes the place of what it reserved.  Settling again does nothing."""
        tab = call.tab
        hold = tab.holds.pop(id(attempt), None) if tab is not None else None
        if tab is None or hold is None:
            return
        actual = hold.amount if attempt.cost_usd is None else nano(attempt.cost_usd)
        tab.settled += actual
        words, reserved = self.ledger.words, hold.amount
        for scope, place in tab.places:
            words[place.at + RESERVED] -= reserved
            words[place.at + SPENT] += actual
            alerts = scope.alerts
            if alerts and actual and self._told.get(place.ident, 0) < alerts[-1][0]:
                self._tell(call, scope, place)
        tokens = attempt.tokens
        if tokens is None or attempt.tokens_estimated:
            return
        for own in call.attempts:
            if own is attempt:  # and not a check's
                self._observe(call, tokens.output)

    def close(self, call: Call) -> None:
        """The inference is over: attempts (checks' calls too) whose cost was told late, or never, are settled."""
        if call.tab is not None and call.tab.holds:
            for hold in list(call.tab.holds.values()):
                self.settle(call, hold.attempt)

    def left(self, call: Call) -> float | None:
        """Dollars left of the inference's allowance; ``None``: it has none."""
        plan = call.money
        if plan is None or plan.allowance is None:
            return None
        return max(0, plan.allowance - (call.tab.held() if call.tab is not None else 0)) / NANO

    def costs(self, call: Call) -> dict[str, float]:
        """Target of the release → dollars that a call of it may cost at most."""
        plan = call.money
        if plan is None:
            return {}
        return {name: self._estimate(call, target, plan) / NANO for name, target in _targets(call).items()}

    def affordable(self, call: Call) -> frozenset[str]:
        """Targets of the release of which every budget grants a call now.  For calls that have budgets."""
        plan = call.money
        assert plan is not None
        places = call.tab.places if call.tab is not None else ()
        return frozenset(
            name
            for name, target in _targets(call).items()
            if all(self._fits(scope.limit, place.at, self._estimate(call, target, plan)) for scope, place in places)
        )

    def note_short(self, call: Call, target: ServedTarget) -> None:
        """Have the record say which budgets do not grant a call of ``target`` now.  For calls that have budgets."""
        plan = call.money
        assert plan is not None
        amount = self._estimate(call, target, plan)
        if plan.allowance is not None and (call.tab.held() if call.tab is not None else 0) + amount > plan.allowance:
            _note(call, "budget:inference")
        for scope, place in call.tab.places if call.tab is not None else ():
            if not self._fits(scope.limit, place.at, amount):
                _note(call, scope.note)

    # --- lending

    def exchange(self, orders: Orders) -> Word:
        """Obey control, and say what is held of the scopes that it named and of those that are short here."""
        if orders.number < self._number:
            return Word(self._known_as, self._number, [])
        self._number = orders.number
        said = {order.id: self._obey(order) for order in orders.orders}
        now = self._clock.monotonic()
        self._short = {ident: short for ident, short in self._short.items() if short[2] >= now}
        for (high, low, stamp), (limit, want, _) in self._short.items():
            ident = f"{high:x}.{low:x}.{stamp}"
            if ident not in said and len(said) < MOST_SCOPES:
                said[ident] = self._slice((high, low, stamp), ident, limit, want)
        for ident, bucket in self._rates.values():
            if ident not in said and len(said) < MOST_SCOPES:
                found = bucket.word(ident, self._limits[ident], now)
                bucket.short()
                if found.want:
                    said[ident] = found
        if len(self._others) > MOST_PLACES:
            self._others.clear()
        return Word(self._known_as, orders.number, list(said.values()))

    def divide(self, parts: Parts) -> None:
        """The gateway's part of everything is another from now on: of periods that begin later, and of rates at once,
        of which it gives up what is no longer its own."""
        if parts == self._parts:
            return
        before = part_at(self._parts, math.inf)
        self._parts, self._alone = parts, self._workers == 1 and parts == EVERYTHING
        self._firsts.clear()
        now = part_at(parts, math.inf)
        for name, bucket in self._rates.values():
            ident = parsed(name)
            at = self.ledger.find(ident, RATE, make=False)
            if at is None or not self.ledger.owns(at, ident):
                continue
            if self.ledger.words[at + SHARE] < 0:
                self.ledger.lend(at, fresh(self._first(RATE)))
                bucket.share = self._first(RATE)
            elif now < before:
                bucket.share = bucket.share * now // before
                self.ledger.lend(at, bucket.share)

    def counts(self) -> list[BudgetCount]:
        """Budgets of workflows and teams, as this worker has used them."""
        now = self._clock.now()
        found = []
        for (kind, owner, period), (scope, plan) in self._named.items():
            stamp = plan.calendar.at(scope.period, now).stamp
            at = self.ledger.find(ident_of((kind, owner, "", period), stamp), stamp, make=False)
            spent = 0 if at is None else self.ledger.spent(at)
            reserved = 0 if at is None else self.ledger.reserved(at)
            found.append(BudgetCount(kind, owner, period, scope.limit / NANO, spent / NANO, reserved / NANO))
        return found

    def _obey(self, order: Order) -> Slice:
        ledger = self.ledger
        ident = parsed(order.id)
        at = self._record(ident)
        bucket = next((bucket for known, bucket in self._rates.values() if known == order.id), None)
        limit = order.limit
        if bucket is not None:
            limit = int(self._limits[order.id] * 1000)
        if ledger.owns(at, ident):
            ledger.lend(at, share := ledger.share(at))  # it has been spoken of
        if order.share is not None and ledger.owns(at, ident):
            held = ledger.held(at)
            if bucket is not None:
                held = bucket.word(order.id, self._limits[order.id], self._clock.monotonic()).held
            share = obeyed(share, held, limit, order.share)
            ledger.lend(at, share)
            if bucket is not None:
                bucket.share = share
        self._others[order.id] = order.others
        if bucket is not None:
            return bucket.word(order.id, self._limits[order.id], self._clock.monotonic())
        _, want, until = self._short.get(ident, (0, 0, 0.0))
        return self._slice(ident, order.id, limit, want if until >= self._clock.monotonic() else 0)

    def _slice(self, ident: Ident, name: str, limit: int, want: int) -> Slice:
        at = self._record(ident)
        if not self.ledger.owns(at, ident):
            return Slice(name, limit, self.ledger.held(at), self._first(ident[2]), 0, True)
        return Slice(name, limit, self.ledger.held(at), self.ledger.share(at), want)

    def _record(self, ident: Ident) -> int:
        """Where a scope is booked."""
        at = self.ledger.find(ident, ident[2], first=self._first(ident[2]))
        assert at is not None
        return at

    def _first(self, stamp: int) -> int:
        found = self._firsts.get(stamp)
        if found is None:
            if len(self._firsts) > 100:
                self._firsts.clear()
            part = part_at(self._parts, begin_before(stamp))
            found = self._firsts[stamp] = first_share(self._worker, self._workers, part)
        return found

    def _lent_rate(self, kind: str, owner: str, name: str) -> tuple[str, int]:
        """(id, share) of a limit per minute: what was lent outlives the worker."""
        ident = ident_of((kind, owner, name), RATE)
        at = self._record(ident)
        share = self.ledger.share(at) if self.ledger.owns(at, ident) else self._first(RATE)
        return f"{ident[0]:x}.{ident[1]:x}.{RATE}", share

    def _rate(self, workflow: str, key: str, per_minute: int) -> Bucket:
        kept = self._rates.get(("rate", workflow, key))
        if kept is None:
            ident, share = self._lent_rate("rate", workflow, key)
            kept = self._rates[("rate", workflow, key)] = ident, Bucket(per_minute, share, self._clock.monotonic())
        self._limits[kept[0]] = per_minute
        return kept[1]

    # --- what is left

    def _booked(self, call: Call, plan: Plan) -> Places:
        """Where the budgets of this call are booked: in the periods in which it was admitted."""
        key = id(plan), call.unit, call.key.key.id
        known = self._places.get(key)
        if known is not None and known.begin <= call.ts < known.end:
            return known.places
        if len(self._places) >= MOST_PLACES:
            self._places.clear()
        today = plan.calendar.day(call.ts)
        names = {"user": call.unit or "", "key": call.key.key.id, "tester": call.key.key.id}
        places = []
        for scope in plan.scopes:
            stamp = plan.calendar.at(scope.period, call.ts).stamp
            parts = scope.kind, scope.owner, names.get(scope.kind, ""), scope.period
            places.append((scope, self._find(parts, stamp)))
        self._places[key] = known = _Booked(plan, today.begin, today.end, tuple(places))
        return known.places

    def _find(self, parts: tuple[str, ...], stamp: int) -> Place:
        ident = ident_of(parts, stamp)
        return Place(self._record(ident), ident)

    def _fits(self, limit: int, at: int, amount: int) -> bool:
        """Does the worker's slice of the budget booked at ``at`` hold so much more?"""
        words = self.ledger.words
        held, share = words[at + SPENT] + words[at + RESERVED], words[at + SHARE]
        if share < 0:
            if held == 0:
                return amount <= limit
            share = fresh(share)  # its own inverse
        return held + amount <= limit * share // WHOLE

    def _run_short(self, ident: Ident, limit: int, want: int) -> None:
        """Have control told that a slice is, or soon will be, too small for ``want``: for a while, or two workers in
        turn would take it from each other before either can use it."""
        until = self._clock.monotonic() + LINGER
        known = self._short.get(ident)
        if known is not None:
            self._short[ident] = limit, max(want, known[1]), until
        elif len(self._short) < MOST_SCOPES:
            self._short[ident] = limit, want, until

    def _refusal(self, call: Call, plan: Plan, scope: Scope, place: Place, amount: int) -> Unusable:
        """Why a budget does not grant ``amount``, and when to come again: with the next period, or soon when other
        workers have something left of it that can be lent."""
        self._run_short(place.ident, scope.limit, amount)
        _note(call, scope.note)
        high, low, stamp = place.ident
        elsewhere = self._others.get(f"{high:x}.{low:x}.{stamp}", 0)
        if not self._alone and self.ledger.held(place.at) + elsewhere + amount <= scope.limit:
            wait = SOON
        else:
            wait = max(SOON, plan.calendar.at(scope.period, call.ts).end - call.ts)
        whose = {
            "user": "this user's", "key": "this key's", "workflow": "the workflow's", "team": "the team's",
            "tester": "this tester's",
        }[scope.kind]  # fmt: skip
        limit = f"{whose} budget of {scope.limit / NANO:g} dollars a {scope.period}"
        why = f"Nothing is left of {limit}."
        if amount > 1:
            than = "the whole of" if amount > scope.limit else "what is left of"
            why = f"This call may cost {amount / NANO:.6f} dollars, more than {than} {limit}."
        return Unusable("overspent", why, retry_after=wait)

    def _tester_calls(self, call: Call, plan: Plan, most: int) -> Unusable | None:
        """Count a tester's call of the day."""
        assert call.serving is not None
        name = call.serving.name
        today = plan.calendar.day(call.ts)
        place = self._find(("calls", name, call.key.key.id, "day"), today.stamp)
        if self._fits(most * ONE_CALL, place.at, ONE_CALL):
            self.ledger.settle(place.at, 0, ONE_CALL)
            return None
        self._run_short(place.ident, most * ONE_CALL, ONE_CALL)
        return Unusable(
            "throttled",
            f"This tester key has used its {most} calls of {name} for today ({plan.calendar.zone.key}).",
            retry_after=max(SOON, today.end - call.ts),
        )

    def _tell(self, call: Call, scope: Scope, place: Place) -> None:
        high, low, stamp = place.ident
        held = self.ledger.held(place.at) + self._others.get(f"{high:x}.{low:x}.{stamp}", 0)
        told = self._told.get(place.ident, 0)
        note = ""
        for amount, said in scope.alerts:
            if told < amount <= held:
                told, note = amount, said  # of several, the record names the highest
        if note:
            if len(self._told) >= MOST_TOLD:
                self._told.clear()
            self._told[place.ident] = told
            _note(call, note)

    # --- estimates

    def _estimate(self, call: Call, target: ServedTarget, plan: Plan) -> int:
        """Nanodollars that a call of ``target`` may cost."""
        price = target.price or _listed(call, target) or plan.dearest
        if price is None:
            return 0
        body = call.request.body
        given = tokens_in(body)
        if call.prompt is not None:
            given += tokens_in(call.prompt.encode())
        if call.bad_answer is not None and call.turns is not None:
            given += tokens_in(call.bad_answer.encode())
        each = price.input
        if b"cache_control" in body:  # as dear as what it asks to be cached
            each = max(each, price.cache_write or 0.0, price.cache_write_1h or 0.0)
        return nano(given * each + self._output(call) * price.output + price.per_request)

    def _output(self, call: Call) -> int:
        """Output tokens that are reserved for."""
        if call.operation == "embeddings":
            return 0
        named = [bytes(call.fields[name]) for name in OUTPUT_LIMITS if name in call.fields]
        limits = [_limit(given) for given in named if given != b"null"]
        if limits and None not in limits:
            return max(filter(None, limits)) * call.n
        recent = self._recent.get(_release(call))
        usual = UNSEEN_OUTPUT if recent is None or recent.p95 is None else recent.p95
        if limits:  # one that we cannot read may mean anything to its provider, "no limit" above all
            usual = max(usual, UNSEEN_OUTPUT, *filter(None, limits))
        return usual * call.n

    def _observe(self, call: Call, output: int) -> None:
        release = _release(call)
        recent = self._recent.get(release)
        if recent is None:
            if len(self._recent) >= 1000:
                self._recent.clear()
            recent = self._recent[release] = Recent()
        recent.add(output // call.n)


def read_orders(body: bytes) -> Orders:
    """Raises ``Refused``."""
    try:
        return _orders.decode(body)
    except msgspec.DecodeError as error:
        raise Refused(400, "invalid_json", f"These are no orders: {error}.") from error


def _targets(call: Call) -> dict[str, ServedTarget]:
    """The targets that the call's ladder may name."""
    serving = call.serving
    assert serving is not None
    names = serving.behaviour.targets if serving.behaviour is not None else ()
    found = {name: serving.targets[name] for name in names if name in serving.targets}
    if serving.target is not None:
        found[serving.target.name] = serving.target
    return found


def _limit(given: bytes) -> int | None:
    """Tokens that ``given``, the JSON of a limit, allows, rounded up; ``None``: it is no limit that can be obeyed."""
    if given.isdigit() and len(given) < 10:
        return int(given) or None
    try:
        number = float(given)
    except ValueError:
        return None
    return ceil(min(number, MOST_OUTPUT)) if number > 0.0 else None


def _release(call: Call) -> str:
    assert call.serving is not None
    return call.serving.digest or call.serving.name


def _listed(call: Call, target: ServedTarget) -> Price | None:
    """What the model costs that a passed-through call asks for."""
    if target.model_prices is None:
        return None
    asked = call.model if target.target.model == ANY_MODEL else target.target.model
    return target.model_prices.of(Attempt(target.name, model_asked=asked))


def _note(call: Call, note: str) -> None:
    if note not in call.notes:
        call.notes = [*call.notes, note]


def _estimate_check(target: ServedTarget, plan: Plan, body: bytes, output: int) -> int:
    """Nanodollars that a check's call of ``target`` may cost."""
    price = target.price or plan.dearest
    return 0 if price is None else nano(tokens_in(body) * price.input + output * price.output + price.per_request)
