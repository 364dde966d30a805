-- Columns that are kept unique over all shards, without the shard key in them.

--! must script
INSERT INTO profiles (id, email, name) VALUES (1, 'a@x', 'a')
INSERT INTO profiles (id, email, name) VALUES (2, 'a@x', 'b')
INSERT INTO profiles (id, email, name) VALUES (2, 'b@x', 'b') RETURNING *
SELECT * FROM profiles WHERE email = 'b@x'
SELECT id FROM profiles WHERE email = 'nobody'
SELECT id FROM profiles WHERE email IS NULL
SELECT id, name FROM profiles WHERE email IN ('a@x', 'b@x') ORDER BY id

--! must script
INSERT INTO profiles (id, email) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')
INSERT INTO profiles (id, email) VALUES (5, 'e'), (6, 'b'), (7, 'g')
INSERT INTO profiles (id, email) VALUES (5, 'e'), (6, 'e'), (7, 'g')
INSERT INTO profiles (id, email) VALUES (8, NULL), (9, NULL), (10, NULL) RETURNING id
UPDATE profiles SET email = 'a' WHERE id = 2
UPDATE profiles SET email = 'a' WHERE id = 1
UPDATE profiles SET email = 'z' WHERE id = 1 RETURNING email
INSERT INTO profiles (id, email) VALUES (20, 'a')
INSERT INTO profiles (id, email) VALUES (21, 'z')
DELETE FROM profiles WHERE email = 'z' RETURNING id
INSERT INTO profiles (id, email) VALUES (21, 'z')
UPDATE profiles SET name = 'changed' WHERE email = 'z'
SELECT id, email, name FROM profiles ORDER BY id
DELETE FROM profiles
INSERT INTO profiles (id, email) VALUES (31, 'a'), (32, 'b'), (33, 'c')
SELECT count(*) FROM profiles

-- Composite, with a column that may be NULL.
--! must script
INSERT INTO profiles (id, tenant, number) VALUES (1, 1, 1), (2, 1, 2), (3, 2, 1), (4, NULL, 1), (5, NULL, 1)
INSERT INTO profiles (id, tenant, number) VALUES (6, 1, 2)
INSERT INTO profiles (id, tenant, number) VALUES (6, 1, 3) RETURNING tenant, number
SELECT id FROM profiles WHERE tenant = 1 AND number = 3
SELECT id FROM profiles WHERE tenant = 1 AND number = 99
UPDATE profiles SET tenant = 2 WHERE id = 1
UPDATE profiles SET tenant = NULL WHERE id = 3
UPDATE profiles SET tenant = 2 WHERE id = 1
INSERT INTO profiles (id, tenant) VALUES (7, 5)
INSERT INTO profiles (id, tenant) VALUES (8, 5)
SELECT id, tenant, number FROM profiles ORDER BY id

-- ON CONFLICT.
--! must script
INSERT INTO profiles (id, email, name) VALUES (1, 'a', 'one'), (2, 'b', 'two'), (3, 'c', 'three')
INSERT INTO profiles (id, email, name) VALUES (9, 'a', 'nine') ON CONFLICT (email) DO NOTHING
INSERT INTO profiles (id, email, name) VALUES (9, 'a', 'nine') ON CONFLICT (email) DO NOTHING RETURNING id
INSERT INTO profiles (id, email, name) VALUES (9, 'a', 'nine') ON CONFLICT DO NOTHING
INSERT INTO profiles (id, email, name) VALUES (9, 'n', 'nine') ON CONFLICT (email) DO NOTHING RETURNING id, email
INSERT INTO profiles (id, email, name) VALUES (10, 'a', 'ten'), (11, 'k', 'eleven'), (12, 'b', 'twelve') ON CONFLICT (email) DO NOTHING
INSERT INTO profiles (id, email, name) VALUES (13, 'a', 'x'), (14, 'm', 'y'), (15, 'b', 'z') ON CONFLICT (email) DO UPDATE SET name = excluded.name RETURNING id, email, name
INSERT INTO profiles AS p (id, email, name) VALUES (16, 'c', 'again') ON CONFLICT (email) DO UPDATE SET name = p.name || excluded.name WHERE p.name <> 'no' RETURNING p.id, p.name
INSERT INTO profiles (id, email, name) VALUES (17, 'c', 'x') ON CONFLICT ON CONSTRAINT profiles_email DO UPDATE SET email = 'cc' RETURNING id, email
INSERT INTO profiles (id, email) VALUES (18, 'c')
INSERT INTO profiles (id, email) VALUES (19, 'cc')
INSERT INTO profiles (id, email, name) VALUES (20, 'q', '1'), (21, 'q', '2') ON CONFLICT (email) DO UPDATE SET name = excluded.name
INSERT INTO profiles (id, email, name) VALUES (20, 'q', '1'), (21, 'q', '2') ON CONFLICT (email) DO NOTHING
INSERT INTO profiles (id, email, name) VALUES (1, 'new', 'x') ON CONFLICT (email) DO NOTHING
INSERT INTO profiles (id, email, name) VALUES (1, 'new', 'x') ON CONFLICT DO NOTHING
INSERT INTO profiles (id, email, name) VALUES (30, 'new', 'x')
INSERT INTO profiles (id, email, name) VALUES (1, 'b', 'x') ON CONFLICT (id) DO UPDATE SET email = excluded.email
INSERT INTO profiles (id, email, name) VALUES (1, 'bb', 'x') ON CONFLICT (id) DO UPDATE SET email = excluded.email
INSERT INTO profiles (id, email, name) VALUES (40, NULL, 'x') ON CONFLICT (email) DO NOTHING
INSERT INTO profiles (id, email, name) VALUES (41, NULL, 'x') ON CONFLICT (email) DO UPDATE SET name = 'never' RETURNING id
SELECT id, email, name FROM profiles ORDER BY id

--! script
INSERT INTO profiles (id, tenant, number) VALUES (1, 1, 1), (2, 1, 2)
INSERT INTO profiles (id, tenant, number, name) VALUES (3, 1, 2, 'x') ON CONFLICT (number, tenant) DO UPDATE SET name = excluded.name RETURNING id, name
INSERT INTO profiles (id, tenant, number, name, email) VALUES (4, 1, 2, 'x', 'e') ON CONFLICT DO NOTHING
INSERT INTO profiles (id, tenant, number, name, email) VALUES (5, 7, 7, 'x', 'e') ON CONFLICT DO NOTHING RETURNING id
INSERT INTO profiles (id, tenant, number, name, email) VALUES (6, 1, 2, 'x', 'e'), (7, 9, 9, 'y', 'e'), (8, 9, 9, 'z', 'f') ON CONFLICT DO NOTHING
INSERT INTO profiles (id, email) VALUES (9, 'f')
SELECT id, tenant, number, email, name FROM profiles ORDER BY id

-- Blocks and savepoints.
--! must script
BEGIN
INSERT INTO profiles (id, email) VALUES (1, 'a'), (2, 'b')
SAVEPOINT s
INSERT INTO profiles (id, email) VALUES (3, 'b')
ROLLBACK TO s
INSERT INTO profiles (id, email) VALUES (3, 'c')
SAVEPOINT t
DELETE FROM profiles WHERE id = 1
INSERT INTO profiles (id, email) VALUES (4, 'a')
SELECT id FROM profiles WHERE email = 'a'
ROLLBACK TO t
SELECT id FROM profiles WHERE email = 'a'
COMMIT
SELECT id, email FROM profiles ORDER BY id
BEGIN
DELETE FROM profiles WHERE email = 'a'
ROLLBACK
INSERT INTO profiles (id, email) VALUES (5, 'a')

-- Rows that move.
--! must script
INSERT INTO profiles (id, email, name) VALUES (1, 'a', 'one'), (2, 'b', 'two'), (3, 'c', 'three')
UPDATE profiles SET id = id + 100
SELECT id, name FROM profiles WHERE email = 'b'
INSERT INTO profiles (id, email) VALUES (1, 'a')
UPDATE profiles SET id = 7, email = 'c' WHERE id = 101
UPDATE profiles SET id = 7, email = 'd' WHERE id = 101 RETURNING id, email
INSERT INTO profiles (id, email) VALUES (1, 'a')
SELECT id, email FROM profiles ORDER BY id

-- Cascades change nothing of them, and what cascades comes from elsewhere.
--! script
INSERT INTO profiles (id, email) VALUES (1, 'a'), (2, 'b')
INSERT INTO passports VALUES (1, 'x'), (2, 'y')
DELETE FROM profiles WHERE id = 1
SELECT * FROM passports
INSERT INTO profiles (id, email) VALUES (3, 'a')
TRUNCATE passports, profiles
INSERT INTO profiles (id, email) VALUES (4, 'a'), (5, 'b')

-- Joins and sub-selects on a row that is found by its claim.
--! must script
INSERT INTO profiles (id, email, name) VALUES (1, 'a', 'one'), (2, 'b', 'two'), (3, 'c', 'three')
INSERT INTO passports VALUES (1, 'x'), (2, 'y')
SELECT p.id, q.code FROM profiles p JOIN passports q ON q.id = p.id WHERE p.email = 'b'
SELECT p.id, q.code FROM profiles p LEFT JOIN passports q ON q.id = p.id WHERE p.email = 'c'
SELECT q.id FROM passports q LEFT JOIN profiles p ON q.id = p.id AND p.email = 'b' ORDER BY 1
SELECT id FROM profiles WHERE email = 'b' OR email = 'a' ORDER BY 1
SELECT id FROM profiles WHERE NOT email = 'b' ORDER BY 1
SELECT count(*) FROM profiles WHERE email = 'b'
SELECT count(*), max(id) FROM profiles WHERE email = 'nobody'
SELECT id FROM passports WHERE id IN (SELECT id FROM profiles WHERE email = 'b')
UPDATE passports SET code = 'z' FROM profiles p WHERE p.id = passports.id AND p.email = 'b'
SELECT * FROM passports ORDER BY id
SELECT id FROM profiles WHERE email = NULL
SELECT id FROM profiles WHERE email = 'b' AND id = 3
SELECT id FROM profiles WHERE email = 'b' FOR UPDATE
SELECT id FROM profiles WHERE email = 'b '

--! must script
INSERT INTO profiles (id, email) VALUES (1, 'a b'), (2, 'O''Neil\'), (3, 'ü"$$'), (4, '')
INSERT INTO profiles (id, email) VALUES (5, 'O''Neil\')
INSERT INTO profiles (id, email) VALUES (5, '')
SELECT id FROM profiles WHERE email = 'O''Neil\'
SELECT id FROM profiles WHERE email = ''
INSERT INTO profiles (id, email) VALUES (6, 'ü"$$') ON CONFLICT (email) DO UPDATE SET name = 'found' RETURNING id

-- On one shard what one row gives up another one may get, as far as its index allows it.
--! script
INSERT INTO profiles (id, email) VALUES (1, 'a'), (2, 'b')
UPDATE profiles SET email = CASE id WHEN 1 THEN 'b' ELSE 'a' END
SELECT id, email FROM profiles ORDER BY id

-- Other ways to write.
--! script
INSERT INTO profiles (id, email) SELECT id, name FROM names, users WHERE false
INSERT INTO profiles (id, email) SELECT user_id, 'fix' FROM orders WHERE user_id = 5 LIMIT 1
INSERT INTO profiles (id, email) SELECT id, id || '@y' FROM users WHERE id BETWEEN 1 AND 20
INSERT INTO profiles (id, email) SELECT id + 100, id || '@y' FROM users WHERE id BETWEEN 20 AND 21
INSERT INTO profiles (id, email) SELECT n, n || '@z' FROM generate_series(200, 220) n
INSERT INTO profiles (id, email) SELECT n, '219@z' FROM generate_series(300, 301) n
WITH x AS (DELETE FROM profiles WHERE id = 200 RETURNING id) SELECT * FROM x
INSERT INTO profiles (id, email) VALUES (400, '200@z')
SELECT count(*), count(DISTINCT email) FROM profiles
SELECT id FROM profiles WHERE email = '7@y'

--! refused script
INSERT INTO profiles (id, email) VALUES (1, lower('A')) ON CONFLICT (email) DO NOTHING
