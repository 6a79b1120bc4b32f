//! The key of the side that is called.

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use statement::{Bytes, PublicKey, Scheme};
use tokio_rustls::TlsAcceptor;

use crate::Error;
use crate::peer::{provider, spki_of};

/// A key that lives as long as its process: made in memory, written nowhere.
#[derive(Debug)]
pub struct ChannelKey {
    public: PublicKey,
    certified: Arc<CertifiedKey>,
}

impl ChannelKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`Error::Key`] where the system gives no randomness.
    pub fn generate() -> Result<Self, Error> {
        let rng = aws_lc_rs::rand::SystemRandom::new();
        let document = Ed25519KeyPair::generate_pkcs8(&rng).map_err(Error::key)?;
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(Error::key)?;
        let public = pair.public_key().as_ref().to_vec();
        let signing = any_eddsa_type(&PrivatePkcs8KeyDer::from(document.as_ref())).map_err(Error::key)?;
        let public = PublicKey { public: Bytes::new(public), scheme: Scheme::Ed25519 };
        // RFC 7250, section 3: the public key information takes the place of the certificate.
        let shown = CertificateDer::from(spki_of(&public)?);
        Ok(Self { public, certified: Arc::new(CertifiedKey::new(vec![shown], signing)) })
    }

    /// What a binding names.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Takes connections with this key.
    ///
    /// # Errors
    /// [`Error::Key`] where the library lacks TLS 1.3.
    pub fn acceptor(&self) -> Result<TlsAcceptor, Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(Error::key)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::clone(
                &self.certified,
            ))));
        // A resumed session would prove that somebody held the key once.
        config.send_tls13_tickets = 0;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
