"""Made-up reports: the same aggregation, file prefix, shard and number of rows give the same bytes.

[pure] What Usercentrics documents is here: the event types of interaction analytics, and `consent` (0
opt-out, 1 opt-in) and `action` (0..8) of granular analytics. Every other column is a sample: the real ones
are not documented, so nothing may rely on them. No column is called `start_date`, which is the name of the
partition in BigQuery.
"""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

EVENT_TYPES = (
    "CMP_SHOWN",
    "ACCEPT_ALL_L1",
    "DENY_ALL_L1",
    "SAVE_L1",
    "ACCEPT_ALL_L2",
    "DENY_ALL_L2",
    "SAVE_L2",
    "CCPA_TOGGLES_OFF",
    "CCPA_TOGGLES_ON",
    "PRIVACY_POLICY_LINK",
    "IMPRINT_LINK",
    "MORE_INFORMATION_LINK",
)
_EVENT_WEIGHTS = (60, 20, 12, 3, 4, 3, 2, 1, 1, 3, 1, 4)
OPT_IN_RATES = {0: 1.0, 1: 0.0, 2: 0.5, 3: 0.1, 4: 0.9, 5: 0.6, 6: 0.4, 7: 0.55, 8: 0.6}
"""How often `consent` is 1, by `action`.

All of Accept All (0), none of Deny All (1), samples for the rest.
"""
_ACTION_WEIGHTS = (30, 18, 1, 35, 4, 2, 2, 6, 2)
HEADERS = {
    "interaction": "event_time,setting_id,domain,country,device,event_type",
    "granular": "event_time,setting_id,controller_id,country,service,action,consent",
}
COUNTRIES = ("AT", "BE", "DE", "DK", "ES", "FR", "IT", "NL", "PL", "SE")
DEVICES = ("desktop", "mobile", "tablet")
BLOCK_ROWS = 20_000
"""So many rows are unique.

A longer report repeats them, so that gigabytes are made as fast as they are written.
"""


def report(aggregation: str, file_prefix: str, shard: int, *, rows: int, least_bytes: int = 0) -> Iterator[bytes]:
    """The CSV file in blocks, first its header.

    It has `rows` rows, more when it takes more to reach `least_bytes`.
    """
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
    start = datetime.combine(_first_day(aggregation, file_prefix), datetime.min.time(), tzinfo=UTC)
    line = _interaction_line if aggregation == "interaction" else _granular_line
    return [f"{_moment(dice, start)},setting-{dice.randrange(3)},{line(dice)}\n" for _ in range(rows)]


def _first_day(aggregation: str, file_prefix: str) -> date:
    return date.fromisoformat(file_prefix.removeprefix(f"{aggregation}-")[:10])


def _moment(dice: random.Random, start: datetime) -> str:
    return (start + timedelta(seconds=dice.randrange(86_400))).strftime("%Y-%m-%dT%H:%M:%SZ")


def _interaction_line(dice: random.Random) -> str:
    (event_type,) = dice.choices(EVENT_TYPES, _EVENT_WEIGHTS)
    return f"www.example.com,{dice.choice(COUNTRIES)},{dice.choice(DEVICES)},{event_type}"


def _granular_line(dice: random.Random) -> str:
    (action,) = dice.choices(range(9), _ACTION_WEIGHTS)
    consent = int(dice.random() < OPT_IN_RATES[action])
    controller_id, service = f"{dice.getrandbits(64):016x}", f"service-{dice.randrange(12)}"
    return f"{controller_id},{dice.choice(COUNTRIES)},{service},{action},{consent}"
