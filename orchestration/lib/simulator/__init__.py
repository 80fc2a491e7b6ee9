"""A seeded demo company whose true metrics are known.

Here belongs: `simulate()`, the `Company` it returns, the daily exports that the company's systems would write and the
marts that a correct pipeline must derive from them. `company` decides what happened in its core (customers, contracts,
shop, contact centre, surveys) and on which day each row is delivered, `exports` how it looks on disk, `truth` counts it.
Every other subject is a module of its own that does all three for its feeds and marts, and is listed here.

Not here: anything that reads exports, any SQL of the marts, and anything random that does not come from the seed.
"""

from types import ModuleType

from orchestration.lib.simulator import (
    commerce,
    contact_center,
    customer_360,
    customer_base,
    experience,
    persons,
    self_service,
    surroundings,
    surveys,
)
from orchestration.lib.simulator.company import FEEDS as _FEEDS
from orchestration.lib.simulator.company import BadRow, Company, simulate
from orchestration.lib.simulator.subject import register
from orchestration.lib.simulator.truth import MART_KEYS

CORE_FEEDS = tuple(feed for feed in _FEEDS if feed not in surveys.SUBJECT.feeds)
"""The feeds of the core, without those of the subjects below."""
SUBJECTS: tuple[ModuleType, ...] = (
    commerce,
    contact_center,
    customer_360,
    customer_base,
    experience,
    persons,
    self_service,
    surroundings,
    surveys,
)
for _subject in SUBJECTS:
    register(_subject.SUBJECT)

__all__ = ["CORE_FEEDS", "MART_KEYS", "SUBJECTS", "BadRow", "Company", "simulate"]
