"""Google's own SQL analyzer and reference evaluator, compiled to WebAssembly, as BigQuery would use them.

It refuses what BigQuery refuses, such as a CASE over an INTEGER with STRING labels, which a transpiler accepts.
Compiling it takes 10 to 40 s, loading the result half a second. So the result is cached in the virtual environment, and
a lock lets one process compile while the others wait. Source: PyPI zetasql, google/googlesql.
"""

import fcntl
import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

Columns = Sequence[tuple[str, Any]]
"""Names and types of a table's columns, in order; the types are the analyzer's."""

SIMPLE = {
    "BIGNUMERIC": "TYPE_BIGNUMERIC",
    "BOOL": "TYPE_BOOL",
    "BOOLEAN": "TYPE_BOOL",
    "DATE": "TYPE_DATE",
    "DATETIME": "TYPE_DATETIME",
    "FLOAT": "TYPE_DOUBLE",
    "FLOAT64": "TYPE_DOUBLE",
    "INT64": "TYPE_INT64",
    "INTEGER": "TYPE_INT64",
    "JSON": "TYPE_JSON",
    "NUMERIC": "TYPE_NUMERIC",
    "STRING": "TYPE_STRING",
    "TIME": "TYPE_TIME",
    "TIMESTAMP": "TYPE_TIMESTAMP",
}


class Refused(Exception):
    """The analyzer's error for a statement that BigQuery would not accept."""


@cache
def analyzer() -> Any:
    """Load the analyzer; skip the test if there is none for this machine (wasmtime supports only common ones)."""
    try:
        import wasmtime  # noqa: PLC0415 - the import fails on an unsupported machine
        from zetasql import api, core, types  # noqa: PLC0415 - likewise
        from zetasql.core import wasm_client  # noqa: PLC0415 - likewise
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"Google's SQL analyzer does not run on this machine, its checks are skipped: {error}")

    compiled = Path(sys.prefix) / f"zetasql-{version('zetasql')}-wasmtime-{version('wasmtime')}.compiled"

    class CachedModule:
        """Replaces wasmtime.Module where the client loads its program."""

        @staticmethod
        def from_file(engine: Any, path: str) -> Any:
            with compiled.with_suffix(".lock").open("w") as lock:  # one process compiles, the others wait for it
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not compiled.exists():
                    partial = compiled.with_suffix(".part")
                    partial.write_bytes(wasmtime.Module.from_file(engine, path).serialize())
                    partial.rename(compiled)
            return wasmtime.Module.deserialize_file(engine, str(compiled))

    wasm_client.Module = CachedModule
    return api, core, types


def simple(name: str) -> Any:
    """The analyzer's type for the name of a type in a table's schema."""
    api, _, types = analyzer()
    return api.TypeFactory.create_simple_type(types.TypeKind[SIMPLE[name]])


def column_type(field: Mapping[str, Any]) -> Any:
    """The analyzer's type for a field of a BigQuery schema; it may be repeated, and a record."""
    api, _, _ = analyzer()
    if field["type"] == "RECORD":
        kind = api.TypeFactory.create_struct_type([(part["name"], column_type(part)) for part in field["fields"]])
    else:
        kind = simple(field["type"])
    return api.TypeFactory.create_array_type(kind) if field.get("mode") == "REPEATED" else kind


class GoogleSql:
    """The analyzer with BigQuery's dialect, for readers whose default time zone is `time_zone`."""

    def __init__(self, time_zone: str) -> None:
        api, core, types = analyzer()
        self._api, self._core, self._types = api, core, types
        language = types.LanguageOptions.maximum_features()
        language.product_mode = types.ProductMode.PRODUCT_EXTERNAL
        language.supported_statement_kinds = [
            types.ResolvedNodeKind[f"RESOLVED_{kind}_STMT"]
            for kind in ("QUERY", "CREATE_VIEW", "CREATE_TABLE", "CREATE_TABLE_AS_SELECT", "DELETE", "INSERT")
        ]
        self._language = language
        self._options = types.AnalyzerOptions(language_options=language, default_timezone=time_zone)

    def analyze(self, statement: str, tables: Mapping[str, Columns], pseudo: Mapping[str, Columns]) -> Any:
        """Return the resolved statement. Raises Refused. `pseudo` are columns of a table that `*` does not select."""
        types = self._types
        catalog = self._api.CatalogBuilder("bigquery").with_builtin_functions(
            types.ZetaSQLBuiltinFunctionOptions(language_options=self._language)
        )
        for name, columns in tables.items():
            hidden = pseudo.get(name, ())
            catalog.add_table(
                types.SimpleTable(
                    name=name,
                    column=[
                        types.SimpleColumn(name=column, type=kind, is_writable_column=True) for column, kind in columns
                    ]
                    + [types.SimpleColumn(name=column, type=kind, is_pseudo_column=True) for column, kind in hidden],
                )
            )
        try:
            return self._api.Analyzer(self._options, catalog.build()).analyze_statement(statement)
        except self._core.ServerError as error:
            raise Refused(str(error)) from error

    def created_view(
        self, query: str, tables: Mapping[str, Columns], pseudo: Mapping[str, Columns] | None = None
    ) -> Columns:
        """Return the columns of a view with this query. Raises Refused if BigQuery would not create it."""
        view = self.analyze(f"CREATE VIEW created AS {query}", tables, pseudo or {})
        return [(column.name, column.column.type) for column in view.output_column_list]

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a query that reads no table, with JSON values. Raises Refused."""
        types = self._types
        catalog = self._api.CatalogBuilder("bigquery").with_builtin_functions(
            types.ZetaSQLBuiltinFunctionOptions(language_options=self._language)
        )
        prepared = (
            self._api.PreparedQuery.builder()
            .set_sql(f"SELECT TO_JSON_STRING(result) FROM (\n{query}\n) AS result")
            .set_analyzer_options(self._options)
            .set_catalog(catalog.build())
        )
        try:
            with prepared.prepare() as run:
                content = run.execute().content
        except self._core.ServerError as error:
            raise Refused(str(error)) from error
        if content.table_data is None:  # no rows
            return []
        return [json.loads(row.cell[0].string_value) for row in content.table_data.row]
