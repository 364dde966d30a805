-- Names on the scratch database: schemas, common table expressions of a table's name, collations of the database's own.

--! must
WITH users AS (SELECT id + 100 AS id FROM public.users WHERE id IN (1, 2, 3)) SELECT id FROM users UNION ALL SELECT id FROM public.users WHERE id < 3 ORDER BY id

--! must
WITH users AS (SELECT name, count(*) AS n FROM public.users GROUP BY name) SELECT a.name, a.n, b.n FROM users a JOIN users b USING (name) ORDER BY a.name

--! must
WITH orders AS (SELECT user_id FROM users u JOIN public.orders o ON o.id = u.age) SELECT count(*), count(DISTINCT user_id) FROM orders

--! must
SELECT count(*) FROM public.users, other.things users WHERE users.id = public.users.id

--! must
SELECT public.users.name, o.id FROM public.users JOIN public.orders o ON o.id = public.users.age ORDER BY 1, 2, o.user_id LIMIT 5

--! must
SELECT x.id FROM public.users x JOIN users y ON y.age = x.age AND y.id > x.id ORDER BY x.id, y.id FETCH FIRST 5 ROWS WITH TIES

--! must
WITH w(n, id) AS (SELECT age, id FROM users) SELECT w.n, count(*) FROM w JOIN orders o ON o.id = w.n GROUP BY ROLLUP (w.n) ORDER BY 1, 2 FETCH FIRST 3 ROWS WITH TIES

--! must
WITH a(n) AS NOT MATERIALIZED (VALUES (1), (2)), w(n) AS MATERIALIZED (SELECT age FROM users) SELECT w.n FROM w JOIN a ON a.n = w.n % 3 ORDER BY 1 FETCH FIRST 3 ROWS WITH TIES

--! must
SELECT k, count(*) FROM odds GROUP BY k ORDER BY k

--! must
SELECT a.k, b.t FROM odds a JOIN odds b ON b.id = a.id AND a.k < b.k ORDER BY a.k, b.k, b.t

--! must
SELECT t COLLATE folded, rank() OVER (ORDER BY t COLLATE folded) FROM odds ORDER BY 1, 2

SELECT max(t COLLATE folded), min(k) FROM odds

SELECT k || c FROM odds ORDER BY 1

--! must
SELECT s, count(*) FROM odds GROUP BY s ORDER BY s

--! must
SELECT a.s, b.s, a.s && b.s, a.s * b.s FROM odds a JOIN odds b ON b.id = a.id + 1 ORDER BY a.id, b.user_id

--! must
SELECT max(s), min(s) FROM odds JOIN names ON n = id
