"""What the dashboard of a two-year company costs: build time, size of its pages, first paint; and its screenshots.

    python -m tests.dashboard_bench                       a new company of two years with every feed (a quarter of an hour)
    python -m tests.dashboard_bench --home HOME           the current release of a home that is there
    python -m tests.dashboard_bench --home HOME --images docs/images

Belongs here: the measurement that docs/dashboard.md quotes, and the pictures in it. Does not: what is right
(tests/unit/test_dashboard.py, tests/e2e/test_dashboard_in_browser.py).
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import statistics
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from orchestration.lib import dashboard
from orchestration.lib.dashboard import assets
from orchestration.lib.dashboard.pages import PAGES
from orchestration.settings import Settings

SIZES = {"desktop": (1440, 900), "telephone": (390, 844)}


def company(home: Path, customers: int, days: int) -> None:
    """A backfill of all but the last day, and a night."""
    from orchestration.lib.simulator import simulate
    from orchestration.lib.simulator.commerce import sell_abroad
    from orchestration.lib.simulator.company import FEEDS
    from tests.company import run, write_company

    simulated = simulate(customers=customers, days=days, seed=23, start=date(2024, 9, 1))
    sell_abroad(simulated)
    write_company(simulated, home, tuple(FEEDS))
    last = simulated.data_through
    run(home, "backfill", simulated.start, last - timedelta(days=1))
    run(home, "nightly", last, last)


def draw(home: Path, building: Path) -> list[tuple[float, float]]:
    """Draw the dashboard of the current release, persons too; (wall, CPU) seconds of each of five times."""
    settings = Settings(home)
    release = settings.current_release.resolve()
    manifest = json.loads((release / "manifest.json").read_text(encoding="utf-8"))
    manifest["data_through"] = date.fromisoformat(manifest["data_through"])
    config = settings.config
    allowed = config.model_copy(update={"dashboard": config.dashboard.model_copy(update={"personal_data": True})})
    assets.vega()  # made once an environment, at set-up or by its first release
    times = []
    for _ in range(5):
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        (building / "cx.duckdb").symlink_to(release / "cx.duckdb")
        wall, cpu = time.monotonic(), time.process_time()
        dashboard.write(building, "cx.duckdb", manifest, SimpleNamespace(config=allowed))
        times.append((time.monotonic() - wall, time.process_time() - cpu))
    return times


def opened(context: Any, path: Path) -> tuple[Any, float]:
    """A page in the browser, and when its first text was painted: milliseconds."""
    page = context.new_page()
    page.goto(path.as_uri())
    while not (paint := page.evaluate("performance.getEntriesByName('first-contentful-paint').map((one) => one.startTime)")):
        page.wait_for_timeout(50)
    return page, paint[0]


def picture(page: Any, file: Path, height: int) -> None:
    """The first `height` pixels of a page, with its charts drawn."""
    while not page.evaluate("[...document.querySelectorAll('.plot')].every((one) => one.dataset.drawn)"):
        page.wait_for_timeout(100)
    page.set_viewport_size({"width": page.viewport_size["width"], "height": height})
    page.wait_for_timeout(300)
    page.screenshot(path=str(file))


def main() -> int:
    """Print a table; exit code 1 where a page is over its bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--customers", type=int, default=300)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--images", type=Path, help="write the pictures of docs/dashboard.md there")
    asked = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as scratch:
        home = asked.home or Path(scratch) / "home"
        if asked.home is None:
            company(home, asked.customers, asked.days)
        building = Path(scratch) / "drawn"
        times = draw(home, building)
        folder = building / dashboard.FOLDER
        shared = sum(path.stat().st_size for path in (folder / "assets").iterdir())
        wall, cpu = (statistics.median(one[n] for one in times) for n in (0, 1))
        print(f"build, median of 5: {wall:.2f} s, {cpu:.2f} CPU s")
        sizes = {page.name: (folder / page.file).stat().st_size for page in PAGES}
        print(f"shared files: {shared / 1e6:.2f} MB; pages: {sum(sizes.values()) / 1e6:.2f} MB")
        from playwright.sync_api import sync_playwright

        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        paints: dict[tuple[str, str], float] = {}
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for size, (width, height) in SIZES.items():
                context = browser.new_context(
                    offline=True, locale="en-GB", viewport={"width": width, "height": height},
                    device_scale_factor=1 if size == "desktop" else 2,
                )  # fmt: skip
                for page in PAGES:
                    measured = []
                    for _ in range(3):
                        tab, paint = opened(context, folder / page.file)
                        measured.append(paint)
                        tab.close()
                    paints[page.name, size] = statistics.median(measured)
                context.close()
            if asked.images:
                pictures(browser, folder, asked.images)
            browser.close()
        for page in PAGES:
            print(
                f"{page.name}: {sizes[page.name] / 1e6:.2f} MB, first paint {paints[page.name, 'desktop']:.0f} ms, "
                f"telephone {paints[page.name, 'telephone']:.0f} ms"
            )
    return int(max(sizes.values()) + shared > dashboard.MAX_PAGE_BYTES or max(paints.values()) > 2000)


def pictures(browser: Any, folder: Path, images: Path) -> None:
    """dashboard-<page>.png of every page on a desktop, some dark and on a telephone, and dashboard.png for the README."""
    images.mkdir(parents=True, exist_ok=True)
    wanted = [(f"dashboard-{page.name}", page.name, "desktop", "light", 1500) for page in PAGES] + [
        ("dashboard", "index", "desktop", "light", 1000),
        ("dashboard-index-dark", "index", "desktop", "dark", 1500),
        ("dashboard-index-telephone", "index", "telephone", "light", 1700),
        ("dashboard-voice-telephone-dark", "voice", "telephone", "dark", 1700),
    ]
    for file, name, size, scheme, height in wanted:
        width, first = SIZES[size]
        context = browser.new_context(
            offline=True, locale="en-GB", viewport={"width": width, "height": first}, color_scheme=scheme,
            device_scale_factor=1 if size == "desktop" else 1.5,
        )  # fmt: skip
        page, _ = opened(context, folder / f"{name}.html")
        page.evaluate("window.location.hash = '#period=m12&against=year'")  # of 300 customers a month says little
        page.wait_for_timeout(200)
        picture(page, images / f"{file}.png", height)
        context.close()


if __name__ == "__main__":
    sys.exit(main())
