"""What `make demo` prints: each call as a curl line, a summary of its answer, the checks that fail."""

import json
import shlex
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from local.function import Answer, FunctionProcess


@dataclass
class DemoOutput:
    """Prints calls and answers, and collects the checks that fail."""

    function: FunctionProcess
    failed: list[str] = field(default_factory=list)

    def title(self, text: str) -> None:
        """Print the title of a step, after an empty line."""
        say(f"\n{text}")

    def call(self, fields: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Answer:
        """Call the function; print the call as a curl line, and a summary of the answer."""
        body = json.dumps(fields)
        options = "".join(f" -H {shlex.quote(f'{name}: {value}')}" for name, value in (headers or {}).items())
        say(f"$ curl{options} -d {shlex.quote(body)} {self.function.url}")
        answer = self.function.post(raw=body.encode(), headers=headers)
        say(f"  {_summary(answer)}")
        return answer

    def expect(self, what: str, *, passes: bool) -> None:
        """Print and collect a check that fails."""
        if not passes:
            self.failed.append(what)
            say(f"  FAILED: {what}")


def say(text: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _exports(answer: Answer) -> list[dict[str, object]]:
    exports = answer.json().get("exports")
    return exports if isinstance(exports, list) else []


def _first_export(answer: Answer) -> dict[str, object]:
    return next(iter(_exports(answer)), {})


def counts_of(answer: Answer) -> dict[str, int]:
    """Return how many periods have each status."""
    return Counter(str(export["status"]) for export in _exports(answer))


def status_of(answer: Answer) -> tuple[int, object]:
    """Return the HTTP status, and the status of the first period."""
    return answer.status, _first_export(answer).get("status")


def _summary(answer: Answer) -> str:
    export = _first_export(answer)
    problem = answer.json()
    counts = counts_of(answer)
    if answer.status in {200, 202} and sum(counts.values()) > 1:
        periods = ", ".join(f"{count} {status}" for status, count in counts.items())
        return f"-> {answer.status} {periods}, {answer.seconds:.2f} s"
    if answer.status != 200:  # noqa: PLR2004 - a plain HTTP status
        retry_after = answer.headers.get("Retry-After", "-")
        return f"-> {answer.status} {problem.get('type')} (Retry-After: {retry_after}): {problem.get('detail')}"
    return (
        f"-> 200 {export.get('status')}: {export.get('file_prefix')}, {export.get('objects')} objects, "
        f"{export.get('bytes'):,} bytes, {export.get('bytes_copied'):,} of them copied, {answer.seconds:.2f} s"
    )
