//! The console: a database that exists in the proxy only, spoken to with psql and by exporters. In: a client that
//! has logged in to `shardway` or `pgbouncer`. Out: its answers, until it leaves.
//!
//! Both protocols are spoken, since drivers choose: every statement is one command of [`command`], without
//! parameters. A `stats` user may look; what changes anything is for admin users.

mod answer;
mod bouncer;
pub mod command;
mod own;
mod portals;
mod process;

use std::sync::Arc;

use bytes::Buf;

use self::answer::Answer;
use self::command::{Command, Shown, parse};
use self::portals::Portals;
pub use self::process::CHANGEABLE;
use super::House;
use crate::net::Framed;
use crate::protocol::backend::{self, Severity, Status};
use crate::protocol::frame::{self, Header};
use crate::protocol::frontend::{self, tag};
use crate::types::limits::CONSOLE_FRAME_BYTES_MAX;
use crate::types::{ClientError, SqlState};

/// A client of the console; AuthenticationOk is in `framed.outbound`, not yet sent.
pub struct Guest {
    pub framed: Framed,
    pub is_admin: bool,
    /// It came by PgBouncer's name for the database, and may look for PgBouncer's version.
    pub expects_pgbouncer: bool,
    pub process_id: u32,
    pub secret: Vec<u8>,
}

/// Serves it until it leaves, is killed, or the proxy stops.
pub async fn serve(guest: Guest, house: Arc<dyn House>) {
    let mut console = Console { guest, house, portals: Portals::default(), skipping: false };
    console.greet();
    // That it is gone is no news to anybody.
    let _ = console.run().await;
}

/// The client has left, or can't be reached.
struct Gone;

struct Console {
    guest: Guest,
    house: Arc<dyn House>,
    portals: Portals,
    /// A message of the extended protocol failed: everything up to Sync is ignored.
    skipping: bool,
}

/// What one command came to.
enum Done {
    Table(Answer),
    Tag(String),
    Empty,
}

impl Console {
    fn greet(&mut self) {
        let version = match self.guest.expects_pgbouncer {
            true => "1.18.0/bouncer",
            false => concat!(env!("CARGO_PKG_VERSION"), "/shardway"),
        };
        let out = &mut self.guest.framed.outbound;
        for (name, value) in [
            ("server_version", version),
            ("client_encoding", "UTF8"),
            ("server_encoding", "UTF8"),
            ("DateStyle", "ISO"),
            ("TimeZone", "GMT"),
            ("integer_datetimes", "on"),
            ("standard_conforming_strings", "on"),
            ("is_superuser", if self.guest.is_admin { "on" } else { "off" }),
        ] {
            backend::parameter(out, name, value);
        }
        backend::backend_key(out, self.guest.process_id, &self.guest.secret);
        backend::ready(out, Status::Idle);
    }

    async fn run(&mut self) -> Result<(), Gone> {
        loop {
            self.guest.framed.flush().await.map_err(|_| Gone)?;
            let Some(header) = self.next_frame().await? else { return Ok(()) };
            if header.tag == tag::TERMINATE {
                return Ok(());
            }
            let handled = self.message(header).await;
            self.guest.framed.inbound.advance(header.len);
            if let Err(error) = handled {
                self.say(&error);
                if header.tag == tag::QUERY {
                    backend::ready(&mut self.guest.framed.outbound, Status::Idle);
                } else {
                    self.skipping = true;
                }
            }
        }
    }

    fn say(&mut self, error: &ClientError) {
        backend::error(&mut self.guest.framed.outbound, Severity::Error, error);
    }

    /// The next message, whole at the front of `inbound`. `None`: the session is over, and the client knows why.
    async fn next_frame(&mut self) -> Result<Option<Header>, Gone> {
        loop {
            match frame::peek(&self.guest.framed.inbound, CONSOLE_FRAME_BYTES_MAX) {
                Ok(Some(header)) if self.guest.framed.inbound.len() >= header.len => return Ok(Some(header)),
                Ok(_) => {}
                Err(error) => {
                    return self.dismiss(ClientError::new(SqlState::PROTOCOL_VIOLATION, error.to_string())).await;
                }
            }
            let (interrupted, closing) = (self.house.interrupted(self.guest.process_id), self.house.closing());
            tokio::select! {
                read = self.guest.framed.fill() => match read {
                    Ok(0) | Err(_) => return Err(Gone),
                    Ok(_) => continue,
                },
                killed = interrupted => if !killed { continue },
                () = closing => {}
            }
            let message = "terminating connection due to administrator command";
            return self.dismiss(ClientError::new(SqlState::ADMIN_SHUTDOWN, message)).await;
        }
    }

    async fn dismiss(&mut self, error: ClientError) -> Result<Option<Header>, Gone> {
        backend::error(&mut self.guest.framed.outbound, Severity::Fatal, &error);
        self.guest.framed.close().await.map_err(|_| Gone)?;
        Ok(None)
    }

    /// One message; an error is for the client, and ends its request.
    async fn message(&mut self, header: Header) -> Result<(), ClientError> {
        if self.skipping && header.tag != tag::SYNC {
            return Ok(());
        }
        match header.tag {
            tag::QUERY => {
                let frame = self.guest.framed.inbound.get(..header.len).unwrap_or_default();
                let sql = text(frontend::query(frame))?;
                match self.carry_out(parse(&sql).map_err(violation)?).await? {
                    Done::Table(answer) => {
                        let out = &mut self.guest.framed.outbound;
                        answer.describe(out, &[]);
                        answer.rows.iter().for_each(|row| answer.put_row(out, row, &[]));
                        backend::command_complete(out, "SHOW");
                    }
                    Done::Tag(tag) => backend::command_complete(&mut self.guest.framed.outbound, &tag),
                    Done::Empty => backend::empty(&mut self.guest.framed.outbound, backend::tag::EMPTY_QUERY),
                }
                backend::ready(&mut self.guest.framed.outbound, Status::Idle);
                Ok(())
            }
            tag::SYNC => {
                self.skipping = false;
                self.portals.end_turn();
                backend::ready(&mut self.guest.framed.outbound, Status::Idle);
                Ok(())
            }
            tag::FLUSH => Ok(()),
            tag::PARSE | tag::BIND | tag::DESCRIBE | tag::EXECUTE | tag::CLOSE => self.extended(header).await,
            other => Err(violation(format!("unexpected message {:?}", other as char))),
        }
    }

    fn show(&self, shown: Shown) -> Answer {
        let house = &*self.house;
        match shown {
            Shown::Clients => bouncer::clients(house),
            Shown::Config => process::config(house),
            Shown::Databases => bouncer::databases(house),
            Shown::Gathers => own::gathers(house),
            Shown::Help => own::help(),
            Shown::Hot => own::hot(house),
            Shown::Lists => bouncer::lists(house),
            Shown::Maps => own::maps(house),
            Shown::Mem => process::mem(house),
            Shown::Nodes => own::nodes(house),
            Shown::Plans => own::plans(house),
            Shown::Pools => bouncer::pools(house),
            Shown::Queries => own::queries(house),
            Shown::Refusals => own::refusals(house),
            Shown::Servers => bouncer::servers(house),
            Shown::Shards => own::shards(house),
            Shown::Slow => own::slow(house),
            Shown::Stats => bouncer::stats(house),
            Shown::StatsAverages => bouncer::stats_averages(house),
            Shown::StatsTotals => bouncer::stats_totals(house),
            Shown::Tables => own::tables(house),
            Shown::Totals => bouncer::all_totals(house),
            Shown::Transactions => own::transactions(house),
            Shown::Users => bouncer::users(house),
            Shown::Version => process::version(self.guest.expects_pgbouncer),
        }
    }

    async fn carry_out(&mut self, command: Command) -> Result<Done, ClientError> {
        let looks = matches!(command, Command::Show(_) | Command::Nothing(_) | Command::Empty);
        if !looks && !self.guest.is_admin {
            return Err(violation("admin access needed").hint("Connect as a user with admin = true."));
        }
        let tag = match command {
            Command::Show(shown) => return Ok(Done::Table(self.show(shown))),
            Command::Empty => return Ok(Done::Empty),
            Command::Nothing(tag) => tag.to_owned(),
            Command::Reload => {
                self.house.reload().await.map_err(violation)?;
                "RELOAD".to_owned()
            }
            Command::Pause(name) => {
                match self.shard(name.as_deref()) {
                    Some(shard) => self.pause(Paused::Shard(shard)).await?,
                    None => {
                        let databases = self.databases(name)?;
                        self.pause(Paused::Databases(databases)).await?;
                    }
                }
                "PAUSE".to_owned()
            }
            Command::Resume(Some(name)) if self.shard(Some(&name)).is_some() => {
                if self.house.resume_shard(&name) != Some(true) {
                    return Err(violation(format!("shard {name} is not paused")));
                }
                "RESUME".to_owned()
            }
            Command::Resume(name) => {
                let databases = self.databases(name)?;
                if !self.house.resume(&databases) {
                    return Err(violation("nothing is paused"));
                }
                "RESUME".to_owned()
            }
            Command::Reconnect(name) => {
                let databases = self.databases(name)?;
                self.house.reconnect(&databases);
                "RECONNECT".to_owned()
            }
            Command::Disconnect(name) => {
                if !self.house.disconnect(&name) {
                    return Err(violation(format!("no such shard or node: {name}"))
                        .hint("SHOW NODES lists them; name a shard, or a node as host:port."));
                }
                "DISCONNECT".to_owned()
            }
            Command::Kill(who) => {
                self.kill(&who).await?;
                "KILL".to_owned()
            }
            Command::Set { name, value } => {
                self.house.set(&name, &value).map_err(violation)?;
                "SET".to_owned()
            }
            Command::ShutDown => {
                self.house.shut_down();
                "SHUTDOWN".to_owned()
            }
        };
        Ok(Done::Tag(tag))
    }

    fn databases(&self, name: Option<String>) -> Result<Vec<String>, ClientError> {
        let config = self.house.config();
        match name {
            None => Ok(config.databases.keys().cloned().collect()),
            Some(name) if config.databases.contains_key(&name) => Ok(vec![name]),
            Some(name) => Err(violation(format!("no such database: {name}"))),
        }
    }

    /// A shard, named `database.shard`, that isn't a database's name.
    fn shard(&self, name: Option<&str>) -> Option<String> {
        let name = name.filter(|name| !self.house.config().databases.contains_key(*name))?;
        let (database, shard) = name.rsplit_once('.')?;
        self.house.config().databases.get(database)?.shard_by_name(shard)?;
        Some(name.to_owned())
    }

    /// A cancel request, or a client that leaves, takes the pause back: nobody would know that it is there.
    async fn pause(&mut self, paused: Paused) -> Result<(), ClientError> {
        let house = Arc::clone(&self.house);
        let framed = &mut self.guest.framed;
        let left = async {
            loop {
                match framed.fill().await {
                    Ok(more) if more > 0 && framed.inbound.len() < CONSOLE_FRAME_BYTES_MAX => {}
                    _ => return,
                }
            }
        };
        let interrupted = house.interrupted(self.guest.process_id);
        tokio::select! {
            outcome = paused.begin(&*house) => outcome.map_err(violation),
            _ = interrupted => {
                paused.take_back(&*house);
                Err(ClientError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
                    .detail("It is not paused."))
            }
            () = left => {
                paused.take_back(&*house);
                Err(violation("the client left"))
            }
        }
    }

    async fn kill(&mut self, who: &str) -> Result<(), ClientError> {
        if let Ok(client) = who.parse::<u32>() {
            let known = self.house.kill(client).await;
            return if known {
                Ok(())
            } else {
                Err(violation(format!("no such client: {client}")).hint("SHOW CLIENTS has the number as remote_pid."))
            };
        }
        let databases = self.databases(Some(who.to_owned()))?;
        for client in self.house.observed().clients.all() {
            if databases.iter().any(|name| **name == *client.database) {
                self.house.kill(client.id).await;
            }
        }
        Ok(())
    }
}

/// What PAUSE is for.
enum Paused {
    Databases(Vec<String>),
    Shard(String),
}

impl Paused {
    async fn begin(&self, house: &dyn House) -> Result<(), String> {
        match self {
            Self::Databases(databases) => house.pause(databases.clone()).await,
            Self::Shard(shard) => match house.pause_shard(shard) {
                Some(paused) => paused.await,
                None => Err(format!("no such shard: {shard}")),
            },
        }
    }

    fn take_back(&self, house: &dyn House) {
        match self {
            Self::Databases(databases) => drop(house.resume(databases)),
            Self::Shard(shard) => drop(house.resume_shard(shard)),
        }
    }
}

fn text(bytes: Result<&[u8], frame::FrameError>) -> Result<String, ClientError> {
    let bytes = bytes.map_err(|error| violation(error.to_string()))?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// PgBouncer's console raises all of its errors so.
fn violation(message: impl Into<String>) -> ClientError {
    ClientError::new(SqlState::PROTOCOL_VIOLATION, message)
}
