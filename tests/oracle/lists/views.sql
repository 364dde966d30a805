-- Views of sharded tables: by key, merged and gathered.

--! must
SELECT * FROM active_users ORDER BY id

--! must
SELECT * FROM active_users

--! must
SELECT name FROM active_users WHERE id = 3

--! must
SELECT count(*), max(age), min(name) FROM active_users

--! must
SELECT a.id, o.amount FROM active_users a JOIN orders o ON o.user_id = a.id ORDER BY 1, o.id

--! must
SELECT a.id, n.n FROM active_users a JOIN names n ON n.name = a.name ORDER BY 1, 2

--! must
SELECT a.id, u.email, a.age FROM public.active_users a JOIN users u ON u.id = a.id + 1 ORDER BY 1

--! must
SELECT public.active_users.id FROM public.active_users ORDER BY 1 LIMIT 4

--! must
SELECT * FROM user_totals ORDER BY id

--! must
SELECT total FROM user_totals WHERE id = 1

--! must
SELECT name, sum(orders), sum(total) FROM user_totals GROUP BY name ORDER BY name COLLATE "C"

--! must
SELECT t.id, t.total, rank() OVER (ORDER BY t.total DESC NULLS LAST, t.id) FROM user_totals t ORDER BY 3

--! must
SELECT t, a FROM user_totals t JOIN active_users a USING (id) ORDER BY id

--! must
SELECT count(*) FROM user_totals WHERE total > (SELECT avg(total) FROM user_totals)

--! must
SELECT id FROM active_users UNION SELECT user_id FROM orders ORDER BY 1

--! must
WITH t AS (SELECT * FROM user_totals) SELECT * FROM t WHERE id = 2

--! must
--! param int8 5
SELECT name, orders, total FROM user_totals WHERE id = $1

--! must
--! param int4 30
SELECT string_agg(name, ',' ORDER BY id) FROM active_users WHERE age > $1

--! must
SELECT nosuch FROM active_users ORDER BY 1

--! must
SELECT id, 1 / (age - age) FROM active_users ORDER BY id

--! must script
CREATE VIEW v_by_country AS SELECT country, count(*) AS n, max(id) AS last FROM users GROUP BY country
SELECT * FROM v_by_country ORDER BY country NULLS FIRST
SELECT v.n, u.id FROM v_by_country v JOIN users u ON u.id = v.last ORDER BY 2
CREATE VIEW v_top AS SELECT * FROM v_by_country WHERE n > 12
SELECT count(*), sum(n) FROM v_top
CREATE VIEW v_orders (who, what, cost) AS SELECT user_id, id, amount FROM orders WHERE amount > 50
SELECT what, cost FROM v_orders WHERE who = 1 ORDER BY 1
SELECT who, sum(cost) FROM v_orders GROUP BY who ORDER BY who
SELECT v.who, x.n FROM v_orders v JOIN v_by_country x ON x.last = v.who ORDER BY 1, 2, v.what
CREATE VIEW v_ranked AS SELECT id, name, row_number() OVER (ORDER BY name COLLATE "C", id) AS place FROM users
SELECT place, name FROM v_ranked WHERE id = 5
SELECT id FROM v_ranked WHERE place <= 3 ORDER BY place
CREATE VIEW v_mood AS SELECT mood, count(*) AS n, 'sad'::mood AS worst FROM scores GROUP BY mood
SELECT * FROM v_mood ORDER BY mood
CREATE VIEW v_keys AS SELECT u.id, s.key FROM users u JOIN settings s ON s.key = u.name OR s.value IS NULL
SELECT id, key FROM v_keys ORDER BY 1, 2
SELECT count(*) FROM v_keys WHERE id = 3
CREATE VIEW v_recent AS SELECT id, created_at < now() AS past FROM events
SELECT past, count(*) FROM v_recent GROUP BY past ORDER BY past
BEGIN
SELECT past, array_agg(id ORDER BY id) FROM v_recent GROUP BY past ORDER BY past
UPDATE users SET country = 'zz' WHERE id = 7
SELECT * FROM v_by_country ORDER BY country NULLS FIRST
SELECT who, array_agg(cost ORDER BY what) FROM v_orders WHERE who IN (1, 2, 3) GROUP BY who ORDER BY who
ROLLBACK
CREATE OR REPLACE VIEW v_top AS SELECT * FROM v_by_country WHERE n > 0
SELECT count(*), sum(n) FROM v_top
COMMENT ON VIEW v_top IS 'countries with users'
ALTER VIEW v_top RENAME TO v_most
SELECT count(*), sum(n) FROM v_most
DROP VIEW v_most, v_orders, v_ranked, v_mood
DROP VIEW v_recent
DROP VIEW v_keys
DROP VIEW v_by_country
