"""No sentence says a person's name, wherever an FCS file holds it."""

import json
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flows.commands.single_file import _inspection
from gating.evaluation.compensation import compensation_fault
from gating.fcs.header import read_header
from panels.catalogue import load_panel
from panels.panel import match_panel
from panels.text.errors import UnreadableFile
from tasks.intake.take_in import take_in
from tasks.tubes.single_file import KEPT_KEYWORDS, Inspection, inspect_file
from tests.gating.planted import (
    ALL_KEYS,
    CHANGES,
    NAME,
    NUMERIC,
    PERSONAL,
    PRIVATE,
    TRACE,
    Change,
    bcell_tube,
    in_the_name,
    twice,
    value,
    with_a_lone_delimiter,
    with_all,
    with_analysis,
    with_header_field,
)
from tests.tasks.study_folder import DRAWN, make_study


class Heard(logging.Handler):
    """Keep every message that is logged."""

    def __init__(self) -> None:
        super().__init__(level=logging.DEBUG)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    handler = Heard()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planted") / "t.fcs"


PANEL = load_panel("bcell")


def all_that_is_said(path: Path) -> str:
    """Give every word that ``reconflow inspect`` prints, without the time to read its panels
    anew."""
    try:
        header = read_header(path)
    except UnreadableFile as fault:
        return str(fault)
    refused = compensation_fault(header, PANEL) or ""
    problems = (*header.problems, *match_panel(PANEL, header.channels).problems, refused)
    found = Inspection(header, PANEL, problems, refused=bool(refused))
    document = json.dumps(found.document(), ensure_ascii=False)
    return f"{document}\n{_inspection(path, found, KEPT_KEYWORDS)}"


def silent(text: str) -> bool:
    return TRACE.search(text.encode()) is None


def nothing(_path: Path) -> None:
    """Leave the file as it is."""


def cut(path: Path, share: float) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: int(share * len(raw))])


DAMAGES: list[Callable[[Path], None]] = [nothing] * 8 + [with_analysis] * 3
DAMAGES += [partial(with_header_field, field=field) for field in range(7)]
DAMAGES += [partial(cut, share=share) for share in (0.02, 0.3, 0.5, 0.9)]

many = settings(
    max_examples=6 * settings.default.max_examples,  # type: ignore[operator]
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@many
@given(
    changes=st.lists(
        st.builds(
            lambda change, key: change(key), st.sampled_from(CHANGES), st.sampled_from(ALL_KEYS)
        ),
        min_size=1,
        max_size=3,
    ),
    version=st.sampled_from(["2.0", "3.0", "3.1", "3.2"]),
    damage=st.sampled_from(DAMAGES),
)
@example([twice("$SRC")], "3.1", nothing)
@example([value("$NEXTDATA")], "3.1", nothing)
@example([value("SPILL")], "3.1", nothing)
@example([in_the_name("$")], "3.1", nothing)
@example([with_a_lone_delimiter("$OP")], "3.0", nothing)
def test_a_name_planted_anywhere_is_in_no_sentence(
    path: Path, heard: Heard, changes: list[Change], version: str, damage: Callable[[Path], None]
) -> None:
    with_all(changes)(bcell_tube().with_(version=version)).write(path)
    damage(path)
    assert silent(all_that_is_said(path))
    assert silent("\n".join(heard.said))


def test_a_name_as_the_value_of_each_keyword_is_in_no_sentence(path: Path) -> None:
    for key in ALL_KEYS:
        for change in (value, twice):
            change(key)(bcell_tube()).write(path)
            assert silent(all_that_is_said(path)), (key, change)


@pytest.mark.parametrize("key", ["$TOT", "$NEXTDATA", "$SRC", "SPILL"])
def test_inspect_says_no_name(path: Path, key: str) -> None:
    twice(key)(value(key)(bcell_tube())).write(path)
    found = inspect_file(path, "bcell")
    assert found.problems
    assert silent(repr(found.document()) + _inspection(path, found, KEPT_KEYWORDS))


def test_what_a_mended_panel_needs_is_said_whatever_it_holds(path: Path) -> None:
    """Labels and detectors are on the list: nobody could mend a panel without them."""
    tube = bcell_tube()
    pairs = [("$P4S", "CD99") if key == "$P4S" else (key, value) for key, value in tube.pairs]
    assert "labelled 'CD99'" in all_that_is_said(tube.with_(pairs=pairs).write(path))


def test_a_second_data_set_keeps_its_name_to_itself(path: Path) -> None:
    """The sentence that lists the data sets names only numbers of events."""
    size = bcell_tube().with_(changed={"$NEXTDATA": "0" * 12}).write(path).stat().st_size
    first = bcell_tube().with_(changed={"$NEXTDATA": f"{size + 5:012d}", "$TOT": NAME})
    raw = first.write(path).read_bytes()
    size = len(raw)
    first = first.with_(changed={"$NEXTDATA": f"{size:012d}", "$TOT": NAME})
    raw = first.write(path).read_bytes()
    path.write_bytes(raw + bcell_tube().write(path).read_bytes())
    said = all_that_is_said(path)
    assert "FCS 3.1 with ? events" in said
    assert silent(said)


def test_intake_writes_no_name_into_reason_ledger_or_sheet_notice(tmp_path: Path) -> None:
    """Every name of a keyword is planted in one of the tubes that are accepted or refused."""
    changed = {f"{n:03d}.fcs": value(key) for n, key in enumerate(NUMERIC)}
    changed |= {f"twice-{n:03d}.fcs": twice(key) for n, key in enumerate(PERSONAL[:4])}
    changed["kept.fcs"] = with_all(value(key) for key in [*PERSONAL, *PRIVATE])
    study = make_study(tmp_path / "s", [f"{name},P01,{DRAWN},bcell" for name in changed])
    for seed, (name, change) in enumerate(changed.items()):
        change(bcell_tube(seed=seed)).write(study.inbox / name)
    summary = take_in(study)
    assert summary.judged("quarantined") > 10
    assert summary.judged("accepted") > 5
    assert silent(repr(summary))
    written = [each for each in study.folder.rglob("*") if each.is_file() and each.suffix != ".fcs"]
    assert any(each.name.endswith(".reason.txt") for each in written)
    for each in written:
        assert TRACE.search(each.read_bytes()) is None, each.name


@pytest.mark.parametrize("column", ["patient", "panel", "control", "collected", "visit"])
def test_a_keyword_that_the_study_believes_is_not_repeated_before_it_is_known(
    tmp_path: Path, column: str
) -> None:
    """A laboratory that took the wrong keyword for the patient's id reads no name in its
    quarantine."""
    cells = {"patient": "P01", "collected": DRAWN, "panel": "bcell"} | {column: ""}
    row = ",".join(["t.fcs", *(cells[name] for name in ("patient", "collected", "panel"))])
    settings = f"study: t\nintake: {{settle_seconds: 0, keywords: {{{column}: $SRC}}}}\n"
    study = make_study(tmp_path / "s", [row], settings=settings)
    said = {"control": "fmo:Quastenflosser", "visit": "Quastenflosser, D3"}.get(
        column, "Quastenflosser"
    )
    bcell_tube().with_(changed={"$SRC": said}).write(study.inbox / "t.fcs")
    summary = take_in(study)
    assert summary.judged("waiting") == (column != "visit")
    assert silent(repr(summary.sentences))
