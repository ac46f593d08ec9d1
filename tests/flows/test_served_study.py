"""A process that serves one study runs no other."""

from pathlib import Path

import pytest

from flows.served_study import SERVED, served_study, serving
from panels.text.errors import UsageFault


def test_a_process_that_serves_none_runs_any(tmp_path: Path) -> None:
    assert served_study(str(tmp_path)) == tmp_path
    with pytest.raises(UsageFault, match="No study was named"):
        served_study(" ")


def test_only_the_served_study_is_run_by_whatever_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, other = tmp_path / "study", tmp_path / "other"
    study.mkdir()
    (tmp_path / "link").symlink_to(study)
    with serving(study):
        for way in (study, tmp_path / "link", other / ".." / "study"):
            assert served_study(str(way)) == study
        for way in (other, study / "inbox", tmp_path):
            with pytest.raises(UsageFault, match=f"runs the study in {study} and no other"):
                served_study(str(way))
    assert served_study(str(other)) == other
    monkeypatch.setenv(SERVED, "")
    assert served_study(str(other)) == other
