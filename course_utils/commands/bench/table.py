"""The results of a part as a table on the terminal: the same numbers as in bench.json."""

_SIGNS = {"at_least": "≥", "at_most": "≤"}


def print_part(part, console):
    """Print one part of bench.json: a heading, then a few lines for each result."""
    where = (
        f"{part['started']}, {part['cpu_count']} cores, {part['threads']} threads, "
        f"{part['rounds']} rounds, {part['data']}"
    )
    console.print(f"\n[bold]{part['title']}[/]  [dim]({where})[/]", highlight=False)
    for result in part["results"]:
        for line in lines(result):
            style = "red" if line.endswith("missed") else None
            console.print(line, markup=False, highlight=False, style=style, soft_wrap=True)


def lines(result):
    """The lines of one result: what it is, then a row for each side and their ratio."""
    if "not_run" in result:
        return [f"{result['what']}: not run ({result['not_run']})"]
    said = [result["what"]]
    if "note" in result:
        said.append(f"({result['note']})")
    said += ["  " + _aligned(row) for row in rows(result)]
    for side, numbers in result.get("test_acc", {}).items():
        said.append("  " + _aligned((f"test accuracy, {side}", *_figures(numbers), "")))
    return said


def rows(result):
    """(name, median, range, goal) of each side of a result and of their ratio, as text."""
    goal = result.get("goal", {"of": None})
    for name, numbers in result["sides"].items():
        said = _goal(goal) if goal["of"] == name else ""
        yield name, *_figures(numbers, result["unit"]), said
    if "ratio" in result:
        ratio = result["ratio"]
        said = _goal(goal) if goal["of"] == "ratio" else ""
        yield ratio["of"], *_figures(ratio, "×"), said


def figure(value):
    """Three digits, or all those before the point: 0.0123, 1.23, 12.3, 1,230."""
    if abs(value) >= 99.95:  # which is 100 in three digits
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def _aligned(row):
    name, median, between, goal = row
    return f"{name:32}{median:>16}{between:>18}   {goal}".rstrip()


def _figures(numbers, unit=""):
    """Median and range, as text; one number has no range."""
    median = f"{figure(numbers['median'])} {unit}".rstrip()
    if len(numbers["values"]) == 1:
        return median, ""
    return median, f"{figure(numbers['low'])}–{figure(numbers['high'])}"


def _goal(goal):
    (sign, bound), *_ = [(_SIGNS[key], goal[key]) for key in _SIGNS if key in goal]
    return f"goal {sign} {bound:,g}: {'met' if goal['met'] else 'missed'}"
