-- Many cursors at once, and what becomes of each when another one fails, is closed or is rolled back.

--! must
--! script
BEGIN
DECLARE c0 CURSOR FOR SELECT id, name FROM users ORDER BY name, id
DECLARE c1 CURSOR FOR SELECT id, amount FROM orders ORDER BY id, user_id, amount
DECLARE c2 CURSOR FOR SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2
DECLARE c3 CURSOR FOR SELECT id, name, rank() OVER (ORDER BY name) FROM users ORDER BY id DESC
DECLARE c4 CURSOR FOR SELECT id, name FROM users ORDER BY name, id
DECLARE c5 CURSOR FOR SELECT id, amount FROM orders ORDER BY id, user_id, amount
DECLARE c6 CURSOR FOR SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2
DECLARE c7 CURSOR FOR SELECT id, name, rank() OVER (ORDER BY name) FROM users ORDER BY id DESC
DECLARE c8 CURSOR FOR SELECT id, name FROM users ORDER BY name, id
DECLARE c9 CURSOR FOR SELECT id, amount FROM orders ORDER BY id, user_id, amount
DECLARE c10 CURSOR FOR SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2
DECLARE c11 CURSOR FOR SELECT id, name, rank() OVER (ORDER BY name) FROM users ORDER BY id DESC
DECLARE c12 CURSOR FOR SELECT id, name FROM users ORDER BY name, id
DECLARE c13 CURSOR FOR SELECT id, amount FROM orders ORDER BY id, user_id, amount
DECLARE c14 CURSOR FOR SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2
DECLARE c15 CURSOR FOR SELECT id, name, rank() OVER (ORDER BY name) FROM users ORDER BY id DESC
DECLARE c16 CURSOR FOR SELECT id, name FROM users ORDER BY name, id
DECLARE c17 CURSOR FOR SELECT id, amount FROM orders ORDER BY id, user_id, amount
DECLARE c18 CURSOR FOR SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2
DECLARE c19 CURSOR FOR SELECT id, name, rank() OVER (ORDER BY name) FROM users ORDER BY id DESC
DECLARE c20 CURSOR FOR SELECT id, name FROM users ORDER BY name, id
DECLARE c21 CURSOR FOR SELECT id, amount FROM orders ORDER BY id, user_id, amount
DECLARE c22 CURSOR FOR SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2
DECLARE c23 CURSOR FOR SELECT id, name, rank() OVER (ORDER BY name) FROM users ORDER BY id DESC
FETCH 2 FROM c0
FETCH 2 FROM c7
FETCH 2 FROM c14
FETCH 2 FROM c21
FETCH 2 FROM c4
FETCH 2 FROM c11
FETCH 2 FROM c18
FETCH 2 FROM c1
FETCH 2 FROM c8
FETCH 2 FROM c15
FETCH 2 FROM c22
FETCH 2 FROM c5
FETCH 2 FROM c12
FETCH 2 FROM c19
FETCH 2 FROM c2
FETCH 2 FROM c9
FETCH 2 FROM c16
FETCH 2 FROM c23
FETCH 2 FROM c6
FETCH 2 FROM c13
FETCH 2 FROM c20
FETCH 2 FROM c3
FETCH 2 FROM c10
FETCH 2 FROM c17
CLOSE c0
CLOSE c23
FETCH 1 FROM c22
SELECT count(*) FROM users u JOIN names n ON n.name = u.name
FETCH 2 FROM c12
COMMIT
FETCH 1 FROM c3

--! must
--! script
BEGIN
DECLARE c CURSOR FOR SELECT id, name FROM users ORDER BY name, id
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 0
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 1
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 2
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 3
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 4
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 5
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 6
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 7
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 8
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 9
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 10
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 11
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 12
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 13
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 14
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 15
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 16
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 17
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 18
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 19
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 20
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 21
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 22
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 23
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 24
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 25
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 26
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 27
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 28
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 29
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 30
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 31
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 32
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 33
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 34
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 35
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 36
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 37
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 38
FETCH 1 FROM c
SELECT count(*), min(n.n) FROM users u JOIN names n ON n.name = u.name WHERE u.id > 39
COMMIT

--! must
--! script
BEGIN
DECLARE c CURSOR FOR SELECT id, name FROM users ORDER BY name, id
SAVEPOINT a
DECLARE d CURSOR FOR SELECT 10 / (u.id - 3) AS x FROM users u LEFT JOIN names n ON n.name = u.name || 'x' WHERE u.id BETWEEN 1 AND 9 ORDER BY x
FETCH 2 FROM c
FETCH 5 FROM d
FETCH 1 FROM c
ROLLBACK TO a
FETCH 2 FROM c
FETCH 1 FROM d

--! must
--! script
BEGIN
DECLARE c CURSOR FOR SELECT id, name FROM users ORDER BY name, id
DECLARE d CURSOR FOR SELECT id FROM users ORDER BY id
SAVEPOINT a
SELECT nothing FROM users u JOIN names n ON n.name = u.name
ROLLBACK TO a
FETCH 2 FROM c
SELECT count(1 / (u.id - 3)) FROM users u JOIN names n ON n.name = u.name
ROLLBACK TO a
FETCH 2 FROM d
DECLARE e CURSOR FOR SELECT id, amount FROM orders ORDER BY id, user_id, amount
FETCH 2 FROM e
ROLLBACK TO a
FETCH 2 FROM c
FETCH 2 FROM d
FETCH 1 FROM e
ROLLBACK

--! must
--! script
BEGIN
DECLARE c CURSOR FOR SELECT id, name FROM users ORDER BY name, id
SAVEPOINT a
DECLARE d CURSOR FOR SELECT id, amount FROM orders ORDER BY id, user_id, amount
SAVEPOINT b
DECLARE e CURSOR FOR SELECT id, name, rank() OVER (ORDER BY name) FROM users ORDER BY id DESC
FETCH 1 FROM d
RELEASE b
FETCH 2 FROM e
CLOSE d
DECLARE d CURSOR FOR SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2
FETCH 2 FROM d
FETCH 2 FROM c
ROLLBACK TO a
DECLARE d CURSOR FOR SELECT id, name, rank() OVER (ORDER BY name) FROM users ORDER BY id DESC
FETCH 2 FROM d
FETCH 2 FROM c
CLOSE ALL
DECLARE c CURSOR FOR SELECT id, name, rank() OVER (ORDER BY name) FROM users ORDER BY id DESC
FETCH 2 FROM c
COMMIT

--! must
--! script
DECLARE h0 CURSOR WITH HOLD FOR SELECT id, name FROM users ORDER BY name, id
DECLARE h1 CURSOR WITH HOLD FOR SELECT id, amount FROM orders ORDER BY id, user_id, amount
DECLARE h2 CURSOR WITH HOLD FOR SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2
DECLARE h3 CURSOR WITH HOLD FOR SELECT id, name, rank() OVER (ORDER BY name) FROM users ORDER BY id DESC
DECLARE h4 CURSOR WITH HOLD FOR SELECT id, name FROM users ORDER BY name, id
DECLARE h5 CURSOR WITH HOLD FOR SELECT id, amount FROM orders ORDER BY id, user_id, amount
DECLARE h6 CURSOR WITH HOLD FOR SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2
DECLARE h7 CURSOR WITH HOLD FOR SELECT id, name, rank() OVER (ORDER BY name) FROM users ORDER BY id DESC
DECLARE h8 CURSOR WITH HOLD FOR SELECT id, name FROM users ORDER BY name, id
DECLARE h9 CURSOR WITH HOLD FOR SELECT id, amount FROM orders ORDER BY id, user_id, amount
DECLARE h10 CURSOR WITH HOLD FOR SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2
DECLARE h11 CURSOR WITH HOLD FOR SELECT id, name, rank() OVER (ORDER BY name) FROM users ORDER BY id DESC
FETCH 2 FROM h0
FETCH 2 FROM h1
FETCH 2 FROM h2
FETCH 2 FROM h3
FETCH 2 FROM h4
FETCH 2 FROM h5
FETCH 2 FROM h6
FETCH 2 FROM h7
FETCH 2 FROM h8
FETCH 2 FROM h9
FETCH 2 FROM h10
FETCH 2 FROM h11
BEGIN
DECLARE c CURSOR FOR SELECT id, name FROM users ORDER BY name, id
FETCH 1 FROM c
FETCH 1 FROM h3
DECLARE k CURSOR WITH HOLD FOR SELECT id, amount FROM orders ORDER BY id, user_id, amount
FETCH 1 FROM k
CLOSE h5
ROLLBACK
FETCH 1 FROM k
FETCH 1 FROM c
FETCH 2 FROM h3
FETCH 1 FROM h5
DECLARE k CURSOR WITH HOLD FOR SELECT id, name, rank() OVER (ORDER BY name) FROM users ORDER BY id DESC
FETCH 1 FROM k
DECLARE h5 CURSOR WITH HOLD FOR SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2
FETCH 2 FROM h5
SELECT count(*) FROM users u JOIN names n ON n.name = u.name
FETCH 1 FROM h0
CLOSE ALL
FETCH 1 FROM h0

--! script
BEGIN
DECLARE c CURSOR FOR SELECT pg_typeof(u), u.id FROM users u JOIN names n ON n.name = u.name ORDER BY u.id
FETCH 1 FROM c
DECLARE d CURSOR FOR SELECT u.id, n.n FROM users u JOIN names n ON n.name = u.name ORDER BY 1, 2
FETCH 1 FROM d
FETCH 1 FROM c
COMMIT

--! must
--! script
BEGIN
DECLARE c CURSOR FOR SELECT id, name, total FROM user_totals ORDER BY total NULLS FIRST, id
FETCH 2 FROM c
DECLARE d CURSOR FOR SELECT id, name, total FROM user_totals ORDER BY id
FETCH 2 FROM d
INSERT INTO users (id, name) VALUES (9300, 'AAA')
DECLARE e CURSOR FOR SELECT id, name FROM users ORDER BY name, id
FETCH 3 FROM e
FETCH 2 FROM c
ROLLBACK

--! script
BEGIN
DECLARE c CURSOR FOR SELECT id, name FROM users ORDER BY name, id
SET LOCAL DateStyle = 'German'
DECLARE d CURSOR FOR SELECT o.placed_at, u.id FROM orders o JOIN users u ON u.age = o.id ORDER BY o.placed_at, u.id
FETCH 2 FROM d
FETCH 2 FROM c
CREATE TEMP TABLE shown AS SELECT id FROM users WHERE id < 5
SELECT count(*) FROM shown s JOIN users u ON u.id = s.id JOIN names n ON n.name = u.name
INSERT INTO names (name, n) SELECT 'cursor ' || u.id, 1 FROM users u WHERE u.id < 9
FETCH 2 FROM c
FETCH 1 FROM d
ROLLBACK
