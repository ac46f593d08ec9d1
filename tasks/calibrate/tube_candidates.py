"""Find the tubes and files that an instrument may be calibrated on, each content once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from gating.calibration.choice import plain_name
from panels.files.plain_file import regular_sha256
from panels.text.errors import CalibrationFault
from tasks.calibrate.tube import Role
from tasks.tubes.reference_tubes import BATCH_CONTROL, FMO, is_fmo

if TYPE_CHECKING:
    from tasks.sheets.patients import PatientSheet
    from tasks.store.tubes import Tube
    from tasks.study.folder import Study


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tube that may be measured: ``source`` is one of the study's, else a file.

    ``left_out`` is the marker that an FMO control lacks.
    """

    name: str
    sha256: str
    source: Tube | Path
    role: Role = "other"
    left_out: str = ""

    @property
    def tube(self) -> Tube | None:
        """Give what the study knows of it; None where it was never taken in."""
        return None if isinstance(self.source, Path) else self.source


def reference_candidates(
    study: Study, known: Sequence[Tube], instrument: str
) -> tuple[list[Candidate], list[str]]:
    """List the baselines and controls of an instrument, and say which of them had failed.

    They are those whose line of the sample sheet names the instrument; all where no line names any,
    or all lines name the same one, which then is another name of it.
    """
    patients = study.patients()
    candidates = [_candidate(tube, patients) for tube in known]
    found = [each for each in candidates if each.role != "other"]
    if len({plain_name(_named_instrument(each)) for each in found} - {""}) > 1:
        wanted = plain_name(instrument)
        found = [each for each in found if plain_name(_named_instrument(each)) == wanted]
    usable, failed = [], []
    for each in found:
        if each.tube is not None and each.tube.file.state == "failed":
            reason = each.tube.file.reason.rstrip(". ") or "it could not be counted"
            failed.append(f"{each.name} was left out: {reason}")
        else:
            usable.append(each)
    return _once(usable), sorted(failed)


def named_candidates(
    study: Study, panel: str, known: Sequence[Tube], patterns: Sequence[str], instrument: str
) -> list[Candidate]:
    """List the tubes of the study, else the files, that some patterns name.

    A file that holds the bytes of a tube of the study is that tube. Raises CalibrationFault where a
    pattern names none, a file cannot be read, or the sheet names several instruments for them.
    """
    patients = study.patients()
    of_study = [_candidate(tube, patients) for tube in known]
    by_content = {each.sha256: each for each in of_study}
    found: list[Candidate] = []
    for pattern in patterns:
        fitting = [each for each in of_study if _is_named(each.name, pattern)]
        files = [] if fitting else [*_files(pattern)]
        if not fitting and not files:
            raise CalibrationFault(
                f"--tubes {pattern}: neither a tube of the panel {panel} in the study nor a file "
                f"has such a name."
            )
        found += fitting or [by_content.get(each.sha256, each) for each in files]
    if len({plain_name(_named_instrument(each)) for each in found} - {""}) > 1:
        for each in found:
            _refuse_other_instrument(each, instrument)
    return _once(found)


def sheet_names(candidates: Iterable[Candidate], instrument: str) -> tuple[str, ...]:
    """Give the name of the instrument in the sample sheet, where it is not ``instrument``."""
    named = {_named_instrument(each) for each in candidates} - {""}
    return tuple(sorted(each for each in named if plain_name(each) != plain_name(instrument)))


def instruments_of(known: Iterable[Tube]) -> str:
    """List the instruments that the sample sheet names for some tubes."""
    return ", ".join(sorted({tube.identity.instrument or "(none)" for tube in known}))


def _candidate(tube: Tube, patients: PatientSheet) -> Candidate:
    role = _role(tube, patients)
    left_out = (tube.identity.control or "").removeprefix(FMO) if role == "FMO control" else ""
    return Candidate(tube.file.inbox_path, tube.identity.tube_sha256, tube, role, left_out)


def _role(tube: Tube, patients: PatientSheet) -> Role:
    identity = tube.identity
    if is_fmo(identity):
        return "FMO control"
    if identity.control == BATCH_CONTROL:
        return "batch control"
    patient = patients.patients.get(identity.patient)
    before = patient is not None and identity.drawn_at < patient.infused_at
    return "baseline" if before and identity.specimen == "blood" else "other"


def _is_named(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(PurePosixPath(name).name, pattern)


def _files(pattern: str) -> Iterator[Candidate]:
    """Give the regular files that a pattern names."""
    for found in glob(pattern, recursive=True):  # noqa: PTH207
        path = Path(found)
        if not path.is_file():
            continue
        try:
            sha256 = regular_sha256(path, follow=True)
        except OSError as error:
            raise CalibrationFault(
                f"{path} cannot be read ({error.strerror or error}). Correct its rights, or leave "
                f"it out of --tubes."
            ) from error
        yield Candidate(path.name, sha256, path)


def _refuse_other_instrument(candidate: Candidate, instrument: str) -> None:
    named = _named_instrument(candidate)
    if named and plain_name(named) != plain_name(instrument):
        raise CalibrationFault(
            f"{candidate.name} is a tube of the instrument {named} in the sample sheet, not of "
            f"{instrument}. Leave it out of --tubes, or calibrate {named}."
        )


def _once(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Keep each content once, ordered by name: the order they were named in changes nothing."""
    ordered = sorted(candidates, key=lambda each: (each.name, each.sha256))
    kept: dict[str, Candidate] = {}
    for each in ordered:
        kept.setdefault(each.sha256, each)
    return list(kept.values())


def _named_instrument(candidate: Candidate) -> str:
    return (candidate.tube.identity.instrument or "") if candidate.tube is not None else ""
