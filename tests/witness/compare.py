"""Compares an answer of the product with those of the witness, row by row and cell by cell."""

import datetime
import decimal

EXACT = 1e-9
# What quotients, shares and combinations of cells may differ by: their parts are rounded before or after.
LOOSE = 0.01


def cell(value):
    """A value as both sides write it: nothing, a number, or text; midnight is its day."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float, decimal.Decimal)):
        number = float(value)
        return None if number != number else number
    if isinstance(value, (datetime.datetime, datetime.date)):
        value = value.isoformat()
    text = str(value)
    for midnight in ("T00:00:00", " 00:00:00"):
        text = text.removesuffix(midnight)
    try:
        number = float(text)
    except ValueError:
        return text
    return number if number - number == 0 else text


def agree(one, other, tolerance):
    """Numbers agree up to a relative difference."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= tolerance * max(abs(one), abs(other), 1.0)
    return one == other


def rows_agree(one, other, cells, tolerance):
    """Cells agree up to the tolerance, everything else exactly."""
    return len(one) == len(other) and all(
        agree(a, b, tolerance if at in cells else EXACT) for at, (a, b) in enumerate(zip(one, other))
    )


def order(row):
    """A key that sorts rows: nothing, then numbers, then texts."""
    def place(value):
        if value is None:
            return (0, 0.0, "")
        return (1, value, "") if isinstance(value, float) else (2, 0.0, value)

    return [place(value) for value in row]


def whole(product, witness, cells, tolerance):
    """Says whether two tables hold the same rows."""
    if len(product) != len(witness):
        return False
    left, right = sorted(product, key=order), sorted(witness, key=order)
    if all(rows_agree(a, b, cells, tolerance) for a, b in zip(left, right)):
        return True
    return not unmatched(product, witness, lambda a, b: rows_agree(a, b, cells, tolerance))


def unmatched(rows, candidates, matches):
    """The rows that have no partner; each candidate is a partner once."""
    left, alone = list(candidates), []
    for row in rows:
        at = next((at for at, candidate in enumerate(left) if matches(row, candidate)), None)
        if at is None:
            alone.append(row)
        else:
            left.pop(at)
    return alone


def judge(product, variants, cells, rewriting):
    """What is wrong with an answer. `variants` are the witness's answers, from nothing withheld to most withheld.

    Beside totals the product may withhold more groups than are small. Whether it needs to is judged where that control
    is tested, by whoever computes what the rest tells; here such an answer must hold a row, and its rows must be right.
    """
    tolerance = LOOSE if rewriting.loose else EXACT
    same = [variant for variant in variants if whole(product, variant, cells, tolerance)]
    if same:
        in_order = not rewriting.ordered or any(
            all(rows_agree(a, b, cells, tolerance) for a, b in zip(product, variant)) for variant in same
        )
        return [] if in_order else ["the rows stand in another order than asked for"]
    open_, strict = variants[0], variants[-1]

    def may_be(row, full):
        """The row of the product is the full one, perhaps with cells that the strict one withholds."""
        if len(row) != len(full):
            return False
        return all(
            agree(value, other, tolerance if at in cells else EXACT) or (at in cells and withheld(full, at, value))
            for at, (value, other) in enumerate(zip(row, full))
        )

    def withheld(full, at, value):
        same = [row for row in strict if keys(row) == keys(full)]
        if not same:
            return value is None
        return any(agree(value, row[at], tolerance) for row in same)

    def keys(row):
        exact = [value for at, value in enumerate(row) if at not in cells]
        return [round(value, 6) if isinstance(value, float) else value for value in exact]

    findings = [f"the product alone has {shown(row)}" for row in unmatched(product, open_, may_be)]
    missing = unmatched(strict, product, lambda row, other: keys(row) == keys(other))
    if rewriting.sets and product:
        missing = []
    findings += [f"the witness alone has {shown(row)}" for row in missing]
    if findings and not missing:
        findings += [f"the witness has {shown(row)}" for row in strict[:8]]
    return findings


def not_withheld(strict):
    """What the product withheld although even the strictest threshold lets it out."""
    return [f"the product withholds {shown(row)}" for row in strict if any(value is not None for value in row)]


def shown(row):
    def text(value):
        if value is None:
            return "(nothing)"
        return f"{value:.10g}" if isinstance(value, float) else value

    return " | ".join(text(value) for value in row)
