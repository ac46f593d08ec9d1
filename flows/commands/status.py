"""Gather and show how a study stands: the ledger, what is open, the last and the next run."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from flows.review_pages.announced import BY_REVIEW, BY_UP, served_at
from flows.server.access import Access
from flows.server.home_folder import LOGIN
from flows.server.next_run import next_run
from panels.text.printable import printable
from tasks.study.folder import Study

if TYPE_CHECKING:
    from tasks.store.ledger import FileRecord
    from tasks.store.runs import Run
    from tasks.strategies.standing import PanelStanding, Standing


def status_document(
    study: Study, server: Access | None, *, kept_by: str | None = None
) -> dict[str, Any]:
    """Gather the ledger by state, what is open and why, and the last and next nightly run.

    ``kept_by`` is the account that keeps the schedule, where it is not shown to this one. Raises
    UsageFault where the store was lost, as a pass does.
    """
    from tasks.intake.inbox import inbox_faults
    from tasks.intake.store_check import check_ledger, refuse_missing_store
    from tasks.results.front_page import read_now
    from tasks.review.sign_off import standings
    from tasks.store.ledger import all_files
    from tasks.store.runs import last_run
    from tasks.strategies.in_use import read_snapshot
    from tasks.strategies.standing import panel_standing

    refuse_missing_store(study)
    snapshot = read_snapshot(study)
    with study.store() as store:
        check_ledger(study, store)
        files = all_files(store, ("settling", "waiting", "failed", "quarantined"))
        last = last_run(store, "nightly")
        signed = standings(store)
    now = read_now(snapshot)
    return {
        "pages": _pages_document(study, server),
        "inbox": list(inbox_faults(study)),
        "sheets": [*map(str, snapshot.drug_problems), *now.on_sheets],
        "states": now.states,
        "uncalibrated": sum(each.tubes for each in now.without),
        "without_calibration": [asdict(each) for each in now.without],
        "to_look_at": now.night.to_look_at,
        "stops": now.night.stops,
        "instruments": list(now.instruments.notices),
        "attention": now.night.attention,
        "strategies": [_strategy_document(each) for each in now.standings],
        "panels": [_panel_document(each) for each in panel_standing(snapshot)],
        "signed": [each.document() for each in signed],
        "open": [_file_document(each) for each in files],
        "last_run": _run_document(study, last) if last else None,
        "next_run": next_run(study.folder, server) if server else None,
        "time_zone": study.settings.nightly_zone,
        "schedule_kept_by": kept_by,
    }


def status_text(document: Mapping[str, Any]) -> str:
    """Write the status for a person: what needs a hand comes last, so that it is read."""
    from tasks.overview.uncalibrated import UncalibratedTubes, uncalibrated_sentence

    last = document["last_run"]
    without = [UncalibratedTubes(**each) for each in document["without_calibration"]]
    strategies = document["strategies"]
    lines = [
        *filter(None, [uncalibrated_sentence(without)]),
        f"files: {_states(document['states'])}",
        document["attention"],
        _last_run_text(document, last) if last else "last run: none yet",
        f"next run: {_next_run_text(document)}",
        *_pages_lines(document),
        *(f"{each['panel']}: {each['strategy']}, {each['standing']}" for each in strategies),
        *(each["newer"] for each in strategies if each["newer"]),
        *(f"panel {each['version']}: {each['standing']}" for each in document["panels"]),
        *_signed_lines(document["signed"]),
        *document["inbox"],
        *document["sheets"],
        *(f"{each['state']}: {each['file']}: {each['reason']}" for each in document["open"]),
    ]
    return "\n".join(map(printable, lines))


def _pages_document(study: Study, server: Access | None) -> dict[str, Any]:
    """Gather where the pages are; None for those that nobody serves, or not to this account."""
    by_up = served_at(study.folder, BY_UP)
    review = [*filter(None, (by_up, served_at(study.folder, BY_REVIEW)))]
    return {
        "front_page": str(study.front_page) if study.front_page.is_file() else None,
        "review": review[0] if review else None,
        "review_all": review,
        "prefect": server.url.removesuffix("/api") if server else None,
        "prefect_login": str(server.home / LOGIN) if server and server.home else None,
        "up": bool(by_up or (server and server.home)),
    }


def _pages_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Say whether `reconflow up` runs, and where each kind of page is."""
    pages = document["pages"]
    yield f"front page: {pages['front_page'] or 'none yet; the first run writes it'}"
    for address in pages["review_all"]:
        yield f"review pages: {address}"
    if pages["prefect"]:
        login = f" (log in with the line in {pages['prefect_login']})"
        yield f"Prefect's pages: {pages['prefect']}{login if pages['prefect_login'] else ''}"
    if pages["up"]:
        yield "`reconflow up` runs"
    elif document["schedule_kept_by"] is None:
        yield (
            "`reconflow up` does not run on this computer: no file is taken in or counted by itself"
        )


def _strategy_document(used: "Standing") -> dict[str, str]:
    return {
        "panel": used.panel,
        "strategy": used.strategy,
        "sha256": used.sha256,
        "standing": used.description,
        "newer": used.newer,
    }


def _panel_document(used: "PanelStanding") -> dict[str, str]:
    return {
        "panel": used.panel,
        "version": used.pin,
        "sha256": used.sha256,
        "standing": used.description,
    }


def _signed_lines(signed: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Count how many patients' tables are signed, and name those whose signature ended."""
    if signed:
        states = Counter(each["state"] for each in signed)
        yield f"signed: {', '.join(f'{number} {state}' for state, number in states.items())}"
    for each in signed:
        if each["reopened_because"]:
            of = " ".join(filter(None, (each["patient"], each["data_cut"])))
            yield f"{of}: {each['state']}, no longer signed: {each['reopened_because']}"


def _file_document(file: "FileRecord") -> dict[str, str]:
    return {"file": file.inbox_path, "state": file.state, "reason": file.reason}


def _run_document(study: Study, run: "Run") -> dict[str, object]:
    return {
        "started": run.started_at,
        "ended": run.ended_at,
        "outcome": _outcome(study, run),
        "fault": run.summary.get("fault", ""),
    }


def _outcome(study: Study, run: "Run") -> str:
    """Give how a run ended: one noted as running that nothing runs any more was interrupted."""
    from tasks.study.lock import is_running

    return "interrupted" if run.outcome == "running" and not is_running(study) else run.outcome


def _last_run_text(document: Mapping[str, Any], last: Mapping[str, str]) -> str:
    why = f": {last['fault']}" if last["fault"] else ""
    return f"last run: {_moment(document, last['started'])}, {last['outcome']}{why}"


def _next_run_text(document: Mapping[str, Any]) -> str:
    keeper = document["schedule_kept_by"]
    if document["next_run"]:
        return _moment(document, document["next_run"])
    if keeper:
        return f"not shown to this account; `{keeper}` runs `reconflow up` and sees it"
    return "none is scheduled; `reconflow up` keeps the schedule"


def _states(states: Mapping[str, int]) -> str:
    """Count the files by state; those in which there is none are left out."""
    return (
        ", ".join(f"{number} {state}" for state, number in states.items() if number) or "none yet"
    )


def _moment(document: Mapping[str, Any], written: str) -> str:
    """Write a moment to the minute, in the time zone of the nightly schedule."""
    zone = document["time_zone"]
    local = datetime.fromisoformat(written).astimezone(ZoneInfo(zone))
    return f"{local:%Y-%m-%d %H:%M} {zone}"
