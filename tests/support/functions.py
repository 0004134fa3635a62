"""Function processes, shared by tests or fresh. All their answers and output are scanned for secrets."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.function import REPOSITORY, Answer, FunctionProcess
from local.stack import Stack
from tests.support.secret_scan import secrets_in

MAIN = REPOSITORY / "main.py"
SHORT_WAITS = Path(__file__).with_name("short_waits.py")


class ScannedFunction(FunctionProcess):
    """Scans every answer at once, and its output in `new_output`, at the latest when it stops."""

    def __init__(self, env: Mapping[str, str], *, source: Path = SHORT_WAITS) -> None:
        """`source` is main.py, or a program that imports from it."""
        super().__init__(dict(env) | {"PYTHONPATH": str(REPOSITORY)}, source=source)
        self._scanned_bytes = 0

    def post(self, *args: Any, **kwargs: Any) -> Answer:
        answer = super().post(*args, **kwargs)
        assert secrets_in(f"{answer.headers}\n{answer.text}") == []
        return answer

    def new_output(self) -> str:
        """The output since the last call; fails if it contains a secret or a traceback."""
        with self.output_path.open("rb") as file:
            file.seek(self._scanned_bytes)
            data = file.read()
        self._scanned_bytes += len(data)
        text = data.decode(errors="replace")
        assert secrets_in(text) == []
        assert "Traceback" not in text
        return text

    def stop(self) -> None:
        self.kill()
        if self.output_path.exists():
            self.new_output()
        super().stop()


StartFunction = Callable[..., ScannedFunction]
"""Takes settings to change, such as STALL_SECONDS="1", and `api_version`."""


class Functions:
    """Function processes for one stack. Shared ones are warm: other tests may have called them."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._exits = ExitStack()
        self._shared: dict[frozenset[tuple[str, object]], ScannedFunction] = {}

    def fresh(
        self, env: Mapping[str, str], *, api_version: str = "v2", has_short_waits: bool = True
    ) -> ScannedFunction:
        """A new function with these settings changed, not yet started."""
        settings = self._stack.function_env(api_version=api_version) | dict(env)
        return ScannedFunction(settings, source=SHORT_WAITS if has_short_waits else MAIN)

    def shared(self, env: Mapping[str, str], *, api_version: str = "v2", instance: int = 1) -> ScannedFunction:
        """A running function with these settings changed: the same for the same settings and instance number."""
        key = frozenset({"api_version": api_version, "instance": instance, **env}.items())
        if key not in self._shared:
            self._shared[key] = self._exits.enter_context(self.fresh(env, api_version=api_version))
        function = self._shared[key]
        return function if function.is_running else function.start()

    def scan(self) -> None:
        """Scan the output of the shared functions since the last scan."""
        for function in self._shared.values():
            function.new_output()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()
