-- UPDATE and DELETE that no key settles to one shard.

--! must
UPDATE users SET age = 1

--! must
UPDATE users SET age = age + 1 WHERE age > 30

--! must
UPDATE users SET age = 1 WHERE id IN (1, 2, 3)

--! must
UPDATE users SET age = 1 WHERE id IN (1, 2, 3) RETURNING id, age, name

--! must
UPDATE users SET age = 1 WHERE name = 'ann' RETURNING *

--! must
UPDATE users SET age = 1 WHERE false RETURNING id

--! must
UPDATE users SET name = name || '!', email = NULL, active = DEFAULT WHERE id > 5

--! must
UPDATE users SET age = -1 WHERE age > 30

--! must
UPDATE users SET age = 10 / (id - 5) WHERE id IN (5, 6, 7, 8)

--! must
UPDATE users SET name = NULL WHERE age > 30

--! must
UPDATE users SET nothing = 1

--! must
UPDATE users SET age = CASE WHEN id = 1 THEN 11 WHEN id = 2 THEN 12 WHEN id = 3 THEN 13 ELSE NULL END WHERE id IN (1, 2, 3)

--! must
UPDATE users SET age = (CASE WHEN id = 1 THEN 11 WHEN id = 2 THEN 12 END)::int WHERE id IN (1, 2)

--! must
UPDATE users AS u SET age = u.age * 2 WHERE u.active RETURNING u.id, u.age AS "Age"

--! must
UPDATE users SET (name, age) = ('both', 9) WHERE country = 'nz'

--! must
UPDATE users SET (name, age) = (SELECT 'both', 9) WHERE country = 'nz'

--! must
UPDATE users SET age = (SELECT count(*) FROM orders WHERE user_id = users.id)

--! must
UPDATE users SET age = (SELECT count(*) FROM products)

--! must
UPDATE users u SET name = o.status FROM orders o WHERE o.user_id = u.id AND o.id = 1

--! must
UPDATE users u SET name = c.name FROM countries c WHERE c.code = u.country

--! must
UPDATE users u SET age = v.age FROM (VALUES (1, 71), (2, 72), (3, 73)) AS v (id, age) WHERE u.id = v.id RETURNING u.id, v.age

--! must
UPDATE orders SET amount = amount * 1.1, status = 'x' WHERE status = 'new'

--! must
UPDATE orders SET amount = 99999999999

--! must
UPDATE order_items i SET price = p.price FROM products p WHERE p.id = i.product_id

--! must
UPDATE order_items i SET quantity = 7 FROM orders o WHERE o.user_id = i.user_id AND o.id = i.order_id AND o.amount > 100

UPDATE scores SET tags[1] = 'first'

--! must
UPDATE scores SET mood = 'ok' WHERE part < 50 RETURNING mood

--! must
UPDATE scores SET part = 101

--! must
UPDATE events SET kind = 'x' WHERE created_at > '2025-01-01'

--! must
UPDATE accounts SET balance = balance + 1

--! must
UPDATE days SET visits = coalesce(visits, 0) + 1 RETURNING day, visits

UPDATE users SET age = (SELECT count(*) FROM orders)

UPDATE users SET age = (SELECT max(age) FROM users)

UPDATE users SET id = id + 1 WHERE id < 1000

UPDATE users SET id = 5 WHERE id IN (1, 2)

UPDATE users SET age = 1 WHERE ctid = '(0,1)'

UPDATE users SET age = 1 WHERE id = (SELECT max(id) FROM users)

UPDATE users SET age = 1 WHERE id IN (SELECT user_id FROM orders WHERE amount > 100)

--! must
UPDATE users SET age = 1 WHERE EXISTS (SELECT FROM orders WHERE orders.user_id = users.id AND amount > 100)

UPDATE users u SET name = o.status FROM orders o WHERE o.id = u.id

UPDATE users u SET name = s.value FROM settings s WHERE s.key = u.name

UPDATE users u SET age = 3 FROM (SELECT user_id FROM orders) o WHERE o.user_id = u.id

--! must
UPDATE stamped SET price = price + 1

--! must
DELETE FROM scores

--! must
DELETE FROM scores WHERE user_id IN (1, 3, 5)

--! must
DELETE FROM scores WHERE value > 1 RETURNING *

--! must
DELETE FROM scores s USING orders o WHERE s.user_id = o.user_id

--! must
DELETE FROM scores s USING users u WHERE s.user_id = u.id AND u.age > 30 RETURNING s.id, u.name

--! must
DELETE FROM scores s USING products p WHERE p.id = s.id

--! must
DELETE FROM users u WHERE NOT EXISTS (SELECT FROM orders o WHERE o.user_id = u.id)

--! must
DELETE FROM orders WHERE status = 'new'

--! must
DELETE FROM order_items WHERE quantity > 1

--! must
DELETE FROM orders o WHERE NOT EXISTS (SELECT 1 FROM order_items i WHERE i.user_id = o.user_id AND i.order_id = o.id)

DELETE FROM users WHERE id IN (SELECT id FROM users ORDER BY id LIMIT 5)

DELETE FROM users WHERE name IN (SELECT name FROM other.users)

DELETE FROM scores WHERE user_id IN (SELECT id FROM users WHERE age > 30)

--! must
--! param int8[] {1,2,3,4,5}
DELETE FROM scores WHERE user_id = ANY ($1)

--! must
--! param int4 50
--! param text ann
UPDATE users SET age = $1 WHERE name = $2 RETURNING id, age

--! must
--! param int4 -50
UPDATE users SET age = $1

--! must
--! param numeric 1.5
--! param text paid
UPDATE orders SET amount = amount * $1 WHERE status = $2

--! must
DELETE FROM events WHERE kind = 'kind1'

--! must
EXPLAIN (COSTS OFF) UPDATE users SET nothing = 1

--! must script
BEGIN
UPDATE users SET age = 1 WHERE age > 30
SELECT id FROM users WHERE age = 1
ROLLBACK
SELECT id FROM users WHERE age = 1

--! must script
BEGIN
UPDATE users SET age = 1 WHERE age > 30
DELETE FROM scores WHERE user_id IN (1, 2, 3)
INSERT INTO users (id, name) VALUES (2001, 'a'), (2002, 'b'), (2003, 'c')
UPDATE users SET name = 'late' WHERE id = 2002
COMMIT
SELECT id FROM users WHERE name = 'late'

--! must script
BEGIN
UPDATE users SET age = 2
SAVEPOINT a
UPDATE users SET age = 3 WHERE id > 2
UPDATE users SET age = 10 / (id - 5) WHERE id IN (5, 6, 7, 8)
SELECT 1
ROLLBACK TO a
DELETE FROM scores
COMMIT

--! must script
BEGIN
UPDATE users SET age = 10 / (id - 5) WHERE id IN (5, 6, 7, 8)
SELECT 1
COMMIT
SELECT count(*) FROM products

--! must script
UPDATE users SET age = 10 / (id - 5) WHERE id IN (5, 6, 7, 8)
UPDATE users SET age = 4 WHERE id > 3
SELECT age FROM users WHERE id = 5
