-- Tables of one name, from different schemas, in one statement.

--! must
SELECT u.id, o.name FROM users u JOIN other.users o ON o.id = u.id ORDER BY u.id

--! must
SELECT * FROM users JOIN other.users o USING (id) ORDER BY users.id

--! must
SELECT id, name FROM users WHERE id IN (SELECT users.id FROM other.users) ORDER BY id

--! must
SELECT id, name, (SELECT name FROM other.users WHERE users.id = u.id + 1) FROM public.users AS u WHERE id BETWEEN 0 AND 9 ORDER BY id

--! must
SELECT o.id, count(u.id) FROM other.users AS o LEFT JOIN public.users u ON u.age > o.id * 8 GROUP BY o.id ORDER BY 1

--! must
SELECT name FROM users UNION ALL SELECT name FROM other.users ORDER BY 1

--! must
SELECT name FROM public.users EXCEPT SELECT name FROM other.users ORDER BY 1

--! must
WITH users AS (SELECT id FROM other.users) SELECT u.id, users.id FROM public.users u JOIN users ON users.id = u.id ORDER BY 1

--! must
SELECT (SELECT max(id) FROM users WHERE id < 100), (SELECT max(id) FROM other.users), count(*) FROM names n JOIN users u ON u.name = n.name

--! must
SELECT t.name, u.name FROM other.things t, other.users u, users x WHERE t.id = u.id AND x.id = t.id ORDER BY 1

SELECT public.users.id, other.users.name FROM public.users, other.users WHERE public.users.id = other.users.id + 1 ORDER BY 1

SELECT u.id FROM public.users u WHERE EXISTS (SELECT FROM other.users WHERE other.users.id = u.id) ORDER BY 1

SELECT id FROM public.users WHERE EXISTS (SELECT FROM other.users WHERE public.users.id = users.id) ORDER BY 1

SELECT users.id, users.name FROM users, other.users WHERE users.id = 3

--! must script
SET search_path = other, public
SELECT u.id, o.name FROM public.users u JOIN users o ON o.id = u.id ORDER BY u.id
SELECT count(*) FROM users, public.users u WHERE users.id = u.id

--! must script
BEGIN
DECLARE c CURSOR FOR SELECT u.id, o.name FROM users u JOIN other.users o ON o.id = u.id ORDER BY u.id
FETCH 1 FROM c
DECLARE d CURSOR FOR SELECT o.name, u.id FROM other.users o LEFT JOIN users u ON o.id = u.id ORDER BY o.id DESC
FETCH 2 FROM d
FETCH 2 FROM c
COMMIT

--! script
CREATE VIEW v_counted AS SELECT count(*) AS n, name FROM public.users GROUP BY name
SELECT v.n, x.id, x.name FROM v_counted v JOIN other.users x ON x.name = v.name ORDER BY 1, 2, 3
SELECT v.n, x.id, x.name FROM other.users x JOIN v_counted v ON x.name = v.name ORDER BY 1, 2, 3
SELECT sum(v.n), count(x.id) FROM v_counted v LEFT JOIN other.users x ON x.name = v.name
DROP VIEW v_counted
