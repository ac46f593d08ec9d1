"""The commands that work on a study."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from flows.cli import Json, Outcome, Strict, Study
from flows.server.access import Access
from flows.server.home_folder import owner_of
from flows.server.start import prefect_server, running_server, server_for_a_command
from panels.files.watchdog import watchdog
from panels.text.errors import SettingsFault, UsageFault
from panels.text.printable import printable

HOME = ".prefect"
PORTS = Number(gte=1, lte=65535)
SUMMARY = (
    "accepted",
    "counted",
    "duplicates",
    "waiting",
    "quarantined",
    "failed",
    "uncalibrated",
    "patients",
    "report",
)


def demo(
    folder: Path = Path("reconflow-demo"),
    *,
    patients: int = 2,
    visits: int = 12,
    seed: int = 1,
    json: Json = False,
) -> Outcome:
    """Make a simulated study in DIR, run the whole pipeline over it, and say where its results are.

    Parameters
    ----------
    folder: The folder of the study; run again over an earlier demo, the pipeline finds nothing new.
    patients: How many patients.
    visits: How many visits each.
    seed: Another number makes other patients.
    """
    from flows.commands.pass_summary import demo_text
    from flows.demo import demo as run_demo

    _quiet_prefect()
    summary = run_demo(folder, patients=patients, visits=visits, seed=seed, quiet=json)
    return _outcome(summary, demo_text(folder.resolve(), summary))


def init(folder: Path, *, json: Json = False) -> Outcome:
    """Write a commented, ready-to-edit study into DIR; nothing is ever overwritten."""
    from tasks.study.starter import init_study

    written = init_study(folder)
    text = (
        f"{folder} is a study now. Fill in patients.csv and samples.csv, drop FCS files into "
        f"inbox/, then: reconflow run --study {folder}"
    )
    return Outcome(document={"written": [str(path) for path in written]}, text=text)


def run(*, study: Study = Path(), json: Json = False, strict: Strict = False) -> Outcome:
    """Make one full pass: take in, gate and count, write tables and report."""
    from flows.commands.pass_summary import pass_text
    from flows.progress import progress_shown
    from tasks.study.settings import read_settings

    read_settings(study)  # Wrong ones are said before a server is started.
    folder = study.resolve()
    with progress_shown(quiet=json), _server(folder):
        from flows.nightly import nightly

        summary = nightly(str(folder))
    return _outcome(summary, pass_text(summary))


def regate(
    *,
    strategy: Annotated[str, Parameter(help="A released version, such as bcell@2.0.0.")],
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Recount the archive under another strategy version and compare.

    The counts lie beside those in use; nothing in use is changed.
    """
    from flows.progress import progress_shown
    from tasks.concordance.recount import comparison
    from tasks.strategies.in_use import read_snapshot
    from tasks.study.folder import open_study

    opened = open_study(study)
    comparison(read_snapshot(opened), strategy)
    with progress_shown(quiet=json), _server(opened.folder):
        from flows.regate import regate as run_regate

        compared = run_regate(str(opened.folder), strategy)
    for sentence in compared["faults"]:
        sys.stderr.write(f"reconflow: {sentence}\n")
    text = "\n".join(
        [
            *compared["verdict"],
            f"page: {compared['page']}",
            f"To make it current: reconflow strategy promote {compared['other']}",
        ]
    )
    return Outcome(document=compared, text=text, failed=bool(compared["faults"]))


def watch(
    *,
    study: Study = Path(),
    interval: Annotated[float, Parameter(help="Seconds between two looks.")] = 10.0,
) -> None:
    """Take files up as they become stable, until stopped (Ctrl-C)."""
    from flows.watcher import keep_watching
    from tasks.study.folder import open_study

    opened = open_study(study)
    with _server(opened.folder):
        keep_watching(opened, interval)


def up(
    *,
    study: Study = Path(),
    interval: Annotated[float, Parameter(help="Seconds between two looks at the inbox.")] = 10.0,
    port: Annotated[
        int | None,
        Parameter(
            help="Port of Prefect's pages; that of study.yaml, else a free one.", validator=PORTS
        ),
    ] = None,
    review_port: Annotated[
        int | None,
        Parameter(
            help="Port of the review pages; that of study.yaml, else 8737 or a free one.",
            validator=PORTS,
        ),
    ] = None,
) -> None:
    """Run a laboratory: Prefect server, schedule, watcher and review pages, until stopped."""
    _quiet_prefect()
    from flows.review_pages.announced import REVIEW_URL
    from flows.review_pages.serve import review_pages_beside
    from flows.up import print_address, up_study
    from tasks.study.folder import open_study
    from tasks.study.settings import FILE_NAME

    opened = open_study(study)
    site = os.environ.get("PREFECT_API_URL")
    if site and port is not None:
        message = "--port is of the server that `up` starts, and PREFECT_API_URL names another."
        raise UsageFault(f"{message} Leave one of the two out.")
    ports = opened.settings.up
    if site and ports.port is not None:
        raise SettingsFault(
            f"{opened.folder / FILE_NAME}: up: port is of the server that `up` starts, and "
            "PREFECT_API_URL names another. Leave one of the two out."
        )
    with (
        prefect_server(opened.folder / HOME, port=port or ports.port or 0) as url,
        review_pages_beside(opened, review_port or ports.review_port) as pages,
        watchdog(None),
    ):
        os.environ.setdefault(REVIEW_URL, pages)
        sys.stderr.write(f"Review pages: {pages}/\n")
        print_address(url, None if site else opened.folder / HOME)
        sys.stderr.write(f"Front page: {opened.front_page}\n")
        up_study(opened, interval)


def status(*, study: Study = Path(), json: Json = False, strict: Strict = False) -> Outcome:
    """Show the ledger by state, what waits and why, and the last and next nightly run."""
    from flows.commands.status import status_document, status_text
    from tasks.study.folder import open_study

    opened = open_study(study)
    site = os.environ.get("PREFECT_API_URL")
    server = Access(site) if site else running_server(opened.folder / HOME)
    document = status_document(opened, server, kept_by=_keeper(opened.folder / HOME))
    states = document["states"]
    return Outcome(
        document=document,
        text=status_text(document),
        waits=bool(states["waiting"] or states["quarantined"] or document["uncalibrated"]),
    )


def retry(*files: str, study: Study = Path(), json: Json = False) -> Outcome:
    """Take refused or failed files up again with the next run; without FILE, all of them."""
    from tasks.intake.retry import retry as take_up_again
    from tasks.study.folder import open_study

    taken_up = take_up_again(open_study(study), files or None)
    first = f"{len(taken_up)} taken up again; the next run looks at them."
    text = "\n".join([first, *map(printable, taken_up)])
    return Outcome(document={"taken_up": list(taken_up)}, text=text)


def _outcome(summary: dict[str, Any], text: str) -> Outcome:
    """Give the outcome of a pass.

    What somebody has to correct is printed on stderr: a program that reads stdout leaves it to a
    person.
    """
    for sentence in (*summary["sheet_faults"], *summary["table_faults"], *summary["notices"]):
        sys.stderr.write(f"reconflow: {printable(sentence)}\n")
    return Outcome(
        document={key: summary[key] for key in SUMMARY},
        text=text,
        failed=bool(summary["failed"] or summary["table_faults"]),
        wrong=bool(summary["sheet_faults"]),
        waits=bool(summary["waiting"] or summary["quarantined"] or summary["uncalibrated"]),
    )


@contextmanager
def _server(folder: Path) -> Iterator[None]:
    """Use the site's server, that of ``reconflow up`` for this study, or one for this command."""
    _quiet_prefect()
    with server_for_a_command(folder / HOME):
        yield


def _keeper(home: Path) -> str | None:
    """Name the account that keeps the study's server, where that is another one."""
    try:
        next(home.iterdir(), None)
    except FileNotFoundError:
        return None
    except PermissionError:
        return owner_of(home)
    return None


def _quiet_prefect() -> None:
    """Keep Prefect's own log out of the terminal unless it is asked for; its pages have it too."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
