"""Made-up reports: the same aggregation, file prefix, shard and number of rows produce the same bytes.

[pure] They contain counts, as the real reports do: a row is one combination of the text columns, and `total` or
`number` says how often it occurred. So sum the counts; the number of rows means nothing.

Documented by Usercentrics: `consent` (0 opt-out, 1 opt-in), `action` (0..8), the event types' names, bots in
granular analytics as action 4. Likely, since a public connector reads such files: the columns, their order and types, a
country that may be empty. Likely, from Usercentrics' own software and pages: the numbers of the event types, and `bot`
as the browser of bots. A guess, since none is published: weekly and monthly files; here `day` is the period's first day
and the counts are larger. Invented: every name of a service, host, system and browser, and how often each value occurs.
A few rows have unknown codes, as a later version of the consent banner may write them.
"""

import random
from collections.abc import Iterator
from datetime import date

HEADERS = {
    "interaction": "day,event_type,settings_id,host,country,browser,device_type,os,number",
    "granular": "day,settings_id,dps_id,consent,action,total,country,os,browser",
}
CMP_SHOWN, ACCEPTS, DENIES, SAVES = 1, (2, 5, 8), (3, 6, 9), (4, 7, 10)
"""Values of `event_type`: the banner was shown; accept all, deny all and save, each without a layer, on L1 and L2."""
_EVENT_WEIGHTS = (1, 600, 30, 20, 10, 200, 120, 30, 40, 30, 20, 5, 10, 40, 30, 10, 10, 2, 2)
"""By `event_type` 0..17; the last one is an unknown code."""
OPT_IN_RATES = (1.0, 0.0, 0.5, 0.1, 0.9, 0.6, 0.4, 0.55, 0.6, 0.5)
"""The probability that `consent` is 1, by `action` 0..8; the last one is an unknown code.

Accept All (0) is always an opt-in, Deny All (1) never; the other values are invented.
"""
_ACTION_WEIGHTS = (300, 180, 10, 350, 40, 20, 20, 60, 20, 2)
_BOT_ACTION = 4
COUNTRIES = ("AT", "BE", "DE", "DK", "ES", "FR", "IT", "NL", "PL", "SE", "")
DEVICES = ("desktop", "mobile", "tablet")
SYSTEMS = ("Android", "Linux", "Windows", "iOS", "macOS")
BOT = "bot"
BROWSERS = ("Chrome", "Edge", "Firefox", "Safari", BOT)
_BROWSER_WEIGHTS = (50, 10, 10, 27, 3)
BLOCK_ROWS = 20_000
"""A longer report repeats its first rows, this many, so that gigabytes are made as fast as they are written."""

_Row = tuple[str, int, str]
"""The text before the count, the count's mean on one day, the text after the count."""


def report(aggregation: str, file_prefix: str, shard: int, *, rows: int, least_bytes: int = 0) -> Iterator[bytes]:
    """The CSV file in blocks, the header first; `rows` rows, or more if `least_bytes` requires it."""
    header = f"{HEADERS[aggregation]}\n".encode()
    yield header
    left_bytes = least_bytes - len(header)
    lines = _lines(aggregation, file_prefix, shard, BLOCK_ROWS if least_bytes else min(rows, BLOCK_ROWS))
    block = "".join(lines).encode()
    while rows > 0 or left_bytes > 0:
        piece = block if rows >= len(lines) or left_bytes > 0 else "".join(lines[:rows]).encode()
        yield piece
        rows -= len(lines)
        left_bytes -= len(piece)


def _lines(aggregation: str, file_prefix: str, shard: int, rows: int) -> list[str]:
    dice = random.Random(f"{file_prefix}/{shard}")  # noqa: S311 - samples, not secrets
    day, days = _days(aggregation, file_prefix)
    row = _interaction_row if aggregation == "interaction" else _granular_row
    combinations: dict[_Row, None] = {}
    while len(combinations) < rows:
        combinations[row(dice)] = None
    return [
        f"{day},{before},{1 + int(dice.expovariate(1 / (mean * days)))}{after}\n"
        for before, mean, after in combinations
    ]


def _days(aggregation: str, file_prefix: str) -> tuple[date, int]:
    """The period's first day, and its number of days."""
    span = file_prefix.removeprefix(f"{aggregation}-")
    start, end = date.fromisoformat(span[:10]), date.fromisoformat(span[-10:])
    return start, (end - start).days + 1


def _interaction_row(dice: random.Random) -> _Row:
    (event_type,) = dice.choices(range(len(_EVENT_WEIGHTS)), _EVENT_WEIGHTS)
    setting, browser = dice.randrange(3), _browser(dice)
    host = f"{dice.choice(('www', 'shop', 'app'))}.example-{setting}.com"
    client = f"{browser},{dice.choice(DEVICES)},{dice.choice(SYSTEMS)}"
    before = f"{event_type},settings-{setting},{host},{dice.choice(COUNTRIES)},{client}"
    return before, 12 if event_type == CMP_SHOWN else 4, ""


def _granular_row(dice: random.Random) -> _Row:
    browser = _browser(dice)
    (action,) = [_BOT_ACTION] if browser == BOT else dice.choices(range(len(_ACTION_WEIGHTS)), _ACTION_WEIGHTS)
    consent = int(dice.random() < OPT_IN_RATES[action])
    before = f"settings-{dice.randrange(3)},service-{dice.randrange(12):02d},{consent},{action}"
    return before, 5, f",{dice.choice(COUNTRIES)},{dice.choice(SYSTEMS)},{browser}"


def _browser(dice: random.Random) -> str:
    (browser,) = dice.choices(BROWSERS, _BROWSER_WEIGHTS)
    return browser
