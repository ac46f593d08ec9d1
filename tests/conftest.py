"""Keep every test away from the user's own Prefect, proxies and screens, and share one server where
one is needed."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

import flows.process_start  # noqa: F401 - before a test module imports numpy
from flows.server.start import StartingServer, starting_server
from tests.postgres import empty_postgres, postgres, url
from tests.shared_data import (
    pytest_runtest_makereport,
    pytest_runtest_setup,
    pytest_terminal_summary,
)

__all__ = [
    "empty_postgres",
    "postgres",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "pytest_terminal_summary",
    "url",
]

# Set before any test module imports Prefect or matplotlib, which read these at import.
for name in ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_PROFILE"):
    os.environ.pop(name, None)
PREFECT_HOME = tempfile.mkdtemp(prefix="reconflow-tests-")
os.environ["PREFECT_HOME"] = PREFECT_HOME
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["MPLBACKEND"] = "Agg"

# Where the tests were started in the background (`make test &`) Ctrl-C is ignored, and programs
# that the tests start and stop by it would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)

FUZZ_EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "2000")
if not FUZZ_EXAMPLES.isdecimal() or int(FUZZ_EXAMPLES) < 1:
    raise pytest.UsageError(
        f"FUZZ_EXAMPLES is '{FUZZ_EXAMPLES}'. Give the number of examples a test, as "
        f"FUZZ_EXAMPLES=2000."
    )

# Deadlines measure the neighbours on a shared machine, not the code. `make test` draws the same
# examples everywhere: whoever changed nothing sees no failure. `make fuzz`
# (--hypothesis-profile=fuzz) draws new ones and remembers what failed in .hypothesis/.
settings.register_profile(
    "reconflow", deadline=None, max_examples=50, print_blob=True, derandomize=True, database=None
)
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(FUZZ_EXAMPLES),
    print_blob=True,
    derandomize=False,
    database=DirectoryBasedExampleDatabase(".hypothesis/examples"),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("reconflow")


def pytest_unconfigure() -> None:
    """Remove this process's Prefect folder, in the workers of pytest-xdist as in their master."""
    shutil.rmtree(PREFECT_HOME, ignore_errors=True)


# A module whose tests share a costly set-up (a counted study) is an xdist group of its own: spread
# over the workers, its tests would have each of them make the same study. A study that several
# modules begin with is made once a run and copied (tests/tasks/made_once.py).


@pytest.fixture(scope="session")
def standing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartingServer]:
    """Start one real server, with its services, for all tests of this process that ask for
    ``prefect_api``."""
    with starting_server(tmp_path_factory.mktemp("prefect")) as server:
        yield server


@pytest.fixture
def prefect_api(standing_server: StartingServer) -> Iterator[str]:
    """Point Prefect at the shared server for one test, which is marked ``xdist_group("prefect")``
    so that one is enough."""
    with standing_server.ready() as url:
        yield url
