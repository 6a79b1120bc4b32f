//! TLS with clients: 1.3 alone, with a certificate and its key from files.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;
use crate::{Error, keep};

/// Bytes of a file of certificates, or of a key, at most.
const BYTES_MAX: usize = 1 << 20;
/// Certificates of a chain at most.
const CHAIN_MAX: usize = 16;

/// Reads the files, and checks that the key is the certificate's.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, Error> {
    let (certificate, key) = (&tls.certificate, &tls.key);
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&read(certificate)?).take(CHAIN_MAX + 1).collect();
    let chain = chain.map_err(|error| wrong(certificate, error))?;
    if chain.is_empty() || chain.len() > CHAIN_MAX {
        return Err(wrong(certificate, "it holds no certificate, or more than 16"));
    }
    let own = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| wrong(key, error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| wrong(certificate, error))?
        .with_no_client_auth()
        .with_single_cert(chain, own);
    let mut config = config.map_err(|error| wrong(certificate, error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    keep::read(path, BYTES_MAX)?.ok_or_else(|| wrong(path, "there is no such file"))
}

fn wrong(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::Tls { path: path.to_owned(), reason: reason.to_string() }
}
