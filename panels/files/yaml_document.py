"""Read a YAML document together with the line of each value, so that an error can name it.

This is the one reader of settings, panels and strategies. What YAML would quietly read otherwise
than it looks is refused: a key set twice (the last would win), ``yes`` and ``on`` (which YAML takes
for true, and a number for 1), and ``0700`` (which it takes for 448).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
"""Characters of a value that a sentence repeats."""


class Misfit(ValueError):
    """What is wrong in a document, and where.

    ``at`` leads from the top of the document to it: keys, and places in lists.
    """

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
            child = _child(node, part)
            if child is None:
                break
            node, line = child
        return line

    def span(self, place: Place) -> tuple[int, int] | None:
        """Give where a scalar begins and ends in the text; None where none is written there."""
        node = self.root
        for part in place:
            child = _child(node, part)
            if child is None:
                return None
            node = child[0]
        return (node.begin, node.end) if node is not None and node.kind == "scalar" else None

    def keys(self) -> Iterator[tuple[str, int]]:
        """Give every key of the mappings within mappings as ``intake.mode``, with its line."""
        if self.root is None:
            return
        waiting = [("", self.root)]
        while waiting:
            above, node = waiting.pop()
            for key, value in node.pairs:
                yield f"{above}{key.word}", key.line
                waiting.append((f"{above}{key.word}.", value))

    def words(self, place: Place) -> str:
        """Name a place in words: gates, populations and markers in a list by their names."""
        words, content = [], self.content
        for part in place:
            content = _content_at(content, part)
            words.append(shown(str(_name_in_list(content, part))))
        return " → ".join(words)

    def sentence(self, place: Place, message: str) -> str:
        """Put file, line and words of a place before a message."""
        words = self.words(place)
        return self._located(place, f"{words}: {message}" if words else message)

    def validate(self, model: type[Model], fault: type[UsageFault]) -> Model:
        """Make a model of the content.

        Raises ``fault`` naming file, line, place, what is expected and what was meant most likely.
        """
        try:
            validated = model.model_validate(self.content)
        except ValidationError as error:
            # A misspelt key is both unknown and missing; what was written tells more.
            first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
            cause = first.get("ctx", {}).get("error")
            if isinstance(cause, Misfit):
                raise self.fault_of(cause, fault) from error
            raise fault(self.sentence(first["loc"], _described(model, first))) from error
        self.refuse_truths(validated, fault)
        return validated

    def refuse_truths(self, validated: BaseModel, fault: type[UsageFault]) -> None:
        """Raise ``fault`` where ``true`` or ``false`` was taken for the number 1 or 0."""
        at = _truth_as_number(validated, self.content, ())
        if at is not None:
            raise fault(self.sentence(at, "a number is expected here, not true or false"))

    def fault_of(self, misfit: Misfit, fault: type[UsageFault]) -> UsageFault:
        """Make a fault of a misfit, whose sentence names the place: add only file and line."""
        return fault(self._located(misfit.at, str(misfit)))

    def _located(self, place: Place, message: str) -> str:
        end = "" if message.endswith("?") else "."
        return f"{self.path}, line {self.line(place)}: {shown(message, LONGEST_SENTENCE)}{end}"


def _child(node: Node | None, part: int | str) -> tuple[Node, int] | None:
    """Give the part of a list or mapping, and its line; None where there is no such part."""
    if node is None:
        return None
    if node.kind == "list" and isinstance(part, int) and part < len(node.items):
        return node.items[part], node.items[part].line
    for key, value in node.pairs:
        if key.word == str(part):
            return value, key.line
    return None


def _content_at(content: Any, part: int | str) -> Any:
    """Give the part of a list or mapping; None where there is no such part."""
    if isinstance(content, list):
        content = dict(enumerate(content))
    return content.get(part) if isinstance(content, Mapping) else None


def _name_in_list(content: Any, part: int | str) -> Any:
    """Give the name by which a mapping in a list is known; ``part`` where it has none."""
    if isinstance(part, int) and isinstance(content, Mapping):
        for key in ("gate", "id", "marker"):
            if key in content:
                return content[key]
    return part


def read_yaml(
    path: Path,
    fault: type[UsageFault],
    *,
    days: Sequence[tuple[str, ...]] = (),
    most_values: int = MOST_VALUES,
) -> YamlDocument:
    """Read a YAML file.

    ``days`` are the places where a day is expected; it is given as text. A file of more than
    ``most_values`` is refused. Raises ``fault`` naming file and line for what is no YAML or would
    be read otherwise than it looks.
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
    """Read the text of a YAML file as ``read_yaml`` does; ``path`` names it in sentences."""
    try:
        root = compose(text, most_values)
        return YamlDocument(path, content_of(root, frozenset(days)), root)
    except YamlProblem as problem:
        place = str(path)
        if problem.line is not None:
            place = f"{path}, line {problem.line}"
        raise fault(f"{place}: {printable(problem.sentence)}") from problem


def repeated(value: object) -> str:
    """Repeat a value in a sentence, as Python writes it and not at length."""
    text = repr(value)
    return text if len(text) <= MOST_REPEATED else f"{text[:MOST_REPEATED]}…"


def _described(model: type[BaseModel], error: ErrorDetails) -> str:
    """Put an error of validation into words."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(model, error["loc"])
    if kind == "missing":
        return "this is missing"
    message = error["msg"].removeprefix("Value error, ")
    message = f"{message[:1].lower()}{message[1:]}"
    if kind == "value_error":
        return message
    written = repeated(error["input"])
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return f"{message} (it is {written}){nearest(str(error['input']), allowed)}"
    if kind == "string_pattern_mismatch" and "A-Za-z" in str(context.get("pattern", "")):
        message = "a name of letters, digits and '_' is expected, not beginning with a digit"
    return f"{message} (it is {written})"


def _unknown_key(model: type[BaseModel], place: Place) -> str:
    known = _keys_at(model, place[:-1])
    meant = nearest(str(place[-1]), known)
    return f"there is no such key{meant or '; known are: ' + ', '.join(known)}"


def _truth_as_number(validated: Any, written: Any, at: At) -> At | None:
    """Find a place where true or false was written and a number was made of it."""
    if isinstance(written, bool):
        is_number = isinstance(validated, int | float) and not isinstance(validated, bool)
        return at if is_number else None
    for key, each in _parts(written):
        place = _truth_as_number(_part(validated, key), each, (*at, key))
        if place is not None:
            return place
    return None


def _parts(written: Any) -> Iterable[tuple[Any, Any]]:
    """Give the keys and values of a mapping, or the places and values of a list."""
    if isinstance(written, dict):
        return written.items()
    return enumerate(written) if isinstance(written, list) else ()


def _part(validated: Any, key: Any) -> Any:
    """Give what was made of the part of a document; None where there is no such part any more."""
    if isinstance(validated, BaseModel):
        return getattr(validated, str(key), None)
    if isinstance(validated, Mapping):
        return validated.get(key)
    if isinstance(validated, tuple | list) and isinstance(key, int) and key < len(validated):
        return validated[key]
    return None


def _keys_at(model: type[BaseModel], place: Place) -> list[str]:
    """List the keys that a place of a document may have, going down the models' fields."""
    kind: Any = model
    for part in place:
        kind = _kind_of_part(kind, str(part))
    return [name for each in _models(kind) for name in each.model_fields]


def _kind_of_part(kind: Any, part: str) -> Any:
    """Give the type of a field of a model, or that of the models in a list or mapping."""
    for model in _models(kind):
        if part in model.model_fields:
            return model.model_fields[part].annotation
    inner = [each for member in _members(kind) for each in get_args(member)]
    return next((each for each in inner if _models(each)), None)


def _models(kind: Any) -> list[type[BaseModel]]:
    return [
        each for each in _members(kind) if isinstance(each, type) and issubclass(each, BaseModel)
    ]


def _members(kind: Any) -> list[Any]:
    """List a type and, of a union, its members."""
    return list(get_args(kind)) if get_origin(kind) in {Union, UnionType} else [kind]
