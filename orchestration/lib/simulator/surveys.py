"""Surveys in the demo company: the scale registry, invitations, what people answer, and what employees say.

Here belongs: rows of the feeds surveys, survey_invitations, survey_responses (beside those that the core makes without a
registry) and employee_surveys, their exports, and the truth of the marts made of them. Not here: file formats in general,
SQL.
"""

import math
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
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


class Invitation(NamedTuple):
    """Somebody was asked, one version."""

    invitation_id: str
    survey_id: str
    person_id: str | None
    channel: str | None
    sent_at: datetime
    status: str
    order_id: str | None
    case_id: str | None
    updated_at: datetime


class EmployeeAnswer(NamedTuple):
    """What an employee answered to one question, one version."""

    response_id: str
    survey_id: str
    metric_kind: str
    team: str | None
    score: int | None
    scale_min: int
    scale_max: int
    favourable_from: int | None
    answered_at: datetime
    status: str
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
    ("after_contact", "satisfied", 1, "csat", "How satisfied are you?", 1, 5, "high_is_good", None, None),
    ("after_contact", "solved", 1, "resolved", "Was it solved at once?", 0, 1, None, None, None),
    ("visit", "why", 1, "visitor_intent", "Why are you here today?", None, None, None, None, "buy|compare|support|other"),
    ("visit", "done", 1, "task_completion", "Could you do it?", None, None, None, None, None),
)
_INTENTS = ("buy", "Compare", "support", "other", "looking for a job")


def _make(maker: Maker) -> None:
    _make_registry(maker)
    _make_panel(maker)
    _make_after_order(maker)
    _make_visits(maker)
    _make_employees(maker)
    _make_after_contact(maker)


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


def _invite(maker: Maker, rng: random.Random, survey: str, person: str | None, order: str | None, at: datetime) -> str:
    """An invitation an hour to two days before the answer; a few bounce, which is known on the next day."""
    sent = at - timedelta(seconds=rng.randint(3600, 2 * DAY))
    channel = rng.choice(("email", "email", "sms", None))
    row = Invitation(maker.number("F"), survey, person, channel, sent, "delivered", order, None, sent)
    if rng.random() < 0.04:
        row = row._replace(status="suppressed")
    day = maker.clock.index(sent)
    if day < maker.days:
        maker.post("survey_invitations", row, day, company._lag(rng, 0.02))
        if row.status == "delivered" and rng.random() < 0.04 and day + 1 < maker.days:
            known = maker.clock.local(max(day, 0) + 1, 8 * 3600)
            maker.post("survey_invitations", row._replace(status="bounced", updated_at=known), max(day, 0) + 1)
    return row.invitation_id


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
            visit, channel = _invite(maker, rng, "panel", person, None, at), rng.choice(("email", "email", "sms", None))
            if rng.random() < 0.35:
                # Asked, and no answer; or one that comes when nobody waits for it any more.
                late = at + timedelta(days=40)
                if rng.random() < 0.2:
                    _answer(
                        maker, rng, _row(maker, "panel", "recommend", "nps", late, person_id=person, score=5, invitation_id=visit)
                    )
                day += rng.randint(3, 30)
                continue
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
            visit = _invite(maker, rng, "after_order", order.person_id, order.order_id, at)
            if rng.random() < 0.3:
                # Reminded, and reminded again.
                for _ in range(rng.randint(0, 3)):
                    _invite(maker, rng, "after_order", order.person_id, order.order_id, at + timedelta(days=rng.randint(1, 6)))
                continue
            about = {"person_id": order.person_id, "invitation_id": visit, "channel": "email"}
            if rng.random() < 0.7:
                # Otherwise only the invitation knows which order it is about.
                about["order_id"] = order.order_id
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


def _make_after_contact(maker: Maker) -> None:
    """Some who spoke to an agent say whether that solved it: a number of the tool, or the word of a form without a scale."""
    rng = maker.stream("survey after contact")
    for contact in {contact.contact_id: contact for contacts in maker.deliveries["contacts"] for contact in contacts}.values():
        if contact.direction != "inbound" or contact.outcome != "handled" or contact.is_spam or rng.random() > 0.2:
            continue
        at = contact.ended_at + timedelta(seconds=rng.randint(60, 2 * DAY))
        is_solved = rng.random() < 0.7
        row = _row(maker, "after_contact", "solved", "resolved", at, person_id=contact.person_id, contact_id=contact.contact_id)
        if rng.random() < 0.3:
            said = rng.choice(("yes", "Yes")) if is_solved else rng.choice(("no", "No", "not sure"))
            _answer(maker, rng, row._replace(survey_id="form", question_id=None, question_version=None, answer=said))
        else:
            _answer(maker, rng, row._replace(score=int(is_solved)))
    # Whoever's contact was evaluated is asked more often: quality is held against what the customer says.
    for contact_id in sorted({row.contact_id for rows in maker.deliveries["qa_evaluations"] for row in rows}):
        contact = next((c for contacts in maker.deliveries["contacts"] for c in contacts if c.contact_id == contact_id), None)
        for _ in range(rng.choice((0, 1, 1, 2)) if contact else 0):
            at = contact.ended_at + timedelta(seconds=rng.randint(60, 9 * DAY))
            about = {"person_id": contact.person_id, "contact_id": contact_id, "score": rng.choice((1, 2, 3, 4, 4, 5, 5))}
            _answer(maker, rng, _row(maker, "after_contact", "satisfied", "csat", at, **about))


def _make_employees(maker: Maker) -> None:
    """A pulse every month: large teams, small ones, one of a single person."""
    rng = maker.stream("employees")
    teams = {"Service": 14, "Sales": 9, "Warehouse": 5, "IT": 3, "Finance": 2, "Board": 1, None: 2}
    for day in range(maker.days):
        if (maker.clock.start + timedelta(days=day)).day != 5:
            continue
        for team, size in teams.items():
            for _ in range(size):
                late = day + rng.randint(0, 9)
                at = maker.clock.local(min(late, maker.days - 1), rng.randrange(8 * 3600, 18 * 3600))
                for kind, low, high in (("satisfaction", 1, 10), ("enps", 0, 10), ("satisfaction", 0, 1)):
                    if rng.random() < 0.12:
                        continue
                    status = rng.choices(("completed", "partial", "dismissed", "preview", "test"), (92, 3, 2, 1, 2))[0]
                    score = rng.randint(0, 1) if high == 1 else min(high, max(low, round(rng.gauss(7.2, 2))))
                    row = EmployeeAnswer(
                        maker.number("W"), "pulse" if high > 1 else "yes_no", kind, team,
                        None if status in ("partial", "dismissed") else score, low, high,
                        7 if (kind, low) == ("satisfaction", 1) else None, at, status, at,
                    )  # fmt: skip
                    maker.post("employee_surveys", row, maker.clock.index(at), company._lag(rng, 0.05))
                    moved = at + timedelta(days=30)
                    if team == "Warehouse" and rng.random() < 0.1 and maker.clock.index(moved) < maker.days:
                        # Somebody was booked on the wrong team; the group falls below five.
                        maker.post("employee_surveys", row._replace(team="Sales", updated_at=moved), maker.clock.index(moved))


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
    "survey_invitations": Layout(
        "crm",
        "ndjson",
        "ndjson",
        (
            Column("invitation_id", "id"),
            Column("survey_id", "survey"),
            Column("person_id", "contact"),
            Column("channel", "medium"),
            Column("sent_at", "sent", _zulu),
            Column("status", "state", lambda value, _: value.upper(), 'lower("state")'),
            Column("order_id", "order"),
            Column("case_id", "ticket"),
            Column("updated_at", "changed", _zulu),
        ),
        expected=None,
    ),
    "employee_surveys": Layout(
        "context",
        "csv",
        "csv",
        (
            *_plain(("response_id", "survey_id", "metric_kind")),
            Column("team", "afdeling"),
            Column("score", "cijfer"),
            Column("scale_min", "van"),
            Column("scale_max", "tot"),
            Column("favourable_from", "goed_vanaf"),
            Column("answered_at", "beantwoord", _offset),
            Column("status", "status"),
            Column("updated_at", "gewijzigd", _offset),
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
    ("resolved", 0, 1): 1,
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
    """Every completed answer, also those that count nowhere: their `exclusion` says why.

    Its scale is that of the registry where that knows the question, else the row's own, else that of its kind.
    """
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
        scales += [(row.scale_min, row.scale_max), {"nps": (0, 10), "resolved": (0, 1)}.get(row.metric_kind, (None, None))]
        low, high = next(((_number(low), _number(high)) for low, high in scales if low is not None), (None, None))
        if row.metric_kind == "resolved" and row.score is None and (low, high) == (0, 1):
            row = row._replace(score={"yes": 1, "no": 0}.get((row.answer or "").strip().lower()))
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
        exclusion = books.excluded(row.person_id) or exclusion
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
            "nps": truth.ratio(100 * (promoters - detractors), n) if is_nps else None,
            "would_recommend_rate": truth.ratio(promoters, n) if is_nps else None,
            "favourable_rate": truth.ratio(favourable, len(judged)),
            "difficult_rate": truth.ratio(difficult, len(judged)) if kind == "ces" else None,
            "top_box_rate": truth.ratio(top_box, n),
            "mean_score": truth.ratio(float(sum(scores)), n),
            **books.finality(key[0], 0),
        }


def _nps_trailing_daily(books: Books) -> Rows:
    """A row wherever the window holds an answer, also where nobody known gave one."""
    window = books.definitions.nps_trailing_days
    series: dict[tuple[str, str], list[tuple[date, datetime, str, Answer]]] = defaultdict(list)
    for answer in answers(books):
        row = answer.row
        if row.metric_kind == "nps" and answer.exclusion is None:
            day = books.day(row.answered_at)
            series[row.survey_id, answer.scale].append((day, row.answered_at, row.response_id, answer))
    for (survey, scale), given in series.items():
        given.sort(key=lambda entry: entry[:3])
        for day in books.days_from(given[0][0]):
            inside = [entry for entry in given if day - timedelta(days=window) < entry[0] <= day]
            if not inside:
                continue
            # the last one of each person wins
            latest = {books.survivor(entry[3].row.person_id): entry[3].score for entry in inside}
            latest.pop(None, None)
            promoters = sum(score >= 9 for score in latest.values())
            detractors = sum(score < 7 for score in latest.values())
            yield {
                "metric_date": day,
                "survey_id": survey,
                "scale_id": scale,
                "persons": len(latest),
                "promoters": promoters,
                "passives": len(latest) - promoters - detractors,
                "detractors": detractors,
                "nps_points": 100 * (promoters - detractors),
                "answers": len(inside),
                "answers_known": sum(entry[3].row.person_id is not None for entry in inside),
                "nps_trailing_90d": truth.ratio(100 * (promoters - detractors), len(latest)),
                **books.finality(day, 0),
            }


def _visitor_intent_daily(books: Books) -> Rows:
    """Every option that somebody chose on the day or that the registry lists for one of the day's answers."""
    registry = {(q.survey_id, q.question_id, q.question_version): q for q in books.rows["surveys"]}
    newest: dict[tuple[str, str], int] = defaultdict(lambda: -(10**9))
    for survey, question, version in registry:
        newest[survey, question] = max(newest[survey, question], version)
    cells: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    listed: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for answer in answers(books):
        row = answer.row
        if row.metric_kind != "visitor_intent" or answer.exclusion is not None:
            continue
        key = (books.day(row.answered_at), row.survey_id, row.question_id or UNKNOWN, row.channel or UNKNOWN)
        cells[key].append(answer.choice or "")
        version = row.question_version if row.question_version is not None else newest[row.survey_id, row.question_id]
        asked = registry.get((row.survey_id, row.question_id, version))
        if asked and asked.options is not None:
            listed[key] |= {option.strip() for option in asked.options.split("|")}
    for key, chosen in cells.items():
        for intent in sorted(set(chosen) | listed[key]):
            yield {
                **dict(zip(("metric_date", "survey_id", "question_id", "channel"), key, strict=True)),
                "intent": intent,
                "answers": chosen.count(intent),
                "answered": len(chosen),
                "visitor_intent_share": truth.ratio(chosen.count(intent), len(chosen)),
                **books.finality(key[0], 0),
            }


def _task_completion_daily(books: Books) -> Rows:
    """By the intent that the same visit told, the last one where it told several."""
    told: dict[tuple[str, str], tuple[datetime, str, str]] = {}
    tasks = []
    for answer in answers(books):
        row = answer.row
        if answer.exclusion is not None:
            continue
        if row.metric_kind == "visitor_intent" and row.invitation_id:
            visit, said = (row.survey_id, row.invitation_id), (row.answered_at, row.response_id, answer.choice)
            told[visit] = max(told.get(visit, said), said)
        elif row.metric_kind == "task_completion":
            tasks.append(answer)
    cells: dict[tuple[Any, ...], list[str | None]] = defaultdict(list)
    for answer in tasks:
        row = answer.row
        visit = told.get((row.survey_id, row.invitation_id))
        key = (books.day(row.answered_at), row.survey_id, row.question_id or UNKNOWN, visit[2] if visit else UNKNOWN)
        cells[(*key, row.channel or UNKNOWN)].append(answer.choice)
    for key, said in cells.items():
        yes, no = said.count("yes"), said.count("no")
        yield {
            **dict(zip(("metric_date", "survey_id", "question_id", "intent", "channel"), key, strict=True)),
            "completed": yes,
            "not_completed": no,
            "partly": said.count("partly"),
            "unmapped": said.count("unmapped"),
            "task_completion_rate": truth.ratio(yes, yes + no),
            **books.finality(key[0], 0),
        }


def _invitations(books: Books) -> list[Invitation]:
    """Invitations of anybody but test persons."""
    return [row for row in books.rows["survey_invitations"] if not books.excluded(row.person_id)]


_INVITATION_PARTS = ("invited", "bounced", "suppressed", "delivered", "answered", "partial", "dismissed", "answered_late")


def _survey_response_daily(books: Books) -> Rows:
    """What came of an invitation: the best answer within the window, else whether one came later."""
    window = timedelta(days=books.definitions.response_window_days)
    came: dict[str, list[SurveyResponse]] = defaultdict(list)
    for row in books.rows["survey_responses"]:
        is_somebodys = row.status in ("completed", "partial", "dismissed") and not books.excluded(row.person_id)
        if row.invitation_id and is_somebodys:
            came[row.invitation_id].append(row)
    cells: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for invitation in _invitations(books):
        cell = cells[books.day(invitation.sent_at), invitation.survey_id, invitation.channel or UNKNOWN]
        cell["invited"] += 1
        cell[invitation.status] += 1
        if invitation.status != "delivered":
            continue
        found = came[invitation.invitation_id]
        in_time = {row.status for row in found if row.answered_at <= invitation.sent_at + window}
        for status, name in (("completed", "answered"), ("partial", "partial"), ("dismissed", "dismissed")):
            if status in in_time:
                cell[name] += 1
                break
        else:
            cell["answered_late"] += any(row.status == "completed" for row in found)
    for (day, survey, channel), cell in cells.items():
        yield {
            "metric_date": day,
            "survey_id": survey,
            "channel": channel,
            **{name: cell[name] for name in _INVITATION_PARTS},
            "response_rate": truth.ratio(cell["answered"], cell["delivered"]),
            **books.finality(day, window.days),
        }


def _survey_pressure_daily(books: Books) -> Rows:
    """Delivered invitations of the window, per known person and per order."""
    window, limit = books.definitions.survey_pressure_days, books.definitions.survey_pressure_limit
    sent = [(books.day(row.sent_at), row) for row in _invitations(books) if row.status == "delivered"]
    for day in books.days_from(min((day for day, _ in sent), default=None)):
        inside = [row for sent_day, row in sent if day - timedelta(days=window) < sent_day <= day]
        if not inside:
            continue
        persons = Counter(books.survivor(row.person_id) for row in inside if row.person_id is not None)
        orders = Counter(row.order_id for row in inside if row.order_id is not None)
        counts = sorted(persons.values())
        over = sum(count > limit for count in counts)
        yield {
            "metric_date": day,
            "persons": len(persons),
            "persons_over_limit": over,
            "invitations_known": sum(counts),
            "invitations": len(inside),
            "invitations_p50": counts[-(-len(counts) // 2) - 1] if counts else None,
            "invitations_p90": counts[-(-9 * len(counts) // 10) - 1] if counts else None,
            "orders": len(orders),
            "order_invitations": orders.total(),
            "invitations_per_person": truth.ratio(sum(counts), len(persons)),
            "over_limit_share": truth.ratio(over, len(persons)),
            "invitations_per_order": truth.ratio(orders.total(), len(orders)),
            **books.finality(day, 0),
        }


def _survey_timing_daily(books: Books) -> Rows:
    """Answers about an order with a parcel that is neither lost nor returned; delivered is when the last of them is."""
    parcels: dict[str, list[datetime | None]] = defaultdict(list)
    for parcel in books.rows.get("shipments", []):
        if parcel.status not in ("lost", "returned"):
            parcels[parcel.order_id].append(parcel.delivered_at)
    invited = {row.invitation_id: row.order_id for row in books.rows["survey_invitations"]}
    cells: dict[tuple[Any, ...], list[bool]] = defaultdict(list)
    for answer in answers(books):
        row = answer.row
        order = row.order_id or invited.get(row.invitation_id)
        if answer.exclusion is None and order in parcels:
            is_before = None in parcels[order] or row.answered_at < max(at for at in parcels[order] if at)
            cells[books.day(row.answered_at), row.survey_id, row.metric_kind].append(is_before)
    for (day, survey, kind), before in cells.items():
        yield {
            "metric_date": day,
            "survey_id": survey,
            "metric_kind": kind,
            "order_answers": len(before),
            "before_delivery": sum(before),
            "answered_before_delivery_share": truth.ratio(sum(before), len(before)),
            **books.finality(day, 0),
        }


def _employee_satisfaction_monthly(books: Books) -> Rows:
    """Complete months; teams below the minimum are one group, and nothing where that is below it, too."""
    least = books.definitions.min_group_answers
    groups: dict[tuple[Any, ...], dict[str, list[tuple[Decimal, Decimal | None]]]] = defaultdict(lambda: defaultdict(list))
    for row in books.rows["employee_surveys"]:
        low, high = Decimal(row.scale_min), Decimal(row.scale_max)
        if row.status != "completed" or (row.metric_kind == "enps" and (low not in (0, 1) or high != 10)):
            continue
        month_end = truth.next_month(books.day(row.answered_at)) - timedelta(days=1)
        cut = None
        if row.metric_kind == "satisfaction":
            said = row.favourable_from if row.favourable_from is not None else _USUAL.get(("satisfaction", low, high))
            cut = _number(said)
        scale = f"{row.metric_kind} {float(low):g}-{float(high):g} high_is_good"
        scale += f" from {float(cut):g}" if cut is not None else ""
        groups[month_end, row.metric_kind, row.survey_id, scale][row.team or UNKNOWN].append((Decimal(row.score), cut))
    for key, teams in groups.items():
        shown: dict[str, list[tuple[Decimal, Decimal | None]]] = defaultdict(list)
        for team, given in teams.items():
            shown[team if len(given) >= least else "small teams"] += given
        is_enps = key[1] == "enps"
        for team, given in shown.items():
            if len(given) < least:
                continue
            judged = [(score, cut) for score, cut in given if cut is not None]
            satisfied = sum(score >= cut for score, cut in judged)
            promoters = sum(score >= 9 for score, _ in given)
            detractors = sum(score < 7 for score, _ in given)
            yield {
                **dict(zip(("metric_date", "metric_kind", "survey_id", "scale_id"), key, strict=True)),
                "team": team,
                "answered": len(given),
                "judged": len(judged),
                "satisfied": satisfied,
                "promoters": promoters if is_enps else None,
                "passives": len(given) - promoters - detractors if is_enps else None,
                "detractors": detractors if is_enps else None,
                "enps_points": 100 * (promoters - detractors) if is_enps else None,
                "employee_satisfaction": truth.ratio(satisfied, len(judged)),
                "enps": truth.ratio(100 * (promoters - detractors), len(given)) if is_enps else None,
                **books.finality(key[0], 0),
            }


def _experience_association_monthly(books: Books) -> Rows:
    """Pearson and Spearman over persons, each with the newest answer of the month to either question."""
    outcomes = {"nps": "recommend", "switch_likelihood": "switch", "repurchase_likelihood": "repurchase"}
    newest: dict[tuple[date, str, str], dict[str, tuple[datetime, str, float]]] = defaultdict(dict)
    for answer in answers(books):
        row, person = answer.row, books.survivor(answer.row.person_id)
        if answer.exclusion is None and person and (row.metric_kind == "overall_experience" or row.metric_kind in outcomes):
            month_end = truth.next_month(books.day(row.answered_at)) - timedelta(days=1)
            known = newest[month_end, row.metric_kind, answer.scale]
            said = (row.answered_at, row.response_id, float(answer.score))
            known[person] = max(known.get(person, said), said)
    for (day, kind, scale), experiences in list(newest.items()):
        if kind != "overall_experience":
            continue
        for (other_day, other, other_scale), said in list(newest.items()):
            persons = sorted(experiences.keys() & said.keys())
            if other_day != day or other not in outcomes or not persons:
                continue
            xs, ys = ([entries[person][2] for person in persons] for entries in (experiences, said))
            is_enough = len(persons) >= books.definitions.association_min_persons
            pearson = _correlation(xs, ys) if is_enough else None
            low = high = None
            if pearson is not None and abs(pearson) < 1:
                width = 1.959963984540054 / math.sqrt(len(persons) - 3)
                low, high = (math.tanh(math.atanh(pearson) + sign * width) for sign in (-1, 1))
            yield {
                "metric_date": day,
                "outcome": outcomes[other],
                "experience_scale_id": scale,
                "outcome_scale_id": other_scale,
                "persons": len(persons),
                "pearson": pearson,
                "pearson_low": low,
                "pearson_high": high,
                "spearman": _correlation(_ranks(xs), _ranks(ys)) if is_enough else None,
                **books.finality(day, 0),
            }


def _correlation(xs: list[float], ys: list[float]) -> float | None:
    """Pearson's; None where one side is always the same."""
    if len(set(xs)) < 2 or len(set(ys)) < 2:
        return None
    return max(-1.0, min(1.0, statistics.correlation(xs, ys)))


def _ranks(values: list[float]) -> list[float]:
    """Mean ranks."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) + 1) / 2 for value in values]


SUBJECT = Subject(
    feeds={
        "surveys": Question,
        "survey_invitations": Invitation,
        "survey_responses": SurveyResponse,
        "employee_surveys": EmployeeAnswer,
    },
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
        "nps_trailing_daily": Truth(
            ("metric_date", "survey_id", "scale_id"),
            ("persons", "promoters", "passives", "detractors", "nps_points", "answers", "answers_known", "nps_trailing_90d"),
            _nps_trailing_daily,
        ),
        "visitor_intent_daily": Truth(
            ("metric_date", "survey_id", "question_id", "channel", "intent"),
            ("answers", "answered", "visitor_intent_share"),
            _visitor_intent_daily,
        ),
        "task_completion_daily": Truth(
            ("metric_date", "survey_id", "question_id", "intent", "channel"),
            ("completed", "not_completed", "partly", "unmapped", "task_completion_rate"),
            _task_completion_daily,
        ),
        "survey_response_daily": Truth(
            ("metric_date", "survey_id", "channel"),
            (*_INVITATION_PARTS, "response_rate"),
            _survey_response_daily,
        ),
        "survey_pressure_daily": Truth(
            ("metric_date",),
            ("persons", "persons_over_limit", "invitations_known", "invitations", "invitations_p50", "invitations_p90", "orders",
             "order_invitations", "invitations_per_person", "over_limit_share", "invitations_per_order"),
            _survey_pressure_daily,
        ),
        "survey_timing_daily": Truth(
            ("metric_date", "survey_id", "metric_kind"),
            ("order_answers", "before_delivery", "answered_before_delivery_share"),
            _survey_timing_daily,
        ),
        "experience_association_monthly": Truth(
            ("metric_date", "outcome", "experience_scale_id", "outcome_scale_id"),
            ("persons", "pearson", "pearson_low", "pearson_high", "spearman"),
            _experience_association_monthly,
        ),
        "employee_satisfaction_monthly": Truth(
            ("metric_date", "metric_kind", "survey_id", "scale_id", "team"),
            ("answered", "judged", "satisfied", "promoters", "passives", "detractors", "enps_points", "employee_satisfaction",
             "enps"),
            _employee_satisfaction_monthly,
        ),
    },
    key_width={"surveys": 3},
    spoils={
        "surveys": [("scale_max", "ten", "scale_max is not a number")],
        "survey_invitations": [("status", "lost", "status is unknown")],
        "employee_surveys": [("metric_kind", "mood", "metric_kind is unknown")],
        "survey_responses": [("score", "ten", "score is not a number"), ("status", "lost", "status is unknown")],
    },
)  # fmt: skip
