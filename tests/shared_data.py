"""Find the real FCS files that lie beside the project, and say loudly when they are absent.

A clone without them passes, and says in one line how many tests it left out. Where they are
expected (the folder is there, or RECONFLOW_SHARED_DATA names it) a test that needs them and is
skipped all the same has failed: nobody reads the skips of a green run.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

NAMED = os.environ.get("RECONFLOW_SHARED_DATA")
SHARED = Path(NAMED or Path(__file__).resolve().parents[2] / "shared" / "data")
EXPECTED = bool(NAMED) or SHARED.is_dir()

needs_shared = pytest.mark.needs_shared


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that reads real FCS files where there are none."""
    if item.get_closest_marker(needs_shared.name) and not SHARED.is_dir():
        pytest.skip(f"REAL DATA ABSENT: {SHARED} not found")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    """Turn the skip of a test whose real files are expected into a failure, whatever it is for."""
    report = yield
    expected = EXPECTED and item.get_closest_marker(needs_shared.name)
    if expected and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"Real FCS files are expected in {SHARED}, but the test is {reason}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Say at the end of the run how many tests were left out for want of real files."""
    yield
    skipped = terminalreporter.getreports("skipped")
    waiting = [report for report in skipped if needs_shared.name in report.keywords]
    if waiting:
        terminalreporter.write_line(
            f"REAL DATA ABSENT: {len(waiting)} tests that read real FCS files were skipped:"
            f" {SHARED} not found; set RECONFLOW_SHARED_DATA to run them."
        )
