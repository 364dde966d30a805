-- Aggregates over joins of tables that aren't on one shard together: the rows of one are carried to the other's shards.

--! must
SELECT u.country, count(*), sum(n.n), min(u.age), max(n.n) FROM users u JOIN names n ON n.name = u.name GROUP BY u.country ORDER BY 1

--! must
SELECT n.n, count(*), avg(u.age) FROM users u JOIN names n ON n.name = u.name WHERE u.age > 20 AND n.n < 9 GROUP BY n.n ORDER BY n.n

--! must
SELECT count(*) FROM users u JOIN names n ON n.name = u.name

--! must
SELECT count(*), sum(u.age), bool_and(u.active) FROM users u, names n WHERE n.name = u.name AND n.n = -1

--! must
SELECT count(*), sum(u.age) FROM users u JOIN names n ON n.name = u.name WHERE u.age < 0

--! must
SELECT count(*), count(n.n), sum(u.id) FROM users u LEFT JOIN names n ON n.name = u.name

--! must
SELECT count(*), count(u.id), sum(n.n) FROM users u RIGHT JOIN names n ON n.name = u.name

--! must
SELECT count(*), count(u.id), count(n.name) FROM users u FULL JOIN names n ON n.name = u.name

--! must
SELECT count(*), count(n.n) FROM users u LEFT JOIN names n ON n.name = u.name AND n.n > 2 WHERE u.age IS NOT NULL

--! must
SELECT o.status, count(*), sum(o.amount), sum(i.price * i.quantity) FROM orders o JOIN order_items i ON i.order_id = o.id GROUP BY o.status ORDER BY 1 NULLS FIRST

--! must
SELECT a.age, count(*), sum(b.id) FROM users a JOIN users b ON b.age = a.age AND b.id <> a.id GROUP BY a.age ORDER BY a.age

--! must
SELECT count(*) FROM users a JOIN users b ON b.age = a.age JOIN users c ON c.age = b.age

--! must
SELECT count(*), sum(o.amount) FROM users u JOIN orders o ON o.user_id = u.id JOIN names n ON n.name = u.name WHERE n.n > 0

--! must
SELECT p.name, count(*), sum(i.quantity) FROM order_items i JOIN products p ON p.id = i.product_id JOIN small4 s ON s.id = i.line GROUP BY p.name ORDER BY p.name

--! must
SELECT s.mood, count(*), sum(s.value) FROM scores s JOIN small4 v ON v.id = s.id GROUP BY s.mood ORDER BY s.mood

--! must
SELECT v.v, count(DISTINCT s.mood), max(s.mood), min(s.part) FROM scores s JOIN small4 v ON v.id = s.id GROUP BY v.v ORDER BY v.v

--! must
SELECT count(s.tags), max(s.tags) FROM scores s JOIN small4 v ON v.id = s.id

--! must
SELECT count(*), max(o.t), min(o.c), max(o.k), count(DISTINCT o.n) FROM odds o JOIN small4 v ON v.id = o.id

--! must
SELECT max(o.x), min(o.y), max(o.u::text), count(o.j), sum(o.f) IS NULL FROM odds o JOIN names v ON v.n = o.id WHERE o.f IS NULL OR o.f = o.f

--! must
SELECT o.c, o.k, count(*) FROM odds o JOIN small4 v ON v.id = o.id GROUP BY o.c, o.k ORDER BY o.c, o.k

--! must
SELECT o.x, count(*) FROM odds o JOIN small4 v ON v.id = o.id GROUP BY o.x ORDER BY o.x

--! must
SELECT o.n, count(*) FROM odds o JOIN small4 v ON v.id = o.id GROUP BY o.n HAVING count(*) > 0 ORDER BY 2, 1

--! must
SELECT e.kind, count(*), max(a.balance) FROM events e JOIN accounts a ON a.id = e.id GROUP BY e.kind HAVING count(*) > 1 ORDER BY e.kind LIMIT 3 OFFSET 1

--! must
SELECT DISTINCT u.country FROM users u JOIN names n ON n.name = u.name ORDER BY 1

--! must
SELECT DISTINCT n.n, u.active FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2

--! must
SELECT u.id, count(*) FROM users u JOIN names n ON n.name <> u.name GROUP BY u.id ORDER BY 2 DESC, 1 LIMIT 5

--! must
SELECT n.name, count(*) FROM users u JOIN names n ON n.name = u.name GROUP BY n.name ORDER BY 1

--! must
SELECT u.id, u.name, count(*) FROM users u JOIN names n ON n.name = u.name GROUP BY u.id ORDER BY 1

--! must
SELECT names.n, count(users.id) FROM users JOIN names ON names.name = users.name GROUP BY names.n ORDER BY names.n

--! must
SELECT public.names.n, count(*) FROM public.users JOIN public.names ON names.name = users.name GROUP BY 1 ORDER BY 1

--! must
SELECT count(*) FROM public.users u JOIN public.names n ON n.name = u.name

--! must
SELECT count(*), sum(n) FROM users JOIN names USING (name)

--! must
SELECT count(*) FROM users NATURAL JOIN names

--! must
SELECT count(n) FROM users u JOIN names n ON n.name = u.name

--! must
SELECT count(n.*), count(DISTINCT u.country) FROM users u JOIN names n ON n.name = u.name

--! must
SELECT n.a, count(*) FROM users u JOIN names AS n (a, b) ON n.a = u.name GROUP BY n.a ORDER BY 1

SELECT count(*) FROM users u JOIN ONLY parents p ON p.v = u.name

SELECT count(*), max(c.v) FROM users u JOIN parents c ON c.id = u.age

--! must
SELECT count(*) FROM users u JOIN names n ON n.name = u.name WHERE EXISTS (SELECT FROM countries c WHERE c.code = u.country)

--! must
SELECT count(*) FROM users u JOIN names n ON n.name = u.name WHERE u.country IN (SELECT code FROM countries)

--! must
SELECT count(*) FROM (users u JOIN names n ON n.name = u.name) LEFT JOIN countries c ON c.code = u.country

--! must
SELECT count(*), count(c.code) FROM countries c LEFT JOIN users u ON u.country = c.code JOIN names n ON n.name = u.name

--! must
SELECT count(*), count(u.id) FROM names n LEFT JOIN (users u JOIN countries c ON c.code = u.country) ON n.name = u.name

--! must
SELECT count(*) FROM user_totals t JOIN names n ON n.name = t.name

--! must
SELECT count(*), sum(a.age) FROM active_users a JOIN names n ON n.name = a.name

--! must
SELECT count(*), count(n.n) FROM users u LEFT JOIN names n ON n.name = u.name AND n.name = 'a' AND n.name = 'b'

--! must
SELECT count(*) FROM users u JOIN names n ON n.name = u.name WHERE n.name = 'a' AND n.name = 'b'

--! must
SELECT sum(1 / n.n) FROM users u JOIN names n ON n.name = u.name

--! must
SELECT sum(1 / (u.id - u.id)) FROM users u JOIN names n ON n.name = u.name

SELECT count(*), nosuch(u.id) FROM users u JOIN names n ON n.name = u.name

--! must
SELECT u.name, count(*) FROM users u JOIN names n ON n.name = u.name

--! must
SELECT count(*) FROM users u JOIN names n ON n.nosuch = u.name

--! must
SELECT name, count(*) FROM users u JOIN names n ON n.name = u.name GROUP BY name

--! must
--! param bigint 20
--! param integer 9
SELECT u.country, count(*), sum(n.n) + $2 FROM users u JOIN names n ON n.name = u.name WHERE u.age > $1 AND n.n < $2 GROUP BY u.country ORDER BY 1

--! must
--! param text null
SELECT count(*), coalesce($1, 'none') FROM users u JOIN names n ON n.name = u.name AND n.name <> coalesce($1, '')

--! must
--! param integer 3
SELECT u.country, count(*) FROM users u JOIN names n ON n.name = u.name GROUP BY u.country ORDER BY count(*) DESC, u.country LIMIT $1

--! script
--! must
BEGIN
INSERT INTO names VALUES ('carried one', 77), ('carried two', 78)
INSERT INTO users (id, name) VALUES (900001, 'carried one'), (900002, 'carried two'), (900003, 'carried two')
SELECT n.n, count(*) FROM users u JOIN names n ON n.name = u.name WHERE n.n > 76 GROUP BY n.n ORDER BY n.n
SAVEPOINT s
DELETE FROM users WHERE id = 900003
SELECT n.n, count(*) FROM users u JOIN names n ON n.name = u.name WHERE n.n > 76 GROUP BY n.n ORDER BY n.n
ROLLBACK TO SAVEPOINT s
SELECT n.n, count(*) FROM users u JOIN names n ON n.name = u.name WHERE n.n > 76 GROUP BY n.n ORDER BY n.n
SELECT sum(1 / (n.n - 77)) FROM users u JOIN names n ON n.name = u.name
SELECT 1
ROLLBACK
SELECT count(*) FROM users u JOIN names n ON n.name = u.name WHERE n.n > 76

--! script
--! must
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY
SELECT count(*) FROM users u JOIN names n ON n.name = u.name
SELECT count(*) FROM users u JOIN names n ON n.name = u.name
COMMIT

--! script
--! must
SET client_encoding TO 'LATIN1'
SELECT u.country, count(*), max(n.name) FROM users u JOIN names n ON n.name = u.name WHERE n.name < 'c' GROUP BY u.country ORDER BY 1
RESET client_encoding
SET search_path TO other, public
SELECT count(*) FROM users u JOIN names n ON n.name = u.name
SELECT count(*) FROM public.users u JOIN names n ON n.name = u.name

