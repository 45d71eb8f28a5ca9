"""Dates as archives write them: what is sure is taken, what is unclear is not."""

import pytest

from serving.archive.periods import Calendar, Date, read_date


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2017-04-07", Date(2017, 4)),
        ("2017-04-07T09:14:00+02:00", Date(2017, 4)),
        ("20170407", Date(2017, 4)),
        ("2017-04", Date(2017, 4)),
        ("2017", Date(2017)),
        ("2017/4/7", Date(2017, 4)),
        ("Fri, 07 Apr 2017 09:14:00 GMT", Date(2017, 4)),
        ("7 April 2017", Date(2017, 4)),
        ("April 7, 2017", Date(2017, 4)),
        ("Sept. 7, 2017", Date(2017, 9)),
        ("4/7/2017", Date(2017, either=(4, 7))),
        ("07.04.2017", Date(2017, either=(7, 4))),
        ("1491556440", Date(2017, 4)),
        ("1491556440000", Date(2017, 4)),
        ("1491556440.25", Date(2017, 4)),
        ("987654321", Date(2001, 4)),
        ("20170407143000", Date(2017, 4)),
        ("201704071430", Date(2017, 4)),
        ("20171", None),
        ("2017-13-01", Date(2017)),
        ("45/99/2017", Date(2017)),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_a_date_is_read_as_far_as_it_is_sure(text: str | None, date: Date | None) -> None:
    assert read_date(text) == date


def calendar(*texts: str | None) -> Calendar:
    made = Calendar()
    made.add(texts)
    made.settle()
    return made


def names(made: Calendar, *texts: str) -> list[str | None]:
    return [None if (period := made.period(text)) is None else made.name(period) for text in texts]


def test_one_date_with_a_number_over_12_tells_the_order_of_all() -> None:
    assert names(calendar("4/7/2017", "4/14/2017"), "4/7/2017") == ["2017-04"]
    assert names(calendar("4/7/2017", "14/4/2017"), "4/7/2017") == ["2017-07"]


@pytest.mark.parametrize("others", [(), ("4/14/2017", "14/4/2017")])
def test_without_such_a_date_or_with_both_the_month_is_unclear(others: tuple[str, ...]) -> None:
    made = calendar("2017-04-01", "2017-05-01", "2017-05-02", "4/7/2017", *others, *["2017-06-01"] * 3)
    assert (made.unit, made.unclear) == ("month", 1 + len(others))
    assert names(made, "4/7/2017", "2017-05-01") == [None, "2017-05"]


def test_a_date_with_two_equal_numbers_is_never_unclear() -> None:
    assert names(calendar("7/7/2017"), "7/7/2017") == ["2017-07"]


def test_where_most_months_are_unclear_the_years_are_taken() -> None:
    made = calendar("4/7/2017", "5/6/2017", "2017-05-01")
    assert (made.unit, names(made, "4/7/2017")) == ("year", ["2017"])


@pytest.mark.parametrize(
    ("last", "unit", "name"),
    [
        ("2019-12-31", "month", "2019-12"),  # 36 months
        ("2020-01-01", "year", "2020"),  # 37
        ("2076-01-01", "year", "2076"),  # 60 years
        ("2077-01-01", "decade", "2070s"),
    ],
)
def test_the_longer_the_archive_the_longer_a_period(last: str, unit: str, name: str) -> None:
    made = calendar("2017-01-01", last)
    assert (made.unit, names(made, last)) == (unit, [name])


def test_undated_documents_are_counted() -> None:
    made = calendar(None, "some day", "2017-01-01")
    assert (made.undated, made.period(None)) == (2, None)
