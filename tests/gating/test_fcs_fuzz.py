"""Files changed at random: read, or refused with one sentence that a technician can act on."""

import re
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gating.fcs.events import open_events
from gating.fcs.header import read_header
from panels.text.errors import TubeFault
from tests.gating.fcs_writer import FcsFile, counted
from tests.gating.planted import bcell_tube
from tests.shared_data import SHARED

TUBE = FcsFile(counted())
SIMULATED: dict[str, Callable[[], FcsFile]] = {
    "a tube of bcell": lambda: bcell_tube(events=5),
    "big-endian integers": lambda: TUBE.with_(datatype="I", bits=16, order="4,3,2,1"),
    "three bytes": lambda: TUBE.with_(datatype="I", bits=24, raw=bytes(240), order="3,2,1"),
    "doubles, FCS 3.2": lambda: TUBE.with_(
        datatype="D", bits=64, version="3.2", pairs=[("$P2DATATYPE", "D"), ("$VOL", "25016")]
    ),
    "FCS 2.0 with logarithms": lambda: TUBE.with_(
        datatype="I", bits=16, version="2.0", changed={"$P2E": "4,1"}, order="1,2"
    ),
    "empty values": lambda: TUBE.with_(
        pairs=[("$OP", ""), ("$COM", "10 ul/min"), ("$P1S", ""), ("$P2S", "CD3")]
    ),
    "a supplemental TEXT": lambda: TUBE.with_(
        supplement="/$SPILLOVER/2,FITC-A,PE-A,1,0.1,0,1/$P2S/CD3/", pairs=[("$TIMESTEP", "0.01")]
    ),
    "two spills": lambda: TUBE.with_(
        pairs=[("SPILL", "2,FITC-A,PE-A,1,.1,0,1"), ("$SPILLOVER", "2,PE-A,FITC-A,1,0,0.10,1")]
    ),
}
FIELD = (
    "empty_labels",
    "spillover_decimal_comma",
    "text_ends_with_two_delimiters",
    "no_final_delimiter",
)
NUMBERS = (
    b"0", b"1", b"-1", b"7", b"58", b"99999999", b"1000000000", b"999999999999999999",
    b"1e308", b"1e-9999", b"nan", b"inf", b"4294967296", b"1,2,3,4", b"", b" ", b"0x10", b"1_0",
    "²".encode(), "٣".encode(),
)  # fmt: skip
PIECES = (
    b"/", b"//", b"///", b"$", b"\0", b"\xff", b"\xe9", b"\n", b"FCS3.1    ",
    b"/$PAR/9/", b"/$TOT/9/", b"/$NEXTDATA/58/", b"/$P1E/4,1/", b"/$P1S/CD3/",
    b"/SPILL/1,PE-A,1/", b"/$DATATYPE/I/", b"/$MODE/C/",
)  # fmt: skip
MEMORY = 200 * 2**10
"""Kilobytes that one file may add, the readers' libraries included."""


class Seeds(dict[str, bytes]):
    """Whole files by name, which an example that failed does not print."""

    def __repr__(self) -> str:
        return "seeds"


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    path = tmp_path_factory.mktemp("seeds") / "t.fcs"
    found = Seeds({name: make().write(path).read_bytes() for name, make in SIMULATED.items()})
    one = TUBE.with_(changed={"$NEXTDATA": "0" * 8}).write(path).stat().st_size
    first = TUBE.with_(changed={"$NEXTDATA": f"{one:08d}"}).write(path).read_bytes()
    found["two data sets"] = first + TUBE.write(path).read_bytes()
    for name in FIELD if SHARED.is_dir() else ():
        found[name] = (SHARED / "field" / f"{name}.fcs").read_bytes()
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "t.fcs"


def text_end(raw: bytes) -> int:
    """Give where TEXT ends as the HEADER says, or the end of the file."""
    digits = raw[18:26].strip()
    return min(int(digits) + 1, len(raw)) if digits.isdigit() else len(raw)


@dataclass(frozen=True)
class Harm:
    """One change of a file: its kind, where (in TEXT alone or anywhere), and two free numbers."""

    kind: str
    in_text: bool
    place: int
    number: int

    def __call__(self, raw: bytes) -> bytes:
        end = text_end(raw) if self.in_text else len(raw)
        place, length = self.place % (end + 1), self.number % 40 + 1
        digits = list(re.finditer(rb"[0-9]+", raw[: text_end(raw)]))
        if self.kind == "number" and digits:
            first, last = digits[self.place % len(digits)].span()
            return raw[:first] + NUMBERS[self.number % len(NUMBERS)] + raw[last:]
        other = self.number % (end + 1)
        return {
            "number": raw,
            "byte": raw[:place] + bytes([self.number % 256]) + raw[place + 1 :],
            "piece": raw[:place] + PIECES[self.number % len(PIECES)] + raw[place:],
            "drop": raw[:place] + raw[place + length :],
            "again": raw[: place + length] + raw[place:],
            "cut": raw[:place],
            "swap": raw[:place] + raw[other : other + length] + raw[place + length :],
        }[self.kind]


harms = st.builds(
    Harm,
    st.sampled_from(["byte", "number", "number", "piece", "drop", "again", "cut", "swap"]),
    st.booleans(),
    st.integers(0, 2**16),
    st.integers(0, 2**16),
)


def refusal(path: Path) -> str | None:
    """Read all of a file; gives the sentence that refuses it, None when it was read."""
    try:
        header = read_header(path)
        events = open_events(header)
        values = events.columns(range(len(header.channels)))
    except TubeFault as fault:
        return str(fault)
    assert values.shape == (header.event_count, len(header.channels))
    assert np.isfinite(values).all()
    for sentence in (*header.problems, *([header.spill_fault] if header.spill_fault else [])):
        assert is_a_sentence(sentence), sentence
    return None


def is_a_sentence(text: str) -> bool:
    return (
        text.isprintable() and text.endswith(".") and 20 < len(text) < 600 and "Error" not in text
    )


@settings(
    max_examples=24 * settings.default.max_examples,  # type: ignore[operator]
    deadline=5000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    name=st.sampled_from([*SIMULATED, "two data sets", *FIELD]),
    done=st.lists(harms, min_size=1, max_size=4),
)
def test_a_file_changed_at_random_is_read_or_refused_with_a_sentence(
    seeds: Seeds, path: Path, name: str, done: list[Harm]
) -> None:
    raw = whole = seeds.get(name, seeds["two data sets"])
    for harm in done:
        raw = harm(raw) if len(raw) > 60 else raw
    path.write_bytes(raw)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sentence = refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
    if raw == whole:
        assert sentence is None or "decimal comma" in sentence
    elif sentence is not None:
        assert path.name in sentence
        assert is_a_sentence(sentence), sentence


@pytest.mark.parametrize("name", SIMULATED)
def test_a_file_cut_anywhere_is_refused(seeds: Seeds, path: Path, name: str) -> None:
    """A supplemental TEXT behind the events may be lost: that is said, the events are whole."""
    raw = seeds[name]
    for length in range(0, len(raw), 7):
        path.write_bytes(raw[:length])
        sentence = refusal(path)
        if name == "a supplemental TEXT" and length >= int(raw[34:42]) + 1:
            assert "supplemental TEXT" in read_header(path).problems[0]
        else:
            assert sentence is not None, length
            assert is_a_sentence(sentence), sentence
