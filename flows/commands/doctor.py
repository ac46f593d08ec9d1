"""The command that says what is wrong with an installation, its server and a study."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flows.cli import Json, Outcome, Study

if TYPE_CHECKING:
    from tasks.upkeep.finding import Finding

SHOWN = {"ok": "ok   ", "look": "look ", "wrong": "WRONG"}


def doctor(
    *,
    study: Study = Path(),
    all: Annotated[  # noqa: A002 - the option's name is --all
        bool, Parameter(negative="", help="Read the bytes of every archived tube, not of some.")
    ] = False,
    json: Json = False,
) -> Outcome:
    """Say what is wrong with this installation, its server and a study, and how to correct it.

    Nothing is changed. Ends with code 1 when something is wrong.
    """
    from panels.files.watchdog import watch_folders
    from tasks.upkeep.installation import check_installation
    from tasks.upkeep.study_checks import check_study

    watch_folders([study])
    findings = [
        *check_installation(),
        *_server(study),
        *check_study(study, all_files_read=all),
    ]
    wrong = sum(each.state == "wrong" for each in findings)
    look = sum(each.state == "look" for each in findings)
    return Outcome(
        document={
            "checks": [asdict(each) for each in findings],
            "wrong": wrong,
            "look": look,
        },
        text="\n".join([*map(_line, findings), f"{wrong} wrong, {look} to look at"]),
        failed=wrong > 0,
    )


def _line(finding: "Finding") -> str:
    mend = f"\n        → {finding.mend}" if finding.mend else ""
    return f"{SHOWN[finding.state]} {finding.check}: {finding.sentence}{mend}"


def _server(study: Path) -> Iterator["Finding"]:
    """Say whether a Prefect server answers: the site's, or the one that `up` keeps."""
    from flows.review_pages.announced import BY_UP, served_at
    from flows.server.start import ServerFault, check_site, running_server
    from tasks.upkeep.finding import Finding

    site = os.environ.get("PREFECT_API_URL")
    if site:
        try:
            check_site(site)
        except ServerFault as fault:
            yield Finding("server", "wrong", str(fault), "")
            return
        yield Finding("server", "ok", f"the site's Prefect server answers at {site}")
        return
    running = running_server(study / ".prefect")
    if running is None:
        yield Finding(
            "server",
            "look",
            "`reconflow up` does not run under this account: unless another one keeps it, no file "
            "is taken in and no night begins by itself.",
            f"Start it: reconflow up --study {study}",
        )
        return
    pages = served_at(study, BY_UP)
    review = f", review pages: {pages}" if pages else ""
    prefect = running.url.removesuffix("/api")
    yield Finding("server", "ok", f"`reconflow up` runs; Prefect's pages: {prefect}{review}")
