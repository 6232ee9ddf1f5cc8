"""Answers questions with DuckDB over plaintext rows and judges answers of the product by them.

Reads JSON lines from standard input and writes one for each question. The first line names the tables: for each its CSV
file, its columns with their types, and which columns hold subjects of which kind. Each other line is a question
with the product's answer: `sql`, `rows`, whether everything was `withheld`, and `witness`, another spelling for this
engine, where the question needs one.
The reply lists findings; none means that the answer is right up to declared protection, unless the witness cannot tell.
"""

import json
import sys

import duckdb

import compare
import protection

# Thresholds that an answer may have been held to: none, that of grade L2, that of L3.
SUBJECTS_MIN = (1, 5, 10)


class Tables:
    """The rows in clear, as the witness knows them."""

    def __init__(self, setup):
        self.connection = duckdb.connect(config={"threads": 1})
        self.rounding = setup["rounding"]
        self.steps = setup["steps"]
        self.masks = setup["masks"]
        self.results = {}
        for statement in (
            "SET error_on_division_by_zero = false",
            "SET default_null_order = 'nulls_last'",
            "CREATE SCHEMA corpus",
            "SET search_path = 'corpus'",
            "CREATE MACRO __whole(v) AS typeof(v) IN ('INTEGER', 'BIGINT', 'HUGEINT')",
            "CREATE MACRO __quotient(a, b) AS CASE WHEN b = 0 THEN NULL "
            "WHEN __whole(a) AND __whole(b) THEN CAST(trunc(a / b) AS DOUBLE) ELSE a / b END",
            "CREATE MACRO width_bucket(v, low, high, n) AS CASE WHEN v < low THEN 0 WHEN v >= high THEN n + 1 "
            "ELSE CAST(floor((v - low) * n / (high - low)) AS BIGINT) + 1 END",
        ):
            self.connection.execute(statement)
        for table in setup["tables"]:
            self.read(table)

    def read(self, table):
        types = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in table["columns"]) + "}"
        units = table["units"]
        hidden = "".join(
            f", CAST({column} AS VARCHAR) AS {protection.hidden(kind)}" for column, kind in units.items()
        )
        self.connection.execute(
            f"CREATE TABLE corpus.{table['name']} AS SELECT *{hidden} "
            f"FROM read_csv('{table['file']}', header = true, columns = {types})"
        )
        columns = [name for name, _ in table["columns"]]
        self.results[table["name"]] = protection.Result(bool(units), columns, (), units)

    def result(self, name):
        if name not in self.results:
            raise protection.Unwitnessed(f"table {name}")
        return self.results[name]


def judged(tables, cells, question):
    rewriting = protection.Rewriting(question.get("witness") or question["sql"], tables)
    columns = rewriting.result.columns
    positions = {at for at, name in enumerate(columns) if name in rewriting.result.cells}
    variants = []
    for cells.subjects_min in SUBJECTS_MIN:
        found = tables.connection.execute(rewriting.sql).fetchall()
        variants.append([[compare.cell(value) for value in row] for row in found])
    product = [[compare.cell(value) for value in row] for row in question["rows"]]
    if question["withheld"]:
        findings = compare.not_withheld(variants[-1])
    else:
        findings = compare.judge(product, variants, positions, rewriting)
    return findings, rewriting.sql


def main():
    setup = json.loads(sys.stdin.readline())
    tables = Tables(setup)
    cells = protection.Cells(setup["rounding"])
    cells.install(tables.connection)
    for line in sys.stdin:
        try:
            findings, sql = judged(tables, cells, json.loads(line))
            reply = {"findings": findings, "sql": sql, "cannot_tell": None}
        except Exception as error:
            reply = {"findings": [], "sql": "", "cannot_tell": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
