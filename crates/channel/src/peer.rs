//! The side that calls: who is called proves its key before a byte is sent.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use statement::{Bytes, PublicKey, Scheme};
use tokio_rustls::TlsConnector;

use crate::Error;

/// What stands before the 32 bytes of an Ed25519 key in its public key information (RFC 8410, section 4).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// Signatures that count: those of channel keys.
const SIGNATURES: [SignatureScheme; 1] = [SignatureScheme::ED25519];

/// Connects to the holder of `key`. Whoever cannot prove that key gets nothing but a broken handshake.
///
/// # Errors
/// [`Error::Scheme`] for a key that is not Ed25519; [`Error::Key`] where the library lacks TLS 1.3.
pub fn connector(key: &PublicKey) -> Result<TlsConnector, Error> {
    let expected = Some(spki_of(key)?);
    Ok(TlsConnector::from(Arc::new(config(expected)?)))
}

/// The name that is asked for. Nobody looks at it: the key is the name.
pub fn server_name() -> ServerName<'static> {
    ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into())
}

/// Which key the side at `address` (`HOST:PORT`) holds. It is proven, and nothing is sent but the handshake; whose key it
/// is, the caller has to know. Each wait but the name's is bounded by `patience`.
///
/// # Errors
/// [`Error::NoChannel`] where nobody answers, or not as a channel does; [`Error::OtherKey`].
pub fn knock(address: &str, patience: Duration) -> Result<PublicKey, Error> {
    let failed = |source| Error::NoChannel { address: address.to_owned(), source };
    let found = address.to_socket_addrs().map_err(failed)?.next();
    let found = found.ok_or_else(|| failed(std::io::Error::other("the name leads nowhere")))?;
    let mut stream = TcpStream::connect_timeout(&found, patience).map_err(failed)?;
    stream.set_read_timeout(Some(patience)).map_err(failed)?;
    stream.set_write_timeout(Some(patience)).map_err(failed)?;
    let mut connection = ClientConnection::new(Arc::new(config(None)?), server_name()).map_err(Error::key)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(failed)?;
    }
    connection.send_close_notify();
    // Whoever does not hear the end hears that the connection is closed.
    drop(connection.complete_io(&mut stream));
    let shown = connection.peer_certificates().and_then(|shown| shown.first());
    let key = shown.and_then(|shown| shown.as_ref().strip_prefix(&ED25519_PREFIX));
    let key = key.filter(|key| key.len() == 32);
    let key = key.map(|key| PublicKey { public: Bytes::new(key.to_vec()), scheme: Scheme::Ed25519 });
    key.filter(|key| key.check().is_ok()).ok_or_else(|| Error::OtherKey { address: address.to_owned() })
}

/// A key as it is shown in a handshake.
pub(crate) fn spki_of(key: &PublicKey) -> Result<Vec<u8>, Error> {
    let wrong = |reason| Error::Scheme { key: key.id(), reason };
    if key.scheme != Scheme::Ed25519 {
        return Err(wrong("its scheme is not Ed25519"));
    }
    key.check().map_err(|_| wrong("its bytes are no Ed25519 key"))?;
    Ok([&ED25519_PREFIX, key.public.as_slice()].concat())
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn config(expected: Option<Vec<u8>>) -> Result<ClientConfig, Error> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(Error::key)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Holder { expected, algorithms }))
        .with_no_client_auth();
    // Every connection proves the key anew.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Believes one key, or any where none is expected; in both cases its holder has to prove it.
#[derive(Debug)]
struct Holder {
    expected: Option<Vec<u8>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Holder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.expected {
            Some(expected) if expected.as_slice() != end_entity.as_ref() => {
                Err(rustls::Error::General("the other side holds another key".to_owned()))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("channels speak TLS 1.3".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = SubjectPublicKeyInfoDer::from(cert.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SIGNATURES.to_vec()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
