"""Invalid requests: the unit test uses all of them, the test over HTTP one of each kind."""

import json
from typing import Any

from tests.support.requests_and_answers import DAY

DAILY = {"aggregation": "granular", "frequency": "daily"}
GOOD = json.dumps(DAY)

BODIES: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"granular daily", "JSON object"),
    "a form": (b"aggregation=granular&frequency=daily", "JSON object"),
    "half a JSON object": (GOOD[:-5].encode(), "JSON object"),
    "two JSON objects": ((GOOD + GOOD).encode(), "JSON object"),
    "an array": (b'["granular", "daily"]', "JSON array"),
    "a string": (b'"granular"', "JSON"),
    "null": (b"null", "JSON"),
    "a number": (b"7", "JSON"),
    "a number too large for a float": (b"1e999", "JSON"),
    "NaN": (b'{"aggregation": "granular", "frequency": "daily", "last": NaN}', "JSON"),
    "Infinity": (b'{"aggregation": "granular", "frequency": "daily", "last": Infinity}', "JSON"),
    "-Infinity": (b'{"aggregation": "granular", "frequency": "daily", "last": -Infinity}', "JSON"),
    "a number of 60,000 digits": (
        b'{"aggregation": "granular", "frequency": "daily", "last": ' + b"9" * 60_000 + b"}",
        "JSON",
    ),
    "a field with a number too large for a float": (
        b'{"aggregation": "granular", "frequency": "daily", "last": 1e999}',
        "`last`",
    ),
    "deep nesting": (b"[" * 60_000, "JSON"),
    "deep nesting of objects": (b'{"last":' * 8_000 + b"1" + b"}" * 8_000, "JSON"),
    "deep nesting in a field": (b'{"aggregation": ' + b"[" * 900 + b"]" * 900 + b"}", "`aggregation`"),
    "a field twice": (
        b'{"aggregation": "granular", "aggregation": "granular", "frequency": "daily"}',
        "more than once",
    ),
    "a field twice, deeper": (b'{"refresh": {"a": 1, "a": 2}}', "more than once"),
    "an unknown field": (json.dumps(DAY | {"day": "2022-04-01"}).encode(), 'Unknown field "day"'),
    "1 MB": (json.dumps(DAY | {"refresh": "x" * 1_000_000}).encode(), "JSON object"),
    "20 MB": (b"{" + b" " * 20_000_000 + b"}", "JSON object"),
    "20 MB of white space": (b" " * 20_000_000, "`aggregation` is missing"),
    "bytes that are not UTF-8": (b'{"aggregation": "\xff\xfe"}', "JSON"),
    "a UTF-16 byte order mark": (b"\xff\xfe{}", "JSON"),
    "a NUL": (b"\x00", "JSON"),
    "a NUL in a field": (b'{"aggregation": "granular\\u0000", "frequency": "daily"}', "`aggregation`"),
    "lone surrogates": (b'{"aggregation": "\\ud800"}', "`aggregation`"),
    "nothing": (b"", "`aggregation` is missing"),
    "white space": (b" \n", "`aggregation` is missing"),
}
"""Row -> the body, and what the refusal must say."""

FIELDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "aggregation null": ({"aggregation": None}, "aggregation", '"interaction" or "granular"'),
    "aggregation unknown": ({"aggregation": "both"}, "aggregation", '"interaction" or "granular"; got "both"'),
    "aggregation empty": ({"aggregation": ""}, "aggregation", '"interaction"'),
    "aggregation in capitals": ({"aggregation": "Granular"}, "aggregation", '"interaction"'),
    "aggregation in a list": ({"aggregation": ["granular"]}, "aggregation", '"interaction"'),
    "aggregation an object": ({"aggregation": {}}, "aggregation", '"interaction"'),
    "frequency unknown": ({"frequency": "hourly"}, "frequency", '"daily" or "weekly" or "monthly"'),
    "frequency a number": ({"frequency": 1}, "frequency", '"daily"'),
    "date in German notation": ({"date": "01.04.2022"}, "date", "YYYY-MM-DD"),
    "date without zeros": ({"date": "2022-4-1"}, "date", "YYYY-MM-DD"),
    "date without dashes": ({"date": "20220401"}, "date", "YYYY-MM-DD"),
    "date by week": ({"date": "2022-W14-5"}, "date", "YYYY-MM-DD"),
    "no such day": ({"date": "2022-02-29"}, "date", "YYYY-MM-DD"),
    "no such month": ({"date": "2022-13-01"}, "date", "YYYY-MM-DD"),
    "the year 0": ({"date": "0000-01-01"}, "date", "YYYY-MM-DD"),
    "date with a time": ({"date": "2022-04-01T00:00:00Z"}, "date", "YYYY-MM-DD"),
    "date with a space": ({"date": " 2022-04-01"}, "date", "YYYY-MM-DD"),
    "date with a year in other digits": ({"date": "２０２２-04-01"}, "date", "YYYY-MM-DD"),
    "date in other digits": ({"date": "２０２２-０４-０１"}, "date", "YYYY-MM-DD"),
    "date with a newline": ({"date": "2022-04-01\n"}, "date", "YYYY-MM-DD"),
    "date a number": ({"date": 20220401}, "date", "YYYY-MM-DD"),
    "date null": ({"date": None}, "date", "YYYY-MM-DD"),
    "from not a date": ({"from": "x", "to": "2022-04-01"}, "from", "YYYY-MM-DD"),
    "to not a date": ({"from": "2022-04-01", "to": "x"}, "to", "YYYY-MM-DD"),
    "span backwards": ({"from": "2022-04-02", "to": "2022-04-01"}, "from", "not be after `to`"),
    "from alone": ({"from": "2022-04-02"}, "from", "`from` together with `to`"),
    "to alone": ({"to": "2022-04-02"}, "to", "`from` together with `to`"),
    "date and last": ({"date": "2022-04-01", "last": 2}, "got date, last", "`last`"),
    "date and span": ({"date": "2022-04-01", "from": "2022-04-01", "to": "2022-04-01"}, "date, from, to", ""),
    "last and span": ({"last": 1, "from": "2022-04-01", "to": "2022-04-01"}, "from, to, last", ""),
    "last 0": ({"last": 0}, "last", "from 1 to 400"),
    "last negative": ({"last": -1}, "last", "from 1 to 400"),
    "last 401": ({"last": 401}, "last", "from 1 to 400"),
    "last huge": ({"last": 10**400}, "last", "from 1 to 400"),
    "last a whole fraction": ({"last": 1.0}, "last", "from 1 to 400"),
    "last a fraction": ({"last": 1.5}, "last", "from 1 to 400"),
    "last a string": ({"last": "7"}, "last", "from 1 to 400"),
    "last true": ({"last": True}, "last", "from 1 to 400"),
    "last null": ({"last": None}, "last", "from 1 to 400"),
    "refresh a string": ({"refresh": "true"}, "refresh", "true or false"),
    "refresh another string": ({"refresh": "yes"}, "refresh", "true or false"),
    "refresh a number": ({"refresh": 1}, "refresh", "true or false"),
    "refresh null": ({"refresh": None}, "refresh", "true or false"),
    "dry_run a string": ({"dry_run": "true"}, "dry_run", "true or false"),
    "dry_run a number": ({"dry_run": 0}, "dry_run", "true or false"),
    "enqueue a string": ({"enqueue": "yes"}, "enqueue", "true or false"),
    "enqueue null": ({"enqueue": None}, "enqueue", "true or false"),
    "last 0 with enqueue": ({"last": 0, "enqueue": True}, "last", "from 1 to 5000"),
    "last 5001 with dry_run": ({"last": 5001, "dry_run": True}, "last", "from 1 to 5000"),
    "ten years of days": ({"from": "2012-01-01", "to": "2021-12-31"}, "span", "more than 400 daily periods"),
    "an unknown field": (
        {"day": "2022-04-01"},
        "day",
        "aggregation, frequency, date, from, to, last, refresh, dry_run, enqueue",
    ),
    "a field in capitals": ({"Date": "2022-04-01"}, "Date", "date, from, to"),
}
"""Row -> fields in addition to DAILY, what the refusal must name, and what it must say is accepted."""

SCHEDULE_TIMES = [
    "", "now", "yesterday", "2022-04-02", "2022-04-02T09:00:00", "2022-13-01T00:00:00Z", "2022-04-02T25:00:00Z", "1648890000",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "9" * 500,
]  # fmt: skip
"""None of them is a valid timestamp."""
