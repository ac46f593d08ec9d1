"""Read the text of a YAML file into nodes that know their lines, within bounds.

Settings, panels and strategies are short and flat. A file that is long, nested without end, or
makes much of little (an alias that is repeated in what is repeated) is refused before it is built
up, so that no file can stop a night.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from panels.files.yaml_scalars import Scalar, meaning, shortened
from panels.text.printable import printable

MOST_BYTES = 400_000
MOST_LEVELS = 50
MOST_VALUES = 10_000
"""About three seconds of reading; the largest shipped strategy has a thousand."""

KEPT_DOCUMENTS = 32
"""More than a study reads: its settings, and the panels and strategies in use."""

Place = tuple[int | str, ...]
Content = Any
"""Mappings, lists and scalars."""

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({None, "!", f"{_TAG}str"})
_KIND_TAGS = {"list": f"{_TAG}seq", "mapping": f"{_TAG}map"}
_MERGE = "<<"
_UNWRITABLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f"
    r"\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Control characters, marks that turn the direction of reading, and halves of letters."""
_UNWRITABLE_SENTENCE = (
    "'{}' holds a character that is no letter (a control character or the half of one). "
    "Write it again without."
)


class YamlProblem(ValueError):
    """What keeps a file from being read.

    ``line`` counts from 1, and is None where the sentence is about the whole file.
    """

    def __init__(self, sentence: str, line: int | None) -> None:
        super().__init__(sentence, line)
        self.sentence = sentence
        self.line = line

    def __str__(self) -> str:
        """Give the sentence alone."""
        return self.sentence


@dataclass(slots=True, eq=False)
class Node:
    """One value of a file: a scalar, a list or a mapping.

    A scalar has a ``word`` (``plain``: without quotes), a list ``items``, a mapping ``pairs``.
    ``begin`` and ``end`` are where a scalar stands in the text. ``key`` is one whose value has not
    come yet. ``size`` is the number of values it stands for, those that aliases repeat counted each
    time. ``whole`` tells that its end has been read.
    """

    kind: str
    line: int
    word: str = ""
    plain: bool = False
    items: list["Node"] = field(default_factory=list)
    pairs: list[tuple["Node", "Node"]] = field(default_factory=list)
    key: "Node | None" = None
    size: int = 1
    whole: bool = False
    begin: int = 0
    end: int = 0


@lru_cache(maxsize=KEPT_DOCUMENTS)
def compose(text: str, most_values: int = MOST_VALUES) -> Node | None:
    """Read the one document of a text; None when it is empty. Raises YamlProblem.

    The same text gives the same nodes, which nobody changes: to parse a strategy takes 0.2 s, and
    every tube asks for the panels and strategies in use.
    """
    try:
        return _compose(YAML(typ="safe", pure=True).parse(text), most_values)
    except MarkedYAMLError as error:
        raise _in_words(error) from error
    except YamlProblem:
        raise
    except YAMLError as error:
        message = (str(error).splitlines() or ["it cannot be read"])[0]
        raise YamlProblem(f"not valid YAML: {message}.", None) from error
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        # The parser meets some of what is no YAML with an error of its own making.
        raise YamlProblem(
            "not valid YAML: it holds a character or an escape that cannot be read.", None
        ) from error


def _compose(events: Iterator[Any], most_values: int) -> Node | None:
    root: Node | None = None
    open_nodes: list[Node] = []
    anchors: dict[str, Node] = {}
    documents = 0
    for event in events:
        documents += isinstance(event, DocumentStartEvent)
        if documents > 1:
            sentence = (
                "a second document begins here ('---'). Remove the line, or all that follows it."
            )
            raise YamlProblem(sentence, _line(event))
        if isinstance(event, CollectionEndEvent):
            open_nodes.pop().whole = True
        if not isinstance(event, NodeEvent):
            continue
        node = _node_of(event, anchors)
        root = root or node
        _add(open_nodes, node)
        if root.size > most_values:
            raise YamlProblem(_too_many(most_values), node.line)
        if not node.whole:
            _open(open_nodes, node)
    return root


def _node_of(event: Any, anchors: dict[str, Node]) -> Node:
    """Give the node that an event begins, or the one that an alias repeats."""
    if not isinstance(event, AliasEvent):
        node = _begun(event)
        if event.anchor:
            anchors[event.anchor] = node
        return node
    repeated = anchors.get(str(event.anchor))
    if repeated is None or not repeated.whole:
        sentence = (
            f"the alias '*{event.anchor}' stands for nothing, or for what it is a part of. "
            f"Write it out."
        )
        raise YamlProblem(sentence, _line(event))
    return repeated


def _open(open_nodes: list[Node], node: Node) -> None:
    """Enter a list or mapping, so that the nodes that follow are put into it."""
    open_nodes.append(node)
    if len(open_nodes) > MOST_LEVELS:
        sentence = f"more than {MOST_LEVELS} levels of lists and mappings. Is a bracket not closed?"
        raise YamlProblem(sentence, node.line)


def _begun(event: Any) -> Node:
    """Make the node that an event begins; a scalar is whole at once."""
    line = _line(event)
    if isinstance(event, ScalarEvent):
        if event.tag not in _TEXT_TAGS:
            raise YamlProblem(_tag_refused(str(event.tag)), line)
        if _UNWRITABLE.search(event.value):
            word = printable(shortened(event.value))
            raise YamlProblem(_UNWRITABLE_SENTENCE.format(word), line)
        return Node(
            "scalar",
            line,
            word=event.value,
            plain=event.tag is None and event.style is None,
            whole=True,
            begin=int(event.start_mark.index),
            end=int(event.end_mark.index),
        )
    kind = "list" if isinstance(event, SequenceStartEvent) else "mapping"
    if event.tag not in {None, "!", _KIND_TAGS[kind]}:
        raise YamlProblem(_tag_refused(event.tag), line)
    return Node(kind, line)


def _add(open_nodes: list[Node], node: Node) -> None:
    """Put a node into the list or mapping that is open.

    In a mapping the first of two nodes is the key of the second.
    """
    if not open_nodes:
        return
    inside = open_nodes[-1]
    if inside.kind == "list":
        inside.items.append(node)
    elif inside.key is not None:
        inside.pairs.append((inside.key, node))
        inside.key = None
    elif node.kind == "scalar":
        inside.key = node
    else:
        raise YamlProblem(
            "a key must be one word or number. Is a '?' or a bracket too many?", node.line
        )
    for each in open_nodes:
        each.size += node.size


def _too_many(most_values: int) -> str:
    return (
        f"the file stands for more than {most_values:,} values. Is it another file, or an alias "
        f"(*name) repeated in what is repeated?"
    )


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _tag_refused(tag: str) -> str:
    short = f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag
    return (
        f"'{short[:40]}' is a tag of YAML, which is not used here. Remove it; a text is written "
        f"in quotes."
    )


def _in_words(error: MarkedYAMLError) -> YamlProblem:
    """Put the parser's error into one line: what is wrong, where, and within what."""
    problem = " ".join(str(error.problem or error.context or "it cannot be read").split())
    begun = error.context_mark
    inside = hint = ""
    if error.context and begun:
        context = " ".join(str(error.context).split())
        inside = f" ({context} that begins in line {begun.line + 1})"
    if "\\t" in problem:
        hint = " Indent with spaces, not with tabs."
    mark = error.problem_mark or begun
    line = None if mark is None else int(mark.line) + 1
    return YamlProblem(f"not valid YAML: {problem}{inside}.{hint}", line)


def content_of(node: Node | None, days: frozenset[Place] = frozenset(), at: Place = ()) -> Content:
    """Give the value that a node stands for.

    ``days`` are the places where a day is expected, ``at`` is the place of the node. Raises
    YamlProblem, with the key, for what would be read otherwise than it looks.
    """
    if node is None:
        return None
    if node.kind == "list":
        return [content_of(each, days, (*at, number)) for number, each in enumerate(node.items)]
    if node.kind == "mapping":
        return _mapping(node, days, at)
    return _scalar(node, at, day=at in days)


def _scalar(node: Node, at: Place, *, day: bool = False) -> Scalar:
    if not node.plain:
        return node.word
    try:
        return meaning(node.word, day=day)
    except ValueError as error:
        raise YamlProblem(f"{_where(at)}{error}", node.line) from error


def _mapping(node: Node, days: frozenset[Place], at: Place) -> dict[Any, Content]:
    content: dict[Any, Content] = {}
    merged: dict[Any, Content] = {}
    lines: dict[str, int] = {}
    for key, value in node.pairs:
        if key.word in lines:
            sentence = (
                f"'{shortened(key.word)}' is given twice. Remove one. "
                f"What is set twice (first in line {lines[key.word]}) is not guessed at."
            )
            raise YamlProblem(f"{_where(at)}{sentence}", key.line)
        lines[key.word] = key.line
        if key.plain and key.word == _MERGE:
            sources = value.items if value.kind == "list" else [value]
            for each in reversed(sources):
                merged |= _mapping_of(each, days, at)
        else:
            name = _scalar(key, (*at, key.word))
            if name in content:
                sentence = (
                    f"'{shortened(key.word)}' is a key that is given already, in another way. "
                    f"Remove one."
                )
                raise YamlProblem(f"{_where(at)}{sentence}", key.line)
            content[name] = content_of(value, days, (*at, key.word))
    return merged | content


def _mapping_of(node: Node, days: frozenset[Place], at: Place) -> dict[Any, Content]:
    if node.kind != "mapping":
        raise YamlProblem(
            f"{_where(at)}'<<' takes in mappings only. Write out what is meant.", node.line
        )
    return _mapping(node, days, at)


def _where(at: Place) -> str:
    return f"{' → '.join(shortened(str(part)) for part in at)}: " if at else ""
