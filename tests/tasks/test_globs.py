"""A name with wildcards means what its regular expression meant, and its time has an end."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sheets.filename_pattern import compile_pattern
from tasks.sheets.globs import WILDCARD, glob_of
from tests.tasks.test_sheets import HEADER, read

PARTS = st.lists(
    st.sampled_from(["a", "b", "/", ".", "*", "**", "**/", "?", "[ab]", "[!a]", "[z-a]", "[a-b]"]),
    max_size=9,
).map("".join)
PATHS = st.text("ab/.", max_size=9)


def as_expression(pattern: str) -> re.Pattern[str]:
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    words = re.split(f"({WILDCARD.pattern})", pattern)
    parts = [
        known.get(word)
        or (word.replace("[!", "[^") if WILDCARD.fullmatch(word) else re.escape(word))
        for word in words
    ]
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern))


@given(PARTS, st.lists(PATHS, min_size=1, max_size=20))
def test_the_matcher_agrees_with_a_regular_expression(pattern: str, paths: list[str]) -> None:
    glob, expression = glob_of(pattern), as_expression(pattern)
    for path in paths:
        assert glob.matches(path) == bool(expression.fullmatch(path)), (pattern, path)


@pytest.mark.parametrize(
    "pattern",
    [
        "a*a*a*a*a*a*a*a*b",
        "**/a" * 60 + "b",
        "*a" * 400 + "b",
        "[a-b]*" * 100 + "c",
        "**" * 300 + "b",
    ],
)
def test_stars_without_end_take_no_time(tmp_path: Path, pattern: str) -> None:
    sheet = read(tmp_path, f'{HEADER}"{pattern}",P01,2026-02-07T08:30,tbnk,49713,,\n')
    begun = time.process_time()
    assert sheet.naming("a" * 255) == []
    assert sheet.naming("/".join(["a" * 40] * 20)) == []
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<patient>(a+)+)b",
        r"(?P<patient>(a|aa)*)b",
        r"(?P<patient>((a?){2,}))b",
        "(?P<patient>x" + "(a" * 300,
    ],
)
def test_a_pattern_that_may_never_end_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "{patient}_{visit}",
        r"(?P<patient>P\d+)_(?P<visit>D-?\d+)(?:_(?P<panel>\w+))?",
        r"(?P<patient>(?:ab){2}[)+]+)\)+",
    ],
)
def test_usual_patterns_are_read(pattern: str) -> None:
    assert compile_pattern(pattern).groupindex
