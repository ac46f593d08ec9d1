"""What Prefect's own pages show of a study's report."""

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.client.schemas.objects import ArtifactCollection

from flows.artifacts import REVIEW_URL, review_address, show_report

REPORT = "/somewhere/results/index.html"


@flow
def showing() -> None:
    show_report(REPORT)


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


def shown() -> ArtifactCollection:
    key = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=["report"]))
    with get_client(sync_client=True) as client:
        (latest,) = client.read_latest_artifacts(artifact_filter=key)
    return latest


@pytest.mark.server
@pytest.mark.xdist_group("prefect")
@pytest.mark.usefixtures("prefect_api")
def test_the_report_is_words_until_pages_are_served_and_then_a_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(REVIEW_URL, raising=False)
    showing()
    assert shown().type == "markdown"
    assert f"    {REPORT}\n" in str(shown().data)
    assert "](" not in str(shown().data)
    assert "file:" not in str(shown().data)
    monkeypatch.setenv(REVIEW_URL, "http://127.0.0.1:8300/")
    showing()
    assert "(http://127.0.0.1:8300/)" in str(shown().data)
