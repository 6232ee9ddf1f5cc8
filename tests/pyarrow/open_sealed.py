"""Opens sealed files with PyArrow and says whether they open as far as they should, and no further.

Reads one JSON object from standard input: a list of cases with path, key and AAD prefix in hex, and what to expect.
It knows nothing of the product but its files.
"""

import json
import sys

import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption


def opened(case):
    """Returns the file as PyArrow opens it with the key and prefix of the case."""
    properties = encryption.create_decryption_properties(
        footer_key=bytes.fromhex(case["key"]), aad_prefix=bytes.fromhex(case["aad_prefix"])
    )
    return pq.ParquetFile(case["path"], decryption_properties=properties)


def refuses(work):
    """Says whether the work fails, as it must without the right key."""
    try:
        work()
    except Exception:
        return True
    return False


def check_rows(case):
    """Every value is as it was written; without a key, or with another place's prefix, nothing opens."""
    table = opened(case).read()
    assert table.to_pydict() == case["rows"], table.to_pydict()
    assert refuses(lambda: pq.read_table(case["path"])), "it opens without a key"
    moved = dict(case, aad_prefix=case["aad_prefix"] + "00")
    assert refuses(lambda: opened(moved).read()), "it opens as another part"


def check_footer_only(case):
    """The footer opens with its key: names and number of rows. No column does."""
    file = opened(case)
    assert file.schema_arrow.names == case["columns"], file.schema_arrow.names
    assert file.metadata.num_rows == case["row_count"], file.metadata.num_rows
    for column in case["columns"]:
        assert refuses(lambda: opened(case).read(columns=[column])), f"{column} opens with the footer key"


def check_nothing(case):
    """Not even the footer opens without the right key, and the file says that it is encrypted."""
    with open(case["path"], "rb") as file:
        assert file.read(4) == b"PARE", "the file does not begin as an encrypted one"
    assert refuses(lambda: pq.ParquetFile(case["path"])), "it opens without a key"
    wrong = dict(case, key="00" * 32)
    assert refuses(lambda: opened(wrong)), "it opens with another key"


CHECKS = {"rows": check_rows, "footer": check_footer_only, "nothing": check_nothing}

for case in json.load(sys.stdin)["cases"]:
    CHECKS[case["expect"]](case)
print("PyArrow opened what it should and nothing else")
