"""Where in a YAML file something stands, and how a person is told what is wrong with it.

Belongs here: lines of a YAML file, errors of pydantic as sentences with file, line, place and hint. Does not: what a
contract must say (`contract.py`).
"""

from __future__ import annotations

import difflib
import types
import typing
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

Place = tuple[str | int, ...]


class SourceError(Exception):
    """The file is no YAML, or says something twice; the message names file and line."""


class Source:
    """A YAML file: what it says, and on which line.

    Raises:
        SourceError: it is no YAML mapping, or a key stands in it twice (YAML would silently take the last).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise SourceError(f"{path}: line {line}: bytes that are not UTF-8. Save the file as UTF-8.") from None
        try:
            loader = yaml.SafeLoader(text)
            self._root = loader.get_single_node()
            if not isinstance(self._root, yaml.MappingNode):
                raise SourceError(f"{path}: line 1: is no mapping; a contract begins like `id: {path.stem}`")
            self._check_keys(self._root, ())
            self.content = loader.construct_document(self._root)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            raise SourceError(f"{path}: line {line}: is no YAML: {error.problem or error.context}") from None
        except yaml.YAMLError as error:
            raise SourceError(f"{path}: line 1: is no YAML: {error}") from None

    def _check_keys(self, node: yaml.Node, place: Place) -> None:
        if isinstance(node, yaml.SequenceNode):
            for n, value in enumerate(node.value):
                self._check_keys(value, (*place, n))
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, value in node.value:
                name, line = str(key.value), key.start_mark.line + 1
                if name in seen:
                    raise SourceError(
                        f"{self.path}: line {line}: {dotted((*place, name))}: stands here twice, first on line {seen[name]}"
                    )
                seen[name] = line
                self._check_keys(value, (*place, name))

    def line(self, place: Place) -> int:
        """The line of a place; of one that does not exist, that of what it would stand in."""
        node: yaml.Node = self._root
        line = 1
        for part in place:
            if isinstance(node, yaml.MappingNode):
                found = [(key, value) for key, value in node.value if key.value == part]
                if not found:
                    break
                line, node = found[0][0].start_mark.line + 1, found[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                break
        return line

    def at(self, place: Place, message: str) -> str:
        """The sentence with its file and line."""
        return f"{self.path}: line {self.line(place)}: {message}"


def dotted(place: Place) -> str:
    """A place as people write it: properties.3.name."""
    return ".".join(str(part) for part in place)


def nearest(word: object, known: list[str]) -> str:
    """What was probably meant, or what there is, as the end of a sentence."""
    close = difflib.get_close_matches(str(word), known, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; write one of {', '.join(known)}" if known else ""


def told(source: Source, issue: dict[str, Any], model: type[BaseModel]) -> str:
    """An error of pydantic as a sentence: file, line, place, what is wrong, what to write."""
    place: Place = issue["loc"]
    match issue["type"]:
        case "contract":
            place = issue["ctx"]["place"]
            message = issue["ctx"]["message"]
        case "extra_forbidden":
            known = list(_model_at(model, place[:-1]).model_fields)
            hint = nearest(place[-1], known)
            if "did you mean" in hint:
                hint += f" There are {', '.join(known)}."
            message = f"there is no such key{hint}"
        case "missing":
            about = _model_at(model, place[:-1]).model_fields[str(place[-1])].description
            message = "is missing; write it" + (f": {about}" if about else "")
        case "literal_error":
            allowed = [word.strip(" '") for word in issue["ctx"]["expected"].replace(" or ", ", ").split(",")]
            close = difflib.get_close_matches(str(issue["input"]), allowed, n=1)
            message = f"is {issue['input']!r}; write {issue['ctx']['expected']}" + (
                f"; did you mean '{close[0]}'?" if close else ""
            )
        case "string_pattern_mismatch":
            message = f"is {issue['input']!r}; {_SHAPES.get(str(place[-1]), 'it must match ' + issue['ctx']['pattern'])}"
        case _:
            message = f"is {issue['input']!r}: {issue['msg'].removeprefix('Value error, ')}"
    is_said = not place or (issue["type"] == "contract" and len(place) == 1)  # the message names the key itself
    return source.at(place, message if is_said else f"{dotted(place)}: {message}")


_SHAPES = {
    "name": "write lower case letters, digits and _, beginning with a letter",
    "to": "write feed and column, like persons.person_id",
}


def _model_at(model: type[BaseModel], place: Place) -> type[BaseModel]:
    """The model of the mapping at a place."""
    for part in place:
        if isinstance(part, str):
            kind = model.model_fields[part].annotation
            while not (isinstance(kind, type) and issubclass(kind, BaseModel)):
                arguments = [a for a in typing.get_args(kind) if a not in (Ellipsis, types.NoneType)]
                kind = arguments[0]
            model = kind
    return model
