-- Scripts: each line is sent by itself, on a connection that is new.

--! must script
BEGIN
SELECT * FROM users WHERE id = 1
COMMIT

--! must script
BEGIN
UPDATE users SET age = 77 WHERE id = 1
SELECT age FROM users WHERE id = 1
COMMIT
SELECT age FROM users WHERE id = 1

--! must script
BEGIN
UPDATE users SET age = 77 WHERE id = 1
ROLLBACK
SELECT age FROM users WHERE id = 1

--! must script
BEGIN
SELECT name FROM users WHERE id = 1
SELECT name FROM users WHERE id = 2
SELECT name FROM users WHERE id = 3
SELECT name FROM users WHERE id = 4
SELECT key FROM settings
COMMIT

--! must script
BEGIN
SELECT id FROM users
SELECT id FROM users WHERE active
SELECT count(*) FROM products
COMMIT

--! must script
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ
SELECT name FROM users WHERE id = 1
SHOW transaction_isolation
SELECT id FROM users
SHOW transaction_isolation
COMMIT
SHOW transaction_isolation

--! script
BEGIN READ ONLY
SELECT name FROM users WHERE id = 1
SELECT id FROM users
UPDATE users SET age = 1 WHERE id = 1
SELECT 1
ROLLBACK

--! script
START TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE
SELECT name FROM users WHERE id = 3
SHOW transaction_read_only
COMMIT WORK
SHOW transaction_read_only

--! script
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE
SELECT name FROM users WHERE id = 3
END

--! script
BEGIN
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ
SHOW transaction_isolation
SELECT name FROM users WHERE id = 5
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
ROLLBACK

--! must script
BEGIN
SELECT 1 / 0
SELECT 1
SELECT * FROM users WHERE id = 1
COMMIT
SELECT 1

--! must script
BEGIN
INSERT INTO users (id, name) VALUES (1, 'duplicate')
SELECT * FROM users WHERE id = 1
UPDATE users SET age = 1 WHERE id = 2
SELECT key FROM settings
ROLLBACK
SELECT name FROM users WHERE id = 1

--! must script
BEGIN
SELECT name FROM users WHERE id = 1
SELECT nothing FROM users WHERE id = 2
SELECT name FROM users WHERE id = 1
COMMIT
SELECT name FROM users WHERE id = 1

--! must script
BEGIN
INSERT INTO users (id, name) VALUES (1101, 'a')
SAVEPOINT one
UPDATE users SET name = 'b' WHERE id = 1101
ROLLBACK TO SAVEPOINT one
SELECT name FROM users WHERE id = 1101
RELEASE SAVEPOINT one
COMMIT
SELECT name FROM users WHERE id = 1101

--! must script
BEGIN
SAVEPOINT a
INSERT INTO users (id, name) VALUES (1, 'duplicate')
SELECT 1
ROLLBACK TO a
SELECT name FROM users WHERE id = 1
COMMIT

--! script
BEGIN
SAVEPOINT a
SELECT name FROM users WHERE id = 1
SAVEPOINT b
SELECT name FROM users WHERE id = 2
ROLLBACK TO a
SELECT name FROM users WHERE id = 2
RELEASE b
ROLLBACK

--! script
BEGIN
SELECT name FROM users WHERE id = 1
SAVEPOINT s
UPDATE users SET age = 50 WHERE id = 1
SAVEPOINT s
UPDATE users SET age = 51 WHERE id = 1
ROLLBACK TO s
SELECT age FROM users WHERE id = 1
RELEASE s
ROLLBACK TO s
SELECT age FROM users WHERE id = 1
SELECT id, age FROM users WHERE id IN (1, 2, 3, 4, 5)
COMMIT
SELECT age FROM users WHERE id = 1

--! script
BEGIN
UPDATE users SET age = 50 WHERE id = 1
SAVEPOINT "Quoted ""name"""
SELECT name FROM users WHERE id = 2
SELECT 1 / 0 FROM users WHERE id = 3
ROLLBACK TO "Quoted ""name"""
SELECT name FROM users WHERE id = 3
SELECT age FROM users WHERE id = 1
COMMIT

--! script
BEGIN
ROLLBACK TO nothing
SELECT 1
COMMIT

--! script
SAVEPOINT outside
RELEASE outside
ROLLBACK TO outside

--! must script
COMMIT
ROLLBACK
BEGIN
BEGIN
SELECT 1
COMMIT
COMMIT

--! script
BEGIN
SELECT age FROM users WHERE id = 1
COMMIT AND CHAIN
SELECT age FROM users WHERE id = 2
ROLLBACK AND CHAIN
SELECT age FROM users WHERE id = 3
COMMIT

--! script
BEGIN
UPDATE users SET age = 60 WHERE id = 1
UPDATE users SET age = 60 WHERE id = 2
UPDATE users SET age = 60 WHERE id = 3
UPDATE users SET age = 60 WHERE id = 4
COMMIT
SELECT id, age FROM users WHERE id IN (1, 2, 3, 4)

--! script
BEGIN
UPDATE users SET age = 60 WHERE id = 1
SELECT name FROM users WHERE id = 2
SELECT id, age FROM users
COMMIT

--! script
BEGIN
SELECT name FROM users WHERE id = 2
UPDATE users SET age = 60 WHERE id = 1
UPDATE settings SET value = 'in a transaction' WHERE key = 'theme'
SELECT id, age FROM users WHERE id IN (1, 2, 3)
SELECT * FROM settings
COMMIT
SELECT id, age FROM users WHERE id IN (1, 2, 3)
SELECT * FROM settings

--! script
BEGIN
INSERT INTO users (id, name) VALUES (1201, 'a')
INSERT INTO orders (user_id, id, amount) VALUES (1201, 1, 5)
INSERT INTO order_items (user_id, order_id, line) VALUES (1201, 1, 1)
SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 1201
COMMIT
SELECT * FROM order_items WHERE user_id = 1201

--! script
BEGIN
DELETE FROM users WHERE id = 5
SELECT id FROM users
ROLLBACK
SELECT id FROM users WHERE id = 5

--! script
BEGIN
UPDATE products SET price = 1 WHERE id = 1
SELECT price FROM products WHERE id = 1
COMMIT

--! script
BEGIN
SELECT name FROM users WHERE id = 2
SELECT price FROM products WHERE id = 1
SELECT u.id, p.price FROM users u, products p WHERE u.id = 2 AND p.id = 2
COMMIT

--! script
BEGIN
SELECT id FROM users ORDER BY id
SELECT 1
COMMIT

--! script
BEGIN
UPDATE users SET age = 61 WHERE id = 1
SELECT count(*) FROM users
SELECT 1
COMMIT
SELECT age FROM users WHERE id = 1

-- Several statements in one Query.

--! must script simple
SELECT 1; SELECT 2
SELECT name FROM users WHERE id = 1; SELECT name FROM users WHERE id = 1
SELECT 1; SELECT 1 / 0; SELECT 3
; ; SELECT 1 ;

--! script simple
SELECT name FROM users WHERE id = 1; SELECT name FROM users WHERE id = 2; SELECT name FROM users WHERE id = 3
SELECT id FROM users; SELECT key FROM settings

--! script simple
INSERT INTO users (id, name) VALUES (1301, 'a'); INSERT INTO users (id, name) VALUES (1301, 'b')
SELECT name FROM users WHERE id = 1301

--! script simple
INSERT INTO users (id, name) VALUES (1302, 'a'); SELECT 1 / 0
SELECT name FROM users WHERE id = 1302

--! script simple
INSERT INTO users (id, name) VALUES (1303, 'a'); INSERT INTO users (id, name) VALUES (1304, 'b'); INSERT INTO users (id, name) VALUES (1305, 'c')
SELECT id FROM users WHERE id IN (1303, 1304, 1305)

--! script simple
INSERT INTO users (id, name) VALUES (1306, 'a'); SELECT count(*) FROM users
SELECT name FROM users WHERE id = 1306

--! script simple
BEGIN; INSERT INTO users (id, name) VALUES (1307, 'a'); COMMIT
SELECT name FROM users WHERE id = 1307

--! script simple
BEGIN; INSERT INTO users (id, name) VALUES (1308, 'a'); ROLLBACK; SELECT name FROM users WHERE id = 1308
SELECT name FROM users WHERE id = 1308

--! script simple
BEGIN; UPDATE users SET age = 62 WHERE id = 1
SELECT age FROM users WHERE id = 1; COMMIT; SELECT age FROM users WHERE id = 1

--! script simple
UPDATE users SET age = 63 WHERE id = 1; BEGIN; UPDATE users SET age = 64 WHERE id = 1
ROLLBACK
SELECT age FROM users WHERE id = 1

--! script simple
UPDATE users SET age = 65 WHERE id = 1; COMMIT; SELECT 1 / 0
SELECT age FROM users WHERE id = 1

--! script simple
UPDATE users SET age = 66 WHERE id = 1; ROLLBACK; SELECT 1
SELECT age FROM users WHERE id = 1

--! script simple
BEGIN; SELECT 1 / 0; SELECT 1; COMMIT
SELECT 1
ROLLBACK; SELECT 2

--! script simple
SELECT 'a;b'; SELECT $$;$$ /* ; */ -- ;
SELECT 1; SELEKT 2; SELECT 3

--! script simple
SET application_name = 'x'; SELECT 1 / 0
SHOW application_name

--! script simple
BEGIN; SET LOCAL timezone = 'Asia/Tokyo'; SHOW timezone; COMMIT
SHOW timezone

--! script simple
SAVEPOINT x; SELECT 1

-- What ends a failed transaction may come first of several statements.

--! must script simple
BEGIN
RELEASE SAVEPOINT nothing
COMMIT; BEGIN
SELECT name FROM users WHERE id = 1
COMMIT

--! must script simple
BEGIN
RELEASE SAVEPOINT nothing
ROLLBACK; SELECT name FROM users WHERE id = 2
BEGIN
SAVEPOINT s
RELEASE SAVEPOINT nothing
ROLLBACK TO s; SELECT name FROM users WHERE id = 3
SELECT 1; ROLLBACK
COMMIT; SELECT 2

--! must script simple
BEGIN
UPDATE users SET age = 67 WHERE id = 1
SELECT 1 / 0 FROM users WHERE id = 2
SELECT 1; COMMIT
COMMIT; BEGIN; SELECT age FROM users WHERE id = 1
ROLLBACK; SELECT name FROM users WHERE id = 3

-- Cursors.

--! script
BEGIN
DECLARE c CURSOR FOR SELECT id, name FROM users WHERE id = 1
FETCH ALL FROM c
CLOSE c
COMMIT

--! script
BEGIN
DECLARE c SCROLL CURSOR FOR SELECT id FROM orders WHERE user_id = 1 ORDER BY id
FETCH 3 FROM c
FETCH BACKWARD 1 FROM c
MOVE 5 IN c
FETCH NEXT FROM c
SELECT name FROM users WHERE id = 1
FETCH RELATIVE 2 FROM c
COMMIT
FETCH NEXT FROM c

--! script
BEGIN
DECLARE c CURSOR FOR SELECT key FROM settings ORDER BY key
FETCH 1 FROM c
SELECT name FROM users WHERE id = 2
FETCH 2 FROM c
ROLLBACK

--! script
BEGIN
DECLARE c CURSOR FOR SELECT id FROM users
FETCH ALL FROM c
COMMIT

--! script
DECLARE c CURSOR FOR SELECT 1

--! script
DECLARE c CURSOR WITH HOLD FOR SELECT key FROM settings ORDER BY key
FETCH 1 FROM c
SELECT name FROM users WHERE id = 2
FETCH 1 FROM c
CLOSE c

--! script
BEGIN
DECLARE c CURSOR FOR SELECT id FROM users WHERE id = 5 FOR UPDATE
FETCH c
UPDATE users SET age = 70 WHERE CURRENT OF c
COMMIT
SELECT age FROM users WHERE id = 5

-- What one transaction sees and leaves over several shards.

--! script
BEGIN
INSERT INTO users (id, name) VALUES (1401, 'a')
SELECT id FROM users WHERE id = 1401
INSERT INTO users (id, name) VALUES (1402, 'b')
INSERT INTO users (id, name) VALUES (1403, 'c')
SELECT name FROM users WHERE id = 1402
ROLLBACK
SELECT name FROM users WHERE id IN (1401, 1402, 1403)

--! script
BEGIN
INSERT INTO users (id, name) VALUES (1404, 'a')
SELECT 1 / 0 FROM users WHERE id = 2
INSERT INTO users (id, name) VALUES (1405, 'b')
COMMIT
SELECT name FROM users WHERE id IN (1404, 1405)

--! script
BEGIN
DELETE FROM settings WHERE key = 'theme'
SELECT name FROM users WHERE id = 1
SELECT name FROM users WHERE id = 2
SELECT key FROM settings
ROLLBACK
SELECT key FROM settings

--! script
BEGIN
SELECT name FROM users WHERE id = 1
SELECT name FROM users WHERE id = 2
SELECT name FROM users WHERE id = 3
UPDATE users SET age = 80 WHERE id = 4
COMMIT
SELECT age FROM users WHERE id = 4

--! script
BEGIN
SET LOCAL timezone = 'Asia/Tokyo'
SELECT placed_at FROM orders WHERE user_id = 1 AND id = 1
SELECT placed_at FROM orders WHERE user_id = 2 AND id = 1
SELECT placed_at FROM orders WHERE user_id = 3 AND id = 1
SAVEPOINT s
SET timezone = 'Europe/Lisbon'
SELECT placed_at FROM orders WHERE user_id = 5 AND id = 1
SELECT placed_at FROM orders WHERE user_id = 6 AND id = 1
ROLLBACK TO s
SELECT placed_at FROM orders WHERE user_id = 6 AND id = 1
SELECT placed_at FROM orders WHERE user_id = 7 AND id = 1
COMMIT
SELECT placed_at FROM orders WHERE user_id = 2 AND id = 1

--! script
BEGIN
SAVEPOINT a
UPDATE users SET age = 81 WHERE id = 1
SAVEPOINT b
SELECT name FROM users WHERE id = 2
SELECT nothing FROM users WHERE id = 3
ROLLBACK TO b
SELECT age FROM users WHERE id = 1
SELECT name FROM users WHERE id = 3
ROLLBACK TO a
SELECT age FROM users WHERE id = 1
COMMIT
SELECT age FROM users WHERE id = 1

--! script
BEGIN
SAVEPOINT a
SAVEPOINT a
SELECT name FROM users WHERE id = 2
RELEASE a
UPDATE users SET age = 82 WHERE id = 2
ROLLBACK TO a
RELEASE a
RELEASE a
ROLLBACK

--! script
BEGIN
SELECT name FROM users WHERE id = 1
SAVEPOINT a
SELECT id FROM users
ROLLBACK TO a
SELECT id FROM users
COMMIT

--! script
BEGIN ISOLATION LEVEL REPEATABLE READ
SELECT age FROM users WHERE id = 1
UPDATE users SET age = 83 WHERE id = 1
SELECT age FROM users WHERE id = 1
SELECT id, age FROM users
COMMIT

--! script
BEGIN
SELECT 1
SELECT name FROM users WHERE id = 2
ABORT
END
START TRANSACTION
SELECT name FROM users WHERE id = 2
END WORK

--! script
BEGIN; SELECT name FROM users WHERE id = 1
COMMIT PREPARED 'nothing'
PREPARE TRANSACTION 'mine'
ROLLBACK

--! script
SELECT 1 / 0
SELECT name FROM users WHERE id = 1
SELECT name FROM users WHERE id = 'abc'
SELECT name FROM users WHERE id = 2

--! script
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
UPDATE users SET age = 1 WHERE id = 1
UPDATE users SET age = 1 WHERE id = 2
SELECT name FROM users WHERE id = 3
SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE
UPDATE users SET age = 1 WHERE id = 2

--! script
BEGIN
SET TRANSACTION READ ONLY
SELECT name FROM users WHERE id = 1
UPDATE users SET age = 1 WHERE id = 2
ROLLBACK

--! script
BEGIN READ ONLY
SET TRANSACTION READ WRITE
UPDATE users SET age = 1 WHERE id = 2
SET TRANSACTION READ ONLY
UPDATE users SET age = 2 WHERE id = 2
ROLLBACK

--! script
BEGIN
ROLLBACK

--! script
BEGIN
SELECT name FROM users WHERE id = 1 FOR UPDATE
SELECT name FROM users WHERE id = 2 FOR UPDATE
UPDATE users SET age = 84 WHERE id = 1
COMMIT

--! script
BEGIN
LOCK TABLE users
SELECT name FROM users WHERE id = 1
ROLLBACK

--! script
SET CONSTRAINTS ALL DEFERRED
BEGIN
SET CONSTRAINTS ALL IMMEDIATE
SELECT name FROM users WHERE id = 2
COMMIT

--! must script
/* a comment comes first */ START TRANSACTION READ WRITE
SELECT name FROM users WHERE id = 1
START TRANSACTION
COMMIT
