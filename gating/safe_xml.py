"""Read XML that came from outside: bounded in size, without entities, and without anything fetched because it says so.

A document is looked at before a parser that follows it may see it. One with a DOCTYPE is refused, because entities (a billion
laughs, a file or an address read into the document) can only be declared there; neither Gating-ML nor FlowJo writes one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.parsers import expat

from panels.errors import StrategyFault

if TYPE_CHECKING:
    from lxml import etree

MOST_BYTES = 128 * 2**20
MOST_MARKS = 4_000_000
"""Tags and attributes together: each costs a parser some 100 bytes; real workspaces have about 4 in 100 bytes."""
LONGEST_PROLOGUE = 2**20
_PIECE = 2**16


class _Declared(Exception):
    """The document declares a type, and could declare entities with it."""


class _Begun(Exception):
    """The first element was reached: nothing can be declared any more."""


def read_xml(path: Path) -> etree._Element:
    """Parse a document that cannot harm: no DOCTYPE, at most 128 MiB, no network, no other file.

    Raises StrategyFault with a sentence for anything else.
    """
    from lxml import etree

    content = _content(path)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, LookupError, ValueError) as error:
        raise StrategyFault(f"{path}: not well-formed XML: {error}") from error
    return root


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise StrategyFault(f"{path}: there is no such file.")
        if size > MOST_BYTES:
            raise StrategyFault(
                f"{path}: {size / 2**20:,.0f} MB is more than a gating document has ({MOST_BYTES // 2**20} MB at most). "
                "Save a workspace with one sample and import that."
            )
        content = path.read_bytes()
    except OSError as error:
        raise StrategyFault(f"{path}: {error.strerror or error}") from error
    if content.count(b"<") + content.count(b"=") > MOST_MARKS:
        raise StrategyFault(f"{path}: has millions of tags, more than a gating document. Save a workspace with one sample and import that.")
    _refuse_declarations(path, content)
    return content


def _refuse_declarations(path: Path, content: bytes) -> None:
    """Go through the prologue, up to the first element, with a parser that stops at a DOCTYPE before it acts on it."""
    parser = expat.ParserCreate()
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartDoctypeDeclHandler = _declared
    parser.StartElementHandler = _begun
    try:
        for start in range(0, min(len(content), LONGEST_PROLOGUE), _PIECE):
            parser.Parse(content[start : start + _PIECE], False)
    except _Begun:
        return
    except _Declared:
        raise StrategyFault(
            f"{path}: has a DOCTYPE, which can read other files or never end. Gating documents need none: remove it."
        ) from None
    except expat.ExpatError as error:
        raise StrategyFault(f"{path}: not well-formed XML: {error}") from error
    except (LookupError, ValueError) as error:
        # Python's codecs are asked for an encoding the parser does not know itself, and answer in ways of their own.
        raise StrategyFault(f"{path}: declares an encoding that cannot be read ({str(error)[:80]}). Save it as UTF-8.") from error
    raise StrategyFault(f"{path}: not an XML document: no element in its first {min(len(content), LONGEST_PROLOGUE):,} bytes.")


def _declared(*_declaration: object) -> None:
    raise _Declared


def _begun(_name: str, _attributes: dict[str, str]) -> None:
    raise _Begun
