"""A decision holds for the numbers that the reviewer saw, a signature for the tables that were
signed; what changes them is told."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from panels.text.errors import UsageFault
from tasks.counting.counts import TubeCounts
from tasks.results.patient_inputs import tables_due
from tasks.results.rebuild import rebuild_tables
from tasks.results.reviewed import with_reviews
from tasks.review.audit_trail import read_trail
from tasks.review.deciding import decide
from tasks.review.overview import visits_by_urgency
from tasks.review.seen import rows_in
from tasks.review.sign_off import standing
from tasks.store.audit import entries
from tasks.store.editions import last_editions
from tasks.store.gatings import gatings_of, save_gating
from tasks.store.ledger import FileStat, add_file, all_files, set_state
from tasks.store.opening import Store, open_store
from tasks.store.reviews import reviews_of
from tasks.store.tubes import save_tube
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tasks.vocabulary.tube_identity import TubeIdentity
from tests.tasks.published_rows import at, kinetics
from tests.tasks.reviewed_study import P, accept, publish, signed
from tests.tasks.study_folder import make_study
from tests.tasks.test_patient_tables import build, give


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


@pytest.fixture
def study(url: str, tmp_path: Path) -> Study:
    return make_study(tmp_path / "s", settings=f"study: test\nstore: {url}\n")


def states(store: Store) -> dict[str, tuple[str, str]]:
    """Map each visit to its state and why it was reopened."""
    return {
        each.visit.visit: (each.visit.state, each.visit.reopened_because)
        for each in visits_by_urgency(store)
    }


def test_a_decision_holds_while_the_numbers_are_those_that_were_seen(
    study: Study, store: Store
) -> None:
    publish(store, at(28), at(56))
    accept(study)
    assert states(store) == {"D28": ("accepted", ""), "D56": ("", "")}
    publish(store, at(28), at(56, events=300), at(84))
    assert states(store)["D28"] == ("accepted", "")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"events": 213, "per_ul": 5.325}, "counted anew, with other counts"),
        ({"per_ul": 5.2}, "other results, dates or flags from the same counts"),
        ({"flags": "few_beads"}, "other results, dates or flags"),
        ({"used": "N"}, "other results, dates or flags"),
        ({"flags": "corrected", "events": 300}, "corrected, or a correction was taken back"),
        ({"day": 27.5}, "other results, dates or flags"),
        ({"strategy": "cart@2.0.0"}, "counted under cart@2.0.0 instead of cart@1.0.0"),
        ({"panel_sha256": "0" * 64}, "counted with another content of the panel"),
        (
            {"calibration": "cart/lyric@1.0.0", "calibration_sha256": "1" * 64},
            "counted with cart/lyric@1.0.0 instead of the strategy's own numbers",
        ),
    ],
)
def test_whatever_changes_the_numbers_reopens_a_visit_and_says_how(
    study: Study, store: Store, change: dict[str, Any], reason: str
) -> None:
    publish(store, at(28))
    accept(study)
    publish(store, at(28) | change)
    state, why = states(store)["D28"]
    assert state == ""
    assert reason in why
    accept(study)
    assert states(store)["D28"] == ("accepted", "")
    assert len(reviews_of(store)) == 2


def test_a_tube_that_comes_or_goes_to_another_visit_reopens_the_visit(
    study: Study, store: Store
) -> None:
    publish(store, at(28))
    accept(study)
    publish(store, at(28), at(28, tube_sha256="b" * 64, panel="tbnk"))
    assert states(store)["D28"] == ("", "tbnk bbbbbbbbbbbb: added")
    accept(study)
    publish(store, at(28), at(29, tube_sha256="b" * 64, panel="tbnk"))
    found = states(store)
    assert found["D28"] == ("", "tbnk bbbbbbbbbbbb: not of this visit any more")
    assert found["D29"] == ("", "")


def test_one_tube_and_the_whole_visit_replace_each_other(study: Study, store: Store) -> None:
    publish(store, at(28), at(28, tube_sha256="b" * 64, panel="tbnk"))
    take(store, "b" * 64, "clot.fcs")
    accept(study)
    decide(study, (P, "D28", "bbbbbb"), "repeat", by="B", comment="clot")
    assert states(store)["D28"] == ("mixed", "")
    accept(study)
    assert states(store)["D28"] == ("accepted", "")
    decide(study, (P, "D28", "clot.fcs"), "queried", by="B", comment="why?")
    publish(store, at(28, events=1), at(28, tube_sha256="b" * 64, panel="tbnk"))
    found = {tube: each.state for tube, each in visits_by_urgency(store)[0].visit.tubes.items()}
    assert found == {f"{128:064x}": "", "b" * 64: "queried"}


def test_a_tube_of_another_visit_is_none_of_this_one(study: Study, store: Store) -> None:
    publish(store, at(21, tube_sha256="c" * 64), at(28, tube_sha256="b" * 64))
    take(store, "b" * 64, "one.fcs")
    take(store, "c" * 64, "other.fcs")
    for named in ("other.fcs", "c" * 12):
        with pytest.raises(UsageFault, match=f"Those of {P} D28:\n  bbbbbbbbbbbb ") as refused:
            decide(study, (P, "D28", named), "accepted", by="A")
        assert "cccccccccccc" not in str(refused.value).replace(named, "")
    assert reviews_of(store) == []


def take(store: Store, sha256: str, name: str) -> None:
    """Take in a tube of the patient, of which nothing else is known."""
    identity = TubeIdentity(sha256, name, P, datetime.fromisoformat("2026-03-29"), "tbnk", "D28")
    with store.writing() as connection:
        add_file(connection, name, name, f"archive/{name}", FileStat(1, 1, 0.0, sha256))
    (file,) = (each for each in all_files(store) if each.sha256 == sha256)
    with store.writing() as connection:
        set_state(connection, file, "accepted", "")
        save_tube(connection, identity, {}, cytometer="BD FACSLyric", serial="R1")


def test_what_is_open_comes_first_and_worst_flags_before_others(study: Study, store: Store) -> None:
    publish(
        store,
        at(7),
        at(14, flags="anchor_itself"),
        at(21, flags="beads_incomplete"),
        at(28, flags="low_viability"),
    )
    accept(study, "D21")
    listed = [(each.visit.visit, each.severity) for each in visits_by_urgency(store)]
    assert listed == [("D28", "look"), ("D14", "know"), ("D7", ""), ("D21", "stop")]


@pytest.mark.parametrize(
    ("place", "options", "said"),
    [
        ((P, "D29", ""), {}, "has no visit 'D29'; did you mean 'D28'? Its visits: D28."),
        (("SLE-02", "D28", ""), {}, "no tables of a patient 'SLE-02'"),
        ((P, "D28", "x.fcs"), {}, f"No tube of {P} D28 came in as 'x.fcs'"),
        ((P, "D28", ""), {"by": ""}, "by is empty"),
        ((P, "D28", ""), {"by": "a\u202eb"}, "cannot be seen"),
        ((P, "D28", ""), {"by": "x" * 101}, "101 characters"),
        ((P, "D28", ""), {"comment": "a\nb"}, "comment holds"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_kept(
    study: Study, store: Store, place: tuple[str, str, str], options: dict[str, str], said: str
) -> None:
    publish(store, at(28))
    with pytest.raises(UsageFault) as refused:
        decide(study, place, "accepted", **({"by": "A"} | options))
    assert said.replace("has no visit 'D29';", "has no visit 'D29' in its tables;") in str(
        refused.value
    )
    assert reviews_of(store) == []
    assert entries(store) == []


@pytest.mark.parametrize("decision", ["queried", "repeat"])
def test_a_query_and_a_repeat_need_a_comment(study: Study, store: Store, decision: Any) -> None:
    publish(store, at(28))
    with pytest.raises(UsageFault, match="comment is empty"):
        decide(study, (P, "D28", ""), decision, by="A", comment="  ")
    decide(study, (P, "D28", ""), decision, by="A", comment="clot")
    assert states(store)["D28"] == (decision, "")


@pytest.mark.parametrize("decision", ["queried", "repeat"])
def test_a_question_stands_until_it_is_answered_whatever_the_numbers_become(
    study: Study, store: Store, decision: Any
) -> None:
    publish(store, at(28), at(56))
    decide(study, (P, "D28", ""), decision, by="A", comment="gate too low?")
    publish(store, at(28, events=300), at(56))
    (visit, _) = (each.visit for each in visits_by_urgency(store))
    assert (visit.state, visit.reopened_because) == (decision, "")
    assert "counted anew, with other counts" in visit.changed_since
    with pytest.raises(UsageFault, match=r"D28 is .*says A \(gate too low\?\)"):
        signed(study, "reviewed")
    accept(study)
    assert visits_by_urgency(store, P)[-1].visit.changed_since == ""
    publish(store, at(28, events=301), at(56))
    assert states(store)["D28"][0] == ""
    signed(study, "reviewed")


def test_a_question_goes_with_its_tube_to_another_visit(study: Study, store: Store) -> None:
    tube = "b" * 64
    publish(store, at(28, tube_sha256=tube))
    decide(study, (P, "D28", ""), "queried", by="A", comment="whose tube?")
    publish(store, at(29, tube_sha256=tube), at(28))
    assert {visit: state for visit, (state, _) in states(store).items()} == {
        "D28": "queried",
        "D29": "queried",
    }
    accept(study, "D29")
    accept(study, "D28")
    assert {state for state, _ in states(store).values()} == {"accepted"}


def test_two_who_decide_at_once_are_both_kept(study: Study, store: Store) -> None:
    publish(store, at(28))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: accept(study, by=name), "ABCD"))
    assert sorted(each.reviewer for each in reviews_of(store)) == list("ABCD")
    assert read_trail(study, store).verified


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE reviews SET reviewer = 'B'", f"The decision on {P} D28 was altered in the store."),
        ("DELETE FROM reviews", f"Entry 1 (accepted {P} D28) tells of a row that is not"),
        ("UPDATE signatures SET state = 'released'", f"The signature under {P} was altered"),
        ("DELETE FROM signatures", f"Entry 2 (signed as reviewed {P}) tells of a row"),
        ("DELETE FROM audit WHERE id = 2", f"The signature under {P} has no entry in the log"),
    ],
)
def test_a_decision_or_signature_changed_by_hand_is_named_and_counts_no_more(
    study: Study, store: Store, statement: str, fault: str
) -> None:
    publish(store, at(28))
    accept(study)
    signed(study, "reviewed")
    with store.writing() as connection:
        connection.execute(text(statement))
    assert any(each.startswith(fault) for each in read_trail(study, store).sentences)
    if "reviews" in statement:
        assert states(store)["D28"] == ("", "")
    if "signatures" in statement:
        assert standing(store, P).state == "draft"


# With real tables, made of counted tubes.


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = make_study(tmp_path_factory.mktemp("reviewed") / "s")
    give(made, "P01", 1)
    build(made)
    return made


def test_a_decision_is_in_the_tables_at_once_and_gone_when_the_tube_is_counted_anew(
    counted: Study,
) -> None:
    assert not rebuild_tables(counted, "P01")
    decide(counted, ("P01", "M1", "P01_1.fcs"), "accepted", by="A")
    (due,) = tables_due(read_snapshot(counted)).patients
    assert [each.decision for each in due.decisions] == ["accepted"]
    assert rebuild_tables(counted, "P01")
    assert tables_due(read_snapshot(counted)).patients == []
    with counted.store() as store:
        assert [each.visit.state for each in visits_by_urgency(store)] == ["accepted"]
        assert {row["review"] for row in rows_in(last_editions(store)["P01"].kinetics)} == {
            "accepted"
        }
        sha256 = next(iter(visits_by_urgency(store)[0].visit.tubes))
        (gating,) = gatings_of(store, sha256)
        more = tuple(
            replace(each, events=each.events + 1) if each.population == "b_cells" else each
            for each in gating.counts
        )
        save_gating(store, replace(gating, engine_version="later", counts=more))
    assert rebuild_tables(counted, "P01")
    with counted.store() as store:
        (visit,) = visits_by_urgency(store)
        assert visit.visit.state == ""
        assert "counted anew, with other counts" in visit.visit.reopened_because
        accepted, restated = entries(store)
        assert (accepted.action, restated.action) == ("accepted", "restated")
        assert "the tube was counted anew" in restated.details
        assert "review" not in restated.details
        assert {row["review"] for row in rows_in(last_editions(store)["P01"].kinetics)} == {""}


def test_an_excluded_tube_stays_so_and_others_get_the_decision_that_holds(
    study: Study, store: Store
) -> None:
    publish(store, at(28), at(56), at(84))
    for visit in ("D28", "D56", "D84"):
        accept(study, visit)
    frame = kinetics(at(28), at(56, events=9), at(84))
    drawn = datetime(2026, 3, 1, tzinfo=UTC)
    tubes = [
        TubeCounts(TubeIdentity(f"{day + 100:064x}", "a", P, drawn, "cart", f"D{day}"), "", "", {})
        for day in (28, 56, 84)
    ]
    tubes[2] = replace(tubes[2], review="excluded")
    rows, reviewed = with_reviews(frame, tubes, reviews_of(store, P))
    assert [each.review for each in reviewed] == ["accepted", "", "excluded"]
    assert list(rows["review"]) == ["accepted", "", "excluded"]
    assert with_reviews(frame, tubes, [])[1] == tubes
