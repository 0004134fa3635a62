"""Calendars of complete and missing periods: the tables, and what each cell says. No I/O."""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import groupby

from analytics_export.coverage import ExportCoverage
from analytics_export.periods import Frequency, Period

MONTHS = tuple(calendar.month_abbr)[1:]
DAYS = tuple(str(number) for number in range(1, 32))
WEEKS = ("1st", "2nd", "3rd", "4th", "5th")


class Mark(StrEnum):
    """The state in a cell; the value is its CSS class."""

    COMPLETE = "c"
    MISSING = "m"
    NOT_DUE = "n"
    NOTHING = ""
    """No such day, or not asked for."""


@dataclass(frozen=True)
class Cell:
    """One cell of a calendar."""

    mark: Mark
    text: str = ""
    """Shown next to its sign."""


@dataclass(frozen=True)
class Grid:
    """One table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    """Each with its heading."""

    @property
    def summary(self) -> str:
        """Its states, counted in words."""
        cells = [cell.mark for _, row in self.rows for cell in row]
        return f"{cells.count(Mark.COMPLETE)} complete, {cells.count(Mark.MISSING)} missing"


@dataclass(frozen=True)
class Gap:
    """Consecutive missing periods."""

    first: Period
    last: Period
    count: int


CELLS = {mark: Cell(mark) for mark in Mark}


class Calendar:
    """The calendars of one aggregation and frequency; each period is marked on its first day."""

    def __init__(self, export: ExportCoverage, *, is_open_ended: bool) -> None:
        """With `is_open_ended`, periods after the last one are not due yet; otherwise they were not asked for."""
        self._frequency = export.frequency
        self._is_open_ended = is_open_ended
        self._marks = {
            each.export.period.start: Mark.MISSING if each.complete is None else Mark.COMPLETE
            for each in export.periods
        }
        self._last = max(self._marks, default=date.max)

    def grids(self) -> Iterator[Grid]:
        """Yield the tables, the newest year first; none where no period is due."""
        if not self._marks:
            return
        years = range(self._last.year, min(self._marks).year - 1, -1)
        if self._frequency is Frequency.MONTHLY:
            months = {year: tuple(self._cell(date(year, month, 1)) for month in range(1, 13)) for year in years}
            yield Grid("Months", MONTHS, tuple((str(year), cells) for year, cells in months.items()))
            return
        columns, of_month = (DAYS, self._days) if self._frequency is Frequency.DAILY else (WEEKS, self._weeks)
        for year in years:
            rows = ((name, tuple(of_month(year, number))) for number, name in enumerate(MONTHS, 1))
            yield Grid(str(year), columns, tuple(row for row in rows if any(cell.mark for cell in row[1])))

    def _days(self, year: int, month: int) -> Iterator[Cell]:
        _, days = calendar.monthrange(year, month)
        for number in range(1, len(DAYS) + 1):
            yield self._cell(date(year, month, number)) if number <= days else CELLS[Mark.NOTHING]

    def _weeks(self, year: int, month: int) -> Iterator[Cell]:
        """Yield the weeks that begin in the month, with the day of their Monday."""
        first_weekday, days = calendar.monthrange(year, month)
        mondays = range(1 + -first_weekday % 7, days + 1, 7)
        for number in mondays:
            mark = self._mark(date(year, month, number))
            yield CELLS[mark] if mark is Mark.NOTHING else Cell(mark, str(number))
        yield from [CELLS[Mark.NOTHING]] * (len(WEEKS) - len(mondays))

    def _cell(self, day: date) -> Cell:
        return CELLS[self._mark(day)]

    def _mark(self, day: date) -> Mark:
        is_after = self._is_open_ended and day > self._last
        return self._marks.get(day, Mark.NOT_DUE if is_after else Mark.NOTHING)


def gaps(export: ExportCoverage) -> Iterator[Gap]:
    """Yield the missing periods, grouped, oldest first."""
    for is_missing, group in groupby(export.periods, key=lambda each: each.complete is None):
        if is_missing:
            periods = [each.export.period for each in group]
            yield Gap(periods[0], periods[-1], len(periods))
