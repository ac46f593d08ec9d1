"""Settings, panels and strategies have one reader: what can be taken two ways, or asks for too
much, is refused in a sentence."""

import math
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gating.strategy.catalogue import load_strategy, read_draft
from panels.catalogue import read_panel
from panels.files.yaml_document import read_yaml
from panels.files.yaml_nodes import MOST_BYTES
from panels.files.yaml_scalars import block, flow, meaning
from panels.text.errors import PanelFault, SettingsFault, UsageFault
from tasks.study.settings import load_settings
from tasks.study.starter import init_study
from tests.shared_data import SHARED, needs_shared

ROOT = Path(__file__).resolve().parents[2]
PARSERS = SHARED / "field" / "parsers"


def written(folder: Path, text: str | bytes, name: str = "study.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def content(folder: Path, text: str | bytes) -> Any:
    return read_yaml(written(folder, text), SettingsFault).content


def refused(folder: Path, text: str | bytes) -> str:
    """The sentence about a study's settings, without the path."""
    path = written(folder, text)
    started = time.perf_counter()
    with pytest.raises(SettingsFault) as caught:
        load_settings(folder)
    assert time.perf_counter() - started < 5
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    return str(caught.value).removeprefix(str(path))


# -- words


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("20", 20), ("-3", -3), ("0", 0), ("1_000", 1000), ("12_345_678", 12345678),
        ("0.5", 0.5), (".5", 0.5), ("1.0e+3", 1000.0),
        ("true", True), ("False", False), ("null", None), ("~", None),
        ("1.0.0", "1.0.0"), ("bcell@1.0", "bcell@1.0"), ("y", "y"), ("Norway", "Norway"),
        ("CD14+viability", "CD14+viability"), ("-", "-"), ("D-7", "D-7"), ("08:30 h", "08:30 h"),
        ("8 µl", "8 µl"),
    ],
)  # fmt: skip
def test_a_word_is_read_as_it_looks(word: str, meant: object) -> None:
    assert meaning(word) == meant
    assert type(meaning(word)) is type(meant)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("020", "'020' for 16"),
        ("-010", "'-010' for -8"),
        ("0o20", "'0o20' for 16"),
        ("0x1F", "'0x1F' for 31"),
        ("0b101", "'0b101' for 5"),
        ("1:30", "'1:30' for 90"),
        ("12:30:45", "'12:30:45' for 45045"),
        ("1:30.5", "for 90.5"),
        ("1_0", "'1_0' for 10"),
        ("1_000.5", "for 1000.5"),
        ("yes", "true or false"),
        ("NO", "true or false"),
        ("On", "true or false"),
        ("off", "true or false"),
        ("2026-02-30", "for a day"),
        ("2026-02-01T25:00:00", "for a day"),
        ("2026-02-01 08:30", "for a day"),
        ("9" * 5000, "5000 digits"),
        ("1.0e+999", "too large"),
        ("1e999", "too large"),
        ("0" + "7" * 5000, "another number"),
    ],
)
def test_a_word_that_can_be_taken_two_ways_is_refused(
    tmp_path: Path, word: str, message: str
) -> None:
    sentence = refused(tmp_path, f"study: x\nintake:\n  settle_seconds: {word}\n")
    assert sentence.startswith(", line 3: intake → settle_seconds: ")
    assert message in sentence
    assert content(tmp_path, f'x: "{word}"\n') == {"x": word}
    assert "line 1" in refused(tmp_path, f"{word}: x\n" if len(word) < 100 else f"study: {word}\n")


def test_a_day_is_read_where_one_is_expected(tmp_path: Path) -> None:
    written(tmp_path, "study: x\nstart: 2026-03-01\n")
    assert str(load_settings(tmp_path).start) == "2026-03-01"
    assert ", line 2: start: " in refused(tmp_path, "study: x\nstart: 2026-02-30\n")


# -- files


@pytest.mark.parametrize(
    "text",
    [
        "study: x\nworkers: 2\n",
        "study: x\r\nworkers: 2\r\n",
        "study: x\rworkers: 2",
        b"\xef\xbb\xbfstudy: x\nworkers: 2\n",
    ],
)
def test_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path, text: str | bytes) -> None:
    written(tmp_path, text)
    assert (load_settings(tmp_path).study, load_settings(tmp_path).workers) == ("x", 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study: x\nintake:\n\tmode: leave\n", (
", line 3: not valid YAML: found character '\\t' that cannot start any token. Indent "
"with"
)),
        ("study: x\nstudy: y\n", ", line 2: 'study' is given twice"),
        ("intake: {mode: move, mode: leave}\n", ", line 1: intake: 'mode' is given twice"),
        ("study: x\n---\nstudy: y\n", ", line 2: a second document begins here"),
        ("study: &a\n  x: *a\n",
         ", line 2: the alias '*a' stands for nothing, or for what it is a part of"),
        ("study: *b\n", "the alias '*b'"),
        ("study: !!float 'abc'\n", ", line 1: '!!float' is a tag of YAML"),
        ("study: !!timestamp 2026-02-30\n", "'!!timestamp' is a tag"),
        ("study: !!python/object/apply:os.system [id]\n",
         "'!!python/object/apply:os.system' is a tag"),
        ("study: !!binary aGVsbG8=\n", "'!!binary' is a tag"),
        ("study: !!set {a, b}\n", "'!!set' is a tag"),
        ("!!omap [a: 1]\n", "'!!omap' is a tag"),
        ("? [a, b]\n: c\n", ", line 1: a key must be one word"),
        ("study: [" + "[" * 6000, "more than 50 levels"),
        ("".join(f"{' ' * n}a:\n" for n in range(300)), "more than 50 levels"),
        ("- " * 3000, "more than 50 levels"),
        ("x: [" + "1," * 190_000 + "]\n", "more than 10,000 values"),
        ("x: 1\n" + "# \n" * MOST_BYTES, "larger than 400 kB"),
        ("study: x\0y\n", "not valid YAML"),
        ('study: "\\UFFFFFFFF"\n', "not valid YAML"),
        ("%YAML 9.9\n---\nstudy: x\n", "not valid YAML"),
        ("study: x: y\n", ", line 1: not valid YAML"),
        ("study: [a\nworkers: 2\n", "that begins in line 1"),
        (b"study: M\xfcller\n", ", line 1: the file is not UTF-8 text"),
        ("study: x\n".encode("utf-16"), "saved as UTF-16"),
        ("limits: {same_draw_hours: .inf}\n",
         "limits.same_draw_hours: input should be a finite number"),
        ("study: " + "x" * 5000 + "\n", "at most 200 characters"),
    ],
)  # fmt: skip
def test_what_is_no_yaml_or_asks_for_too_much_is_said_with_its_line(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    assert message in refused(tmp_path, text)


def test_an_alias_that_multiplies_is_refused(tmp_path: Path) -> None:
    names = "abcdefghi"
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n" for before, name in pairwise(names)
    )
    assert "more than 10,000 values" in refused(tmp_path, bomb)


def test_aliases_that_repeat_a_little_are_read(tmp_path: Path) -> None:
    text = "a: &a {x: 1, z: 1}\nb: {<<: *a, z: 2}\nc: [*a, *a]\nd: {<<: [{x: 3}, *a]}\n"
    read = content(tmp_path, text)
    assert (read["b"], read["c"], read["d"]) == (
        {"x": 1, "z": 2},
        [{"x": 1, "z": 1}] * 2,
        {"x": 3, "z": 1},
    )
    assert "'<<' takes in mappings only" in refused(tmp_path, "b: {<<: [1]}\n")


def test_a_settings_file_that_is_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").mkdir()
    with pytest.raises(SettingsFault, match="a folder, not a file"):
        load_settings(tmp_path)


@needs_shared
@pytest.mark.parametrize("name", sorted(path.name for path in PARSERS.glob("*.*.yaml")))
def test_files_that_broke_readers_end_in_a_sentence(tmp_path: Path, name: str) -> None:
    kind = name.split(".")[-2]
    started = time.perf_counter()
    shutil.copy(PARSERS / name, tmp_path / "study.yaml")
    read: Callable[[Path], object] = {
        "settings": load_settings,
        "panel": read_panel,
        "strategy": read_draft,
    }[kind]
    with pytest.raises(UsageFault) as caught:
        read(tmp_path if kind == "settings" else tmp_path / "study.yaml")
    assert time.perf_counter() - started < 5
    assert re.search(r"\.yaml, line \d+: ", str(caught.value))
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("old", ["CD3: FITC-A", "{marker: CD3, detector: FITC-A}"])
@pytest.mark.parametrize("word", ["2026-02-28", "yes", "010", "1:30", "!!int x", "9" * 400, "*x"])
def test_a_panels_words_are_refused_alike(tmp_path: Path, old: str, word: str) -> None:
    shipped = (ROOT / "panels" / "definitions" / "tbnk.yaml").read_text(encoding="utf-8")
    new = old.replace("FITC-A", word)
    path = written(
        tmp_path, shipped.replace(old, new) if old in shipped else f"{shipped}{new}\n", "tbnk.yaml"
    )
    with pytest.raises(PanelFault, match=r"tbnk\.yaml, line \d+: "):
        read_panel(path)


def test_a_command_ends_with_code_2_and_one_sentence_in_little_memory(tmp_path: Path) -> None:
    written(tmp_path, "study: x\nworkers: 020\n")
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)); from "
        "flows.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, "status", "--study", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "study.yaml, line 2: workers: YAML takes '020' for 16" in done.stderr


# -- what is shipped and what is written


def test_every_shipped_file_is_read(tmp_path: Path) -> None:
    for path in [*(ROOT / "panels").rglob("*.yaml"), *(ROOT / "gating").rglob("*.yaml")]:
        assert isinstance(read_yaml(path, UsageFault).content, dict), path
    assert load_strategy("bcell@2.0.0").strategy.name == "bcell@2.0.0"
    init_study(tmp_path / "s")
    assert load_settings(tmp_path / "s").study == "s"


@pytest.mark.parametrize(
    "value",
    [
        {
            "gate": "b_cells",
            "parent": "root",
            "rectangle": {"CD14+viability": {"above": 1e-05, "below": 1e20}},
            "on": ["yes", "020"],
        },
        [
            "",
            "null",
            "true",
            "*a",
            "<<",
            "1:30",
            "2026-02-30",
            "a: b",
            "#c",
            "- d",
            " e ",
            "é",
            "line\nbreak",
            "\u2028",
            '"',
            "\\",
        ],
        ["😀", "0x1F"],
        {
            "x": [1, -2.5, 1e300, None, True, False],
            "y": {"z": []},
            "1.0.0": "1.0.0",
            "7": "bcell@1.0.0",
        },
    ],
)
def test_what_is_written_is_read_as_what_it_was(tmp_path: Path, value: object) -> None:
    assert content(tmp_path, f"v: {flow(value)}\n") == {"v": value}
    assert content(tmp_path, block({"v": value, "w": 1})) == {"v": value, "w": 1}


def test_what_is_no_number_is_written_as_such(tmp_path: Path) -> None:
    read = content(tmp_path, f"v: {flow([math.inf, -math.inf, math.nan])}\n")["v"]
    assert read[:2] == [math.inf, -math.inf]
    assert math.isnan(read[2])


def test_there_is_one_reader_of_yaml() -> None:
    importing = re.compile(r"^\s*(import yaml|from yaml|from ruamel|import ruamel)", re.MULTILINE)
    found = [
        path.relative_to(ROOT).as_posix()
        for room in ("flows", "tasks", "gating", "panels")
        for path in (ROOT / room).rglob("*.py")
        if importing.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["panels/files/yaml_nodes.py"]
