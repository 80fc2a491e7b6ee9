"""A company of any size, its exports written by DuckDB in minutes: what `make bench` measures nights and backfills with.

Belongs here: the random processes of the scaled company, its files, its `cx.toml`. Does not: a known truth (that is
`orchestration.lib.simulator`, a company of objects in Python, too slow for millions of orders), or any measurement.

Every value is a hash of seed, name and number of its row, so a day's files are the same however many days are written.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

ZONE, CURRENCY = "Europe/Amsterdam", "EUR"
FEEDS = ("orders", "order_lines", "refunds", "cart_events", "contacts", "cases", "case_events", "subscriptions", "persons")
_CHUNK_DAYS, _LONGEST_DELAY = 61, 31
_ALWAYS_DELIVERED = {"orders", "order_lines", "cart_events", "contacts", "cases", "case_events", "persons"}


@dataclass(frozen=True)
class Scale:
    """Size of the company. Rows are per day; lines, refunds, cases, carts, subscriptions follow from them."""

    start: date = date(2023, 1, 1)
    orders: int = 5000
    contacts: int = 2000
    cart_events: int = 10_000
    first_customers: int = 100_000
    new_customers: int = 365
    seed: int = 7

    def divided(self, by: int) -> Scale:
        """The same company, `by` times smaller."""
        return Scale(
            self.start, self.orders // by, self.contacts // by, self.cart_events // by,
            self.first_customers // by, self.new_customers // by, self.seed,
        )  # fmt: skip

    def day(self, number: int) -> date:
        """The delivery day of a number, 0 the first."""
        return self.start + timedelta(days=number)


def config() -> str:
    """The `cx.toml` of the exports: canonical column names, instants in UTC, a business time zone with summer time."""
    parts = [f'[business]\ntimezone = "{ZONE}"\nreporting_currency = "{CURRENCY}"\n']
    for feed in FEEDS:
        parts.append(f'[[feed]]\nfeed = "{feed}"\npattern = "{feed}/{{day}}.csv"\nformat = "csv"')
        # Nothing is refunded on the first day, and no contract ends.
        parts.append('expected = "daily"\n' if feed in _ALWAYS_DELIVERED else "")
    return "\n".join(parts)


def write(scale: Scale, days: int, landing: Path) -> None:
    """Write `landing/<feed>/<day>.csv` of the first `days` delivery days and `landing/cx.toml`."""
    landing.mkdir(parents=True, exist_ok=True)
    (landing / "cx.toml").write_text(config(), encoding="utf-8")
    with duckdb.connect(config={"threads": 2, "memory_limit": "3GB"}) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(_macros(scale))
        for first in range(0, days, _CHUNK_DAYS):
            end = min(first + _CHUNK_DAYS, days)
            con.execute(f"create or replace temp table days as select d from range({max(first - _LONGEST_DELAY, 0)}, {end}) r(d)")
            for feed in FEEDS:
                folder = landing / f"{feed}.tmp"
                con.execute(f"""
                    copy (
                        with rows as ({_rows(scale)[feed]})
                        select * exclude (delivered), date '{scale.start}' + cast(delivered as integer) as day
                        from rows where delivered >= {first} and delivered < {end}
                    ) to '{str(folder).replace("'", "''")}' (format csv, header true, partition_by (day), overwrite true)
                """)
                _move(folder, landing / feed)


def _move(written: Path, feed: Path) -> None:
    """`day=2023-01-01/data_0.csv` becomes `2023-01-01.csv`."""
    feed.mkdir(exist_ok=True)
    for part in written.iterdir():
        (only,) = part.iterdir()
        only.rename(feed / f"{part.name.removeprefix('day=')}.csv")
    shutil.rmtree(written)


def _macros(scale: Scale) -> str:
    return f"""
        -- a number in [0, 1) that depends on the name of the draw and the number of the row
        create macro u(name, n) as (hash({scale.seed}, name, n) % 1000003) / 1000003.0;
        create macro pick(name, n, words) as words[1 + cast(floor(u(name, n) * len(words)) as integer)];
        create macro pool(d) as {scale.first_customers} + {scale.new_customers} * d;
        -- The business is every day the same: as many customers join as stop for good. One order in twenty is by somebody
        -- who had stopped, half of the others by the newest third.
        create macro somebody(name, n, d) as 'P' || cast(case
            when u(name || ' old', n) < 0.05 and d > 0 then floor(u(name, n) * (pool(d) - {scale.first_customers}))
            when u(name || ' newest', n) < 0.5 then pool(d) - 1 - floor(u(name, n) * {scale.first_customers} / 3)
            else pool(d) - 1 - floor(u(name, n) * {scale.first_customers}) end as bigint);
        -- between 7 and 23 o'clock in the business zone, written in UTC
        create macro at_time(d, share) as timezone('{ZONE}',
            cast(date '{scale.start}' + cast(d as integer) as timestamp) + to_seconds(25200 + floor(57600 * share)));
        create macro written(t) as strftime(t, '%Y-%m-%dT%H:%M:%SZ');
        create macro cents(name, n, low, high) as cast(low + floor(u(name, n) * (high - low)) as bigint);
        create macro money(c) as cast(c / 100.0 as decimal(12, 2));
        -- one row in a hundred is delivered one to three days late
        create macro delay(name, n) as case when u(name || ' late', n) < 0.01 then 1 + floor(u(name || ' by', n) * 3) else 0 end;
    """


def _rows(scale: Scale) -> dict[str, str]:
    """Feed -> query of its rows with `delivered`, the number of the delivery day, over the event days in `days`."""
    carts = scale.cart_events // 3
    converted, recovered = int(carts * 0.30), int(carts * 0.33)
    cases = int(scale.contacts * 0.4)
    orders = f"""
        select d, k, d * {scale.orders} + k as n, cart,
            case when u('guest', n) >= 0.1 then somebody('order', n, d) end as person_id,
            case when cart is null then at_time(d, u('order at', n))
                else at_time(d, 0.9 * u('cart at', cart)) + to_seconds(60 + floor(u('order at', n) * 1500)) end as ordered_at,
            delay('order', n) as late, u('order state', n) as state
        from (
            -- carts become orders on their day, some two days later
            select d, k, case when k < {converted} then d * {carts} + k
                when k < {recovered} and d >= 2 then (d - 2) * {carts} + k end as cart
            from days, range({scale.orders}) r(k)
        )
    """
    order = f"""
        select 'O' || n as order_id, person_id, 'V' || cents('visitor', n, 0, 1000000) as visitor_id, 'C' || cart as cart_id,
            written(ordered_at) as ordered_at, status, '{CURRENCY}' as currency,
                pick('sales channel', n, ['web', 'app', 'store']) as sales_channel,
            pick('country', n, ['NL', 'NL', 'NL', 'BE', 'DE', 'FR']) as country,
            case when u('discount', n) < 0.2 then money(cents('discount of', n, 100, 1000)) else 0 end as discount_amount,
            money(cents('tax', n, 100, 3000)) as tax_amount, case when u('shipping', n) < 0.5 then 4.95
                else 0 end as shipping_amount,
            u('test order', n) < 0.001 as is_test, written(ordered_at + to_days(cast(version_days as integer))) as updated_at,
                delivered
    """
    subscribers = max(scale.orders // 100, 1)  # new ones a day
    persons = max(3 * scale.first_customers, 3000 * subscribers)  # enough for everybody to hold one chain of terms
    terms = f"""
        -- terms of a subscriber start every 95 days; some end before the next starts. Subscribers began before the exports
        -- do, so that every year has as many terms.
        select s, j, s * 16 + j as n, 'P' || (s * 7 % {persons}) as person_id, first_day + 95 * j as from_day,
            first_day + 95 * j + case when u('gap', s * 16 + j) < 0.7 then 95 when u('gap', s * 16 + j) < 0.85 then 92
                else 75 end as to_day,
            pick('plan', case when u('new plan', s * 16 + j) < 0.1 then -s else s end, ['basic', 'plus', 'pro']) as plan
        from (select s, s // {subscribers} - 16 * 95 as first_day, least(15, floor(ln(1 - u('terms', s)) / ln(0.88))) as last_term
              from (select unnest(range(cast({subscribers} * (max(d) + 1 + 16 * 95) as bigint))) as s from days)),
            range(16) r(j)
        where j <= last_term
    """
    case_days = f"""
        select d, k, d * {cases} + k as n, d * {scale.contacts} + k as contact,
            at_time(d, u('contact at', d * {scale.contacts} + k)) as opened_at,
            1 + floor(u('days to resolve', n) * 6) as resolved_after, u('reopened', n) < 0.04 as reopened,
            1 + floor(u('days to reopen', n) * 5) as reopened_after
        from days, range({cases}) r(k)
    """
    person = "case when u('unknown caller', {0}) >= 0.1 then somebody('contact', {0}, {1}) end"
    topics = "['delivery', 'invoice', 'returns', 'product', 'account', 'complaint']"
    # one contact in seven is the person and topic of a contact three days before
    again = f"case when u('again', d * {scale.contacts} + k) < 0.15 and d >= 3 then 3 else 0 end"
    contact_of = f"(d - {again}) * {scale.contacts} + k"
    return {
        "orders": f"""
            with orders as ({orders})
            {order} from (select *, case when state < 0.02 then 'pending' else 'paid' end as status, 0 as version_days,
                d + late as delivered from orders)
            union all
            {order} from (select *, case when state < 0.01 then 'cancelled' else 'paid' end as status,
                1 + floor(u('settled', n) * 4) as version_days,
                d + late + 1 + floor(u('settled', n) * 4) as delivered from orders where state < 0.02)
        """,
        "order_lines": f"""
            with orders as ({orders}),
            lines as (
                select n, l, n * 4 + l as m, ordered_at, d + late as delivered
                from orders, range(1, 4) r(l)
                where l <= 1 + cast(u('lines', n) < 0.4 as integer) + cast(u('lines', n) < 0.15 as integer)
            ),
            versions as (
                select *, 0 as version_days from lines
                union all
                select n, l, m, ordered_at, delivered + 1 + floor(u('corrected by', m) * 3),
                    1 from lines where u('corrected', m) < 0.005
            )
            select 'O' || n as order_id, l as line_id, 'S' || cents('product', m, 0, 5000) as product_id,
                'Product ' || cents('product', m, 0, 5000) as product_name, cents('quantity', m, 1, 4) as quantity,
                money(cents('price', m + version_days, 500, 15000)) as unit_price, 0.00 as discount_amount,
                case when u('no cost', m) >= 0.02 then money(cents('cost', m, 200, 6000)) end as unit_cost, false as is_return,
                u('gift card', m) < 0.005 as is_gift_card, cast(null as varchar) as ordered_at,
                written(ordered_at + to_days(version_days)) as updated_at, delivered
            from versions
            union all
            select 'O' || n, 9, 'S' || cents('product', n * 4 + 1, 0, 5000), 'Product', -1,
                money(cents('price', n * 4 + 1, 500, 15000)), 0.00,
                null, true, false, written(ordered_at + to_days(back)), written(ordered_at + to_days(back)), d + back
            from (select *, 3 + cast(floor(u('back after', n) * 20) as integer) as back
                from orders where late = 0 and u('sent back', n) < 0.01)
        """,
        "refunds": f"""
            select 'R' || n as refund_id, 'O' || n as order_id, written(ordered_at + to_days(after)) as refunded_at,
                money(cents('refund', n, 300, 6000)) as amount, '{CURRENCY}' as currency,
                pick('why', n, ['damaged', 'late', 'unwanted']) as reason,
                    d + after + cast(u('refund late', n) < 0.02 as integer) as delivered
            from (select *, 4 + cast(floor(u('refund after', n) * 26) as integer) as after
                from ({orders}) where u('refund', n) < 0.04)
        """,
        "cart_events": f"""
            select 'E' || m as event_id, 'C' || cart as cart_id, cast(null as varchar) as person_id,
                'V' || cents('cart visitor', cart, 0, 1000000) as visitor_id,
                case when e = 0 then 'add' when e = 1 and u('second', cart) < 0.85 then 'add' when e = 1 then 'remove'
                    when u('third', cart) < 0.6 then 'checkout' when u('third', cart) < 0.95 then 'add' else 'empty' end as event,
                written(at_time(d, 0.9 * u('cart at', cart)) - to_seconds(cast((2 - e) * (30 + 300 * u('pause',
                    m)) as integer))) as occurred_at,
                'S' || cents('cart product', m, 0, 5000) as product_id, 1 as quantity,
                    money(cents('cart price', m, 500, 15000)) as unit_price,
                pick('device', cart, ['desktop', 'mobile', 'mobile', 'tablet']) as device, d + delay('cart', m) as delivered
            from (select d, d * {carts} + k as cart, e, (d * {carts} + k) * 3 + e as m from days, range({carts}) r(k),
                range(3) s(e))
        """,
        "contacts": f"""
            with contacts as (
                select d, k, d * {scale.contacts} + k as n, {contact_of} as as_of, d - {again} as as_day,
                    at_time(d, u('contact at', d * {scale.contacts} + k)) as started_at,
                        u('outcome', d * {scale.contacts} + k) as outcome,
                    cents('talk', d * {scale.contacts} + k, 60, 900) as talk
                from days, range({scale.contacts}) r(k)
            )
            select 'T' || n as contact_id, case when k < {cases} then 'K' || (d * {cases} + k) end as case_id,
                {person.format("as_of", "as_day")} as person_id, pick('channel', n, ['phone', 'email', 'chat']) as channel,
                case when u('direction', n) < 0.92 then 'inbound' else 'outbound' end as direction,
                    pick('topic', as_of, {topics}) as topic,
                pick('queue', n, ['first line', 'second line', 'billing']) as queue, 'A' || cents('agent', n, 0, 60) as agent_id,
                written(started_at) as started_at, written(started_at + to_seconds(30)) as answered_at,
                written(started_at + to_seconds(30 + talk)) as ended_at, 30 as wait_seconds, talk as talk_seconds,
                case when outcome < 0.85 then 'handled' when outcome < 0.95 then 'abandoned'
                    when outcome < 0.9998 then 'contained' else 'lost' end as outcome,
                u('spam', n) < 0.01 as is_spam, written(started_at + to_seconds(30 + talk)) as updated_at,
                    d + delay('contact', n) as delivered
            from contacts
        """,
        "cases": f"""
            with cases as ({case_days}),
            versions as (
                select *, 0 as after, cast(null as timestamp) as resolved_at, 'open' as status, 0 as reopens from cases
                union all select *, resolved_after, opened_at + to_days(cast(resolved_after as integer)), 'resolved', 0 from cases
                union all select *, resolved_after + reopened_after + 2,
                    opened_at + to_days(cast(resolved_after + reopened_after + 2 as integer)), 'resolved',
                        1 from cases where reopened
            )
            select 'K' || n as case_id, {person.format("contact", "d")} as person_id,
                pick('case channel', n, ['phone', 'email', 'chat']) as channel,
                pick('topic', contact, {topics}) as topic, 'normal' as priority,
                    pick('case queue', n, ['first line', 'second line', 'billing']) as queue,
                'A' || cents('owner', n, 0, 60) as agent_id, status, written(opened_at) as opened_at,
                    written(resolved_at) as resolved_at,
                cents('handovers', n, 0, 3) as reassignment_count, reopens as reopen_count,
                    written(opened_at + to_days(cast(after as integer))) as updated_at,
                d + after + delay('case', n * 4 + reopens) as delivered
            from versions
        """,
        "case_events": f"""
            with cases as ({case_days}),
            events as (
                select n, d, opened_at, 0 as after, 'opened' as event, 0 as e from cases
                union all select n, d, opened_at, resolved_after, 'resolved', 1 from cases
                union all select n, d, opened_at, resolved_after + reopened_after, 'reopened', 2 from cases where reopened
                union all select n, d, opened_at, resolved_after + reopened_after + 2, 'resolved', 3 from cases where reopened
            )
            select 'H' || (n * 4 + e) as event_id, 'K' || n as case_id, event,
                written(opened_at + to_days(cast(after as integer))) as occurred_at,
                'agent' as actor_type, 'A' || cents('owner', n, 0, 60) as actor_id,
                    d + after + delay('case event', n * 4 + e) as delivered
            from events
        """,
        "subscriptions": f"""
            with terms as ({terms})
            select 'U' || n as subscription_id, person_id, plan, 9.95 as mrr, '{CURRENCY}' as currency,
                written(at_time(from_day, 0.5)) as started_at,
                case when ended then written(at_time(to_day, 0.4)) end as ended_at,
                    case when ended then 'ended' else 'active' end as status,
                cast(null as varchar) as cancel_reason, written(at_time(case when ended then to_day else from_day end,
                    0.5)) as updated_at,
                (case when ended then to_day else from_day end) + delay('term', n * 2 + cast(ended as integer)) as delivered
            from (select *, unnest([false, true]) as ended from terms)
        """,
        "persons": f"""
            with persons as (
                select d, unnest(range(case when d = 0 then 0 else pool(d - 1) end, pool(d))) as p, 0 as changed from days
                union all
                select d, cents('moved', d * {scale.new_customers} + k, 0, pool(d)), 1 from days,
                    range({max(scale.new_customers // 2, 1)}) r(k) where d > 0
            )
            select 'P' || p as person_id, 'p' || p || case when changed = 1 then '.' || d else '' end || '@example.com' as email,
                'Person ' || p as name, pick('country', p, ['NL', 'NL', 'NL', 'BE', 'DE', 'FR']) as country,
                false as is_test, written(at_time(d, 0.3)) as updated_at, d as delivered
            from (select d, p, max(changed) as changed from persons group by d, p)
        """,
    }
