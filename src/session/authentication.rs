//! Proving who a client is. In: a connection after its start-up message, and the user it names. Out:
//! AuthenticationOk queued, or why not. Doesn't know of databases.
//!
//! SCRAM's arithmetic and messages are pgwire's; its message loop isn't used (it takes frames of any
//! claimed length and has no mock authentication). A name that no user has goes through the same
//! conversation with a salt of its own and fails at the end, so names can't be probed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use pgwire::api::auth::md5pass::hash_md5_password;
use pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramSecret, ScramServerAuth, gen_salted_password};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::Message;
use pgwire::messages::startup::Authentication;
use ring::hmac;
use subtle::ConstantTimeEq;

use crate::config::{AuthenticationMethod, Secret, StoredVerifier, UserConfig, looks_stored, stored_md5};
use crate::net::{Framed, ServerTls};
use crate::pool::connect::{Proof, ScramKeys, ScramMessages};
use crate::protocol::startup::parse_password_frame;
use crate::types::{ClientError, SqlState};

const SCRAM: &str = "SCRAM-SHA-256";
const SCRAM_PLUS: &str = "SCRAM-SHA-256-PLUS";
/// As PostgreSQL's salts.
const SALT_BYTES: usize = 16;

/// Why a client isn't let in.
#[derive(Debug)]
pub enum Failure {
    /// It went away, as psql does to ask for a password.
    Gone,
    /// To be told, FATAL.
    Refused(ClientError),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Refused(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

/// What lives as long as the process, over reloads: the seed of all salts, so that a name's salt
/// never tells whether the user exists, and verifiers, of which each costs 4,096 rounds of hashing.
pub struct LoginSecrets {
    seed: hmac::Key,
    verifiers: Mutex<HashMap<String, (Secret, Arc<StoredVerifier>)>>,
}

fn scram_secret(verifier: &StoredVerifier) -> ScramSecret {
    ScramSecret::Verifier {
        salt: verifier.salt.clone(),
        iterations: verifier.iterations,
        stored_key: verifier.stored_key.clone(),
        server_key: verifier.server_key.clone(),
    }
}

impl LoginSecrets {
    pub fn generate() -> Self {
        let seed = hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>());
        Self { seed, verifiers: Mutex::new(HashMap::new()) }
    }

    fn derive(&self, purpose: &str, name: &str) -> Vec<u8> {
        hmac::sign(&self.seed, format!("{purpose}\0{name}").as_bytes()).as_ref().to_vec()
    }

    fn salt(&self, name: &str) -> Vec<u8> {
        let mut salt = self.derive("salt", name);
        salt.truncate(SALT_BYTES);
        salt
    }

    fn verifier(&self, name: &str, password: &Secret) -> Arc<StoredVerifier> {
        if let Some(stored) = StoredVerifier::parse(password.reveal()) {
            return Arc::new(stored);
        }
        // One computation at a time, so that a storm of first logins computes it once. There are as
        // many entries as users were ever configured.
        let mut verifiers = self.verifiers.lock().unwrap_or_else(PoisonError::into_inner);
        match verifiers.get(name) {
            Some((of, verifier)) if of == password => Arc::clone(verifier),
            _ => {
                let verifier = Arc::new(derive_verifier(self.salt(name), password));
                verifiers.insert(name.to_owned(), (password.clone(), Arc::clone(&verifier)));
                verifier
            }
        }
    }

    /// Keys that no password has.
    fn mock(&self, name: &str) -> StoredVerifier {
        let [stored_key, server_key] = ["stored", "server"].map(|purpose| self.derive(purpose, name));
        StoredVerifier { iterations: SCRAM_ITERATIONS, salt: self.salt(name), stored_key, server_key }
    }
}

fn derive_verifier(salt: Vec<u8>, password: &Secret) -> StoredVerifier {
    let salted = gen_salted_password(password.reveal(), &salt, SCRAM_ITERATIONS);
    match ScramSecret::verifier_from_salted_password(salt, salted, SCRAM_ITERATIONS) {
        ScramSecret::Verifier { salt, stored_key, server_key, .. } => {
            StoredVerifier { iterations: SCRAM_ITERATIONS, salt, stored_key, server_key }
        }
        ScramSecret::SaltedPassword { .. } => {
            unreachable!("the function is named for what it makes")
        }
    }
}

/// Every method with all it needs.
pub struct Authenticator {
    secrets: Arc<LoginSecrets>,
    plain: ScramServerAuth,
    /// With channel binding; `None` without a certificate that defines it.
    bound: Option<ScramServerAuth>,
}

impl Authenticator {
    pub fn new(secrets: Arc<LoginSecrets>, tls: Option<&ServerTls>) -> Self {
        let bound = tls.and_then(ServerTls::channel_binding_certificate).and_then(|certificate| {
            let mut bound = ScramServerAuth::new();
            bound.configure_certificate(certificate.as_bytes()).ok()?;
            Some(bound)
        });
        Self { secrets, plain: ScramServerAuth::new(), bound }
    }

    /// Leaves AuthenticationOk in `framed.outbound`, unsent. `user` is `None` when nobody has the
    /// name. What was proved of a stored password, servers that have the same take as well.
    ///
    /// # Errors
    /// 28P01 for a wrong password or name, 28000 for a failed channel binding (and a wrong name under
    /// trust), 08P01 for malformed messages.
    pub async fn authenticate(
        &self,
        method: AuthenticationMethod,
        framed: &mut Framed,
        name: &str,
        user: Option<&UserConfig>,
    ) -> Result<Option<Proof>, Failure> {
        let password = user.and_then(|user| user.password.as_ref());
        let proof = match method {
            AuthenticationMethod::ScramSha256 => self.scram(framed, name, password).await?,
            // As in PostgreSQL, which can't compare what it doesn't have.
            AuthenticationMethod::Md5 if password.is_some_and(|password| looks_stored(password.reveal())) => {
                self.scram(framed, name, password).await?
            }
            AuthenticationMethod::Md5 => md5(framed, name, password).await?,
            AuthenticationMethod::Trust if user.is_some() => None,
            AuthenticationMethod::Trust => {
                let message = format!("role \"{name}\" does not exist");
                return Err(ClientError::new(SqlState::INVALID_AUTHORIZATION, message).into());
            }
        };
        queue(framed, &Authentication::Ok);
        Ok(proof)
    }

    async fn scram(
        &self,
        framed: &mut Framed,
        name: &str,
        password: Option<&Secret>,
    ) -> Result<Option<Proof>, Failure> {
        // -PLUS is offered only where it can be done: on TLS.
        let bound = self.bound.as_ref().filter(|_| framed.stream.is_tls());
        let mechanisms = bound.map(|_| SCRAM_PLUS).into_iter().chain([SCRAM]);
        send(framed, &Authentication::SASL(mechanisms.map(str::to_owned).collect())).await?;
        let frame = receive(framed).await?;
        let (mechanism, client_first) = reparse(&frame)?.sasl_initial()?;
        check_mechanism(mechanism, client_first, bound.is_some())?;
        // What is stored as md5 can't be compared by SCRAM: PostgreSQL refuses it in the same way.
        let verifier = match password.filter(|password| stored_md5(password.reveal()).is_none()) {
            Some(password) => self.secrets.verifier(name, password),
            None => Arc::new(self.secrets.mock(name)),
        };
        let server = bound.unwrap_or(&self.plain);
        let first = server.on_client_first_message_with_secret(client_first, scram_secret(&verifier));
        let (server_first, exchange) = first.map_err(|error| scram_error(&error, mechanism, name))?;
        let client_first = String::from_utf8_lossy(client_first).into_owned();
        send(framed, &Authentication::SASLContinue(server_first.clone().into())).await?;
        let frame = receive(framed).await?;
        let client_final = reparse(&frame)?.body;
        let last = exchange.on_client_final_message(client_final);
        let server_final = last.map_err(|error| scram_error(&error, mechanism, name))?;
        queue(framed, &Authentication::SASLFinal(server_final.into()));
        let stored = password.and_then(|password| StoredVerifier::parse(password.reveal()));
        Ok(stored.and_then(|stored| recover(stored, &client_first, &server_first, client_final)).map(Proof::Scram))
    }
}

/// The client's key, out of an exchange that has succeeded.
fn recover(stored: StoredVerifier, client_first: &str, server_first: &str, client_final: &[u8]) -> Option<ScramKeys> {
    // Behind the channel-binding flag and the name it acts for.
    let client_first_bare = client_first.splitn(3, ',').nth(2)?;
    let (client_final_without_proof, proof) = std::str::from_utf8(client_final).ok()?.rsplit_once(",p=")?;
    let messages = ScramMessages { client_first_bare, server_first, client_final_without_proof };
    ScramKeys::recover(stored, messages, &STANDARD.decode(proof).ok()?)
}

/// The mechanism's name and the channel-binding flag of the client's first message must agree, which
/// pgwire leaves to its caller (RFC 5802, section 6).
pub(super) fn check_mechanism(mechanism: &str, client_first: &[u8], plus_offered: bool) -> Result<(), ClientError> {
    let flag = client_first.first();
    match mechanism {
        SCRAM_PLUS if plus_offered && flag == Some(&b'p') => Ok(()),
        SCRAM_PLUS if plus_offered => Err(violation("channel binding data is missing")),
        SCRAM if flag == Some(&b'p') => Err(violation("channel binding data without channel binding")),
        SCRAM if flag == Some(&b'y') && plus_offered => {
            let message = "SCRAM channel binding negotiation error";
            let detail = "The client supports SCRAM channel binding but thinks the server does not. \
                          However, this server does support channel binding.";
            Err(ClientError::new(SqlState::INVALID_AUTHORIZATION, message).detail(detail))
        }
        SCRAM => Ok(()),
        _ => Err(ClientError::new(
            SqlState::PROTOCOL_VIOLATION,
            "client selected an invalid SASL authentication mechanism",
        )),
    }
}

fn scram_error(error: &PgWireError, mechanism: &str, name: &str) -> ClientError {
    match error {
        PgWireError::InvalidPassword(_) => wrong_password(name),
        _ if mechanism == SCRAM_PLUS => {
            ClientError::new(SqlState::INVALID_AUTHORIZATION, "SCRAM channel binding check failed")
        }
        _ => violation("the message does not follow RFC 5802"),
    }
}

async fn md5(framed: &mut Framed, name: &str, password: Option<&Secret>) -> Result<Option<Proof>, Failure> {
    let salt = rand::random::<[u8; 4]>();
    send(framed, &Authentication::MD5Password(salt.to_vec())).await?;
    let frame = receive(framed).await?;
    let given = reparse(&frame)?.password()?;
    let stored = password.and_then(|password| stored_md5(password.reveal()));
    let expected = match stored {
        Some(stored) => format!("md5{:x}", md5::compute([stored.as_bytes(), &salt].concat())),
        None => hash_md5_password(name, password.map_or("", Secret::reveal), &salt),
    };
    let same = bool::from(expected.as_bytes().ct_eq(given));
    if !same || password.is_none() {
        return Err(wrong_password(name).into());
    }
    Ok(stored.map(|stored| Proof::Md5(stored.to_owned())))
}

pub(super) fn wrong_password(name: &str) -> ClientError {
    ClientError::new(SqlState::INVALID_PASSWORD, format!("password authentication failed for user \"{name}\""))
}

fn violation(detail: &str) -> ClientError {
    ClientError::new(SqlState::PROTOCOL_VIOLATION, "malformed SCRAM message").detail(detail)
}

fn queue(framed: &mut Framed, message: &Authentication) {
    let encoded: PgWireResult<()> = message.encode(&mut framed.outbound);
    encoded.expect("authentication messages are encoded into memory");
}

async fn send(framed: &mut Framed, message: &Authentication) -> Result<(), Failure> {
    queue(framed, message);
    Ok(framed.flush().await?)
}

/// The next password message, whole.
async fn receive(framed: &mut Framed) -> Result<BytesMut, Failure> {
    loop {
        if let Some(frame) = parse_password_frame(&framed.inbound)? {
            let length = frame.length;
            return Ok(framed.inbound.split_to(length));
        }
        if framed.fill().await? == 0 {
            return Err(Failure::Gone);
        }
    }
}

fn reparse(frame: &[u8]) -> Result<crate::protocol::startup::PasswordFrame<'_>, Failure> {
    parse_password_frame(frame)?.ok_or(Failure::Gone)
}
