use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::RootCertStore;

use super::*;

/// 2030-01-01.
const NOW: Duration = Duration::from_secs(1_893_456_000);

fn parameters(names: &[&str], common: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, common);
    parameters
}

fn authority(names: &[&str], common: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = parameters(names, common);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(parameters: CertificateParams, issuer: &CertifiedIssuer<'static, KeyPair>) -> CertificateDer<'static> {
    parameters.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
}

fn trusting(certificates: &[&CertificateDer<'static>]) -> Authorities {
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        store.add((*certificate).clone()).unwrap();
    }
    let certificates = certificates.iter().map(|certificate| (*certificate).clone()).collect();
    Authorities { store: Arc::new(store), certificates }
}

fn verdict(trust: Trust, certificate: &CertificateDer<'_>, host: &str, now: Duration) -> Result<(), Error> {
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let verifier = ServerVerifier::new(trust, algorithms);
    verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::since_unix_epoch(now)).map(|_| ())
}

fn is_name_error(verdict: &Result<(), Error>) -> bool {
    matches!(verdict, Err(Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })))
}

#[test]
fn each_mode_checks_what_libpq_checks() {
    let root = authority(&[], "root");
    let other = authority(&[], "other");
    let server = leaf(parameters(&["db.example.com"], "server"), &root);
    for host in ["db.example.com", "elsewhere", "10.0.0.1"] {
        verdict(Trust::Anyone, &server, host, NOW).unwrap();
        verdict(Trust::Chain(trusting(&[root.der()])), &server, host, NOW).unwrap();
        verdict(Trust::Chain(trusting(&[other.der()])), &server, host, NOW).unwrap_err();
        verdict(Trust::ChainAndName(trusting(&[other.der()])), &server, host, NOW).unwrap_err();
    }
    verdict(Trust::ChainAndName(trusting(&[root.der()])), &server, "db.example.com", NOW).unwrap();
    assert!(is_name_error(&verdict(Trust::ChainAndName(trusting(&[root.der()])), &server, "elsewhere", NOW)));
}

#[test]
fn a_self_signed_authority_may_be_the_server() {
    let own = authority(&["db.example.com"], "db");
    let trust = || trusting(&[own.der()]);
    verdict(Trust::Chain(trust()), own.der(), "elsewhere", NOW).unwrap();
    verdict(Trust::ChainAndName(trust()), own.der(), "db.example.com", NOW).unwrap();
    assert!(is_name_error(&verdict(Trust::ChainAndName(trust()), own.der(), "elsewhere", NOW)));
    let stranger = authority(&["db.example.com"], "db");
    verdict(Trust::Chain(trust()), stranger.der(), "db.example.com", NOW).unwrap_err();
    let far = Duration::from_secs(1 << 40);
    assert_eq!(verdict(Trust::Chain(trust()), own.der(), "x", far), Err(CertificateError::Expired.into()));
    let early = Duration::ZERO;
    assert_eq!(verdict(Trust::Chain(trust()), own.der(), "x", early), Err(CertificateError::NotValidYet.into()));
}

#[test]
fn the_common_name_counts_only_without_other_names() {
    let root = authority(&[], "root");
    let check = |certificate: &CertificateDer<'static>, host: &str| {
        verdict(Trust::ChainAndName(trusting(&[root.der()])), certificate, host, NOW)
    };
    let bare = leaf(parameters(&[], "db.example.com"), &root);
    check(&bare, "DB.example.com").unwrap();
    assert!(is_name_error(&check(&bare, "x.example.com")));
    let both = leaf(parameters(&["other.example.com"], "db.example.com"), &root);
    assert!(is_name_error(&check(&both, "db.example.com")));
    let address = leaf(parameters(&["10.0.0.1"], "db"), &root);
    check(&address, "10.0.0.1").unwrap();
    assert!(is_name_error(&check(&address, "10.0.0.2")));
}

#[test]
fn wildcards_of_common_names() {
    assert!(matches_common_name("*.example.com", "db.EXAMPLE.com"));
    for (pattern, host) in [
        ("*.example.com", "a.b.example.com"),
        ("*.example.com", "example.com"),
        ("*.example.com", ".example.com"),
        ("*.com", "example.com"),
        ("*", "db"),
        ("d*.example.com", "db.example.com"),
    ] {
        assert!(!matches_common_name(pattern, host), "{pattern} {host}");
    }
}
