"""FCS files that can be read in more than one way: read where no doubt is left, else refused."""

import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gating.fcs.events import open_events
from gating.fcs.header import TubeHeader, read_header
from gating.fcs.text_segment import read_text_segment
from panels.text.errors import UnreadableFile
from tests.gating.fcs_writer import FcsFile, counted
from tests.shared_data import SHARED, needs_shared

FIELD = SHARED / "field"
DELIMITERS = ["/", "|", "\\", "\f", "\x1e", "~", "!", "*", ",", "\t", ".", ";"]
VERSIONS = ["2.0", "3.0", "3.1", "3.2"]
TUBE = FcsFile(counted())


def values(header: TubeHeader) -> np.ndarray:
    return open_events(header).columns(range(len(header.channels)))


def read(path: Path) -> np.ndarray:
    return values(read_header(path))


def refused(path: Path, sentence: str) -> None:
    with pytest.raises(UnreadableFile, match=sentence) as fault:
        read_header(path)
    assert path.name in str(fault.value)


# --- byte order --------------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize("name", ["byteord_1_int16", "byteord_1_float", "fcs_byteord_321"])
def test_a_field_file_that_does_not_say_its_byte_order_is_refused(name: str) -> None:
    refused(FIELD / f"{name}.fcs", r"\$BYTEORD")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("order", "datatype", "bits"),
    [
        ("1", "I", 16),
        ("1", "I", 32),
        ("1", "F", 32),
        ("1", "D", 64),
        ("3,2,1", "F", 32),
        ("3,2,1", "I", 16),
        ("1,2,3", "I", 32),
        ("2,1", "F", 32),
        ("1,2", "I", 32),
        ("1,2,3,4,5,6,7,8", "F", 32),
        ("2,1", "D", 64),
        ("3,4,1,2", "I", 32),
        ("0,1,2,3", "I", 32),
        ("little", "I", 16),
    ],
)
def test_a_byte_order_that_does_not_fit_the_values_is_refused(
    tmp_path: Path, version: str, order: str, datatype: str, bits: int
) -> None:
    tube = TUBE.with_(order=order, datatype=datatype, bits=bits, version=version)
    refused(tube.write(tmp_path / "a.fcs"), r"\$BYTEORD")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("order", "datatype", "bits"),
    [
        ("1", "I", 8),
        ("1,2,3,4", "I", 8),
        ("2,1", "I", 8),
        ("1,2", "I", 16),
        ("2,1", "I", 16),
        ("4,3,2,1", "I", 16),
        ("1, 2, 3, 4", "I", 32),
        ("4,3,2,1", "F", 32),
        ("1,2,3,4", "D", 64),
        ("8,7,6,5,4,3,2,1", "D", 64),
        ("1,2,3,4,5,6,7,8", "I", 64),
    ],
)
def test_a_byte_order_that_fits_the_values_is_followed(
    tmp_path: Path, version: str, order: str, datatype: str, bits: int
) -> None:
    tube = TUBE.with_(order=order, datatype=datatype, bits=bits, version=version)
    np.testing.assert_array_equal(read(tube.write(tmp_path / "a.fcs")), tube.events)


@pytest.mark.parametrize(
    ("order", "endian"),
    [("3,2,1", "big"), ("1,2,3", "little"), ("4,3,2,1", "big"), ("1,2,3,4", "little")],
)
def test_integers_of_three_bytes_are_read_in_both_orders(
    tmp_path: Path, order: str, endian: str
) -> None:
    events = counted() * 4
    whole = [int(value) for value in events.ravel()]
    raw = b"".join(value.to_bytes(3, endian) for value in whole)  # type: ignore[arg-type]
    tube = TUBE.with_(events=events, order=order, datatype="I", bits=24, raw=raw)
    np.testing.assert_array_equal(read(tube.write(tmp_path / "a.fcs")), events)


# --- TEXT --------------------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize(
    "name",
    [
        "no_final_delimiter",
        "empty_labels",
        "empty_value_and_escaped",
        "text_ends_with_two_delimiters",
    ],
)
def test_a_field_file_with_an_unusual_text_is_read_whole(name: str) -> None:
    header = read_header(FIELD / f"{name}.fcs")
    assert header.event_count == 500
    raw = (FIELD / f"{name}.fcs").read_bytes()
    first = int(header.keywords["$BEGINDATA"])
    truth = np.frombuffer(raw, dtype="<f4", count=500 * 6, offset=first).reshape(500, 6)
    np.testing.assert_array_equal(values(header), truth)


@needs_shared
def test_empty_and_escaped_values_are_told_apart() -> None:
    keywords = read_header(FIELD / "empty_value_and_escaped.fcs").keywords
    assert (keywords["$OP"], keywords["$COM"]) == ("", "10 ul/min")
    labels = [channel.label for channel in read_header(FIELD / "empty_labels.fcs").channels]
    assert labels == ["FSC-H", "SSC-H", "", "", "", ""]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("ending", [None, "", "double"])
def test_empty_labels_and_any_ending_are_read_with_every_delimiter(
    tmp_path: Path, version: str, delimiter: str, ending: str | None
) -> None:
    pairs = [
        ("$P1S", ""),
        ("$P2S", "CD3"),
        ("$OP", ""),
        ("$COM", f"10 ul{delimiter}min{delimiter}"),
        ("$P3S", ""),
        ("$P4S", ""),
        ("$CYT", "Calibur"),
    ]
    tube = TUBE.with_(version=version, delimiter=delimiter, pairs=pairs, padding=9)
    tube = tube.with_(ending=None if ending is None else delimiter * 2 if ending else "")
    header = read_header(tube.write(tmp_path / "a.fcs"))
    np.testing.assert_array_equal(values(header), tube.events)
    assert [channel.label for channel in header.channels] == ["", "CD3", "", ""]
    keywords = header.keywords
    assert keywords["$COM"] == f"10 ul{delimiter}min{delimiter}".strip()
    assert (keywords["$OP"], keywords["$CYT"]) == ("", "Calibur")


@pytest.mark.parametrize("ending", ["", "//", "///"])
@pytest.mark.parametrize("padding", [0, 6])
def test_the_last_value_is_whole_whichever_keyword_stands_there(
    tmp_path: Path, ending: str, padding: int
) -> None:
    """FlowIO drops a last character that is no delimiter: 20 events would become 2."""
    for last in [("$P4S", "CD19"), ("$TOT", "20"), ("$P4N", "Time"), ("$PAR", "4")]:
        if ending == "///" and last[0] != "$P4S":
            continue
        tube = TUBE.with_(pairs=[last], ending=ending, padding=padding)
        header = read_header(tube.write(tmp_path / "a.fcs"))
        np.testing.assert_array_equal(values(header), tube.events)
        assert header.channels[3].label.startswith("CD19" if last[0] == "$P4S" else "")


def test_an_empty_last_label_may_be_followed_by_one_delimiter_too_many(tmp_path: Path) -> None:
    for ending in ("/", "//"):
        tube = TUBE.with_(pairs=[("$P3S", "CD3"), ("$P4S", "")], ending=ending)
        header = read_header(tube.write(tmp_path / "a.fcs"))
        assert [channel.label for channel in header.channels] == ["", "", "CD3", ""]


@settings(max_examples=200, deadline=None)
@given(
    delimiter=st.sampled_from(DELIMITERS),
    parts=st.lists(st.lists(st.sampled_from(["a", "µ", "0", "d", "dd"]), max_size=5), max_size=12),
)
def test_what_is_written_with_doubled_delimiters_is_what_is_read(
    delimiter: str, parts: list[list[str]]
) -> None:
    """Also where values are empty, begin or end with a delimiter, or are nothing else."""
    plain = ["".join(part).replace("d", delimiter) for part in parts]
    pairs = [(f"KEY {n}", value) for n, value in enumerate(plain)] + [("LAST", "x")]
    written = delimiter.join(
        part.replace(delimiter, delimiter * 2) for pair in pairs for part in pair
    )
    found = read_text_segment("a.fcs", f"{delimiter}{written}{delimiter}".encode())
    assert found.pairs == tuple((key, value.strip()) for key, value in pairs)


@pytest.mark.parametrize(
    ("before", "behind"), [("$P2S/CD", "19/"), ("$P2S/CD3/$P3S/C", "D19/"), ("$CYT/Cali", "bur/")]
)
def test_a_text_that_is_cut_off_within_a_value_is_refused(
    tmp_path: Path, before: str, behind: str
) -> None:
    """The HEADER ends TEXT too early: CD19 would be read as CD."""
    path = TUBE.with_(tail=before + behind).write(tmp_path / "a.fcs")
    raw = path.read_bytes()
    end = int(raw[18:26]) - len(behind)
    path.write_bytes(raw[:18] + f"{end:8d}".encode() + raw[26:])
    refused(path, "damaged or cut off")


def test_a_header_that_leaves_out_the_last_delimiter_is_read(tmp_path: Path) -> None:
    path = TUBE.with_(pairs=[("$P3S", "CD3")]).write(tmp_path / "a.fcs")
    raw = path.read_bytes()
    path.write_bytes(raw[:18] + f"{int(raw[18:26]) - 1:8d}".encode() + raw[26:])
    header = read_header(path)
    np.testing.assert_array_equal(values(header), TUBE.events)
    assert header.channels[2].label == "CD3"


@pytest.mark.parametrize(
    "tail",
    [
        "$COM/10 ul/min/$P2S/CD3/$OP/x/y/",  # a lone delimiter in two values: a label is lost
        "$P1S//CD3/$P2S//CD19/",  # $P1S is "/CD3", or empty before a keyword CD3
        "$P1S///$P2S/CD3//x/",
        "$P1S/CD3//$P2S/CD19/",
    ],
)
def test_a_text_with_two_readings_is_refused(tmp_path: Path, tail: str) -> None:
    refused(TUBE.with_(tail=tail).write(tmp_path / "a.fcs"), "two ways|damaged or cut off")


# --- where DATA lies ---------------------------------------------------------------------------


@needs_shared
def test_begindata_within_text_is_overruled_by_a_header_that_fits() -> None:
    header = read_header(FIELD / "begindata_inside_text.fcs")
    assert (header.event_count, header.layout.start) == (500, 518)
    assert [each for each in header.problems if "$BEGINDATA (84) points into TEXT" in each]


@needs_shared
def test_data_that_overlaps_text_is_refused() -> None:
    refused(FIELD / "fcs_data_overlaps_text.fcs", "DATA overlaps TEXT")


@pytest.mark.parametrize("version", ["3.0", "3.1", "3.2"])
@pytest.mark.parametrize("moved", [-4, -16, -200])
def test_the_place_of_data_that_lies_within_text_is_not_read(
    tmp_path: Path, version: str, moved: int
) -> None:
    for key, named in (("moved", r"\$BEGINDATA"), ("header_moved", "The HEADER")):
        tube = TUBE.with_(version=version, **{key: moved})
        header = read_header(tube.write(tmp_path / "a.fcs"))
        np.testing.assert_array_equal(values(header), tube.events)
        assert re.match(named + ".* points into TEXT", header.problems[0])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("moved", [-4, -1, -300])
def test_data_that_lies_within_text_by_all_accounts_is_refused(
    tmp_path: Path, version: str, moved: int
) -> None:
    tube = TUBE.with_(version=version, moved=moved, header_moved=moved)
    refused(tube.write(tmp_path / "a.fcs"), "DATA overlaps (TEXT|the HEADER)")
    alone = TUBE.with_(version="3.1", moved=moved, header_data=("0", "0"))
    refused(alone.write(tmp_path / "a.fcs"), "DATA overlaps (TEXT|the HEADER)")


def test_data_that_overlaps_the_supplemental_text_is_refused(tmp_path: Path) -> None:
    tube = TUBE.with_(supplement="/$P2S/CD3/")
    path = tube.write(tmp_path / "a.fcs")
    assert read_header(path).channels[1].label == "CD3"
    more = tube.with_(changed={"$TOT": "21"}, supplement="/$P2S/" + "C" * 30 + "/")
    path = more.write(tmp_path / "b.fcs")
    raw = path.read_bytes()
    end = int(raw[34:42]) + 16
    written = f"$ENDDATA/{end - 16:012d}/".encode()
    raw = raw[:34] + f"{end:8d}".encode() + raw[42:]
    path.write_bytes(raw.replace(written, f"$ENDDATA/{end:012d}/".encode()))
    refused(path, "DATA overlaps supplemental TEXT")


def test_two_places_outside_the_keywords_are_refused(tmp_path: Path) -> None:
    tube = TUBE.with_(padding=40, moved=-4)
    refused(tube.write(tmp_path / "a.fcs"), "in two places")


# --- more than 99,999,999 bytes ----------------------------------------------------------------

LARGE = 6_400_000
FIRST = 2048


def large_file(path: Path, header: tuple[str, str], version: str = "3.1", **stated: str) -> Path:
    """Write a tube of 102.4 MB that is a hole on the disk, but for its last event."""
    last = FIRST + LARGE * 16 - 1
    keywords = {"$BEGINDATA": str(FIRST), "$ENDDATA": str(last)} | stated
    keywords |= {"$MODE": "L", "$DATATYPE": "F", "$BYTEORD": "1,2,3,4", "$NEXTDATA": "0"}
    keywords |= {"$PAR": "4", "$TOT": str(LARGE)}
    for n, name in enumerate(TUBE.names, start=1):
        keywords |= {f"$P{n}N": name, f"$P{n}B": "32", f"$P{n}R": "1024", f"$P{n}E": "0,0"}
    text = "/" + "".join(f"{key}/{value}/" for key, value in keywords.items())
    begin = f"FCS{version}    {58:8d}{57 + len(text):8d}{header[0]:>8}{header[1]:>8}{0:8d}{0:8d}"
    with path.open("wb") as file:
        file.write((begin[:58] + text).encode())
        file.seek(last + 1 - 16)
        file.write(np.arange(1, 5, dtype="<f4").tobytes())
    return path


@pytest.mark.parametrize(
    "header",
    [
        (str(FIRST), "99999999"),
        ("99999999", "99999999"),
        ("0", "99999999"),
        (str(FIRST), "0"),
        ("0", "0"),
        ("", ""),
        (str(FIRST), "10240204"),  # the first eight digits
        (str(FIRST), "02402047"),  # the last eight digits
        (str(FIRST), "102402047"),  # nine digits, which push what follows
        (str(FIRST), "********"),
        (str(FIRST), "-1"),
    ],
)
def test_a_header_too_short_for_its_offsets_gives_way_to_text(
    tmp_path: Path, header: tuple[str, str]
) -> None:
    path = large_file(tmp_path / "a.fcs", header)
    assert path.stat().st_blocks * 512 < 1_000_000
    found = read_header(path)
    assert (found.event_count, found.layout.start) == (LARGE, FIRST)
    last = open_events(found).columns(range(4), np.array([0, LARGE - 1]))
    np.testing.assert_array_equal(last, [[0, 0, 0, 0], [1, 2, 3, 4]])


def test_a_header_that_could_say_another_place_still_refuses_a_large_file(tmp_path: Path) -> None:
    refused(large_file(tmp_path / "a.fcs", ("2052", "99999999")), "in two places")
    short = large_file(tmp_path / "b.fcs", (str(FIRST), "99999999"))
    os.truncate(short, short.stat().st_size - 16)
    refused(short, "cut short")
    small = TUBE.with_(header_data=("600", "99999999"))
    refused(small.write(tmp_path / "c.fcs"), "in two places|cut short|announces")


# --- $PnDATATYPE -------------------------------------------------------------------------------


@needs_shared
def test_pndatatype_is_ignored_before_fcs_3_2_and_that_is_said() -> None:
    header = read_header(FIELD / "fcs31_P1DATATYPE_I.fcs")
    truth = np.load(SHARED / "odd" / "truth_float.npy").astype(np.float64)
    np.testing.assert_array_equal(values(header), truth)
    assert any("$P1DATATYPE was ignored" in each for each in header.problems)


@pytest.mark.parametrize("version", VERSIONS)
def test_pndatatype_counts_from_fcs_3_2_on(tmp_path: Path, version: str) -> None:
    pairs = [("$P2DATATYPE", "I"), ("$P3DATATYPE", "I"), ("$P4DATATYPE", "F")]
    header = read_header(TUBE.with_(pairs=pairs, version=version).write(tmp_path / "a.fcs"))
    if version == "3.2":
        bits = TUBE.events.astype("<f4").view("<u4") & 1023
        np.testing.assert_array_equal(values(header)[:, 1:3], bits[:, 1:3])
        assert header.problems == ()
    else:
        np.testing.assert_array_equal(values(header), TUBE.events)
        assert "$P2DATATYPE was ignored (and 1 more)" in header.problems[0]


# --- chains of data sets -----------------------------------------------------------------------


def chain(path: Path, headers: int, step: str) -> Path:
    """Write HEADERs one behind the other, all with the TEXT at the end of the file."""
    text = b"/$NEXTDATA/" + step.encode() + b"/$PAR/1/$TOT/0/" + b"x" * 900_000 + b"/y/"
    first = headers * 58
    parts = [
        f"FCS3.1    {first - 58 * n:8d}{first - 58 * n + len(text) - 1:8d}{0:8d}{0:8d}{0:8d}{0:8d}"
        for n in range(headers)
    ]
    path.write_bytes("".join(parts).encode().ljust(first, b" ") + text)
    return path


@needs_shared
def test_two_thousand_headers_with_one_text_take_neither_time_nor_memory() -> None:
    """The readers' libraries are in memory before the file is looked at, as they always are."""
    script = (
        "import sys, flowio, fcsparser, resource; from pathlib import Path\n"
        "from gating.fcs.header import read_header\nfrom panels.text.errors import UnreadableFile\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_header(Path(sys.argv[1]))\n"
        "except UnreadableFile as fault: print(fault)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    begun = time.monotonic()
    path = FIELD / "fcs_chain_1MB_takes_7GB.fcs"
    command = [sys.executable, "-c", script, str(path)]
    limit = (1 << 30, 1 << 30)
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, limit),
    )
    assert time.monotonic() - begun < 5
    sentence, kilobytes = done.stdout.splitlines()
    assert "data sets overlap" in sentence
    assert int(kilobytes) < 100_000


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ("58", "overlap"),
        ("-58", "NEXTDATA is '-58'"),
        ("1", "overlap"),
        ("100", "overlap"),
        ("99999999", "cut short"),
        ("next", "NEXTDATA is a text of 4 characters"),
    ],
)
def test_a_chain_that_does_not_lead_on_is_refused(tmp_path: Path, step: str, sentence: str) -> None:
    refused(chain(tmp_path / "a.fcs", 2000, step), sentence)
    pairs = {"$NEXTDATA": step}
    refused(TUBE.with_(changed=pairs).write(tmp_path / "b.fcs"), sentence)


def test_a_text_that_no_cytometer_writes_is_refused_at_once(tmp_path: Path) -> None:
    header = f"FCS3.1    {58:8d}{50_000_000:8d}{0:8d}{0:8d}{0:8d}{0:8d}"
    with (tmp_path / "a.fcs").open("wb") as file:
        file.write(header.encode())
        file.seek(60_000_000)
        file.write(b"/")
    begun = time.monotonic()
    refused(tmp_path / "a.fcs", "MB of keywords")
    assert time.monotonic() - begun < 1


def test_a_value_full_of_escaped_delimiters_takes_no_time(tmp_path: Path) -> None:
    path = TUBE.with_(pairs=[("$COM", "a/" * 150_000)]).write(tmp_path / "a.fcs")
    begun = time.monotonic()
    assert read_header(path).keywords["$COM"] == "a/" * 150_000
    assert time.monotonic() - begun < 10


def test_many_data_sets_that_lead_on_are_read(tmp_path: Path) -> None:
    """A plate reader writes a well a data set."""
    part = tmp_path / "part.fcs"
    size = TUBE.write(part).stat().st_size
    more = TUBE.with_(changed={"$NEXTDATA": str(size)})
    parts = [more.write(part).read_bytes() for _ in range(95)]
    size = len(parts[0])
    parts = [more.with_(changed={"$NEXTDATA": str(size)}).write(part).read_bytes()] * 95
    parts.append(TUBE.with_(events=counted() + 1).write(part).read_bytes())
    (tmp_path / "a.fcs").write_bytes(b"".join(parts))
    header = read_header(tmp_path / "a.fcs")
    assert header.data_sets == 96
    np.testing.assert_array_equal(values(header), counted() + 1)


# --- keywords written twice --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "described"),
    [
        ("$TOT", "19", "'20' and '19'"),
        ("$PAR", "3", "'4' and '3'"),
        ("$BYTEORD", "4,3,2,1", "'1,2,3,4' and '4,3,2,1'"),
        ("$P2B", "16", "'32' and '16'"),
        ("$P2R", "2048", "written twice"),
        ("$P2N", "PE-H", "with different values"),
        ("$P2G", "2", "written twice"),
        ("$P2S", "CD4", "with different values"),
        ("$TIMESTEP", "0.1", "with different values"),
        ("CREATOR", "SpectroFlo", "with different values"),
    ],
)
@pytest.mark.parametrize("where", ["text", "supplement"])
def test_a_keyword_with_two_values_is_never_chosen_from(
    tmp_path: Path, key: str, value: str, described: str, where: str
) -> None:
    pairs = [("$P2S", "CD3"), ("$P2G", "1"), ("$TIMESTEP", "0.01"), ("CREATOR", "BD")]
    tube = TUBE.with_(pairs=[*pairs, (key, value)] if where == "text" else pairs)
    tube = tube.with_(supplement=f"/{key}/{value}/" if where == "supplement" else "")
    path = tube.write(tmp_path / "a.fcs")
    refused(path, rf"{re.escape(key)} is written twice.*{re.escape(described)}|written twice")


def test_the_same_value_twice_is_one_value(tmp_path: Path) -> None:
    tube = TUBE.with_(pairs=[("$TOT", "20"), ("$P1N", "FSC-A")], supplement="/$PAR/4/")
    np.testing.assert_array_equal(read(tube.write(tmp_path / "a.fcs")), tube.events)


def test_no_sentence_repeats_what_could_be_a_person(tmp_path: Path) -> None:
    for key in ("$SRC", "$OP", "$COM", "$P2S", "$P2N"):
        tube = TUBE.with_(pairs=[(key, "Jane Roe"), (key, "John Doe")])
        with pytest.raises(UnreadableFile) as fault:
            read_header(tube.write(tmp_path / "a.fcs"))
        assert not re.search("Jane|John|Roe|Doe", str(fault.value))


def test_a_cytometers_own_keyword_with_two_values_is_left_out_and_said(tmp_path: Path) -> None:
    tube = TUBE.with_(pairs=[("PATIENT ID", "P01"), ("PATIENT ID", "P02"), ("WELL", "A1")])
    header = read_header(tube.write(tmp_path / "a.fcs"))
    assert "PATIENT ID" not in header.keywords
    assert header.keywords["WELL"] == "A1"
    assert any("written twice" in each for each in header.problems)
    assert not any("P01" in each or "PATIENT" in each for each in header.problems)


def test_the_header_of_a_tube_is_read_in_milliseconds(tmp_path: Path) -> None:
    pairs = [(f"P{n}DISPLAY", "LOG") for n in range(60)] + [("$P1S", ""), ("$COM", "10 ul/min")]
    path = TUBE.with_(pairs=pairs).write(tmp_path / "a.fcs")
    read_header(path)
    begun = time.perf_counter()
    for _ in range(20):
        read_header(path)
    assert (time.perf_counter() - begun) / 20 < 0.02
