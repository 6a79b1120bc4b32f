use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, mpsc};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;

use super::*;

const TOLD_BYTES: &[u8] = b"{\"payload\":\"e30=\",\"signatures\":[]}";

fn told() -> Told {
    Told {
        envelope: TOLD_BYTES.to_vec(),
        subject: "[countersign] acme: support: roll-back".to_owned(),
        text: "A monitor asks.\n".to_owned(),
    }
}

fn notice(value: serde_json::Value) -> Notice {
    serde_json::from_value(value).unwrap()
}

/// What a played server hears of each connection, line by line or request by request.
fn played(play: impl Fn(TcpStream) -> String + Send + 'static) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let (heard, hears) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if heard.send(play(stream)).is_err() {
                return;
            }
        }
    });
    (at, hears)
}

/// A mail server that knows no TLS.
fn mail_server(stream: TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut heard = String::new();
    let answer = |reader: &mut BufReader<TcpStream>, text: &str| reader.get_mut().write_all(text.as_bytes());
    let mut in_data = false;
    answer(&mut reader, "220 played\r\n").unwrap();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return heard;
        }
        heard.push_str(&line);
        let said = match line.split([' ', '\r']).next().unwrap_or_default() {
            "." => {
                in_data = false;
                "250 taken\r\n"
            }
            _ if in_data => continue,
            "EHLO" => "250-played\r\n250 8BITMIME\r\n",
            "DATA" => {
                in_data = true;
                "354 go on\r\n"
            }
            "QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        if answer(&mut reader, said).is_err() {
            return heard;
        }
    }
}

#[test]
fn people_get_mail_with_the_signed_incident() {
    let (server, hears) = played(mail_server);
    let mail = notice(json!({ "mail": { "server": server, "from": "monitor@acme.example", "tls": "none",
                                        "to": ["Olga <olga@acme.example>", "oncall@acme.example"] } }));
    let notices = Notices::new(&[mail]).unwrap();
    notices.tell(&told());
    drop(notices);
    let heard = hears.recv().unwrap();
    for line in [
        "MAIL FROM:<monitor@acme.example>",
        "RCPT TO:<olga@acme.example>",
        "RCPT TO:<oncall@acme.example>",
        "Subject: [countersign] acme: support: roll-back",
        "A monitor asks.",
        "Content-Disposition: attachment; filename=\"incident.json\"",
        "Content-Type: application/json",
    ] {
        assert!(heard.contains(line), "`{line}` is missing:\n{heard}");
    }
    // The envelope is the one that was signed, byte for byte.
    let attached = heard.split("filename=\"incident.json\"").nth(1).unwrap();
    let attached = attached.split("\r\n\r\n").nth(1).unwrap().split("\r\n--").next().unwrap();
    assert_eq!(attached.as_bytes(), TOLD_BYTES);
}

#[test]
fn without_encryption_nothing_is_mailed_unless_it_is_said_so() {
    let (server, hears) = played(mail_server);
    let mail = Mail {
        ca_file: None,
        from: "monitor@acme.example".to_owned(),
        password_file: None,
        server,
        tls: MailTls::Required,
        to: vec!["olga@acme.example".to_owned()],
        user: None,
    };
    let letter = Letter::new(&mail).unwrap();
    assert!(letter.carry(&told()).is_err());
    drop(letter);
    let heard = hears.recv().unwrap();
    assert!(!heard.contains("MAIL FROM") && !heard.contains("acme"), "{heard}");
}

#[test]
fn a_place_that_hangs_holds_up_neither_another_nor_whoever_tells() {
    let (silent, _held) = played(|stream| {
        std::thread::sleep(Duration::from_mins(1));
        drop(stream);
        String::new()
    });
    let (quick, hears) = played(request);
    let urls = [silent, quick].map(|at| notice(json!({ "url": format!("http://{at}/incidents") })));
    let notices = Notices::new(&urls).unwrap();
    for _ in 0..3 * WAITING_MAX {
        notices.tell(&told());
    }
    let heard = hears.recv().unwrap();
    assert!(heard.starts_with("POST /incidents HTTP/1.1"), "{heard}");
    assert!(heard.as_bytes().ends_with(TOLD_BYTES));
}

/// Answers a request with a status of success, and that the connection ends. What there was of it.
fn request(mut stream: impl Read + Write) -> String {
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    while !heard.ends_with(TOLD_BYTES) {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return String::from_utf8(heard).unwrap(),
            Ok(read) => heard.extend_from_slice(&piece[..read]),
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    String::from_utf8(heard).unwrap()
}

/// Fails so often.
struct Failing(std::sync::Mutex<usize>, mpsc::Sender<bool>);

impl Carrier for Failing {
    fn carry(&self, _: &Told) -> Result<(), String> {
        let mut left = self.0.lock().unwrap();
        let fails = *left > 0;
        *left = left.saturating_sub(1);
        self.1.send(!fails).unwrap();
        if fails { Err("not now".to_owned()) } else { Ok(()) }
    }
}

#[test]
fn what_is_not_taken_is_tried_again_and_then_given_up() {
    for (failures, expected) in [
        (0, vec![true]),
        (2, vec![false, false, true]),
        (3, vec![false, false, false]),
        (9, vec![false, false, false]),
    ] {
        let (tried, tries) = mpsc::channel();
        let (tell, tells) = sync_channel(1);
        tell.send(told()).unwrap();
        drop(tell);
        deliver("played", &Failing(failures.into(), tried), &tells, &[Duration::ZERO; 2]);
        assert_eq!(tries.try_iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_refusing_place_is_not_taken_for_one_that_took_it() {
    let (at, _hears) = played(|mut stream| {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).unwrap();
        stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        read.to_string()
    });
    let refused = Post::new(&format!("http://{at}/"), PATIENCE).unwrap().carry(&told()).unwrap_err();
    assert!(refused.contains("500"), "{refused}");
}

/// Takes one notice over TLS, with a certificate that signs itself; nothing where there is no `openssl`.
fn over_tls(folder: &Path) -> Option<(CertificateDer<'static>, String, mpsc::Receiver<String>)> {
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
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "own.pem"])
        .current_dir(folder)
        .output();
    let made = match made {
        Ok(made) => made,
        Err(error) => {
            println!("SKIPPED notices over TLS: `openssl` is absent ({error})");
            return None;
        }
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let certificate = CertificateDer::from_pem_file(folder.join("own.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let (at, hears) = played(move |stream| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        request(rustls::StreamOwned::new(connection, stream))
    });
    Some((certificate, at.replace("127.0.0.1", "localhost"), hears))
}

#[test]
fn over_tls_it_is_posted_to_who_has_proven_the_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let Some((certificate, at, hears)) = over_tls(folder.path()) else { return };
    let believing = |certificate: &CertificateDer<'static>| {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        Post::believing(&format!("https://{at}/incidents?of=acme"), PATIENCE, || Ok(roots)).unwrap()
    };
    believing(&certificate).carry(&told()).unwrap();
    let heard = hears.recv().unwrap();
    assert!(heard.starts_with("POST /incidents?of=acme HTTP/1.1"), "{heard}");
    // Another's certificate for the same name.
    let other = tempfile::tempdir().unwrap();
    let Some((another, ..)) = over_tls(other.path()) else { return };
    let refused = believing(&another).carry(&told()).unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    assert_eq!(hears.recv().unwrap(), "", "nothing was said to it");
}

#[test]
fn what_is_no_address_is_refused_at_the_start() {
    for url in ["ftp://a/", "a:1", "http://", "https://user:word@a/", "", "https://a b/"] {
        assert!(Post::new(url, PATIENCE).is_err(), "{url}");
    }
}

#[test]
fn what_cannot_be_mail_is_refused_at_the_start() {
    let base = json!({ "server": "127.0.0.1:25", "from": "monitor@acme.example", "to": ["olga@acme.example"], "tls": "none" });
    Notices::new(&[notice(json!({ "mail": base }))]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "secret\n").unwrap();
    for (member, value) in [
        ("server", json!("127.0.0.1")),
        ("server", json!("127.0.0.1:many")),
        ("from", json!("nobody")),
        ("to", json!([])),
        ("to", json!(["olga\r\nBcc: all@acme.example"])),
        ("user", json!("m1")),
        ("password_file", json!(password)),
        ("ca_file", json!(folder.path().join("absent.pem"))),
    ] {
        let mut mail = base.clone();
        mail[member] = value.clone();
        if member == "ca_file" {
            mail["tls"] = json!("required");
        }
        assert!(Notices::new(&[notice(json!({ "mail": mail }))]).is_err(), "{member}: {value}");
    }
    // A password goes in the clear to this machine, and to no other.
    let mut mail = base;
    mail["user"] = json!("m1");
    mail["password_file"] = json!(password);
    Notices::new(&[notice(json!({ "mail": mail }))]).unwrap();
    mail["server"] = json!("192.0.2.1:25");
    assert!(Notices::new(&[notice(json!({ "mail": mail }))]).is_err());
    assert!(
        serde_json::from_value::<Notice>(json!({ "mail": { "server": "a:1", "tls": "maybe" } })).is_err()
    );
}
