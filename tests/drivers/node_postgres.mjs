// node-postgres (pg) against the URL given.
import { assert, check, fails, packages, url } from "./checks.mjs";

const { Client, Pool } = packages("pg");
const USER = 801;
const client = new Client({ connectionString: url });

await check("connect", async () => {
  await client.connect();
  await client.query(`DELETE FROM orders WHERE user_id = ${USER}`);
  await client.query(`DELETE FROM users WHERE id = ${USER}`);
});

await check("simple_query", async () => {
  const inserted = await client.query(`INSERT INTO users VALUES (${USER}, 'Ada')`);
  assert.equal(inserted.command, "INSERT");
  assert.equal(inserted.rowCount, 1);
  const { rows } = await client.query("SELECT name FROM countries WHERE code = 'nz'");
  assert.deepEqual(rows, [{ name: "New Zealand" }]);
});

await check("extended_query", async () => {
  const { rows, fields } = await client.query("SELECT id, name FROM users WHERE id = $1", [USER]);
  assert.deepEqual(rows, [{ id: String(USER), name: "Ada" }]);
  assert.deepEqual(fields.map((field) => field.dataTypeID), [20, 25]);
});

await check("named_queries", async () => {
  for (let round = 0; round < 20; round++) {
    const query = { name: "user-by-id", text: "SELECT name FROM users WHERE id = $1", values: [USER] };
    assert.deepEqual((await client.query(query)).rows, [{ name: "Ada" }]);
  }
});

await check("binary_results", async () => {
  const query = { text: "SELECT id::int4 AS id, name FROM users WHERE id = $1", values: [USER], binary: true };
  assert.deepEqual((await client.query(query)).rows, [{ id: USER, name: "Ada" }]);
});

await check("transaction_with_savepoint", async () => {
  await client.query("BEGIN");
  await client.query("INSERT INTO orders VALUES ($1, 1, 1.5)", [USER]);
  await client.query("SAVEPOINT s");
  await fails(client.query("INSERT INTO orders VALUES ($1, 1, 1.5)", [USER]), "23505");
  await fails(client.query("SELECT 1"), "25P02");
  await client.query("ROLLBACK TO SAVEPOINT s");
  await client.query("INSERT INTO orders VALUES ($1, 2, 2.5)", [USER]);
  await client.query("COMMIT");
  const { rows } = await client.query("SELECT sum(amount) FROM orders WHERE user_id = $1", [USER]);
  assert.deepEqual(rows, [{ sum: "4.0" }]);
});

await check("rollback", async () => {
  await client.query("BEGIN");
  await client.query("DELETE FROM orders WHERE user_id = $1", [USER]);
  await client.query("ROLLBACK");
  const { rows } = await client.query("SELECT count(*)::int AS n FROM orders WHERE user_id = $1", [USER]);
  assert.deepEqual(rows, [{ n: 2 }]);
});

await check("sqlstates", async () => {
  await fails(client.query("SELEC 1"), "42601");
  await fails(client.query("SELECT 1 / 0"), "22012");
  await fails(client.query("SELECT 1 / $1::int", [0]), "22012");
  await fails(client.query("SELECT * FROM no_such_table"), "42P01");
});

await check("thousand_rows", async () => {
  for (let start = 1000; start < 2000; start += 250) {
    const ids = Array.from({ length: 250 }, (_, index) => start + index);
    const values = ids.map((_, index) => `($1, $${index + 2}, 1)`).join(", ");
    await client.query(`INSERT INTO orders (user_id, id, amount) VALUES ${values}`, [USER, ...ids]);
  }
  const { rows } = await client.query("SELECT id FROM orders WHERE user_id = $1 AND id >= 1000 ORDER BY id", [USER]);
  assert.equal(rows.length, 1000);
  assert.equal(rows[999].id, "1999");
});

await check("array_parameter", async () => {
  const { rows } = await client.query("SELECT id FROM orders WHERE user_id = $1 AND id = ANY ($2) ORDER BY id", [USER, [1, 2]]);
  assert.deepEqual(rows.map((row) => row.id), ["1", "2"]);
});

await check("cancel", async () => {
  const { rows: [{ pid }] } = await client.query("SELECT pg_backend_pid() AS pid");
  assert.equal(pid, client.processID);
  await client.query("BEGIN");
  await client.query("SET LOCAL statement_timeout = 200");
  await fails(client.query("SELECT pg_sleep(20)"), "57014");
  await client.query("ROLLBACK");
});

await check("pool", async () => {
  const pool = new Pool({ connectionString: url, max: 5 });
  const queries = Array.from({ length: 50 }, () => pool.query("SELECT name FROM users WHERE id = $1", [USER]));
  for (const { rows } of await Promise.all(queries)) assert.deepEqual(rows, [{ name: "Ada" }]);
  await pool.end();
});

await client.end();
