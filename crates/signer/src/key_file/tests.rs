use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use statement::Bytes;
use statement::json::{self, Value};

use super::*;
use crate::signer::{Message, Progress, Signer as _};

/// Made with another implementation (Python's `cryptography`) from the first key of RFC 8032, section 7.1.
pub(super) const SEALED: &str = concat!(
    r#"{"check":"Rr91AdCCJi/PEoOczUG3K71OStOo/9rcjyuFW+VBBm4=","format":"countersign-key-v1","#,
    r#""kdf":{"argon2id":{"lanes":2,"memory_kib":8192,"passes":2,"salt":"AAECAwQFBgcICQoLDA0ODw=="}},"#,
    r#""public":"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=","scheme":"ed25519","#,
    r#""sealed":"AAECAwQFBgcICQoL1mlHccQKckSUpSgCkCoFMn27dyeee37f2MlNm8R2cJ2ABbNUnSIt3PLnZX7yQJb0"}"#,
);
/// The same key, not sealed.
pub(super) const UNSEALED: &str = concat!(
    r#"{"format":"countersign-key-v1","kdf":"none","#,
    r#""public":"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=","scheme":"ed25519","#,
    r#""unsealed":"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="}"#,
);
const SEED: [u8; 32] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
    0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];
/// Another sound Ed25519 key: the second of RFC 8032, section 7.1.
const OTHER_PUBLIC: &str = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

fn words() -> Passphrase {
    Passphrase::new("correct horse battery staple".to_owned())
}

fn light() -> Stretching {
    Stretching::new(Stretching::MEMORY_KIB_MIN, 1, 1).unwrap()
}

fn signature(key: &FileKey, message: &[u8]) -> Vec<u8> {
    match key.start(&Message::new(message.to_vec())).unwrap() {
        Progress::Signed(signature) => signature,
        Progress::Awaiting(_) => panic!("a file key answers at once"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// What reading and opening a file leads to.
fn open(text: &[u8], passphrase: Option<&Passphrase>) -> Result<FileKey, SignerError> {
    let file = KeyFile::parse(text)?;
    match passphrase {
        Some(passphrase) => file.open_sealed(passphrase),
        None => file.open_unsealed(),
    }
}

#[track_caller]
pub(super) fn refused(result: Result<impl std::fmt::Debug, SignerError>, code: &str, named: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(named), "`{error}` does not name `{named}`");
    assert!(!error.hint().is_empty());
}

#[track_caller]
fn round_trip(scheme: FileScheme) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let passphrase = words();
    let (file, made) =
        KeyFile::generate(scheme, Protection::Sealed { passphrase: &passphrase, stretching: light() })
            .unwrap();
    file.write_new(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");

    let read = KeyFile::read(&path).unwrap();
    assert_eq!(read.assurance(), Assurance::Sealed);
    let opened = read.open_sealed(&words()).unwrap();
    assert_eq!(opened.assurance(), Assurance::Sealed);
    assert_eq!(opened.public_key(), made.public_key());
    assert_eq!(opened.public_key(), read.public_key());
    let signed = signature(&opened, b"a message");
    assert_eq!(signed, signature(&made, b"a message"), "signatures are deterministic");
    made.public_key().verify(b"a message", &signed).unwrap();
    assert!(made.public_key().verify(b"a massage", &signed).is_err());

    refused(
        read.open_sealed(&Passphrase::new("correct horse battery stable".to_owned())),
        "CS-SGN-023",
        "kdf",
    );
    refused(read.open_sealed(&Passphrase::new(String::new())), "CS-SGN-023", "passphrase");
    refused(read.open_unsealed(), "CS-SGN-021", "sealed");
}

#[test]
fn ed25519_round_trip() {
    round_trip(FileScheme::Ed25519);
}

#[test]
fn p256_round_trip() {
    round_trip(FileScheme::EcdsaP256Sha256);
}

#[test]
fn the_recommended_cost_serves() {
    let passphrase = words();
    let protection = Protection::Sealed { passphrase: &passphrase, stretching: Stretching::RFC_9106_SECOND };
    let (file, _) = KeyFile::generate(FileScheme::Ed25519, protection).unwrap();
    let read = KeyFile::parse(&wire::to_bytes(&file).unwrap()).unwrap();
    assert!(read.open_sealed(&words()).is_ok());
}

#[test]
fn unsealed_files_say_so() {
    for scheme in [FileScheme::Ed25519, FileScheme::EcdsaP256Sha256] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.json");
        let (file, made) = KeyFile::generate(scheme, Protection::Unsealed).unwrap();
        assert_eq!(made.assurance(), Assurance::Unsealed);
        file.write_new(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(r#""kdf":"none""#) && text.contains(r#""unsealed":"#), "{text}");

        let read = KeyFile::read(&path).unwrap();
        let opened = read.open_unsealed().unwrap();
        assert_eq!(opened.assurance(), Assurance::Unsealed);
        assert_eq!(signature(&opened, b"m"), signature(&made, b"m"));
        refused(read.open_sealed(&words()), "CS-SGN-022", "not sealed");
    }
}

#[test]
fn the_format_is_frozen() {
    // RFC 8032, section 7.1, test 1: the signature of the empty message.
    let expected = concat!(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b",
        "d25bf5f0595bbe24655141438e7a100b",
    );
    let sealed = open(SEALED.as_bytes(), Some(&words())).unwrap();
    assert_eq!(hex(&signature(&sealed, b"")), expected);
    let unsealed = open(UNSEALED.as_bytes(), None).unwrap();
    assert_eq!(hex(&signature(&unsealed, b"")), expected);
    for text in [SEALED, UNSEALED] {
        let file = KeyFile::parse(text.as_bytes()).unwrap();
        assert_eq!(wire::to_bytes(&file).unwrap().as_slice(), text.as_bytes());
    }
}

/// What happens to a member.
#[derive(Debug)]
enum Edit<'t> {
    Text(&'t str),
    Number(i64),
    /// Base64 of the same length with a bit of the first byte turned.
    Turned(&'t str),
    Absent,
}

use Edit::{Absent, Number, Text, Turned};

/// The file with the member at `path` (dotted) replaced, added or removed.
fn altered(text: &str, path: &str, edit: &Edit<'_>) -> Vec<u8> {
    fn place<'v>(value: &'v mut Value, name: &str) -> &'v mut std::collections::BTreeMap<String, Value> {
        let Value::Object(members) = value else { panic!("no object around `{name}`") };
        members
    }
    let mut whole = json::parse_canonical(text.as_bytes(), KEY_FILE_BYTES_MAX).unwrap();
    let mut inner = &mut whole;
    let mut names = path.split('.').collect::<Vec<_>>();
    let last = names.pop().unwrap();
    for name in names {
        inner = place(inner, name).get_mut(name).unwrap();
    }
    let members = place(inner, last);
    let value = match edit {
        Text(text) => Some(Value::String((*text).to_owned())),
        Number(number) => Some(Value::Integer(*number)),
        Turned(base64) => {
            let mut bytes = Bytes::from_base64(base64).unwrap().into_vec();
            bytes[0] ^= 1;
            Some(Value::String(Bytes::new(bytes).to_base64()))
        }
        Absent => None,
    };
    match value {
        Some(value) => members.insert(last.to_owned(), value),
        None => members.remove(last),
    };
    json::encode(&whole)
}

#[test]
fn every_member_of_a_sealed_file_is_guarded() {
    let p256 = "BGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=";
    let sealed_tag = "AAECAwQFBgcICQoL1mlHccQKckSUpSgCkCoFMn27dyeee37f2MlNm8R2cJ2ABbNUnSIt3PLnZX7yQJb1";
    for (member, edit, code, named) in [
        ("format", Text("countersign-key-v2"), "CS-SGN-012", "countersign-key-v2"),
        ("format", Number(1), "CS-SGN-013", "format"),
        ("format", Absent, "CS-SGN-011", "format"),
        ("scheme", Text("ecdsa-p256-sha256"), "CS-SGN-013", "public"),
        ("scheme", Text("rsa"), "CS-SGN-011", "scheme"),
        ("scheme", Absent, "CS-SGN-011", "scheme"),
        ("public", Text(OTHER_PUBLIC), "CS-SGN-024", "public"),
        ("public", Text("AAAA"), "CS-SGN-013", "public"),
        ("public", Text(p256), "CS-SGN-013", "public"),
        ("public", Text("11qYAYKxCrfVS"), "CS-SGN-011", "public"),
        ("public", Absent, "CS-SGN-011", "public"),
        ("check", Turned("Rr91AdCCJi/PEoOczUG3K71OStOo/9rcjyuFW+VBBm4="), "CS-SGN-023", "check"),
        ("check", Text("AAAA"), "CS-SGN-013", "check"),
        ("check", Absent, "CS-SGN-011", "check"),
        ("sealed", Text(sealed_tag), "CS-SGN-024", "sealed"),
        ("sealed", Text("AAAA"), "CS-SGN-013", "sealed"),
        ("sealed", Absent, "CS-SGN-011", "sealed"),
        ("kdf", Text("none"), "CS-SGN-013", "sealed"),
        ("kdf", Text("scrypt"), "CS-SGN-011", "kdf"),
        ("kdf", Absent, "CS-SGN-011", "kdf"),
        ("kdf.argon2id.salt", Turned("AAECAwQFBgcICQoLDA0ODw=="), "CS-SGN-023", "kdf"),
        ("kdf.argon2id.salt", Text("AAAA"), "CS-SGN-013", "salt"),
        ("kdf.argon2id.memory_kib", Number(8_200), "CS-SGN-023", "kdf"),
        ("kdf.argon2id.passes", Number(1), "CS-SGN-023", "kdf"),
        ("kdf.argon2id.lanes", Number(1), "CS-SGN-023", "kdf"),
        ("kdf.argon2id.lanes", Absent, "CS-SGN-011", "lanes"),
        ("kdf.argon2id.secret", Number(1), "CS-SGN-011", "secret"),
        ("unsealed", Text("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="), "CS-SGN-013", "unsealed"),
        ("comment", Text("hello"), "CS-SGN-011", "comment"),
    ] {
        refused(open(&altered(SEALED, member, &edit), Some(&words())), code, named);
    }
}

#[test]
fn every_bit_of_the_sealed_bytes_and_of_check_is_guarded() {
    let file = |alter: &dyn Fn(&mut [u8; 32], &mut [u8; seal::SEALED_BYTES])| {
        let mut file = KeyFile::parse(SEALED.as_bytes()).unwrap();
        if let Kept::Sealed { check, sealed, .. } = &mut file.kept {
            alter(check, sealed);
        }
        file
    };
    // One stretching serves for all: the passphrase is right each time.
    let whole = KeyFile::parse(SEALED.as_bytes()).unwrap();
    let Kept::Sealed { kdf, .. } = &whole.kept else { panic!("sealed") };
    let stretched = seal::stretch(&words(), kdf).unwrap();
    let head = wire::sealed_head(whole.scheme, &whole.public, kdf).unwrap();
    for bit in 0..seal::SEALED_BYTES * 8 {
        let file = file(&|_, sealed| sealed[bit / 8] ^= 1 << (bit % 8));
        let Kept::Sealed { sealed, .. } = &file.kept else { panic!("sealed") };
        refused(stretched.open(&head, sealed), "CS-SGN-024", "sealed");
    }
    for bit in 0..256 {
        let file = file(&|check, _| check[bit / 8] ^= 1 << (bit % 8));
        let Kept::Sealed { check, .. } = &file.kept else { panic!("sealed") };
        refused(stretched.verify(check), "CS-SGN-023", "passphrase");
    }
    for byte in 0..head.len() {
        let mut head = head.clone();
        head[byte] ^= 1;
        let Kept::Sealed { sealed, .. } = &whole.kept else { panic!("sealed") };
        refused(stretched.open(&head, sealed), "CS-SGN-024", "public");
    }
}

#[test]
fn every_member_of_an_unsealed_file_is_guarded() {
    for (member, edit, code, named) in [
        ("format", Text("x"), "CS-SGN-012", "`x`"),
        ("scheme", Text("ecdsa-p256-sha256"), "CS-SGN-013", "public"),
        ("public", Text(OTHER_PUBLIC), "CS-SGN-025", "public"),
        ("unsealed", Turned("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="), "CS-SGN-025", "public"),
        ("unsealed", Text("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2B="), "CS-SGN-013", "unsealed"),
        ("unsealed", Text("AAAA"), "CS-SGN-013", "unsealed"),
        ("unsealed", Number(1), "CS-SGN-011", "unsealed"),
        ("unsealed", Absent, "CS-SGN-011", "unsealed"),
        ("kdf", Text("argon2id"), "CS-SGN-011", "kdf"),
        ("sealed", Text("AAAA"), "CS-SGN-013", "sealed"),
        ("check", Text("AAAA"), "CS-SGN-013", "check"),
        ("secret", Text("AAAA"), "CS-SGN-011", "secret"),
    ] {
        refused(open(&altered(UNSEALED, member, &edit), None), code, named);
    }
}

#[test]
fn bytes_that_are_no_key_file() {
    let spaced = SEALED.replace("\",\"", "\", \"");
    let repeated = UNSEALED.replace(r#""kdf":"none","#, r#""kdf":"none","kdf":"none","#);
    let long = format!("{UNSEALED}{}", " ".repeat(KEY_FILE_BYTES_MAX));
    for (bytes, code) in [
        ("", "CS-SGN-010"),
        ("[]", "CS-SGN-011"),
        (&SEALED[..100], "CS-SGN-010"),
        (&format!("{SEALED}\n"), "CS-SGN-010"),
        (&spaced, "CS-SGN-010"),
        (&repeated, "CS-SGN-010"),
        (&long, "CS-SGN-006"),
    ] {
        refused(KeyFile::parse(bytes.as_bytes()), code, "");
    }
}

#[test]
fn hostile_costs_are_refused_before_anything_is_done() {
    for (member, value, code) in [
        ("memory_kib", 1_048_577, "CS-SGN-014"),
        ("memory_kib", 4_294_967_295, "CS-SGN-014"),
        ("memory_kib", 4_294_967_296, "CS-SGN-011"),
        ("memory_kib", 8_191, "CS-SGN-014"),
        ("memory_kib", -1, "CS-SGN-011"),
        ("passes", 17, "CS-SGN-014"),
        ("passes", 0, "CS-SGN-014"),
        ("lanes", 17, "CS-SGN-014"),
        ("lanes", 0, "CS-SGN-014"),
    ] {
        let bytes = altered(SEALED, &format!("kdf.argon2id.{member}"), &Number(value));
        refused(KeyFile::parse(&bytes), code, member);
    }
    // The bounds themselves are within.
    let most = Stretching::new(Stretching::MEMORY_KIB_MAX, Stretching::PASSES_MAX, Stretching::LANES_MAX);
    assert!(most.is_ok() && Stretching::new(65_536, 3, 4).unwrap() == Stretching::RFC_9106_SECOND);
}

#[test]
fn a_secret_sealed_under_another_public_key_is_refused() {
    let mut file = KeyFile::parse(SEALED.as_bytes()).unwrap();
    let Kept::Sealed { kdf, check, .. } = file.kept else { panic!("sealed") };
    file.public.public = Bytes::from_base64(OTHER_PUBLIC).unwrap();
    let head = wire::sealed_head(file.scheme, &file.public, &kdf).unwrap();
    let mut seed = Seed::zero();
    seed.as_mut().copy_from_slice(&SEED);
    let sealed = seal::stretch(&words(), &kdf).unwrap().seal(&head, &seed).unwrap();
    file.kept = Kept::Sealed { kdf, check, sealed };
    refused(file.open_sealed(&words()), "CS-SGN-025", "public");
}

#[test]
fn short_passphrases_do_not_seal() {
    let seven = Passphrase::new("sieben7".to_owned());
    let sealed = |passphrase: &Passphrase| {
        let protection = Protection::Sealed { passphrase, stretching: light() };
        KeyFile::generate(FileScheme::Ed25519, protection)
    };
    refused(sealed(&seven), "CS-SGN-020", "`7`");
    // Characters count, not bytes.
    refused(sealed(&Passphrase::new("äöüßäöü".to_owned())), "CS-SGN-020", "`7`");
    assert!(sealed(&Passphrase::new("äöüßäöüß".to_owned())).is_ok());
}

#[test]
fn each_file_has_its_own_key_salt_and_nonce() {
    let texts: Vec<_> = (0..2)
        .map(|_| {
            let passphrase = words();
            let protection = Protection::Sealed { passphrase: &passphrase, stretching: light() };
            let (file, _) = KeyFile::generate(FileScheme::Ed25519, protection).unwrap();
            let Kept::Sealed { kdf, check, sealed } = file.kept else { panic!("sealed") };
            (file.public, kdf.salt, check, sealed)
        })
        .collect();
    assert_ne!(texts[0].0, texts[1].0);
    assert_ne!(texts[0].1, texts[1].1);
    assert_ne!(texts[0].2, texts[1].2);
    assert_ne!(texts[0].3[..12], texts[1].3[..12]);
}

/// The spellings in which a secret of 32 bytes could leak.
fn spellings(secret: &[u8]) -> Vec<String> {
    let hex = hex(secret);
    let base64 = Bytes::new(secret.to_vec()).to_base64();
    let decimal = format!("{secret:?}");
    vec![hex.to_uppercase(), hex, base64, decimal.trim_matches(['[', ']']).to_owned()]
}

#[test]
fn nothing_shows_a_secret() {
    let unsealed = KeyFile::parse(UNSEALED.as_bytes()).unwrap();
    let sealed = KeyFile::parse(SEALED.as_bytes()).unwrap();
    let ed25519 = unsealed.open_unsealed().unwrap();
    let mut seed = Seed::zero();
    seed.as_mut().copy_from_slice(&SEED);
    let scalar = SecretKey::from_seed(FileScheme::EcdsaP256Sha256, &seed).unwrap();
    let p256 = FileKey::new(scalar.public_key(), scalar, Assurance::Unsealed);
    let passphrase = words();
    let protection = Protection::Sealed { passphrase: &passphrase, stretching: light() };
    let reviewed = Message::new(b"DSSEv1".to_vec());
    let mut shown = vec![
        format!("{seed:?} {passphrase:?} {protection:?} {reviewed:?}"),
        format!("{unsealed:?} {unsealed:#?} {sealed:?} {sealed:#?}"),
        format!("{ed25519:?} {ed25519:#?} {p256:?} {p256:#?}"),
    ];
    // Errors about files that hold the secret do not repeat it either.
    for broken in [
        UNSEALED.replace('}', ",}"),
        UNSEALED.replace("scheme", "schema"),
        UNSEALED.replace("\"unsealed\"", "\"sealed\""),
        UNSEALED.replace("unsealed", "secret"),
        UNSEALED.replace("A=\"}", "A\"}"),
        UNSEALED.replace("countersign-key-v1", "countersign-key-v2"),
    ] {
        let error = KeyFile::parse(broken.as_bytes()).unwrap_err();
        shown.push(format!("{error} {error:?}"));
    }
    for text in &shown {
        for secret in &spellings(&SEED) {
            assert!(!text.contains(secret.as_str()), "{text}");
        }
        assert!(!text.contains("horse"), "{text}");
    }
    // The search finds what it looks for: the file itself has the secret.
    assert!(spellings(&SEED).iter().any(|secret| UNSEALED.contains(secret.as_str())));
}
