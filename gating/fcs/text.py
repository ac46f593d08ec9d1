"""Find the data sets of an FCS file: their HEADER, their keywords and where their segments lie.

Written after the FCS 2.0, 3.0, 3.1 and 3.2 standards.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gating.fcs.keyword_numbers import whole_number
from gating.fcs.limits import MOST_TEXT_BYTES, refuse_endless, too_long
from gating.fcs.text_segment import PADDING, Pair, TextSegment, keywords_of, read_text_segment
from panels.text.errors import CutShort, UnreadableFile
from panels.text.quoting import quoted

VERSIONS = ("2.0", "3.0", "3.1", "3.2")
HEADER_BYTES = 58
LAST_HEADER_OFFSET = 99_999_999
"""The largest offset that a HEADER can hold: its fields have eight digits."""

Offsets = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set as its HEADER and TEXT describe it.

    Offsets count from its first byte, ``start``. ``keywords`` have upper-case names with their
    ``$``, ``spills`` all values of each spill keyword. ``padded`` tells that blanks stood around a
    keyword's name, ``irregular`` that HEADER or TEXT is written in a way the standard forbids.
    ``segments`` are first and last byte of what is not DATA.
    """

    start: int
    version: str
    header_offsets: Offsets
    keywords: Mapping[str, str]
    spills: Mapping[str, tuple[str, ...]]
    encoding: str
    padded: bool
    irregular: bool
    segments: Mapping[str, Offsets]
    problems: tuple[str, ...]

    @property
    def text_offsets(self) -> Offsets:
        """Give first and last byte of the events as TEXT states them, or zeros."""
        return _offsets(self.keywords, "DATA")


@dataclass(frozen=True, slots=True)
class _Header:
    """The HEADER of one data set."""

    version: str
    text: Offsets
    data: Offsets
    irregular: bool


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a data set is read from: the open file, its name and size, and the first byte."""

    file: BinaryIO
    name: str
    size: int
    start: int

    def read(self, offsets: Offsets) -> bytes:
        """Read from the first to the last byte of a segment."""
        self.file.seek(self.start + offsets[0])
        return self.file.read(offsets[1] - offsets[0] + 1)


def read_data_sets(path: Path) -> tuple[DataSet, ...]:
    """Read HEADER and TEXT of every data set of the file, in the order of ``$NEXTDATA``.

    Raises UnreadableFile with a sentence, and OSError when the file cannot be opened at all (a
    share that is gone).
    """
    size = path.stat().st_size
    if size == 0:
        raise CutShort(f"{path.name} is empty (0 bytes). Copy it again from the cytometer.")
    data_sets: list[DataSet] = []
    text_bytes = keywords = 0
    with path.open("rb") as file:
        for start in _starts(path.name, size, data_sets):
            latest = _read_data_set(_Source(file, path.name, size, start))
            data_sets.append(latest)
            text_bytes += sum(last - first + 1 for first, last in latest.segments.values())
            keywords += len(latest.keywords)
            refuse_endless(path.name, len(data_sets), text_bytes, keywords)
    return tuple(data_sets)


def _starts(name: str, size: int, data_sets: list[DataSet]) -> Iterator[int]:
    """Follow ``$NEXTDATA`` through a file; each data set must lie behind the one read before.

    ``data_sets`` are those read so far: the caller adds to them between two steps.
    """
    yield 0
    while True:
        latest = data_sets[-1]
        written = latest.keywords.get("$NEXTDATA", "0")
        step = whole_number(written)
        if step is None:
            raise UnreadableFile(
                f"{name}: $NEXTDATA is {quoted('$NEXTDATA', written)}, which is not a number of "
                f"bytes to go on by. Export the file again."
            )
        if step == 0:
            return
        firsts = (latest.header_offsets[0], latest.text_offsets[0])
        behind = max(*firsts, *(last for _, last in latest.segments.values()))
        start = latest.start + step
        if start + HEADER_BYTES > size:
            raise CutShort(
                f"{name} is cut short: it ends before a further data set it announces. "
                f"Copy it again."
            )
        if step <= behind:
            raise UnreadableFile(
                f"{name}: its data sets overlap ($NEXTDATA is {step}, but the data set at byte "
                f"{latest.start} reaches beyond that). Export each acquisition to a file of "
                f"its own."
            )
        yield start


def _read_data_set(source: _Source) -> DataSet:
    """Read HEADER, TEXT and supplemental TEXT of one data set."""
    header = _read_header(source)
    text = read_text_segment(source.name, _segment(source, header.text))
    _refuse_cut_text(source, header, text)
    supplement, offsets, problems = _read_supplement(source, dict(text.pairs), header.text)
    keywords, spills, repeated = keywords_of(source.name, [*text.pairs, *supplement])
    # fcsparser makes a list as long as $PAR, so an absurd one would fill the memory.
    if (whole_number(keywords.get("$PAR")) or 0) > len(keywords):
        raise UnreadableFile(
            f"{source.name} announces {int(keywords['$PAR'])} channels but describes fewer. "
            f"Copy it again from the cytometer."
        )
    primary = {"TEXT": (header.text[0], _last_byte(header, text, keywords))}
    return DataSet(
        start=source.start,
        version=header.version,
        header_offsets=header.data,
        keywords=keywords,
        spills=spills,
        encoding=text.encoding,
        padded=text.padded,
        irregular=header.irregular or text.irregular,
        segments=primary | offsets,
        problems=(*problems, *repeated),
    )


def _read_header(source: _Source) -> _Header:
    name = source.name
    raw = source.read((0, HEADER_BYTES - 1))
    version = raw[3:6].decode("ascii", errors="replace")
    if raw[:3] != b"FCS":
        where = f" at byte {source.start}" if source.start else ""
        raise UnreadableFile(
            f"{name} is not an FCS file: it does not begin with 'FCS'{where}. "
            f"Export it from the cytometer as FCS."
        )
    if version not in VERSIONS:
        is_version = re.fullmatch(r"[0-9]\.[0-9]", version)
        what = f"calls itself FCS{version}" if is_version else "does not name its version of FCS"
        raise UnreadableFile(
            f"{name} {what}. Only FCS {', '.join(VERSIONS)} can be read: export it as FCS 3.1."
        )
    if len(raw) < HEADER_BYTES:
        raise CutShort(
            f"{name} is cut short: it ends within its header. Copy it again from the cytometer."
        )
    fields = [raw[at : at + 8] for at in (10, 18, 26, 34)]
    # Some writers put stars or a negative number where an offset has more than eight digits.
    large = source.size > LAST_HEADER_OFFSET
    unsaid = [large and re.fullmatch(rb"[ \0]*[0-9]*[ \0]*", field) is None for field in fields]
    text = (_header_number(name, fields[0]), _header_number(name, fields[1]))
    first = 0 if unsaid[2] else _header_number(name, fields[2])
    last = 0 if unsaid[3] else _header_number(name, fields[3])
    return _Header(version, text, (first, last), irregular=any(unsaid))


def _header_number(name: str, field: bytes) -> int:
    """Read an 8-byte HEADER offset; a blank one, as old writers use for large files, is 0."""
    digits = field.strip(b" \0")
    if digits and not digits.isdigit():
        raise UnreadableFile(
            f"{name}: its header is damaged (an offset is not a number). "
            f"Copy it again from the cytometer."
        )
    return int(digits or b"0")


def _segment(source: _Source, offsets: Offsets) -> bytes:
    first, last = offsets
    if not HEADER_BYTES <= first < last:
        raise UnreadableFile(
            f"{source.name}: its header does not say where the keywords lie. "
            f"Export the file again from the cytometer."
        )
    if source.start + last >= source.size:
        raise CutShort(
            f"{source.name} is cut short: it ends within its keywords. "
            f"Copy it again from the cytometer."
        )
    if last - first >= MOST_TEXT_BYTES:
        raise too_long(source.name, MOST_TEXT_BYTES)
    return source.read(offsets)


def _refuse_cut_text(source: _Source, header: _Header, text: TextSegment) -> None:
    """Raise CutShort for a TEXT that is cut off within its last value.

    One that only lacks its last delimiter is whole: padding or another segment follows it, and DATA
    lies in the file.
    """
    if not text.unfinished:
        return
    first, last = header.text
    begins = [_offsets(dict(text.pairs), what)[0] for what in ("DATA", "ANALYSIS", "STEXT")]
    behind = last + 1
    if source.read((behind, behind)) == text.delimiter.encode():
        behind += 1  # the delimiter is there, but the HEADER leaves it out
    following = source.read((behind, behind))
    padded = first + text.length <= last or following == b"" or following in PADDING
    there = source.start + max(header.data[0], begins[0]) < source.size
    if not there or not (padded or behind in (header.data[0], *begins)):
        raise CutShort(
            f"{source.name}: its keywords are damaged or cut off. "
            f"Copy the file again from the cytometer."
        )


def _last_byte(header: _Header, text: TextSegment, keywords: Mapping[str, str]) -> int:
    """Give the last byte of TEXT; a HEADER that counts one byte too many means the one before.

    Then DATA begins on that byte, right behind the last delimiter.
    """
    first, last = header.text
    one_too_many = last in (header.data[0], _offsets(keywords, "DATA")[0])
    return last - 1 if one_too_many and first + text.length == last else last


def _read_supplement(
    source: _Source, keywords: Mapping[str, str], primary: Offsets
) -> tuple[tuple[Pair, ...], dict[str, Offsets], tuple[str, ...]]:
    """Read the supplemental TEXT, where labels and spill may lie; give its pairs and its place.

    One that cannot be read gives a sentence, and is not fatal.
    """
    offsets = _offsets(keywords, "STEXT")
    if offsets == primary or offsets[1] <= offsets[0] or offsets[0] == 0:
        return (), {}, ()
    try:
        supplement = read_text_segment(source.name, _segment(source, offsets))
    except UnreadableFile:
        sentence = (
            "The supplemental TEXT of this file cannot be read: "
            "labels or compensation stored there are missing."
        )
        return (), {}, (sentence,)
    return supplement.pairs, {"supplemental TEXT": offsets}, ()


def _offsets(keywords: Mapping[str, str], segment: str) -> Offsets:
    """Give first and last byte of a segment as TEXT states them, or zeros where it does not."""
    first, last = (whole_number(keywords.get(f"${end}{segment}")) for end in ("BEGIN", "END"))
    return first or 0, last or 0
