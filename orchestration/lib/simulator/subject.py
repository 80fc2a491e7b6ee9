"""How a subject joins the demo company: its feeds, how they are exported, what can be wrong in them, and its marts.

Here belongs: the one description a subject's module gives of itself, and its registration. Not here: any row, file or
number; those are in the module of the subject (`surveys`, `contact_center`, ...).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestration.lib.simulator import company, exports, truth


@dataclass(frozen=True)
class Truth:
    """A mart, counted in Python.

    Args:
        keys: the columns of its grain.
        columns: all others except is_final and final_on.
        count: yields its rows, as dicts by column; amounts in units of the currency.
        has_finality: whether it has the columns is_final and final_on.
    """

    keys: tuple[str, ...]
    columns: tuple[str, ...]
    count: Callable[[truth.Books], truth.Rows]
    has_finality: bool = True


@dataclass(frozen=True)
class Subject:
    """What a module adds to the company.

    Args:
        feeds: by name of the feed the class (a NamedTuple) of its rows.
        layouts: how each of them is exported.
        make: adds the rows to the company's deliveries; draws from a random stream of its own.
        marts: by name.
        append: feeds whose rows never change.
        key_width: of how many first fields a key consists, where it is not one.
        spoils: by feed the (field, text, what is wrong) that its contract must quarantine.
    """

    feeds: Mapping[str, type]
    layouts: Mapping[str, exports.Layout]
    make: Callable[[company.Maker], None]
    marts: Mapping[str, Truth]
    append: frozenset[str] = frozenset()
    key_width: Mapping[str, int] = field(default_factory=dict)
    spoils: Mapping[str, list[tuple[str, str | None, str]]] = field(default_factory=dict)


def register(subject: Subject) -> None:
    """Make the subject part of every company simulated from here on."""
    company.FEEDS.update(subject.feeds)
    company.APPEND_FEEDS.update(subject.append)
    company.KEY_WIDTH.update(subject.key_width)
    company.SPOILS.update(subject.spoils)
    company.SUBJECT_MAKERS.append(subject.make)
    exports.LAYOUTS.update(subject.layouts)
    for mart, told in subject.marts.items():
        truth.MART_KEYS[mart] = told.keys
        truth.COLUMNS[mart] = " ".join(told.columns)
        truth.SUBJECT_MARTS[mart] = told.count
        if not told.has_finality:
            truth.NO_FINALITY.add(mart)
