"""Spoil documents as accident and ill will do, and tell a sentence from a fault of the program."""

import re

from hypothesis import strategies as st

WORDS = (
    *(
        "!!float .",
        "!!timestamp 2026-02-30",
        "!!int ''",
        "!!binary x",
        "!!python/object:os.system x",
        "!<x> y",
        "2026-02-30",
        "0001-01-01",
    ),
    *(
        "9999-12-31",
        "2026-02-01T25:00:00",
        "9999-12-31T23:59+14:00",
        "0001-01-01T00:00-12:00",
        "9" * 5000,
        "-" + "9" * 5000,
        "1e999",
    ),
    *(
        ".inf",
        "-.inf",
        ".nan",
        "nan",
        "inf",
        "-inf",
        "1e308",
        "-1e308",
        "1e-320",
        "0",
        "-0.0",
        "-1",
        "1.5",
        "1_0",
        "0x1F",
        "020",
        "²",
        "٣",
    ),
    *(
        "true",
        "false",
        "yes",
        "null",
        "~",
        '""',
        "[]",
        "{}",
        "[[]]",
        "{a: b}",
        "? a",
        "<<: *a",
        "&a",
        "*a",
        "- ",
        ": ",
        "|",
        ">",
        "---",
        "...",
    ),
    *(
        "{[a]: b}",
        "{1: a, true: b}",
        "%YAML 1.1",
        "%TAG ! x",
        "\t",
        "\r",
        "\u2028",
        "\ufeff",
        "\u202e",
        "\u200b",
        "é",
        "µ",
        "🧬",
    ),
    *(
        '"\\ud800"',
        '"\\x00"',
        '"\\e[31m"',
        "\x1b[31m",
        "\x00",
        "\x07",
        "\x85",
        "=cmd|' /C calc'!A0",
        "+1+1",
        "@SUM(A1)",
        "-1w",
        "../../x",
        "/dev/zero",
    ),
    *(
        "a*a*a*a*a*a*a*a*b",
        "**/**/**",
        "[z-a]",
        "[!x]",
        "a" * 3000,
        '"',
        "'",
        ",",
        ";",
        "\n",
        "\n\n\n",
        "<",
        ">",
        "&",
        "&amp;",
        "&#0;",
        "&lol;",
    ),
    *(
        "]]>",
        "<![CDATA[",
        "<!--",
        "<?xml?>",
        "<!DOCTYPE x>",
        "<a/>",
        "NaN",
        "Infinity",
        "root",
        ".",
        "..",
        "FCS",
        "uncompensated",
        "Time",
        "FSC-A",
    ),
)
"""What broke one reader or another, in this program or elsewhere."""
_INTERNALS = re.compile(
    r"Traceback|\b[A-Z]\w*Error\b|Exception|<class|object at 0x|NoneType|np\."
    r"|errors\.pydantic|_ElementTree|list index|dtype"
)
LONGEST_SENTENCE = 1500


def check_sentence(told: str) -> None:
    """Assert that each line is a printable sentence of bearable length, without Python's inside."""
    for line in told.split("\n"):
        assert line.strip(), told
        assert line.isprintable(), repr(line)
        assert len(line) <= LONGEST_SENTENCE, f"{len(line)} letters: {line[:300]}"
        assert not _INTERNALS.search(line), line


@st.composite
def spoiled(draw: st.DrawFn, *documents: bytes) -> bytes:
    """Draw a valid document with one to four faults: in its bytes, words, lines or ends."""
    content = draw(st.sampled_from(documents))
    for _ in range(draw(st.integers(1, 4))):
        content = draw(
            st.sampled_from([_flip, _word, _word, _word, _value, _value, _value, _line, _cut])
        )(draw, content)
    return content


def _flip(draw: st.DrawFn, content: bytes) -> bytes:
    at = draw(st.integers(0, max(len(content) - 1, 0)))
    return content[:at] + bytes([draw(st.integers(0, 255))]) + content[at + 1 :]


def _word(draw: st.DrawFn, content: bytes) -> bytes:
    """Splice a word in anywhere."""
    at = draw(st.integers(0, len(content)))
    return (
        content[:at] + draw(st.sampled_from(WORDS)).encode("utf-8", "surrogatepass") + content[at:]
    )


def _value(draw: st.DrawFn, content: bytes) -> bytes:
    """Put another word in the place of one that is a name or a value."""
    places = [found.span() for found in re.finditer(rb"[\w.+@-]+", content)]
    if not places:
        return content
    start, end = draw(st.sampled_from(places))
    return (
        content[:start]
        + draw(st.sampled_from(WORDS)).encode("utf-8", "surrogatepass")
        + content[end:]
    )


def _line(draw: st.DrawFn, content: bytes) -> bytes:
    """Take a line out, write it twice, or move it."""
    lines = content.splitlines(keepends=True) or [b""]
    at, to = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    line = lines[at]
    kind = draw(st.sampled_from(["out", "twice", "moved"]))
    if kind != "twice":
        del lines[at]
    if kind != "out":
        lines.insert(to, line)
    return b"".join(lines)


def _cut(draw: st.DrawFn, content: bytes) -> bytes:
    start, end = sorted(draw(st.integers(0, len(content))) for _ in range(2))
    return content[:start] + content[end:] if draw(st.booleans()) else content[start:end]
