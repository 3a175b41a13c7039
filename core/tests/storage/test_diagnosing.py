from datetime import UTC, datetime, timedelta

import pytest
from temporal_payloads.plugin import COLLECTOR, READERS, Diagnosis, DiagnosisContext

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
PLACE = "storage.drivers.shelf"


def clock(theirs, *, took=timedelta(0), resolution=timedelta(0)):
    context = DiagnosisContext(place=PLACE)
    return context.clock(theirs, asked=NOON, answered=NOON + took, resolution=resolution)


@pytest.mark.parametrize(
    ("theirs", "level", "told"),
    [
        (NOON, "ok", "agrees"),
        (NOON + timedelta(seconds=29), "ok", "agrees"),
        (NOON + timedelta(seconds=31), "warning", "0:00:31 ahead of"),
        (NOON - timedelta(seconds=31), "warning", "0:00:31 behind"),
        (NOON - timedelta(minutes=6), "problem", "0:06:00 behind"),
        (NOON + timedelta(days=1), "problem", "1 day, 0:00:00 ahead of"),
    ],
)
def test_a_clock_that_is_far_from_ours_is_told(theirs, level, told):
    finding = clock(theirs)
    assert (finding.level, finding.check, finding.place) == (level, "clock", PLACE)
    assert told in finding.message
    assert bool(finding.advice) == (level != "ok")


def test_the_time_that_an_answer_took_is_no_difference_of_clocks():
    assert clock(NOON + timedelta(minutes=2), took=timedelta(minutes=3)).level == "ok"


def test_what_a_store_cuts_off_its_time_is_no_difference_of_clocks():
    early = NOON - timedelta(seconds=60)
    assert clock(early, resolution=timedelta(seconds=60)).level == "ok"
    assert clock(early).level == "warning"


@pytest.mark.parametrize(
    ("use", "has", "level"),
    [
        ("worker", True, "ok"),
        ("worker", False, "problem"),
        ("collector", False, "problem"),
        ("reader", False, "ok"),
        ("worker", None, "skipped"),
        ("reader", None, "ok"),
    ],
)
def test_a_right_that_is_missing_is_a_problem_for_whom_it_is_needed(use, has, level):
    context = DiagnosisContext(place=PLACE, use=use)
    finding = context.permission("lift", has=has, needed_by={"worker", "collector"}, why="said the shelf")
    assert finding.level == level
    assert finding.check == "permission lift"
    assert finding.message.endswith("needed by workers and the collector")
    assert ("said the shelf" in finding.message) == (has is None or level == "problem")
    assert finding.advice == ("Grant lift to the role, or use another role" if level == "problem" else "")


@pytest.mark.parametrize(
    ("needed_by", "use_named", "level"),
    [
        ({"worker", "collector"}, False, "warning"),
        ({"worker", "collector"}, True, "problem"),
        ({"worker", "reader", "collector"}, False, "problem"),
    ],
)
def test_that_a_right_to_write_is_missing_is_a_warning_unless_somebody_said_that_it_is_needed(
    needed_by, use_named, level
):
    context = DiagnosisContext(place=PLACE, use_named=use_named)
    finding = context.permission("lift", has=False, needed_by=needed_by)
    assert finding.level == level
    assert ("say --use reader" in finding.advice) == (level == "warning")


@pytest.mark.parametrize(
    ("needed_by", "told"),
    [
        ({"collector"}, "needed by the collector"),
        ({"reader", "worker"}, "needed by workers and readers"),
        ({"collector", "reader", "worker"}, "needed by workers, readers and the collector"),
    ],
)
def test_all_who_need_a_right_are_named(needed_by, told):
    finding = DiagnosisContext(place=PLACE).permission("look", has=True, needed_by=needed_by)
    assert finding.message == f"granted; {told}"


class ShelfDiagnosis(Diagnosis):
    def how_to_grant(self, permission):
        return f"Ask for {permission} at the door"


@pytest.fixture
def diagnosis():
    context = DiagnosisContext(place=PLACE, use="collector")
    return ShelfDiagnosis(context=context, place=f"{PLACE}.url")


def test_what_a_diagnosis_finds_belongs_to_its_place_unless_it_says_otherwise(diagnosis):
    diagnosis.found("ok", "lid", "there is one")
    diagnosis.found("warning", "key", "It is lost", "Make another", place=f"{PLACE}.key")
    diagnosis.permission("lift", True, READERS)
    diagnosis.permission("discard", False, COLLECTOR, "said the shelf", place=f"{PLACE}.user")
    told = [(one.level, one.check, one.place, one.advice) for one in diagnosis.findings]
    assert told == [
        ("ok", "lid", f"{PLACE}.url", ""),
        ("warning", "key", f"{PLACE}.key", "Make another"),
        ("ok", "permission lift", f"{PLACE}.url", ""),
        ("problem", "permission discard", f"{PLACE}.user", "Ask for discard at the door"),
    ]
    assert "said the shelf" in diagnosis.findings[-1].message


def test_what_is_left_of_a_check_is_named_with_who_can_delete_it(diagnosis):
    diagnosis.cleaned_up([], "the shelf", "Delete it with another card")
    diagnosis.cleaned_up(["v0/a", "v0/b"], "the shelf", "Delete it with another card")
    deleted, left = diagnosis.findings
    assert (deleted.level, left.level) == ("ok", "warning")
    assert left.message.endswith("still in the shelf: v0/a, v0/b")
    assert left.advice == "Delete it with another card: nothing refers to it"


@pytest.mark.parametrize(
    ("date", "level"),
    [
        ("Mon, 30 Nov 2026 12:00:00 GMT", "ok"),
        ("Mon, 30 Nov 2026 11:59:29 GMT", "ok"),  # which may have been 11:59:29.999
        ("Mon, 30 Nov 2026 11:59:28 GMT", "warning"),
    ],
)
def test_a_date_header_tells_the_time_in_whole_seconds(diagnosis, date, level):
    asked = NOON - timedelta(milliseconds=1)
    assert diagnosis.http_clock(date, asked=asked, answered=NOON)
    assert [(one.level, one.check, one.place) for one in diagnosis.findings] == [(level, "clock", PLACE)]


@pytest.mark.parametrize("date", [None, "", "noon"])
def test_of_a_date_header_that_tells_no_time_nothing_is_found(diagnosis, date):
    assert not diagnosis.http_clock(date, asked=NOON, answered=NOON)
    assert diagnosis.findings == []
