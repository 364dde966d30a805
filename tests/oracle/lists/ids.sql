-- Columns that sequences fill.

--! must
--! script
INSERT INTO tickets (user_id, v) VALUES (1, 'a')
INSERT INTO tickets (user_id, v) VALUES (2, 'b') RETURNING user_id, v, id > 0
INSERT INTO tickets VALUES (3, DEFAULT, 'c') RETURNING v
INSERT INTO tickets (id, v, user_id) VALUES (DEFAULT, 'd', 4) RETURNING user_id, v, id > 0, 1 AS one
INSERT INTO tickets VALUES (5) RETURNING user_id, v
INSERT INTO tickets (user_id, v, id) VALUES (6, 'f', nextval('tickets_id_seq')) RETURNING id IS NULL
SELECT v FROM tickets WHERE user_id = 3
SELECT count(*), count(DISTINCT id) FROM tickets WHERE user_id = 4

--! must
--! param bigint 9
--! param text nine
INSERT INTO tickets (user_id, v) VALUES ($1, $2) RETURNING user_id, v, id > 0 AS "has an id"

--! must
--! param text nine
--! param bigint 9
INSERT INTO tickets (id, v, user_id) VALUES (DEFAULT, $1, $2) RETURNING v

--! must
INSERT INTO tickets (user_id, v) VALUES (9, 'a'), (9, 'b'), (9, NULL) RETURNING user_id, v

--! must
INSERT INTO tickets (user_id, v) VALUES (9, 'a') ON CONFLICT (user_id, id) DO NOTHING

--! must
INSERT INTO tickets (user_id, v) VALUES (9, no_such_column)

--! must
INSERT INTO tickets (user_id, id, v) VALUES (9, NULL, 'x')

--! must
INSERT INTO tickets (user_id, id, id) VALUES (9, DEFAULT, DEFAULT)

INSERT INTO tickets (user_id, no_such_column) VALUES (9, 'x')

INSERT INTO tickets (user_id, v) VALUES (9, 'x', 'y')

INSERT INTO tickets (user_id, v) VALUES (9)

INSERT INTO tickets DEFAULT VALUES

INSERT INTO tickets (v) VALUES ('x')

INSERT INTO tickets (user_id, v) SELECT 9, 'x'

INSERT INTO tickets (user_id, id) VALUES (9, nextval('tickets_id_seq') + 0)

INSERT INTO tickets (user_id, id) VALUES (9, lastval())
