"""docs/metrics.md says what the registry and the tests say, and its figures name tests that exist."""

from __future__ import annotations

from orchestration.lib import catalogue
from orchestration.lib.registry import entries
from orchestration.settings import PROJECT_ROOT


def test_the_page_is_what_would_be_written() -> None:
    assert catalogue.PAGE.read_text(encoding="utf-8") == catalogue.render(), "run `make docs` and commit docs/metrics.md"


def test_the_page_of_values_is_what_would_be_written_and_says_what_each_decides() -> None:
    page = catalogue.VALUES_PAGE.read_text(encoding="utf-8")
    assert page == catalogue.render_values(), "run `make docs` and commit docs/values.md"
    assert "| `churn_inactive_days` | `180` | 1 to 3650 | Days without activity" in page
    assert "| `margin_share` | `1.0` | more than 0 to 1 | " in page
    assert "| `max_persons_per_key` | `3` | 1 or more | " in page


def test_every_metric_is_on_the_page_and_every_name_has_an_answer_or_is_called_missing() -> None:
    page = catalogue.render()
    for name in entries():
        assert f"| `{name}` |" in page, name
    for asked in catalogue.ASKED.values():
        for name in asked:
            assert f"| `{name}` | " in page, name


def test_a_name_without_a_metric_is_called_missing(monkeypatch) -> None:
    monkeypatch.setitem(catalogue.ASKED["Survey"], "mood_of_the_moon", ("mood_of_the_moon",))
    assert "| `mood_of_the_moon` | **missing** |" in catalogue.render()


def test_figures_are_of_metrics_and_held_by_tests_that_exist() -> None:
    for name, told in catalogue.figures().items():
        assert name in entries(), f"docs/figures.yml: there is no metric {name}"
        for one in told:
            path, test = one["test"].split("::")
            assert f"def {test}(" in (PROJECT_ROOT / path).read_text(encoding="utf-8"), f"docs/figures.yml: no test {one['test']}"
