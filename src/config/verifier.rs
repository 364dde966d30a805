//! A password as PostgreSQL stores it (pg_authid.rolpassword): enough to check a client's, not enough to log in with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::{ScramSecret, gen_salted_password};
use subtle::ConstantTimeEq;

const PREFIX: &str = "SCRAM-SHA-256$";
/// Of SHA-256.
const KEY_BYTES: usize = 32;

/// `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredVerifier {
    pub iterations: usize,
    pub salt: Vec<u8>,
    pub stored_key: Vec<u8>,
    pub server_key: Vec<u8>,
}

/// The 32 digits of a password stored as md5.
pub fn stored_md5(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("md5")?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (digits.len() == 32 && digits.bytes().all(is_digit)).then_some(digits)
}

/// Not a password itself, but what PostgreSQL stores of one.
pub fn is_stored(text: &str) -> bool {
    looks_stored(text) || stored_md5(text).is_some()
}

/// If the text is meant to be a verifier, whether or not it is a good one.
pub fn looks_stored(text: &str) -> bool {
    text.starts_with(PREFIX)
}

impl StoredVerifier {
    pub fn parse(text: &str) -> Option<Self> {
        let (head, keys) = text.strip_prefix(PREFIX)?.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let decode = |text: &str| STANDARD.decode(text).ok();
        let found = Self {
            iterations: iterations.parse().ok().filter(|iterations| *iterations > 0)?,
            salt: decode(salt)?,
            stored_key: decode(stored_key)?,
            server_key: decode(server_key)?,
        };
        let fits = !found.salt.is_empty() && found.stored_key.len() == KEY_BYTES && found.server_key.len() == KEY_BYTES;
        fits.then_some(found)
    }

    /// Whether this is stored of that password. Takes as many rounds of hashing as the verifier says.
    pub fn is_of(&self, password: &str) -> bool {
        let salted = gen_salted_password(password, &self.salt, self.iterations);
        match ScramSecret::verifier_from_salted_password(self.salt.clone(), salted, self.iterations) {
            ScramSecret::Verifier { stored_key, .. } => stored_key.ct_eq(&self.stored_key).into(),
            ScramSecret::SaltedPassword { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_verifiers_are_taken() {
        let key = STANDARD.encode([7; 32]);
        let text = format!("SCRAM-SHA-256$4096:{}$${key}", STANDARD.encode([1; 16]));
        assert!(looks_stored(&text) && StoredVerifier::parse(&text).is_none());
        let text = format!("SCRAM-SHA-256$4096:{}${key}:{key}", STANDARD.encode([1; 16]));
        let found = StoredVerifier::parse(&text).map(|found| (found.iterations, found.stored_key));
        assert_eq!(found, Some((4096, vec![7; 32])));
        assert!(StoredVerifier::parse(&text.replace("4096", "0")).is_none());
    }
}
