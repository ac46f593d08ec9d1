"""The shipped prefect.yaml is accepted by a real server, and a worker runs what it deploys."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from panels.text.errors import UsageFault
from tests.flows.command import wait_until

pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.skipif(
        find_spec("flows.nightly") is None,
        reason="flows/nightly.py IS MISSING: the nightly deployment is not tested",
    ),
]

PROJECT = Path(__file__).resolve().parents[2]

STUDY = {
    "study.yaml": "{}\n",
    "patients.csv": "patient,infused\nP01,2026-01-05T10:00:00\n",
    "samples.csv": "file,patient,collected,panel\n",
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Lay an empty study: a quiet night must pass as well."""
    folder = tmp_path / "study"
    (folder / "inbox").mkdir(parents=True)
    for name, text in STUDY.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_the_nightly_deployment_is_accepted_and_a_worker_runs_it(
    prefect_api: str, study: Path
) -> None:
    variables = {"RECONFLOW_STUDY": str(study), "RECONFLOW_TIMEZONE": "Europe/Berlin"}
    prefect("work-pool", "create", "reconflow", "--type", "process", "--overwrite")
    prefect("deploy", "--all", **variables)

    deployment = json.loads(prefect("deployment", "inspect", "nightly/nightly", "--output", "json"))
    schedule = deployment["schedules"][0]["schedule"]
    assert (schedule["cron"], schedule["timezone"]) == ("0 2 * * *", "Europe/Berlin")
    assert len(deployment["schedules"]) == 1
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert deployment["parameters"] == {"study": str(study)}
    assert deployment["entrypoint"] == "flows.nightly.nightly"
    assert deployment["job_variables"]["env"]["RECONFLOW_SERVED_STUDY"] == str(study)

    prefect("deployment", "run", "nightly/nightly", "--flow-run-name", "trial-night")
    log = prefect("worker", "start", "--pool", "reconflow", "--type", "process", "--run-once")
    assert state_of("trial-night") == "COMPLETED", log
    with pytest.raises(UsageFault, match=f"runs the study in {study} and no other"):
        run_as_the_worker(deployment, study=str(study.parent))


def test_deploying_again_keeps_one_schedule(prefect_api: str, study: Path) -> None:
    prefect("work-pool", "create", "reconflow", "--type", "process", "--overwrite")
    for zone in ("Europe/Berlin", "America/New_York"):
        prefect("deploy", "--all", RECONFLOW_STUDY=str(study), RECONFLOW_TIMEZONE=zone)
    deployment = json.loads(prefect("deployment", "inspect", "nightly/nightly", "--output", "json"))
    assert [entry["schedule"]["timezone"] for entry in deployment["schedules"]] == [
        "America/New_York"
    ]


def test_the_nights_to_come_are_planned(prefect_api: str, study: Path) -> None:
    """A run that is started by hand says nothing of them: with Prefect 3.8 on SQLAlchemy 2.1 the
    scheduler stopped, and a deployment that could be run had no night."""
    prefect("work-pool", "create", "reconflow", "--type", "process", "--overwrite")
    zone = "Asia/Kathmandu"
    prefect("deploy", "--all", RECONFLOW_STUDY=str(study), RECONFLOW_TIMEZONE=zone)
    wait_until(lambda: planned(zone) == {"02:00"}, 60, "Prefect's scheduler plans no night")


def prefect(*words: str, **variables: str) -> str:
    """Run Prefect's own command from the project folder, as an operator would, and give what it
    said."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *words],
        cwd=PROJECT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"prefect {' '.join(words)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout if "json" in words else done.stdout + done.stderr


def run_as_the_worker(deployment: dict[str, Any], **parameters: str) -> None:
    """Run a deployment's flow in the environment that its worker gives it."""
    from flows.nightly import nightly

    with pytest.MonkeyPatch.context() as environment:
        for name, value in deployment["job_variables"]["env"].items():
            environment.setenv(name, value)
        nightly(**{**deployment["parameters"], **parameters})


def planned(zone: str) -> set[str]:
    """Give the hours for which the scheduler has planned runs, on the clock of a zone."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState
    from prefect.client.schemas.filters import FlowRunFilterStateName as Named

    waiting = FlowRunFilter(state=FlowRunFilterState(name=Named(any_=["Scheduled"])))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=waiting)
    times = [run.expected_start_time for run in runs if run.auto_scheduled]
    return {f"{when.astimezone(ZoneInfo(zone)):%H:%M}" for when in times if when}


def state_of(flow_run: str) -> str:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[flow_run]))
        )
    assert len(found) == 1
    assert found[0].state is not None
    return found[0].state.type.value
