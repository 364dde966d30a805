//! What is asked of a client by where it comes from, in PostgreSQL's words where that is refused. In: its start-up message,
//! the configuration's rules, its stream. Out: a [`Demand`]. Doesn't know of passwords.

use crate::config::{AuthenticationMethod, ClientCertificate, Config, HbaVerdict, Origin, first_rule};
use crate::net::Stream;
use crate::protocol::startup::StartupMessage;
use crate::session::authentication::{Failure, wrong_password};
use crate::types::{ClientError, SqlState};

pub(super) struct Demand {
    pub(super) method: AuthenticationMethod,
    /// The certificate names the user, besides.
    is_named: bool,
}

/// What the first of the rules says that fits; without rules the one method.
pub(super) fn demand(message: &StartupMessage, config: &Config, stream: &Stream) -> Result<Demand, Failure> {
    if config.hba.is_empty() {
        return Ok(Demand { method: config.server.authentication, is_named: false });
    }
    let (origin, host) = if stream.peer_is_unix() {
        (Origin::Local, "[local]".to_owned())
    } else {
        let address = stream.peer().ok_or(Failure::Gone)?.ip();
        (Origin::Tcp { address, tls: stream.is_tls() }, address.to_canonical().to_string())
    };
    let StartupMessage { user, database, .. } = message;
    let encryption = if stream.is_tls() { "SSL encryption" } else { "no encryption" };
    let refuse = |what: &str| {
        let client = format!("host \"{host}\", user \"{user}\", database \"{database}\", {encryption}");
        Failure::from(invalid(format!("{what} for {client}")))
    };
    let rule = first_rule(&config.hba, origin, database, user).ok_or_else(|| refuse("no pg_hba.conf entry"))?;
    if rule.verdict != HbaVerdict::Reject
        && rule.certificate != ClientCertificate::Unasked
        && stream.client_certificate().is_none()
    {
        return Err(invalid("connection requires a valid client certificate".to_owned()).into());
    }
    match rule.verdict {
        HbaVerdict::Reject => Err(refuse("pg_hba.conf rejects connection")),
        HbaVerdict::Check(method) => Ok(Demand { method, is_named: rule.certificate == ClientCertificate::Named }),
        // Nothing more is asked of who has it.
        HbaVerdict::Certificate if common_name(stream).is_some_and(|name| rule.names(&name, user)) => {
            Ok(Demand { method: AuthenticationMethod::Trust, is_named: false })
        }
        HbaVerdict::Certificate => {
            Err(invalid(format!("certificate authentication failed for user \"{user}\"")).into())
        }
    }
}

impl Demand {
    /// Once the method was satisfied, as PostgreSQL does.
    pub(super) fn check_name(&self, user: &str, stream: &Stream) -> Result<(), ClientError> {
        match self.method {
            _ if !self.is_named || common_name(stream).is_some_and(|name| name == user) => Ok(()),
            AuthenticationMethod::Trust => Err(invalid(format!("\"trust\" authentication failed for user \"{user}\""))),
            AuthenticationMethod::ScramSha256 | AuthenticationMethod::Md5 => Err(wrong_password(user)),
        }
    }
}

/// A certificate that was shown has been verified in the handshake.
fn common_name(stream: &Stream) -> Option<String> {
    stream.client_certificate().and_then(|shown| shown.common_name)
}

fn invalid(message: String) -> ClientError {
    ClientError::new(SqlState::INVALID_AUTHORIZATION, message)
}
