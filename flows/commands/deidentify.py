"""The command that makes clean copies of FCS files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flows.cli import Json, Outcome
from panels.text.errors import UsageFault
from panels.text.plural import counted

if TYPE_CHECKING:
    from tasks.deidentify.deidentify import Copies

KEY = "deidentify.key"


def deidentify(
    *files: Path,
    output: Annotated[Path, Parameter(help="The folder for the copies.")],
    study: Annotated[
        Path | None,
        Parameter(help="The study that knows whose tubes these are, so that dates can be shifted."),
    ] = None,
    patient: Annotated[
        str | None, Parameter(help="Whose tubes these are, where no study knows it.")
    ] = None,
    key: Annotated[
        Path | None,
        Parameter(help="The file with the secret of the shifts; made where there is none."),
    ] = None,
    label: Annotated[
        tuple[str, ...],
        Parameter(help="Words of labels to keep that are not known.", consume_multiple=True),
    ] = (),
    json: Json = False,
) -> Outcome:
    """Copy FCS files without what could name a person: same events, keywords by a list.

    Dates are shifted by a number of days for each patient, or removed where nobody says whose a
    file is.
    """
    from panels.panel import plain
    from tasks.deidentify.date_shift import read_key
    from tasks.deidentify.deidentify import Request
    from tasks.deidentify.deidentify import deidentify as make_copies

    _refuse_no_files(files)
    if patient and study:
        raise UsageFault("Name --study or --patient: the study knows whose its tubes are.")
    if output.exists() and not output.is_dir():
        raise UsageFault(f"{output} is a file: name a folder.")
    patients = _patients(files, study, patient)
    place = key or (study / KEY if study is not None else None)
    secret = read_key(place) if place is not None and patients else None
    words = frozenset(plain(word) for word in label)
    copies = make_copies(Request(files, output, secret, patients, words))
    return Outcome(
        document={
            "copies": [each.document() for each in copies.made],
            "faults": list(copies.faults),
        },
        text="\n".join(_lines(copies, output)),
        failed=bool(copies.faults),
    )


def _refuse_no_files(files: tuple[Path, ...]) -> None:
    if not files:
        raise UsageFault("Name the FCS files to copy: reconflow deidentify FILE… --output DIR.")
    for file in files:
        if not file.is_file():
            raise UsageFault(f"{file}: there is no such file.")


def _patients(
    files: tuple[Path, ...], study: Path | None, patient: str | None
) -> Mapping[str, str]:
    """Give the patient of each file by its SHA-256, where the study or the call says it."""
    from panels.files.plain_file import regular_sha256
    from tasks.store.tubes import taken_in
    from tasks.study.folder import open_study

    if study is None:
        return dict.fromkeys((regular_sha256(each, follow=True) for each in files), patient or "")
    with open_study(study).store() as store:
        return {tube.identity.tube_sha256: tube.identity.patient for tube in taken_in(store)}


def _lines(copies: "Copies", output: Path) -> list[str]:
    from tasks.deidentify.clean_keywords import UNKNOWN_WORD

    lines = []
    for each in copies.made:
        lines.append(
            f"{each.original.name} → {each.copy.name}  ({counted(len(each.removed), 'keyword')} "
            f"removed or rewritten, dates {each.dates})"
        )
        names = dict.fromkeys(
            removed.keyword for _, removed in each.removed if removed.why == UNKNOWN_WORD
        )
        if names:
            lines.append(
                f"  Not kept: {', '.join(names)}, with a word that is no marker, dye or instrument "
                f"that is known. If it names nobody: --label WORD."
            )
    lines += copies.faults
    if copies.made:
        lines.append(f"What was removed, without values: {output / 'removed_keywords.csv'}")
        lines.append("Which copy is whose stands here alone: keep this output in the laboratory.")
    return lines
