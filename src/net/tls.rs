//! TLS towards clients and towards servers. In: certificate files and sslmodes. Out: rustls
//! configurations and the channel-binding hash of a certificate. Doesn't connect or accept sockets;
//! what a server's certificate must fulfil is in `verify`.
//!
//! ring is named as the provider in each configuration: nothing is installed for the process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ring::digest;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use x509_certificate::{CapturedX509Certificate, SignatureAlgorithm};

use super::verify::{ServerVerifier, Trust};
use super::{Socket, Stream};
use crate::config::{NodeTls, NodeTlsMode, ServerTlsConfig};

/// What is wrong with the TLS files. The messages name paths and are for the operator.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("cannot read {}: {source}", path.display())]
    File { path: PathBuf, source: pem::Error },
    #[error("{} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    #[error("the system has no certificate authorities; name some with sslrootcert")]
    NoSystemRoots,
    #[error("the certificate {} and its key do not work: {source}", path.display())]
    Unusable { path: PathBuf, source: rustls::Error },
    #[error("{} holds an authority that cannot be trusted: {source}", path.display())]
    Root { path: PathBuf, source: rustls::Error },
    #[error("the authorities in {} can't verify clients: {source}", path.display())]
    ClientAuthorities { path: PathBuf, source: VerifierBuilderError },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Accepts TLS from clients. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    certificate: CertificateDer<'static>,
    /// Refuse clients that don't use TLS (TCP only).
    pub required: bool,
}

impl ServerTls {
    /// # Errors
    /// Files that can't be read, or a key that doesn't fit the certificate.
    pub fn from_files(config: &ServerTlsConfig) -> Result<Self, TlsError> {
        let chain = certificates(&config.certificate)?;
        let certificate = match chain.first() {
            Some(first) => first.clone(),
            None => return Err(TlsError::NoCertificate(config.certificate.clone())),
        };
        let key = PrivateKeyDer::from_pem_file(&config.key)
            .map_err(|source| TlsError::File { path: config.key.clone(), source })?;
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = match &config.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => builder.with_client_cert_verifier(client_verifier(file)?),
        };
        let server = builder
            .with_single_cert(chain, key)
            .map_err(|source| TlsError::Unusable { path: config.certificate.clone(), source })?;
        let acceptor = TlsAcceptor::from(Arc::new(server));
        Ok(Self { acceptor, certificate, required: config.required })
    }

    /// The handshake with a client that was answered 'S'.
    ///
    /// # Errors
    /// Those of the socket and of the handshake.
    pub async fn accept(&self, socket: Socket) -> io::Result<Stream> {
        Ok(Stream::TlsServer(Box::new(self.acceptor.accept(socket).await?)))
    }

    /// The certificate that clients see, in PEM; `None` if channel binding to it isn't defined.
    pub fn channel_binding_certificate(&self) -> Option<String> {
        end_point_hash(&self.certificate)?;
        let parsed = CapturedX509Certificate::from_der(self.certificate.to_vec()).ok()?;
        Some(parsed.encode_pem())
    }
}

/// A client may come without a certificate, where the rules allow; one that these authorities didn't sign ends the handshake.
fn client_verifier(file: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let store = authorities(Some(file))?.store;
    let builder = WebPkiClientVerifier::builder_with_provider(store, provider()).allow_unauthenticated();
    builder.build().map_err(|source| TlsError::ClientAuthorities { path: file.to_owned(), source })
}

/// Speaks TLS to the servers of one node configuration.
///
/// # Errors
/// Certificate files that can't be read. Blocks while reading them.
pub fn connector(tls: &NodeTls) -> Result<TlsConnector, TlsError> {
    let trust = match tls.mode {
        NodeTlsMode::Disable | NodeTlsMode::Prefer | NodeTlsMode::Require => Trust::Anyone,
        NodeTlsMode::VerifyCa => Trust::Chain(authorities(tls.root_certificate.as_deref())?),
        NodeTlsMode::VerifyFull => Trust::ChainAndName(authorities(tls.root_certificate.as_deref())?),
    };
    let provider = provider();
    let verifier = ServerVerifier::new(trust, provider.signature_verification_algorithms);
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        // "Dangerous" is any verifier of one's own; `verify` says what each mode checks.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    // PostgreSQL offers no session tickets, and a configuration serves one connection.
    client.resumption = rustls::client::Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(client)))
}

/// The name that SNI sends and verify-full compares.
///
/// # Errors
/// When `host` is neither an address nor a DNS name.
pub fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// What to trust: the authorities, and the certificates as they are in the file.
#[derive(Debug)]
pub(super) struct Authorities {
    pub(super) store: Arc<RootCertStore>,
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

fn authorities(file: Option<&Path>) -> Result<Authorities, TlsError> {
    let Some(path) = file else {
        return Ok(Authorities { store: system_roots()?, certificates: Vec::new() });
    };
    let certificates = certificates(path)?;
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        let added = store.add(certificate.clone());
        added.map_err(|source| TlsError::Root { path: path.to_owned(), source })?;
    }
    Ok(Authorities { store: Arc::new(store), certificates })
}

/// Read once a process: there are over a hundred, and they belong to the machine, not to the
/// configuration.
fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut store = RootCertStore::empty();
        // As everywhere, an authority that can't be read is one that isn't trusted.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(store)
    });
    if roots.is_empty() { Err(TlsError::NoSystemRoots) } else { Ok(Arc::clone(roots)) }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { path: path.to_owned(), source };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(failed)?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(certificates)
}

/// tls-server-end-point (RFC 5929): the certificate hashed with its signature's own hash, SHA-256 in
/// place of older ones. `None` where that isn't defined (Ed25519), as in PostgreSQL.
fn end_point_hash(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = CapturedX509Certificate::from_der(certificate.to_vec()).ok()?;
    let algorithm = match parsed.signature_algorithm()? {
        SignatureAlgorithm::RsaSha1 | SignatureAlgorithm::RsaSha256 | SignatureAlgorithm::EcdsaSha256 => {
            &digest::SHA256
        }
        SignatureAlgorithm::RsaSha384 | SignatureAlgorithm::EcdsaSha384 => &digest::SHA384,
        SignatureAlgorithm::RsaSha512 => &digest::SHA512,
        SignatureAlgorithm::Ed25519 | SignatureAlgorithm::NoSignature(_) => return None,
    };
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// A certificate that a client proved to have, signed by the configured authorities.
pub struct ClientCertificate {
    /// The first one, as PostgreSQL takes it.
    pub common_name: Option<String>,
}

impl Stream {
    /// What the client of this stream has shown in its handshake.
    pub fn client_certificate(&self) -> Option<ClientCertificate> {
        let Self::TlsServer(stream) = self else { return None };
        let shown = stream.get_ref().1.peer_certificates()?.first()?;
        let common_name = CapturedX509Certificate::from_der(shown.to_vec()).ok()?.subject_common_name();
        Some(ClientCertificate { common_name })
    }

    /// The tls-server-end-point hash of the server that this stream is a TLS client of.
    pub fn server_end_point(&self) -> Option<Vec<u8>> {
        match self {
            Self::TlsClient(stream) => end_point_hash(stream.get_ref().1.peer_certificates()?.first()?),
            _ => None,
        }
    }
}
