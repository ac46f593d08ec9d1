"""A LOCK vouches for releases: what a copy to Windows does to it changes nothing, and a line that
is none is named."""

import shutil
from pathlib import Path

import pytest

from gating.strategy.catalogue import load_strategy, read_lock, shipped
from panels.text.errors import StrategyFault

DIGEST = "a" * 64


@pytest.fixture
def own(tmp_path: Path) -> Path:
    shutil.copytree(shipped() / "tbnk" / "1.0.0", tmp_path / "tbnk" / "1.0.0")
    shutil.copy(shipped() / "LOCK", tmp_path / "LOCK")
    return tmp_path


@pytest.mark.parametrize(
    "changed",
    [
        lambda lock: lock.replace(b"\n", b"\r\n"),
        lambda lock: b"\xef\xbb\xbf" + lock,
        lambda lock: b"\n\n" + lock.replace(b"\n", b"\n \n") + b"\n\n",
        lambda lock: b"# released by the laboratory of M\xc3\xbcller\n" + lock,
        lambda lock: lock.replace(b" ", b" \t "),
        lambda lock: lock.rstrip(),
        lambda lock: lock + lock,
    ],
)
def test_line_ends_blank_lines_and_a_byte_order_mark_change_nothing(own: Path, changed) -> None:
    (own / "LOCK").write_bytes(changed((shipped() / "LOCK").read_bytes()))
    assert read_lock(own) == read_lock(shipped())
    assert load_strategy("tbnk@1.0.0", own).strategy.name == "tbnk@1.0.0"


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\x00",
        b"tbnk@1.0.0",
        b"tbnk@1.0.0 " + DIGEST.encode() + b" more",
        b"tbnk@1.0.0 " + DIGEST[:-1].encode(),
        b"tbnk@1.0 " + DIGEST.encode(),
        b"<<<<<<< HEAD",
        b"tbnk@1.0.0\x00 " + DIGEST.encode(),
        b"tbnk@1.0.0 " + "ä".encode() * 64,
        b"x" * 100_000,
    ],
)
def test_a_line_that_is_no_release_is_named(own: Path, line: bytes) -> None:
    (own / "LOCK").write_bytes(b"# ours\n" + line + b"\n")
    with pytest.raises(
        StrategyFault, match=r"(?s)LOCK, line 2: .*put it back from the backup"
    ) as caught:
        load_strategy("tbnk@1.0.0", own)
    assert len(str(caught.value)) < 500


def test_a_utf_16_lock_is_refused(own: Path) -> None:
    (own / "LOCK").write_bytes((shipped() / "LOCK").read_text().encode("utf-16"))
    with pytest.raises(StrategyFault, match="LOCK, line 1"):
        load_strategy("tbnk@1.0.0", own)


def test_two_hashes_for_one_release_are_not_chosen_between(own: Path) -> None:
    with (own / "LOCK").open("a") as lock:
        lock.write(f"tbnk@1.0.0 {DIGEST}\n")
    with pytest.raises(StrategyFault, match=r"(?s)LOCK, line \d+: .*each release once"):
        load_strategy("tbnk@1.0.0", own)
