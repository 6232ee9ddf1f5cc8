-- Requests for access are found by who asks, without reading every one that was ever made.
CREATE INDEX record_request_person ON record (json_extract(body, '$.person'), key) WHERE kind = 'access-request';
