-- Conditions that go to the shards with a gather: what they leave out must not matter.

--! must
SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name WHERE u.age > 20 AND n.n < 9 ORDER BY 1, 2

--! must
SELECT u.id, n.n FROM users u LEFT JOIN names n ON n.name = u.name AND n.n = 3 ORDER BY 1, 2

--! must
SELECT u.id, n.n FROM users u LEFT JOIN names n ON n.name = u.name AND u.age = 3 ORDER BY 1, 2

--! must
SELECT u.id, n.n FROM users u LEFT JOIN names n ON n.name = u.name WHERE n.n = 3 ORDER BY 1, 2

--! must
SELECT u.id, n.n FROM users u LEFT JOIN names n ON n.name = u.name WHERE n.n = 3 OR n.n IS NULL ORDER BY 1, 2

--! must
SELECT u.id, n.n FROM users u RIGHT JOIN names n ON n.name = u.name AND u.age = 3 ORDER BY 1, 2

--! must
SELECT u.id, n.n FROM users u FULL JOIN names n ON n.name = u.name WHERE u.age < 30 ORDER BY 1, 2

--! must
SELECT u.id, n.n FROM users u FULL JOIN names n ON n.name = u.name AND u.id = 3 ORDER BY 1, 2

--! must
SELECT count(*) FROM users u, names n WHERE u.name = n.name AND (u.age = 3 AND n.n = 2 OR u.age = 4 AND n.n > 1)

--! must
SELECT count(*) FROM users u, names n WHERE u.name = n.name AND (u.age = 3 OR n.n = 2)

--! must
SELECT count(*) FROM users u, names n WHERE u.name = n.name AND NOT (u.age = 3)

--! must
SELECT u.id FROM users u WHERE age = 3 AND EXISTS (SELECT FROM users v WHERE v.age = u.age + 1) ORDER BY 1

--! must
SELECT u.id FROM users u WHERE EXISTS (SELECT FROM names n WHERE n.name = u.name AND age = 3) ORDER BY 1

--! must
SELECT u.id, (SELECT count(*) FROM names n WHERE n.n > 3 AND n.name = u.name) FROM users u WHERE u.age BETWEEN 3 AND 30 ORDER BY 1

--! must
SELECT u.id FROM users u WHERE age = 3 AND NOT EXISTS (SELECT FROM names WHERE n = 3 AND name = u.name) ORDER BY 1

--! must
SELECT u.id FROM users u WHERE u.id NOT IN (SELECT n FROM names WHERE n > 5) ORDER BY 1

--! must
WITH w AS (SELECT * FROM users WHERE age > 20) SELECT w.id, n.n FROM w JOIN names n USING (name) ORDER BY 1, 2

--! must
WITH w AS (SELECT * FROM users) SELECT w.id, n.n FROM w JOIN names n USING (name) WHERE age > 20 ORDER BY 1, 2

--! must
SELECT rank() OVER (ORDER BY u.age), u.id FROM users u JOIN names n ON n.name = u.name WHERE u.age > 20 ORDER BY 2, 1

--! must
SELECT id, total FROM user_totals t JOIN names n ON n.name = t.name WHERE t.id > 20 ORDER BY 1, 2

--! must
SELECT u.id, t.orders FROM users u JOIN user_totals t ON t.id = u.age WHERE u.id > 20 ORDER BY 1, 2

--! must
SELECT count(*) FROM users u JOIN small4 s ON s.id = u.age WHERE u.age = 3000000000

--! must
SELECT count(*) FROM users u JOIN small4 s ON s.id = u.age WHERE u.age IN (3, 10, 3000000000, NULL)

--! must
SELECT count(*) FROM users u JOIN small4 s ON s.id = u.age WHERE u.age = ANY ('{3,10,NULL}') AND s.v >= 'v1'

--! must
SELECT count(*) FROM users u JOIN small4 s ON s.id = u.age WHERE u.age < 3.5

--! must
SELECT count(*) FROM orders o JOIN small4 s ON s.id = o.id WHERE o.placed_at >= '2026-01-10 12:00:00+00' AND o.placed_at < '2026-01-20'

--! must
SELECT count(*) FROM odds a JOIN odds b ON a.id = b.user_id JOIN names n ON n.n = a.id WHERE n.name = E'a\\b'

--! must
SELECT count(*) FROM users u JOIN names n ON n.name = u.name WHERE n.name = E'a\\b' OR n.name IN ('O''Neil', 'Zoë')

--! must
SELECT count(*) FROM days d JOIN events e ON e.created_at::date = d.day WHERE d.day > '2026-01-11' AND e.created_at < 'infinity' AND e.created_at > '-infinity'

--! must
SELECT count(*) FROM levels l JOIN orders o ON o.amount > l.level WHERE l.level > -0.5 AND l.level <= 10.50

--! must
SELECT count(*) FROM levels l JOIN orders o ON o.amount > l.level WHERE l.level = 1.1

--! must
SELECT count(*) FROM levels l JOIN orders o ON o.amount > l.level WHERE l.level < 'NaN'

--! must
SELECT count(*) FROM odds o JOIN names n ON n.n = o.id WHERE o.x = 'ab' AND o.y = 'ab'

--! must
SELECT count(*) FROM odds o JOIN names n ON n.n = o.id WHERE o.z < '2026-01-10 23:59:59.999999+00' AND o.l > '1999-12-31 23:59:59.4'

--! must
SELECT count(*) FROM odds o JOIN names n ON n.n = o.id WHERE o.z > '0044-03-15 11:00:00+00 BC' AND o.d >= '0001-01-01 BC'

--! must
SELECT count(*) FROM odds o JOIN names n ON n.n = o.id WHERE o.n > 12345678901234567890.12345678 AND o.n < 1e40

--! must
--! param int4 20
--! param text v1
SELECT u.id FROM users u JOIN small4 s ON s.id = u.age WHERE u.age > $1 AND s.v <> $2 AND s.v >= $2 ORDER BY 1

--! script
SET timezone = 'Pacific/Auckland'
SELECT count(*) FROM orders o JOIN small4 s ON s.id = o.id WHERE o.placed_at >= '2026-01-10 12:00:00' AND o.placed_at < '2026-01-20'
SET datestyle = 'German'
SELECT count(*) FROM orders o JOIN small4 s ON s.id = o.id WHERE o.placed_at >= '2026-01-10 12:00:00' AND o.placed_at < '20.01.2026'
SET intervalstyle = 'sql_standard'
SELECT count(*) FROM odds o JOIN names n ON n.n = o.id WHERE o.z > '0044-03-15 11:00:00.5+00 BC'
SET client_encoding = 'LATIN1'
SELECT count(*) FROM users u JOIN names n ON n.name = u.name WHERE n.name = 'ann'
SET standard_conforming_strings = off
SELECT count(*) FROM users u JOIN names n ON n.name = u.name WHERE n.name = E'a\\b'
