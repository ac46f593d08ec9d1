"""A wrong setting is named with its file, line and key, and what was expected."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from panels.text.errors import SettingsFault
from tasks.sheets.filename_pattern import compile_pattern
from tasks.store.promotions import PinChange
from tasks.strategies.pins import changed_settings, write_pin
from tasks.study.folder import open_study
from tasks.study.settings import SHIPPED_STRATEGIES, StudySettings, load_settings
from tasks.study.starter import TEMPLATE, init_study


def settings(folder: Path, text: str) -> StudySettings:
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    return load_settings(folder)


def fault(folder: Path, text: str) -> str:
    with pytest.raises(SettingsFault) as caught:
        settings(folder, text)
    return str(caught.value)


def test_a_name_is_all_a_study_needs(tmp_path: Path) -> None:
    found = settings(tmp_path, "study: lupus\n")
    assert found.intake.mode == "move"
    assert found.intake.settle_seconds == 2
    assert found.limits.detect_events == 20
    assert found.limits.quantify_events == 50
    assert found.nightly.time_zone == "UTC"
    assert found.nightly.cron == "0 2 * * *"
    assert found.strategies == SHIPPED_STRATEGIES
    assert found.store == "sqlite:///reconflow.db"
    assert found.workers >= 1


def test_one_pinned_strategy_leaves_the_others_as_shipped(tmp_path: Path) -> None:
    assert settings(
        tmp_path, "study: s\nstrategies: {bcell: bcell@1.1.0}\n"
    ).strategies == SHIPPED_STRATEGIES | {"bcell": "bcell@1.1.0"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("study: s\nworker: 2\n", ["line 2", "'worker'", "'workers'"]),
        (
            "study: s\nintake:\n  mode: move\n  settle_secs: 2\n",
            ["line 4", "'intake.settle_secs'", "'settle_seconds'"],
        ),
        (
            "study: s\nlimits: {detect_event: 2}\n",
            ["line 2", "'limits.detect_event'", "'detect_events'"],
        ),
        ("study: s\nzzz: 2\n", ["'zzz'", "known are: study, start"]),
        ("study: s\nup: {port: 70000}\n", ["line 2", "up.port", "65535"]),
        ("study: s\nup: {port: 1, review_port: 1}\n", ["line 2", "up", "two are needed"]),
        (
            "study: s\nintake: {mode: copy}\n",
            ["line 2", "intake.mode", "'move' or 'leave'", "'copy'"],
        ),
        ("study: s\nworkers: 0\n", ["line 2", "workers", "greater than or equal to 1"]),
        ("study: s\nstart: yesterday\n", ["line 2", "start", "date"]),
        ("study: s\nstrategies: {bcell: newest}\n", ["strategies.bcell", "bcell@1.0.0"]),
        ("study: s\nnightly: {time_zone: Europe/Berlim}\n", ["nightly.time_zone", "Europe/Berlin"]),
        ("study: s\nnightly: {cron: daily}\n", ["nightly.cron", "0 2 * * *"]),
        (
            "study: s\nintake: {filename_pattern: '{pateint}_{visit}'}\n",
            ["intake.filename_pattern", "'pateint'", "'patient'"],
        ),
        (
            "study: s\nintake: {filename_pattern: '(?P<patient>'}\n",
            ["intake.filename_pattern", "cannot be read|pattern"],
        ),
        ("study: s\nintake: {keywords: {patent: $SRC}}\n", ["intake.keywords", "'patient'"]),
        (
            "study: s\nlimits: {detect_events: 60}\n",
            ["limits", "quantify_events must not be below detect_events"],
        ),
        ("study: s\nexplore: {compartments: b_cells}\n", ["compartments: a list", "'b_cells'"]),
        ("study: s\nexplore: {compartments: [B-1]}\n", ["such as b_cells", "'B-1'"]),
        ("study: s\nrunner: {kind: dusk}\n", ["line 2", "runner.kind", "'dask'", "'dusk'"]),
        (
            "study: s\nrunner:\n  kind: dask\n  adress: x\n",
            ["line 4", "'runner.adress'", "address"],
        ),
        ("study: s\nrunner: {kind: dask}\n", ["line 2", "the scheduler's address"]),
        ("study: s\nrunner: {address: 'tls://h:8786'}\n", ["line 2", "write kind: dask"]),
        *(
            (f"study: s\nrunner: {{kind: dask, address: '{address}'}}\n", ["line 2", *told])
            for address, told in (
                ("h:8786", ["runner.address", "tls://host:8786"]),
                ("tls://h", ["runner.address", "tls://host:8786"]),
                ("tls://h:99999", ["runner.address", "tls://host:8786"]),
                ("tcp://h:8786", ["can run programs", "insecure: true", "docs/hosts.md"]),
                ("tcp://127.example.org:8786", ["can run programs"]),
                ("tcp://10.0.0.7:8786", ["can run programs"]),
            )
        ),
        ("study: s\nstudy: t\n", ["line 2", "set twice", "line 1"]),
        ("study: [\n", ["not valid YAML"]),
        ("- study\n", ["key: value"]),
    ],
)
def test_what_is_wrong_is_named_with_file_line_key_and_mend(
    tmp_path: Path, text: str, told: list[str]
) -> None:
    sentence = fault(tmp_path, text)
    assert "study.yaml" in sentence
    for word in told:
        assert any(each in sentence for each in word.split("|")), (word, sentence)


@pytest.mark.parametrize(
    "runner",
    [
        "kind: processes",
        "kind: dask, address: 'tls://lab2.example.org:8786'",
        "kind: dask, address: 'tcp://localhost:8786'",
        "kind: dask, address: 'tcp://127.0.0.1:8786'",
        "kind: dask, address: 'tcp://[::1]:8786'",
        "kind: dask, address: 'tcp://10.0.0.7:8786', insecure: true",
    ],
)
def test_a_cluster_is_used_by_tls_or_on_this_computer_or_where_that_is_said_to_be_safe(
    tmp_path: Path, runner: str
) -> None:
    assert settings(tmp_path, f"study: s\nrunner: {{{runner}}}\n").runner.kind in runner


def test_a_password_in_a_wrong_store_address_is_not_repeated(tmp_path: Path) -> None:
    assert "secret" not in fault(tmp_path, "study: s\nstore: mysql://me:secret@host/db\n")


def test_a_folder_that_is_no_study_points_to_init(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match="reconflow init"):
        load_settings(tmp_path)


def test_the_new_study_can_be_read_and_is_never_overwritten(tmp_path: Path) -> None:
    init_study(tmp_path / 'lab "A" \\ {1}')
    assert load_settings(tmp_path / 'lab "A" \\ {1}').study == 'lab "A" \\ {1}'
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    with pytest.raises(SettingsFault, match="exists already"):
        init_study(tmp_path / 'lab "A" \\ {1}')
    assert {path: path.read_bytes() for path in before} == before


def test_every_setting_of_the_template_is_a_setting_commented_or_not(tmp_path: Path) -> None:
    lines = [line.removeprefix("# ").rstrip() for line in TEMPLATE.format(name="s").splitlines()]
    text = "\n".join(
        line for line in lines if line and not line.startswith(("Settings of", "store:", "#"))
    )
    assert isinstance(YAML(typ="safe", pure=True).load(text), dict)
    assert set(StudySettings.model_fields) - set(YAML(typ="safe", pure=True).load(text)) == {
        "store"
    }
    settings(tmp_path, text)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "pins", ["", "strategies:\n  bcell: bcell@2.0.0 # ours\n", "strategies:\n  cart: cart@3.0.0\n"]
)
def test_a_promotion_changes_one_line_and_no_line_end(tmp_path: Path, pins: str, end: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + f"study: s\n{pins}".replace("\n", end).encode())
    study = open_study(tmp_path)
    write_pin(study, changed_settings(study, PinChange("bcell", "bcell@2.0.0", "bcell@1.0.0")))
    after = path.read_bytes()
    assert load_settings(tmp_path).strategies["bcell"] == "bcell@1.0.0"
    assert after.count(b"\n") == after.count(end.encode())
    assert after.startswith(b"\xef\xbb\xbfstudy: s" + end.encode())


def test_a_name_with_one_separator_too_many_fits_no_pattern() -> None:
    pattern = compile_pattern("{patient}_{visit}_{panel}")
    fitted = pattern.fullmatch("P01_D28_bcell")
    assert fitted
    assert fitted.groupdict() == {"patient": "P01", "visit": "D28", "panel": "bcell"}
    assert pattern.fullmatch("P_01_D28_bcell") is None


@pytest.mark.parametrize("text", ["", "workers: 2\n", "# nothing set\n"])
def test_nothing_has_to_be_set_and_an_unnamed_study_is_called_as_its_folder(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "study.yaml").write_text(text)
    assert load_settings(tmp_path).study == tmp_path.name
