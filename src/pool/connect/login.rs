//! Who logs in to a server, and with what. A password, or what a client has proved of one that nobody here knows: the
//! keys of its SCRAM exchange, or the md5 that PostgreSQL stores.

use std::sync::Arc;

use parking_lot::Mutex;
use ring::{digest, hmac};

use crate::config::{Secret, StoredVerifier, UserConfig, is_stored};

/// Who logs in to the servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    pub user: String,
    pub credential: Credential,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// For servers that ask for nothing.
    None,
    Password(Secret),
    /// What the user's last login told.
    Passed(Passed),
}

impl Login {
    pub fn with_password(user: impl Into<String>, password: Option<Secret>) -> Self {
        Self { user: user.into(), credential: password.map_or(Credential::None, Credential::Password) }
    }

    /// A user of the file; `passed` is what it logs in with if the file has no password for the servers.
    pub fn of(user: &UserConfig, passed: impl FnOnce() -> Option<Passed>) -> Self {
        let name = user.server_user.as_ref().unwrap_or(&user.name).clone();
        let credential = match (&user.server_password, &user.password) {
            (Some(password), _) => Credential::Password(password.clone()),
            (None, Some(password)) if is_stored(password.reveal()) => {
                passed().map_or(Credential::None, Credential::Passed)
            }
            (None, Some(password)) => Credential::Password(password.clone()),
            (None, None) => Credential::None,
        };
        Self { user: name, credential }
    }
}

/// What a user's logins have told, shared by all of its pools: the latest one counts.
#[derive(Clone, Default)]
pub struct Passed(Arc<Mutex<Option<Arc<Proof>>>>);

impl Passed {
    pub fn set(&self, proof: Proof) {
        *self.0.lock() = Some(Arc::new(proof));
    }

    /// Whether anybody else has it.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    pub(super) fn get(&self) -> Option<Arc<Proof>> {
        self.0.lock().clone()
    }
}

impl PartialEq for Passed {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Passed {}

impl std::fmt::Debug for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passed(..)")
    }
}

/// As good as a password to a server that has the same stored, and of no use to any other.
pub enum Proof {
    Scram(ScramKeys),
    /// The 32 digits behind `md5`.
    Md5(String),
}

/// RFC 5802, section 3. ClientKey is what a verifier doesn't tell.
pub struct ScramKeys {
    verifier: StoredVerifier,
    client_key: Vec<u8>,
}

/// The messages of an exchange that the proof in the last of them is made over.
#[derive(Clone, Copy)]
pub struct ScramMessages<'m> {
    pub client_first_bare: &'m str,
    pub server_first: &'m str,
    pub client_final_without_proof: &'m str,
}

impl ScramMessages<'_> {
    fn signed_with(&self, key: &[u8]) -> hmac::Tag {
        let Self { client_first_bare, server_first, client_final_without_proof } = self;
        let all = format!("{client_first_bare},{server_first},{client_final_without_proof}");
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), all.as_bytes())
    }
}

impl ScramKeys {
    /// From a client's proof; `None` if it proves nothing.
    pub fn recover(verifier: StoredVerifier, messages: ScramMessages<'_>, proof: &[u8]) -> Option<Self> {
        let signature = messages.signed_with(&verifier.stored_key);
        let client_key = xor(proof, signature.as_ref())?;
        let is_right = digest::digest(&digest::SHA256, &client_key).as_ref() == verifier.stored_key;
        is_right.then_some(Self { verifier, client_key })
    }

    pub(super) fn is_salted_with(&self, salt: &[u8], iterations: usize) -> bool {
        self.verifier.salt == salt && self.verifier.iterations == iterations
    }

    pub(super) fn proof(&self, messages: ScramMessages<'_>) -> Vec<u8> {
        let signature = messages.signed_with(&self.verifier.stored_key);
        xor(&self.client_key, signature.as_ref()).expect("both are of SHA-256")
    }

    pub(super) fn server_signature(&self, messages: ScramMessages<'_>) -> Vec<u8> {
        messages.signed_with(&self.verifier.server_key).as_ref().to_vec()
    }
}

fn xor(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    (a.len() == b.len()).then(|| a.iter().zip(b).map(|(a, b)| a ^ b).collect())
}
