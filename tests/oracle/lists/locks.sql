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

--! must
SELECT id FROM users ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED

--! must
SELECT id, name FROM users ORDER BY id LIMIT 1 FOR UPDATE

--! must
SELECT id, name FROM users ORDER BY age DESC NULLS LAST, id FETCH FIRST 4 ROWS ONLY FOR SHARE NOWAIT

--! must
SELECT id, name FROM users ORDER BY age, id FOR UPDATE LIMIT 4

--! must
SELECT id, name FROM users WHERE age > 20 ORDER BY id LIMIT 4 OFFSET 2 FOR NO KEY UPDATE SKIP LOCKED

--! must
SELECT id FROM users ORDER BY id OFFSET 3 FOR UPDATE

--! must
SELECT id FROM users ORDER BY id LIMIT ALL FOR UPDATE

--! must
SELECT id FROM users ORDER BY id LIMIT 0 FOR UPDATE

--! must
SELECT id FROM users ORDER BY id LIMIT 100000 OFFSET 5 FOR UPDATE

--! must rows
SELECT id FROM users LIMIT 3 FOR UPDATE SKIP LOCKED

--! must
SELECT id FROM users WHERE id < 0 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED

--! must
SELECT u.*, o.id AS oid FROM users u JOIN orders o ON o.user_id = u.id ORDER BY o.amount, u.id, o.id LIMIT 5 FOR UPDATE OF o

--! must
--! param bigint 3
SELECT id FROM users WHERE age > 10 ORDER BY id LIMIT $1 FOR UPDATE

--! must
--! param integer 10
--! param bigint 2
--! param bigint 1
SELECT id, age, $1 + age FROM users WHERE age > $1 ORDER BY id LIMIT $2 OFFSET $3 FOR UPDATE SKIP LOCKED

--! must
SELECT id, 1 / (id - id) FROM users ORDER BY id LIMIT 1 FOR UPDATE

--! must
SELECT id, nosuch FROM users ORDER BY id LIMIT 1 FOR UPDATE

--! must
SELECT id FROM users ORDER BY id LIMIT -1 FOR UPDATE

--! refused
SELECT i.line, p.name FROM order_items i JOIN products p ON p.id = i.product_id ORDER BY 1 LIMIT 1 FOR UPDATE

--! must script
BEGIN
SELECT id FROM users WHERE age IS NOT NULL ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED
UPDATE users SET age = 200 WHERE id IN (1, 2)
SAVEPOINT s
SELECT id FROM users WHERE age < 200 ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED
ROLLBACK TO SAVEPOINT s
SELECT id FROM users WHERE age < 200 ORDER BY age DESC, id LIMIT 2 FOR UPDATE SKIP LOCKED
SELECT id, 1 / (id - id) FROM users ORDER BY id LIMIT 1 FOR UPDATE
SELECT 1
ROLLBACK

--! must script
BEGIN READ ONLY
SELECT id FROM users ORDER BY id LIMIT 1 FOR UPDATE
ROLLBACK

--! must script
BEGIN ISOLATION LEVEL REPEATABLE READ
SELECT id FROM users ORDER BY id LIMIT 3 FOR UPDATE
COMMIT

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
