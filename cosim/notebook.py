"""What scenarios, results and validations look like in a notebook: small tables, names escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def table_html(title: str, header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table with a title.

    Examples
    --------
    >>> table_html("x < y", ["key"], [[1]])
    '<table><caption>x &lt; y</caption><thead><tr><th>key</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape(str(name))}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
