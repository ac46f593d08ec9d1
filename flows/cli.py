"""Frame every ``reconflow`` command: options, exit codes, and who may write to stdout.

A command is a plain function that takes keyword options and returns an ``Outcome``; the frame
prints it. It is registered under its name, and imports what it needs inside itself, so that
``reconflow --help`` starts at once::

    @app.command
    def status(*, study: Study = Path(), json: Json = False) -> Outcome:
        \"\"\"Show the ledger by state, and what waits and why.\"\"\"
        from tasks.store.ledger import states

        number = states(study)
        waits = number["waiting"]
        return Outcome(document=number, text=f"{waits} tubes wait", waits=waits > 0)

Faults are raised, never printed: ``UsageFault`` ends the command with code 2, any other
``ReconflowError`` with code 1. With ``--json`` the document is the only thing on stdout; whatever
else is printed, here or in a child process, goes to stderr.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated, NoReturn

from cyclopts import App, CycloptsError, Parameter

import flows.process_start  # noqa: F401 - before anything imports numpy
from panels.files.watchdog import Reason, watchdog
from panels.text.errors import FieldFault, ReconflowError, UsageFault
from panels.text.printable import printable_lines
from panels.text.quoting import unexpected

DONE, FAILED, WRONG, WAITS, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143
IS_WINDOWS = os.name == "nt"

Study = Annotated[
    Path, Parameter(name="--study", help="The study folder; the current folder when not given.")
]
Json = Annotated[
    bool,
    Parameter(
        name="--json", negative="", help="Print one JSON document on stdout and nothing else there."
    ),
]
Strict = Annotated[
    bool,
    Parameter(
        name="--strict",
        negative="",
        help="End with code 3 when something waits, is quarantined or is uncalibrated.",
    ),
]

_POSITIONAL = {"name": "NAME"}
"""Fields of ``FieldFault`` that no option gives, by the word of the command's help."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a command: ``document`` for programs (``--json``), ``text`` for people.

    ``failed`` means that the work was done but its answer is a refusal (code 1); ``wrong`` that a
    sheet has to be corrected, though everything else was done (code 2); ``waits`` that something
    waits, is quarantined or was counted without a calibration (code 3 under ``--strict``).
    """

    document: Mapping[str, object]
    text: str
    failed: bool = False
    wrong: bool = False
    waits: bool = False


def installed_version() -> str:
    """Give the version of the installed distribution."""
    from importlib.metadata import version

    return f"reconflow {version('reconflow')}"


app = App(
    name="reconflow",
    help=(
        "Per-patient kinetic tables of CAR T cells, B cells and plasma cells from flow-cytometry "
        "files."
    ),
    version=installed_version,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)


# The commands by module and function below flows/commands, each with its line of `--help`.
COMMANDS = {
    "study_folder:demo": "make a simulated study and run the whole pipeline over it",
    "study_folder:init": "write a commented, ready-to-edit study folder",
    "study_folder:up": "server, nightly schedule and watcher, until stopped",
    "study_folder:run": "one full pass: take in, gate, count, tables, report",
    "study_folder:regate": (
        "recount the archive under another strategy version and compare, before it is promoted"
    ),
    "study_folder:watch": "take files up as they become stable, until stopped",
    "study_folder:status": "the ledger by state, what waits and why, last and next run",
    "instruments:monitor": "control charts of every instrument, and what has drifted",
    "explore:explore": "maps of the cells of a compartment over time (exploratory)",
    "study_folder:retry": "take refused or failed files up again",
    "review:review": (
        "the review pages; accept, query or repeat visits, sign a patient's tables, list what is "
        "open"
    ),
    "audit:audit": "print and verify the log of decisions, or export it",
    "tube_decisions:tube": (
        "correct, exclude or include one tube with name and reason; show all that happened to it"
    ),
    "single_file:inspect": "what an FCS file says of itself, and whether it would be refused",
    "single_file:gate": "counts of one file under a strategy or a Gating-ML document",
    "single_file:nca": "cellular-kinetic parameters of any time,conc,blq[,group] table",
    "patient_report:report": "where a patient's report is; with --pdf, as A4 pages for the file",
    "data_set:export": (
        "the whole study as one data set: CSV, Excel, Parquet, SDTM-shaped, or gated cells"
    ),
    "validate:validate": "qualify this installation on this machine; a dated report to file",
    "doctor:doctor": "what is wrong with installation, server and study, and what to do",
    "upkeep:backup": "store, settings, sheets and versions in one file, also during a run",
    "upkeep:restore": "put the store of a backup back, and say what the archive lacks",
    "upkeep:store": "begin a lost store anew from archive and sheets",
    "deidentify:deidentify": "clean copies of FCS files: same events, no name of a person",
    "calibration_versions:calibrate": (
        "measure an instrument's numbers from its own tubes; list, show, verify, release them"
    ),
    "drafts:draft": "list drafts, move their numbers, compare them with what counts now",
    "panel_versions:panel": "draft, check, list, show, verify, compare and release panels",
    "strategy_versions:strategy": (
        "list, show, verify, compare, release, import and export gating strategies"
    ),
}
for _place, _help in COMMANDS.items():
    app.command(f"flows.commands.{_place}", help=_help)


def main() -> NoReturn:
    """Run the command given on the command line and leave with its exit code."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # Our child processes must not import what somebody has put into the folder we are called from.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    signal.signal(signal.SIGTERM, _terminate)
    sys.excepthook = _report_own_fault
    with watchdog(partial(_say_ending, os.dup(1))):
        code = run(sys.argv[1:])
    sys.exit(code)


def run(tokens: Sequence[str]) -> int:
    """Run one command and give its exit code.

    0: done; 1: failed; 2: wrongly called; 3: something waits, is quarantined or is uncalibrated
    (``--strict``); 130: interrupted.
    """
    as_json = "--json" in tokens
    try:
        with _stdout_for_the_document(redirect=as_json):
            outcome = _call(tokens)
        code = DONE
        if isinstance(outcome, Outcome):
            code = _show(outcome, as_json=as_json, strict="--strict" in tokens)
    except BrokenPipeError:
        code = _end_quietly()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except FieldFault as error:
        code = _refuse(_with_option(error), code=WRONG, as_json=as_json)
    except (UsageFault, CycloptsError) as error:
        code = _refuse(str(error), code=WRONG, as_json=as_json)
    except ReconflowError as error:
        code = _refuse(str(error), code=FAILED, as_json=as_json)
    except OSError as error:
        code = _refuse(_described(error), code=FAILED, as_json=as_json)
    return code


def _call(tokens: Sequence[str]) -> object:
    if IS_WINDOWS:
        raise UsageFault(
            "reconflow locks files in a way that Windows does not have, and runs on Linux. Windows "
            "computers drop files into its inbox and open its pages (docs/operations.md)."
        )
    return app(tokens, exit_on_error=False, print_error=False, result_action="return_value")


def _show(outcome: Outcome, *, as_json: bool, strict: bool) -> int:
    """Print the outcome for its reader and give the exit code."""
    if as_json:
        _print_document(outcome.document)
    elif outcome.text:
        sys.stdout.write(printable_lines(outcome.text.rstrip("\n")) + "\n")
        sys.stdout.flush()
    if outcome.failed:
        return FAILED
    if outcome.wrong:
        return WRONG
    return WAITS if strict and outcome.waits else DONE


def _print_document(document: Mapping[str, object]) -> None:
    import json

    sys.stdout.write(json.dumps(document, ensure_ascii=False, allow_nan=False, default=str) + "\n")
    sys.stdout.flush()


def _refuse(message: str, *, code: int, as_json: bool) -> int:
    """Print on stderr what went wrong.

    Under ``--json`` it is printed as a document too, so that a program always gets one.
    """
    sys.stderr.write(f"reconflow: {printable_lines(message)}\n")
    if as_json:
        _print_document({"error": message})
    return code


def _end_quietly() -> int:
    """End without a message when the reader of our output (``head``, a closed pager) has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _with_option(fault: FieldFault) -> str:
    """Say a fault with the option of its field, and name the option that would allow it."""
    called = _POSITIONAL.get(fault.field, f"--{fault.field}")
    allowed = f" Give --{fault.allowed_by} NAME." if fault.allowed_by else ""
    return fault.sentence(called) + allowed


def _say_ending(stdout: int, sentence: str, reason: Reason) -> None:
    """Say which folder or work the process ends for; its stdout is redirected by now."""
    sentence += f" Run again once {'it answers' if reason == 'silence' else 'that is repaired'}."
    sys.stderr.write(f"reconflow: {printable_lines(sentence)}\n")
    sys.stderr.flush()
    if "--json" in sys.argv:
        import json

        os.write(stdout, json.dumps({"error": sentence}).encode() + b"\n")


def _described(error: OSError) -> str:
    """Put a failure of the file system or the network into words, such as a full disk."""
    from tasks.store.faults import in_words

    return in_words(error)


@contextmanager
def _stdout_for_the_document(*, redirect: bool) -> Iterator[None]:
    """Send everything printed in the block to stderr.

    It is done at the file descriptor, so that child processes follow.
    """
    if not redirect:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    """Turn a request to stop into an orderly end: our servers and workers are stopped too."""
    raise SystemExit(TERMINATED)


def _report_own_fault(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Report a fault of reconflow in one line; the traceback is shown where it is asked for."""
    if os.environ.get("RECONFLOW_TRACEBACK"):
        sys.__excepthook__(kind, error, trace)
    described = unexpected(error)
    message = (
        f"unexpected {described}. This is a fault in reconflow: RECONFLOW_TRACEBACK=1 shows more."
    )
    _refuse(message, code=FAILED, as_json="--json" in sys.argv)


if __name__ == "__main__":
    # Run as `python -m flows.cli` this file is a second copy of the module, and the commands'
    # Outcome is the other one's.
    from flows.cli import main as _main

    _main()
