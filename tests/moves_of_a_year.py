"""How often `metric_moved` would have alarmed: every night of a warehouse's last year judged again, read only.

    python -m tests.moves_of_a_year CX_HOME/warehouse/cx.duckdb [--min-n 5] [--nights 365]

Belongs here: that count. Does not: making the company (`cx demo`, `tests.two_years`).
"""

from __future__ import annotations

import argparse
from datetime import timedelta

import duckdb

from orchestration.lib.moves import move_limit, moves


def main() -> None:
    """Print comparisons, and nights with an alarm under the limit of the gate and under a flat one of 3."""
    parser = argparse.ArgumentParser()
    parser.add_argument("warehouse")
    parser.add_argument("--min-n", type=int)
    parser.add_argument("--nights", type=int, default=365)
    asked = parser.parse_args()
    with duckdb.connect(asked.warehouse, read_only=True) as con:
        (last,) = con.execute("select data_through from ops.clock").fetchone()
        judged = flat = shared = beyond = 0
        for night in range(asked.nights):
            found = moves(con, last - timedelta(days=night), [], asked.min_n)
            limit = move_limit(len(found))
            judged += len(found)
            beyond += sum(abs(move.z) > 3 for move in found)
            flat += any(abs(move.z) > 3 for move in found)
            shared += any(abs(move.z) > limit for move in found)
            for move in found:
                if abs(move.z) > limit:
                    print(f"{move.sentence()} (limit {limit:.1f})")
    print(f"{asked.nights} nights, {judged} comparisons, {beyond} of them beyond 3")
    print(f"nights with an alarm: {shared} ({flat} with a flat limit of 3)")


if __name__ == "__main__":
    main()
