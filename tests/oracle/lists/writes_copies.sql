-- Writes to reference tables: all shards have the same afterwards.

--! must
INSERT INTO countries VALUES ('fr', 'France')

--! must
INSERT INTO countries VALUES ('fr', 'France'), ('it', 'Italy'), ('es', 'Spain') RETURNING *

--! must
INSERT INTO countries (name, code) VALUES ('France', 'fr') RETURNING code, upper(name) AS loud

--! must
INSERT INTO countries VALUES ('nz', 'again')

--! must
INSERT INTO countries VALUES ('fr', NULL)

--! must
INSERT INTO countries VALUES ('nz', 'again'), ('fr', 'France') ON CONFLICT DO NOTHING RETURNING code

--! must
INSERT INTO countries VALUES ('nz', 'again'), ('fr', 'France') ON CONFLICT (code) DO UPDATE SET name = excluded.name || countries.name RETURNING *

--! must
INSERT INTO products VALUES (1001, 'p', 1.005), (1002, 'q', NULL) RETURNING id, price

--! must
INSERT INTO products SELECT id + 1000, name, price FROM products

--! must
INSERT INTO products SELECT id + 1000, name, price FROM products WHERE price > 10 RETURNING id

--! must
INSERT INTO products (id, name) VALUES (1001, (SELECT max(name) FROM countries))

--! must
INSERT INTO products (id, name) VALUES (1001, 1 / 0)

--! must
UPDATE products SET price = price + 1

--! must
UPDATE products SET price = price * 2 WHERE id < 5 RETURNING id, price

--! must
UPDATE products SET name = 'x', price = DEFAULT WHERE id = 3

--! must
UPDATE products p SET name = c.name FROM countries c WHERE c.code = 'nz' AND p.id = 2

--! must
UPDATE products SET name = NULL WHERE id = 3

--! must
UPDATE products SET price = 10 / (id - 5)

--! must
UPDATE products SET price = 1 WHERE false

UPDATE products SET name = current_user

UPDATE products SET price = (SELECT count(*) FROM users)

UPDATE products SET name = s.value FROM settings s WHERE s.key = 'theme'

UPDATE products SET name = 'x' WHERE ctid = '(0,1)'

--! must
DELETE FROM products WHERE id > 5

--! must
DELETE FROM countries

--! must
DELETE FROM products p USING countries c WHERE c.code = 'nz' AND p.id = 2 RETURNING p.id

DELETE FROM products WHERE id IN (SELECT product_id FROM order_items)

DELETE FROM products WHERE id IN (SELECT id FROM products LIMIT 0)

--! must
--! param text fr
--! param text France
INSERT INTO countries VALUES ($1, $2) RETURNING code

--! must
--! param int4 3
--! param numeric 7.5
UPDATE products SET price = $2 WHERE id = $1 RETURNING price

WITH x AS (DELETE FROM products RETURNING id) SELECT count(*) FROM x

--! must script
BEGIN
INSERT INTO countries VALUES ('fr', 'France')
SELECT count(*) FROM countries
UPDATE users SET country = 'fr' WHERE id < 10
SELECT count(*) FROM countries c WHERE code = 'fr'
COMMIT
SELECT name FROM countries WHERE code = 'fr'

--! must script
BEGIN
INSERT INTO countries VALUES ('fr', 'France')
ROLLBACK
SELECT name FROM countries WHERE code = 'fr'

--! must script
BEGIN
UPDATE products SET price = 1
SAVEPOINT a
DELETE FROM products
INSERT INTO countries VALUES ('nz', 'again')
ROLLBACK TO a
COMMIT
SELECT count(*) FROM products WHERE price = 1
