"""Every flag has one severity, and the words that checks rely on have theirs."""

from tasks.vocabulary.flags import Flag
from tasks.vocabulary.severity import JUDGED, severity_of, worst, worst_first


def test_every_flag_is_judged_exactly_once() -> None:
    judged = [flag for flags in JUDGED.values() for flag in flags]
    assert sorted(judged) == sorted(Flag)


def test_the_words_that_checks_rely_on() -> None:
    for word in ("beads_incomplete", "concentration_contradicted", "uncalibrated"):
        assert severity_of(word) == "stop"
    assert severity_of("corrected") == "look"
    assert severity_of("anchored_on_corrected") == "look"
    assert severity_of("anchor_itself") == "know"


def test_a_word_of_another_release_is_to_be_looked_at() -> None:
    assert severity_of("measured_by_the_next_release") == "look"
    assert worst(["anchor_itself", "measured_by_the_next_release"]) == "look"


def test_the_worst_of_several_and_of_none() -> None:
    assert worst(["anchor_itself", "corrected", "uncalibrated"]) == "stop"
    assert worst(["anchor_itself"]) == "know"
    assert worst([]) == ""


def test_worse_flags_come_first_and_equal_ones_keep_their_order() -> None:
    words = ["few_lymphocytes", "signal_drift", "anchor_itself", "beads_incomplete", "corrected"]
    assert worst_first(words) == [
        "beads_incomplete",
        "signal_drift",
        "corrected",
        "few_lymphocytes",
        "anchor_itself",
    ]
