"""What the documentation says exists, and what exists is documented."""

import os
import re
from pathlib import Path

from hypothesis import settings

from flows.cli import COMMANDS
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.reasons import Why
from tasks.vocabulary.severity import JUDGED, severity_of

PROJECT = Path(__file__).resolve().parents[1]


def test_every_flag_is_documented_with_its_severity_and_its_sentences() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|$",
        (PROJECT / "docs" / "flags.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert rows == [
        (flag.value, severity_of(flag), flag.sentence, JUDGED[severity_of(flag)][flag])
        for flag in Flag
    ]


def test_every_reason_is_documented_with_its_own_sentence() -> None:
    rows = dict(
        re.findall(
            r"^\| `([\w-]+)` \| (.+) \|$",
            (PROJECT / "docs" / "reasons.md").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    assert rows == {why.value: why.sentence for why in Why}


def test_the_readme_names_every_command_and_only_pictures_that_exist() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    for place in COMMANDS:
        assert f"reconflow {place.partition(':')[2]}" in readme or place == "study_folder:demo"
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)
    assert pictures
    assert all((PROJECT / picture).is_file() for picture in pictures)


def test_the_readme_and_the_makefile_name_the_fuzz_and_its_budget() -> None:
    for page in ("README.md", "Makefile"):
        text = (PROJECT / page).read_text(encoding="utf-8")
        assert "make fuzz" in text
        assert "FUZZ_EXAMPLES=2000" in text or "FUZZ_EXAMPLES=200" in text


def test_the_usual_examples_are_the_same_everywhere_and_the_fuzz_draws_its_own() -> None:
    usual, fuzz = settings.get_profile("reconflow"), settings.get_profile("fuzz")
    assert (usual.derandomize, usual.database) == (True, None)
    assert not fuzz.derandomize
    assert fuzz.max_examples >= 10 * usual.max_examples or "FUZZ_EXAMPLES" in os.environ


def test_the_readme_names_the_command_that_ci_runs() -> None:
    assert "make test" in (PROJECT / "README.md").read_text(encoding="utf-8")
    assert (PROJECT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith("make test")
