-- One statement for each rule: code, place, words, and the rewrite where there is one.
SELECT dept FROM persons
SELECT name FROM persons
SELECT COUNT(*) FROM persons WHERE age >= 33
SELECT COUNT(*) FROM persons WHERE salary BETWEEN 30000 AND 50000
SELECT COUNT(*) FROM persons WHERE person_id = '4711'
SELECT COUNT(*) FROM persons WHERE salary % 97 = 13
SELECT md5(name), COUNT(*) FROM persons GROUP BY 1
SELECT dept, MEDIAN(salary) FROM persons GROUP BY dept
SELECT array_agg(salary) FROM persons
SELECT SUM(DISTINCT salary) FROM persons
SELECT SUM(1 / salary) FROM persons
SELECT COUNT(*) FROM persons CROSS JOIN visits
SELECT COUNT(*) FROM (SELECT zip FROM persons LIMIT 1) t
SELECT COUNT(*) FROM persons WHERE salary > (SELECT 1)
SELECT COUNT(*) FROM corpus.secrets
SELECT person_id, COUNT(*) FROM visits GROUP BY ROLLUP (person_id)
SET datafusion.execution.batch_size = 1
SELECT COUNT(* FROM persons
