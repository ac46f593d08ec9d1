"""What cannot be handled is said and stops nothing: files, folders, sheets and names."""

import hashlib
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.commands.pass_summary import pass_text
from flows.commands.status import status_document, status_text
from flows.watch import say
from panels.files.plain_file import NotRegular, regular_sha256
from panels.text.errors import SettingsFault
from panels.text.printable import printable
from tasks.intake.inbox import list_inbox
from tasks.intake.marker_files import MARKER
from tasks.intake.retry import retry
from tasks.intake.scan import scan_inbox
from tasks.intake.take_in import take_in
from tasks.sheets.drugs import read_drugs
from tasks.store.ledger import FileRecord, all_files, history
from tasks.store.moves import PlannedMove, plan_move, planned_moves
from tasks.store.tubes import taken_in
from tasks.study.folder import Study
from tasks.study.settings import FOLDERS, load_settings
from tests.other_account import another_account, folder_for_anybody
from tests.tasks.study_folder import AT_ONCE, DRAWN, make_study, write_rows, write_tube
from tests.time_limit import ends_within

ROWS = [f"good.fcs,P02,{DRAWN},bcell", f"bad.fcs,P01,{DRAWN},bcell"]
SECONDS = 60


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    with ends_within(SECONDS):
        yield


def study_with_good(folder: Path, settings: str = AT_ONCE) -> Study:
    study = make_study(folder, ROWS, settings=settings)
    write_tube(study.inbox / "good.fcs")
    return study


def records(study: Study) -> dict[str, FileRecord]:
    with study.store() as store:
        return {record.inbox_path: record for record in all_files(store)}


def ledger(study: Study) -> str:
    """Write down all that the ledger holds, its history too."""
    with study.store() as store:
        return repr([(record, history(store, record.id)) for record in all_files(store)])


def passes(study: Study, *told: str) -> tuple[str, ...]:
    """Take in twice: the good tube is accepted, trouble is said, the second changes nothing."""
    first = take_in(study)
    assert records(study)["good.fcs"].state == "accepted"
    kept = ledger(study)
    second = take_in(study)
    assert ledger(study) == kept
    for sentences in (first.sentences, second.sentences):
        for words in told:
            assert any(words in sentence for sentence in sentences), (words, sentences)
    return second.sentences


# -- names


@pytest.mark.parametrize(
    ("length", "ending", "letter"),
    [
        (230, ".fcs", "n"),
        (239, ".fcs", "n"),
        (245, ".docx", "é"),
        (255, ".fcs", "é"),
        (255, "." + "x" * 60, "n"),
    ],
)
def test_a_refused_file_of_any_name_has_its_reason_and_its_full_name(
    tmp_path: Path, length: int, ending: str, letter: str
) -> None:
    study = study_with_good(tmp_path / "s")
    size = length - len(ending)
    name = (letter * size).encode()[:size].decode(errors="ignore") + ending
    (study.inbox / name).write_text("no")
    passes(study)
    record = records(study)[name]
    assert record.state == "quarantined"
    kept = study.path_of(record.place or "")
    assert kept.read_text() == "no"
    (reason,) = study.quarantine.glob("*.reason.txt")
    assert reason.name == f"{kept.name}.reason.txt"
    assert f"{name} was not taken in" in reason.read_text(encoding="utf-8")
    assert record.reason in reason.read_text(encoding="utf-8")
    assert retry(study, [name]) == (name,)
    assert sorted(path.name for path in study.inbox.iterdir()) == [".reconflow-inbox", name]
    assert list(study.quarantine.iterdir()) == []
    take_in(study)
    assert records(study)[name].state == "quarantined"


def test_long_names_that_begin_alike_are_all_kept(tmp_path: Path) -> None:
    study = study_with_good(tmp_path / "s")
    for n in range(3):
        (study.inbox / ("n" * 245 + f"{n}.fcs")).write_text(f"no {n}")
    passes(study)
    kept = [path for path in study.quarantine.iterdir() if path.suffix == ".fcs"]
    assert sorted(path.read_text() for path in kept) == ["no 0", "no 1", "no 2"]
    assert len(list(study.quarantine.glob("*.reason.txt"))) == 3


def test_a_move_to_a_long_name_that_an_earlier_version_could_not_end_is_finished(
    tmp_path: Path,
) -> None:
    study = study_with_good(tmp_path / "s")
    name = "n" * 241 + ".fcs"
    (study.inbox / name).write_text("no")
    study.quarantine.mkdir()
    with study.store() as store:
        scan_inbox(study, store)
        record = next(each for each in all_files(store) if each.name == name)
        with store.writing() as connection:
            plan_move(
                connection,
                record,
                PlannedMove(
                    record.id, record.place or "", f"quarantine/{name}", "quarantined", "It is bad."
                ),
            )
    (study.inbox / name).rename(study.quarantine / name)
    passes(study)
    assert records(study)[name].state == "quarantined"
    (reason,) = study.quarantine.glob("*.reason.txt")
    assert "It is bad." in reason.read_text(encoding="utf-8")


HOSTILE = (
    "\x1b[2J\x1b[1;31mgone.fcs",
    "a\nquarantined: good.fcs: forged.fcs",
    "\x9b31m.fcs",
    "\u202egnp.fcs",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_does_nothing_to_a_terminal(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study = study_with_good(tmp_path / "s")
    write_tube(study.inbox / name, seed=2)
    write_tube(study.inbox / f"no-cd3 {name}", seed=3, without="CD3")
    (study.inbox / f"cut {name}").write_bytes(write_tube(tmp_path / "x.fcs").read_bytes()[:500])
    (study.inbox / f"link {name}").symlink_to("good.fcs")
    summary = take_in(study)
    document = {
        "accepted": 1,
        "counted": 0,
        "duplicates": 0,
        "waiting": 2,
        "quarantined": 1,
        "failed": 0,
        "uncalibrated": 0,
    }
    shown = [
        pass_text(document | {"sentences": summary.sentences, "report": ""}),
        status_text(status_document(study, None)),
    ]
    say(next(sentence for sentence in summary.sentences if "link" in sentence))
    shown += [
        capsys.readouterr().err,
        *(path.read_text("utf-8") for path in study.quarantine.glob("*.reason.txt")),
    ]
    for text in shown:
        assert name not in text
        for line in text.split("\n"):
            assert line == printable(line)
            assert not line.startswith("quarantined: good.fcs")
    assert all(printable(name) in text for text in shown[:2])
    assert records(study)[name].state == "waiting"
    assert records(study)[name].name == name


def test_ordinary_text_is_shown_as_it_is() -> None:
    text = "Müller–Ångström 日本 µL ≥ 3 → 4 'x' \\n.fcs"
    assert printable(text) == text
    assert printable(printable("\x1b\n")) == "\\x1b\\n"


# -- folders that may not be written or read


@pytest.fixture(scope="module")
def everything_imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Take a tube in once: another account may not be able to import what it needs."""
    study = study_with_good(tmp_path_factory.mktemp("import") / "s")
    (study.inbox / "bad.fcs").write_text("no")
    passes(study)
    status_document(study, None)


@pytest.fixture
def anybody(everything_imported: None) -> Iterator[Path]:
    with folder_for_anybody() as folder:
        yield folder


def test_a_patients_folder_that_may_not_be_written_holds_up_its_own_tubes_alone(
    anybody: Path,
) -> None:
    study = study_with_good(anybody / "s")
    write_tube(study.inbox / "bad.fcs", seed=2)
    closed = study.archive / "P01"
    closed.mkdir(parents=True)
    closed.chmod(0o555)
    with another_account(anybody):
        passes(
            study, "bad.fcs: The file cannot be moved: the folder archive/P01 may not be written"
        )
        record = records(study)["bad.fcs"]
        assert record.state == "settling"
        assert "by itself" in record.reason
        closed.chmod(0o755)
        take_in(study)
        assert records(study)["bad.fcs"].state == "accepted"


def test_an_archive_that_may_not_be_written_loses_nothing(anybody: Path) -> None:
    study = study_with_good(anybody / "s")
    study.archive.mkdir()
    study.archive.chmod(0o555)
    (study.inbox / "no.fcs").write_text("no")
    with another_account(anybody):
        said = [take_in(study).sentences for _ in range(2)]
        assert all(
            any("the folder archive may not be written" in each for each in sentences)
            for sentences in said
        )
        assert {name: record.state for name, record in records(study).items()} == {
            "good.fcs": "settling",
            "no.fcs": "quarantined",
        }
        with study.store() as store:
            assert planned_moves(store) == []
        study.archive.chmod(0o755)
        passes(study)


@pytest.mark.parametrize("mode", ["move", "leave"])
def test_a_quarantine_that_may_not_be_written_keeps_a_refused_file_where_it_is(
    anybody: Path, mode: str
) -> None:
    study = study_with_good(
        anybody / "s", f"study: t\nintake: {{settle_seconds: 0, mode: {mode}}}\n"
    )
    study.quarantine.mkdir()
    study.quarantine.chmod(0o555)
    (study.inbox / "bad.fcs").write_text("no")
    with another_account(anybody):
        passes(study, "the folder quarantine may not be written")
        assert records(study)["bad.fcs"].state == "settling"
        study.quarantine.chmod(0o755)
        passes(study)
        assert records(study)["bad.fcs"].state == "quarantined"


def test_a_planned_move_that_fails_is_that_files_fault(anybody: Path) -> None:
    study = study_with_good(anybody / "s")
    write_tube(study.inbox / "bad.fcs", seed=2)
    with another_account(anybody):
        with study.store() as store:
            scan_inbox(study, store)
            record = next(each for each in all_files(store) if each.name == "bad.fcs")
            target = f"archive/P01/{(record.sha256 or '')[:12]}.fcs"
            with store.writing() as connection:
                move = PlannedMove(record.id, "inbox/bad.fcs", target, "accepted", "")
                plan_move(connection, record, move)
        closed = study.archive / "P01"
        closed.mkdir(parents=True)
        closed.chmod(0o555)
        passes(study, "the folder archive/P01 may not be written")
        closed.chmod(0o755)
        take_in(study)
        assert records(study)["bad.fcs"].state == "accepted"


def test_an_identity_mended_into_a_folder_that_may_not_be_written_is_mended_and_moved_later(
    anybody: Path,
) -> None:
    study = study_with_good(anybody / "s")
    take_in(study)
    closed = study.archive / "P01"
    closed.mkdir()
    closed.chmod(0o555)
    write_rows(study.folder, [f"good.fcs,P01,{DRAWN},bcell"])
    with another_account(anybody):
        passes(
            study, "good.fcs: The file cannot be moved: the folder archive/P01 may not be written"
        )
        with study.store() as store:
            (tube,) = taken_in(store)
        assert tube.identity.patient == "P01"
        assert study.path_of(tube.file.place or "").is_file()
        closed.chmod(0o755)
        assert take_in(study).sentences == ()
        assert (records(study)["good.fcs"].place or "").startswith("archive/P01/")


def test_a_folder_that_may_not_be_read_is_named_and_nothing_in_it_is_taken_for_gone(
    anybody: Path,
) -> None:
    study = study_with_good(anybody / "s")
    write_tube(study.inbox / "day 2" / "late.fcs", seed=2)
    with another_account(anybody):
        take_in(study)
        assert records(study)["day 2/late.fcs"].state == "waiting"
        (study.inbox / "day 2").chmod(0)
        passes(study, "The folder inbox/day 2 cannot be read (Permission denied)")
        assert "No line of samples.csv" in records(study)["day 2/late.fcs"].reason
        assert "inbox/day 2 cannot be read" in status_text(status_document(study, None))
        (study.inbox / "day 2").chmod(0o755)
        write_rows(study.folder, [*ROWS, f"day 2/late.fcs,P02,{DRAWN},bcell"])
        take_in(study)
        assert records(study)["day 2/late.fcs"].state == "accepted"


@pytest.mark.parametrize("mode", ["move", "leave"])
def test_a_file_that_may_not_be_read_is_tried_again(anybody: Path, mode: str) -> None:
    study = study_with_good(
        anybody / "s", f"study: t\nintake: {{settle_seconds: 0, mode: {mode}}}\n"
    )
    write_tube(study.inbox / "bad.fcs", seed=2).chmod(0)
    with another_account(anybody):
        passes(study, "bad.fcs: The file cannot be opened or moved (Permission denied)")
        (study.inbox / "bad.fcs").chmod(0o644)
        take_in(study)
        assert records(study)["bad.fcs"].state == "accepted"


def test_a_refused_file_that_cannot_be_taken_out_of_the_quarantine_stops_nothing(
    anybody: Path,
) -> None:
    study = study_with_good(anybody / "s")
    (study.inbox / "bad.fcs").write_text("no")
    with another_account(anybody):
        take_in(study)
        study.quarantine.chmod(0o555)
        (study.inbox / "bad.fcs").write_text("no")
        take_in(study)
        (study.quarantine / "bad.fcs").write_text("other")
        passes(study)
        assert "cannot be moved" in " ".join(take_in(study).sentences)


# -- sheets


@pytest.mark.parametrize("kind", ["closed", "folder", "pipe", "link"])
def test_a_dropped_sheet_that_cannot_be_read_is_named(anybody: Path, kind: str) -> None:
    study = study_with_good(anybody / "s")
    path = study.inbox / "more.csv"
    _put(path, kind, "file,patient,collected,panel\n", study)
    told = {
        "closed": "inbox/more.csv, line 1: The file cannot be opened (Permission denied)",
        "folder": "inbox/more.csv is a folder, although it is called as a file is",
        "pipe": "inbox/more.csv is a pipe, not a file: it is not read",
        "link": "inbox/more.csv is a link, not a file: it is not read",
    }
    with another_account(anybody):
        passes(study, told[kind])


@pytest.mark.parametrize("kind", ["closed", "folder", "pipe"])
@pytest.mark.parametrize("sheet", ["samples.csv", "patients.csv", "drugs.csv"])
def test_a_sheet_of_the_study_that_cannot_be_read_is_named_and_read_once_it_is_mended(
    anybody: Path, sheet: str, kind: str
) -> None:
    study = study_with_good(anybody / "s")
    path = study.folder / sheet
    text = path.read_text() if path.exists() else "patient,drug,start,stop\n"
    path.unlink(missing_ok=True)
    _put(path, kind, text, study)
    with another_account(anybody):
        said = (*take_in(study).sentences, *map(str, read_drugs(study.drugs_sheet)[1]))
        why = {"closed": "The file cannot be opened (Permission denied)"}
        why |= {"folder": "This is a folder, not a file", "pipe": "This is a pipe, not a file"}
        assert any(each.startswith(f"{sheet}, line 1: {why[kind]}") for each in said), said
        if sheet != "drugs.csv":
            assert records(study)["good.fcs"].state == "waiting"
        path.rmdir() if kind == "folder" else path.unlink()
        path.write_text(text)
        take_in(study)
        assert records(study)["good.fcs"].state == "accepted"


def _put(path: Path, kind: str, text: str, study: Study) -> None:
    """Put something at the place of a sheet."""
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(study.samples_sheet)
    else:
        path.write_text(text)
        path.chmod(0)


# -- what is no file


def _plant(study: Study, outside: Path) -> dict[str, str]:
    """Put into the inbox whatever is no regular file; gives the words that are said of each."""
    inbox = study.inbox
    write_tube(outside / "outside.fcs", seed=5)
    os.mkfifo(inbox / "pipe.fcs")
    (inbox / "zero.fcs").symlink_to("/dev/zero")
    (inbox / "out.fcs").symlink_to(outside / "outside.fcs")
    (inbox / "in.fcs").symlink_to("good.fcs")
    (inbox / "broken.fcs").symlink_to("nowhere")
    (inbox / "folder").symlink_to(outside)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(inbox / "socket.fcs"))
    told = dict.fromkeys(("zero.fcs", "out.fcs", "in.fcs", "broken.fcs", "folder"), "a link")
    told |= {"pipe.fcs": "a pipe", "socket.fcs": "a socket"}
    if os.geteuid() == 0:
        os.mknod(inbox / "device.fcs", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        told["device.fcs"] = "a device"
    return told


@pytest.mark.parametrize("mode", ["move", "leave"])
def test_only_regular_files_of_the_inbox_are_read(tmp_path: Path, mode: str) -> None:
    settings = f"study: t\nintake: {{settle_seconds: 0, mode: {mode}}}\n"
    study = study_with_good(tmp_path / "s", settings)
    told = _plant(study, tmp_path / "outside")
    passes(
        study,
        *(f"inbox/{name} is {kind}, not a file: it is not read" for name, kind in told.items()),
    )
    assert set(records(study)) == {"good.fcs"}
    assert (tmp_path / "outside" / "outside.fcs").is_file()
    assert "inbox/pipe.fcs is a pipe" in status_text(status_document(study, None))


@pytest.mark.parametrize("kind", ["pipe", "link"])
@pytest.mark.parametrize("mode", ["move", "leave"])
def test_a_known_file_that_becomes_something_else_is_not_opened(
    tmp_path: Path, mode: str, kind: str
) -> None:
    settings = f"study: t\nintake: {{settle_seconds: 0, mode: {mode}}}\n"
    study = study_with_good(tmp_path / "s", settings)
    path = write_tube(study.inbox / "bad.fcs", seed=2)
    with study.store() as store:
        scan_inbox(study, store)
        seen = list_inbox(study)
        path.unlink()
        os.mkfifo(path) if kind == "pipe" else path.symlink_to("good.fcs")
        (candidate,) = scan_inbox(study, store, seen)
    assert candidate.path.name == "good.fcs"
    passes(study, f"inbox/bad.fcs is a {kind}, not a file")
    assert records(study)["bad.fcs"].state == "settling"


def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        for follow in (True, False):
            with pytest.raises(NotRegular, match="it is a"):
                regular_sha256(tmp_path / name, follow=follow)


def test_a_pipe_in_the_place_of_a_marker_is_not_waited_for(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    take_in(study)
    marker = study.inbox / MARKER["inbox"]
    marker.unlink()
    os.mkfifo(marker)
    with ends_within(60):
        take_in(study)
    assert marker.is_file()


# -- what killed passes leave


def test_halves_of_killed_copies_are_removed_and_nothing_else(tmp_path: Path) -> None:
    study = study_with_good(tmp_path / "s")
    take_in(study)
    name = Path(records(study)["good.fcs"].place or "").name
    stale = [
        study.archive / "P02" / f".{name}.part",
        study.archive / "_duplicates" / f".{name[:12]}.89abcdef-2.fcs.part",
    ]
    stale += [
        study.quarantine / ".bad.fcs.part",
        study.quarantine / ".bad.fcs.reason.txt.0123abcd.part",
    ]
    foreign = [
        study.archive / "P02" / ".notes.part",
        study.archive / "P02" / "0123456789ab.fcs.part",
        study.inbox / ".x.fcs.part",
    ]
    for path in (*stale, *foreign):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    passes(study)
    assert [path for path in stale if path.exists()] == []
    assert all(path.exists() for path in foreign)


def test_the_half_of_a_move_that_goes_on_stays(anybody: Path) -> None:
    study = study_with_good(anybody / "s")
    take_in(study)
    record = records(study)["good.fcs"]
    target = f"archive/P01/{(record.sha256 or '')[:12]}.fcs"
    with study.store() as store, store.writing() as connection:
        plan_move(
            connection, record, PlannedMove(record.id, record.place or "", target, "accepted", "")
        )
    half = study.path_of(target).with_name(f".{Path(target).name}.part")
    half.parent.mkdir()
    half.write_bytes(b"half")
    half.parent.chmod(0o555)
    with another_account(anybody):
        passes(study)
        assert half.exists()
        half.parent.chmod(0o755)
        passes(study)
    assert [path.name for path in half.parent.iterdir()] == [Path(target).name]


def test_an_archived_file_that_was_changed_fails_instead_of_moving_to_another_patient(
    tmp_path: Path,
) -> None:
    study = study_with_good(tmp_path / "s")
    take_in(study)
    archived = study.path_of(records(study)["good.fcs"].place or "")
    whole = archived.read_bytes()
    archived.write_bytes(whole[:-1])
    write_rows(study.folder, [f"good.fcs,P01,{DRAWN},bcell"])
    take_in(study)
    record = records(study)["good.fcs"]
    assert record.state == "failed"
    assert "backup" in record.reason
    archived.write_bytes(whole)
    assert retry(study) == ("good.fcs",)
    passes(study)


def test_the_bytes_of_a_refused_file_that_changed_in_the_quarantine_are_judged_anew(
    tmp_path: Path,
) -> None:
    study = study_with_good(tmp_path / "s")
    (study.inbox / "bad.fcs").write_text("no")
    take_in(study)
    refused = study.quarantine / "bad.fcs"
    os.utime(refused)
    passes(study)
    assert records(study)["bad.fcs"].state == "quarantined"
    shutil.copyfile(write_tube(tmp_path / "x.fcs", seed=2), refused)
    whole = hashlib.sha256(refused.read_bytes()).hexdigest()
    take_in(study)
    record = records(study)["bad.fcs"]
    assert (record.state, record.sha256) == ("accepted", whole)
    assert list(study.quarantine.iterdir()) == []


# -- settings


@pytest.mark.parametrize("inner", FOLDERS)
@pytest.mark.parametrize("outer", FOLDERS)
def test_no_folder_of_a_study_lies_in_another(tmp_path: Path, inner: str, outer: str) -> None:
    if inner == outer:
        return
    for place in ("", "/inner"):
        (tmp_path / "study.yaml").write_text(f"study: s\n{outer}: data\n{inner}: data{place}\n")
        with pytest.raises(
            SettingsFault, match=r"study\.yaml, line [23]: \w+: .*a folder of its own"
        ):
            load_settings(tmp_path)
    (tmp_path / "study.yaml").write_text(f"study: s\n{outer}: data\n{inner}: data2\n")
    load_settings(tmp_path)


def test_a_folder_that_is_a_link_into_another_is_seen(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "quarantine").symlink_to("inbox")
    (tmp_path / "study.yaml").write_text("study: s\n")
    with pytest.raises(
        SettingsFault,
        match=r"quarantine.*is the same folder as inbox|inbox.*is the same folder as quarantine",
    ):
        load_settings(tmp_path)


def test_the_study_folder_cannot_be_its_own_inbox(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("study: s\ninbox: .\n")
    with pytest.raises(SettingsFault, match=r"line 2: inbox: archive .* lies in inbox"):
        load_settings(tmp_path)
