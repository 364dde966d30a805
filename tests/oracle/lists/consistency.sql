-- Reads of one moment give the same answers.

--! must script
SET shardway.consistency = 'atomic'
SELECT id, name FROM users ORDER BY id
SELECT name FROM users WHERE id = 3
SELECT country, count(*), sum(age) FROM users GROUP BY country ORDER BY country
SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2
SELECT DISTINCT status FROM orders ORDER BY status
SELECT * FROM user_totals ORDER BY id LIMIT 5
SELECT id, now() IS NOT NULL FROM users ORDER BY id LIMIT 3
SELECT 1 / (count(*) - count(*)) FROM users
SELECT count(*) FROM users
BEGIN ISOLATION LEVEL REPEATABLE READ
SELECT count(*) FROM users
SELECT name FROM users WHERE id = 7
SELECT count(*), max(amount) FROM orders
COMMIT
UPDATE users SET age = age WHERE id IN (1, 2, 3, 4)
SELECT count(*) FROM users WHERE age IS NOT NULL
SELECT code FROM countries ORDER BY code
SET shardway.consistency = 'default'
SELECT count(*) FROM users
