"""Small wrong changes to the SQL of a model, each of which somebody could make by mistake.

Belongs here: finding the places in a model's file, Jinja and all, and what stands there instead. Does not: running anything
(`tests.mutants`).

dbt compiles a model once, with a comment on either side of every place (`marked`); `applied` then puts one mistake into the
compiled text, wherever macros took the place to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SQL = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/|\{#.*?#\})|(?P<tag>\{%.*?%\})|(?P<jinja>\{\{)|(?P<text>'(?:[^']|'')*')"
    r"|(?P<number>\d+(?:\.\d+)?(?:e\d+)?)|(?P<word>[A-Za-z_]\w*)|(?P<sign><>|<=|>=|!=|::|\|\||[^\s\w])",
    re.DOTALL,
)
_STRING = re.compile(r"'([^']*)'|\"([^\"]*)\"", re.DOTALL)
COMPARED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "=": "<>", "<>": "="}
SWAPPED = {
    "sum": "max", "min": "max", "max": "min", "avg": "max", "bool_or": "bool_and", "bool_and": "bool_or", "arg_max": "arg_min",
    "arg_min": "arg_max", "max_by": "min_by", "min_by": "max_by", "greatest": "least", "least": "greatest", "lead": "lag",
    "lag": "lead", "abs": "",
}  # fmt: skip
_BEFORE_A_VALUE = {
    "(",
    ",",
    "=",
    "<",
    ">",
    "<=",
    ">=",
    "<>",
    "+",
    "-",
    "*",
    "/",
    "then",
    "else",
    "select",
    "when",
    "by",
    "and",
    "or",
}
_KINDS_OF_JOIN = {"left", "full", "right", "inner", "cross", "semi", "anti", "asof", "positional"}


@dataclass(frozen=True)
class Token:
    """A piece of SQL between two positions of the file."""

    kind: str
    start: int
    end: int
    text: str

    @property
    def word(self) -> str:
        """In small letters."""
        return self.text.lower()


@dataclass(frozen=True)
class Mutant:
    """One mistake: what stands in place of some stretches of the file."""

    model: str
    number: int
    kind: str
    line: int
    source: str
    """The line as it is, without indentation: with `before` and `after` it names the mutant when lines move."""
    place: int
    """Which of the alike ones of the line."""
    before: str
    after: str
    edits: tuple[tuple[int, int, str], ...]
    is_incremental: bool
    """Only increments run this text; a full build does not."""

    @property
    def name(self) -> str:
        """What the list of survivors calls it."""
        return f"{self.source} | {self.before} -> {self.after}" + (f" | {self.place + 1}" if self.place else "")


def mutants_of(model: str, text: str) -> list[Mutant]:
    """All mistakes of a model's file, in order of their places."""
    streams, only_incremental = _streams(text)
    found: list[tuple[str, list[tuple[int, int, str]]]] = []
    for stream in streams:
        found += _mistakes(text, stream)
        found += _swapped_columns(stream)
    found += _wrong_days(text, streams)
    found += _of_macros(text)
    found.sort(key=lambda item: (item[1][0][:2], item[0], item[1][0][2]))
    mutants: list[Mutant] = []
    for number, (kind, edits) in enumerate(found):
        start, end, after = edits[0]
        line = text.count("\n", 0, start) + 1
        source, before = text.splitlines()[line - 1].strip(), " ".join(text[start:end].split())
        alike = sum((m.line, m.before, m.after) == (line, before, after) for m in mutants)
        is_incremental = any(a <= start < b for a, b in only_incremental)
        mutants.append(Mutant(model, number, kind, line, source, alike, before, after, tuple(edits), is_incremental))
    return mutants


def _streams(text: str) -> tuple[list[list[Token]], list[tuple[int, int]]]:
    """The SQL of the file, that within strings of Jinja expressions apart; and the stretches that only increments run."""
    main: list[Token] = []
    streams, incremental = [main], []
    open_ifs: list[tuple[bool | None, int]] = []
    for token in _tokens(text, 0, len(text)):
        if token.kind == "tag":
            words = token.text.strip("{}%- ").split()
            if words[0] == "if":
                asked = "is_incremental()" in token.text
                open_ifs.append((("not is_incremental()" not in token.text) if asked else None, token.end))
            elif words[0] in ("else", "elif", "endif") and open_ifs:
                is_incremental, since = open_ifs.pop()
                if is_incremental:
                    incremental.append((since, token.start))
                if words[0] != "endif":
                    open_ifs.append((None if is_incremental is None else not is_incremental, token.end))
        elif token.kind == "jinja":
            main.append(token)
            if not re.match(r"\{\{-?\s*config\(", token.text):
                for string in _STRING.finditer(token.text):
                    group = 1 if string[1] is not None else 2
                    streams.append(list(_tokens(text, token.start + string.start(group), token.start + string.end(group))))
        elif token.kind != "comment":
            main.append(token)
    return streams, incremental


def _tokens(text: str, start: int, end: int) -> Iterator[Token]:
    while match := _SQL.search(text, start, end):
        start = _end_of_jinja(text, match.start()) if match.lastgroup == "jinja" else match.end()
        yield Token(match.lastgroup or "", match.start(), start, text[match.start() : start])


def _end_of_jinja(text: str, start: int) -> int:
    """Where the expression that begins here ends: braces of its own and strings do not end it."""
    depth = 0
    for match in re.compile(r"'[^']*'|\"[^\"]*\"|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return len(text)


def _mistakes(text: str, stream: list[Token]) -> Iterator[tuple[str, list[tuple[int, int, str]]]]:
    """Every mistake of one stream of SQL: its kind and its edits."""
    blank = Token("", 0, 0, "")
    between = in_type = False
    for n, token in enumerate(stream):
        before, after = stream[n - 1] if n else blank, stream[n + 1] if n + 1 < len(stream) else blank
        here = (token.start, token.end)
        if token.kind == "sign":
            if token.text in COMPARED:
                yield "comparison", [(*here, COMPARED[token.text])]
            elif token.text == "-" and before.word in _BEFORE_A_VALUE:
                yield "arithmetic", [(*here, "")]
            elif token.text in "+-":
                yield "arithmetic", [(*here, "-" if token.text == "+" else "+")]
            elif token.text == "*" and before.kind in ("number", "jinja", "word", "sign") and (
                before.kind != "sign" or before.text == ")"
            ) and before.word not in ("select", "from", "distinct", "all"):  # fmt: skip
                yield "arithmetic", [(*here, "/")]
            elif token.text == ")":
                in_type = False
        elif token.kind == "number" and not in_type:
            whole, rest = re.match(r"(\d+)(.*)", token.text).groups()  # type: ignore[union-attr]
            yield "number", [(*here, f"{int(whole) + 1}{rest}")]
        elif token.kind == "text" and before.word not in ("date", "timestamp", "interval"):
            yield "text", [(*here, f"'{token.text[1:-1]}~'")]
        elif token.kind == "word":
            in_type = in_type or token.word in ("decimal", "numeric", "varchar")
            if token.word == "between":
                between = True
            elif token.word == "and" and between:
                between = False
            else:
                yield from _of_word(text, stream, n, before, after)


def _of_word(
    text: str, stream: list[Token], n: int, before: Token, after: Token
) -> Iterator[tuple[str, list[tuple[int, int, str]]]]:
    token = stream[n]
    here = (token.start, token.end)
    called = after.text == "("
    closing = _closing(stream, n + 1) if called else None
    match token.word:
        case "and" | "or":
            yield "and, or", [(*here, "or" if token.word == "and" else "and")]
        case "is" if after.word == "null":
            yield "null", [(token.start, after.end, "is not null")]
        case "is" if after.word == "not" and stream[n + 2].word == "null":
            yield "null", [(token.start, stream[n + 2].end, "is null")]
        case "not" if before.word != "is":
            yield "not", [(*here, "")]
        case "true" | "false":
            yield "truth", [(*here, "false" if token.word == "true" else "true")]
        case "distinct" if before.word not in ("is", "not") and after.word not in ("from", "on"):
            yield "distinct", [(*here, "")]
        case "desc":
            yield "order", [(*here, "")]
        case "join" if before.word not in _KINDS_OF_JOIN:
            yield "join", [(*here, "left join")]
        case "left" | "full" if after.word == "join":
            yield "join", [(*here, "left" if token.word == "full" else "")]
        case "union" if after.word == "all":
            yield "union", [(token.start, after.end, "union")]
        case "union":
            yield "union", [(*here, "union all")]
        case "filter" if closing:
            yield "filter", [(token.start, closing.end, "")]
        case "coalesce" if closing:
            comma = _comma(stream, n + 1)
            if comma:
                yield "coalesce", [(comma.start, closing.start, "")]
        case "count" if closing and after and stream[n + 2].text != "*" and stream[n + 2].word != "distinct":
            yield "aggregate", [(after.end, closing.start, "*")]
        case word if called and word in SWAPPED:
            yield "aggregate", [(*here, SWAPPED[word])]


def _closing(stream: list[Token], opening: int) -> Token | None:
    depth = 0
    for token in stream[opening:]:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            return token
    return None


def _comma(stream: list[Token], opening: int) -> Token | None:
    depth = 0
    for token in stream[opening:]:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            return None
        if depth == 1 and token.text == ",":
            return token
    return None


def _wrong_days(text: str, streams: list[list[Token]]) -> Iterator[tuple[str, list[tuple[int, int, str]]]]:
    """The day of another column: that of `x as metric_date`, and everywhere after it; and of what `business_day` is asked."""
    words = {(t.text, t.start) for stream in streams for t in stream if t.kind == "word"}
    names = sorted({name for name, _ in words})
    main = streams[0]
    for n, token in enumerate(main[:-2]):
        is_day = token.word.endswith("_day") and main[n + 1].word == "as" and main[n + 2].word == "metric_date"
        others = [name for name in names if name.endswith("_day") and name not in (token.text, "business_day", "last_day")]
        if is_day and others:
            places = sorted(start for name, start in words if name == token.text and start >= token.start)
            yield "day", [(start, start + len(token.text), others[0]) for start in places]
    for match in re.finditer(r"business_day\('(?:\w+\.)?(\w+_at)'\)", text):
        others = [name for name in names if name.endswith("_at") and name != match[1]]
        if others:
            yield "day", [(match.start(1), match.end(1), others[0])]


def _swapped_columns(stream: list[Token]) -> Iterator[tuple[str, list[tuple[int, int, str]]]]:
    """Two plain columns of a select list that stand side by side."""
    depth, lists = 0, []
    for n, token in enumerate(stream):
        depth += (token.text == "(") - (token.text == ")")
        if token.word == "select":
            lists.append(depth)
        elif lists and (token.word == "from" or depth < lists[-1]):
            lists.pop()
        elif lists and depth == lists[-1] and token.kind == "word" and n + 3 < len(stream):
            before, comma, other, after = stream[n - 1], *stream[n + 1 : n + 4]
            is_plain = before.text == "," or before.word == "select"
            is_plain = is_plain and token.word != other.word
            if is_plain and comma.text == "," and other.kind == "word" and (after.text == "," or after.word == "from"):
                edits = [(token, f"{other.text} as {token.text}"), (other, f"{token.text} as {other.text}")]
                yield "column", [(edited.start, edited.end, text) for edited, text in edits]


def _of_macros(text: str) -> Iterator[tuple[str, list[tuple[int, int, str]]]]:
    """A ratio upside down, and a maturity without its window."""
    for match in re.finditer(r"ratio\('([^']+)', '([^']+)'\)", text):
        yield "ratio", [(*match.span(1), match[2]), (*match.span(2), match[1])]
    for match in re.finditer(r"(?:is_final|final_on)\('[^']+', '([^']+)'\)", text):
        yield "maturity", [(*match.span(1), "0")]


def marked(text: str, mutants: list[Mutant]) -> str:
    """The file with a comment on either side of every stretch that a mutant replaces."""
    marks = []
    for mutant in mutants:
        for n, (start, end, _) in enumerate(mutant.edits):
            marks += [(start, 1, _mark(mutant, n, "<")), (end, 0, _mark(mutant, n, ">"))]
    # Where one ends and the next begins, the end comes first.
    for position, _, mark in sorted(marks, key=lambda m: m[:2], reverse=True):
        text = text[:position] + mark + text[position:]
    return text


def applied(compiled: str, mutant: Mutant) -> str:
    """What dbt compiled of the marked file, with the mistake in it; unchanged where no marked place is in it."""
    for n, (*_, after) in enumerate(mutant.edits):
        pattern = re.escape(_mark(mutant, n, "<")) + ".*?" + re.escape(_mark(mutant, n, ">"))
        compiled = re.sub(pattern, lambda _, after=after: f" {after} ", compiled, flags=re.DOTALL)
    return compiled


def changed(text: str, mutant: Mutant) -> str:
    """The file with the mistake in it."""
    for start, end, after in sorted(mutant.edits, reverse=True):
        text = f"{text[:start]} {after} {text[end:]}"
    return text


def _mark(mutant: Mutant, edit: int, side: str) -> str:
    return f"/*{side}{mutant.number}.{edit}*/"
