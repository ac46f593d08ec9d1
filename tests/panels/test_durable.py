"""What is written is on the disk, bytes before name, and a reader never sees a part of it."""

import errno
import os
from pathlib import Path

import pytest

from panels.files.durable import rename_durably, sync_folder, write_durably
from tasks.publish.tables import write_atomically


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note in order what is brought to the disk and renamed, while it is done."""
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        done.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        done.append(f"rename to {Path(target).name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    return done


@pytest.mark.parametrize("write", [write_durably, write_atomically])
def test_a_file_is_on_the_disk_before_its_name_is(tmp_path: Path, steps: list[str], write) -> None:
    target = tmp_path / "results" / "kinetics.csv"
    write(target, b"old")
    steps.clear()
    write(target, b"new")
    assert target.read_bytes() == b"new"
    assert [step.split(".csv")[0].replace(".kinetics", "part of kinetics") for step in steps] == [
        "sync part of kinetics", "rename to kinetics", "sync results",
    ]  # fmt: skip
    assert [path.name for path in target.parent.iterdir()] == ["kinetics.csv"]


def test_a_move_brings_bytes_and_both_folders_to_the_disk(tmp_path: Path, steps: list[str]) -> None:
    for name in ("inbox", "archive"):
        (tmp_path / name).mkdir()
    (tmp_path / "inbox" / "a.fcs").write_bytes(b"FCS")
    rename_durably(tmp_path / "inbox" / "a.fcs", tmp_path / "archive" / "b.fcs")
    assert steps == ["sync a.fcs", "rename to b.fcs", "sync archive", "sync inbox"]


def test_a_share_that_cannot_sync_a_folder_stops_nothing_and_a_full_disk_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(number: int):
        def fsync(_descriptor: int) -> None:
            raise OSError(number, os.strerror(number))

        return fsync

    monkeypatch.setattr(os, "fsync", refuses(errno.EINVAL))
    sync_folder(tmp_path)
    monkeypatch.setattr(os, "fsync", refuses(errno.EIO))
    with pytest.raises(OSError, match="error"):
        sync_folder(tmp_path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_durably(tmp_path / "folder", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "folder"]
