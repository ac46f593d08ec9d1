"""Only a regular file of bearable size is read, whoever put what in its place."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gating.exchange.safe_xml import read_xml
from panels.files.lock import read_locked
from panels.files.user_file import NotReadable, read_user_file
from panels.files.yaml_document import read_yaml
from panels.text.errors import PanelFault, StrategyFault, UsageFault
from panels.text.printable import printable, shown
from tasks.sheets.csv_table import read_table
from tasks.sheets.series_file import read_series


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(200_000_000)


PLACES: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
    "200 MB": large,
}


def sheet(path: Path) -> None:
    fault = read_table(path, path.name).fault
    if fault is not None:
        raise UsageFault(str(fault))


READERS: dict[str, Callable[[Path], object]] = {
    "study.yaml": lambda path: read_yaml(path, PanelFault),
    "LOCK": lambda path: read_locked(path.parent, StrategyFault),
    "gates.xml": read_xml,
    "samples.csv": sheet,
    "series.csv": read_series,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_refused_by_every_reader_in_one_sentence(
    tmp_path: Path, name: str, place: str
) -> None:
    PLACES[place](tmp_path / name)
    with pytest.raises(UsageFault, match=name) as caught:
        READERS[name](tmp_path / name)
    assert str(caught.value).isprintable()
    assert (
        "larger than" in str(caught.value)
        or "not a file" in str(caught.value)
        or "cannot be opened" in str(caught.value)
    )


def test_a_file_that_grows_while_it_is_read_is_read_no_further(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"123456")
    assert read_user_file(tmp_path / "x", 6) == b"123456"
    with pytest.raises(NotReadable, match="larger than"):
        read_user_file(tmp_path / "x", 5)
    with pytest.raises(FileNotFoundError):
        read_user_file(tmp_path / "y", 5)
    with pytest.raises(NotReadable, match="a character that no name can hold"):
        read_user_file(tmp_path / "a\0b", 5)


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="needs root and setpriv, to be another account",
)
def test_a_file_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    secret = tmp_path / "study.yaml"
    secret.write_text("study: x\n")
    secret.chmod(0o600)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from panels.files.user_file import *\n"
        "try: read_user_file(Path(sys.argv[1]), 9)\nexcept NotReadable as e: print(e)"
    )
    another = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run(
        [*another, sys.executable, "-c", code, secret],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module" in done.stderr or "ermission denied" in done.stderr:
        pytest.skip("another account cannot read this Python or this folder")
    assert (
        done.stdout == "the file cannot be opened (Permission denied). "
        "Close it in other programs, or correct its rights.\n"
    )


def test_what_is_repeated_holds_no_screen() -> None:
    assert printable("CD19 µ–é") == "CD19 µ–é"
    assert (
        printable("a\x1b[31m\n\u202eb\ud800\u200b\x85")
        == "a\\x1b[31m\\n\\u202eb\\ud800\\u200b\\x85"
    )
    assert shown("x" * 100) == "x" * 59 + "…"
