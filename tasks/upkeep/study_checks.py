"""Check a study: its settings, store, folders, disk, clock, archive, versions, log and last night.

Nothing is changed; a file that is made to see whether a folder can be written is removed again.
"""

from __future__ import annotations

import random
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import text

from gating.strategy.catalogue import known, load_strategy, missing_releases
from panels.files.plain_file import regular_sha256
from panels.text.errors import CalibrationFault, ReconflowError, StrategyFault
from panels.text.plural import counted
from panels.verifying import verify_panels
from tasks.calibrate.release import verify_calibrations
from tasks.intake.inbox import inbox_faults
from tasks.intake.store_check import check_ledger, is_store_missing, refuse_missing_store
from tasks.review.audit_trail import read_trail
from tasks.store.ledger import TAKEN_IN, FileRecord, all_files
from tasks.store.opening import Store, version_of_store
from tasks.store.runs import last_run
from tasks.store.schema.layout import SCHEMA_VERSION
from tasks.study.folder import Study, open_study
from tasks.upkeep.finding import Finding, State

SAMPLED = 20
"""Archived tubes whose bytes are read when not all are asked for."""
FEW_BYTES, TOO_FEW_BYTES = 10 * 10**9, 10**9
CLOCK_SECONDS = 60
NIGHT_HOURS = 26
"""A nightly study was counted within these hours, unless a night was missed."""
LONG_HOURS = 12
MOST_NAMED = 5

Check = Callable[[Study, Store], Iterator[Finding]]


def check_study(folder: Path, *, all_files_read: bool = False) -> Iterator[Finding]:
    """Look at a study; every fault is a finding, and the checks after it are made all the same."""
    try:
        study = open_study(folder)
    except ReconflowError as fault:
        yield Finding("settings", "wrong", str(fault), "Correct study.yaml, then run again.")
        return
    yield Finding(
        "settings", "ok", f"{study.folder / 'study.yaml'}: study '{study.settings.study}'"
    )
    yield from _folders(study)
    yield from _disk(study)
    yield from _versions(study)
    try:
        refuse_missing_store(study)
        if is_store_missing(study):
            sentence = "There is none yet; the first run makes it."
            yield Finding("store", "look", sentence, "reconflow run")
            return
        earlier = _earlier_version(study)
        if earlier:
            yield earlier
            return
        store = study.store()
    except ReconflowError as fault:
        yield Finding("store", "wrong", str(fault), "See docs/operations.md, Backup and restore.")
        return
    with store:
        checks: Mapping[str, Check] = {
            "store": _store,
            "clock": _clock,
            "archive": partial(_archive, all_files_read=all_files_read),
            "log of decisions": _log,
            "last run": _last_night,
            "ledger": _ledger,
        }
        for name, check in checks.items():
            try:
                yield from check(study, store)
            except (ReconflowError, OSError) as fault:
                yield Finding(name, "wrong", str(fault), "Correct this first.")


def _earlier_version(study: Study) -> Finding | None:
    """Tell of a store that opening it would bring up to this program's version."""
    version = version_of_store(study.store_url)
    if version is None or version == SCHEMA_VERSION:
        return None
    return Finding(
        "store",
        "look",
        f"It is of version {version}, written by an earlier reconflow. The first command that uses "
        f"it, such as reconflow run, brings it to version {SCHEMA_VERSION}, which the earlier "
        "program cannot open. What is in it was not looked at.",
        "See docs/operations.md, Upgrade and rollback.",
    )


def _folders(study: Study) -> Iterator[Finding]:
    """Try whether the folders can be written, and whether the clock of their disk agrees."""
    places = {"inbox": study.inbox, "archive": study.archive, "quarantine": study.quarantine}
    for name, place in (places | {"results": study.results}).items():
        if not place.exists() and name != "inbox":
            continue
        try:
            behind = _written_ago(place)
        except OSError as error:
            yield Finding(
                name,
                "wrong",
                f"{place} cannot be written: {error.strerror}.",
                "Connect the share, or give this account the right to write there.",
            )
            continue
        far = abs(behind) > CLOCK_SECONDS
        yield Finding(
            name,
            "look" if far else "ok",
            f"{place} can be written"
            + (f", but its clock differs by {behind:.0f} s from this computer's" if far else ""),
            "Set both clocks by the same time server." if far else "",
        )
    for fault in inbox_faults(study):
        yield Finding("inbox", "look", fault, "")


def _written_ago(folder: Path) -> float:
    """Make a file, take it away, and give how many seconds ago it was made by the disk's clock."""
    path = folder / f".reconflow-doctor-{uuid.uuid4().hex[:8]}.part"
    try:
        path.write_bytes(b"")
        return time.time() - path.stat().st_mtime
    finally:
        path.unlink(missing_ok=True)


def _disk(study: Study) -> Iterator[Finding]:
    for name, place in (
        ("study", study.folder),
        ("archive", study.archive),
        ("results", study.results),
    ):
        if not place.exists():
            continue
        free = shutil.disk_usage(place).free
        state: State = "wrong" if free < TOO_FEW_BYTES else "look" if free < FEW_BYTES else "ok"
        mend = "" if state == "ok" else "Make room before the next night."
        yield Finding(f"disk of the {name}", state, f"{free / 1e9:.1f} GB free", mend)


def _versions(study: Study) -> Iterator[Finding]:
    """Check every released panel, strategy and calibration against its LOCK."""
    panels, calibrations = (
        verify_panels(study.own_panels),
        verify_calibrations(study.own_calibrations),
    )
    strategies = list(_strategy_faults(study.own_strategies))
    for name, faults in (
        ("panels", [*panels.faults, *panels.unreadable]),
        ("strategies", strategies),
        ("calibrations", list(calibrations.faults)),
    ):
        if faults:
            mend = "Put the released files back from the backup."
            yield Finding(name, "wrong", " ".join(faults), mend)
        else:
            yield Finding(name, "ok", "all are as released")


def _strategy_faults(own: Path) -> Iterator[str]:
    for pin in missing_releases(own):
        yield f"{pin} was released and its strategy.yaml is gone."
    for pin in known(own):
        try:
            load_strategy(pin, own)
        except (StrategyFault, CalibrationFault) as fault:
            yield str(fault)


def _store(_: Study, store: Store) -> Iterator[Finding]:
    said = "ok"
    if store.engine.dialect.name == "sqlite":
        with store.reading() as connection:
            said = str(connection.execute(text("PRAGMA quick_check(1)")).scalar())
    if said == "ok":
        yield Finding("store", "ok", f"{store.shown}, version {SCHEMA_VERSION}")
        return
    mend = "Put it back: reconflow restore FILE --by NAME"
    yield Finding("store", "wrong", f"{store.shown} is damaged: {said}", mend)


def _ledger(study: Study, store: Store) -> Iterator[Finding]:
    for sentence in check_ledger(study, store):
        yield Finding("ledger", "wrong", sentence, "")


def _clock(study: Study, store: Store) -> Iterator[Finding]:
    """Compare the present time with the latest that the store holds."""
    zone = study.settings.local_zone
    if zone is None:
        yield Finding(
            "time zone",
            "look",
            "study.yaml names no time zone: times without offset are taken as they stand.",
            "Add time_zone, for example: time_zone: Europe/Berlin",
        )
    latest = max(
        [each.changed_at for each in all_files(store)]
        + [run.started_at for run in [last_run(store)] if run],
        default="",
    )
    ahead = latest and datetime.fromisoformat(latest) - datetime.now(UTC)
    if ahead and ahead > timedelta(seconds=CLOCK_SECONDS):
        yield Finding(
            "clock",
            "wrong",
            f"This computer's clock is behind: the store holds {latest}, and it is said to be "
            f"{datetime.now(UTC).isoformat(timespec='seconds')}.",
            "Set the clock by a time server: times in tables and log would be wrong.",
        )
    else:
        yield Finding("clock", "ok", f"{datetime.now(UTC).isoformat(timespec='seconds')}")


def _archive(study: Study, store: Store, *, all_files_read: bool) -> Iterator[Finding]:
    """Read the bytes of archived tubes again: all, or some that are others each day."""
    files = [each for each in all_files(store, TAKEN_IN) if each.place]
    chosen = files
    if not all_files_read and len(files) > SAMPLED:
        day = datetime.now(UTC).date().isoformat()
        chosen = random.Random(day).sample(files, SAMPLED)  # noqa: S311 - no secret
    wrong = [each.place or "" for each in chosen if not _is_as_taken_in(study, each)]
    if wrong:
        named = ", ".join(wrong[:MOST_NAMED]) + (" …" if len(wrong) > MOST_NAMED else "")
        yield Finding(
            "archive",
            "wrong",
            f"{counted(len(wrong), 'tube')} of {len(chosen)} read are gone or hold other bytes: "
            f"{named}.",
            "Put them back from the backup of the archive.",
        )
        return
    more = "" if len(chosen) == len(files) else f" of {len(files)} (--all reads every one)"
    yield Finding("archive", "ok", f"{counted(len(chosen), 'tube')}{more} hold the bytes taken in")


def _is_as_taken_in(study: Study, record: FileRecord) -> bool:
    try:
        return regular_sha256(study.path_of(record.place or "")) == record.sha256
    except OSError:
        return False


def _log(study: Study, store: Store) -> Iterator[Finding]:
    trail = read_trail(study, store)
    if trail.verified:
        entries = f"{len(trail.entries)} entries, as they were written"
        yield Finding("log of decisions", "ok", entries)
    for sentence in trail.sentences:
        yield Finding("log of decisions", "wrong", sentence, "See docs/review.md, The log.")


def _last_night(_: Study, store: Store) -> Iterator[Finding]:
    """Say when the study was counted last, and whether a night was missed."""
    run = last_run(store)
    if run is None:
        yield Finding("last run", "look", "The study was never counted.", "reconflow run")
        return
    hours = (datetime.now(UTC) - datetime.fromisoformat(run.started_at)) / timedelta(hours=1)
    began = run.started_at[:16].replace("T", " ")
    ago = f"{run.kind} of {began} UTC, {hours:.0f} h ago"
    if run.outcome == "failed":
        yield Finding("last run", "wrong", f"{ago}: it failed.", "reconflow run says why.")
    elif run.outcome == "running" and hours > LONG_HOURS:
        yield Finding("last run", "look", f"{ago}: it never ended.", "reconflow run")
    else:
        yield Finding("last run", "ok", f"{ago}: {run.outcome}")
    night = last_run(store, "nightly")
    if night is not None:
        since = (datetime.now(UTC) - datetime.fromisoformat(night.started_at)) / timedelta(hours=1)
        if since > NIGHT_HOURS:
            yield Finding(
                "last night",
                "look",
                f"The last nightly run began {since:.0f} h ago.",
                "Is `reconflow up` (or the site's worker) running?",
            )
