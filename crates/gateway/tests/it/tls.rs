//! TLS with clients: what is asked over it is answered as without it, and nothing is answered in the clear.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, Stream};
use serde_json::json;

use crate::engine::Played;
use crate::house::{House, chat};

/// A certificate that signs itself, and its key; nothing where there is no `openssl`.
fn certificate(folder: &Path) -> Option<()> {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-keyout", "tls.key", "-out", "tls.pem"])
        .current_dir(folder)
        .output();
    match made {
        Ok(made) => {
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            Some(())
        }
        Err(error) => {
            println!("SKIPPED TLS with clients: `openssl` is absent ({error})");
            None
        }
    }
}

/// Believes one certificate: the one that the test has made.
#[derive(Debug)]
struct Made(CertificateDer<'static>, Arc<CryptoProvider>);

impl ServerCertVerifier for Made {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        assert_eq!(end_entity.as_ref(), self.0.as_ref());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 alone".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.1.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

fn client(folder: &Path) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let made = CertificateDer::from_pem_file(folder.join("tls.pem")).unwrap();
    ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Made(made, provider)))
        .with_no_client_auth()
}

#[test]
fn clients_ask_over_tls_and_get_nothing_in_the_clear() {
    let mut house = House::new();
    let folder = house.folder.path().to_owned();
    let Some(()) = certificate(&folder) else { return };
    let engine = Played::saying(r#"{"v":"one"}"#);
    let first = house.first_state();
    let tls = json!({ "certificate": folder.join("tls.pem"), "key": folder.join("tls.key") });
    let config = house.config(&[(first, &[engine.url()])], &json!({ "tls": tls }), &json!({}));
    house.open(config);
    let address = house.gate().address;

    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::new(client(&folder)), name).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let mut secure = Stream::new(&mut connection, &mut stream);
    for _ in 0..2 {
        secure.write_all(&House::request("", &chat(&json!({})))).unwrap();
        let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
        while !answer.ends_with(br#"{"v":"one"}"#) {
            let read = secure.read(&mut piece).unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..read]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(engine.count(), 2);

    // In the clear there is an alert of TLS, if anything, and no answer.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&House::request("", &chat(&json!({})))).unwrap();
    let mut said = Vec::new();
    // Closing while something is unread may reset the connection.
    let _ended = stream.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    assert_eq!(engine.count(), 2);
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_by_name() {
    let house = House::new();
    let folder = house.folder.path().to_owned();
    let refused = |certificate: &str, key: &str| {
        let first = house.first_state();
        let tls = json!({ "certificate": folder.join(certificate), "key": folder.join(key) });
        let config =
            house.config(&[(first, &["http://127.0.0.1:1".to_owned()])], &json!({ "tls": tls }), &json!({}));
        gateway::Warden::open(config, Arc::new(|| 0)).unwrap_err()
    };
    std::fs::write(folder.join("empty.pem"), "").unwrap();
    std::fs::write(folder.join("broken.pem"), "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
        .unwrap();
    for certificate in ["absent.pem", "empty.pem", "broken.pem"] {
        let error = refused(certificate, "rollout.key");
        assert_eq!(error.code(), "CS-GWY-030", "{error}");
        assert!(error.to_string().contains(certificate), "{error}");
    }
    let Some(()) = certificate(&folder) else { return };
    // A file that holds no key in PEM.
    let error = refused("tls.pem", "rollout.key");
    assert!(error.code() == "CS-GWY-030" && error.to_string().contains("rollout.key"), "{error}");
    // Another certificate's key.
    std::fs::rename(folder.join("tls.key"), folder.join("first.key")).unwrap();
    let Some(()) = certificate(&folder) else { return };
    assert_eq!(refused("tls.pem", "first.key").code(), "CS-GWY-030");
}
