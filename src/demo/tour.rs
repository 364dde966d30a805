//! What a newcomer can try. In: a connection through Shardway. Out: three commands, and where each statement
//! goes, in Shardway's own words (the first lines of its EXPLAIN).

use tokio_postgres::{Client, SimpleQueryMessage};

use super::{Error, say};
use crate::devcluster::{Installation, on_path};

/// What begins the lines of an EXPLAIN that tell of the routing.
const ROUTING: &str = "Shardway:";

const EXAMPLES: [(&str, &str); 3] = [
    ("One user, by the shard key", "SELECT id, name, email FROM users WHERE id = 42"),
    ("All users of a country, wherever they are", "SELECT id, name FROM users WHERE country = 'nz'"),
    (
        "What one user has ordered: colocated tables, joined with a reference table",
        "SELECT i.order_id, i.quantity, p.name, p.price FROM order_items i \
         JOIN products p ON p.id = i.product_id WHERE i.user_id = 42 ORDER BY i.order_id, i.line",
    ),
];

/// Prints the URL, the examples and where they go.
pub(super) async fn show(url: &str, client: &Client, installation: &Installation) -> Result<(), Error> {
    say(&format!("\nShardway serves the shop at\n\n    {url}"));
    if on_path("psql").is_none() {
        let psql = installation.shell_command("psql");
        say(&format!("\npsql isn't on your PATH; this makes it known to your shell:\n\n    alias psql='{psql}'"));
    }
    say("\nThree things to try:");
    for (number, (title, statement)) in (1..).zip(EXAMPLES) {
        say(&format!("\n{number}. {title}\n\n    psql {url} -c \"{statement}\"\n"));
        for line in routing(client, statement).await? {
            say(&format!("    {line}"));
        }
    }
    say("\nEXPLAIN shows for any statement where it goes. Ctrl-C stops everything.");
    Ok(())
}

async fn routing(client: &Client, statement: &str) -> Result<Vec<String>, Error> {
    let explain = format!("EXPLAIN {statement}");
    let answer =
        client.simple_query(&explain).await.map_err(|source| Error::Sql { doing: format!("run {explain}"), source })?;
    let lines = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).filter(|line| line.starts_with(ROUTING)).map(str::to_owned),
        _ => None,
    });
    Ok(lines.collect())
}
