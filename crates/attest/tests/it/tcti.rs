//! Ways to a TPM.

use attest::Tcti;
use attest::tpm::Tpm;

#[test]
fn ways_are_named_as_the_tpm_tools_name_them() {
    for text in ["device:/dev/tpmrm0", "swtpm:path=/run/tpm.sock", "swtpm:host=127.0.0.1,port=2321"] {
        assert_eq!(text.parse::<Tcti>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "device",
        "device:tpm0",
        "swtpm:",
        "swtpm:path=",
        "swtpm:host=,port=1",
        "swtpm:host=a,port=70000",
        "tabrmd:bus=session",
    ] {
        assert_eq!(text.parse::<Tcti>().unwrap_err().code(), "CS-ATT-001", "{text}");
    }
}

#[test]
fn what_is_no_tpm_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let absent = Tcti::Unix(folder.path().join("absent"));
    assert_eq!(Tpm::open(&absent).unwrap_err().code(), "CS-ATT-002");
    // A listener that answers a web page, and one that hangs up.
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let path = folder.path().join(format!("socket-{}", answer.len()));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let (mut stream, _) = listener.accept().unwrap();
            let mut command = [0; 22];
            stream.read_exact(&mut command).unwrap();
            stream.write_all(answer).unwrap();
        });
        let mut tpm = Tpm::open(&Tcti::Unix(path)).unwrap();
        assert_eq!(tpm.is_simulated().unwrap_err().code(), "CS-ATT-003");
        server.join().unwrap();
    }
}
