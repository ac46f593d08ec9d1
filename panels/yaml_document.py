"""Read a YAML document together with the line of each of its places, so that an error can name the line.

What YAML would quietly read otherwise than it looks is refused: a key set twice (the last would win), ``yes`` and ``on`` (which
YAML takes for true, and a number for 1), and ``0700`` (which it takes for 448).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from panels.errors import UsageFault
from panels.spelling import nearest

Place = Sequence[int | str]
Model = TypeVar("Model", bound=BaseModel)
INTEGER, TRUTH = "tag:yaml.org,2002:int", "tag:yaml.org,2002:bool"


class Misfit(ValueError):
    """Say what is wrong in a document, and where: ``at`` leads from the top of the document to it (keys and places in lists)."""

    def __init__(self, sentence: str, at: tuple[int | str, ...]) -> None:
        super().__init__(sentence)
        self.at = at


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A parsed YAML file: its content, and the nodes that know their lines."""

    path: Path
    content: Any
    root: yaml.Node | None

    def line(self, place: Place) -> int:
        """Give the line (from 1) of a place, or of the nearest above it that is there."""
        node, line = self.root, 1
        for part in place:
            if isinstance(node, yaml.MappingNode):
                found = next(((key, value) for key, value in node.value if key.value == part), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                break
        return line

    def words(self, place: Place) -> str:
        """Name a place in words: gates, populations and markers in a list by their names."""
        words, content = [], self.content
        for part in place:
            listed = dict(enumerate(content)) if isinstance(content, list) else content
            content = listed.get(part) if isinstance(listed, Mapping) else None
            named = content if isinstance(part, int) and isinstance(content, Mapping) else {}
            words.append(str(next((named[key] for key in ("gate", "id", "marker") if key in named), part)))
        return " → ".join(words)

    def sentence(self, place: Place, told: str) -> str:
        """Say something of a place: file, line, words and what is to be said."""
        words = self.words(place)
        return f"{self.path}, line {self.line(place)}: {words + ': ' if words else ''}{told}{'' if told.endswith('?') else '.'}"

    def validate(self, model: type[Model], fault: type[UsageFault]) -> Model:
        """Make a model of the content; raises ``fault`` naming file, line, place, what is expected and what was meant most likely."""
        try:
            return model.model_validate(self.content)
        except ValidationError as error:
            # A misspelt key is both unknown and missing; what was written tells more.
            first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
            cause = first.get("ctx", {}).get("error")
            if isinstance(cause, Misfit):
                raise self.fault_of(cause, fault) from error
            raise fault(self.sentence(first["loc"], _told(model, first))) from error

    def fault_of(self, misfit: Misfit, fault: type[UsageFault]) -> UsageFault:
        """Put a finding into words: it names its place itself, so only file and line are added."""
        told = str(misfit)
        return fault(f"{self.path}, line {self.line(misfit.at)}: {told}{'' if told.endswith('?') else '.'}")


def read_yaml(path: Path, fault: type[UsageFault]) -> YamlDocument:
    """Read a YAML file; raises ``fault`` naming file and line for what is no YAML or would be read otherwise than it looks."""
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8-sig"))
        root = loader.get_single_node()
        for line, surprise in _surprises(root):
            raise fault(f"{path}, line {line}: {surprise}")
        return YamlDocument(path, None if root is None else loader.construct_document(root), root)
    except (yaml.YAMLError, RecursionError) as error:
        raise fault(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except UnicodeDecodeError as error:
        raise fault(f"{path}: the file is not UTF-8 text. Save it as UTF-8.") from error


def _surprises(root: yaml.Node | None) -> Iterator[tuple[int, str]]:
    waiting, seen = [root] if root else [], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        line = node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode):
            if node.tag == TRUTH and node.value.lower() not in {"true", "false"}:
                yield line, f"YAML takes '{node.value}' for true or false. Write it in quotes."
            if node.tag == INTEGER and not re.fullmatch(r"[-+]?(0|[1-9][0-9_]*)", node.value):
                yield line, f"YAML takes '{node.value}' for {yaml.safe_load(node.value)}. Write the number without leading zeros or ':'."
        elif isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            for number, key in enumerate(keys):
                if key in keys[:number]:
                    yield node.value[number][0].start_mark.line + 1, f"'{key}' is given twice. Remove one."
            waiting += [each for pair in node.value for each in pair]
        else:
            waiting += node.value


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
        near = nearest(str(error["input"]), re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", ""))))
        return f"{told} (it is {error['input']!r}){near}"
    if kind == "string_pattern_mismatch" and "A-Za-z" in str(error.get("ctx", {}).get("pattern", "")):
        told = "a name of letters, digits and '_' is expected, not beginning with a digit"
    return f"{told} (it is {error['input']!r})"


def _keys_at(model: type[BaseModel], place: Place) -> list[str]:
    """List the keys that a place of a document may have, going down the models' fields."""
    kind: Any = model
    for part in place:
        models = _models(kind)
        fields = [each.model_fields[str(part)].annotation for each in models if str(part) in each.model_fields]
        kind = next(iter(fields or [each for member in _members(kind) for each in get_args(member) if _models(each)]), None)
    return [name for each in _models(kind) for name in each.model_fields]


def _models(kind: Any) -> list[type[BaseModel]]:
    return [each for each in _members(kind) if isinstance(each, type) and issubclass(each, BaseModel)]


def _members(kind: Any) -> list[Any]:
    """List a type and, of a union, its members."""
    return list(get_args(kind)) if get_origin(kind) in {Union, UnionType} else [kind]
