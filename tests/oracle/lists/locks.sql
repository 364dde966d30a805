-- SELECT ... FOR UPDATE over several shards.

--! must
SELECT id, name FROM users FOR UPDATE

--! must
SELECT id, name FROM users WHERE age > 20 FOR SHARE

--! must
SELECT id FROM users WHERE name LIKE '%a%' FOR NO KEY UPDATE

--! must
SELECT id FROM users WHERE name LIKE '%a%' FOR KEY SHARE NOWAIT

--! must
SELECT id FROM users WHERE name LIKE '%a%' FOR UPDATE SKIP LOCKED

--! must
SELECT id, name FROM users WHERE age IS NOT NULL ORDER BY name DESC, id FOR UPDATE

--! must
SELECT id, name FROM users ORDER BY id FOR UPDATE OF users SKIP LOCKED

--! must
SELECT u.id, o.id, o.amount FROM users u JOIN orders o ON o.user_id = u.id WHERE o.amount > 10 FOR UPDATE

--! must
SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id = u.id ORDER BY o.amount, u.id, o.id FOR UPDATE OF o NOWAIT

--! must
SELECT i.line, p.name FROM order_items i JOIN products p ON p.id = i.product_id FOR UPDATE OF i

--! refused
SELECT i.line, p.name FROM order_items i JOIN products p ON p.id = i.product_id FOR UPDATE

--! refused
SELECT i.line, p.name FROM order_items i JOIN products p ON p.id = i.product_id FOR UPDATE OF p

--! refused
SELECT id FROM users ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED

--! refused
SELECT id FROM users WHERE id IN (SELECT user_id FROM orders WHERE amount > 5 FOR UPDATE)

--! must script
BEGIN
SELECT id, name FROM users WHERE name LIKE '%a%' FOR UPDATE
UPDATE users SET name = name || '!' WHERE name LIKE '%a%'
SELECT id, name FROM users WHERE name LIKE '%!' ORDER BY id FOR UPDATE
COMMIT

--! must script
BEGIN READ ONLY
SELECT id FROM users FOR UPDATE
ROLLBACK
