"""Evaluates the part of PromQL that the alerts use, over made-up series.

Numbers, `vector`, selectors with `=`, `increase(...[range] offset ...)`, `sum` and `max` with `by`, `+`, `<`, `>`, `and`,
`or`, `unless` with `on`. Anything else is refused. A counter is a list of events, like Cloud Logging's DELTA metrics: its
increase is the number of events in the window (Prometheus itself extrapolates at the edges); without events it has no
value. Source: prometheus.io, "Querying", "Operators"; the tests compare with promtool if it is installed.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Value = float | Vector

LOOK_BACK_S = 300.0
"""The maximum age of a gauge's last sample."""
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
TOKEN = re.compile(
    r'\s*(?:(?P<duration>\d+[smhd](?!\w))|(?P<number>\d+(?:\.\d+)?)|(?P<name>[a-zA-Z_:][\w:]*)|(?P<text>"[^"]*")|(?P<sign>[(){}\[\],=<>+]))'
)
NO_LABELS: Labels = frozenset()


@dataclass
class Series:
    """Events of counters and samples of gauges, by metric and labels; times are in seconds, and sorted."""

    events: dict[str, dict[Labels, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    samples: dict[str, dict[Labels, list[tuple[float, float]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def count(self, metric: str, at_s: float, **labels: str) -> None:
        """Add an event to a counter."""
        self.events[metric][frozenset(labels.items())].append(at_s)

    def measure(self, metric: str, at_s: float, value: float, **labels: str) -> None:
        """Add a sample to a gauge."""
        self.samples[metric][frozenset(labels.items())].append((at_s, value))

    def increase(self, metric: str, matchers: Labels, from_s: float, to_s: float) -> Vector:
        """Return the number of events after `from_s` up to `to_s`, of the counters that have any."""
        found = {
            labels: float(bisect_right(times, to_s) - bisect_right(times, from_s))
            for labels, times in self.events[metric].items()
            if matchers <= labels
        }
        return {labels: number for labels, number in found.items() if number}

    def at(self, metric: str, matchers: Labels, at_s: float) -> Vector:
        """Return each gauge's last sample, unless it is too old."""
        found = {}
        for labels, samples in self.samples[metric].items():
            recent = [value for moment, value in samples if at_s - LOOK_BACK_S < moment <= at_s]
            if matchers <= labels and recent:
                found[labels] = recent[-1]
        return found


Expression = Callable[[Series, float], Value]


def parse(query: str) -> Expression:
    """Return a function from series and a time in seconds to the query's value. Raises ValueError if unsupported."""
    parser = _Parser(query)
    expression = parser.either()
    parser.end()
    return expression


class _Parser:
    """A recursive descent parser; the operator that binds least is parsed first."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(query.rstrip()):
            match = TOKEN.match(query, position)
            if match is None or match.lastgroup is None:
                raise ValueError(f"unsupported: {query[position:]!r}")
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        self._tokens.append(("end", ""))

    def end(self) -> None:
        if self._tokens[0][0] != "end":
            raise ValueError(f"unsupported: {self._tokens[0][1]!r} in {self._query!r}")

    def either(self) -> Expression:
        left = self._both()
        while self._took("or"):
            left = _or(left, self._both())
        return left

    def _both(self) -> Expression:
        left = self._compared()
        while self._tokens[0][1] in {"and", "unless"}:
            keeps_matches = self._next() == "and"
            on = self._labels() if self._took("on") else None
            left = _filtered(left, self._compared(), on, keeps_matches=keeps_matches)
        return left

    def _compared(self) -> Expression:
        left = self._sum()
        while self._tokens[0][1] in {"<", ">"}:
            left = _compared(left, self._sum(), is_less=True) if self._next() == "<" else _compared(left, self._sum())
        return left

    def _sum(self) -> Expression:
        left = self._term()
        while self._took("+"):
            left = _added(left, self._term())
        return left

    def _term(self) -> Expression:
        kind, text = self._tokens[0]
        if self._took("("):
            inner = self.either()
            self._expect(")")
            return inner
        if kind == "number":
            self._next()
            return lambda _series, _at_s: float(text)
        if kind != "name" or text in {"and", "or", "unless", "on", "by"}:
            raise ValueError(f"unsupported: {text!r} in {self._query!r}")
        self._next()
        match text:
            case "sum" | "max":
                by = self._labels() if self._took("by") else frozenset()
                return _aggregated(self._in_parentheses(), by, sum if text == "sum" else max)
            case "vector":
                inner = self._in_parentheses()
                return lambda series, at_s: {NO_LABELS: _number(inner(series, at_s))}
            case "increase":
                self._expect("(")
                increase = self._increase()
                self._expect(")")
                return increase
        if self._tokens[0][1] == "(":
            raise ValueError(f"unsupported: the function {text}")
        matchers = self._matchers()
        return lambda series, at_s: series.at(text, matchers, at_s)

    def _increase(self) -> Expression:
        metric, matchers = self._next(), self._matchers()
        self._expect("[")
        window_s = self._duration_s()
        self._expect("]")
        offset_s = self._duration_s() if self._took("offset") else 0
        return lambda series, at_s: series.increase(metric, matchers, at_s - offset_s - window_s, at_s - offset_s)

    def _in_parentheses(self) -> Expression:
        self._expect("(")
        inner = self.either()
        self._expect(")")
        return inner

    def _matchers(self) -> Labels:
        found = set()
        if self._took("{"):
            while not self._took("}"):
                label = self._next()
                self._expect("=")
                found.add((label, self._next().strip('"')))
                self._took(",")
        return frozenset(found)

    def _labels(self) -> frozenset[str]:
        self._expect("(")
        found = set()
        while not self._took(")"):
            found.add(self._next())
            self._took(",")
        return frozenset(found)

    def _duration_s(self) -> float:
        kind, text = self._tokens.pop(0)
        if kind != "duration":
            raise ValueError(f"{text!r} is not a duration")
        return float(text[:-1]) * UNITS_S[text[-1]]

    def _next(self) -> str:
        return self._tokens.pop(0)[1]

    def _took(self, text: str) -> bool:
        if self._tokens[0][1] != text:
            return False
        self._tokens.pop(0)
        return True

    def _expect(self, text: str) -> None:
        if not self._took(text):
            raise ValueError(f"expected {text!r} before {self._tokens[0][1]!r} in {self._query!r}")


def _or(left: Expression, right: Expression) -> Expression:
    return lambda series, at_s: {**_vector(right(series, at_s)), **_vector(left(series, at_s))}


def _filtered(left: Expression, right: Expression, on: frozenset[str] | None, *, keeps_matches: bool) -> Expression:
    def key(labels: Labels) -> Labels:
        return labels if on is None else _only(labels, on)

    def value(series: Series, at_s: float) -> Vector:
        keys = {key(labels) for labels in _vector(right(series, at_s))}
        found = _vector(left(series, at_s))
        return {labels: each for labels, each in found.items() if (key(labels) in keys) is keeps_matches}

    return value


def _compared(left: Expression, right: Expression, *, is_less: bool = False) -> Expression:
    def value(series: Series, at_s: float) -> Vector:
        bound = _number(right(series, at_s))
        return {
            labels: each
            for labels, each in _vector(left(series, at_s)).items()
            if (each < bound if is_less else each > bound)
        }

    return value


def _added(left: Expression, right: Expression) -> Expression:
    def value(series: Series, at_s: float) -> Vector:
        others = _vector(right(series, at_s))
        return {
            labels: each + others[labels] for labels, each in _vector(left(series, at_s)).items() if labels in others
        }

    return value


def _aggregated(inner: Expression, by: frozenset[str], combine: Callable[[Iterable[float]], float]) -> Expression:
    def value(series: Series, at_s: float) -> Vector:
        groups: dict[Labels, list[float]] = defaultdict(list)
        for labels, each in _vector(inner(series, at_s)).items():
            groups[_only(labels, by)].append(each)
        return {labels: combine(values) for labels, values in groups.items()}

    return value


def _only(labels: Labels, names: frozenset[str]) -> Labels:
    return frozenset((name, value) for name, value in labels if name in names)


def _vector(value: Value) -> Vector:
    if isinstance(value, Mapping):
        return value
    raise ValueError("expected a vector, got a number")


def _number(value: Value) -> float:
    if isinstance(value, float):
        return value
    raise ValueError("expected a number, got a vector")
