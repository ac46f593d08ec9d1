"""The reader of FCS events: every real file, every odd one, and files damaged on purpose."""

import csv
import hashlib
import io
import struct
import tracemalloc
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import flowio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gating.fcs.events import Events, open_events
from gating.fcs.header import TubeHeader, read_header
from gating.fcs.text import read_data_sets
from panels.files.plain_file import regular_sha256
from panels.text.errors import UnreadableFile
from tests.shared_data import SHARED, needs_shared

ROOMS = (
    "instruments",
    "flowjo",
    "cell-counts",
    "t-cells-activation",
    "b-cells-lyoplate",
    "b-cells-igm",
    "gating-ml",
)
REAL = sorted(
    path
    for room in ROOMS
    for path in (SHARED / room).rglob("*")
    if path.suffix.lower() in (".fcs", ".lmd")
)

REFUSED = {
    "corrupted__corrupted.fcs": "is not an FCS file",
    "cytek-nl-2000__sample_header.fcs": "keywords are damaged or cut off",
    "data_start_offset_discrepancy_example.fcs": (
        "says in two places where its events begin: 5555 and 6081"
    ),
    "data_stop_offset_discrepancy_example.fcs": "announces 2 events but holds 16",
}
NOT_READ_BY_FLOWIO = {
    "Cytek_xP5__Cytek_xP5.fcs": "24-bit integers",
    "Data003.fcs": "24-bit integers",
    "fake_large_fcs__fake_large_fcs.fcs": "blank offsets in the HEADER",
    "fcs30_int24_be.fcs": "24-bit integers",
    "fcs31_header_zero_offsets.fcs": "offsets of 0 in the HEADER",
}

Keywords = dict[str, str]


def write_fcs(
    path: Path,
    events: bytes,
    keywords: Mapping[str, str],
    *,
    version: str = "3.1",
    header_offsets: tuple[int, int] | None = None,
    text_offsets: bool = True,
    delimiter: str = "|",
    key: Callable[[str], str] = str,
    after: bytes = b"",
) -> Path:
    """Write a small FCS file: HEADER, TEXT, zeros up to byte 2048, the events."""
    first, last = 2048, 2047 + len(events)
    stated = {"$BEGINDATA": str(first), "$ENDDATA": str(last)} if text_offsets else {}
    text = delimiter + "".join(
        f"{key(name)}{delimiter}{value}{delimiter}"
        for name, value in (stated | dict(keywords)).items()
    )
    raw = text.encode()
    offsets = header_offsets if header_offsets is not None else (first, last)
    numbers = (58, 57 + len(raw), *offsets, 0, 0)
    header = f"FCS{version}    {''.join(f'{each:8d}' for each in numbers)}".encode()
    assert len(header + raw) <= first
    path.write_bytes((header + raw).ljust(first, b"\0") + events + after)
    return path


def describe(names: list[str], count: int, **more: str) -> Keywords:
    """Give the required keywords of a little-endian float tube with these channels; ``more`` are
    written with a ``$``."""
    keywords = {
        "$BYTEORD": "1,2,3,4",
        "$DATATYPE": "F",
        "$MODE": "L",
        "$NEXTDATA": "0",
        "$PAR": str(len(names)),
        "$TOT": str(count),
    }
    for n, name in enumerate(names, start=1):
        keywords |= {f"$P{n}N": name, f"$P{n}B": "32", f"$P{n}R": "262144", f"$P{n}E": "0,0"}
    return keywords | {f"${name}": value for name, value in more.items()}


def floats(count: int, channels: int) -> NDArray[np.float64]:
    return (
        np.random.default_rng(7)
        .normal(1000, 300, (count, channels))
        .astype("<f4")
        .astype(np.float64)
    )


def everything(path: Path) -> NDArray[np.float64]:
    events = opened(path)
    return events.columns(range(len(events.header.channels)))


def opened(path: Path) -> Events:
    return open_events(read_header(path))


def by_flowio(path: Path) -> NDArray[np.float64]:
    """Read the last data set as FlowKit's raw events are made of it: FlowIO's array, gain, log and
    time step undone."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # "off by one" and byte-order remarks of FlowIO on real files
        start = read_data_sets(path)[-1].start
        flow = flowio.FlowData(
            io.BytesIO(path.read_bytes()), ignore_offset_error=True, nextdata_offset=start
        )
        if path.name == "variable_int_example.fcs":
            flow.text["timestep"] = ""  # anonymised to 'xxxxxxxxx', which FlowIO raises on
        return np.asarray(flow.as_array())


def bytewise(path: Path) -> NDArray[np.float64]:
    """Read a homogeneous data set slowly from its last bytes by FCS's own words, as the truth where
    FlowIO reads nothing."""
    data_set = read_data_sets(path)[-1]
    text, start = data_set.keywords, data_set.text_offsets[0]
    count, channels, width = int(text["$TOT"]), int(text["$PAR"]), int(text["$P1B"]) // 8
    raw = path.read_bytes()[start : start + count * channels * width]
    pieces = [raw[at : at + width] for at in range(0, len(raw), width)]
    big = text["$BYTEORD"] == "4,3,2,1"
    if text["$DATATYPE"] == "F":
        numbers = [struct.unpack(">f" if big else "<f", piece)[0] for piece in pieces]
    else:
        numbers = [int.from_bytes(piece, "big" if big else "little") for piece in pieces]
    values = np.array(numbers, dtype=np.float64).reshape(count, channels)
    for n in range(1, channels + 1):
        column = values[:, n - 1]
        top = float(text[f"$P{n}R"])
        if text["$DATATYPE"] == "I":
            column %= 2.0 ** np.ceil(np.log2(top))
        decades, zero = (float(part) for part in text[f"$P{n}E"].split(","))
        if text[f"$P{n}N"].lower() == "time":
            column *= float(text.get("$TIMESTEP", 1))
        elif decades:
            column[:] = 10 ** (decades * column / top) * (zero or 1)
        if text[f"$P{n}N"].lower() != "time":
            column /= float(text.get(f"$P{n}G", 1)) or 1
    return values


# --- real files
# --------------------------------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize("path", REAL, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_real_file_is_read_as_flowkit_reads_it_or_refused_with_a_sentence(path: Path) -> None:
    if path.name in REFUSED:
        with pytest.raises(UnreadableFile, match=REFUSED[path.name]):
            read_header(path)
        return
    truth = bytewise(path) if path.name in NOT_READ_BY_FLOWIO else by_flowio(path)
    np.testing.assert_array_equal(everything(path), truth)


@needs_shared
def test_values_are_flowkits_raw_events_bit_by_bit() -> None:
    import flowkit

    path = SHARED / "gating-ml" / "data1.fcs"  # log amplification and gains
    np.testing.assert_array_equal(everything(path), flowkit.Sample(path).get_events(source="raw"))


@needs_shared
def test_flowio_still_cannot_read_the_files_it_is_not_compared_on() -> None:
    for path in [*REAL, *(SHARED / "odd").glob("*.fcs")]:
        if path.name in NOT_READ_BY_FLOWIO:
            with pytest.raises((ValueError, flowio.exceptions.FlowIOException)):
                by_flowio(path)


def odd_cases() -> list[dict[str, str]]:
    manifest = SHARED / "odd" / "MANIFEST.csv"
    return rows_of(manifest) if manifest.exists() else []


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@needs_shared
@pytest.mark.parametrize("case", odd_cases(), ids=lambda case: case["file"])
def test_an_odd_file_is_taken_as_its_manifest_says(case: dict[str, str]) -> None:
    path, truth = (
        SHARED / "odd" / case["file"],
        np.load(SHARED / "odd" / case["truth"]).astype(np.float64),
    )
    if case["expect"].startswith("refuse") and case["expect"] != "refuse compensation":
        with pytest.raises(UnreadableFile, match=r"400|two channels called"):
            read_header(path)
        return
    header = read_header(path)
    if case["expect"] == "refuse compensation":
        assert header.spill is None
        assert "singular" in (header.spill_fault or "")
    if case["expect"].startswith("flag"):
        assert header.data_sets == 2
        assert "FCS 3.1 with 400 events, FCS 3.1 with 100 events" in header.problems[0]
        assert "NOT COUNTED" in header.problems[0]
        truth = truth[:100]
    if header.version == "2.0":
        truth = np.where(
            np.array([header.keywords[f"$P{n}E"] != "0,0" for n in range(1, 9)]),
            10 ** (4 * truth / 1024),
            truth,
        )
    np.testing.assert_array_equal(everything(path), truth)


@needs_shared
def test_the_cut_short_sentence_says_how_many_events_are_there() -> None:
    with pytest.raises(
        UnreadableFile,
        match=r"fcs31_tot_too_big\.fcs is cut short: "
        r"it announces 500 events but holds 400\. Copy it",
    ):
        read_header(SHARED / "odd" / "fcs31_tot_too_big.fcs")


@needs_shared
def test_a_beckman_file_is_read_from_its_last_fcs_3_data_set() -> None:
    header = read_header(SHARED / "instruments" / "flowio" / "coulter.lmd")
    assert (header.version, header.data_sets, header.event_count) == ("3.0", 2, 18110)
    assert header.problems[0].endswith("Only number 2 is read.")


@needs_shared
def test_volumes_are_microlitres_on_every_instrument() -> None:
    for row in {
        row["file"]: row for row in rows_of(SHARED / "cell-counts" / "counts.csv")
    }.values():
        assert read_header(
            SHARED / "cell-counts" / row["file"]
        ).acquired_volume_ul == pytest.approx(float(row["vol_uL"]))
    assert read_header(SHARED / "instruments" / "flowio" / "G11.fcs").acquired_volume_ul == 46.0
    assert (
        read_header(SHARED / "instruments" / "flowcal" / "Data004.fcs").acquired_volume_ul is None
    )


@needs_shared
def test_real_spills_are_used_refused_or_said_to_be_identity() -> None:
    used = read_header(SHARED / "t-cells-activation" / "Activation_1.fcs").spill
    assert used is not None
    assert (used.detectors[0], used.matrix.shape) == ("Alexa Fluor 488-A", (11, 11))
    strong = read_header(SHARED / "instruments" / "flowio" / "100715.fcs").spill
    assert strong is not None
    assert strong.matrix.max() > 1
    permuted = read_header(SHARED / "b-cells-igm" / "Bcells1.fcs")
    assert permuted.spill is None
    assert permuted.spill_fault is not None
    aurora = read_header(SHARED / "cell-counts" / "CellCounts5L_AB_01-ND006-01.fcs")
    assert (aurora.spill, aurora.spill_fault) == (None, None)
    assert any("not compensated" in problem for problem in aurora.problems)


@needs_shared
def test_a_tubes_identity_is_the_hash_of_its_bytes() -> None:
    path = SHARED / "odd" / "fcs31_float_le.fcs"
    assert regular_sha256(path, follow=True) == hashlib.sha256(path.read_bytes()).hexdigest()


# --- what the standard allows
# ------------------------------------------------------------------------------------


def test_columns_and_rows_are_parts_of_the_whole(tmp_path: Path) -> None:
    truth = floats(200, 4)
    events = opened(
        write_fcs(tmp_path / "a.fcs", truth.astype("<f4").tobytes(), describe(list("ABCD"), 200))
    )
    rows = np.array([3, 199, 0, 3], dtype=np.int64)
    np.testing.assert_array_equal(events.column(2, rows), truth[rows, 2])
    np.testing.assert_array_equal(events.columns([3, 1], rows), truth[rows][:, [3, 1]])
    assert events.columns([], rows).shape == (4, 0)
    assert events.column(0, np.array([], dtype=np.int64)).shape == (0,)
    assert events.count == 200


@pytest.mark.parametrize(("order", "endian"), [("1,2,3,4", "little"), ("4,3,2,1", "big")])
def test_integers_of_mixed_width_are_read_right(
    tmp_path: Path, order: str, endian: Literal["little", "big"]
) -> None:
    widths, tops, numbers = (
        (1, 3, 2, 4, 8),
        (256, 2**18, 1000, 2**32, 2**40),
        np.random.default_rng(3),
    )
    truth = np.stack([numbers.integers(0, min(top, 1000), 50) for top in tops], axis=1)
    unused = (0, 1 << 20, 1 << 12, 0, 1 << 50)  # bits above $PnR, which must not count
    raw = b"".join(
        int(v + u).to_bytes(w, endian)
        for event in truth
        for v, u, w in zip(event, unused, widths, strict=True)
    )
    keywords = describe(list("ABCDE"), 50, BYTEORD=order, DATATYPE="I")
    keywords |= {f"$P{n}B": str(8 * w) for n, w in enumerate(widths, 1)} | {
        f"$P{n}R": str(top) for n, top in enumerate(tops, 1)
    }
    np.testing.assert_array_equal(everything(write_fcs(tmp_path / "a.fcs", raw, keywords)), truth)


def test_an_fcs_3_2_tube_may_mix_number_types(tmp_path: Path) -> None:
    raw = b"".join(struct.pack("<fHd", n / 4, n, n / 3) for n in range(30))
    keywords = describe(
        ["A", "Time", "C"],
        30,
        P2B="16",
        P2R="65536",
        P2DATATYPE="I",
        P3B="64",
        P3DATATYPE="D",
        TIMESTEP="0.5",
    )
    path = write_fcs(tmp_path / "a.fcs", raw, keywords, version="3.2")
    np.testing.assert_array_equal(everything(path), [(n / 4, n * 0.5, n / 3) for n in range(30)])


def test_gain_log_amplification_and_time_step_are_undone(tmp_path: Path) -> None:
    stored = np.arange(40, dtype="<u2").reshape(10, 4)
    keywords = describe(
        ["A", "B", "C", "TIME"],
        10,
        DATATYPE="I",
        TIMESTEP="0.01",
        P1G="4",
        P2E="4,0",
        P3E="3,0.1",
        P4G="100",
    )
    keywords |= {f"$P{n}B": "16" for n in range(1, 5)} | {f"$P{n}R": "1024" for n in range(1, 5)}
    path = write_fcs(tmp_path / "a.fcs", stored.tobytes(), keywords)
    a, b, c, t = stored.astype(float).T
    np.testing.assert_allclose(
        everything(path),
        np.stack([a / 4, 10 ** (4 * b / 1024), 0.1 * 10 ** (3 * c / 1024), t * 0.01], axis=1),
    )
    np.testing.assert_array_equal(everything(path), by_flowio(path))
    assert read_header(path).time_step == 0.01


@pytest.mark.parametrize(
    "odd",
    [
        {
            "key": lambda name: f" {name} "
        },  # blanks around keywords, which neither other reader takes
        {"key": str.lower},
        {"header_offsets": (0, 0)},
        {"text_offsets": False},
        {"delimiter": "/"},
        {"delimiter": "."},  # FlowIO takes it for "any character"
        {"delimiter": "\f"},
        {"after": b"00000000"},  # the CRC field
    ],
    ids="-".join,
)
def test_an_unusual_but_clear_form_is_read(tmp_path: Path, odd: dict[str, object]) -> None:
    truth = floats(20, 2)
    path = write_fcs(
        tmp_path / "a.fcs", truth.astype("<f4").tobytes(), describe(["A", "B"], 20), **odd
    )  # type: ignore[arg-type]
    np.testing.assert_array_equal(everything(path), truth)


def test_empty_values_do_not_hide_what_follows(tmp_path: Path) -> None:
    keywords = describe(["A", "B"], 5) | {"$COM": "", "SPILL": "2,A,B,1,0.1,0.2,1", "LAST": "end"}
    header = read_header(write_fcs(tmp_path / "a.fcs", bytes(40), keywords))
    assert header.spill is not None
    assert header.keywords["$COM"] == ""


def test_padded_values_and_labels_are_read_without_their_blanks(tmp_path: Path) -> None:
    keywords = describe(["A ", " B"], 5, P1S=" CD19 ", P2S=" ") | {
        "$TOT": "5        ",
        "$DATATYPE": "F ",
    }
    header = read_header(write_fcs(tmp_path / "a.fcs", bytes(40), keywords))
    assert [(channel.detector, channel.label) for channel in header.channels] == [
        ("A", "CD19"),
        ("B", ""),
    ]


def test_a_spill_in_the_supplemental_text_is_found(tmp_path: Path) -> None:
    supplement = b"|$SPILLOVER|2,A,B,1,0.1,0,1|"
    keywords = describe(
        ["A", "B"], 5, BEGINSTEXT=str(2048 + 40), ENDSTEXT=str(2048 + 40 + len(supplement) - 1)
    )
    assert (
        read_header(write_fcs(tmp_path / "a.fcs", bytes(40), keywords, after=supplement)).spill
        is not None
    )


def test_of_three_data_sets_the_last_is_read_and_all_are_named(tmp_path: Path) -> None:
    parts = []
    for count in (3, 4, 5):
        path = tmp_path / "part.fcs"
        size = 2048 + 4 * count
        write_fcs(
            path,
            np.arange(count, dtype="<f4").tobytes(),
            describe(["A"], count) | {"$NEXTDATA": "0" if count == 5 else str(size)},
        )
        parts.append(path.read_bytes())
    (tmp_path / "a.fcs").write_bytes(b"".join(parts))
    np.testing.assert_array_equal(everything(tmp_path / "a.fcs")[:, 0], np.arange(5))
    assert read_header(tmp_path / "a.fcs").problems[0].count("FCS 3.1 with") == 3


def test_a_tube_without_events_says_so(tmp_path: Path) -> None:
    header = read_header(write_fcs(tmp_path / "a.fcs", b"", describe(["A"], 0)))
    assert header.problems == ("The tube holds no events.",)
    assert open_events(header).columns([0]).shape == (0, 1)


# --- what is refused
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"$TOT": "11"}, "is cut short: it announces 11 events but holds 10"),
        ({"$TOT": "9"}, "announces 9 events but holds 10"),
        ({"$TOT": "ten"}, "not a whole number"),
        ({"$TOT": ""}, "TOT"),
        ({"$PAR": "0"}, "has no channels"),
        ({"$PAR": "99999999999"}, "channels but describes fewer"),
        ({"$P2N": "A"}, "two channels called A"),
        ({"$P2N": ""}, "keyword|P2N"),
        ({"$DATATYPE": "A"}, "as text"),
        ({"$MODE": "C"}, "histograms"),
        ({"$BYTEORD": "3,4,1,2"}, "byte order"),
        ({"$P1B": "16"}, "16 bits of type 'F'"),
        ({"$DATATYPE": "I", "$P1B": "12"}, "12 bits of type 'I'"),
        ({"$DATATYPE": "I", "$P1R": "0"}, "has no range"),
        ({"$P1E": "4,1"}, "marked logarithmic"),
        ({"$P1E": "4"}, "amplification"),
        ({"$P1G": "-2"}, "P1G"),
        ({"$BEGINDATA": "2044"}, "in two places"),
        ({"$NEXTDATA": "999999"}, "cut short"),
        ({"$nextdata": "7"}, "written twice"),
    ],
)
def test_a_contradiction_refuses_the_file(tmp_path: Path, changes: Keywords, sentence: str) -> None:
    path = write_fcs(tmp_path / "a.fcs", bytes(80), describe(["A", "B"], 10) | changes)
    with pytest.raises(UnreadableFile, match=rf"a\.fcs.*({sentence})"):
        read_header(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"patient,day,CD19\n", "is not an FCS file"),
        (b"FCS3.1", "cut short"),
        (b"FCS1.0".ljust(400), "FCS1.0"),
        (b"FCS3.1    ".ljust(400), "where the keywords lie"),
        (b"PK\x03\x04".ljust(400), "is not an FCS file"),
    ],
)
def test_what_is_not_fcs_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "a.fcs").write_bytes(content)
    with pytest.raises(UnreadableFile, match=sentence):
        read_header(tmp_path / "a.fcs")


def test_padding_smaller_than_an_event_is_no_contradiction(tmp_path: Path) -> None:
    assert everything(
        write_fcs(tmp_path / "a.fcs", bytes(80 + 7), describe(["A", "B"], 10))
    ).shape == (10, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_no_number_refuses_its_column_alone(tmp_path: Path, bad: float) -> None:
    values = floats(10, 2).astype("<f4")
    values[4, 1] = bad
    events = opened(write_fcs(tmp_path / "a.fcs", values.tobytes(), describe(["A", "B"], 10)))
    assert events.column(0).shape == (10,)
    with pytest.raises(UnreadableFile, match=r"B holds values that are not numbers"):
        events.column(1)


def test_a_file_cut_after_its_header_was_read_is_refused(tmp_path: Path) -> None:
    path = write_fcs(tmp_path / "a.fcs", bytes(80), describe(["A", "B"], 10))
    header = read_header(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UnreadableFile, match="has become shorter"):
        open_events(header)


# --- spill and volume
# --------------------------------------------------------------------------------------------


def with_keywords(folder: Path, keywords: Keywords) -> TubeHeader:
    return read_header(
        write_fcs(folder / "a.fcs", bytes(24), describe(["Time", "FITC-A", "PE-A"], 2) | keywords)
    )


@pytest.mark.parametrize("keyword", ["$SPILLOVER", "SPILL", "spillover", "Spill"])
@pytest.mark.parametrize(
    "value",
    ["2,FITC-A,PE-A,1,0.2,1.5,1", " 2, FITC-A , PE-A, 1.0, .2, 1.5, 1, ", "2,2,3,1,0.2,1.5,1"],
)
def test_a_spill_is_read_in_every_usual_form(tmp_path: Path, keyword: str, value: str) -> None:
    header = with_keywords(tmp_path, {keyword: value})
    assert header.spill is not None
    assert header.spill.detectors == ("FITC-A", "PE-A")
    np.testing.assert_array_equal(header.spill.matrix, [[1, 0.2], [1.5, 1]])


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("2,FITC-A,PE-A,1,0,0", "n × n"),
        ("x,FITC-A,PE-A,1,0,0,1", "n × n"),
        ("2,FITC-A,APC-A,1,0.1,0,1", "APC-A"),
        ("2,2,9,1,0.1,0,1", "number 9"),
        ("2,FITC-A,FITC-A,1,0.1,0,1", "twice"),
        ("2,FITC-A,PE-A,1,nan,0,1", "finite"),
        ("2,FITC-A,PE-A,1,a,0,1", "not a number"),
        ("2,FITC-A,PE-A,1,1,1,1", "singular"),
        ("2,FITC-A,PE-A,1,1,1,1.000001", "singular"),
        ("2,FITC-A,PE-A,0.1,1,1,0.2", "diagonal"),
        ("2,FITC-A,PE-A,100,10,0,100", "diagonal"),
    ],
)
def test_a_spill_that_cannot_be_used_is_told_and_the_tube_stays_readable(
    tmp_path: Path, value: str, sentence: str
) -> None:
    header = with_keywords(tmp_path, {"SPILL": value})
    assert header.spill is None
    assert header.spill_fault is not None
    assert sentence in header.spill_fault
    assert header.spill_fault.startswith("SPILL ")


def test_two_different_spills_are_no_spill(tmp_path: Path) -> None:
    spills = {"SPILL": "2,FITC-A,PE-A,1,0.2,0,1", "$SPILLOVER": "2,FITC-A,PE-A,1,0.3,0,1"}
    assert "two different spills" in (with_keywords(tmp_path, spills).spill_fault or "")


def test_the_older_compensation_keywords_are_not_used_and_it_is_said(tmp_path: Path) -> None:
    header = with_keywords(tmp_path, {"$DFC1TO2": "10"})
    assert (header.spill, header.spill_fault) == (None, None)
    assert "$DFC1TO2" in header.problems[0]


@pytest.mark.parametrize(
    ("keywords", "microlitres"),
    [
        ({"$VOL": "25016"}, 25.016),
        ({"$VOL": " 30.59", "CREATOR": "SpectroFlo 3.3.0"}, 30.59),
        ({}, None),
        ({"$VOL": "unknown"}, None),
    ],
)
def test_the_acquired_volume_is_given_in_microlitres(
    tmp_path: Path, keywords: Keywords, microlitres: float | None
) -> None:
    assert with_keywords(tmp_path, keywords).acquired_volume_ul == microlitres


def test_a_volume_in_a_doubtful_unit_is_not_used(tmp_path: Path) -> None:
    header = with_keywords(
        tmp_path, {"$VOL": "30.59", "CREATOR": "another export"}
    )  # as nL it makes every count 1000 times too high
    assert header.acquired_volume_ul is None
    assert "unit is in doubt" in header.problems[0]


# --- damage and cost
# ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keywords = describe(["Time", "A", "B"], 6, TIMESTEP="0.01") | {"SPILL": "2,A,B,1,0.1,0,1"}
    path = write_fcs(
        tmp_path_factory.mktemp("damage") / "sound.fcs",
        floats(6, 3).astype("<f4").tobytes(),
        keywords,
    )
    # What is imported at the first reading is not part of an example's deadline.
    assert everything(path).shape == (6, 3)
    return path


def readable_or_refused(path: Path, content: bytes) -> NDArray[np.float64] | None:
    path.write_bytes(content)
    try:
        return everything(path)
    except UnreadableFile:
        return None


@settings(
    max_examples=3 * settings.default.max_examples,
    deadline=5000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    content=st.binary(max_size=300),
    prefix=st.sampled_from([b"", b"FCS3.1    ", b"FCS3.0          58     100     101     200"]),
)
def test_random_bytes_are_refused(sound: Path, content: bytes, prefix: bytes) -> None:
    assert readable_or_refused(sound.with_name("random.fcs"), prefix + content) is None


@settings(
    max_examples=2 * settings.default.max_examples,
    deadline=5000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_a_truncated_file_is_refused(sound: Path, data: st.DataObject) -> None:
    whole = sound.read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert readable_or_refused(sound.with_name("cut.fcs"), whole[:cut]) is None


@settings(
    max_examples=6 * settings.default.max_examples,
    deadline=5000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_one_wrong_byte_never_raises_anything_but_unreadable_file(
    sound: Path, data: st.DataObject
) -> None:
    whole = bytearray(sound.read_bytes())
    text = data.draw(st.booleans())
    place = data.draw(st.integers(0, 600) if text else st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255))
    values = readable_or_refused(sound.with_name("wrong.fcs"), bytes(whole))
    assert values is None or np.isfinite(values).all()


def test_one_column_of_a_large_tube_is_read_alone(tmp_path: Path) -> None:
    count, channels = 300_000, 20
    names = [f"C{n}" for n in range(channels)]
    path = write_fcs(
        tmp_path / "a.fcs", bytes(4 * count * channels), describe(names, count, BYTEORD="4,3,2,1")
    )
    events = opened(path)
    events.column(0)
    tracemalloc.start()
    events.column(7)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 8 * count  # the column itself, and no copy of the 24 MB file


@needs_shared
def test_a_spill_that_names_channels_without_coefficients_means_not_compensated():
    header = read_header(
        SHARED / "instruments" / "fcsparser" / "FCS3.1__EY_2013-07-19_PBS_FCS_3.1_Well_A1.001.fcs"
    )
    assert (header.spill, header.spill_fault) == (None, None)
    assert any("holds no coefficients" in problem for problem in header.problems)
