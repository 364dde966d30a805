//! What is stored: that the shards together hold exactly what the truth holds, each row where PostgreSQL's own hash says,
//! and that it is set back afterwards. In: direct connections. Out: differences, in words.

use std::collections::HashMap;

use super::data::{Home, TABLES, belongs};
use super::wire::{Client, Messages, texts};
use super::world::{keep_copies, type_names};

/// Rows and the sum of their hashes, for each table; and how many rows are on a wrong shard.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Contents {
    rows: i64,
    sum: i128,
    misplaced: i64,
}

pub struct State {
    truth: Client,
    shards: Vec<Client>,
    queries: Vec<String>,
    /// What the truth and then each shard had at the beginning.
    pristine: Vec<Vec<Contents>>,
    pub type_names: HashMap<u32, String>,
}

impl State {
    /// Proves what was loaded and remembers it.
    pub fn begin(shards: usize, mut truth: Client, mut clients: Vec<Client>) -> Self {
        for client in clients.iter_mut().chain([&mut truth]) {
            keep_copies(client);
            client.rows("SET session_replication_role = replica; SET timezone = 'UTC'");
        }
        for (shard, client) in clients.iter_mut().enumerate() {
            ask_postgresql(shard, shards, client);
        }
        let mut queries = vec![contents_query(0, 1)];
        queries.extend((0..shards).map(|shard| contents_query(shard, shards)));
        let names = type_names(&mut clients);
        let truths = type_names(std::slice::from_mut(&mut truth));
        let mut state = Self {
            truth,
            shards: clients,
            queries,
            pristine: Vec::new(),
            type_names: names.into_iter().chain(truths).collect(),
        };
        state.pristine = state.read();
        // Unsharded tables have poison on the other shards, which `compare` therefore doesn't look at yet.
        let differences = compare(&state.pristine, &state.pristine);
        assert!(differences.is_empty(), "after loading through Shardway: {}", differences.join("; "));
        state
    }

    /// The contents of all databases, the truth first.
    fn read(&mut self) -> Vec<Vec<Contents>> {
        let mut clients: Vec<_> = std::iter::once(&mut self.truth).chain(&mut self.shards).collect();
        for (client, query) in clients.iter_mut().zip(&self.queries) {
            client.send(Messages::default().query(query)).expect("the server takes queries");
        }
        let answers = clients.iter_mut().map(|client| {
            let turn = client.answer().expect("the server answers");
            texts(&turn, "the contents").iter().map(|row| contents(row)).collect()
        });
        answers.collect()
    }

    /// How the shards differ from the truth now; everything is set back to the beginning.
    pub fn check_and_restore(&mut self) -> Vec<String> {
        let now = self.read();
        let differences = compare(&now, &self.pristine);
        // Empty at the beginning, and its claims may be on other shards than its rows.
        let profiles = TABLES.iter().position(|table| table.name == "profiles").expect("it is in the list");
        let claimed = now.iter().zip(&self.pristine).any(|(now, then)| now[profiles] != then[profiles]);
        let clients = std::iter::once(&mut self.truth).chain(&mut self.shards);
        for ((client, now), then) in clients.zip(&now).zip(&self.pristine) {
            let changed: Vec<usize> = (0..TABLES.len()).filter(|table| now[*table] != then[*table]).collect();
            let mut restore: String = changed.iter().map(|table| restore(*table)).collect();
            if claimed {
                restore.push_str(FORGET_CLAIMS);
            }
            if !restore.is_empty() {
                client.rows(&restore);
            }
        }
        differences
    }
}

const FORGET_CLAIMS: &str = "DO $$ DECLARE claims regclass; BEGIN
    FOR claims IN SELECT oid FROM pg_class WHERE relname ~ '^uq_profiles' AND relkind = 'r'
    LOOP EXECUTE format('DELETE FROM %s', claims); END LOOP; END $$;";

fn restore(table: usize) -> String {
    let name = TABLES[table].name;
    match name {
        // Empty at the beginning, and not to be filled by SELECT: it has a generated column.
        "stamped" => "DELETE FROM stamped;".to_owned(),
        _ => format!("DELETE FROM ONLY {name}; INSERT INTO {name} SELECT * FROM kept.copy_{table};"),
    }
}

fn contents(row: &[String]) -> Contents {
    let number = |at: usize| row[at].parse::<i128>().expect("the query gives numbers");
    let small = |at: usize| i64::try_from(number(at)).expect("tables are small");
    Contents { rows: small(0), sum: number(1), misplaced: small(2) }
}

fn contents_query(shard: usize, shards: usize) -> String {
    let each = TABLES.iter().enumerate().map(|(number, table)| {
        let misplaced = belongs(table, shards)
            .map_or("0".to_owned(), |belongs| format!("count(*) FILTER (WHERE ({belongs}) IS DISTINCT FROM {shard})"));
        // Ids of a sequence are unique, but not without gaps.
        let row = if table.name == "tickets" { "(t.user_id, t.v)" } else { "t" };
        format!(
            "SELECT {number} AS n, count(*), coalesce(sum(hashtextextended({row}::text, 0)::numeric), 0) AS sum, \
             {misplaced} AS misplaced FROM ONLY {} t",
            table.name
        )
    });
    let all: Vec<String> = each.collect();
    format!("SELECT count, sum, misplaced FROM ({}) AS tables ORDER BY n", all.join(" UNION ALL "))
}

fn compare(now: &[Vec<Contents>], pristine: &[Vec<Contents>]) -> Vec<String> {
    let mut differences = Vec::new();
    for (number, table) in TABLES.iter().enumerate() {
        let truth = &now[0][number];
        let shards: Vec<&Contents> = now[1..].iter().map(|shard| &shard[number]).collect();
        let mut differs = |what: String| differences.push(format!("{}: {what}", table.name));
        match table.home {
            Home::Reference => {
                for (shard, contents) in shards.iter().enumerate() {
                    if (contents.rows, contents.sum) != (truth.rows, truth.sum) {
                        differs(format!("shard {shard} has {} rows, the truth {}", contents.rows, truth.rows));
                    }
                }
            }
            Home::Unsharded => {
                if shards[0] != truth {
                    differs(format!("the home shard has {} rows, the truth {}", shards[0].rows, truth.rows));
                }
                for (shard, contents) in shards.iter().enumerate().skip(1) {
                    if *contents != &pristine[1 + shard][number] {
                        differs(format!("rows were changed on shard {shard}, which isn't the home shard"));
                    }
                }
            }
            _ => {
                let rows: i64 = shards.iter().map(|shard| shard.rows).sum();
                let sum: i128 = shards.iter().map(|shard| shard.sum).sum();
                if (rows, sum) != (truth.rows, truth.sum) {
                    differs(format!("the shards have {rows} rows, the truth {} (or others)", truth.rows));
                }
                for (shard, contents) in shards.iter().enumerate().filter(|(_, shard)| shard.misplaced > 0) {
                    differs(format!("{} rows on shard {shard} belong elsewhere", contents.misplaced));
                }
            }
        }
    }
    differences
}

/// PostgreSQL's own word on each row: `satisfies_hash_partition` of 4,096, not the formula.
fn ask_postgresql(shard: usize, shards: usize, client: &mut Client) {
    for table in TABLES {
        let Home::Hash { key, helper, .. } = table.home else {
            continue;
        };
        let misplaced = client.rows(&format!(
            "SELECT {key} FROM ONLY {} WHERE NOT EXISTS (SELECT FROM generate_series({shard}, 4095, {shards}) bucket \
             WHERE satisfies_hash_partition('{helper}'::regclass, 4096, bucket, {key}))",
            table.name
        ));
        assert!(misplaced.is_empty(), "{} on shard {shard} of {shards}: {misplaced:?} belong elsewhere", table.name);
    }
}
