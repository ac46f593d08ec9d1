"""Read a YAML document together with the line of each of its places, so that an error can name the line.

This is the one reader of settings, panels and strategies. What YAML would quietly read otherwise
than it looks is refused: a key set twice (the last would win), ``yes`` and ``on`` (which YAML takes
for true, and a number for 1), and ``0700`` (which it takes for 448).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from panels.files.user_file import NotReadable, read_user_file
from panels.files.yaml_nodes import MOST_BYTES, MOST_VALUES, Node, YamlProblem, compose, content_of
from panels.text.errors import UsageFault
from panels.text.printable import LONGEST_SENTENCE, printable, shown
from panels.text.spelling import nearest

Place = Sequence[int | str]
At = tuple[int | str, ...]
Model = TypeVar("Model", bound=BaseModel)
MOST_REPEATED = 80
"""So many characters of what was written are repeated in a sentence."""


class Misfit(ValueError):
    """Say what is wrong in a document, and where: ``at`` leads from the top of the document to it (keys and places in lists)."""

    def __init__(self, sentence: str, at: tuple[int | str, ...]) -> None:
        # Both as arguments: errors come back from worker processes, made anew of their arguments.
        super().__init__(sentence, at)
        self.at = at

    def __str__(self) -> str:
        """Give the sentence alone."""
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A parsed YAML file: its content, and the nodes that know their lines."""

    path: Path
    content: Any
    root: Node | None

    def line(self, place: Place) -> int:
        """Give the line (from 1) of a place, or of the nearest above it that is there."""
        node, line = self.root, 1
        for part in place:
            if (
                node is not None
                and node.kind == "list"
                and isinstance(part, int)
                and part < len(node.items)
            ):
                node = node.items[part]
                line = node.line
                continue
            found = (
                next((pair for pair in node.pairs if pair[0].word == str(part)), None)
                if node
                else None
            )
            if found is None:
                break
            line, node = found[0].line, found[1]
        return line

    def keys(self) -> Iterator[tuple[str, int]]:
        """Give every key of the mappings within mappings as ``intake.mode``, with its line."""
        waiting = [("", self.root)]
        while waiting:
            above, node = waiting.pop()
            for key, value in node.pairs if node else ():
                yield f"{above}{key.word}", key.line
                waiting.append((f"{above}{key.word}.", value))

    def words(self, place: Place) -> str:
        """Name a place in words: gates, populations and markers in a list by their names."""
        words, content = [], self.content
        for part in place:
            listed = dict(enumerate(content)) if isinstance(content, list) else content
            content = listed.get(part) if isinstance(listed, Mapping) else None
            named = content if isinstance(part, int) and isinstance(content, Mapping) else {}
            names = (named[key] for key in ("gate", "id", "marker") if key in named)
            words.append(shown(str(next(names, part))))
        return " → ".join(words)

    def sentence(self, place: Place, told: str) -> str:
        """Say something of a place: file, line, words and what is to be said."""
        words = self.words(place)
        return self._said(place, f"{words + ': ' if words else ''}{told}")

    def validate(self, model: type[Model], fault: type[UsageFault]) -> Model:
        """Make a model of the content; raises ``fault`` naming file, line, place, what is expected and what was meant most likely."""
        try:
            found = model.model_validate(self.content)
        except ValidationError as error:
            # A misspelt key is both unknown and missing; what was written tells more.
            first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
            cause = first.get("ctx", {}).get("error")
            if isinstance(cause, Misfit):
                raise self.fault_of(cause, fault) from error
            raise fault(self.sentence(first["loc"], _told(model, first))) from error
        self.refuse_truths(found, fault)
        return found

    def refuse_truths(self, found: BaseModel, fault: type[UsageFault]) -> None:
        """Raise ``fault`` where ``true`` or ``false`` was taken for the number 1 or 0."""
        at = _truth_as_number(found, self.content, ())
        if at is not None:
            raise fault(self.sentence(at, "a number is expected here, not true or false"))

    def fault_of(self, misfit: Misfit, fault: type[UsageFault]) -> UsageFault:
        """Put a finding into words: it names its place itself, so only file and line are added."""
        return fault(self._said(misfit.at, str(misfit)))

    def _said(self, place: Place, told: str) -> str:
        end = "" if told.endswith("?") else "."
        return f"{self.path}, line {self.line(place)}: {shown(told, LONGEST_SENTENCE)}{end}"


def read_yaml(
    path: Path,
    fault: type[UsageFault],
    *,
    days: Sequence[tuple[str, ...]] = (),
    most_values: int = MOST_VALUES,
) -> YamlDocument:
    """Read a YAML file; raises ``fault`` naming file and line for what is no YAML or would be read otherwise than it looks.

    ``days`` are the places where a day is expected; it is given as text. A file of more than
    ``most_values`` is refused.
    """
    try:
        written = read_user_file(path, MOST_BYTES)
    except NotReadable as error:
        raise fault(f"{path}: {error}") from error
    if written.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise fault(f"{path}: the file is saved as UTF-16 ('Unicode'). Save it as UTF-8.")
    try:
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = written[: error.start].count(b"\n") + 1
        raise fault(
            f"{path}, line {line}: the file is not UTF-8 text. Save it as UTF-8."
        ) from error
    return parse_yaml(text, path, fault, days=days, most_values=most_values)


def parse_yaml(
    text: str,
    path: Path,
    fault: type[UsageFault],
    *,
    days: Sequence[tuple[str, ...]] = (),
    most_values: int = MOST_VALUES,
) -> YamlDocument:
    """Read the text of a YAML file as ``read_yaml`` does; ``path`` is what it is called in sentences."""
    try:
        root = compose(text, most_values)
        return YamlDocument(path, content_of(root, frozenset(days)), root)
    except YamlProblem as problem:
        place = f"{path}" if problem.line is None else f"{path}, line {problem.line}"
        raise fault(f"{place}: {printable(problem.sentence)}") from problem


def repeated(value: object) -> str:
    """Write what somebody wrote as it is repeated in a sentence."""
    told = repr(value)
    return told if len(told) <= MOST_REPEATED else f"{told[:MOST_REPEATED]}…"


def _told(model: type[BaseModel], error: ErrorDetails) -> str:
    kind, last = error["type"], str(error["loc"][-1]) if error["loc"] else ""
    if kind == "extra_forbidden":
        known = _keys_at(model, error["loc"][:-1])
        return f"there is no such key{nearest(last, known) or '; known are: ' + ', '.join(known)}"
    if kind == "missing":
        return "this is missing"
    message = error["msg"].removeprefix("Value error, ")
    told = f"{message[:1].lower()}{message[1:]}"
    if kind == "value_error":
        return told
    if kind == "literal_error":
        near = nearest(
            str(error["input"]),
            re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", ""))),
        )
        return f"{told} (it is {repeated(error['input'])}){near}"
    if kind == "string_pattern_mismatch" and "A-Za-z" in str(
        error.get("ctx", {}).get("pattern", "")
    ):
        told = "a name of letters, digits and '_' is expected, not beginning with a digit"
    return f"{told} (it is {repeated(error['input'])})"


def _truth_as_number(found: Any, written: Any, at: At) -> At | None:
    """Find a place where true or false was written and a number was made of it."""
    if isinstance(written, bool):
        return at if isinstance(found, int | float) and not isinstance(found, bool) else None
    listed = enumerate(written if isinstance(written, list) else ())
    parts = written.items() if isinstance(written, dict) else listed
    places = (_truth_as_number(_part(found, key), each, (*at, key)) for key, each in parts)
    return next((place for place in places if place is not None), None)


def _part(found: Any, key: Any) -> Any:
    """Give what was made of the part of a document; None where there is no such part any more."""
    if isinstance(found, BaseModel):
        return getattr(found, str(key), None)
    if isinstance(found, Mapping):
        return found.get(key)
    if isinstance(found, tuple | list) and isinstance(key, int) and key < len(found):
        return found[key]
    return None


def _keys_at(model: type[BaseModel], place: Place) -> list[str]:
    """List the keys that a place of a document may have, going down the models' fields."""
    kind: Any = model
    for part in place:
        models = _models(kind)
        fields = [
            each.model_fields[str(part)].annotation
            for each in models
            if str(part) in each.model_fields
        ]
        kind = next(
            iter(
                fields
                or [each for member in _members(kind) for each in get_args(member) if _models(each)]
            ),
            None,
        )
    return [name for each in _models(kind) for name in each.model_fields]


def _models(kind: Any) -> list[type[BaseModel]]:
    return [
        each for each in _members(kind) if isinstance(each, type) and issubclass(each, BaseModel)
    ]


def _members(kind: Any) -> list[Any]:
    """List a type and, of a union, its members."""
    return list(get_args(kind)) if get_origin(kind) in {Union, UnionType} else [kind]
