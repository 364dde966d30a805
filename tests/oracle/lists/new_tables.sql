-- CREATE TABLE AS and SELECT INTO of rows that are on several shards.

--! script
CREATE TABLE made AS SELECT id, name, age FROM users WHERE age > 10
SELECT count(*), sum(id), min(name) FROM made
SELECT id, name FROM made ORDER BY id
INSERT INTO made VALUES (1000, 'new', 3)
SELECT m.id, o.id FROM made m JOIN orders o ON o.user_id = m.id ORDER BY 1, 2
DROP TABLE made

--! script
CREATE TABLE made (a, b) AS SELECT u.country, count(*) FROM users u JOIN names n ON n.name = u.name GROUP BY 1 WITH DATA
SELECT * FROM made ORDER BY a
DROP TABLE made

--! script
CREATE TABLE made AS SELECT * FROM odds
SELECT * FROM made ORDER BY user_id, id
SELECT (m::text = o::text), count(*) FROM made m JOIN odds o USING (user_id, id) GROUP BY 1
DROP TABLE made

--! script
CREATE TABLE made AS SELECT id, 'x' AS v, NULL AS n, amount * 1.10 AS m FROM orders WHERE user_id = 7 WITH NO DATA
SELECT count(*) FROM made
DROP TABLE made

--! script
CREATE TABLE made AS SELECT id, 'x' AS v, amount * 1.10 AS m FROM orders WHERE user_id = 7
SELECT * FROM made ORDER BY id
DROP TABLE made

--! script
CREATE TABLE other.made AS (SELECT id FROM users UNION SELECT n FROM names) WITH DATA
SELECT count(*), sum(id) FROM other.made
DROP TABLE other.made

--! script
CREATE UNLOGGED TABLE made WITH (fillfactor = 70) AS WITH w AS (SELECT user_id, sum(amount) AS s FROM orders GROUP BY 1) SELECT u.name, w.s FROM w JOIN users u ON u.id = w.user_id
SELECT name, s FROM made ORDER BY 1, 2
DROP TABLE made

--! script
SELECT id, name INTO made FROM users WHERE age > 10
SELECT count(*), sum(id) FROM made
DROP TABLE made

--! script
SELECT o.status, count(*) AS n INTO TABLE made FROM orders o JOIN small4 s ON s.id = o.id GROUP BY 1
SELECT * FROM made ORDER BY 1
DROP TABLE made

--! script
SELECT key INTO other.made FROM settings
SELECT * FROM other.made ORDER BY 1
DROP TABLE other.made

--! script
SELECT 1 AS a, 'x'::text AS b INTO made
SELECT * FROM made
DROP TABLE made

--! script
CREATE TABLE made AS SELECT * FROM products
SELECT count(*) FROM made
DROP TABLE made

--! script
BEGIN
UPDATE users SET age = 99 WHERE id IN (1, 2, 3)
CREATE TABLE made AS SELECT id FROM users WHERE age = 99
SELECT * FROM made ORDER BY id
ROLLBACK
SELECT * FROM made
SELECT count(*) FROM users WHERE age = 99

--! script
BEGIN
CREATE TABLE made AS SELECT id FROM users
SELECT count(*) FROM made JOIN users USING (id)
COMMIT
SELECT count(*) FROM made
DROP TABLE made

--! script
BEGIN
CREATE TEMP TABLE made ON COMMIT DROP AS SELECT id, name FROM users ORDER BY id LIMIT 7
SELECT * FROM made ORDER BY id
COMMIT
SELECT * FROM made

--! script
CREATE TEMP TABLE made AS SELECT id, name FROM users WHERE id BETWEEN 1 AND 9
SELECT * FROM made ORDER BY id
CREATE TABLE made AS SELECT id FROM users WHERE id < 3
SELECT count(*) FROM made
SELECT count(*) FROM public.made
DROP TABLE made
DROP TABLE public.made

--! script
SELECT id INTO TEMP made FROM users WHERE id BETWEEN 1 AND 9
SELECT * FROM made ORDER BY id
DROP TABLE made

--! script
CREATE TABLE users AS SELECT id FROM orders
CREATE TABLE settings AS SELECT id FROM users
CREATE TABLE made AS SELECT nothing FROM users
CREATE TABLE made AS SELECT id, id FROM users
CREATE TABLE made AS SELECT 1 / (id - id) AS x FROM users
CREATE TABLE nowhere.made AS SELECT id FROM users
CREATE TABLE made (a, b) AS SELECT id FROM users
SELECT id INTO settings FROM users
SELECT * FROM made

--! script
CREATE TABLE made AS SELECT id FROM users; SELECT count(*) FROM made
DROP TABLE made

--! script
SET search_path = other, public
CREATE TABLE made AS SELECT user_id FROM orders
SELECT count(*) FROM other.made
DROP TABLE other.made

--! refused
CREATE MATERIALIZED VIEW made AS SELECT id FROM users

--! must
--! script
CREATE TABLE IF NOT EXISTS made AS SELECT id, name FROM users
SELECT count(*), sum(id) FROM made
CREATE TABLE IF NOT EXISTS made AS SELECT user_id FROM orders
CREATE TABLE IF NOT EXISTS settings AS SELECT id FROM users
CREATE TABLE IF NOT EXISTS other.settings AS SELECT id FROM users WHERE id < 10
SELECT count(*) FROM other.settings
CREATE TEMP TABLE IF NOT EXISTS made AS SELECT id FROM users WHERE id BETWEEN 1 AND 3
SELECT count(*) FROM made
DROP TABLE made
SELECT count(*) FROM made
DROP TABLE made
DROP TABLE other.settings

--! must
--! script
SET client_min_messages = warning
CREATE TABLE IF NOT EXISTS made AS SELECT id, name FROM users
CREATE TABLE IF NOT EXISTS made AS SELECT id, name FROM users
SELECT count(*) FROM made
DROP TABLE made
