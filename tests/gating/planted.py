"""Write tubes of the panel bcell with a person's name planted anywhere: what must never leave the
file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import reduce
from pathlib import Path

import numpy as np

from panels.catalogue import load_panel
from tests.gating.fcs_writer import FcsFile

NAME = "Quastenflosser, Edeltraud"
OTHER = "Edeltraud^Quastenflosser"
TRACE = re.compile(rb"quasten|edeltra", re.IGNORECASE)
"""What of the name is looked for: a HEADER field holds eight bytes of it."""

PERSONAL = (
    "$SRC $OP $FIL $COM $CELLS $EXP $INST $PROJ $SMNO $SYS $LAST_MODIFIER $LAST_MODIFIED "
    "$PLATENAME "
    "$PLATEID $WELLID $LOCATIONID $CARRIERID $CYTSN $DATE $BTIM $ETIM $BEGINDATETIME $ABRT $LOST "
    "$TR $GATE $GATING $COMP $UNICODE $CSMODE $UNSTAINEDINFO $FLOWRATE $ORIGINALITY $P2D $P2F "
    "$P2CALIBRATION $P2TAG $P2ANALYTE $P2L $P2T $G1N $PKN1 $DFC1TO2"
).split()
NUMERIC = (
    "$TOT $PAR $NEXTDATA $BEGINDATA $ENDDATA $BEGINSTEXT $ENDSTEXT $BEGINANALYSIS $ENDANALYSIS "
    "$MODE $DATATYPE $BYTEORD $P3B $P3R $P3E $P3G $P3V $P3O $P3DATATYPE $P3TYPE $VOL $TIMESTEP "
    "$SPILLOVER SPILL TIMESTEP"
).split()
PRIVATE = (
    "PATIENT ID,PATIENT NAME,SAMPLE ID,TUBE NAME,EXPERIMENT NAME,BIRTH DATE,Sample,GUID,"
    "APPLY COMPENSATION,CST SETUP STATUS,P3DISPLAY,P3MS,FJ_$TIMESTEP,CREATED BY"
).split(",")
ALL_KEYS = [*PERSONAL, *NUMERIC, *PRIVATE]

Change = Callable[[FcsFile], FcsFile]


def bcell_tube(events: int = 60, seed: int = 1) -> FcsFile:
    """Give a tube that the panel bcell accepts."""
    stains = load_panel("bcell").markers
    names = ["FSC-A", "FSC-H", "SSC-A", *(stain.detector for stain in stains), "Time"]
    labels = [(f"$P{n}S", stain.marker) for n, stain in enumerate(stains, start=4)]
    k = len(stains)
    matrix = np.eye(k) + 0.01 * (1 - np.eye(k))
    spill = ",".join([str(k), *names[3 : 3 + k], *(f"{each:g}" for each in matrix.ravel())])
    values = np.random.default_rng(seed).uniform(1, 1000, (events, len(names)))
    values[:, -1] = np.sort(values[:, -1])
    cytometer = ("$CYT", "BD FACSLyric")
    return FcsFile(values, names=names, pairs=[*labels, ("SPILL", spill), cytometer])


def value(key: str) -> Change:
    return lambda tube: (
        tube.with_(pairs=[pair if pair[0] != key else (key, NAME) for pair in tube.pairs])
        if key in dict(tube.pairs)
        else tube.with_(changed=tube.changed | {key: NAME})
    )


def twice(key: str) -> Change:
    return lambda tube: tube.with_(pairs=[*tube.pairs, (key, NAME), (key, OTHER)])


def in_the_name(key: str) -> Change:
    named = f"{key}{NAME.split(',', maxsplit=1)[0]}"
    return lambda tube: tube.with_(pairs=[*tube.pairs, (named, "1"), (named, "2"), (NAME, "x")])


def in_the_supplement(key: str) -> Change:
    return lambda tube: tube.with_(supplement=f"/{key}/{NAME}/{key}/{OTHER}/COMMENT/{NAME}/")


def with_a_lone_delimiter(key: str) -> Change:
    return lambda tube: tube.with_(tail=f"{key}/{NAME.replace(', ', '/')}/$P2V/400/")


def without_a_delimiter(key: str) -> Change:
    return lambda tube: tube.with_(tail=f"{key}/{NAME}$P2V/400/")


def with_two_delimiters(key: str) -> Change:
    return lambda tube: tube.with_(tail=f"{key}//{NAME}/$P2V/400/")


def cut_off(key: str) -> Change:
    return lambda tube: tube.with_(tail=f"{key}/{NAME}", ending=None)


def as_a_keyword(key: str) -> Change:
    glued = "$P1" + re.sub("[^A-Z]", "", NAME.upper())
    return lambda tube: tube.with_(pairs=[*tube.pairs, (key, glued), (glued, "1"), (glued, "2")])


def with_all(changes: Iterable[Change]) -> Change:
    """Give the change that makes all of these, one after the other."""
    made = tuple(changes)
    return lambda tube: reduce(lambda so_far, change: change(so_far), made, tube)


CHANGES = (
    value, twice, in_the_name, in_the_supplement, with_a_lone_delimiter, without_a_delimiter,
    with_two_delimiters, cut_off, as_a_keyword,
)  # fmt: skip


def with_analysis(path: Path) -> None:
    """Append an ANALYSIS segment that names the person."""
    raw = path.read_bytes()
    segment = f"/$SRC/{NAME}/PATIENT/{OTHER}/".encode()
    offsets = f"{len(raw):8d}{len(raw) + len(segment) - 1:8d}".encode()
    path.write_bytes(raw[:42] + offsets + raw[58:] + segment)


def with_header_field(path: Path, field: int) -> None:
    """Write the name over a field of the HEADER (0: the version)."""
    raw = path.read_bytes()
    first, last = ((0, 6), (10, 18), (18, 26), (26, 34), (34, 42), (42, 50), (50, 58))[field]
    path.write_bytes(raw[:first] + NAME.encode()[: last - first] + raw[last:])
