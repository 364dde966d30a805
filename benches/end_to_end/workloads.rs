//! The rows of the table: what pgbench is asked to do, and what Shardway may cost there.

/// Which of Shardway's databases a row uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    OneShard,
    /// `pgbench_accounts` sharded by `aid`. PgBouncer, which can't, has one database with all rows.
    TwoShards,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Simple,
    Prepared,
}

impl Protocol {
    /// For pgbench's `--protocol`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Prepared => "prepared",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Script {
    /// `pgbench -S`.
    SelectOnly,
    ThousandRows,
}

/// What a transaction of Shardway may cost, as a multiple of PgBouncer's CPU time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub one_worker: f64,
    pub default_workers: f64,
}

#[derive(Clone, Debug)]
pub struct Workload {
    pub placement: Placement,
    pub protocol: Protocol,
    pub script: Script,
    pub clients: u32,
    pub limits: Limits,
}

impl Workload {
    pub fn name(&self) -> String {
        let placement = match self.placement {
            Placement::OneShard => "one shard",
            Placement::TwoShards => "two shards by key",
        };
        let script = match self.script {
            Script::SelectOnly => "",
            Script::ThousandRows => ", 1,000 rows",
        };
        let plural = if self.clients == 1 { "" } else { "s" };
        format!("{placement}{script}, {}, {} client{plural}", self.protocol.name(), self.clients)
    }
}

pub fn all() -> Vec<Workload> {
    let mut all = Vec::new();
    let mut add = |placement, protocol, script, clients, one_worker, default_workers| {
        let limits = Limits { one_worker, default_workers };
        all.push(Workload { placement, protocol, script, clients, limits });
    };
    for protocol in [Protocol::Simple, Protocol::Prepared] {
        for clients in [1, 16, 64] {
            add(Placement::OneShard, protocol, Script::SelectOnly, clients, 1.0, 1.25);
        }
    }
    for protocol in [Protocol::Simple, Protocol::Prepared] {
        add(Placement::TwoShards, protocol, Script::SelectOnly, 16, 1.2, 1.2);
    }
    add(Placement::OneShard, Protocol::Simple, Script::ThousandRows, 16, 1.1, 1.1);
    all
}
