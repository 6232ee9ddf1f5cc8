-- How an admitted question was planned before and after the guard; the mark of whose job a row is; and what a repeated
-- request is known by, which was a plain hash and told a guessed question. Rows of before have no mark, so that they are
-- nobody's: what became of them stays in the log, and what they quoted of a question goes.
ALTER TABLE job ADD COLUMN plan TEXT;
ALTER TABLE job ADD COLUMN mark TEXT;
ALTER TABLE job RENAME COLUMN request_sha256 TO request_token;
UPDATE job SET verdict = NULL, release = NULL, request_token = iif(request_token IS NULL, NULL, 'of a version before');
