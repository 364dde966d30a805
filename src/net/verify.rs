//! What a server's certificate must fulfil in each sslmode. In: the certificates of a handshake.
//! Out: rustls's verdict. Doesn't read files.
//!
//! libpq is the model where rustls is stricter: a certificate that is itself listed as trusted is
//! accepted though it is an authority's, and the common name counts when there are no other names.

use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_certificate::X509Certificate;

use super::tls::Authorities;

#[derive(Debug)]
pub(super) enum Trust {
    /// prefer, require: encryption without knowing with whom.
    Anyone,
    /// verify-ca.
    Chain(Authorities),
    /// verify-full.
    ChainAndName(Authorities),
}

#[derive(Debug)]
pub(super) struct ServerVerifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerVerifier {
    pub(super) fn new(trust: Trust, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { trust, algorithms }
    }

    fn verify_chain(
        &self,
        authorities: &Authorities,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if authorities.certificates.iter().any(|trusted| trusted == leaf) {
            return verify_validity(leaf, now);
        }
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &authorities.store, intermediates, now, algorithms)
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trust {
            Trust::Anyone => {}
            Trust::Chain(authorities) => self.verify_chain(authorities, leaf, intermediates, now)?,
            Trust::ChainAndName(authorities) => {
                self.verify_chain(authorities, leaf, intermediates, now)?;
                verify_name(leaf, name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    // The handshake's signature is verified in every mode: without it anybody could present the
    // true server's certificate, and channel binding to that certificate would prove nothing.

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// All that is left to check of a certificate that is trusted itself; webpki would refuse an
/// authority's own (CaUsedAsEndEntity).
fn verify_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let parsed = parse(certificate)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < parsed.validity_not_before().timestamp() {
        Err(CertificateError::NotValidYet.into())
    } else if now > parsed.validity_not_after().timestamp() {
        Err(CertificateError::Expired.into())
    } else {
        Ok(())
    }
}

fn verify_name(leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let verdict = verify_server_name(&ParsedCertificate::try_from(leaf)?, name);
    match verdict {
        Err(Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => match common_name(leaf)? {
            Some(common) if matches_common_name(&common, &name.to_str()) => Ok(()),
            _ => verdict,
        },
        _ => verdict,
    }
}

/// The subject's common name of a certificate without alternative names.
fn common_name(certificate: &CertificateDer<'_>) -> Result<Option<String>, Error> {
    /// 2.5.29.17, subjectAltName.
    const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
    let parsed = parse(certificate)?;
    let has_others = parsed.iter_extensions().any(|extension| extension.id.as_ref() == ALTERNATIVE_NAMES);
    Ok(if has_others { None } else { parsed.subject_common_name() })
}

/// Without regard to case; `*.` at the beginning stands for one label.
fn matches_common_name(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern.eq_ignore_ascii_case(host),
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| {
            !label.is_empty() && parent.contains('.') && rest.eq_ignore_ascii_case(parent)
        }),
    }
}

fn parse(certificate: &CertificateDer<'_>) -> Result<X509Certificate, Error> {
    X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding.into())
}

#[cfg(test)]
mod tests;
