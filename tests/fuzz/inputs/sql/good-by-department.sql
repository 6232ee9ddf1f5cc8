SELECT dept, COUNT(*) AS n, AVG(salary) FROM persons WHERE age >= 60 AND zip LIKE '10%' GROUP BY dept HAVING COUNT(*) > 20 ORDER BY n DESC LIMIT 3
