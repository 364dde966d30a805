// Postgres.js (postgres) against the URL given: prepared by name, pipelined.
import { assert, check, fails, packages, url } from "./checks.mjs";

const postgres = packages("postgres");
const USER = 901;
const sql = postgres(url, { max: 4, onnotice: () => {} });

await check("connect", async () => {
  await sql`DELETE FROM orders WHERE user_id = ${USER}`;
  await sql`DELETE FROM users WHERE id = ${USER}`;
});

await check("insert_and_select", async () => {
  await sql`INSERT INTO users ${sql({ id: USER, name: "Ida" }, "id", "name")}`;
  assert.deepEqual([...(await sql`SELECT id, name FROM users WHERE id = ${USER}`)], [{ id: String(USER), name: "Ida" }]);
});

await check("prepared_many_times", async () => {
  const all = await Promise.all(Array.from({ length: 100 }, () => sql`SELECT name FROM users WHERE id = ${USER}`));
  for (const rows of all) assert.equal(rows[0].name, "Ida");
});

await check("simple_query", async () => {
  const results = await sql.unsafe("SELECT 1 AS a; SELECT 2 AS b");
  assert.deepEqual(results.map((rows) => rows[0]), [{ a: 1 }, { b: 2 }]);
});

await check("transaction_with_savepoint", async () => {
  await sql.begin(async (sql) => {
    await sql`INSERT INTO orders VALUES (${USER}, 1, 1)`;
    await fails(sql.savepoint((sql) => sql`INSERT INTO orders VALUES (${USER}, 1, 1)`), "23505");
    await sql`INSERT INTO orders VALUES (${USER}, 2, 2)`;
  });
  assert.equal((await sql`SELECT * FROM orders WHERE user_id = ${USER}`).length, 2);
});

await check("sqlstates", async () => {
  await fails(sql`SELECT 1 / ${0}::int`, "22012");
  await fails(sql`SELECT * FROM no_such_table`, "42P01");
});

await check("cursor", async () => {
  const rows = Array.from({ length: 1000 }, (_, index) => ({ user_id: USER, id: 1000 + index, amount: 1 }));
  await sql`INSERT INTO orders ${sql(rows, "user_id", "id", "amount")}`;
  let seen = 0;
  await sql`SELECT id FROM orders WHERE user_id = ${USER} AND id >= 1000`.cursor(100, (rows) => { seen += rows.length; });
  assert.equal(seen, 1000);
});

await check("cancel", async () => {
  const sleep = sql`SELECT pg_sleep(20)`;
  setTimeout(() => sleep.cancel(), 300);
  await fails(sleep, "57014");
});

await check("copy", async () => {
  await sql`DELETE FROM settings WHERE k = 'postgres-js'`;
  const writable = await sql`COPY settings (k, v) FROM STDIN`.writable();
  await new Promise((resolve, reject) => {
    writable.on("error", reject).on("finish", resolve);
    writable.end("postgres-js\tvalue\n");
  });
  const readable = await sql`COPY (SELECT v FROM settings WHERE k = 'postgres-js') TO STDOUT`.readable();
  let text = "";
  for await (const chunk of readable) text += chunk;
  assert.equal(text, "value\n");
});

await sql.end();
