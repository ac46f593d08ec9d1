"""A study keeps the versions that counted it until others are promoted, and a promotion is whole or
is finished later."""

import csv
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import delete

from flows.commands.pass_summary import pass_text
from flows.commands.status import status_document, status_text
from gating.strategy.catalogue import shipped
from panels.text.errors import SettingsFault, UsageFault
from tasks.concordance.compare import agreement
from tasks.concordance.page import write_concordance
from tasks.concordance.promotion import promote
from tasks.concordance.recount import comparison, measure_references
from tasks.results.patient_inputs import tables_due
from tasks.steps.one_pass import one_pass
from tasks.store import lease
from tasks.store.counted_with import remember_strategies
from tasks.store.promotions import pin_changes_of, promotions_of
from tasks.store.schema.results import counted_with, editions
from tasks.strategies.in_use import read_snapshot, strategies_in_use
from tasks.strategies.release import lock_release
from tasks.strategies.standing import strategy_standing
from tasks.study.folder import Study, open_study
from tasks.study.lock import is_running, study_lock
from tasks.study.settings import SHIPPED_STRATEGIES
from tests.flows.command import wait_until
from tests.tasks.plain_pass import recount_all, take_in_count_and_build
from tests.tasks.study_folder import DRAWN, make_study, write_tube

pytestmark = pytest.mark.xdist_group("versions")

OLD, NEW = "cart@2.0.0", SHIPPED_STRATEGIES["cart"]


def a_pass(study: Study) -> tuple[int, str]:
    """Make one pass without Prefect; gives how many tubes were counted and what the pass says."""
    with one_pass(study.folder, "nightly") as this:
        take_in_count_and_build(this)
    assert not tables_due(read_snapshot(this.study)).patients
    return this.summary["counted"], pass_text(this.summary)


def regated(study: Study) -> None:
    compared = comparison(read_snapshot(study), NEW)
    faults = measure_references(read_snapshot(study), compared)
    recount_all(study, compared)
    write_concordance(study, compared, agreement(read_snapshot(study), compared), faults)


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a study that pins nothing, counted when the program shipped an older version, and
    compared since."""
    study = make_study(tmp_path_factory.mktemp("versions") / "s", [f"a.fcs,P01,{DRAWN},cart"])
    write_tube(study.inbox / "a.fcs", "cart")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SHIPPED_STRATEGIES, "cart", OLD)
        assert a_pass(open_study(study.folder))[0] == 1
    regated(open_study(study.folder))
    return study.folder


@pytest.fixture
def study(counted: Path, tmp_path: Path) -> Study:
    shutil.copytree(counted, tmp_path / "s")
    return open_study(tmp_path / "s")


def strategies_in_tables(study: Study) -> set[str]:
    with (study.results / "patients" / "P01" / "kinetics.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        return {row["strategy"] for row in csv.DictReader(file)}


def pin_of(study: Study) -> str | None:
    opened = open_study(study.folder)
    return opened.settings.strategies["cart"] if "cart" in opened.settings.pinned else None


def test_a_newer_shipped_version_counts_only_after_it_was_promoted(study: Study) -> None:
    assert strategies_in_use(study)["cart"].name == OLD
    number, said = a_pass(study)
    assert (number, strategies_in_tables(study)) == (0, {OLD})
    for told in (said, status_text(status_document(study, None))):
        assert f"a newer version is shipped, {NEW}" in told
        assert f"reconflow strategy promote {NEW} --approved-by NAME --reason TEXT" in told
    promote(study, NEW, "J. Doe", "better borders")
    promoted = open_study(study.folder)
    assert promoted.settings.strategies == SHIPPED_STRATEGIES
    assert promoted.settings.pinned == set(SHIPPED_STRATEGIES)
    number, said = a_pass(promoted)
    assert (number, strategies_in_tables(study)) == (1, {NEW})
    assert "newer version" not in said


@pytest.mark.parametrize("forgotten", [(counted_with,), (counted_with, editions)])
def test_a_store_that_does_not_remember_tells_by_its_tables_or_its_first_count(
    study: Study, forgotten: tuple
) -> None:
    with study.store() as store, store.writing() as connection:
        for table in forgotten:
            connection.execute(delete(table))
    assert strategies_in_use(study)["cart"].name == OLD
    a_pass(study)
    assert strategies_in_tables(study) == {OLD}
    with study.store() as store, store.reading() as connection:
        assert [(row.panel, row.strategy) for row in connection.execute(counted_with.select())] == [
            ("cart", OLD)
        ]


def test_a_pin_taken_out_of_the_settings_moves_nothing(study: Study) -> None:
    settings = study.folder / "study.yaml"
    plain = settings.read_text(encoding="utf-8")
    settings.write_text(f"{plain}strategies: {{cart: cart@1.0.0}}\n", encoding="utf-8")
    assert a_pass(open_study(study.folder))[0] == 1
    settings.write_text(plain, encoding="utf-8")
    assert strategies_in_use(open_study(study.folder))["cart"].name == "cart@1.0.0"
    assert a_pass(open_study(study.folder))[0] == 0


def test_a_panel_that_was_never_counted_gets_what_is_shipped_now(study: Study) -> None:
    assert {
        panel: used.name for panel, used in strategies_in_use(study).items() if panel != "cart"
    } == {panel: pin for panel, pin in SHIPPED_STRATEGIES.items() if panel != "cart"}


def test_a_pin_that_leaves_the_version_open_moves_with_no_release(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", settings="study: t\nstrategies: {bcell: bcell@2}\n")
    place = study.own_strategies / "bcell" / "2.0.1" / "strategy.yaml"
    place.parent.mkdir(parents=True)
    text = (shipped() / "bcell" / "2.0.0" / "strategy.yaml").read_text(encoding="utf-8")
    place.write_text(text.replace("version: 2.0.0", "version: 2.0.1"), encoding="utf-8")
    lock_release(study.own_strategies, "bcell", "2.0.1")
    assert strategies_in_use(study)["bcell"].name == "bcell@2.0.1"
    with study.store() as store:
        remember_strategies(store, {"bcell": "bcell@2.0.0"})
    assert strategies_in_use(study)["bcell"].name == "bcell@2.0.0"
    with study.store() as store:
        remember_strategies(store, {"bcell": "bcell@1.0.0"})
    assert strategies_in_use(study)["bcell"].name == "bcell@2.0.1"


# promotion


KILLED = """
import os, sys
from pathlib import Path
from tasks.concordance.promotion import promote
from tasks.study.folder import open_study

whole = Path.replace
def cut(path, target):
    if Path(target).name == "study.yaml":
        if sys.argv[2] == "after":
            whole(path, target)
        os._exit(9)
    return whole(path, target)
Path.replace = cut
promote(open_study(Path(sys.argv[1])), sys.argv[3], "J. Doe", "better borders")
"""
PROMOTED = KILLED.replace("Path.replace = cut", "")


def python(script: str, *words: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)], stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_promotion_that_was_killed_is_finished_by_the_next_pass(
    study: Study, moment: str
) -> None:
    process = python(KILLED, study.folder, moment, NEW)
    process.communicate(timeout=300)
    assert process.returncode == 9
    assert pin_of(study) == (None if moment == "before" else NEW)
    with study.store() as store:
        (kept,) = promotions_of(store)
        assert (kept.from_strategy, kept.to_strategy) == (OLD, NEW)
        assert "interrupted" in next(
            each.description
            for each in strategy_standing(read_snapshot(open_study(study.folder)), store)
            if each.panel == "cart"
        )
    assert a_pass(open_study(study.folder))[0] == 1
    assert pin_of(study) == NEW
    assert strategies_in_tables(study) == {NEW}
    with study.store() as store:
        assert (len(promotions_of(store)), pin_changes_of(store)) == (1, {})
        told = next(
            each.description
            for each in strategy_standing(read_snapshot(open_study(study.folder)), store)
            if each.panel == "cart"
        )
    assert told.startswith("promoted ")


def test_a_pin_written_by_hand_after_a_killed_promotion_stays(study: Study) -> None:
    python(KILLED, study.folder, "before", NEW).communicate(timeout=300)
    with (study.folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write("strategies: {cart: cart@1.0.0}\n")
    a_pass(open_study(study.folder))
    assert pin_of(study) == "cart@1.0.0"
    with study.store() as store:
        assert pin_changes_of(store) == {}


def test_of_two_promotions_at_once_one_is_made(study: Study) -> None:
    processes = [python(PROMOTED, study.folder, "whole", NEW) for _ in range(2)]
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 1]
    assert sum("is the version in use" in each for each in said) == 1
    assert pin_of(study) == NEW
    with study.store() as store:
        assert len(promotions_of(store)) == 1


def test_a_promotion_waits_for_the_pass_under_way(
    study: Study, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "ANNOUNCED_AFTER_SECONDS", 0.0)
    said: list[str] = []

    def waits() -> bool:
        said.append(capfd.readouterr().err)
        return "this one waits for its end" in "".join(said)

    thread = threading.Thread(target=promote, args=(study, NEW, "J. Doe", "better borders"))
    with study_lock(study):
        thread.start()
        wait_until(waits, 60, "the promotion does not wait")
        assert is_running(study)
        assert pin_of(study) is None
    thread.join(timeout=120)
    assert pin_of(study) == NEW
    assert not is_running(study)


def test_settings_that_cannot_be_edited_leave_nothing_half_promoted(study: Study) -> None:
    with (study.folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write(f"strategies: {{cart: {OLD}}}\n")
    with pytest.raises(SettingsFault, match="by hand"):
        promote(open_study(study.folder), NEW, "J. Doe", "better borders")
    with study.store() as store:
        assert (promotions_of(store), pin_changes_of(store)) == ([], {})
    with pytest.raises(UsageFault, match="who approved it"):
        promote(open_study(study.folder), NEW, "", "")
