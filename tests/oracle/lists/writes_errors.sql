-- Several rows of one INSERT are wrong, on different shards: which error is told goes by the rows.

--! must
INSERT INTO users (id, name) VALUES (101, NULL), (102, NULL), (103, NULL), (104, NULL), (105, NULL), (106, NULL), (107, NULL)

--! must
INSERT INTO users (id, name) VALUES (107, NULL), (106, NULL), (105, NULL), (104, NULL), (103, NULL), (102, NULL), (101, NULL)

--! must
INSERT INTO users (id, name, age) VALUES (111, 'a', 1), (112, 'b', 2), (113, 'c', -3), (114, NULL, 4), (115, 'e', -5), (116, NULL, 6), (1, 'g', 7), (2, 'h', 8)

--! must
INSERT INTO users (id, name, age) VALUES (117, 'a', 1), (118, 'b', 2), (119, 'c', 3), (3, 'd', 4), (1, 'e', 5), (2, 'f', 6), (120, NULL, 7), (121, 'h', -8)

--! must
INSERT INTO users (id, name, age) VALUES (101, 'a', 1), (101, 'b', 2), (102, 'c', 3), (102, 'd', 4), (103, NULL, 5), (104, NULL, 5)

-- What is constant is computed before any row is made.
--! must
INSERT INTO users (id, name, age) VALUES (101, NULL, 1), (102, 'b', -2), (103, 'c', -3), (104, 'd', 1 / 0), (105, 'e', 5), (106, NULL, 6)

--! must
INSERT INTO users (id, name, age) VALUES (101, NULL, 1), (102, 'b', -2), (103, 'c', -3), (104, 'd', 5000000000), (105, 'e', 5), (106, NULL, 6)

-- What can't be read is found before anything is computed.
--! must
INSERT INTO users (id, name, age) VALUES (101, NULL, 1), (102, 'b', 1 / 0), (103, 'c', -3), (104, 'd', 'four'), (105, 'e', 'five'), (106, NULL, 6)

-- Foreign keys are looked at when all rows are made.
--! must
INSERT INTO order_items (user_id, order_id, line, product_id) VALUES (1, 9001, 1, 1), (2, 9002, 1, 1), (3, 9003, 1, 1), (4, 9004, 1, 1), (5, NULL, 1, 1)

--! must
INSERT INTO order_items (user_id, order_id, line, product_id) VALUES (7, 9001, 1, 1), (6, 9002, 1, 1), (5, 9003, 1, 1), (4, 9004, 1, 1)

--! must
--! param bigint 101
--! param text null
--! param bigint 102
--! param int -2
INSERT INTO users (id, name, age) VALUES ($3, 'x', $4), ($1, $2, 0)

--! must script
BEGIN
INSERT INTO users (id, name) VALUES (101, 'a'), (102, 'b'), (103, 'c')
SAVEPOINT a
INSERT INTO users (id, name) VALUES (111, 'x'), (112, 'x'), (103, 'x'), (102, 'x'), (101, 'x')
ROLLBACK TO a
INSERT INTO users (id, name, age) VALUES (111, 'x', 1), (112, 'x', 2), (113, NULL, 3), (114, 'x', -1), (115, NULL, 1)
ROLLBACK
