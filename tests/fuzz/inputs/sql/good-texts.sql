SELECT "dept", 'it''s', U&'\0041', E'\n', '界', x'41', 1e300, .5, DATE '2002-02-30', INTERVAL '1' DAY FROM "corpus"."persons"
