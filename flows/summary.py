"""Put what a command found into words for a terminal."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.server_access import Access
from panels.text.printable import printable
from tasks.study.folder import Study
from tasks.vocabulary.reasons import why_of

if TYPE_CHECKING:
    from tasks.store.runs import Run

SHOWN = (
    ("car19_t", "Cmax", "anti-CD19 CAR-T, peak per µL"),
    ("car19_t", "Tmax", "anti-CD19 CAR-T, day of peak"),
    ("carbcma_t", "Cmax", "anti-BCMA CAR-T, peak per µL"),
    ("b_cells", "depletion_onset", "B cells below 10/µL, day"),
    ("b_cells", "recovery_B_10", "B cells back at 10/µL, day"),
    ("b_cells", "naive_share_at_recovery", "naive share of B cells then"),
)


def pass_text(summary: Mapping[str, Any]) -> str:
    """Sum one pass up in a few lines."""
    counts = ", ".join(
        f"{summary[key]} {key}"
        for key in ("accepted", "counted", "duplicates", "waiting", "quarantined", "failed")
    )
    told = [f"  {printable(sentence)}" for sentence in summary["sentences"]]
    return "\n".join([counts, *told, f"report: {summary['report']}"])


def demo_text(folder: Path, summary: Mapping[str, Any]) -> str:
    """Show the demo's main results, one column a patient, and where to look."""
    patients = sorted(
        path.parent.name for path in (folder / "results" / "patients").glob("*/parameters.csv")
    )
    values = {
        patient: dict(_parameters(folder / "results" / "patients" / patient / "parameters.csv"))
        for patient in patients
    }
    width = max(len(label) for *_, label in SHOWN) + 2
    lines = [" " * width + "".join(f"{patient:>18}" for patient in patients)]
    for population, parameter, label in SHOWN:
        lines.append(
            f"{label:<{width}}"
            + "".join(f"{values[p].get((population, parameter), ''):>18}" for p in patients)
        )
    return "\n".join(
        [
            pass_text(summary), "", *lines, "",
            f"tables   {folder / 'results' / 'patients'}",
            f"cohort   {folder / 'results' / 'cohort'}",
            f"truth    {folder / 'simulation-truth'} (never read by the pipeline)",
        ]
    )  # fmt: skip


def status_document(
    study: Study, server: Access | None, *, kept_by: str | None = None
) -> dict[str, Any]:
    """Gather the ledger by state, what is open and why, and the last and next nightly run.

    ``kept_by`` is the account that keeps the schedule, where it is not shown to this one.
    """
    from tasks.intake.inbox import inbox_faults
    from tasks.intake.sheet_notices import sheet_notices
    from tasks.store.ledger import all_files, count_by_state
    from tasks.store.runs import last_run
    from tasks.strategies.in_use import read_snapshot
    from tasks.strategies.standing import panel_standing, strategy_standing

    snapshot = read_snapshot(study)
    with study.store() as store:
        states = count_by_state(store)
        files = all_files(store, ("settling", "waiting", "failed", "quarantined"))
        last = last_run(store, "nightly")
        strategies = strategy_standing(snapshot, store)
    return {
        "inbox": list(inbox_faults(study)),
        "sheets": [*map(str, snapshot.drug_problems), *sheet_notices(snapshot)],
        "states": states,
        "strategies": [
            {
                "panel": s.panel,
                "strategy": s.strategy,
                "sha256": s.sha256,
                "standing": s.description,
                "newer": s.newer,
            }
            for s in strategies
        ],
        "panels": [
            {"panel": p.panel, "version": p.pin, "sha256": p.sha256, "standing": p.description}
            for p in panel_standing(snapshot)
        ],
        "open": [{"file": f.inbox_path, "state": f.state, "reason": f.reason} for f in files],
        "last_run": None
        if last is None
        else {"started": last.started_at, "ended": last.ended_at, "outcome": _outcome(study, last)},
        "next_run": _next_run(study, server) if server else None,
        "schedule_kept_by": kept_by,
    }


def status_text(document: Mapping[str, Any]) -> str:
    """Write the status for a person: what needs a hand comes last, so that it is read."""
    last = document["last_run"]
    lines = [
        "  ".join(f"{state} {number}" for state, number in document["states"].items()),
        f"last run: {last['started']}, {last['outcome']}" if last else "last run: none yet",
        f"next run: {_next_run_text(document)}",
        *(
            f"{each['panel']}: {each['strategy']}, {each['standing']}"
            for each in document["strategies"]
        ),
        *(each["newer"] for each in document["strategies"] if each["newer"]),
        *(f"panel {each['version']}: {each['standing']}" for each in document["panels"]),
        *document["inbox"],
        *document["sheets"],
        *(f"{each['state']}: {each['file']}: {each['reason']}" for each in document["open"]),
    ]
    return "\n".join(map(printable, lines))


def _next_run_text(document: Mapping[str, Any]) -> str:
    keeper = document["schedule_kept_by"]
    if document["next_run"]:
        return str(document["next_run"])
    if keeper:
        return f"not shown to this account; `{keeper}` runs `reconflow up` and sees it"
    return "none is scheduled; `reconflow up` keeps the schedule"


def _outcome(study: Study, run: "Run") -> str:
    """Say of a run that is noted as running, but that nothing runs any more, that it was interrupted."""
    from tasks.study.lock import is_running

    return "interrupted" if run.outcome == "running" and not is_running(study) else run.outcome


def _parameters(path: Path) -> Iterator[tuple[tuple[str, str], str]]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["specimen"] == "blood":
                yield (row["population"], row["parameter"]), _value(row)


def _value(row: Mapping[str, str]) -> str:
    if row["censoring"] == "interval" and row["low"] and row["high"]:
        return f"({float(row['low']):.3g}, {float(row['high']):.3g}]"
    if row["censoring"] == "right" and row["low"]:
        return f"> {float(row['low']):.3g}"
    why = why_of(row["definition"])
    return f"{float(row['value']):.3g}" if row["value"] else f"NE ({why.sentence})" if why else "NE"


def _next_run(study: Study, server: Access) -> str | None:
    """Ask a server when this study runs next; a site's server runs other studies and other programs too."""
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
    nightly = FlowFilter(name=FlowFilterName(any_=["nightly"]))
    try:
        with server.settings(), get_client(sync_client=True) as client:
            runs = client.read_flow_runs(
                flow_filter=nightly,
                flow_run_filter=scheduled,
                sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            )
    except httpx.HTTPError:
        return None
    own = (
        run.expected_start_time for run in runs if run.parameters.get("study") == str(study.folder)
    )
    return next((moment.isoformat() for moment in own if moment), None)
