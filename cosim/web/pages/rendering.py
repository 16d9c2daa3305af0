"""Pages made from templates: everything is escaped, and a name that a template lacks is a defect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from cosim.results import labels
from cosim.web.pages import words

_ENVIRONMENT = Environment(
    loader=PackageLoader("cosim.web.pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_ENVIRONMENT.filters |= {
    "energy": words.format_energy,
    "money": words.format_money,
    "cents": words.format_cents,
    "number": labels.number_house,
    "price": words.format_price,
    "party": words.name_party,
    "kind": words.name_kind,
}
_BASE: Mapping[str, Any] = {
    "csrf": "",
    "key": "",
    "is_operator": False,
    "is_person": False,
    "is_member": False,
    "is_over": False,
    "demo": False,
    "path": "",
    "height": "",
}


def render(template: str, **values: Any) -> HTMLResponse:
    """Answer with a page."""
    return HTMLResponse(_ENVIRONMENT.get_template(template).render({**_BASE, **values}))
