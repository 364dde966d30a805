-- Joins, subqueries and CTEs that a key binds, and those that none does.

--! must
SELECT u.name, o.id, o.amount FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 1

--! must
SELECT u.name, o.id, o.amount FROM users u JOIN orders o ON o.user_id = u.id WHERE o.user_id = 3

--! must
SELECT u.name, o.id FROM users u, orders o WHERE o.user_id = u.id AND u.id = 3

--! must
SELECT u.name, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.id = 4

SELECT u.name, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.user_id = 3

SELECT u.name, o.id FROM orders o RIGHT JOIN users u ON o.user_id = u.id WHERE u.id = 4

SELECT u.name, o.id FROM users u FULL JOIN orders o ON o.user_id = u.id WHERE u.id = 4

--! must
SELECT u.name, o.id, i.line, p.name FROM users u JOIN orders o ON o.user_id = u.id JOIN order_items i ON i.user_id = o.user_id AND i.order_id = o.id JOIN products p ON p.id = i.product_id WHERE u.id = 1 ORDER BY o.id, i.line

--! must
SELECT u.id, c.name FROM users u JOIN countries c ON c.code = u.country WHERE u.id = 5

--! must
SELECT u.id, c.name FROM users u LEFT JOIN countries c ON c.code = u.country WHERE u.id = 3

SELECT u.id, c.name FROM countries c LEFT JOIN users u ON c.code = u.country AND u.id = 5

SELECT u.id, c.name FROM countries c LEFT JOIN users u ON c.code = u.country WHERE u.id = 5

SELECT u.id, o.id FROM users u JOIN orders o USING (id) WHERE u.id = 1

SELECT o.id, i.line FROM orders o JOIN order_items i USING (user_id) WHERE user_id = 3

SELECT o.id, i.line FROM orders o NATURAL JOIN order_items i WHERE user_id = 3

SELECT s.mood, o.id FROM scores s NATURAL JOIN orders o WHERE user_id = 3

SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id = u.id AND o.user_id = 3

SELECT u.id, o.id FROM users u JOIN orders o ON u.id = 3 AND o.user_id = 3

SELECT u.id, o.id FROM users u JOIN orders o ON u.id = 3 AND o.user_id = 4

SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id = u.age WHERE u.id = 3

SELECT u.id, v.id FROM users u JOIN users v ON u.id = v.id WHERE u.id = 3

SELECT u.id, v.id FROM users u JOIN users v ON u.age = v.age WHERE u.id = 3

SELECT u.id, v.id FROM users u CROSS JOIN users v WHERE u.id = 3 AND v.id = 3

SELECT u.id, v.id FROM users u CROSS JOIN users v WHERE u.id = 3 AND v.id = 4

SELECT u.id, d.id FROM users u JOIN parents d ON d.id = u.id WHERE u.id = 3

SELECT u.id, d.n FROM users u JOIN names d ON d.name = u.name WHERE u.id = 3

SELECT u.id, n.n FROM users u, names n WHERE u.id = 1 AND n.name = 'ann'

--! must
SELECT count(*), sum(amount), min(placed_at) FROM orders WHERE user_id = 1

--! must
SELECT status, count(*) FROM orders WHERE user_id = 1 GROUP BY status ORDER BY status NULLS LAST

--! must
SELECT user_id, id, row_number() OVER (ORDER BY id) FROM orders WHERE user_id = 1 ORDER BY id LIMIT 5

--! must
SELECT DISTINCT status FROM orders WHERE user_id = 1

--! must
SELECT * FROM orders WHERE user_id = 1 ORDER BY amount DESC, id LIMIT 3 OFFSET 2

--! must
SELECT * FROM users u WHERE u.id = 1 AND EXISTS (SELECT FROM orders o WHERE o.user_id = u.id)

SELECT * FROM users u WHERE u.id = 1 AND EXISTS (SELECT FROM orders o WHERE o.user_id = 1)

SELECT * FROM users u WHERE u.id = 1 AND EXISTS (SELECT FROM orders o WHERE o.user_id = 2)

SELECT * FROM users u WHERE u.id = 1 AND EXISTS (SELECT FROM orders o WHERE o.status = 'paid')

SELECT * FROM users u WHERE u.id = 2 AND NOT EXISTS (SELECT FROM orders o WHERE o.user_id > 50)

SELECT * FROM users u WHERE u.id IN (SELECT user_id FROM orders WHERE user_id = 1)

SELECT * FROM users WHERE id = 1 AND id IN (SELECT user_id FROM orders WHERE user_id = 1)

SELECT * FROM users WHERE id = 1 AND id IN (SELECT user_id FROM orders)

SELECT * FROM users WHERE id = 1 AND id NOT IN (SELECT user_id FROM orders WHERE user_id <> 1)

SELECT id FROM users WHERE id NOT IN (SELECT user_id FROM orders)

SELECT id FROM users WHERE id NOT IN (SELECT age FROM users)

SELECT id FROM users WHERE age NOT IN (SELECT age FROM users WHERE id < 9)

SELECT id FROM users WHERE 5 NOT IN (SELECT age FROM users WHERE id = 9)

--! must
SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u WHERE u.id = 1

SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u

SELECT u.id, (SELECT count(*) FROM orders) FROM users u WHERE u.id = 1

SELECT u.id, (SELECT count(*) FROM users) FROM users u

SELECT u.id, (SELECT max(amount) FROM orders o WHERE o.user_id = 1) FROM users u WHERE u.id = 1

SELECT u.id, (SELECT max(amount) FROM orders o WHERE o.user_id = 1) FROM users u WHERE u.id = 2

SELECT u.id, (SELECT max(amount) FROM orders o WHERE o.user_id = 1) FROM users u

SELECT id FROM users WHERE age = (SELECT max(age) FROM users)

SELECT id FROM users WHERE age > (SELECT avg(age) FROM users)

SELECT id FROM users WHERE id = 5 AND age < (SELECT max(age) FROM users)

SELECT id FROM users u WHERE age = (SELECT max(age) FROM users v WHERE v.country = u.country)

SELECT id FROM users u WHERE age >= ALL (SELECT age FROM users v WHERE v.age IS NOT NULL)

SELECT id FROM users u WHERE age > ANY (SELECT age FROM users v WHERE v.id = 5)

--! must
WITH o AS (SELECT * FROM orders WHERE user_id = 1) SELECT count(*) FROM o

WITH o AS (SELECT * FROM orders) SELECT count(*) FROM o WHERE user_id = 1

WITH o AS MATERIALIZED (SELECT * FROM orders) SELECT count(*) FROM o WHERE user_id = 1

--! rows
WITH o AS (SELECT * FROM orders LIMIT 50) SELECT count(*) FROM o WHERE user_id = 1

WITH o AS (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) SELECT * FROM o WHERE user_id = 1

WITH o AS (SELECT user_id, rank() OVER (ORDER BY user_id) AS n FROM orders) SELECT * FROM o WHERE user_id = 2

WITH u AS (SELECT * FROM users WHERE id = 1), o AS (SELECT * FROM orders WHERE user_id = 1) SELECT u.name, o.id FROM u, o

WITH u AS (SELECT * FROM users WHERE id = 1), o AS (SELECT * FROM orders WHERE user_id = 2) SELECT u.name, o.id FROM u, o

WITH u AS (SELECT * FROM users WHERE id = 1) SELECT u.name, o.id FROM u JOIN orders o ON o.user_id = u.id

WITH u AS (SELECT id AS key FROM users WHERE id = 1) SELECT key, o.id FROM u JOIN orders o ON o.user_id = key

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT u.id FROM n JOIN users u ON u.id = n.i

WITH RECURSIVE n (i) AS (SELECT id FROM users WHERE id = 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n

--! must
SELECT * FROM (SELECT * FROM users WHERE id = 5) u

SELECT * FROM (SELECT * FROM users) u WHERE id = 5

SELECT * FROM (SELECT id AS key, name FROM users) u WHERE key = 5

SELECT * FROM (SELECT u.id, o.amount FROM users u JOIN orders o ON o.user_id = u.id) j WHERE j.id = 3

SELECT * FROM (SELECT u.id, o.amount FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 3) j ORDER BY amount

SELECT * FROM (SELECT DISTINCT id FROM users) u WHERE id = 5

SELECT * FROM (SELECT DISTINCT ON (country) id, country FROM users ORDER BY country, id) u WHERE id = 5

SELECT * FROM (SELECT id, sum(age) OVER () AS s FROM users) u WHERE id = 5

SELECT * FROM (SELECT id FROM users WHERE id = 1 UNION ALL SELECT id FROM users WHERE id = 1) u

SELECT * FROM (SELECT id FROM users WHERE id = 1 UNION ALL SELECT id FROM users WHERE id = 2) u

SELECT id FROM users WHERE id = 1 UNION ALL SELECT id FROM users WHERE id = 1

SELECT id FROM users WHERE id = 1 UNION ALL SELECT id FROM users WHERE id = 2

SELECT id FROM users WHERE id = 1 UNION SELECT user_id FROM orders WHERE user_id = 1

SELECT id FROM users WHERE id = 1 UNION SELECT id FROM products

SELECT id FROM users UNION SELECT id FROM users

SELECT id FROM users UNION ALL SELECT id FROM users

SELECT age FROM users INTERSECT SELECT age FROM users WHERE id = 5

SELECT id FROM users EXCEPT SELECT user_id FROM orders

SELECT id FROM users WHERE id = 3 EXCEPT SELECT user_id FROM orders WHERE user_id = 3

SELECT u.id, l.id FROM users u, LATERAL (SELECT o.id FROM orders o WHERE o.user_id = u.id ORDER BY o.id LIMIT 1) l WHERE u.id = 3

SELECT u.id, l.id FROM users u LEFT JOIN LATERAL (SELECT o.id FROM orders o WHERE o.user_id = u.id ORDER BY o.amount DESC LIMIT 1) l ON true

SELECT u.id, l.n FROM users u, LATERAL (SELECT count(*) AS n FROM orders o) l WHERE u.id = 3

SELECT u.id, g FROM users u, generate_series(1, 2) g WHERE u.id = 3

SELECT u.id, t FROM scores u, unnest(u.tags) t WHERE u.user_id = 3

SELECT u.id, t.* FROM users u JOIN (VALUES (1, 'x'), (3, 'y')) t (id, v) ON t.id = u.id

SELECT u.id, t.* FROM users u JOIN (VALUES (1, 'x'), (3, 'y')) t (id, v) ON t.id = u.id WHERE u.id = 3

SELECT p.*, c.* FROM products p CROSS JOIN countries c WHERE p.id < 3

SELECT p.id, s.key FROM products p, settings s

--! must
SELECT u.id, p.name FROM users u JOIN products p ON p.id = u.id WHERE p.id = 5 AND u.id = 5

SELECT u.id, p.name FROM users u JOIN products p ON p.id = u.id WHERE p.id = 5

SELECT u.id, p.name FROM users u JOIN products p ON p.id = u.id

SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id = u.id

SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id

SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id = u.id AND o.id = 1

SELECT u.id, c.name FROM users u LEFT JOIN countries c ON c.code = u.country

SELECT u.id, c.name FROM countries c LEFT JOIN users u ON c.code = u.country

SELECT u.id, c.name FROM users u FULL JOIN countries c ON c.code = u.country

SELECT c.name FROM countries c WHERE NOT EXISTS (SELECT FROM users u WHERE u.country = c.code)

SELECT c.name FROM countries c WHERE EXISTS (SELECT FROM users u WHERE u.country = c.code)

SELECT c.name, (SELECT count(*) FROM users u WHERE u.country = c.code) FROM countries c

SELECT u.id FROM users u WHERE EXISTS (SELECT FROM countries c WHERE c.code = u.country)

SELECT u.id, (SELECT c.name FROM countries c WHERE c.code = u.country) FROM users u

SELECT u.id FROM users u WHERE u.country IN (SELECT code FROM countries WHERE name LIKE 'P%')

SELECT u.id FROM users u WHERE EXISTS (SELECT FROM settings WHERE key = 'theme')

SELECT u.id FROM users u, settings s WHERE s.key = 'theme' AND u.id = 1

SELECT a.id, b.id FROM users a, users b WHERE a.id = b.id + 1

SELECT o.user_id, o.id FROM orders o JOIN order_items i ON i.user_id = o.user_id AND i.order_id = o.id

SELECT o.user_id, o.id FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.user_id = 1

SELECT a.region, a.id FROM accounts a JOIN accounts b ON a.region = b.region AND a.id < b.id WHERE a.region = 'eu'

--! must
--! param int8 3
SELECT u.name, o.id FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = $1

--! param int8 3
--! param int8 3
SELECT u.name, o.id FROM users u, orders o WHERE o.user_id = $1 AND u.id = $2

--! param int8 3
--! param int8 4
SELECT u.name, o.id FROM users u, orders o WHERE o.user_id = $1 AND u.id = $2

--! param int8 3
SELECT u.name, o.id FROM users u, orders o WHERE o.user_id = $1 AND u.id = $1

--! param int8 3
WITH o AS (SELECT * FROM orders WHERE user_id = $1) SELECT u.name, o.id FROM users u JOIN o ON o.user_id = u.id

SELECT j.id FROM ((users u JOIN orders o ON o.user_id = u.id) JOIN order_items i ON i.user_id = u.id) AS j (id) WHERE j.id = 3

SELECT u.* FROM (users u JOIN orders o ON o.user_id = u.id) WHERE u.id = 3

SELECT u FROM users u WHERE u.id = 3

SELECT u.*::text FROM users u WHERE u.id = 3

SELECT row_to_json(u) FROM users u WHERE u.id = 3

SELECT (u).name FROM users u WHERE (u).id = 3
