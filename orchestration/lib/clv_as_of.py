"""Scores of a past day, and parameters that come from elsewhere: what people ask of customer lifetime value by hand.

Belongs here: reading the warehouse for them, checking what they bring. Does not: fits (`clv_fit`), scores
(dbt_project/macros/clv.sql), printing (`orchestration.commands.clv`).
"""

from __future__ import annotations

import csv
import math
from datetime import UTC, date, datetime
from pathlib import Path

from data_quality.rules import literal
from orchestration.lib import clv_fit, warehouse
from orchestration.lib.clv_fit import ClvError
from orchestration.lib.clv_models import PARAMETERS
from orchestration.lib.dbt_build import compiled_analysis
from orchestration.lib.dbt_functions import register
from orchestration.lib.run_lock import run_lock
from orchestration.settings import Settings

ANALYSIS = "clv/clv_predicted_as_of"
FORMATS = {".parquet": "parquet", ".csv": "csv"}
BOUNDS = (1e-6, 1e6)
"""Of a parameter: beyond them no customer can be told from another, and scores overflow."""
IMPORTED = (*clv_fit.SCORING, "gamma_gamma")


def data_through(settings: Settings) -> date:
    """The last complete day of the warehouse.

    Raises:
        ClvError: there is none yet.
    """
    if settings.warehouse.exists():
        with run_lock(settings, "cx clv"), warehouse.connect(settings, read_only=True) as con:
            if warehouse.table_exists(con, "ops", "clock"):
                (through,) = con.execute("select data_through from ops.clock").fetchone()
                if through is not None:
                    return through
    raise ClvError("no day is complete yet: run `cx nightly` or `cx backfill` first")


def is_fitted(settings: Settings, day: date) -> bool:
    """Whether there is a fit of cxmarts as of the day."""
    with run_lock(settings, "cx clv fit"), warehouse.connect(settings, read_only=True) as con:
        query = "select exists (from ops.clv_fits where as_of_date = ? and source = ?)"
        return bool(con.execute(query, [day, clv_fit.SOURCE]).fetchone()[0])


def write(settings: Settings, day: date, path: Path) -> tuple[int, date]:
    """Write the rows of clv_predicted as of a day to a Parquet or CSV file; return how many, and the day of the fit.

    Raises:
        ClvError: the day is not complete, nothing was fitted, or the file's name says no known format.
    """
    if path.suffix not in FORMATS:
        raise ClvError(f"{path}: write a name that ends in {' or '.join(FORMATS)}")
    through = data_through(settings)
    if day > through:
        raise ClvError(f"{day} is not complete: data go through {through}")
    if not path.absolute().parent.is_dir():
        raise ClvError(f"{path}: there is no folder {path.absolute().parent}")
    sql = compiled_analysis(settings, ANALYSIS).compiled_code
    with run_lock(settings, "cx clv as-of"), warehouse.connect(settings, read_only=True) as con:
        register(con)
        con.execute(f"set variable as_of = {literal(str(day))}::date")
        con.execute(f"create temp table scores as {sql}")
        persons, fitted_on = con.execute("select count(*), max(fitted_on) from scores").fetchone()
        if not persons:
            raise ClvError(
                f"nobody can be scored as of {day}: no customer had bought by then, or no fit converged (marts.clv_params)"
            )
        con.execute(f"copy (from scores order by person_id) to {literal(str(path))} (format {FORMATS[path.suffix]})")
    return persons, fitted_on


def take(settings: Settings, file: Path, source: str) -> tuple[int, list[str]]:
    """Take fits from a CSV file into `ops.clv_fits`, all or none; return how many, and segments of them that nobody is in.

    A fit is a segment, a day and at most one model of purchases with the one of spend; both score together.

    Raises:
        ClvError: a column, value or model is wrong; the message names line, column and value.
    """
    through = data_through(settings)
    if source == clv_fit.SOURCE or not source.strip():
        raise ClvError(f"--source {source!r}: write the name of the library that estimated the parameters")
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            parameters = (name for model in IMPORTED for name in PARAMETERS[model])
            for column in dict.fromkeys(("segment", "as_of_date", "model", *parameters)):
                if column not in (reader.fieldnames or ()):
                    header = ", ".join(reader.fieldnames or ()) or "empty"
                    raise ClvError(f"{file}: line 1: no column {column!r}, the header is: {header}; separate columns by commas")
            rows = [_imported(file, number, row, through) for number, row in enumerate(reader, start=2)]
    except (OSError, UnicodeError, csv.Error) as error:
        raise ClvError(f"{file} cannot be read as a CSV file in UTF-8: {error}") from None
    if not rows:
        raise ClvError(f"{file}: line 2: there is no row below the header")
    fits: dict[tuple[str, date], list[tuple[str, dict[str, float]]]] = {}
    for segment, day, model, parameters in rows:
        fits.setdefault((segment, day), []).append((model, parameters))
    for (segment, day), models in fits.items():
        names = [name for name, _ in models]
        if names.count("gamma_gamma") != 1 or sum(name in clv_fit.SCORING for name in names) != 1 or len(names) != 2:
            raise ClvError(
                f"{file}: {segment} of {day} has {', '.join(names)}; write gamma_gamma and one of {', '.join(clv_fit.SCORING)}"
            )
    with run_lock(settings, "cx clv import"), warehouse.connect(settings) as con:
        warehouse.prepare(con, settings.config)
        clv_fit.keep_imported(con, settings.config.business, fits, source, datetime.now(UTC).replace(tzinfo=None))
        known = {"all"}
        if warehouse.table_exists(con, "intermediate", "int_customer_purchases"):
            rows = con.execute("select distinct segment from intermediate.customer_rfm(?)", [through]).fetchall()
            known |= {segment for (segment,) in rows}
    return len(fits), sorted({segment for segment, _ in fits} - known)


def _imported(file: Path, line: int, row: dict[str, str], through: date) -> tuple[str, date, str, dict[str, float]]:
    segment, model = (row["segment"] or "").strip(), (row["model"] or "").strip()
    if not segment:
        raise ClvError(f"{file}: line {line}, column segment: is empty; write all, or a value of what clv_segment names")
    if model not in IMPORTED:
        raise ClvError(f"{file}: line {line}, column model: {model!r} cannot score; write one of {', '.join(IMPORTED)}")
    try:
        day = date.fromisoformat((row["as_of_date"] or "").strip())
    except ValueError:
        raise ClvError(
            f"{file}: line {line}, column as_of_date: {row['as_of_date']!r} is no date; write one like 2026-01-31"
        ) from None
    if day > through:
        raise ClvError(f"{file}: line {line}, column as_of_date: {day} is not complete: data go through {through}")
    parameters = {}
    for name in PARAMETERS[model]:
        text = (row.get(name) or "").strip()
        try:
            parameters[name] = float(text)
        except ValueError:
            parameters[name] = math.nan
        if not BOUNDS[0] <= parameters[name] <= BOUNDS[1]:
            allowed = f"between {BOUNDS[0]:g} and {BOUNDS[1]:g}"
            raise ClvError(f"{file}: line {line}, column {name}: {text!r} is no number {allowed}, as {model} needs")
    if model == "gamma_gamma" and parameters["q"] <= 1:
        raise ClvError(f"{file}: line {line}, column q: {parameters['q']} is 1 or less, so mean spend is infinite")
    return segment, day, model, parameters
