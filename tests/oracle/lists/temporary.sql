-- Temporary tables beside sharded ones.

--! must script
CREATE TEMP TABLE chosen AS SELECT id, age AS n FROM users WHERE id < 20
CREATE TEMP TABLE own (id int, s text COLLATE "C", amount numeric(10, 2), "We ird" name, list int[])
INSERT INTO own VALUES (1, 'x', 1.5, 'q', '{1,2}'), (2, 'y', NULL, NULL, NULL)
SELECT count(*) FROM chosen JOIN users u ON u.id = chosen.id
SELECT own.*, u.name FROM own, users u WHERE u.id = own.id ORDER BY own.id
SELECT (own).s, own IS NULL, u.name FROM own, users u WHERE u.id = own.id ORDER BY own.id
SELECT row_to_json(own), u.name FROM own, users u WHERE u.id = own.id ORDER BY own.id
SELECT pg_temp.own.id FROM pg_temp.own, users WHERE users.id = pg_temp.own.id ORDER BY 1
SELECT (SELECT count(*) FROM chosen WHERE chosen.id < u.id) FROM users u WHERE id < 4 ORDER BY 1
SELECT id FROM users WHERE id IN (SELECT id FROM chosen) AND id NOT IN (SELECT id FROM own) ORDER BY 1
BEGIN
INSERT INTO chosen VALUES (500, 1)
INSERT INTO users (id, name) VALUES (500, 'new')
SELECT name FROM users JOIN chosen USING (id) WHERE id > 400
ROLLBACK
SELECT count(*) FROM chosen, own, users WHERE chosen.id = own.id AND own.id = users.id
WITH x AS (SELECT * FROM chosen) SELECT count(*) FROM x JOIN users USING (id)
CREATE TEMP VIEW doubled AS SELECT id * 2 AS id FROM chosen
SELECT count(*) FROM doubled JOIN users USING (id)
SELECT nocol FROM chosen, users
SELECT count(*) FROM nowhere, users
DROP TABLE chosen CASCADE
SELECT count(*) FROM chosen, users
BEGIN
CREATE TEMP TABLE short (i int) ON COMMIT DROP
INSERT INTO short VALUES (3)
SELECT name FROM users, short WHERE i = id
COMMIT
SELECT name FROM users, short WHERE i = id
COPY (SELECT own.id, name FROM own, users WHERE users.id = own.id ORDER BY 1) TO STDOUT
CREATE TEMP TABLE two AS SELECT own.id, name FROM own, users WHERE users.id = own.id
SELECT * FROM two ORDER BY 1
DISCARD TEMP
SELECT * FROM two, users

-- A temporary table that has the name of one of the home shard.
--! script
CREATE TEMP TABLE settings (key text, n int)
INSERT INTO settings VALUES ('theme', 3)
SELECT key FROM settings
SELECT s.n, u.name FROM settings s JOIN users u ON u.id = s.n
SELECT s.n, u.name FROM pg_temp.settings s JOIN users u ON u.id = s.n
SELECT count(*) FROM public.settings s, users
INSERT INTO users (id, name) SELECT n + 7000, key FROM settings
UPDATE users SET name = s.key FROM settings s WHERE users.id = s.n
DELETE FROM users WHERE id IN (SELECT n FROM settings)
SELECT id, name FROM users WHERE id = 3 OR id > 7000 ORDER BY id
DELETE FROM users WHERE id > 7000
