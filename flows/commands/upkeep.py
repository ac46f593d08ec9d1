"""The commands that keep a study's store safe: back up, restore, begin anew."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from flows.cli import Json, Outcome, Study
from flows.commands.log_head import note_log_head
from panels.text.plural import counted

if TYPE_CHECKING:
    from tasks.upkeep.restore import Restored

store = App(
    name="store",
    help="Begin a lost store anew from archive and sheets.",
    help_format="plaintext",
)


def backup(file: Path, *, study: Study = Path(), json: Json = False) -> Outcome:
    """Write store, settings, sheets and the study's own versions to FILE, also during a run.

    FCS files are not in it: back up the archive as files.
    """
    from tasks.study.folder import open_study
    from tasks.upkeep.backup import back_up

    manifest = back_up(open_study(study), file)
    size = math.ceil(file.stat().st_size / 1000)
    return Outcome(
        document={"file": str(file), **asdict(manifest)},
        text=(
            f"{file} ({size:,} kB): store, {counted(len(manifest.files) - 1, 'file')} of "
            f"settings and versions, hashes of {counted(len(manifest.archive), 'archived tube')}.\n"
            f"The tubes themselves are not in it: keep a copy of the archive too, and of "
            f"deidentify.key where there is one."
        ),
    )


def restore(
    file: Path,
    *,
    by: Annotated[str, Parameter(help="Who puts the store back; the log of decisions says so.")],
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Put the store of a backup back; the present one is moved aside, never overwritten.

    In a folder without study.yaml settings, sheets and versions are put back as well.
    """
    from panels.files.watchdog import watch_folders
    from tasks.upkeep.restore import restore as put_back

    watch_folders([study])
    done = put_back(study.resolve(), file, by=by)
    note_log_head(study)
    return Outcome(
        document={
            "made_at": done.manifest.made_at,
            "tubes": len(done.manifest.archive),
            "aside": [str(path) for path in done.aside],
            "written": list(done.written),
            "differing": list(done.differing),
            "faults": list(done.faults),
        },
        text="\n".join(_told(done)),
        failed=bool(done.faults),
    )


def _told(done: "Restored") -> Iterator[str]:
    yield (
        f"The store is that of {done.manifest.made_at} "
        f"({counted(len(done.manifest.archive), 'tube')}). What came after that is not in it."
    )
    for path in done.aside:
        yield f"The one before lies in {path}: keep it, it shows what was lost."
    if done.written:
        yield f"Written: {', '.join(done.written)}"
    for name in done.differing:
        yield f"{name} is another one than at the time of the backup; it stays as it is now."
    yield from done.faults
    yield "Next: reconflow run"


@store.command(name="rebuild")
def rebuild_store(*, study: Study = Path(), json: Json = False) -> Outcome:
    """Bring archived tubes back into the inbox under their names, where no backup of the store is.

    Corrections, reviews, signatures and the log of decisions are lost with the store.
    """
    from tasks.study.folder import open_study
    from tasks.upkeep.rebuild import rebuild

    done = rebuild(open_study(study))
    lines = [_returned(len(done.returned), done.waiting)]
    if done.nameless:
        lines.append(
            f"Nothing told the former name of {counted(len(done.nameless), 'tube')}: give them a "
            f"line in samples.csv as {', '.join(done.nameless[:3])}"
            f"{' …' if len(done.nameless) > 3 else '.'}"
        )
    if done.store:
        lines.append(f"The store was no database any more; it lies in {done.store}: keep it.")
    if done.results:
        lines.append(f"The former results lie in {done.results}.")
    lines.append("Decisions of persons are lost with the store. Next: reconflow run")
    return Outcome(
        document={
            "returned": list(done.returned),
            "nameless": list(done.nameless),
            "waiting": done.waiting,
            "results": str(done.results) if done.results else None,
            "store": str(done.store) if done.store else None,
        },
        text="\n".join(lines),
    )


def _returned(tubes: int, waiting: int) -> str:
    """Say how many tubes were brought back, also where an earlier call did it."""
    if not tubes:
        return f"No tube is left in the archive; {counted(waiting, 'file')} in the inbox to count."
    more = f"; it holds {counted(waiting, 'file')} now" if waiting != tubes else ""
    return f"{counted(tubes, 'tube')} brought back into the inbox{more}."
