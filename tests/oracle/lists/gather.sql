-- Statements that PostgreSQL answers on rows gathered from the shards.

--! must
SELECT count(*) FROM users

--! must
SELECT u.country, count(*), sum(o.amount) FROM users u JOIN orders o ON o.id = u.age GROUP BY u.country ORDER BY 1

--! must
SELECT u.name, s.value FROM users u JOIN settings s ON s.key = u.name OR s.value IS NULL ORDER BY u.id, s.key

--! must
SELECT u.id, u.name, count(o.id) FROM users u LEFT JOIN orders o ON o.user_id = u.id AND o.amount > 100 GROUP BY u.id ORDER BY u.id

--! must
SELECT public.users.id, public.users.name FROM public.users ORDER BY public.users.name, public.users.id

--! must
--! param int4 3
SELECT id, name, rank() OVER (PARTITION BY country ORDER BY age NULLS FIRST, id) FROM users WHERE age > $1 ORDER BY country, age, id

--! must
WITH RECURSIVE t(n) AS (SELECT min(id) FROM users WHERE id > 0 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT t.n, u.name FROM t JOIN users u ON u.id = t.n ORDER BY 1

--! must
SELECT id FROM users WHERE age / (age - age) > 1

--! must
SELECT nosuch FROM users ORDER BY 1

--! must
SELECT mood, count(*), array_agg(user_id ORDER BY user_id) FROM scores GROUP BY mood ORDER BY mood

--! must script
BEGIN
UPDATE users SET name = 'changed' WHERE id = 1
SELECT count(*), max(name) FROM users WHERE name = 'changed'
SELECT string_agg(name, ',' ORDER BY id) FROM users WHERE id BETWEEN 1 AND 10
SELECT 1 / (count(*) - count(*)) FROM users
SELECT 1
ROLLBACK
SELECT count(*) FROM users WHERE name = 'changed'

--! must script
EXPLAIN SELECT rank() OVER (ORDER BY nocol) FROM users
SELECT 1
EXPLAIN SELECT rank() OVER (ORDER BY nocol) FROM users
SELECT name FROM users WHERE id = 1
SELECT count(*) FROM users
