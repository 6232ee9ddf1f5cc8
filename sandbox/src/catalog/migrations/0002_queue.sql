-- Jobs that wait, are checked, cancelled or expired; and requests that may be repeated without asking twice. A CHECK
-- cannot be altered, so the table is made anew.
CREATE TABLE job_with_queue (
    id              TEXT    NOT NULL PRIMARY KEY,
    person          TEXT    NOT NULL,
    purpose         TEXT    NOT NULL,
    door            TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN (
        'received', 'refused', 'queued', 'running', 'checking', 'released', 'withheld', 'failed', 'cancelled', 'expired'
    )),
    code            TEXT,
    runner          TEXT    NOT NULL,
    received_ms     INTEGER NOT NULL,
    finished_ms     INTEGER,
    sql_key         TEXT,
    verdict         TEXT,
    decided_index   INTEGER,
    finished_index  INTEGER,
    result_sha256   TEXT,
    result_key      TEXT,
    release         TEXT,
    idempotency_key TEXT,
    request_sha256  TEXT,
    CHECK (state IN ('received', 'failed') OR decided_index IS NOT NULL),
    CHECK (state NOT IN ('released', 'expired') OR (finished_index IS NOT NULL AND result_sha256 IS NOT NULL)),
    CHECK ((idempotency_key IS NULL) = (request_sha256 IS NULL)),
    UNIQUE (person, idempotency_key)
) STRICT;

INSERT INTO job_with_queue
SELECT id, person, purpose, door, CASE WHEN state = 'released' AND result_key IS NULL THEN 'expired' ELSE state END,
       code, runner, received_ms, finished_ms, sql_key, verdict, decided_index, finished_index, result_sha256,
       result_key, release, NULL, NULL
FROM job;

DROP TABLE job;
ALTER TABLE job_with_queue RENAME TO job;

CREATE INDEX job_person ON job (person, id);
CREATE INDEX job_unfinished ON job (state) WHERE state IN ('received', 'queued', 'running', 'checking');

-- When a token was last seen. No right hangs on it, so it is no record.
CREATE TABLE token_use (
    token   TEXT    NOT NULL PRIMARY KEY,
    used_ms INTEGER NOT NULL
) STRICT;
