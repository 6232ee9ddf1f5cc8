-- Jobs whose sealed result waits for reviewers, and the entry of the log that says so. A CHECK cannot be altered, so the table
-- is made anew.
CREATE TABLE job_with_review (
    id              TEXT    NOT NULL PRIMARY KEY,
    person          TEXT    NOT NULL,
    purpose         TEXT    NOT NULL,
    door            TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN (
        'received', 'refused', 'pending_approval', 'queued', 'running', 'checking', 'in_review', 'released', 'withheld',
        'failed', 'cancelled', 'expired'
    )),
    code            TEXT,
    runner          TEXT    NOT NULL,
    received_ms     INTEGER NOT NULL,
    finished_ms     INTEGER,
    sql_key         TEXT,
    verdict         TEXT,
    decided_index   INTEGER,
    review_index    INTEGER,
    finished_index  INTEGER,
    result_sha256   TEXT,
    result_key      TEXT,
    release         TEXT,
    idempotency_key TEXT,
    request_token   TEXT,
    plan            TEXT,
    mark            TEXT,
    CHECK (state IN ('received', 'failed') OR decided_index IS NOT NULL),
    CHECK (state NOT IN ('released', 'expired') OR (finished_index IS NOT NULL AND result_sha256 IS NOT NULL)),
    CHECK (state <> 'in_review' OR (review_index IS NOT NULL AND result_key IS NOT NULL)),
    CHECK ((idempotency_key IS NULL) = (request_token IS NULL)),
    UNIQUE (person, idempotency_key)
) STRICT;

INSERT INTO job_with_review
SELECT id, person, purpose, door, state, code, runner, received_ms, finished_ms, sql_key, verdict, decided_index, NULL,
       finished_index, result_sha256, result_key, release, idempotency_key, request_token, plan, mark
FROM job;

DROP TABLE job;
ALTER TABLE job_with_review RENAME TO job;

CREATE INDEX job_person ON job (person, id);
CREATE INDEX job_unfinished ON job (state)
    WHERE state IN ('received', 'pending_approval', 'queued', 'running', 'checking', 'in_review');
