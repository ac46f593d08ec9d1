"""The shipped prefect.yaml is accepted by a real server, and a worker runs what it deploys."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState
from prefect.client.schemas.filters import FlowRunFilterStateName as Named
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment

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


def test_the_nightly_deployment_is_accepted_and_runs_and_one_made_again_keeps_one_schedule(
    prefect_api: str, study: Path
) -> None:
    variables = {"RECONFLOW_STUDY": str(study), "RECONFLOW_TIMEZONE": "Europe/Berlin"}
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="reconflow", type="process"), overwrite=True)
    prefect("deploy", "--all", **variables)

    deployment = deployed()
    schedule = deployment["schedules"][0]["schedule"]
    assert (schedule["cron"], schedule["timezone"]) == ("0 2 * * *", "Europe/Berlin")
    assert len(deployment["schedules"]) == 1
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert deployment["parameters"] == {"study": str(study)}
    assert deployment["entrypoint"] == "flows.nightly.nightly"
    assert deployment["job_variables"]["env"]["RECONFLOW_SERVED_STUDY"] == str(study)

    ordered = run_deployment("nightly/nightly", timeout=0, as_subflow=False)
    log = prefect("worker", "start", "--pool", "reconflow", "--type", "process", "--run-once")
    assert state_of(ordered) == "COMPLETED", log
    with pytest.raises(UsageFault, match=f"runs the study in {study} and no other"):
        run_as_the_worker(deployment, study=str(study.parent))

    # A run that is started by hand says nothing of the nights to come: with Prefect 3.8 on
    # SQLAlchemy 2.1 the scheduler stopped, and a deployment that could be run had no night.
    zone = "Asia/Kathmandu"
    prefect("deploy", "--all", **(variables | {"RECONFLOW_TIMEZONE": zone}))
    assert [each["schedule"]["timezone"] for each in deployed()["schedules"]] == [zone]
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
    return done.stdout + done.stderr


def run_as_the_worker(deployment: dict[str, Any], **parameters: str) -> None:
    """Run a deployment's flow in the environment that its worker gives it."""
    from flows.nightly import nightly

    with pytest.MonkeyPatch.context() as environment:
        for name, value in deployment["job_variables"]["env"].items():
            environment.setenv(name, value)
        nightly(**{**deployment["parameters"], **parameters})


def planned(zone: str) -> set[str]:
    """Give the hours for which the scheduler has planned runs, on the clock of a zone."""
    waiting = FlowRunFilter(state=FlowRunFilterState(name=Named(any_=["Scheduled"])))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=waiting)
    times = [run.expected_start_time for run in runs if run.auto_scheduled]
    return {f"{when.astimezone(ZoneInfo(zone)):%H:%M}" for when in times if when}


def deployed() -> dict[str, Any]:
    """Give the deployment as the server keeps it."""
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name("nightly/nightly")
    return found.model_dump(mode="json")


def state_of(ordered: FlowRun) -> str:
    with get_client(sync_client=True) as client:
        found = client.read_flow_run(ordered.id)
    assert found.state is not None
    return found.state.type.value
