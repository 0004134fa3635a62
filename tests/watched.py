"""The function in its own process, with everything it says searched for what nobody may see."""

import re
from collections.abc import Mapping
from typing import Any

from local.function import Answer, FunctionProcess
from local.stack import API_KEY

TOLD_TO_NOBODY = re.compile(
    rf"{API_KEY}|[\w-]*secret-key[\w-]*|x-goog-(?:signature|credential)|upload_id|[a-z]+://[^\s\"']*\?\S+=",
    re.IGNORECASE,
)
"""The key (tests that rotate it call the other one some-secret-key), a link's query, an upload session's address."""


def told_secrets(text: str) -> list[str]:
    """What stands in the text though it must not, with a little of what is around it."""
    return [text[max(0, match.start() - 60) : match.end() + 20] for match in TOLD_TO_NOBODY.finditer(text)]


class WatchedFunction(FunctionProcess):
    """Every answer is searched at once, every line of its output at the latest when it stops."""

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__(env)
        self._seen_chars = 0

    def post(self, *args: Any, **kwargs: Any) -> Answer:
        answer = super().post(*args, **kwargs)
        assert told_secrets(f"{answer.headers}\n{answer.text}") == []
        return answer

    def new_output(self) -> str:
        """What it wrote since the last call; fails if it told a secret."""
        output = self.output()
        fresh, self._seen_chars = output[self._seen_chars :], len(output)
        assert told_secrets(fresh) == []
        return fresh

    def stop(self) -> None:
        super().stop()
        assert told_secrets(self.output()) == []
