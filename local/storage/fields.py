"""[pure] Google's partial answers: `fields=items(name,size),nextPageToken` keeps only the fields that it names.

This matters: a listing whose `fields` omits nextPageToken ends after its first page, here as in Cloud Storage.
"""

Tree = dict[str, "Tree"]


class WrongFieldsError(ValueError):
    """The expression is invalid."""


def select(value: object, fields: str | None) -> object:
    """Return the fields of `value` (parsed JSON) that `fields` names; all of them for None, "" and "*"."""
    return value if not fields else _keep(value, parse(fields))


def parse(fields: str) -> Tree:
    """`a,b(c,d/e)` -> `{"a": {}, "b": {"c": {}, "d": {"e": {}}}}`; an empty tree keeps everything below."""
    tree, rest = _parse_list(fields.replace(" ", ""))
    if rest:
        raise WrongFieldsError(f"Invalid field selection {fields}")
    return tree


def _parse_list(text: str) -> tuple[Tree, str]:
    tree: Tree = {}
    while text:
        size = next((i for i, letter in enumerate(text) if letter in ",()"), len(text))
        *folders, name = text[:size].split("/")
        if not name:
            raise WrongFieldsError("Invalid field selection: a name is missing")
        text = text[size:]
        below: Tree = {}
        if text.startswith("("):
            below, text = _parse_list(text[1:])
            if not text.startswith(")"):
                raise WrongFieldsError("Invalid field selection: ) is missing")
            text = text[1:]
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = below
        if not text.startswith(","):
            break
        text = text[1:]
    return tree, text


def _keep(value: object, tree: Tree) -> object:
    if not tree or "*" in tree:
        return value
    if isinstance(value, list):
        return [_keep(item, tree) for item in value]
    if isinstance(value, dict):
        return {name: _keep(value[name], below) for name, below in tree.items() if name in value}
    return value
