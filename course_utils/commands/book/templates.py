"""The book's own words: templates in assets/, filled in by Jinja, which escapes what it gets."""

import re
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from course_utils.commands.run.report import minutes

ASSETS = files("course_utils.commands.book") / "assets"


def render(template, **values):
    """The template of assets/ with these values."""
    return _environment().get_template(template).render(values)


@cache
def _environment():
    loader = PackageLoader("course_utils.commands.book", "assets")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"hours": hours, "minutes": minutes, "cell": table_cell}
    return environment


def hours(minutes):
    """90 -> "1 h 30 min"."""
    whole, rest = divmod(round(minutes), 60)
    parts = [f"{whole} h" * bool(whole), f"{rest} min" * bool(rest)]
    return " ".join(filter(None, parts))


def table_cell(value):
    """What a Markdown table can hold in one cell; a dash for nothing."""
    return re.sub(r"[\s|]+", " ", str(value or "–"))


def raw_html(text):
    """HTML as MyST passes it through, untouched."""
    return f"```{{raw}} html\n{text}\n```"
