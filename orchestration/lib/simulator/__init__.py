"""A seeded demo company whose true metrics are known.

Here belongs: `simulate()`, the `Company` it returns, the daily exports that the company's systems would write and the
marts that a correct pipeline must derive from them. Three modules, one job each: `company` decides what happened and on
which day each row is delivered, `exports` decides how it looks on disk, `truth` counts it.

Not here: anything that reads exports, any SQL of the marts, and anything random that does not come from the seed.
"""

from orchestration.lib.simulator.company import BadRow, Company, simulate
from orchestration.lib.simulator.truth import MART_KEYS

__all__ = ["MART_KEYS", "BadRow", "Company", "simulate"]
