"""What the provider's own code would refuse in a plan, by the rules in rules/google.json.

The stub providers check only types. The rules are copied from the provider's source (August 2026), by dotted path: `one_of`
(enumerations), `ExactlyOneOf`, `AtLeastOneOf`, `ConflictsWith`, `RequiredWith`; and `replaces`, which test_upgrade.py uses.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RULES: dict[str, dict[str, dict[str, Any]]] = json.loads((Path(__file__).parent / "rules/google.json").read_text())
MOCKED = re.compile(r"[a-z0-9]{8}")
"""What mock_provider generates for a computed string."""

Block = dict[str, Any]


def faults(kind: str, values: Block) -> list[str]:
    """Return the faults of a resource of this type, one line each."""
    return [
        f"{kind}.{path}: {fault}" for path, rules in RULES.get(kind, {}).items() for fault in _of(path, rules, values)
    ]


def _of(path: str, rules: dict[str, Any], values: Block) -> Iterator[str]:
    *parents, name = path.split(".")
    for block in _blocks(values, parents):
        if "one_of" in rules and _is_set(block, name):
            for value in _list(block[name]):
                if value not in rules["one_of"]:
                    yield f"{value!r} is none of {', '.join(rules['one_of'])}"
        others = {kind: _siblings(name, rules[kind]) for kind in rules if kind not in {"one_of", "replaces"}}
        for kind, names in others.items():
            set_names = [each for each in names if _is_set(block, each)]
            match kind:
                case "ExactlyOneOf" if len(set_names) != 1:
                    yield f"exactly one of {', '.join(names)}, got {set_names}"
                case "AtLeastOneOf" if not set_names:
                    yield f"at least one of {', '.join(names)}"
                case "ConflictsWith" if name in set_names and len(set_names) > 1:
                    yield f"not together: {', '.join(set_names)}"
                case "RequiredWith" if name in set_names and len(set_names) < len(names):
                    yield f"all or none of {', '.join(names)}, got {set_names}"


def _siblings(name: str, paths: list[str]) -> list[str]:
    """The names in the same block, including `name` itself. In the types in use no rule is about several blocks."""
    return sorted({name, *(path.rsplit(".", maxsplit=1)[-1] for path in paths)})


def _blocks(values: Block, parents: list[str]) -> Iterator[Block]:
    if not parents:
        yield values
        return
    for block in _list(values.get(parents[0])):
        if isinstance(block, dict):
            yield from _blocks(block, parents[1:])


def _list(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _is_set(block: Block, name: str) -> bool:
    """Return whether the configuration sets it; zero values count as not set, as in the provider's own code."""
    if name.endswith("_wo"):  # a plan never has it, only its version
        return bool(block.get(f"{name}_version"))
    value = block.get(name)
    return bool(value) and not (isinstance(value, str) and MOCKED.fullmatch(value))


def replacing(kind: str, values: Block) -> Block:
    """Return the values of a resource that cannot change without recreating it, nested as in the plan."""
    return _picked(values, [path.split(".") for path, rules in RULES.get(kind, {}).items() if rules.get("replaces")])


def _picked(block: Block, paths: list[list[str]]) -> Block:
    found: Block = {}
    for name in sorted({path[0] for path in paths}):
        value, below = block.get(name), [path[1:] for path in paths if path[0] == name and len(path) > 1]
        if value in (None, [], {}):
            continue
        if below and isinstance(value, list):
            found[name] = [_picked(each, below) for each in value]
        elif not (isinstance(value, str) and MOCKED.fullmatch(value)):
            found[name] = value
    return found
