//! Random transactions: reads, writes, savepoints and errors between BEGIN and COMMIT. In: a seed. Out: lines of a
//! script, of which some may be left out when it shows a difference.

use super::generate::Generator;
use super::list::Entry;

const STATEMENTS_MAX: usize = 9;

pub struct Transaction {
    pub lines: Vec<String>,
}

impl Transaction {
    pub fn random(generator: &mut Generator) -> Self {
        let mut lines = vec![generator.pick(&["BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"]).to_owned()];
        for _ in 0..2 + generator.below(STATEMENTS_MAX - 1) {
            let line = match generator.below(16) {
                0 => "SAVEPOINT a".to_owned(),
                1 => "SAVEPOINT b".to_owned(),
                2 => "ROLLBACK TO a".to_owned(),
                3 => "ROLLBACK TO b".to_owned(),
                4 => "RELEASE a".to_owned(),
                5 => generator.pick(&["SELECT 1 / 0", "SELECT nothing FROM users", "COMMIT; BEGIN"]).to_owned(),
                6..12 => generator.change(),
                _ => generator.plain().entry(String::new()).sql,
            };
            lines.push(line);
        }
        lines.push(generator.pick(&["COMMIT", "COMMIT", "ROLLBACK"]).to_owned());
        // What the session sees once it is over.
        lines.push("SELECT count(*), sum(id), sum(age) FROM users".to_owned());
        Self { lines }
    }

    pub fn entry(&self, place: String) -> Entry {
        let sql = self.lines.join("\n");
        Entry { is_script: true, ..Entry::new(place, sql) }
    }

    /// The same with one line less, in every way; what begins it stays.
    pub fn smaller(&self) -> Vec<Self> {
        let without = |at: usize| {
            let lines = self.lines.iter().enumerate().filter(|(position, _)| *position != at);
            Self { lines: lines.map(|(_, line)| line.clone()).collect() }
        };
        (1..self.lines.len()).map(without).collect()
    }
}

impl Generator {
    /// A write that mostly succeeds, with keys of several shards as often as not.
    fn change(&mut self) -> String {
        let (one, other) = (700 + self.below(40), 700 + self.below(40));
        let (low, number) = (self.below(12), self.below(9));
        match self.below(12) {
            0 => format!(
                "INSERT INTO users (id, name, age) VALUES ({one}, 'a', {number}), ({other}, 'b', 1), ({}, 'c', 2) \
                 ON CONFLICT (id) DO NOTHING RETURNING id",
                one + 100
            ),
            1 => format!("INSERT INTO users (id, name) VALUES ({one}, 'x'), ({other}, 'y')"),
            2 => format!(
                "INSERT INTO scores (user_id, id, value) VALUES ({one}, {number}, 1), ({other}, {number}, 2) \
                 ON CONFLICT (user_id, id) DO UPDATE SET value = scores.value + 1 RETURNING user_id, value"
            ),
            3 => format!("UPDATE users SET age = age + {number} WHERE id > {low} AND age IS NOT NULL AND id < 1000"),
            4 => format!("UPDATE scores SET value = {number} WHERE id = {number} RETURNING user_id, id"),
            5 => format!("UPDATE users SET id = {other} WHERE id = {one} RETURNING id, name"),
            6 => format!("UPDATE scores SET user_id = user_id + {one} WHERE id = {number} AND user_id < {low}"),
            7 => format!("DELETE FROM scores WHERE id = {number} AND user_id < 1000 RETURNING user_id"),
            8 => format!("DELETE FROM users WHERE id IN ({one}, {other}) RETURNING name"),
            9 => format!("UPDATE products SET price = price + {number} WHERE id > {low}"),
            10 => format!("SELECT id, age FROM users WHERE id > {low} AND id < 1000 ORDER BY id FOR UPDATE"),
            _ => {
                self.set_plain();
                self.write().entry(String::new()).sql
            }
        }
    }
}
