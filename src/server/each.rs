//! One task, or several, for each database that is served. In: the current databases. Out: tasks, begun for those that
//! there are and for those that a reload brings; they end by themselves when theirs isn't served any more.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::Shared;
use crate::session::database::Database;
use crate::types::limits::CATALOG_RETRY;

/// Runs as long as the server does. `begin` puts a database's tasks into the set.
pub(super) async fn for_each_database(
    shared: Arc<Shared>,
    mut begin: impl FnMut(&str, &Arc<Database>, &mut JoinSet<()>),
) {
    let mut begun = HashMap::<String, Arc<Database>>::new();
    let mut tasks = JoinSet::new();
    loop {
        // Before the look: a reload right after it isn't missed.
        let reloaded = shared.reloaded.notified();
        let current = shared.current.load_full();
        begun.retain(|name, database| current.databases.get(name).is_some_and(|now| Arc::ptr_eq(&now, database)));
        for (name, database) in current.databases.named() {
            if !begun.contains_key(name) {
                begun.insert(name.to_owned(), Arc::clone(database));
                begin(name, database, &mut tasks);
            }
        }
        drop(current);
        tokio::select! {
            () = crate::net::timer::sleep(CATALOG_RETRY) => {}
            () = reloaded => {}
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
        }
    }
}
