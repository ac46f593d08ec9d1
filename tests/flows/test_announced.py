"""The address of the review pages is told as long as somebody serves them, and no longer."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flows.review_pages.announced import BY_REVIEW, BY_UP, REVIEW_URL, announced, served_at
from flows.review_pages.serve import review_pages_beside
from panels.text.errors import UsageFault
from tests.flows.command import PROJECT, reconflow_here, running, wait_until
from tests.tasks.study_folder import make_study

URL = "http://127.0.0.1:8737"
HOLDS = """
import sys, time
from pathlib import Path
from flows.review_pages.announced import BY_UP, announced
with announced(Path(sys.argv[1]), BY_UP, sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_an_address_is_told_while_it_is_announced(tmp_path: Path) -> None:
    assert served_at(tmp_path, BY_UP) is None
    with announced(tmp_path, BY_UP, f"{URL}/longer"):
        assert served_at(tmp_path, BY_UP) == f"{URL}/longer"
        assert served_at(tmp_path, BY_REVIEW) is None
        with announced(tmp_path, BY_UP, "http://127.0.0.1:1"):
            assert served_at(tmp_path, BY_UP) == f"{URL}/longer"
    assert served_at(tmp_path, BY_UP) is None
    with announced(tmp_path, BY_UP, URL):
        assert served_at(tmp_path, BY_UP) == URL


def test_the_address_of_a_killed_process_is_not_believed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLDS, str(tmp_path), URL]
    with subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert served_at(tmp_path, BY_UP) == URL
        os.kill(process.pid, signal.SIGKILL)
    assert (tmp_path / ".review" / BY_UP).read_text(encoding="utf-8") == f"{URL}\n"
    assert served_at(tmp_path, BY_UP) is None


@pytest.mark.parametrize("said", ["", "https://site.example.org/"])
def test_status_lists_the_pages_of_up_and_those_that_others_can_open(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], said: str
) -> None:
    study = make_study(tmp_path / "study")
    words = ("--role", "approver", "--by", "Doe", "--study", study.folder)
    assert reconflow_here(capfd, "review", "add", "Doe", *words).code == 0
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    served = ("--port", port, "--name", "flow.example.org", "--study", study.folder)
    with (
        announced(study.folder, BY_UP, URL),
        running("review", *served, log=tmp_path / "log", **{REVIEW_URL: said}) as review,
    ):
        wait_until(lambda: served_at(study.folder, BY_REVIEW), 60, review.said)
        others = said or "https://flow.example.org/"
        told = f"for others {others} (Ctrl-C"
        wait_until(lambda: told in review.said(), 60, review.said)
        status = reconflow_here(capfd, "status", "--study", study.folder)
    assert f"review pages: {URL}\nreview pages: {others}\n" in status.out


def test_where_nothing_can_be_written_the_pages_are_served_all_the_same(tmp_path: Path) -> None:
    (tmp_path / ".review").write_text("a file is in the way", encoding="utf-8")
    with announced(tmp_path, BY_UP, URL):
        assert served_at(tmp_path, BY_UP) is None


def test_a_fixed_port_that_another_study_has_is_named_with_its_setting(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        named = rf"Port {port} of the review pages .*up: {{review_port: …}} in study\.yaml"
        with pytest.raises(UsageFault, match=named), review_pages_beside(study, port):
            pass
