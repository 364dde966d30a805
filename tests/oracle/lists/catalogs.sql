-- System catalogs together with sharded tables: as the home shard has them.

--! must
SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM pg_class WHERE relname = 'users')

--! must
SELECT count(*) FROM users u, pg_class c WHERE c.relname = 'users'

--! must
SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_name = 'users'), EXISTS (SELECT 1 FROM users)

--! must
SELECT column_name FROM information_schema.columns WHERE table_name = 'users' AND column_name NOT IN (SELECT name FROM users WHERE name IS NOT NULL) ORDER BY 1

--! must
SELECT (SELECT count(*) FROM users WHERE id = 5), (SELECT count(*) FROM information_schema.columns WHERE table_name = 'users' AND table_schema = 'public')

--! must
SELECT u.id, a.attname, a.attnum, a.attnotnull FROM users u JOIN pg_catalog.pg_attribute a ON a.attnum = u.id JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relname = 'orders' ORDER BY 1, 2

--! must
SELECT u.name, t.typname, t.typtype, t.typlen FROM users u JOIN pg_type t ON t.typname = u.name OR t.typlen = u.age AND t.typname LIKE 'int%' ORDER BY 1, 2

--! must
SELECT c.relname, (SELECT count(*) FROM users) AS n FROM pg_class c JOIN pg_namespace ns ON ns.oid = c.relnamespace WHERE ns.nspname = 'other' AND c.relkind = 'r' ORDER BY 1

--! must
SELECT s.setting, count(u.id) FROM pg_settings s, users u WHERE s.name = 'block_size' GROUP BY 1

--! must
SELECT e.enumlabel, count(s.id) FROM pg_enum e LEFT JOIN scores s ON s.mood::text = e.enumlabel JOIN pg_type t ON t.oid = e.enumtypid AND t.typname = 'mood' GROUP BY e.enumlabel, e.enumsortorder ORDER BY e.enumsortorder

--! must script
BEGIN
CREATE TABLE catalogued (id int)
SELECT count(*), (SELECT count(*) FROM users) > 1 FROM pg_class WHERE relname = 'catalogued'
ROLLBACK

--! rows
SELECT c.*, u.id FROM pg_class c, users u WHERE c.relname = 'users'

SELECT c.relacl, u.id FROM pg_class c, users u WHERE c.relname = 'users'

--! rows
SELECT c.oid::regclass, u.id FROM pg_class c, users u WHERE c.relname = 'users'

--! rows
SELECT c FROM pg_namespace c, users u WHERE c.nspname = 'other'

--! must
SELECT c.nosuch FROM pg_class c, users u

--! script
SET search_path = public, pg_catalog, pg_temp
SELECT count(*) FROM users u, pg_class c WHERE c.relname = 'users'

--! script
SET search_path = public, pg_temp
INSERT INTO names (name, n) SELECT 'relation ' || c.relname, 1 FROM users u JOIN pg_class c ON c.relname = u.name OR c.relname = 'users' AND u.id = 3
SELECT count(*) FROM names WHERE name LIKE 'relation %'
RESET search_path
DELETE FROM names WHERE name LIKE 'relation %'

SELECT count(*) FROM scores s JOIN pg_type t ON t.oid = pg_typeof(s.mood)

SELECT t.typname, count(*) FROM scores s, pg_type t WHERE t.oid = pg_typeof(s.mood)::oid GROUP BY 1

SELECT count(*) FROM scores s, pg_enum e WHERE e.enumtypid = 'mood'::regtype AND e.enumlabel = s.mood::text

SELECT count(*) FROM scores s, pg_class c WHERE c.oid = s.tableoid

SELECT count(*) FROM users u, pg_class c WHERE c.oid = 'users'::regclass

SELECT count(*) FROM users u, pg_attribute a WHERE a.attrelid = 'users'::regclass AND a.attname = 'name'

SELECT DISTINCT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a, users u, pg_class c WHERE a.attrelid = c.oid AND c.relname = 'scores' AND a.attnum > 0 ORDER BY 1

SELECT DISTINCT pg_get_constraintdef(k.oid) FROM pg_constraint k, users u, pg_class c WHERE k.conrelid = c.oid AND c.relname = 'order_items' ORDER BY 1

SELECT DISTINCT pg_get_indexdef(i.indexrelid) FROM pg_index i, users u, pg_class c WHERE i.indrelid = c.oid AND c.relname = 'users' ORDER BY 1

SELECT DISTINCT obj_description(c.oid, 'pg_class') IS NULL, col_description(c.oid, 1) FROM pg_class c, users u WHERE c.relname = 'users'

SELECT count(*) FROM pg_class c, users u WHERE c.relname = 'users' AND pg_table_is_visible(c.oid)

SELECT count(*) FROM pg_class c, users u WHERE c.relname = 'users' AND has_table_privilege(c.oid, 'SELECT')

SELECT DISTINCT pg_get_userbyid(c.relowner) FROM pg_class c, users u WHERE c.relname = 'users'

SELECT count(*) FROM pg_class c, users u WHERE c.relname = 'users' AND pg_relation_size(c.oid) >= 0

SELECT count(*) FROM pg_attrdef d, users u WHERE pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval%'

SELECT DISTINCT pg_get_viewdef(c.oid) FROM pg_class c, users u WHERE c.relname = 'active_users'

SELECT count(*) FROM pg_type t, scores s WHERE t.typname = 'mood' AND t.oid::regtype::text = 'mood'

SELECT count(*) FROM pg_class c, users u WHERE c.oid::regclass::text = 'users'

SELECT count(*) FROM pg_class c, users u WHERE to_regclass('users') = c.oid

SELECT count(*) FROM pg_type t, scores s WHERE format('%s', pg_typeof(s.mood)) = t.typname

SELECT count(*) FROM pg_namespace n, users u WHERE n.nspname = current_schema() AND n.oid = 'public'::regnamespace

SELECT count(*) FROM pg_roles r, users u WHERE r.rolname = current_user AND pg_has_role(r.oid, 'MEMBER')

SELECT count(*) FROM pg_type t, scores s WHERE (SELECT pg_typeof(s.mood)) = t.oid

SELECT count(*) FROM pg_type t, scores s WHERE t.oid IN (SELECT pg_typeof(mood) FROM scores)

SELECT count(*) FROM information_schema.columns c, users u WHERE c.table_name = 'users' AND c.data_type = pg_typeof(u.id)::text
