"""The log keeps one chain, whoever writes at once, and names the first entry that is not as it was
written."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from panels.text.errors import UsageFault
from tasks.review.audit_trail import HEADS, keep_head, kept_heads, read_trail
from tasks.review.releases import note_found_releases, note_release
from tasks.steps.one_pass import one_pass
from tasks.store.audit import (
    HEAD,
    AuditEntry,
    Head,
    KeptEntry,
    add_entry,
    entries,
    entry_sha256,
    noted_head,
)
from tasks.store.audit_chain import first_break
from tasks.store.notes import recall, remember
from tasks.store.opening import Store, open_store
from tasks.store.promotions import Promotion, begin_promotion
from tasks.study.folder import Study, open_study
from tasks.vocabulary.person import explanation, is_same_person, person
from tests.tasks.study_folder import make_study


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


def append(store: Store, *subjects: str) -> None:
    for subject in subjects:
        with store.writing() as connection:
            add_entry(connection, AuditEntry("R. Example", "promoted", subject, {"n": 1}))


def fail_after_appending(store: Store) -> None:
    with store.writing() as connection:
        add_entry(connection, AuditEntry("R. Example", "promoted", "P01 D14", {}))
        raise ZeroDivisionError


def test_entries_are_numbered_and_each_follows_the_one_before(store: Store) -> None:
    append(store, "P01 D7", "P01 D14", "P01 D28")
    kept = entries(store)
    assert [each.number for each in kept] == [1, 2, 3]
    assert [each.previous for each in kept] == ["", kept[0].sha256, kept[1].sha256]
    assert all(each.sha256 == each.expected for each in kept)
    head = noted_head(store)
    assert head is not None
    assert (head.number, head.sha256) == (3, kept[2].sha256)


def test_a_change_that_is_taken_back_leaves_no_entry_and_no_gap(store: Store) -> None:
    append(store, "P01 D7")
    with pytest.raises(ZeroDivisionError):
        fail_after_appending(store)
    append(store, "P01 D28")
    assert [(each.number, each.subject) for each in entries(store)] == [
        (1, "P01 D7"),
        (2, "P01 D28"),
    ]


def test_many_who_append_at_once_make_one_chain(url: str) -> None:
    open_store(url).close()

    def writer(name: str) -> None:
        with open_store(url) as store:
            append(store, *(f"{name} {number}" for number in range(10)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(writer, "abcd"))
    with open_store(url) as store:
        kept = entries(store)
    assert [each.number for each in kept] == list(range(1, 41))
    assert [each.previous for each in kept[1:]] == [each.sha256 for each in kept[:-1]]
    assert len({each.subject for each in kept}) == 40


def test_hostile_texts_are_kept_in_letters_that_can_be_seen(store: Store) -> None:
    nasty = "\x00\x1b[2J\u202e\ud800</script>=cmd|' /C calc'!A0\n"
    with store.writing() as connection:
        add_entry(connection, AuditEntry(nasty, "accepted", nasty, {nasty: nasty}))
    (kept,) = entries(store)
    assert kept.actor.isprintable()
    assert kept.subject == kept.actor
    assert kept.details.isascii()
    assert kept.details.isprintable()
    assert json.loads(kept.details) == {nasty: nasty}
    assert kept.sha256 == kept.expected


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_other_programs_compute_the_same_hash(store: Store) -> None:
    with store.writing() as connection:
        add_entry(connection, AuditEntry('Ö. Müller-Ñ "q" \\', "accepted", "µ", {"é": 0.1}))
    (kept,) = entries(store)
    row = (kept.number, kept.at, kept.actor, kept.action, kept.subject, kept.details, kept.previous)
    written = subprocess.run(
        ["jq", "-cj", "."], input=json.dumps(row), capture_output=True, text=True, check=True
    )
    summed = subprocess.run(
        ["sha256sum"], input=written.stdout, capture_output=True, text=True, check=True
    )
    assert summed.stdout.split()[0] == kept.sha256


def test_a_name_is_one_line_of_at_most_100_letters() -> None:
    assert person("by", "  A. Meyer ") == "A. Meyer"
    for refused in ("", "  ", "x" * 101, "a\nb", "a\u202eb", "\x1b[2J"):
        with pytest.raises(UsageFault, match="by "):
            person("by", refused)
    assert explanation("reason", "x" * 2000) == "x" * 2000
    with pytest.raises(UsageFault, match="at most 2,000"):
        explanation("reason", "x" * 2001)


def test_one_person_is_known_under_other_capitals_and_blanks() -> None:
    assert is_same_person("A.  Meyer", " a. meyer")
    assert is_same_person("A Meyer", "A. Meyer")
    assert is_same_person("A.B.Meyer", "A. B. Meyer")
    assert is_same_person("Mu\u0308ller", "MÜLLER")
    assert not is_same_person("A. Meyer", "B. Meyer")


def chain(length: int) -> list[KeptEntry]:
    kept: list[KeptEntry] = []
    for number in range(1, length + 1):
        previous = kept[-1].sha256 if kept else ""
        texts = (f"2026-11-{number:02d}", "A", "promoted", "bcell", "{}", previous)
        kept.append(KeptEntry(number, *texts, entry_sha256(number, texts)))
    return kept


@given(length=st.integers(1, 12), data=st.data())
def test_whatever_one_hand_does_to_a_chain_is_found_at_its_place(
    length: int, data: st.DataObject
) -> None:
    kept = chain(length)
    noted = Head(length, kept[-1].sha256)
    assert first_break(kept, noted) is None
    place = data.draw(st.integers(0, length - 1))
    entry = kept[place]
    deed = data.draw(st.sampled_from(["alter", "alter and hash", "delete", "exchange", "cut"]))
    if deed == "delete":
        kept.pop(place)
    elif deed == "cut":
        del kept[place:]
    elif deed == "exchange" and length > 1:
        other = (place + 1) % length
        kept[place] = replace(kept[other], number=entry.number)
    else:
        name = data.draw(st.sampled_from(["at", "actor", "action", "subject", "details"]))
        kept[place] = replace(entry, **{name: "other"})
        if deed == "alter and hash":
            kept[place] = replace(kept[place], sha256=kept[place].expected)
    found = first_break(kept, noted)
    assert found is not None
    assert found.number == place + 1


@pytest.fixture
def study(url: str, tmp_path: Path) -> Study:
    """A study whose store is the one at the address."""
    return make_study(tmp_path / "s", settings=f"study: test\nstore: {url}\n")


def change(store: Store, statement: str, **values: object) -> None:
    """Do with the database what somebody does who has it in hand."""
    with store.writing() as connection:
        connection.execute(text(statement), values)


def broken(study: Study) -> tuple[int, str]:
    with study.store() as store:
        trail = read_trail(study, store)
    assert trail.broken is not None
    assert not trail.verified
    return trail.broken.number, trail.broken.how


def test_a_log_as_it_was_written_is_verified(study: Study, store: Store) -> None:
    assert read_trail(study, store).verified
    append(store, *"abcde")
    assert read_trail(study, store).verified


@pytest.mark.parametrize("column", ["at", "actor", "action", "subject", "details"])
def test_an_entry_altered_by_hand_is_named(study: Study, store: Store, column: str) -> None:
    append(store, *"abcde")
    change(store, f"UPDATE audit SET {column} = 'other' WHERE id = 3")
    assert broken(study) == (3, "Entry 3 was altered: what it says now does not give its hash.")


def test_an_entry_taken_out_is_named(study: Study, store: Store) -> None:
    append(store, *"abcde")
    change(store, "DELETE FROM audit WHERE id = 3")
    assert broken(study) == (3, "Entry 3 is missing: entry 4 comes right after entry 2.")
    change(store, "DELETE FROM audit WHERE id <= 2")
    assert broken(study)[1].startswith("Entries 1 to 3 are missing")


def test_entries_cut_at_the_end_are_named(study: Study, store: Store) -> None:
    append(store, *"abcde")
    change(store, "DELETE FROM audit WHERE id >= 4")
    assert broken(study) == (4, "Entries 4 to 5 are missing: the log was cut at its end.")
    append(store, "later")
    assert broken(study) == (4, "Entries 4 to 5 are missing: entry 6 comes right after entry 3.")


def test_a_cut_end_is_known_from_outside_when_the_store_was_made_to_agree(
    study: Study, store: Store
) -> None:
    append(store, *"abcde")
    assert keep_head(study, store) == ()
    kept = entries(store)
    change(store, "DELETE FROM audit WHERE id >= 4")
    remember(store, HEAD, f"3 {kept[2].sha256}")
    assert broken(study)[0] == 4
    append(store, "d", "e", "f")
    number, how = broken(study)
    assert number == 5
    assert how.startswith("Entry 5 was written anew: its hash was noted as")


def test_an_entry_written_anew_with_a_fitting_hash_is_named(study: Study, store: Store) -> None:
    append(store, *"abcde")
    third = entries(store)[2]
    forged = (third.at, "B. Other", third.action, third.subject, third.details, third.previous)
    change(
        store,
        "UPDATE audit SET actor = 'B. Other', sha256 = :sha256 WHERE id = 3",
        sha256=entry_sha256(3, forged),
    )
    assert broken(study) == (3, "Entry 3 was written anew: entry 4 was made after another one.")


def test_a_whole_chain_written_anew_is_known_by_the_head_kept_outside(
    study: Study, store: Store
) -> None:
    append(store, *"abc")
    keep_head(study, store)
    change(store, "DELETE FROM audit")
    change(store, "DELETE FROM notes")
    append(store, *"abcd")
    assert broken(study)[0] == 3
    (study.results / HEADS).unlink()
    with study.store() as again:
        assert read_trail(study, again).verified  # what no chain can show by itself


def test_an_entry_put_in_by_hand_is_named(study: Study, store: Store) -> None:
    append(store, *"abc")
    last = entries(store)[-1]
    texts = (last.at, "nobody", "accepted", "P01 D7", "{}", last.sha256)
    change(
        store,
        "INSERT INTO audit VALUES (4, :at, :actor, :action, :subject, :details, :previous, :sha)",
        **dict(
            zip(("at", "actor", "action", "subject", "details", "previous"), texts, strict=True)
        ),
        sha=entry_sha256(4, texts),
    )
    assert broken(study) == (4, "Entry 4 was added by another hand: the store noted 3 entries.")


def test_the_head_is_kept_when_the_log_grew_and_not_when_it_is_broken(
    study: Study, store: Store
) -> None:
    assert keep_head(study, store) == ()
    assert not (study.results / HEADS).exists()
    append(store, "a")
    for _ in range(2):
        assert keep_head(study, store) == ()
    append(store, "b")
    keep_head(study, store)
    lines = (study.results / HEADS).read_text(encoding="utf-8").splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["1", "2"]
    append(store, "c")
    change(store, "UPDATE audit SET actor = 'x' WHERE id = 1")
    (sentence,) = keep_head(study, store)
    assert "Entry 1 was altered" in sentence
    assert "`reconflow audit`" in sentence
    assert (study.results / HEADS).read_text(encoding="utf-8").splitlines() == lines


@pytest.mark.parametrize("damage", ["no hash\n", "2026 x y\n", "\udcff\n"])
def test_a_damaged_file_of_heads_is_named_with_its_line(
    study: Study, store: Store, damage: str
) -> None:
    append(store, "a")
    keep_head(study, store)
    with (study.results / HEADS).open("a", encoding="utf-8", errors="surrogateescape") as file:
        file.write(damage)
    trail = read_trail(study, store)
    assert not trail.verified
    assert trail.faults[0].startswith(f"{HEADS}: line 3 is not a time")


def _appends_until_killed(url: str) -> None:
    with open_store(url) as store, store.writing() as connection:
        add_entry(connection, AuditEntry("R. Example", "promoted", "half", {}))
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_killed_before_its_change_is_kept_leaves_nothing(
    study: Study, store: Store, url: str
) -> None:
    append(store, "a")
    process = multiprocessing.get_context("fork").Process(target=_appends_until_killed, args=(url,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    append(store, "b")
    assert [each.subject for each in entries(store)] == ["a", "b"]
    assert read_trail(study, store).verified
    assert recall(store, HEAD) is not None


def test_a_release_is_told_once_by_its_command_or_by_the_next_run(
    study: Study, store: Store
) -> None:
    study.own_panels.mkdir()
    lock = "mine@1.0.0 " + "a" * 64 + "\n"
    (study.own_panels / "LOCK").write_text(lock, encoding="utf-8")
    note_release(study.folder, "panel", "mine@1.0.0", "a" * 64, by="A. Meyer", reason="new lot")
    note_found_releases(study, store)
    (told,) = entries(store)
    assert (told.actor, told.action, told.subject) == ("A. Meyer", "released", "panel mine@1.0.0")
    assert json.loads(told.details) == {"sha256": "a" * 64, "reason": "new lot"}
    (study.own_panels / "LOCK").write_text(lock + "mine@1.1.0 " + "b" * 64 + "\n", "utf-8")
    for _ in range(2):
        note_found_releases(study, store)
    assert [each.actor for each in entries(store)] == ["A. Meyer", "unknown"]


def test_a_release_whose_store_cannot_be_used_is_done_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(tmp_path / "s")
    (study.folder / "reconflow.db").write_bytes(b"no database" * 100)
    note_release(study.folder, "panel", "mine@1.0.0", "a" * 64)
    assert "mine@1.0.0 is released, but the log could not be told" in capsys.readouterr().err
    note_release(tmp_path, "panel", "mine@1.0.0", "a" * 64)
    assert open_study(study.folder).folder == study.folder


def test_a_pass_tells_of_a_broken_log_and_keeps_the_head_of_a_whole_one(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    with study.store() as store:
        append(store, "a", "b")
    with one_pass(study.folder, "run") as this:
        pass
    assert not any("log of decisions" in each for each in this.summary["sentences"])
    assert [head.number for head in kept_heads(study)] == [2]
    with study.store() as store:
        change(store, "UPDATE audit SET actor = 'x' WHERE id = 2")
    with one_pass(study.folder, "run") as this:
        pass
    (told,) = [each for each in this.summary["sentences"] if "log of decisions" in each]
    assert "Entry 2 was altered" in told


def test_a_promotion_is_told_with_its_reason(study: Study, store: Store) -> None:
    promotion = Promotion("bcell", "bcell@1.0.0", "bcell@2.0.0", "A. Meyer", "new lot", "c" * 64)
    begin_promotion(store, promotion)
    (told,) = entries(store)
    assert (told.actor, told.action, told.subject) == ("A. Meyer", "promoted", "bcell")
    assert json.loads(told.details)["reason"] == "new lot"
    assert read_trail(study, store).verified
