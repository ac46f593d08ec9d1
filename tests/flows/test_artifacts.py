"""What Prefect's own pages show of a study's report."""

from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.client.schemas.objects import ArtifactCollection

from flows.artifacts import show_report
from flows.review_pages.announced import REVIEW_URL, review_address
from flows.served_study import deployment_name
from tasks.study.folder import open_study
from tests.tasks.study_folder import make_study

REPORT = "/somewhere/results/index.html"


@flow
def showing(folder: Path) -> None:
    show_report(open_study(folder), REPORT)


@pytest.mark.parametrize(
    ("set_to", "address"),
    [
        ("", None),
        ("file:///somewhere/results/index.html", None),
        ("javascript:alert(1)", None),
        ("http://", None),
        ("http://[::1", None),
        ("review.example", None),
        (" http://127.0.0.1:8300/ ", "http://127.0.0.1:8300/"),
        ("https://review.example/study", "https://review.example/study"),
    ],
)
def test_only_an_address_that_a_browser_follows_is_a_link(
    monkeypatch: pytest.MonkeyPatch, set_to: str, address: str | None
) -> None:
    monkeypatch.setenv(REVIEW_URL, set_to)
    assert review_address() == address


def shown(folder: Path) -> ArtifactCollection:
    name = f"report-{deployment_name(open_study(folder)).lower()}"
    key = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[name]))
    with get_client(sync_client=True) as client:
        (latest,) = client.read_latest_artifacts(artifact_filter=key)
    return latest


@pytest.mark.server
@pytest.mark.xdist_group("prefect")
@pytest.mark.usefixtures("prefect_api")
def test_the_report_is_words_until_pages_are_served_and_then_a_link(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    study, other = (make_study(tmp_path / name).folder for name in "ab")
    monkeypatch.delenv(REVIEW_URL, raising=False)
    showing(other)
    showing(study)
    assert shown(study).type == "markdown"
    assert f"    {REPORT}\n" in str(shown(study).data)
    assert "](" not in str(shown(study).data)
    assert "file:" not in str(shown(study).data)
    monkeypatch.setenv(REVIEW_URL, "http://127.0.0.1:8300/")
    showing(study)
    assert "(http://127.0.0.1:8300/)" in str(shown(study).data)
    assert shown(other).type == "markdown", "the other study on the server keeps its own"
