-- Smoke.

--! must
SELECT * FROM users WHERE id = 1

--! must
--! param int8 7
SELECT * FROM users WHERE id = $1

--! must
UPDATE users SET age = age + 1 WHERE id = 5 RETURNING id, age
