"""Rewrites a question so that another engine answers it as far as declared protection lets the answer out.

Every SELECT that turns rows of subjects into results is a boundary: its aggregates become cells, which are withheld and
rounded by `Cells`, and its groups need enough subjects. What stands below a boundary is computed on raw rows, what
stands above it on cells. It knows the product's rules (thresholds, dominance, steps) and nothing of its code; it parses
with a parser of its own.
"""

import math

import sqlglot
from sqlglot import exp

SETS = (exp.Rollup, exp.Cube, exp.GroupingSets)
CELLS = ("__subjects", "__rows", "__sum", "__mean", "__share")


class Unwitnessed(Exception):
    """A statement that this rewriting does not know; the suite names it, and fails."""


class Cells:
    """The cells of boundaries, with one threshold at a time."""

    def __init__(self, rounding):
        self.rounding = rounding
        self.subjects_min = 1

    def install(self, connection):
        """Makes the functions that rewritten statements call."""
        text, number = "VARCHAR[]", "DOUBLE[]"
        functions = [
            ("__enough", self.enough, [text], "BOOLEAN"),
            ("__subjects", self.subjects, [text], "BIGINT"),
            ("__rows", self.rows, [text], "BIGINT"),
            ("__sum", self.sum, [text, number, "DOUBLE"], "DOUBLE"),
            ("__mean", self.mean, [text, number], "DOUBLE"),
            ("__share", self.share, [text, number], "DOUBLE"),
        ]
        for name, function, types, result in functions:
            connection.create_function(name, function, types, result, null_handling="special")

    def enough(self, units):
        return len({unit for unit in units or [] if unit is not None}) >= self.subjects_min

    def subjects(self, units):
        count = len({unit for unit in units or [] if unit is not None})
        return self.rounded(count) if count >= self.subjects_min else None

    def rows(self, units):
        parts = contributions(units, None)
        if len(parts) < self.subjects_min or self.dominated(parts):
            return None
        return self.rounded(sum(parts.values()))

    def sum(self, units, values, step):
        parts = contributions(units, values)
        if sum(1 for part in parts.values() if part != 0) < self.subjects_min or self.dominated(parts):
            return None
        total = math.fsum(parts.values())
        return nearest(total, step) if step else total

    def mean(self, units, values):
        parts, counts = contributions(units, values), contributions(units, values, rows=True)
        if sum(1 for part in parts.values() if part != 0) < self.subjects_min:
            return None
        if self.dominated(parts) or self.dominated(counts):
            return None
        return three_digits(math.fsum(parts.values()) / sum(counts.values()))

    def share(self, units, values):
        """The mean of an indicator tells no more than the counts that are released."""
        parts, counts = contributions(units, values), contributions(units, values, rows=True)
        if sum(1 for part in parts.values() if part != 0) < self.subjects_min or self.dominated(counts):
            return None
        top, bottom = self.rounded(math.fsum(parts.values())), self.rounded(sum(counts.values()))
        return three_digits(top / bottom) if bottom else None

    def rounded(self, count):
        return int(nearest(count, self.rounding))

    def dominated(self, parts):
        """The two largest hold more than 85 %, or the rest is less than 10 % of the largest."""
        if self.subjects_min <= 1:
            return False
        sizes = sorted((abs(part) for part in parts.values()), reverse=True)
        total, largest, second = sum(sizes), sum(sizes[:1]), sum(sizes[1:2])
        return (largest + second) * 1000 > total * 850 or (total - largest - second) * 10 < largest


def contributions(units, values, rows=False):
    """What each subject brings: rows, or the sum of its values. Rows without a subject bring nothing."""
    parts = {}
    for at, unit in enumerate(units or []):
        value = 1 if values is None else values[at]
        if unit is not None and value is not None:
            parts[unit] = parts.get(unit, 0) + (1 if rows else value)
    return parts


def nearest(value, step):
    """The nearest multiple, ties away from zero."""
    return math.copysign(math.floor(abs(value) / step + 0.5) * step, value)


def three_digits(value):
    if not value:
        return 0.0
    scale = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    return float(f"{nearest(value / scale, 1) * scale:.12g}")


class Result:
    """What a query gives: rows of subjects (`raw`) or not, and which of its columns are cells or units."""

    def __init__(self, raw, columns=(), cells=(), units=()):
        self.raw, self.columns, self.cells, self.units = raw, list(columns), set(cells), dict(units)

    def kinds(self):
        return sorted(set(self.units.values()))


def hidden(kind):
    """The column in which rows carry their subject of a kind."""
    return f"__{kind}"


class Rewriting:
    """One statement as the witness runs it; `sets` says whether it has totals beside their parts."""

    def __init__(self, sql, tables):
        self.tables = tables
        self.loose = False
        self.sets = False
        self.tree = sqlglot.parse_one(sql, read="postgres")
        self.ordered = self.tree.args.get("order") is not None
        self.result = self.query(self.tree, {}, "top")
        for quotient in reversed(list(self.tree.find_all(exp.Div))):
            quotient.replace(exp.func("__quotient", quotient.this, quotient.expression))
        self.sql = self.tree.sql(dialect="duckdb")
        if self.result.raw:
            raise Unwitnessed("the root holds rows of subjects")

    def query(self, node, known, position):
        """Rewrites a query; `from` is where another reads its rows, `inner` where an expression does."""
        known = dict(known)
        for cte in (node.args.get("with_") or exp.With(expressions=[])).expressions:
            known[cte.alias.lower()] = self.query(cte.this, known, "from")
        if isinstance(node, exp.Subquery):
            return self.query(node.this, known, position)
        if isinstance(node, exp.SetOperation):
            left = self.query(node.left, known, position)
            right = self.query(node.right, known, position)
            cells = {left.columns[at] for at, name in enumerate(right.columns) if name in right.cells}
            result = Result(left.raw, left.columns, left.cells | cells, left.units)
            if left.raw != right.raw:
                raise Unwitnessed("a union of rows and results")
        elif isinstance(node, exp.Select):
            result = self.select(node, known, position)
        elif isinstance(node, exp.Values):
            return Result(False, [])
        else:
            raise Unwitnessed(type(node).__name__)
        if not result.raw:
            break_ties(node, result)
        return result

    def select(self, node, known, position):
        """Rewrites a SELECT: over results it stays as it is, over rows it gives rows or is a boundary."""
        sources = self.sources(node, known)
        for inner in inner_queries(node):
            self.inner(inner, known, sources)
        raw = [(alias, result) for alias, result in sources if result.raw]
        if not raw:
            break_ties_of_windows(node, sources)
            return self.projected(node, sources)
        for masked, width in self.tables.masks.items():
            mask(node, masked, width)
        units = {name: kind for _, result in raw for name, kind in result.units.items()}
        subjects = subjects_of(raw)
        groups = [self.resolved(node, group) for group in groups_of(node)]
        self.sets = self.sets or any(isinstance(group, SETS) for group in grouped_by(node))
        aggregates = [found for found in own(node, exp.AggFunc) if is_aggregate(found)]
        if not aggregates and not groups and not node.args.get("distinct"):
            return self.rows(node, sources, subjects, units, position)
        if node.args.get("distinct") and not aggregates and not groups:
            groups = [bare(projection) for projection in node.expressions]
            if not has_unit(groups, units):
                node.set("distinct", None)
                node.set("group", exp.Group(expressions=[group.copy() for group in groups]))
        if has_unit(groups, units):
            own_rows = {kind: exp.func("any_value", subject) for kind, subject in subjects.items()}
            return self.rows(node, sources, own_rows, units, position)
        return self.boundary(node, sources, subjects, units, aggregates, bool(groups))

    def inner(self, node, known, sources):
        """A subquery in an expression: what depends on the row outside is that subject's own."""
        aliases = {alias for alias, result in sources if result.raw}
        inside = {table.alias_or_name.lower() for table in node.find_all(exp.Table)}
        outside = {column.table.lower() for column in node.find_all(exp.Column) if column.table} - inside
        if outside & aliases:
            return
        self.query(node, known, "inner")

    def sources(self, node, known):
        """What a SELECT reads from, by alias."""
        found = []
        items = [node.args["from_"].this] if node.args.get("from_") else []
        items += [join.this for join in node.args.get("joins") or []]
        for item in items:
            if isinstance(item, exp.Table):
                name = item.name.lower()
                result = known.get(name) or self.tables.result(name)
            elif isinstance(item, (exp.Subquery, exp.Values)):
                result = self.query(item.this if isinstance(item, exp.Subquery) else item, known, "from")
            else:
                raise Unwitnessed(type(item).__name__)
            if item.args.get("joins"):
                raise Unwitnessed("a join in brackets")
            if not item.alias_or_name:
                item.set("alias", exp.TableAlias(this=exp.to_identifier(f"__t{len(found)}")))
            found.append((item.alias_or_name.lower(), result))
        return found

    def resolved(self, node, group):
        """A group key that is a number or an alias, as its expression."""
        if isinstance(group, exp.Literal) and not group.is_string:
            return bare(node.expressions[int(group.this) - 1])
        if isinstance(group, exp.Column) and not group.table:
            for projection in node.expressions:
                if isinstance(projection, exp.Alias) and projection.alias.lower() == group.name.lower():
                    return projection.this
        return group

    def rows(self, node, sources, subjects, units, position):
        """Rows of subjects stay rows, and carry their units to whoever reads them."""
        result = self.projected(node, sources)
        result.raw = True
        result.units = {hidden(kind): kind for kind in subjects}
        for projection in node.expressions:
            column = bare(projection)
            if isinstance(column, exp.Column) and column.name.lower() in units:
                result.units[projection.alias_or_name.lower()] = units[column.name.lower()]
        if position == "from":
            for kind, subject in subjects.items():
                node.append("expressions", exp.alias_(subject.copy(), hidden(kind)))
        return result

    def projected(self, node, sources):
        """The columns of a SELECT, and which of them are made of cells."""
        columns, cells = [], set()
        for at, projection in enumerate(node.expressions):
            if isinstance(projection, exp.Star):
                for _, result in sources:
                    columns += result.columns
                    cells |= result.cells
                continue
            name = (projection.alias_or_name or f"column {at}").lower()
            columns.append(name)
            if self.is_cell(projection, sources):
                cells.add(name)
                self.loose = self.loose or projection.find(exp.Div) is not None
        return Result(False, columns, cells)

    def is_cell(self, node, sources):
        if any(found.name in CELLS for found in node.find_all(exp.Anonymous)):
            return True
        if any(node.find_all(exp.Window, exp.AggFunc)):
            return True
        for column in node.find_all(exp.Column):
            for alias, result in sources:
                if column.table.lower() in ("", alias) and column.name.lower() in result.cells:
                    return True
        return False

    def boundary(self, node, sources, subjects, units, aggregates, grouped):
        """Turns rows into results: cells for aggregates, and no group of too few."""
        for aggregate in aggregates:
            target, condition = aggregate, None
            if isinstance(aggregate.parent, exp.Filter):
                target, condition = aggregate.parent, aggregate.parent.expression.this
            target.replace(self.cell(aggregate, condition, subjects, units))
        if grouped:
            enough = exp.and_(*[exp.func("__enough", listed(subject)) for subject in subjects.values()])
            having = node.args.get("having")
            node.set("having", exp.Having(this=exp.and_(having.this, enough) if having else enough))
        result = self.projected(node, sources)
        result.raw = False
        return result

    def cell(self, aggregate, condition, subjects, units):
        """A cell in which each kind of subject is enough; its value is that of the kind it counts, or of the first."""
        value = aggregate.this
        if isinstance(aggregate, exp.Count) and isinstance(value, exp.Distinct):
            value = value.expressions[0]
            column = inner_value(value)
            if not has_unit([column], units):
                raise Unwitnessed("distinct values that are no subjects")
            counted = units[column.name.lower()]
            condition = both(condition, present(value))
            cells = {kind: exp.func("__subjects", listed(subject, condition)) for kind, subject in subjects.items()}
        else:
            counted = next(iter(subjects))
            if not isinstance(value, (exp.Star, exp.Literal)):
                condition = both(condition, present(value))
            cells = {kind: self.number(aggregate, value, condition, subject) for kind, subject in subjects.items()}
        others = [present(cell) for kind, cell in cells.items() if kind != counted]
        return exp.case().when(exp.and_(*others), cells[counted]) if others else cells[counted]

    def number(self, aggregate, value, condition, subject):
        """A count of rows, a sum, a mean or a share, as far as one kind of subject lets it out."""
        units = listed(subject, condition)
        if isinstance(aggregate, exp.Count):
            return exp.func("__rows", units)
        if not isinstance(aggregate, (exp.Sum, exp.Avg)):
            raise Unwitnessed(f"{aggregate.sql()} at a boundary")
        values = listed(exp.cast(value.copy(), "double"), condition)
        if constants(value):
            indicator = all(result.name in ("0", "1") for result in results_of(value))
            self.loose = self.loose or not indicator or isinstance(aggregate, exp.Avg)
            if isinstance(aggregate, exp.Avg):
                return exp.func("__share", units, values)
            return exp.func("__sum", units, values, exp.Literal.number(self.tables.rounding))
        if isinstance(aggregate, exp.Avg):
            self.loose = self.loose or not is_measure(value)
            return exp.func("__mean", units, values)
        # What is no measure is a count of each subject's rows, and is rounded as counts are.
        step = self.tables.steps.get(measure(value), self.tables.rounding) if is_measure(value) else 0
        self.loose = self.loose or not step
        return exp.func("__sum", units, values, exp.Literal.number(step))


def inner_queries(node):
    """Subqueries in the expressions of a SELECT, not those it reads from."""
    found = []

    def walk(part):
        if isinstance(part, (exp.Select, exp.SetOperation)):
            found.append(part)
            return
        for child in part.iter_expressions():
            walk(child)

    for name, value in node.args.items():
        if name in ("from_", "joins", "with_"):
            for join in (value if name == "joins" else []) or []:
                if join.args.get("on"):
                    walk(join.args["on"])
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, exp.Expression):
                walk(part)
    return found


def own(node, kind):
    """Expressions of a SELECT itself, outside its subqueries, innermost last."""
    found = []

    def walk(part):
        if isinstance(part, kind):
            found.append(part)
        for child in part.iter_expressions():
            if not isinstance(child, (exp.Query, exp.From, exp.Join, exp.With)):
                walk(child)

    walk(node)
    return found


def is_aggregate(node):
    if isinstance(node, exp.Grouping):
        return False
    parent = node.parent
    while isinstance(parent, (exp.Filter, exp.IgnoreNulls, exp.RespectNulls)):
        parent = parent.parent
    if isinstance(parent, exp.Window) and parent.this.find(type(node)) is node:
        return False
    return not isinstance(node, (exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue, exp.RowNumber))


def grouped_by(node):
    """What stands behind GROUP BY, as written."""
    group = node.args.get("group")
    return group.expressions if group else []


def groups_of(node):
    """The keys of groups; of sets of groups, those of all sets."""
    return keys(grouped_by(node))


def keys(parts):
    found = []
    for part in parts:
        inside = part.expressions if isinstance(part, (*SETS, exp.Tuple)) else None
        inside = [part.this] if isinstance(part, exp.Paren) else inside
        found += [part] if inside is None else keys(inside)
    return found


def subjects_of(raw):
    """For each kind of subject the expression that names it, whichever table has it."""
    found = {}
    for kind in sorted({kind for _, result in raw for kind in result.kinds()}, reverse=True):
        columns = [exp.column(hidden(kind), table=alias) for alias, result in raw if kind in result.kinds()]
        found[kind] = columns[0] if len(columns) == 1 else exp.func("coalesce", *columns)
    return found


def has_unit(expressions, units):
    return any(isinstance(part, exp.Column) and part.name.lower() in units for part in expressions)


def bare(projection):
    return projection.this if isinstance(projection, exp.Alias) else projection


def inner_value(value):
    """The value of a CASE without other branches."""
    if isinstance(value, exp.Case) and len(value.args["ifs"]) == 1 and not value.args.get("default"):
        return value.args["ifs"][0].args["true"]
    return value


def present(value):
    return exp.Not(this=exp.Is(this=exp.paren(value.copy()), expression=exp.null()))


def both(first, second):
    return second if first is None else exp.and_(first.copy(), second)


def listed(value, condition=None):
    found = exp.func("list", value.copy())
    if condition is None:
        return found
    return exp.Filter(this=found, expression=exp.Where(this=condition.copy()))


def results_of(value):
    """The values that an expression can be: of a CASE those of its branches."""
    value = value.unnest() if isinstance(value, exp.Paren) else value
    if isinstance(value, exp.Case):
        branches = [branch.args["true"] for branch in value.args["ifs"]]
        branches += [value.args["default"]] if value.args.get("default") else []
        return [result for branch in branches for result in results_of(branch)]
    return [] if isinstance(value, exp.Null) else [value]


def constants(value):
    """Says whether a value is one of a few constants: an indicator, or a weight of cases."""
    return all(isinstance(result, exp.Literal) for result in results_of(value))


def is_measure(value):
    """One bare column, perhaps under a condition."""
    results = [result for result in results_of(value) if not isinstance(result, exp.Literal)]
    return len({result.sql() for result in results}) == 1 and isinstance(results[0], exp.Column)


def measure(value):
    return next(result.name.lower() for result in results_of(value) if isinstance(result, exp.Column))


def mask(node, column, width):
    """A bare masked column that is shown or grouped by is shown and grouped by its bin."""
    group = node.args.get("group")
    for part in node.expressions + (group.expressions if group else []):
        inner = bare(part)
        if isinstance(inner, exp.Column) and inner.name.lower() == column:
            binned = exp.func("floor", exp.Div(this=inner.copy(), expression=exp.Literal.number(width))) * width
            part.replace(exp.alias_(binned, part.alias_or_name) if part in node.expressions else binned)


def break_ties_of_windows(node, sources):
    """Windows that count rows see rows of one order in that of all columns; others see peers."""
    by_place = (exp.RowNumber, exp.Ntile, exp.Lag, exp.Lead, exp.FirstValue, exp.NthValue)
    for window in own(node, exp.Window):
        spec = window.args.get("spec")
        if not window.this.find(*by_place) and not (spec and spec.args.get("kind") == "ROWS"):
            continue
        order = window.args.get("order") or exp.Order(expressions=[])
        for alias, result in sources:
            for name in result.columns:
                order.append("expressions", exp.Ordered(this=exp.column(name, table=alias), nulls_first=False))
        window.set("order", order)


def break_ties(node, result):
    """Rows of results have one order: as asked, then by all columns."""
    if node.args.get("limit") is None and node.args.get("order") is None:
        return
    order = node.args.get("order") or exp.Order(expressions=[])
    for at in range(len(result.columns)):
        order.append("expressions", exp.Ordered(this=exp.Literal.number(at + 1), nulls_first=False))
    node.set("order", order)
