SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.person_id = p.person_id AND v.day BETWEEN 1 AND 3) OR p.zip IN (SELECT zip FROM zones WHERE district = 'north')
