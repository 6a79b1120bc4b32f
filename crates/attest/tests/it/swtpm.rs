//! The whole way with `swtpm`, a TPM in software: simulated, so it proves logic and nothing about hardware.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use attest::tpm::Tpm;
use attest::{Sources, Tcti, TpmSource};
use evidence::{
    Attestation, Claims, Error, Expected, Hex, Host, Pcr, PcrRule, Policy, Status, Tpm as Quote, Verified,
};
use statement::{Bytes, Digest};

const AT: i64 = 1_751_328_000;

/// A simulated TPM in a folder of its own, ended at the end.
struct Swtpm {
    folder: tempfile::TempDir,
}

impl Swtpm {
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(path("state")).unwrap();
        let started = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--daemon"])
            .arg("--tpmstate")
            .arg(format!("dir={}", path("state")))
            .arg("--server")
            .arg(format!("type=unixio,path={}", path("tpm.sock")))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", path("tpm.sock.ctrl")))
            .arg("--pid")
            .arg(format!("file={}", path("pid")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match started {
            Ok(status) if status.success() => Some(Self { folder }),
            _ => {
                println!("SKIPPED quotes of a simulated TPM: `swtpm` absent");
                None
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tcti(&self) -> Tcti {
        Tcti::Unix(self.path("tpm.sock"))
    }

    fn source(&self) -> TpmSource {
        TpmSource { registers: vec![16, 0, 7], ..TpmSource::new(self.tcti()) }
    }

    /// Runs one of the TPM tools on it, in its folder; none where they are absent.
    fn tool(&self, line: &str) -> Option<bool> {
        let (program, arguments) = line.split_once(' ').unwrap();
        let output = Command::new(program)
            .args(arguments.split(' '))
            .current_dir(self.folder.path())
            .env("TPM2TOOLS_TCTI", format!("swtpm:path={}", self.path("tpm.sock").display()))
            .output();
        let Ok(output) = output else {
            println!("SKIPPED the TPM tools beside ours: `{program}` absent");
            return None;
        };
        if !output.status.success() {
            println!("{line}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Some(output.status.success())
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.path("pid")).unwrap();
        let ended = Command::new("kill").arg(pid.trim()).status().unwrap();
        assert!(ended.success() || std::thread::panicking());
    }
}

fn claims() -> Claims {
    Claims {
        inputs: Digest::of(b"inputs"),
        nonce: Hex::new(vec![5; 32]),
        trace_root: Digest::of(b"trace"),
        worker: Digest::of(b"worker"),
    }
}

fn policy(name: Digest) -> Policy {
    let mut policy = Policy::none_required();
    policy.allow_simulated = true;
    policy.tpm2.keys = BTreeSet::from([name]);
    policy
}

fn verify(attestation: &Attestation, policy: &Policy) -> Result<Verified, Error> {
    evidence::verify(attestation, &Expected::default(), policy, AT)
}

#[test]
fn a_simulated_tpm_attests_a_run_from_claims_to_verdict() {
    let Some(swtpm) = Swtpm::start() else { return };
    let sources = Sources { tpm: Some(swtpm.source()), ..Sources::default() };
    let attestation = sources.attest(&claims()).unwrap();
    let bytes = attestation.to_bytes().unwrap();
    let attestation = Attestation::parse(&bytes).unwrap();
    let [Host::Tpm2(quote)] = attestation.hosts.as_slice() else { panic!("one TPM") };
    assert!(quote.simulated, "a simulation that is not labelled");
    let mut tpm = Tpm::open(&swtpm.tcti()).unwrap();
    let key = tpm.attestation_key().unwrap();
    let name = key.name();
    tpm.let_go(key).unwrap();
    // The simulation serves one connection at a time.
    drop(tpm);
    let verified = verify(&attestation, &policy(name)).unwrap();
    let [facts] = verified.hosts() else { panic!("one host") };
    assert_eq!((facts.status, facts.simulated), (Status::KeyPinned, true));
    assert_eq!(facts.shown["pcr_16"], "0".repeat(64));
    // Nobody's key, a simulation, another run.
    assert_eq!(verify(&attestation, &policy(Digest::of(b"other"))).unwrap_err().code(), "CS-EVI-017");
    let mut real = policy(name);
    real.allow_simulated = false;
    assert_eq!(verify(&attestation, &real).unwrap_err().code(), "CS-EVI-019");
    let other = Claims { worker: Digest::of(b"another worker"), ..claims() };
    let twin = Attestation::new(other, attestation.hosts.clone()).unwrap();
    assert_eq!(verify(&twin, &policy(name)).unwrap_err().code(), "CS-EVI-011");
    // The key is the same every time, and no key stays behind: many quotes need no more room.
    for _ in 0..6 {
        let again = sources.attest(&claims()).unwrap();
        verify(&again, &policy(name)).unwrap();
    }
}

/// A part of a quote, by its name.
type Part = (&'static str, fn(&mut Quote) -> &mut Bytes);

#[test]
fn every_flipped_byte_of_a_simulated_quote_is_refused() {
    let Some(swtpm) = Swtpm::start() else { return };
    let sources = Sources { tpm: Some(swtpm.source()), ..Sources::default() };
    let attestation = sources.attest(&claims()).unwrap();
    let [Host::Tpm2(quote)] = attestation.hosts.as_slice() else { panic!("one TPM") };
    let policy = policy(evidence::tpm::name_digest(quote.public.as_slice()));
    let parts: [Part; 3] = [
        ("attest", |quote| &mut quote.attest),
        ("signature", |quote| &mut quote.signature),
        ("public", |quote| &mut quote.public),
    ];
    for (name, part) in parts {
        let length = part(&mut quote.clone()).as_slice().len();
        for place in 0..length {
            let mut twin = quote.clone();
            let mut bytes = part(&mut twin).as_slice().to_vec();
            bytes[place] ^= 0x10;
            *part(&mut twin) = Bytes::new(bytes);
            let twin = Attestation::new(claims(), vec![Host::Tpm2(twin)]).unwrap();
            assert!(verify(&twin, &policy).is_err(), "byte {place} of {name}");
        }
    }
}

#[test]
fn a_simulated_register_that_changed_is_seen() {
    let Some(swtpm) = Swtpm::start() else { return };
    let sources = Sources { tpm: Some(swtpm.source()), ..Sources::default() };
    let before = sources.attest(&claims()).unwrap();
    let [Host::Tpm2(quote)] = before.hosts.as_slice() else { panic!("one TPM") };
    let mut policy = policy(evidence::tpm::name_digest(quote.public.as_slice()));
    let pcrs: Vec<&Pcr> = quote.pcrs.iter().collect();
    policy.tpm2.pcrs =
        pcrs.iter().map(|pcr| PcrRule { index: pcr.index, values: BTreeSet::from([pcr.value]) }).collect();
    assert!(verify(&before, &policy).unwrap().hosts()[0].measured);
    let extend = format!("tpm2_pcrextend 16:sha256={}", Digest::of(b"something else ran"));
    let Some(true) = swtpm.tool(&extend) else { return };
    let after = sources.attest(&claims()).unwrap();
    assert_eq!(verify(&after, &policy).unwrap_err().code(), "CS-EVI-018");
    // The old values do not pass for the new ones.
    let [Host::Tpm2(new)] = after.hosts.as_slice() else { panic!("one TPM") };
    let forged = Quote { pcrs: quote.pcrs.clone(), ..new.clone() };
    let forged = Attestation::new(claims(), vec![Host::Tpm2(forged)]).unwrap();
    assert_eq!(verify(&forged, &policy).unwrap_err().code(), "CS-EVI-015");
}

#[test]
fn registers_and_handles_that_there_are_not_are_refused() {
    let Some(swtpm) = Swtpm::start() else { return };
    for registers in [vec![24], vec![7, 7]] {
        let tpm = Some(TpmSource { registers, ..swtpm.source() });
        let sources = Sources { tpm, ..Sources::default() };
        assert_eq!(sources.attest(&claims()).unwrap_err().code(), "CS-ATT-006");
    }
    let tpm = Some(TpmSource { key: Some(0x8100_0003), ..swtpm.source() });
    let sources = Sources { tpm, ..Sources::default() };
    assert_eq!(sources.attest(&claims()).unwrap_err().code(), "CS-ATT-005");
}

/// Keys that the TPM tools made, in every scheme that is known here, quote and are verified.
#[test]
fn simulated_quotes_of_other_tools_keys_are_verified() {
    for (scheme, hash) in [
        ("ecc -s ecdsa", "sha256"),
        ("ecc384 -s ecdsa", "sha384"),
        ("rsa -s rsassa", "sha256"),
        ("rsa -s rsassa", "sha384"),
        ("rsa -s rsapss", "sha256"),
    ] {
        let Some(swtpm) = Swtpm::start() else { return };
        let lines = [
            "tpm2_createek -c ek.ctx -G ecc -u ek.pub".to_owned(),
            format!("tpm2_createak -C ek.ctx -c ak.ctx -g {hash} -u ak.pub -n ak.name -G {scheme}"),
            "tpm2_flushcontext -t".to_owned(),
            "tpm2_evictcontrol -C o -c ak.ctx 0x81010002".to_owned(),
            "tpm2_flushcontext -t".to_owned(),
        ];
        for line in lines {
            match swtpm.tool(&line) {
                None => return,
                Some(done) => assert!(done, "{line}"),
            }
        }
        let tpm = Some(TpmSource { key: Some(0x8101_0002), ..swtpm.source() });
        let sources = Sources { tpm, ..Sources::default() };
        let attestation =
            sources.attest(&claims()).unwrap_or_else(|error| panic!("{scheme} {hash}: {error:?}"));
        let [Host::Tpm2(quote)] = attestation.hosts.as_slice() else { panic!("one TPM") };
        let name = evidence::tpm::name_digest(quote.public.as_slice());
        // The tool says the same name: two bytes for the hash, and the digest.
        assert_eq!(std::fs::read(swtpm.path("ak.name")).unwrap()[2..], *name.as_bytes());
        verify(&attestation, &policy(name)).unwrap_or_else(|error| panic!("{scheme} {hash}: {error}"));
    }
}

/// `tpm2_checkquote` agrees with what is made here.
#[test]
fn another_tool_accepts_our_simulated_quotes_and_refuses_their_twins() {
    let Some(swtpm) = Swtpm::start() else { return };
    let sources = Sources { tpm: Some(swtpm.source()), ..Sources::default() };
    let attestation = sources.attest(&claims()).unwrap();
    let [Host::Tpm2(quote)] = attestation.hosts.as_slice() else { panic!("one TPM") };
    let write = |name: &str, bytes: &[u8]| std::fs::write(swtpm.path(name), bytes).unwrap();
    write("key.pub", &attest::tpm::as_tool_file(quote.public.as_slice()).unwrap());
    write("quote.msg", quote.attest.as_slice());
    write("quote.sig", quote.signature.as_slice());
    let binding = claims().binding().unwrap();
    let check = |nonce: &Digest| {
        swtpm.tool(&format!("tpm2_checkquote -u key.pub -m quote.msg -s quote.sig -q {nonce}"))
    };
    let Some(accepted) = check(&binding) else { return };
    assert!(accepted);
    assert_eq!(check(&Digest::of(b"another nonce")), Some(false));
    let mut twin = quote.attest.as_slice().to_vec();
    let last = twin.len() - 1;
    twin[last] ^= 1;
    write("quote.msg", &twin);
    assert_eq!(check(&binding), Some(false));
}
