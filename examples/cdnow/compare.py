"""Scores of CDNOW's customers against the published summary of their purchases, and one published expectation.

Usage: python compare.py SCORES.csv SUMMARY.csv BG_NBD.json
"""

import csv
import json
import sys

from orchestration.lib.clv_models import expected_purchases


def rows_by(name: str, key: str) -> dict[int, dict[str, str]]:
    """Rows of a CSV file by the number in a column."""
    with open(name, encoding="utf-8", newline="") as handle:
        return {int(row[key]): row for row in csv.DictReader(handle)}


def is_same(score: dict[str, str], published: dict[str, str]) -> bool:
    """Equal frequency; recency and age, in weeks, to the two decimals that are published."""
    weeks = {"recency": int(score["recency_days"]) / 7, "T": int(score["age_days"]) / 7}
    rounded = all(abs(weeks[name] - float(published[name])) < 0.00501 for name in weeks)
    return rounded and int(score["frequency"]) == int(published["frequency"])


def main() -> None:
    """Print how many customers are equal, and what BG/NBD expects of the first one (published: 1.226)."""
    scores, summary = rows_by(sys.argv[1], "person_id"), rows_by(sys.argv[2], "ID")
    same = sum(is_same(scores[customer], row) for customer, row in summary.items() if customer in scores)
    print(f"frequency, recency and age are equal for {same:,} of {len(summary):,} customers")
    with open(sys.argv[3], encoding="utf-8") as handle:
        parameters = json.load(handle)[0]
    expected = float(expected_purchases("bg_nbd", parameters, 2, 30.43, 38.86, 39))
    print(f"BG/NBD expects {expected:.3f} purchases of customer 1 (x = 2, t_x = 30.43, T = 38.86) in the next 39 weeks")


if __name__ == "__main__":
    main()
