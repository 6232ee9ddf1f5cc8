WITH a AS (SELECT p.dept, SUM(v.cost) AS c FROM persons p JOIN visits v ON p.person_id = v.person_id GROUP BY p.dept)
SELECT dept, c * 1.0 / SUM(c) OVER () AS share /* of all */ FROM a WHERE c IS NOT NULL -- and no more
