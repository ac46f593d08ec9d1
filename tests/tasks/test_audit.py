"""The log keeps one chain, whoever writes at once, and names the first entry that is not as it was
written."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from panels.text.errors import UsageFault
from tasks.store.audit import AuditEntry, add_entry, entries, noted_head
from tasks.store.opening import Store, open_store
from tasks.vocabulary.person import explanation, is_same_person, person


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


def append(store: Store, *subjects: str) -> None:
    for subject in subjects:
        with store.writing() as connection:
            add_entry(connection, AuditEntry("R. Example", "accepted", subject, {"n": 1}))


def fail_after_appending(store: Store) -> None:
    with store.writing() as connection:
        add_entry(connection, AuditEntry("R. Example", "accepted", "P01 D14", {}))
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
    assert person("--by", "  A. Meyer ") == "A. Meyer"
    for refused in ("", "  ", "x" * 101, "a\nb", "a\u202eb", "\x1b[2J"):
        with pytest.raises(UsageFault, match="--by"):
            person("--by", refused)
    assert explanation("--reason", "x" * 2000) == "x" * 2000
    with pytest.raises(UsageFault, match="at most 2,000"):
        explanation("--reason", "x" * 2001)


def test_one_person_is_known_under_other_capitals_and_blanks() -> None:
    assert is_same_person("A.  Meyer", " a. meyer")
    assert is_same_person("Mu\u0308ller", "MÜLLER")
    assert not is_same_person("A. Meyer", "B. Meyer")
