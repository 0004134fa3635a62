"""The tests' small PromQL evaluator has the same results as Prometheus."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.terraform.promql import Series, parse

HOUR_S = 3600.0
AT_S = 10 * HOUR_S

CASES = [
    ("vector(0)", {"": 0.0}),
    ("sum(increase(runs[1h]))", {"": 3.0}),
    ("sum(increase(runs[10h]))", {"": 5.0}),
    ("sum(increase(runs[1h] offset 5h))", {"": 2.0}),
    ("sum by (job) (increase(runs[10h]))", {"a": 4.0, "b": 1.0}),
    ('sum(increase(runs{job="b"}[10h]))', {"": 1.0}),
    ('max(depth{queue="q"})', {"": 7.0}),
    ("sum(increase(runs[1h])) > 2.5", {"": 3.0}),
    ("sum(increase(runs[1h])) > 3.5", {}),
    ("sum(increase(runs[1h])) < 3.5", {"": 3.0}),
    ("sum by (job) (increase(runs[10h])) > 1.5", {"a": 4.0}),
    ("(sum(increase(never[1h])) or vector(0)) < 0.5", {"": 0.0}),
    ("(sum(increase(runs[1h])) or vector(0)) < 0.5", {}),
    ("(sum(increase(runs[1h])) or vector(0)) + (sum(increase(never[1h])) or vector(0))", {"": 3.0}),
    ("(sum(increase(runs[1h])) > 0.5) unless (sum(increase(never[1h])) > 0.5)", {"": 3.0}),
    ("(sum(increase(runs[1h])) > 0.5) unless (sum(increase(runs[10h])) > 0.5)", {}),
    ("(sum(increase(runs[1h])) > 0.5) and (sum(increase(runs[10h])) > 0.5)", {"": 3.0}),
    ("(sum(increase(runs[1h])) > 0.5) and (sum(increase(never[10h])) > 0.5)", {}),
    ("sum by (job) (increase(runs[10h])) unless sum(increase(runs[10h]))", {"a": 4.0, "b": 1.0}),
    ("sum by (job) (increase(runs[10h])) unless on () sum(increase(runs[10h]))", {}),
    ("vector(1) or vector(2) unless vector(3)", {"": 1.0}),
    ("vector(1) unless vector(2) unless vector(3)", {}),
    ("vector(1) unless (vector(2) unless vector(3))", {"": 1.0}),
    ("vector(1) + vector(2) > 2.5", {"": 3.0}),
]
RUNS_AT_H = {"a": [4.2, 9.25, 9.5, 9.75], "b": [4.7]}
DEPTH = 7.0


@pytest.fixture
def series() -> Series:
    series = Series()
    for job, hours in RUNS_AT_H.items():
        for hour in hours:
            series.count("runs", hour * HOUR_S, job=job)
    series.measure("depth", AT_S - 60, DEPTH, queue="q")
    series.measure("depth", AT_S - 60, 9, queue="other")
    return series


@pytest.mark.parametrize(("query", "expected"), CASES, ids=[query for query, _ in CASES])
def test_a_query_has_its_value(series: Series, query: str, expected: dict[str, float]) -> None:
    value = parse(query)(series, AT_S)
    assert isinstance(value, dict)
    assert {"".join(text for _, text in labels): each for labels, each in value.items()} == expected


@pytest.mark.parametrize(
    "query",
    [
        "rate(runs[1h])",
        "runs - runs",
        'runs{job!="a"}',
        "sum(runs",
        "sum without (job) (runs)",
        "avg(runs)",
        "runs >= 1",
    ],
)
def test_unsupported_queries_are_refused(query: str) -> None:
    with pytest.raises(ValueError, match=r"unsupported|expected"):
        parse(query)


@pytest.mark.parametrize("query", ["1 or 2", "vector(vector(1))"])
def test_a_number_in_place_of_a_vector_and_the_reverse_are_refused(series: Series, query: str) -> None:
    with pytest.raises(ValueError, match=r"expected a (vector, got a number|number, got a vector)"):
        parse(query)(series, AT_S)


def test_an_event_at_the_edge_belongs_to_the_later_window(series: Series) -> None:
    series.count("edge", AT_S - HOUR_S)
    assert parse("sum(increase(edge[1h]))")(series, AT_S) == {}
    assert parse("sum(increase(edge[1h]))")(series, AT_S - 1) != {}


def test_a_gauge_without_a_recent_sample_has_no_value(series: Series) -> None:
    assert parse("max(depth)")(series, AT_S + 600) == {}


def test_prometheus_agrees(tmp_path: Path) -> None:
    """On which series each case has; the values are not compared, since Prometheus extrapolates them."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no `promtool` on the PATH (Debian: prometheus)")
    minutes = int(AT_S / 60)
    lines = ["rule_files: []", "evaluation_interval: 1m", "tests:", "  - interval: 1m", "    input_series:"]
    for job, hours in RUNS_AT_H.items():
        at = [round(hour * 60) for hour in hours]
        values = " ".join(str(sum(event <= minute for event in at)) for minute in range(minutes + 1))
        lines += [f"      - series: 'runs{{job=\"{job}\"}}'", f"        values: '{values}'"]
    lines += ["      - series: 'depth{queue=\"q\"}'", f"        values: '{DEPTH:.0f}x{minutes}'"]
    lines += ["    promql_expr_test:"]
    for query, expected in CASES:
        without_values = f"({query}) * 0"
        lines += [f"      - expr: '{without_values}'", f"        eval_time: {minutes}m", "        exp_samples:"]
        lines += [
            f"          - {{labels: '{{job=\"{key}\"}}', value: 0}}" if key else "          - {labels: '{}', value: 0}"
            for key in expected
        ]
    (tmp_path / "cases.yml").write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [promtool, "test", "rules", "cases.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
