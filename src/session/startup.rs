//! From an accepted socket to an authenticated client. In: a [`Stream`] and the configuration. Out:
//! an [`Arrival`]. Doesn't know of what comes after ReadyForQuery, which the session sends.

use std::sync::Arc;

use crate::net::timer::timeout;
use tracing::{debug, info};

use super::authentication::{Authenticator, Failure, LoginSecrets};
use super::database::Databases;
use crate::config::{Config, UserConfig};
use crate::net::{Framed, ServerTls, Stream, TlsError, connect::tune};
use crate::protocol::backend::{self, Severity};
use crate::protocol::startup::{StartupMessage, StartupPacket, parse};
use crate::types::limits::{FAREWELL_TIMEOUT, HANDSHAKE_BYTES_MAX};
use crate::types::{ClientError, SqlState};

pub use crate::types::{CONSOLE_DATABASES, PGBOUNCER_DATABASE};

/// All that admission depends on, made anew with each configuration.
pub struct AdmissionContext {
    config: Arc<Config>,
    tls: Option<ServerTls>,
    authenticator: Authenticator,
    databases: Arc<Databases>,
}

impl AdmissionContext {
    /// `secrets` stay the same over reloads.
    ///
    /// # Errors
    /// Certificate or key files that don't work. Reads them, blocking.
    pub fn new(config: Arc<Config>, secrets: Arc<LoginSecrets>, databases: Arc<Databases>) -> Result<Self, TlsError> {
        let tls = config.server.tls.as_ref().map(ServerTls::from_files).transpose()?;
        let authenticator = Authenticator::new(secrets, tls.as_ref());
        Ok(Self { config, tls, authenticator, databases })
    }

    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }
}

/// What an accepted socket turned out to be.
pub enum Arrival {
    Client(Box<Admitted>),
    Cancel(CancelKey),
    /// Went away, too slow, or refused and told so.
    Gone,
}

/// A client that may use `database`; AuthenticationOk is in `framed.outbound`, not yet sent.
pub struct Admitted {
    pub framed: Framed,
    pub user: Arc<UserConfig>,
    /// One of the configuration's, or of [`CONSOLE_DATABASES`].
    pub database: String,
    /// The client's start-up settings in the order in which they apply.
    pub settings: Vec<(String, String)>,
    /// 0 or 2: the minor version of protocol 3 that is spoken.
    pub protocol_minor: u16,
}

/// Whose statement a client wants cancelled.
pub struct CancelKey {
    pub process_id: u32,
    /// 4 to 256 bytes.
    pub secret: Vec<u8>,
    /// Keep until the cancel has been delivered: its closing tells the client that a statement sent
    /// later won't be hit.
    pub connection: Framed,
}

/// Does everything up to AuthenticationOk, within the configuration's start-up time.
pub async fn admit(stream: Stream, context: &AdmissionContext) -> Arrival {
    admit_unless(stream, context, None).await
}

/// As [`admit`], but turns every client away with `refusal` (too many clients, shutting down), after
/// the TLS negotiation as libpq needs it to show the message. Cancel requests still pass.
pub async fn admit_unless(stream: Stream, context: &AdmissionContext, refusal: Option<ClientError>) -> Arrival {
    let limit = context.config.server.startup_timeout;
    // Boxed: the TLS handshake's state would otherwise stay a part of the session's future for life.
    let conversation = Box::pin(converse(stream, context, refusal));
    timeout(limit, conversation).await.unwrap_or_else(|_| {
        info!("client took longer than {} ms to log in", limit.as_millis());
        Arrival::Gone
    })
}

async fn converse(stream: Stream, context: &AdmissionContext, refusal: Option<ClientError>) -> Arrival {
    if let Stream::Plain(socket) = &stream
        && !socket.is_unix()
        && let Err(error) = tune(socket)
    {
        debug!(%error, "client socket");
        return Arrival::Gone;
    }
    let Some((mut framed, opening)) = negotiate(Framed::new(stream), context).await else {
        return Arrival::Gone;
    };
    let message = match opening {
        Ok(StartupPacket::Startup(message)) => message,
        Ok(StartupPacket::Cancel { process_id, secret }) => {
            return Arrival::Cancel(CancelKey { process_id, secret, connection: framed });
        }
        Ok(StartupPacket::SslRequest | StartupPacket::GssEncRequest) => return Arrival::Gone,
        Err(error) => return turn_away(framed, None, &error).await,
    };
    let outcome = match refusal {
        Some(error) => Err(error.into()),
        None => log_in(&mut framed, &message, context).await,
    };
    match outcome {
        Ok(user) => {
            let StartupMessage { database, settings, version, .. } = message;
            let protocol_minor = version.minor;
            Arrival::Client(Box::new(Admitted { framed, user, database, settings, protocol_minor }))
        }
        Err(Failure::Refused(error)) => turn_away(framed, Some(&message), &error).await,
        Err(Failure::Gone) => Arrival::Gone,
    }
}

/// Answers requests for encryption until the first packet that isn't one; `None` when the connection
/// isn't worth another word.
async fn negotiate(
    mut framed: Framed,
    context: &AdmissionContext,
) -> Option<(Framed, Result<StartupPacket, ClientError>)> {
    let (mut tls_asked, mut gss_asked) = (false, false);
    loop {
        let packet = match next_packet(&mut framed).await {
            Ok(packet) => packet,
            Err(Failure::Refused(error)) => return Some((framed, Err(error))),
            Err(Failure::Gone) => return None,
        };
        match packet {
            StartupPacket::SslRequest if !tls_asked => {
                tls_asked = true;
                framed = answer_tls(framed, context).await?;
            }
            StartupPacket::GssEncRequest if !gss_asked && !framed.stream.is_tls() => {
                gss_asked = true;
                answer(&mut framed, b'N').await?;
            }
            StartupPacket::SslRequest | StartupPacket::GssEncRequest => {
                let error = "encryption was requested twice";
                return Some((framed, Err(ClientError::new(SqlState::PROTOCOL_VIOLATION, error))));
            }
            StartupPacket::Cancel { .. } | StartupPacket::Startup(_) => {
                return Some((framed, Ok(packet)));
            }
        }
    }
}

async fn next_packet(framed: &mut Framed) -> Result<StartupPacket, Failure> {
    loop {
        if let Some((packet, length)) = parse(&framed.inbound)? {
            drop(framed.inbound.split_to(length));
            return Ok(packet);
        }
        if framed.fill().await? == 0 {
            return Err(Failure::Gone);
        }
    }
}

async fn answer_tls(mut framed: Framed, context: &AdmissionContext) -> Option<Framed> {
    let Some(tls) = context.tls.as_ref().filter(|_| !framed.stream.peer_is_unix()) else {
        answer(&mut framed, b'N').await?;
        return Some(framed);
    };
    answer(&mut framed, b'S').await?;
    let Stream::Plain(socket) = framed.stream else {
        return None;
    };
    match tls.accept(socket).await {
        Ok(stream) => Some(Framed::new(stream)),
        Err(error) => {
            debug!(%error, "TLS handshake with a client failed");
            None
        }
    }
}

/// One byte, if nothing came behind the request: what is sent before an answer is either broken or
/// somebody else's plaintext on its way into a TLS session (the class of CVE-2021-23214).
async fn answer(framed: &mut Framed, letter: u8) -> Option<()> {
    if !framed.inbound.is_empty() {
        info!("unencrypted data behind a request for encryption: connection dropped");
        return None;
    }
    framed.outbound.extend_from_slice(&[letter]);
    framed.flush().await.ok()
}

async fn log_in(
    framed: &mut Framed,
    message: &StartupMessage,
    context: &AdmissionContext,
) -> Result<Arc<UserConfig>, Failure> {
    message.version.negotiate(&mut framed.outbound);
    let tls_required = context.tls.as_ref().is_some_and(|tls| tls.required);
    if tls_required && !framed.stream.is_tls() && !framed.stream.peer_is_unix() {
        let error = ClientError::new(SqlState::INVALID_AUTHORIZATION, "this server requires TLS");
        return Err(error.hint("Connect with sslmode=require or stricter.").into());
    }
    let demand = access::demand(message, &context.config, &framed.stream)?;
    let named = context.config.users.iter().find(|user| user.name == message.user);
    let database = context.databases.get(&message.database);
    let user = match (named, &database) {
        (Some(named), _) => Some(Arc::new(named.clone())),
        (None, Some(database)) => database.directory.look_up(database, &message.user).await?,
        (None, None) => None,
    };
    let outcome = context.authenticator.authenticate(demand.method, framed, &message.user, user.as_deref()).await;
    let proof = match (outcome, &database) {
        (Ok(proof), _) => proof,
        (Err(failure), Some(database)) => {
            database.directory.forget(&message.user);
            return Err(failure);
        }
        (Err(failure), None) => return Err(failure),
    };
    demand.check_name(&message.user, &framed.stream)?;
    // Nobody is authenticated under a name that nobody has.
    let user = user.ok_or(Failure::Gone)?;
    authorize(&user, &message.database, &context.config)?;
    if let Some(database) = &database {
        if let Some(proof) = proof {
            database.directory.passed(&user.name).set(proof);
        }
        if named.is_none() {
            database.directory.admit(&user);
        }
    }
    Ok(user)
}

fn authorize(user: &UserConfig, database: &str, config: &Config) -> Result<(), ClientError> {
    let denied = || {
        let message = format!("permission denied for database \"{database}\"");
        ClientError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
    };
    if CONSOLE_DATABASES.contains(&database) {
        let may = user.admin || user.stats;
        return if may { Ok(()) } else { Err(denied().detail("The console is for admin and stats users.")) };
    }
    if !config.databases.contains_key(database) {
        let message = format!("database \"{database}\" does not exist");
        return Err(ClientError::new(SqlState::INVALID_CATALOG_NAME, message));
    }
    if user.databases.is_empty() || user.databases.iter().any(|allowed| allowed == database) {
        Ok(())
    } else {
        Err(denied().detail("User does not have CONNECT privilege."))
    }
}

/// The last words to a client, and the end of the connection.
async fn turn_away(mut framed: Framed, message: Option<&StartupMessage>, error: &ClientError) -> Arrival {
    let (user, database) = message.map_or(("", ""), |message| (&message.user, &message.database));
    info!(user, database, sqlstate = error.state.code(), "client refused: {}", error.message);
    backend::error(&mut framed.outbound, Severity::Fatal, error);
    let farewell = async {
        framed.close().await?;
        // Closing a socket with unread bytes resets it, and the client may never see the message.
        let mut unread = 0;
        while unread < HANDSHAKE_BYTES_MAX {
            framed.inbound.clear();
            match framed.fill().await? {
                0 => break,
                more => unread += more,
            }
        }
        std::io::Result::Ok(())
    };
    if !matches!(timeout(FAREWELL_TIMEOUT, farewell).await, Ok(Ok(()))) {
        debug!("a refused client did not take its error");
    }
    Arrival::Gone
}

mod access;
#[cfg(test)]
mod tests;
