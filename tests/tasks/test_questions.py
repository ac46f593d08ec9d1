"""What reviewers asked of a tube, as the front page tells it."""

from tasks.overview.counted_tube import CountedTube
from tasks.results.questions import questions_asked
from tasks.store.reviews import Decision, Review


def tube(sha256: str, review: str) -> CountedTube:
    return CountedTube(
        sha256, "P01", "D14", 14.0, "2026-01-24T09:00", "blood", "cart", review, results=()
    )


def asked(decision: Decision, comment: str, of: str = "") -> Review:
    return Review("P01", "D14", decision, "A. Reader", comment, saw={}, tube_sha256=of)


def test_the_last_decision_on_the_tube_or_its_visit_is_told_with_who_made_it() -> None:
    decisions = [
        asked("queried", "of the tube, long ago", of="b"),
        asked("queried", "Whose\u202e is it?"),
        asked("repeat", "clotted", of="a"),
    ]
    assert questions_asked([tube("a", "repeat"), tube("b", "queried")], decisions) == {
        "a": "to be repeated, says A. Reader: clotted",
        "b": "queried by A. Reader: Whose\\u202e is it?",
    }


def test_nothing_is_told_of_tubes_without_an_open_question_or_of_one_without_words() -> None:
    decisions = [asked("queried", ""), asked("accepted", "fine", of="a")]
    tubes = [tube("a", "accepted"), tube("b", "queried"), tube("c", "")]
    assert questions_asked(tubes, decisions) == {}
