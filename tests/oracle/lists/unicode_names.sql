-- Names and strings with Unicode escapes.

--! must
SELECT U&"\006eame" FROM users WHERE id = 1

--! must
SELECT U&"id", U&"\0061ge" FROM U&"us\0065rs" WHERE U&"\0069d" = 3

--! must
SELECT u.U&"\006eame" FROM users u ORDER BY u.U&"\0069d" LIMIT 3

--! must
SELECT U&"\0075".id FROM users U&"u" WHERE U&"u".id IN (1, 2, 3) ORDER BY 1

--! must
SELECT count(*) FROM U&"users" U&"x" JOIN names n ON n.name = U&"x".name

--! must
SELECT id FROM users WHERE name = U&'\0061nn' OR name <> U&'d\0061t\+000061' ORDER BY id

--! must
SELECT U&'\0061' AS U&"\0062", id FROM users WHERE id = 2

--! must
SELECT id, U&'d!0061ta' UESCAPE '!' FROM users WHERE id = 2

--! must
SELECT id, U&'d!0061ta' UESCAPE '!' FROM users ORDER BY id LIMIT 2

--! must
SELECT n FROM names WHERE name = U&'\0061'

SELECT n FROM names WHERE name = U&'!0061' UESCAPE '!'

SELECT n FROM names WHERE name = U&'!0061' UESCAPE '!' OR n > 3 ORDER BY n

SELECT U&"d!0061ta" UESCAPE '!' FROM users WHERE id = 1

SELECT U&"!006eame" UESCAPE '!' FROM users WHERE id = 1

SELECT count(*) FROM U&"!0075sers" UESCAPE '!'

SELECT U&"\00" FROM users WHERE id = 1

SELECT U&'\00' FROM users WHERE id = 1

SELECT U&'\0061' 'b' FROM users WHERE id = 1

--! script
BEGIN
INSERT INTO U&"\0075sers" (U&"id", name) VALUES (920001, U&'\0441\043B\043E\043D'), (920002, U&'!0441!043B' UESCAPE '!')
INSERT INTO names (U&"n\0061me", n) VALUES (U&'\0441\043B\043E\043D', 1)
SELECT id, name FROM users WHERE id > 920000 ORDER BY id
SELECT n FROM names WHERE name = U&'\0441\043B\043E\043D'
SELECT u.id, n.n FROM users u JOIN names n ON n.U&"name" = u.U&"name" WHERE u.id > 920000
UPDATE users SET U&"name" = U&'x\0079' WHERE U&"id" = 920001 RETURNING U&"name"
DELETE FROM users WHERE U&"id" > 920000
ROLLBACK

--! script
BEGIN
INSERT INTO names (name, n) VALUES (U&'!0441' UESCAPE '!', 1)
SELECT n FROM names WHERE name = U&'!0441' UESCAPE '!'
ROLLBACK
