"""Surveys in the demo company: the scale registry, invitations, what people answer, and what employees say.

Here belongs: rows of the feeds surveys, survey_invitations, survey_responses (beside those that the core makes without a
registry) and employee_surveys, their exports, and the truth of the marts made of them. Not here: file formats in general,
SQL.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from orchestration.lib.simulator import company, exports, truth
from orchestration.lib.simulator.company import DAY, Maker, SurveyResponse
from orchestration.lib.simulator.exports import Column, Layout
from orchestration.lib.simulator.subject import Subject, Truth
from orchestration.lib.simulator.truth import UNKNOWN, Books, Rows


class Question(NamedTuple):
    """A question of a survey with its scale, one version of the row."""

    survey_id: str
    question_id: str
    question_version: int
    metric_kind: str
    question: str | None
    scale_min: int | None
    scale_max: int | None
    direction: str | None
    favourable_from: int | None
    options: str | None
    updated_at: datetime


# ---- what happened --------------------------------------------------------------------------------------------------

_QUESTIONS = (
    ("panel", "recommend", 1, "nps", "Would you recommend us?", 1, 10, "high_is_good", None, None),
    ("panel", "experience", 1, "overall_experience", "Your experience as a whole?", 1, 10, None, None, None),
    ("panel", "switch", 1, "switch_likelihood", "How likely are you to switch?", 1, 10, "high_is_bad", None, None),
    ("panel", "again", 1, "repurchase_likelihood", "How likely are you to buy again?", 1, 10, "high_is_good", None, None),
    ("after_order", "satisfied", 1, "csat", "How satisfied are you?", 1, 10, "high_is_good", None, None),
    ("after_order", "effort", 1, "ces", "How much effort was it? (1: none)", 1, 7, "high_is_bad", None, None),
    ("after_order", "effort", 2, "ces", "How easy was it? (5: very)", 1, 5, "high_is_good", 4, None),
    ("visit", "why", 1, "visitor_intent", "Why are you here today?", None, None, None, None, "buy|compare|support|other"),
    ("visit", "done", 1, "task_completion", "Could you do it?", None, None, None, None, None),
)
_INTENTS = ("buy", "Compare", "support", "other", "looking for a job")


def _make(maker: Maker) -> None:
    _make_registry(maker)
    _make_panel(maker)
    _make_after_order(maker)
    _make_visits(maker)


def _make_registry(maker: Maker) -> None:
    """All questions on the first day; three weeks on somebody lowers what counts as satisfied."""
    at = maker.clock.local(0, 7 * 3600)
    for question in _QUESTIONS:
        maker.post("surveys", Question(*question, at), 0)
    day = min(21, maker.days - 1)
    changed = Question(*_QUESTIONS[4], maker.clock.local(day, 9 * 3600))
    maker.post("surveys", changed._replace(favourable_from=7), day)


def _answer(maker: Maker, rng: random.Random, row: SurveyResponse) -> None:
    """One answer of the new kind: now and then it is late, revised, a test, not finished, or contradicts the registry."""
    day = maker.clock.index(row.answered_at)
    if day >= maker.days:
        return
    status = rng.choices(("completed", "partial", "dismissed", "test"), (93, 3, 3, 1))[0]
    if status in ("partial", "dismissed"):
        row = row._replace(score=None, answer=None)
    row = row._replace(status=status)
    if row.score is not None and rng.random() < 0.02:
        # The tool was set to another scale than the registry says.
        row = row._replace(scale_min=0, scale_max=10 if row.scale_max != 10 else 100)
    maker.post("survey_responses", row, day, company._lag(rng, 0.02))
    revised = row.answered_at + timedelta(seconds=rng.randint(DAY, 4 * DAY))
    if status == "completed" and rng.random() < 0.03 and maker.clock.index(revised) < maker.days:
        other = {"answer": "compare"} if row.metric_kind == "visitor_intent" else {"channel": "phone"}
        if row.score is not None:
            other = {"score": row.score - 1 if row.score > 1 else 2}
        maker.post("survey_responses", row._replace(**other, updated_at=revised), maker.clock.index(revised))


def _row(maker: Maker, survey: str, question: str, kind: str, at: datetime, **fields: Any) -> SurveyResponse:
    """A completed answer without a scale of its own: the registry tells it."""
    row = SurveyResponse(
        maker.number("Q"),
        survey,
        kind,
        None,
        None,
        None,
        None,
        None,
        at,
        "completed",
        at,
        question_id=question,
        question_version=1,
    )
    return row._replace(**fields)


def _make_panel(maker: Maker) -> None:
    """Some customers are asked about everything now and then; one experience behind all four answers."""
    rng = maker.stream("survey panel")
    for person, joined in maker.joined.items():
        if person in maker.testers or rng.random() > 0.3 or joined >= maker.days:
            continue
        day = rng.randint(joined, maker.days)
        while day < maker.days:
            at = maker.clock.local(day, rng.randrange(8 * 3600, 22 * 3600))
            mood = rng.gauss(7.4, 1.8)
            visit, channel = maker.number("F"), rng.choice(("email", "email", "sms", None))
            for question, kind, middle in (
                ("experience", "overall_experience", mood),
                ("recommend", "nps", mood + 0.4),
                ("switch", "switch_likelihood", 11 - mood),
                ("again", "repurchase_likelihood", mood),
            ):
                score = min(10, max(1, round(middle + rng.gauss(0, 1.1))))
                row = _row(
                    maker, "panel", question, kind, at, person_id=person, score=score, invitation_id=visit, channel=channel
                )
                _answer(maker, rng, row)
            day += rng.randint(10, 60)


def _make_after_order(maker: Maker) -> None:
    """Buyers say whether they were satisfied and how much effort it was; the effort question got a new version half-way."""
    rng = maker.stream("survey after order")
    for orders in list(maker.deliveries["orders"]):
        for order in orders:
            if not order.person_id or order.status != "paid" or order.is_test or rng.random() > 0.25:
                continue
            at = order.updated_at + timedelta(seconds=rng.randint(3600, 9 * DAY))
            about = {"person_id": order.person_id, "order_id": order.order_id, "channel": "email"}
            score = min(10, max(1, round(rng.gauss(7.6, 1.7))))
            _answer(maker, rng, _row(maker, "after_order", "satisfied", "csat", at, score=score, **about))
            version = 1 if maker.clock.index(at) < maker.days // 2 else 2
            effort = min(7, max(1, round(rng.gauss(2.8, 1.5)))) if version == 1 else min(5, max(1, round(rng.gauss(3.9, 1.0))))
            row = _row(maker, "after_order", "effort", "ces", at, score=effort, **about)
            # Where the tool says no version it is the newest.
            _answer(maker, rng, row._replace(question_version=None if version == 2 and rng.random() < 0.5 else version))


def _make_visits(maker: Maker) -> None:
    """Visitors say what they came for and whether they could do it; nobody knows who they are."""
    rng = maker.stream("survey visits")
    for day in range(maker.days):
        for _ in range(rng.randint(0, 5)):
            at = maker.clock.local(day, rng.randrange(8 * 3600, 23 * 3600))
            visit = maker.number("F") if rng.random() < 0.95 else None
            intent = rng.choices(_INTENTS, (40, 25, 20, 10, 2))[0]
            _answer(
                maker, rng, _row(maker, "visit", "why", "visitor_intent", at, answer=intent, invitation_id=visit, channel="web")
            )
            if rng.random() < 0.8:
                later = at + timedelta(minutes=rng.randint(1, 40))
                said = rng.choices(("Yes", "no", "partly"), (65, 25, 10))[0]
                row = _row(maker, "visit", "done", "task_completion", later, answer=said, invitation_id=visit, channel="web")
                _answer(maker, rng, row)


# ---- exports --------------------------------------------------------------------------------------------------------

_plain, _zulu, _offset = exports._plain, exports._zulu, exports._offset
_LAYOUTS = {
    "surveys": Layout(
        "crm",
        "csv",
        "csv",
        (
            Column("survey_id", "survey"),
            Column("question_id", "question"),
            Column("question_version", "version"),
            Column("metric_kind", "measures"),
            Column("question", "wording"),
            Column("scale_min", "lowest"),
            Column("scale_max", "highest"),
            Column("direction", "direction"),
            Column("favourable_from", "good_from"),
            Column("options", "options"),
            Column("updated_at", "changed_at", _zulu),
        ),
        delimiter=";",
        expected=None,
    ),
    "survey_responses": Layout(
        "crm",
        "csv",
        "csv",
        (
            *_plain(("response_id", "survey_id", "metric_kind", "person_id", "case_id")),
            *_plain(("score", "scale_min", "scale_max")),
            Column("answered_at", "answered_at", _offset),
            Column("status", "status"),
            Column("updated_at", "updated_at", _offset),
            *_plain(("question_id", "question_version", "invitation_id", "order_id", "contact_id", "channel", "answer")),
        ),
        expected=None,
    ),
}


# ---- truth ----------------------------------------------------------------------------------------------------------

CHOICES = ("visitor_intent", "task_completion")
_USUAL = {
    **{(kind, 1, 5): 4 for kind in ("csat", "ces", "overall_experience", "satisfaction")},
    **{(kind, low, 10): 8 for kind in ("csat", "overall_experience", "satisfaction") for low in (0, 1)},
    ("ces", 1, 7): 5,
    ("satisfaction", 0, 1): 1,
}


class Answer(NamedTuple):
    """An answer with its scale; `exclusion` says why it counts nowhere."""

    row: SurveyResponse
    low: Decimal | None
    high: Decimal | None
    direction: str
    favourable_from: Decimal | None
    difficult_from: Decimal | None
    choice: str | None
    exclusion: str | None

    @property
    def score(self) -> Decimal:
        """The answer as given."""
        return Decimal(self.row.score)

    @property
    def ease(self) -> Decimal:
        """The answer on the same scale where high is good."""
        return self.low + self.high - self.score if self.direction == "high_is_bad" else self.score

    @property
    def scale(self) -> str:
        """Its name."""
        if self.low is None:
            return UNKNOWN
        name = f"{self.row.metric_kind} {float(self.low):g}-{float(self.high):g} {self.direction}"
        return name if self.favourable_from is None else f"{name} from {float(self.favourable_from):g}"


def _number(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value)


def answers(books: Books) -> Iterator[Answer]:
    """Every completed answer: the registry's scale where it knows the question, else the row's own, else that of an NPS."""
    registry: dict[tuple[str, str], dict[int, Question]] = defaultdict(dict)
    for question in books.rows["surveys"]:
        registry[question.survey_id, question.question_id][question.question_version] = question
    for row in books.rows["survey_responses"]:
        if row.status != "completed":
            continue
        versions = registry.get((row.survey_id, row.question_id), {})
        version = row.question_version if row.question_version is not None else max(versions, default=None)
        asked = versions.get(version)
        scales = [(asked.scale_min, asked.scale_max)] if asked else []
        scales += [(row.scale_min, row.scale_max), (0, 10) if row.metric_kind == "nps" else (None, None)]
        low, high = next(((_number(low), _number(high)) for low, high in scales if low is not None), (None, None))
        usual = "high_is_bad" if row.metric_kind == "switch_likelihood" else "high_is_good"
        direction = (asked.direction if asked else None) or usual
        said = _number(asked.favourable_from) if asked else None
        cut = _number(_USUAL.get((row.metric_kind, low, high)))
        choice = _choice(row, asked)
        exclusion = None
        if asked and (
            asked.metric_kind != row.metric_kind
            or (None not in (row.scale_min, asked.scale_min) and Decimal(row.scale_min) != Decimal(asked.scale_min))
            or (None not in (row.scale_max, asked.scale_max) and Decimal(row.scale_max) != Decimal(asked.scale_max))
        ):
            exclusion = "contradicts_registry"
        elif row.metric_kind in CHOICES:
            exclusion = None if choice else "no_answer"
        elif row.score is None:
            exclusion = "no_score"
        elif low is None:
            exclusion = "unknown_scale"
        elif row.metric_kind == "nps" and (low not in (0, 1) or high != 10):
            exclusion = "not_an_nps_scale"
        elif not low <= Decimal(row.score) <= high:
            exclusion = "outside_scale"
        # `or` would take a cut of 0 for none
        favourable, difficult = (said if said is not None else cut), (cut if cut is not None else said)
        yield Answer(row, low, high, direction, favourable, difficult, choice, exclusion)


def _choice(row: SurveyResponse, asked: Question | None) -> str | None:
    """The option, in the registry's spelling; a task is done, not done or partly done."""
    said = (row.answer or "").strip()
    if not said and row.metric_kind == "task_completion" and row.score is not None:
        said = {0: "no", 1: "yes"}.get(Decimal(row.score), "")
    if not said:
        return None
    if row.metric_kind == "task_completion":
        return said.lower() if said.lower() in ("yes", "no", "partly") else "unmapped"
    if not asked or asked.options is None:
        return said
    options = [option.strip() for option in asked.options.split("|")]
    return next((option for option in options if option.lower() == said.lower()), "unmapped")


def _survey_daily(books: Books) -> Rows:
    """A row wherever an answer on a scale was given, also where all of these are left out."""
    cells: dict[tuple[Any, ...], list[Answer]] = defaultdict(list)
    for answer in answers(books):
        row = answer.row
        if row.metric_kind not in CHOICES:
            key = (books.day(row.answered_at), row.metric_kind, row.survey_id, row.question_id or UNKNOWN, answer.scale)
            cells[(*key, row.channel or UNKNOWN)].append(answer)
    for key, found in cells.items():
        kind = key[1]
        counted = [answer for answer in found if answer.exclusion is None]
        scores = [answer.score for answer in counted]
        promoters = sum(score >= 9 for score in scores)
        detractors = sum(score < 7 for score in scores)
        judged = [answer for answer in counted if answer.favourable_from is not None]
        favourable = sum(answer.ease >= answer.favourable_from for answer in judged)
        difficult = sum(answer.low + answer.high - answer.ease >= answer.difficult_from for answer in judged)
        top_box = sum(answer.score >= (9 if answer.high == 10 else answer.high) for answer in counted)
        is_nps, n = kind == "nps", len(counted)
        yield {
            **dict(zip(truth.MART_KEYS["survey_daily"], key, strict=True)),
            "answered": n,
            "left_out": len(found) - n,
            "promoters": promoters if is_nps else None,
            "passives": n - promoters - detractors if is_nps else None,
            "detractors": detractors if is_nps else None,
            "nps_points": 100 * (promoters - detractors) if is_nps else None,
            "judged": len(judged),
            "favourable": favourable,
            "difficult": difficult if kind == "ces" else None,
            "top_box": top_box,
            "score_sum": float(sum(scores)),
            "score_sumsq": float(sum(score * score for score in scores)),
            "nps": truth._ratio(100 * (promoters - detractors), n) if is_nps else None,
            "would_recommend_rate": truth._ratio(promoters, n) if is_nps else None,
            "favourable_rate": truth._ratio(favourable, len(judged)),
            "difficult_rate": truth._ratio(difficult, len(judged)) if kind == "ces" else None,
            "top_box_rate": truth._ratio(top_box, n),
            "mean_score": truth._ratio(float(sum(scores)), n),
            **books.finality(key[0], 0),
        }


SUBJECT = Subject(
    feeds={"surveys": Question, "survey_responses": SurveyResponse},
    layouts=_LAYOUTS,
    make=_make,
    marts={
        "survey_daily": Truth(
            ("metric_date", "metric_kind", "survey_id", "question_id", "scale_id", "channel"),
            ("answered", "left_out", "promoters", "passives", "detractors", "nps_points", "judged", "favourable", "difficult",
             "top_box", "score_sum", "score_sumsq", "nps", "would_recommend_rate", "favourable_rate", "difficult_rate",
             "top_box_rate", "mean_score"),
            _survey_daily,
        ),
    },
    key_width={"surveys": 3},
    spoils={
        "surveys": [("scale_max", "ten", "scale_max is not a number")],
        "survey_responses": [("score", "ten", "score is not a number"), ("status", "lost", "status is unknown")],
    },
)  # fmt: skip
