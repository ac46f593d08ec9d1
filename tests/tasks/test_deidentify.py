"""Clean copies hold the same events and nothing that names a person."""

import csv
import stat
import string
import struct

import flowio
import flowkit
import numpy as np
import pytest
from fcsparser import parse as fcsparser_parse
from hypothesis import given
from hypothesis import strategies as st

from flows.cli import run
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from gating.fcs.located import locate_data_sets
from panels.text.errors import UsageFault
from tasks.deidentify.clean_keywords import clean_keywords
from tasks.deidentify.date_shift import days_back, read_key, shifted_day, shifted_moment
from tasks.deidentify.deidentify import Request, deidentify
from tasks.deidentify.known_words import names_a_signal, names_an_instrument
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tests.shared_data import SHARED, needs_shared

PERSON = "Mustermann"
REAL = (
    "b-cells-igm/Bcells1.fcs",
    "b-cells-lyoplate/12828_1_Bcell_C01.fcs",
    "instruments/flowio/100715.fcs",
    "instruments/flowio/3FITC_4PE_004.fcs",
    "instruments/flowio/G11.fcs",
    "instruments/flowio/variable_int_example.fcs",
    "instruments/fcsparser/FACS_Diva__facs_diva_test.fcs",
    "instruments/flowcal/Data004.fcs",
    "instruments/flowio/coulter.lmd",
    "odd/fcs31_two_datasets.fcs",
    "odd/fcs30_int24_be.fcs",
    "odd/fcs31_header_zero_offsets.fcs",
)


def events_of(count=200):
    return np.random.default_rng(3).uniform(0, 200_000, (count, 3)).astype(np.float32)


def write_tube(
    path, keywords, labels=("", "CD19", "IgM"), detectors=("FSC-A", "PE-Cy7-A", "APC-A")
):
    channels = [FcsChannel(*pair) for pair in zip(detectors, labels, strict=True)]
    spill = FcsSpill(detectors[1:], np.array([[1, 0.1], [0.02, 1]]))
    write_fcs(path, events_of(), channels, dialect="fcs3.1-le", spill=spill, keywords=keywords)
    return path


def request(files, output, **more):
    return Request(files, output, more.get("key"), more.get("patients", {}), more.get("also", ()))


def whole_folder(folder):
    return b"".join(path.name.encode() + path.read_bytes() for path in sorted(folder.iterdir()))


def with_hidden_segments(path, tube):
    """Put a person's name behind the events: an ANALYSIS segment, an OTHER one, and what no offset
    names."""
    content = tube.read_bytes()
    hidden = f"/RESULT/{PERSON}/".encode()
    header = bytearray(content)
    first = len(content)
    header[42:58] = f"{first:>8}{first + len(hidden) - 1:>8}".encode()
    path.write_bytes(bytes(header) + hidden + hidden)
    return path


def test_a_name_in_any_place_of_the_file_is_in_no_byte_of_the_copies(tmp_path):
    keywords = {
        "$OP": PERSON,
        "$SRC": f"{PERSON} 12",
        "$COM": f"blood of {PERSON}",
        "PATIENT ID": PERSON,
        f"{PERSON.upper()} DRAW": "yes",
        "MUSTERFRAU": "yes",
        "$CYT": f"LSR of {PERSON}",
        "$CYTSN": PERSON,
        "$DATE": "03-MAR-2026",
        "$BTIM": f"10:11:12 {PERSON}",
        "$P1F": PERSON,
        "P1DISPLAY": PERSON,
        "$TR": f"{PERSON},12",
        "EXPORT USER NAME": PERSON,
        "$SYS": PERSON,
    }
    plain = write_tube(tmp_path / "plain.fcs", keywords, labels=("", f"CD19 {PERSON}", PERSON))
    tube = with_hidden_segments(tmp_path / f"{PERSON}.fcs", plain)
    copies = deidentify(request([tube], tmp_path / "clean"))
    assert not copies.faults
    written = whole_folder(tmp_path / "clean").lower()
    assert PERSON.lower().encode() not in written
    assert b"musterfrau" not in written
    copy = read_header(copies.made[0].copy)
    assert [channel.label for channel in copy.channels] == ["", "", ""]
    assert np.array_equal(open_events(copy).columns([0, 1, 2]), events_of())
    assert copy.spill is not None


def test_a_name_in_a_detector_takes_the_channels_number(tmp_path):
    tube = write_tube(tmp_path / "a.fcs", {}, detectors=("FSC-A", f"{PERSON}-A", "APC-A"))
    copies = deidentify(request([tube], tmp_path / "clean"))
    copy = read_header(copies.made[0].copy)
    assert [channel.detector for channel in copy.channels] == ["FSC-A", "P2", "APC-A"]
    assert copy.spill.detectors == ("P2", "APC-A")
    assert ("$P2N", "holds a word that is no marker, dye or instrument that is known") in [
        (each.keyword, each.why) for _, each in copies.made[0].removed
    ]


def test_what_was_removed_is_listed_without_values(tmp_path):
    tube = write_tube(tmp_path / "a.fcs", {"$OP": PERSON, "TUBE NAME": "x", "$VOL": "5000"})
    copies = deidentify(request([tube], tmp_path / "clean"))
    with (tmp_path / "clean" / "removed_keywords.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["copy"], row["keyword"]) for row in rows} == {
        (copies.made[0].copy.name, "$OP"),
        (copies.made[0].copy.name, "TUBE NAME"),
    }
    assert read_header(copies.made[0].copy).keywords["$VOL"] == "5000"


def test_a_second_call_keeps_what_the_first_removed(tmp_path):
    one = write_tube(tmp_path / "a.fcs", {"$OP": PERSON})
    two = write_tube(tmp_path / "b.fcs", {"$SRC": PERSON, "$VOL": "5000"})
    first = deidentify(request([one], tmp_path / "clean"))
    second = deidentify(request([two, one], tmp_path / "clean"))
    with (tmp_path / "clean" / "removed_keywords.csv").open(encoding="utf-8") as file:
        rows = [(row["copy"], row["keyword"]) for row in csv.DictReader(file)]
    assert sorted(rows) == sorted(
        [(first.made[0].copy.name, "$OP"), (second.made[0].copy.name, "$SRC")]
    )


def test_a_folder_in_a_files_place_is_a_sentence_and_the_others_are_copied(tmp_path):
    (tmp_path / "b.fcs").mkdir()
    tube = write_tube(tmp_path / "a.fcs", {})
    copies = deidentify(request([tmp_path / "b.fcs", tube], tmp_path / "clean"))
    assert len(copies.made) == 1
    assert copies.faults[0].startswith("Not copied: b.fcs")


@pytest.mark.parametrize("name", REAL)
@needs_shared
def test_three_readers_read_the_same_events_of_a_real_files_copy(name, tmp_path):
    original = SHARED / name
    copies = deidentify(request([original], tmp_path))
    copy = copies.made[0].copy
    before, after = read_header(original), read_header(copy)
    places = list(range(len(before.channels)))
    assert np.array_equal(open_events(before).columns(places), open_events(after).columns(places))
    bytes_of = [
        path.read_bytes()[each.first : each.first + each.length]
        for path in (original, copy)
        for each in locate_data_sets(path)
    ]
    half = len(bytes_of) // 2
    assert bytes_of[:half] == bytes_of[half:]
    if after.data_sets > 1 or "int24" in name:
        return  # FlowIO reads the first data set alone, and no events of 24 bits
    assert flowio.FlowData(copy).event_count == before.event_count
    sample = flowkit.Sample(copy, sample_id="copy")
    ours = open_events(after).columns(places)
    assert np.allclose(sample.get_events("raw"), ours, equal_nan=True)
    assert fcsparser_parse(str(copy), meta_data_only=True)["$TOT"] == before.event_count


def test_a_patients_dates_keep_their_distance_and_another_patients_have_another(tmp_path):
    key = read_key(tmp_path / "deidentify.key")
    assert key == read_key(tmp_path / "deidentify.key")
    assert stat.S_IMODE((tmp_path / "deidentify.key").stat().st_mode) == 0o600
    shifts = {patient: days_back(key, patient) for patient in ("P01", "P02", "P03", "P04")}
    assert len(set(shifts.values())) > 1
    assert all(30 <= days <= 400 for days in shifts.values())
    assert shifted_day("03-MAR-2026", 31) == "31-JAN-2026"
    assert shifted_day("2026-Mar-03", 31) == "31-JAN-2026"
    assert shifted_moment("2026-03-03T10:11:12", 31) == "2026-01-31T10:11:12"
    assert shifted_day("Mustermann", 31) is None
    assert shifted_day("01-JAN-0001", 400) is None
    assert shifted_moment("0001-01-01T00:00:00", 400) is None


def test_a_file_that_is_no_key_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("my notes")
    with pytest.raises(UsageFault, match="is no key of date shifts"):
        read_key(tmp_path / "notes.txt")


def test_the_command_shifts_dates_of_a_named_patient_and_removes_those_of_nobody(tmp_path, capsys):
    tube = write_tube(tmp_path / "a.fcs", {"$DATE": "03-MAR-2026", "$BTIM": "10:11:12"})
    key = tmp_path / "key"
    named = ["deidentify", str(tube), "--output", str(tmp_path / "one"), "--patient", "P01"]
    assert run([*named, "--key", str(key)]) == 0
    assert "dates shifted" in capsys.readouterr().out
    days = days_back(read_key(key), "P01")
    (copy,) = (tmp_path / "one").glob("*.fcs")
    kept = read_header(copy).keywords
    assert kept["$DATE"] == shifted_day("03-MAR-2026", days)
    assert kept["$BTIM"] == "10:11:12"
    assert run(["deidentify", str(tube), "--output", str(tmp_path / "two")]) == 0
    (copy,) = (tmp_path / "two").glob("*.fcs")
    assert "$DATE" not in read_header(copy).keywords


def test_a_file_that_cannot_be_read_is_a_sentence_and_the_others_are_copied(tmp_path, capsys):
    whole = write_tube(tmp_path / "a.fcs", {})
    cut = tmp_path / "cut.fcs"
    cut.write_bytes(whole.read_bytes()[:-100])
    assert run(["deidentify", str(cut), str(whole), "--output", str(tmp_path / "out")]) == 1
    assert "Not copied: cut.fcs is cut short" in capsys.readouterr().out
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".csv", ".fcs"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ([], "Name the FCS files"),
        (["gone.fcs"], "there is no such file"),
    ],
)
def test_a_wrong_call_says_what_is_missing(call, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["deidentify", *call, "--output", "out"]) == 2
    assert said in capsys.readouterr().err


def test_a_label_that_was_looked_at_is_kept(tmp_path):
    tube = write_tube(tmp_path / "a.fcs", {}, labels=("", "Oddmarker", "IgM"))
    copies = deidentify(request([tube], tmp_path / "one"))
    assert [each.label for each in read_header(copies.made[0].copy).channels] == ["", "", "IgM"]
    copies = deidentify(request([tube], tmp_path / "two", also=frozenset({"ODDMARKER"})))
    labels = [each.label for each in read_header(copies.made[0].copy).channels]
    assert labels == ["", "Oddmarker", "IgM"]


@pytest.mark.parametrize(
    "text",
    ["CD19", "CD27 BV421", "HLA-DR", "PE-Cy7-A", "PerCP-Cy5.5-A", "FL2-H", "IgM", "CD14+viability",
     "CD16_CD56", "CAR19", "V500-C-A", "Time", "FSC-A", "CCR7", "FITC-A", "Comp-APC-H7-A",
     "SS INT LIN", "FL1 INT LOG", "Live/Dead Aqua", "PD-1", "TCRgd", "V-SSC-A", "APC-R700-A"],
)  # fmt: skip
def test_names_of_markers_and_dyes_are_known(text):
    assert names_a_signal(text)


@pytest.mark.parametrize(
    "text", [PERSON, "CD19 Hans", "Meyer-A", "P0123456", "MUSTER FSC", "Time Meyer"]
)
def test_names_of_persons_are_not(text):
    assert not names_a_signal(text)


@pytest.mark.parametrize(
    "text",
    ["FACSCanto II", "BD FACSLyric, SIMULATED", "LSRFortessa", "Aurora", "MACSQuant Analyzer 10",
     "BD FACSDiva Software Version 8.0.1", "SpectroFlo 3.3.0"],
)  # fmt: skip
def test_instruments_are_known(text):
    assert names_an_instrument(text)
    assert not names_an_instrument(f"{text} of Hans")


WORDS = st.text(alphabet=string.ascii_letters + string.digits + " ,./:_-", max_size=12)
KEYWORDS = st.one_of(
    st.sampled_from(
        "$CYT $CYTSN CREATOR $OP $SRC $DATE $BTIM $ETIM $BEGINDATETIME $VOL $TR $SYS $COM $LOST "
        "$ORIGINALITY $PROJ $COMP $SPILLOVER SPILL $TIMESTEP $MODE APPLY_COMPENSATION".split()
    ),
    st.builds("$P{}{}".format, st.integers(1, 40), st.sampled_from(
        ["N", "S", "F", "L", "O", "D", "T", "P", "V", "G", "TAG", "ANALYTE", "DET", "TYPE",
         "FEATURE", "CALIBRATION", "DATATYPE"])),
    st.builds("{} {}".format, WORDS, WORDS).map(str.upper),
)  # fmt: skip


@given(st.dictionaries(KEYWORDS, st.tuples(WORDS, WORDS), max_size=12), st.booleans())
def test_no_keyword_lets_a_name_through(keywords, shift):
    named = {key: f"{before}{PERSON}{after}" for key, (before, after) in keywords.items()}
    clean = clean_keywords(named, 40 if shift else None)
    said = " ".join([*clean.kept, *clean.kept.values(), *(each.keyword for each in clean.removed)])
    assert PERSON.lower() not in said.lower()


def test_a_large_file_keeps_its_offsets_in_text_alone(tmp_path):
    """A data set past 99,999,999 bytes has zeros in its HEADER; the file is mostly a hole."""
    tube = write_tube(tmp_path / "a.fcs", {})
    header = read_header(tube)
    events = 100_000_100 // header.layout.event_bytes
    content = tube.read_bytes()[: header.layout.start]
    size = events * header.layout.event_bytes
    old = header.keywords
    text = content.replace(f"$TOT\x0c{old['$TOT']}\x0c".encode(), f"$TOT\x0c{events}\x0c".encode())
    start = len(text)
    padded = f"{start:<12}".encode(), f"{start + size - 1:<12}".encode()
    for name, value in zip((b"$BEGINDATA", b"$ENDDATA"), padded, strict=True):
        at = text.index(name + b"\x0c") + len(name) + 1
        text = text[:at] + value + text[at + 12 :]
    text = text[:18] + f"{start - 1:>8}{0:>8}{0:>8}".encode() + text[42:]
    large = tmp_path / "large.fcs"
    with large.open("wb") as file:
        file.write(text)
        file.truncate(start + size)
        file.seek(start + size - 4)
        file.write(struct.pack("<f", 7.0))
    copies = deidentify(request([large], tmp_path / "clean"))
    assert not copies.faults
    copy = read_header(copies.made[0].copy)
    assert copy.event_count == events
    assert open_events(copy).column(2, slice(events - 1, events))[0] == 7.0
    assert copies.made[0].copy.read_bytes()[26:42] == b"       0       0"
