-- Every row that changes what anybody may do is a record: its body is canonical JSON, the body's SHA-256 stands in the
-- audit log at `event_index`, and a row that the log does not know is not honoured.
CREATE TABLE record (
    kind        TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('staged', 'in_force', 'ending', 'ended')),
    event_index INTEGER,
    ended_index INTEGER,
    PRIMARY KEY (kind, key),
    CHECK (state = 'staged' OR event_index IS NOT NULL),
    CHECK (state <> 'ended' OR ended_index IS NOT NULL)
) STRICT;

CREATE INDEX record_state ON record (state) WHERE state IN ('staged', 'ending');

-- One question and what became of it.
CREATE TABLE job (
    id             TEXT    NOT NULL PRIMARY KEY,
    person         TEXT    NOT NULL,
    purpose        TEXT    NOT NULL,
    door           TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('received', 'refused', 'running', 'released', 'withheld', 'failed')),
    code           TEXT,
    runner         TEXT    NOT NULL,
    received_ms    INTEGER NOT NULL,
    finished_ms    INTEGER,
    sql_key        TEXT,
    verdict        TEXT,
    decided_index  INTEGER,
    finished_index INTEGER,
    result_sha256  TEXT,
    result_key     TEXT,
    release        TEXT,
    CHECK (state = 'received' OR state = 'failed' OR decided_index IS NOT NULL),
    CHECK (state <> 'released' OR (finished_index IS NOT NULL AND result_sha256 IS NOT NULL))
) STRICT;

CREATE INDEX job_person ON job (person, id);
CREATE INDEX job_unfinished ON job (state) WHERE state IN ('received', 'running');
