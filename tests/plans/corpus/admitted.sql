-- Questions of the allowed shapes: output, treatment and controls.
SELECT dept, COUNT(*) AS n FROM persons GROUP BY dept
SELECT dept, SUM(salary), AVG(salary) FROM persons WHERE age >= 30 GROUP BY dept
SELECT p.dept, COUNT(DISTINCT v.person_id) AS visitors, COUNT(*) AS visits FROM persons p JOIN visits v ON p.person_id = v.person_id GROUP BY p.dept
SELECT AVG(total) FROM (SELECT person_id, SUM(cost) AS total FROM visits GROUP BY person_id) t
SELECT dept, AVG(salary) - (SELECT AVG(salary) FROM persons) AS over_mean FROM persons GROUP BY dept
SELECT dept, COUNT(*) * 1.0 / SUM(COUNT(*)) OVER () AS share FROM persons GROUP BY dept
SELECT COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day = 3)
SELECT 1
EXPLAIN SELECT dept, COUNT(*) FROM persons GROUP BY dept
