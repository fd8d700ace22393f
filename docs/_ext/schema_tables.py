"""Directive ``schema-table``: the variables and attributes of a kind of store."""

from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from hifive_dask.schema import STORES


def _table(head: list[str], rows: list[list[str]]) -> nodes.table:
    table = nodes.table()
    group = nodes.tgroup(cols=len(head))
    table += group
    group += [nodes.colspec(colwidth=1) for _ in head]

    def row_of(cells: list[str]) -> nodes.row:
        row = nodes.row()
        for k, cell in enumerate(cells):
            text: nodes.Node = nodes.literal(text=cell) if k == 0 else nodes.Text(cell)
            paragraph = nodes.paragraph()
            paragraph += text
            row += nodes.entry("", paragraph)
        return row

    group += nodes.thead("", row_of(head))
    group += nodes.tbody("", *map(row_of, rows))
    return table


class SchemaTable(Directive):
    """The tables of one store."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        schema = STORES[self.arguments[0]]
        variables = [
            [
                v.name,
                ", ".join(v.dims),
                " or ".join([v.dtype, *v.other_dtypes]),
                v.units,
                v.description,
            ]
            for v in schema
        ]
        attributes = [[name, text] for name, text in schema.attributes.items()]
        return [
            _table(["variable", "dimensions", "dtype", "units", "meaning"], variables),
            _table(["attribute", "meaning"], attributes),
        ]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("schema-table", SchemaTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
