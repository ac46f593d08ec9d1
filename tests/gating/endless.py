"""Write FCS files that ask for more time or memory than any tube is worth."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.gating.fcs_writer import Pair

HUGE = 3_000_000_000


def tube(
    path: Path,
    pairs: Sequence[Pair],
    *,
    data: bytes = bytes(4),
    delimiter: str = "/",
    analysis: tuple[int, int] = (0, 0),
    size: int = 0,
    held: int = 0,
) -> Path:
    """Write HEADER, TEXT and DATA; ``size`` makes it a file of so many bytes, a hole on the disk.

    ``held`` is how many bytes DATA is said to take, where that is not what is written.
    """
    taken = held or len(data)
    told = [("$BEGINDATA", ""), ("$ENDDATA", ""), *pairs]
    parts = [part for pair in told for part in pair]
    length = len(delimiter.join(["", *parts, ""]).encode()) + 24
    parts[1], parts[3] = f"{58 + length:012d}", f"{57 + length + taken:012d}"
    text = delimiter.join(["", *parts, ""]).encode()
    data_place = (0, 0) if held else (58 + length, 57 + length + taken)
    offsets = (58, 57 + length, *data_place, *analysis)
    header = "FCS3.1    " + "".join(f"{each:8d}" for each in offsets)
    path.write_bytes(header.encode() + text + data)
    if size:
        os.truncate(path, size)
    return path


def required(channels: int = 1, **changed: str) -> list[Pair]:
    """Give the required keywords of a tube with one event; ``changed`` ones without their ``$``."""
    told = {"MODE": "L", "DATATYPE": "F", "BYTEORD": "1,2,3,4", "NEXTDATA": "0"}
    told |= {"PAR": str(channels), "TOT": "1"}
    for n in range(1, channels + 1):
        told |= {f"P{n}N": f"C{n}-A", f"P{n}B": "32", f"P{n}R": "1024", f"P{n}E": "0,0"}
    return [(f"${key}", value) for key, value in (told | changed).items()]


def spill(size: int, zero: str = "0") -> str:
    names = [f"C{n}-A" for n in range(1, size + 1)]
    rows = ([zero] * n + ["1"] + [zero] * (size - n - 1) for n in range(size))
    return ",".join([str(size), *names, *(",".join(row) for row in rows)])


def channels(path: Path, count: int, label: str = "") -> Path:
    labels = [(f"$P{n}S", label) for n in range(1, count + 1)] if label else []
    return tube(path, [*required(count), *labels], data=bytes(4 * count))


def with_pairs(path: Path, pairs: Iterable[Pair]) -> Path:
    return tube(path, [*required(), *pairs])


def many_data_sets(path: Path) -> Path:
    """Write 1,900 data sets with 600 keywords each, one behind the other."""
    pairs = [*required()[:3], ("$NEXTDATA", "0" * 9), *required()[4:]]
    pairs += [(f"K{n}", "x") for n in range(600)]
    step = tube(path, pairs).stat().st_size
    one = tube(path, [(k, f"{step:09d}" if k == "$NEXTDATA" else v) for k, v in pairs]).read_bytes()
    path.write_bytes(one * 1_900 + tube(path, pairs).read_bytes())
    return path


def two_spills(path: Path) -> Path:
    spills = [("SPILL", f"2,C1-A,C2-A,1,0.{n},0,1") for n in range(60_000)]
    return tube(path, [*required(2), *spills], data=bytes(8))


def four_spills(path: Path) -> Path:
    keys = ("$SPILLOVER", "SPILL", "SPILLOVER")
    spills = [(key, spill(300, "0" * n)) for n, key in enumerate(keys, start=1)]
    return tube(path, [*required(300), *spills], data=bytes(1_200))


def long_exponent(path: Path) -> Path:
    spills = [("SPILL", f"2,C1-A,C2-A,1,1e-{'9' * 5_000},0,1"), ("$SPILLOVER", spill(2))]
    return tube(path, [*required(2), *spills], data=bytes(8))


def analysis_full_of_pairs(path: Path) -> Path:
    pairs = [*required(), *((f"K{n}", "x" * 20) for n in range(90_000))]
    begin = tube(path, pairs).stat().st_size
    segment = ("/" + "".join(f"{n}/x/" for n in range(390_000))).encode()[:4_000_000]
    tube(path, pairs, analysis=(begin, begin + len(segment) - 1))
    with path.open("ab") as file:
        file.write(segment)
    return path


ENDLESS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "60,000 channels": (lambda path: channels(path, 60_000), "more than 100,000 keywords"),
    "5,000 channels": (lambda path: channels(path, 5_000), "5,000 channels"),
    "80 MB of keywords": (
        lambda path: with_pairs(path, ((f"K{n:06d}", "x" * 700) for n in range(110_000))),
        "more than 4 MB of keywords",
    ),
    "180,000 keywords": (
        lambda path: with_pairs(path, ((f"K{n}", "x") for n in range(180_000))),
        "more than 100,000 keywords",
    ),
    "one keyword 90,000 times": (
        lambda path: with_pairs(path, (("K", str(n)) for n in range(90_000))),
        "written twice",
    ),
    "60,000 spills": (two_spills, "two different spills"),
    "four spills of 300": (four_spills, "identity"),
    "a spill of 700": (
        lambda path: tube(path, [*required(700), ("SPILL", spill(700))], data=bytes(2_800)),
        "more than 300",
    ),
    "a spill of 5,000": (
        lambda path: with_pairs(path, [("SPILL", spill(5_000))]),
        "MB of keywords",
    ),
    "an exponent of 5,000 digits": (long_exponent, "identity"),
    "a label of 500,000 words": (
        lambda path: with_pairs(path, [("$P1S", "a b " * 250_000)]),
        "more than 256 characters",
    ),
    "a detector of 500,000 words": (
        lambda path: tube(path, required(P1N="a b " * 250_000)),
        "more than 256 characters",
    ),
    "4,000 labels of many words": (lambda path: channels(path, 4_000, "a b " * 60), "missing"),
    "4,000 channels of one label": (lambda path: channels(path, 4_000, "IgD"), "labelled on"),
    "a number of a million digits": (
        lambda path: tube(path, required(P1R="1" * 1_000_000)),
        "1,000,000 characters",
    ),
    "$PAR of 10^9": (lambda path: tube(path, required(PAR="1" + "0" * 9)), "1000000000 channels"),
    "$TOT of 10^18": (lambda path: tube(path, required(TOT="9" * 18)), "cut short"),
    "a billion events in a hole": (
        lambda path: tube(
            path,
            required(TOT=str(10**9), DATATYPE="I", P1B="8", P1R="256"),
            held=10**9,
            size=10**9 + 500,
        ),
        "more than 100,000,000 events",
    ),
    "an ANALYSIS of 3 GB": (
        lambda path: tube(
            path,
            [*required(), ("$BEGINANALYSIS", "58"), ("$ENDANALYSIS", str(HUGE - 9))],
            size=HUGE,
        ),
        "missing",
    ),
    "ANALYSIS and TEXT share their bytes": (
        lambda path: tube(
            path,
            [*required(), *((f"K{n}", "x" * 20) for n in range(90_000))],
            analysis=(58, 2_000_000),
        ),
        "missing",
    ),
    "390,000 pairs in ANALYSIS": (analysis_full_of_pairs, "missing"),
    "a supplemental TEXT of 3 GB": (
        lambda path: tube(
            path, [*required(), ("$BEGINSTEXT", "90"), ("$ENDSTEXT", str(HUGE - 9))], size=HUGE
        ),
        "supplemental TEXT",
    ),
    "a supplemental TEXT within TEXT": (
        lambda path: with_pairs(path, [("$BEGINSTEXT", "59"), ("$ENDSTEXT", "190")]),
        "supplemental TEXT",
    ),
    "a million escaped delimiters": (
        lambda path: with_pairs(path, [("$COM", "a" + "/" * 1_000_000)]),
        "missing",
    ),
    "delimiters and dollars": (
        lambda path: with_pairs(path, [("$COM", "$//" * 300_000)]),
        "missing",
    ),
    "lines between full stops": (
        lambda path: tube(path, [*required(), ("$COM", "a\n" * 1_500_000)], delimiter="."),
        "missing",
    ),
    "1,900 data sets": (many_data_sets, "more than 500,000 keywords"),
    "a billion channels hidden in a value": (
        lambda path: with_pairs(path, [("$COM", "x//$PAR //1000000000//y")]),
        "missing|two ways|neither",
    ),
}
"""What each file is: how it is written, and what the sentence about it says."""
