"""Ask a Prefect server when it runs a study's next night."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.request
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.server.access import Access

FLOW = "nightly"
ANSWERS_WITHIN_SECONDS = 5.0


def next_run(folder: Path, server: Access) -> str | None:
    """Give when the study in a folder is run next (ISO 8601); None where that cannot be known.

    A site's server runs other studies and other programs too. It is asked through Prefect, whose
    settings hold what it wants of a caller; our own one needs the login alone, and to load Prefect
    for that takes longer than all the rest of `reconflow status`.
    """
    runs = _runs_of_ours(server) if server.login else _runs_of_a_site(server)
    starts = sorted(
        datetime.fromisoformat(start)
        for parameters, start in runs
        if start and parameters.get("study") == str(folder)
    )
    return starts[0].isoformat() if starts else None


def _runs_of_ours(server: Access) -> list[tuple[dict[str, Any], str | None]]:
    """Ask for the nights to come as Prefect's client does (POST /api/flow_runs/filter)."""
    asked = {
        "sort": "EXPECTED_START_TIME_ASC",
        "flows": {"name": {"any_": [FLOW]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    login = base64.b64encode((server.login or "").encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - our own loopback server
        f"{server.url}/flow_runs/filter",
        data=json.dumps(asked).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Basic {login}"},
    )
    # No proxy of a hospital is asked for a loopback address.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=ANSWERS_WITHIN_SECONDS) as answer:
            runs = json.load(answer)
    except (OSError, http.client.HTTPException, ValueError):
        return []
    return [(run["parameters"], run["expected_start_time"]) for run in runs]


def _runs_of_a_site(server: Access) -> Iterable[tuple[dict[str, Any], str | None]]:
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowFilter,
        FlowFilterName,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort

    scheduled = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
    )
    try:
        with server.settings(), get_client(sync_client=True) as client:
            runs = client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW])),
                flow_run_filter=scheduled,
                sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            )
    except httpx.HTTPError:
        return []
    return [
        (run.parameters, run.expected_start_time.isoformat())
        for run in runs
        if run.expected_start_time
    ]
