//! The placement of the file against what the servers remember of it.

use super::Findings;
use super::ask::Catalogs;
use crate::config::DatabaseConfig;
use crate::planning::{record_differences, record_of};
use crate::routing::ShardMap;

pub(super) fn judge(database: &DatabaseConfig, catalogs: &Catalogs<'_>, findings: &mut Findings) {
    let home = &catalogs.all[0].1.catalog;
    // A map that can't be made is told of elsewhere.
    let Ok(map) = ShardMap::new(database, &|schema, table, column| home.key_type(schema, table, column)) else {
        return;
    };
    for (shard, contents) in &catalogs.all {
        let Some(recorded) = &contents.recorded else { continue };
        let name = map.shard_name(*shard);
        for difference in record_differences(recorded, &record_of(&map, name), Some(home)) {
            findings.error(
                format!("shard {name}"),
                format!("the placement differs from what the server remembers: {difference}"),
                "restore the order and the number of the shards in the file, or assign the buckets as they are recorded",
            );
        }
    }
}
