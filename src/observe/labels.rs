//! The few words by which statements are told apart in figures: bounded, so that no statement makes a new one.

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

labels! {
    /// What a statement is.
    Kind {
        Select = "select",
        Insert = "insert",
        Update = "update",
        Delete = "delete",
        Merge = "merge",
        Copy = "copy",
        Ddl = "ddl",
        /// BEGIN, COMMIT and the like.
        Transaction = "transaction",
        /// SET, SHOW, cursors, LISTEN and the like.
        Session = "session",
        /// DO, CALL, EXPLAIN, VACUUM and whatever else there is.
        Other = "other",
        /// Several statements in one Query.
        Several = "several",
    }
}

labels! {
    /// How it was planned: which shards answer it, and how their answers become one.
    Strategy {
        /// The database has one shard.
        OnlyShard = "only_shard",
        /// The shard of a key.
        Key = "key",
        /// The only shard in a range of keys.
        Range = "range",
        /// No row can match: any shard.
        NoRows = "no_rows",
        /// Tables of the home shard, or none.
        Home = "home",
        /// A hint named the shard.
        Hint = "hint",
        /// Reference tables: any shard.
        Reference = "reference",
        /// The rows of several shards, one after the other.
        Scatter = "scatter",
        /// The rows of several shards, ordered or aggregated on the way.
        Merge = "merge",
        /// Rows of several shards, brought together on a scratch database.
        Gather = "gather",
        /// An INSERT or COPY whose rows go to the shards of their keys.
        Split = "split",
        /// A write on several shards.
        WriteSeveral = "write_several",
        /// A definition, made on every shard.
        Definition = "definition",
        /// What concerns the session or its transaction.
        Session = "session",
    }
}

labels! {
    /// Where a client is in its request.
    Phase {
        /// Between requests, outside a transaction.
        Idle = "idle",
        /// Between requests, in a transaction.
        InTransaction = "idle in transaction",
        /// A request is read and planned.
        Planning = "planning",
        /// Waits for a connection, or for RESUME.
        Waiting = "waiting",
        /// Servers work on it, or its answer is on its way.
        Running = "running",
    }
}

labels! {
    /// Why a client keeps its connection between transactions.
    Pin {
        Listen = "listen",
        TemporaryObjects = "temporary_objects",
        AdvisoryLocks = "advisory_locks",
        HeldCursors = "held_cursors",
        SqlPrepared = "sql_prepared",
        /// A procedure or a setting whose effects can't be followed.
        Unknown = "unknown",
        Loaded = "loaded_library",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_positions() {
        assert!(Kind::ALL.iter().enumerate().all(|(at, kind)| kind.index() == at));
        assert!(Strategy::ALL.iter().enumerate().all(|(at, strategy)| strategy.index() == at));
        assert!(Phase::ALL.iter().enumerate().all(|(at, phase)| phase.index() == at));
    }
}
