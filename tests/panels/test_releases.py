"""A panel that was released is what was released, or it is refused; one that was not is known by
its content."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from panels.catalogue import find_panel, load_panel, panel_names, panel_versions, shipped_panels
from panels.difference import panel_changes
from panels.files.lock import read_locked
from panels.releasing import release_panel
from panels.text.errors import PanelFault
from panels.verifying import verify_panels

LYOPLATE = Path(__file__).resolve().parents[1] / "data" / "lyoplate" / "panels" / "lyoplate.yaml"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Make a folder with one panel of the laboratory's own, not released."""
    (tmp_path / "panels").mkdir()
    shutil.copy(LYOPLATE, tmp_path / "panels" / "lyoplate.yaml")
    return tmp_path / "panels"


def edit(own: Path, was: str, now: str, name: str = "lyoplate") -> None:
    path = own / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    assert was in text
    path.write_text(text.replace(was, now), encoding="utf-8")


def test_every_shipped_panel_is_released_and_as_released() -> None:
    assert verify_panels().faults == ()
    assert {pin.partition("@")[0] for pin in verify_panels().verified} == set(panel_names())
    assert verify_panels().unreleased == ()


def test_a_panel_that_was_never_released_is_known_by_its_content(own: Path) -> None:
    before = find_panel("lyoplate", own)
    edit(own, "panel: lyoplate", "panel:    lyoplate   # a comment and spaces")
    assert find_panel("lyoplate", own) == before
    assert not before.released
    edit(own, "detector: CD3,", "detector: CD4,")
    assert find_panel("lyoplate", own).sha256 != before.sha256
    assert verify_panels(own).unreleased == ("lyoplate@1.0.0",)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("detector: CD3,", "detector: CD19,"),
        ("[V450-A]", "[V450-A, V451-A]"),
        ("title: Lyoplate", "title: Another"),
        ("counting: [chain, dual]", "counting: [dual, chain]"),
        ("compensated: false", "compensated: true"),
        ("SSC-A: SSC-A", "SSC-A: SSC-H"),
    ],
)
def test_a_released_panel_that_was_edited_is_refused(own: Path, was: str, now: str) -> None:
    release_panel(own, "lyoplate", "1.0.0")
    edit(own, was, now)
    with pytest.raises(
        PanelFault, match=r"lyoplate\.yaml: lyoplate@1\.0\.0 was changed after its release"
    ):
        load_panel("lyoplate", own)
    assert "was changed after its release" in verify_panels(own).faults[0]


def test_a_release_whose_copy_was_edited_is_refused_too(own: Path) -> None:
    release_panel(own, "lyoplate", "1.0.0")
    copy = own / "lyoplate" / "1.0.0" / "panel.yaml"
    copy.write_text(copy.read_text(encoding="utf-8").replace("CD24", "CD25"), encoding="utf-8")
    with pytest.raises(PanelFault, match="was changed after its release"):
        load_panel("lyoplate", own)


def test_a_mended_comment_leaves_a_release_valid(own: Path) -> None:
    released, _ = release_panel(own, "lyoplate", "1.0.0")
    edit(own, "panel: lyoplate", "# another comment\npanel:   lyoplate")
    assert find_panel("lyoplate", own).sha256 == released.sha256
    assert find_panel("lyoplate", own).released


def test_the_next_version_counts_nothing_until_it_is_released(own: Path) -> None:
    first, _ = release_panel(own, "lyoplate", "1.0.0")
    edit(own, "version: 1.0.0", "version: 1.1.0")
    edit(own, "title: Lyoplate B-cell panel", "title: Next")
    assert find_panel("lyoplate", own).sha256 == first.sha256
    assert find_panel("lyoplate@1.1", own).panel.title.startswith("Next")
    assert [
        (each.pin, each.released) for each in panel_versions(own) if each.name == "lyoplate"
    ] == [
        ("lyoplate@1.0.0", True),
        ("lyoplate@1.1.0", False),
    ]
    second, changes = release_panel(own, "lyoplate", "1.1.0")
    assert [change.where for change in changes or ()] == ["title"]
    assert find_panel("lyoplate", own) == second
    assert find_panel("lyoplate@1.0.0", own).sha256 == first.sha256
    assert verify_panels(own).faults == ()


def test_the_newest_release_is_the_highest_number_not_the_last_in_the_alphabet(own: Path) -> None:
    for before, version in (("1.0.0", "1.9.0"), ("1.9.0", "1.10.0")):
        edit(own, f"version: {before}", f"version: {version}")
        edit(own, "title: ", f"title: {version} ")
        release_panel(own, "lyoplate", version)
    assert find_panel("lyoplate", own).pin == "lyoplate@1.10.0"


def test_a_release_whose_file_is_gone_is_told_and_no_shipped_one_takes_its_place(own: Path) -> None:
    shutil.copy(shipped_panels() / "tbnk.yaml", own / "tbnk.yaml")
    edit(own, "version: 1.0.0", "version: 2.0.0", "tbnk")
    edit(own, "title: T, B and NK cells", "title: Ours", "tbnk")
    release_panel(own, "tbnk", "2.0.0")
    (own / "tbnk.yaml").unlink()
    assert find_panel("tbnk", own).pin == "tbnk@2.0.0"
    shutil.rmtree(own / "tbnk")
    with pytest.raises(PanelFault, match=r"tbnk@2\.0\.0 was released and its file is gone"):
        load_panel("tbnk", own)
    assert len(verify_panels(own).faults) == 1
    assert find_panel("tbnk@1.0.0", own).path.parent == shipped_panels()


def test_what_cannot_be_released_says_why(own: Path) -> None:
    for name, version, message in (
        ("lyoplate", "1.0", "not a panel's name and a version"),
        ("lyo plate", "1.0.0", "not a panel's name and a version"),
        ("lyoplate", "1.1.0", r"no version 1\.1\.0 of lyoplate .* there is 1\.0\.0"),
        ("lyoplat", "1.0.0", "there is no such file"),
        ("bcell", "1.0.0", "is a shipped panel"),
    ):
        with pytest.raises(PanelFault, match=message):
            release_panel(own, name, version)
    release_panel(own, "lyoplate", "1.0.0")
    with pytest.raises(PanelFault, match="already released"):
        release_panel(own, "lyoplate", "1.0.0")


def test_the_number_of_a_shipped_panel_is_not_given_to_another_content(own: Path) -> None:
    shutil.copy(shipped_panels() / "tbnk.yaml", own / "tbnk.yaml")
    edit(own, "title: T, B and NK cells", "title: Ours", "tbnk")
    with pytest.raises(
        PanelFault, match=r"tbnk@1\.0\.0 is also a shipped panel, with another content"
    ):
        release_panel(own, "tbnk", "1.0.0")
    assert not (own / "LOCK").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"lyoplate@1.0.0\n",
        b"\xff\xfe\x00 stray\n",
        b"lyoplate@1.0.0 abc\n",
        b"<<<<<<< ours\n",
        f"l@1.0.0 {'a' * 64}\nl@1.0.0 {'b' * 64}\n".encode(),
    ],
)
def test_a_lock_with_stray_bytes_is_refused_with_its_line(own: Path, content: bytes) -> None:
    (own / "LOCK").write_bytes(content)
    with pytest.raises(PanelFault, match=r"LOCK, line \d"):
        load_panel("lyoplate", own)
    assert any("LOCK, line" in fault for fault in verify_panels(own).unreadable)


def test_releases_made_at_once_are_all_in_the_lock(own: Path) -> None:
    names = [f"p{number}" for number in range(8)]
    for name in names:
        shutil.copy(own / "lyoplate.yaml", own / f"{name}.yaml")
        edit(own, "panel: lyoplate", f"panel: {name}", name)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: release_panel(own, name, "1.0.0"), names))
    assert set(read_locked(own, PanelFault)) == {f"{name}@1.0.0" for name in names}
    assert [path.name for path in own.iterdir() if path.name.endswith(".part")] == []


def test_two_versions_are_compared_in_words(own: Path) -> None:
    before = load_panel("lyoplate", own)
    edit(own, "detector: CD3, synonyms: [V450-A]", "detector: V450-A")
    edit(
        own,
        "  - {marker: CD24, detector: CD24, synonyms: [G560-A]}\n",
        "  - {marker: CD21, detector: CD21, required: false}\n",
    )
    edit(own, "compensated: false", "compensated: true")
    said = [change.text for change in panel_changes(before, load_panel("lyoplate", own))]
    assert said == [
        "compensated: false becomes true",
        "detector of CD3: CD3 becomes V450-A",
        "synonyms of CD3: [V450-A] becomes []",
        "marker CD24: CD24 is gone",
        "marker CD21: CD21 is new",
    ]
    assert panel_changes(before, before) == ()
