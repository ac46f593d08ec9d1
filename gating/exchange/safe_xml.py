"""Read XML that came from outside: bounded in size, without entities, fetching nothing.

A document is checked before a parser that follows it reads it. One with a DOCTYPE is refused,
because entities (a billion laughs, a file or an address read into the document) can only be
declared there; neither Gating-ML nor FlowJo writes one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.parsers import expat

from gating.strategy.bounds import MOST_TAGS
from panels.files.user_file import MEGABYTE, NotReadable, TooLarge, read_user_file
from panels.text.errors import StrategyFault
from panels.text.printable import one_line

if TYPE_CHECKING:
    from lxml import etree

MOST_BYTES = 100 * MEGABYTE
MOST_MARKS = 4_000_000
"""Tags and attributes together: each costs a parser some 100 bytes; real workspaces have about 4 in
100 bytes."""
LONGEST_PROLOGUE = 2**20
_PIECE = 2**16


class _Declared(Exception):
    """The document declares a type, and could declare entities with it."""


class _Begun(Exception):
    """The first element was reached, whose name this holds: nothing can be declared after it."""


def read_xml(path: Path) -> etree._Element:
    """Parse a document that cannot harm: no DOCTYPE, at most 100 MB, no network, no other file.

    Raises StrategyFault with a sentence for anything else.
    """
    from lxml import etree

    content = _content(path)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        place = f"{path}, line {error.lineno}"
        raise StrategyFault(f"{place}: not well-formed XML: {one_line(error.msg)}.") from error
    except (LookupError, ValueError) as error:
        raise StrategyFault(f"{path}: not well-formed XML: {one_line(error)}.") from error
    if root is None:
        raise StrategyFault(f"{path}: not an XML document: it has no element.")
    return root


def _content(path: Path) -> bytes:
    try:
        content = read_user_file(path, MOST_BYTES)
    except FileNotFoundError as error:
        raise StrategyFault(f"{path}: there is no such file.") from error
    except TooLarge as error:
        raise StrategyFault(
            f"{path}: {error} Of a workspace, save one sample and import that."
        ) from error
    except NotReadable as error:
        raise StrategyFault(f"{path}: {error}") from error
    _check_size(path, content)
    return content


def _check_size(path: Path, content: bytes) -> None:
    """Refuse a document with more tags and attributes than gating needs."""
    first = _first_element(path, content)
    marks = content.count(b"<") + content.count(b"=")
    if first.rpartition(":")[2] != "Workspace" and marks > MOST_TAGS:
        raise StrategyFault(
            f"{path}: has {marks:,} tags and attributes, more than a gating document "
            f"({MOST_TAGS:,} at most)."
        )
    if marks > MOST_MARKS:
        raise StrategyFault(
            f"{path}: has millions of tags, more than a gating document. Save a workspace "
            f"with one sample and import that."
        )


def _first_element(path: Path, content: bytes) -> str:
    """Give the name of the first element, by a parser that stops at a DOCTYPE before using it."""
    parser = expat.ParserCreate()
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartDoctypeDeclHandler = _declared
    parser.StartElementHandler = _begun
    try:
        for start in range(0, min(len(content), LONGEST_PROLOGUE), _PIECE):
            parser.Parse(content[start : start + _PIECE], False)
    except _Begun as begun:
        return str(begun)
    except _Declared:
        raise StrategyFault(
            f"{path}: has a DOCTYPE, which can read other files or never end. Gating "
            f"documents need none: remove it."
        ) from None
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code) or "it cannot be read"
        remedy = " Save it as UTF-8." if "encoding" in reason else ""
        place = f"{path}, line {error.lineno}"
        raise StrategyFault(f"{place}: not well-formed XML: {reason}.{remedy}") from error
    except (LookupError, ValueError) as error:
        # Python's codecs decode what the parser cannot, and raise errors of several kinds.
        raise StrategyFault(
            f"{path}: declares an encoding that cannot be read ({one_line(error)}). "
            f"Save it as UTF-8."
        ) from error
    raise StrategyFault(
        f"{path}: not an XML document: no element in its first "
        f"{min(len(content), LONGEST_PROLOGUE):,} bytes."
    )


def _declared(*_declaration: object) -> None:
    raise _Declared


def _begun(name: str, _attributes: dict[str, str]) -> None:
    raise _Begun(name)
