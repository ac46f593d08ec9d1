"""A test that needs real FCS files is not skipped unnoticed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOOKS = "pytest_runtest_makereport, pytest_runtest_setup, pytest_terminal_summary"
NEEDY = """\
import pytest
from tests.shared_data import SHARED, needs_shared

pytestmark = needs_shared

def test_reads_a_real_file() -> None:
    assert (SHARED / "real.fcs").read_bytes() == b"FCS3.1"

@pytest.mark.parametrize("path", sorted(SHARED.glob("*.fcs")), ids=str)
def test_reads_every_real_file(path) -> None:
    assert path.read_bytes()
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Lay a clone with two tests that need the files which may lie beside it."""
    tests = tmp_path / "clone" / "tests"
    tests.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("shared_data.py"), tests)
    (tests / "__init__.py").touch()
    (tests / "conftest.py").write_text(f"from tests.shared_data import {HOOKS}\n")
    (tests / "test_needy.py").write_text(NEEDY)
    (tests.parent / "pytest.ini").write_text("[pytest]\nmarkers = needs_shared\n")
    return tests.parent


def checked(clone: Path, **variables: str) -> tuple[int, str]:
    """Run the clone's tests as `make test` does, and give the exit code and what was printed."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "RECONFLOW_SHARED_DATA" and not name.startswith("PYTEST_")
    }
    environment["PYTHONPATH"] = str(clone)
    # The other plugins are of no use there, and take seconds to import.
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "-n", "1", "-p", "no:cacheprovider"],
        cwd=clone,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_clone_without_real_files_passes_and_says_what_it_left_out(clone: Path) -> None:
    code, out = checked(clone)
    assert code == 0, out
    absent, ending = out.splitlines()[-2:]
    assert absent.startswith("REAL DATA ABSENT: 2 tests that read real FCS files were skipped")
    assert str(clone.parent / "shared" / "data") in absent
    assert "2 skipped" in ending


def test_with_the_files_beside_it_a_clone_reads_them_and_says_nothing(clone: Path) -> None:
    shared = clone.parent / "shared" / "data"
    shared.mkdir(parents=True)
    (shared / "real.fcs").write_bytes(b"FCS3.1")
    code, out = checked(clone)
    assert code == 0, out
    assert "2 passed" in out
    assert "ABSENT" not in out


def test_a_test_that_finds_no_case_among_the_real_files_fails(clone: Path) -> None:
    (clone.parent / "shared" / "data").mkdir(parents=True)
    code, out = checked(clone)
    assert code == 1
    assert "Real FCS files are expected in" in out
    assert "got empty parameter set" in out
    assert "1 failed, 1 error" in out


def test_real_files_that_are_named_and_absent_are_a_failure(clone: Path) -> None:
    code, out = checked(clone, RECONFLOW_SHARED_DATA=str(clone / "elsewhere"))
    assert code == 1
    assert f"REAL DATA ABSENT: {clone / 'elsewhere'} not found" in out
    assert "2 errors" in out
