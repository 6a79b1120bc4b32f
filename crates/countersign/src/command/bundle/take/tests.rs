//! What a bundle may do to a vault when its medium answers otherwise the second time.

use std::io::Write as _;
use std::sync::Arc;

use bundle::{Direction, Header, Reader, Section, SectionKind, Unsigned, Whole};
use dossier::Ledger;
use signer::{FileScheme, KeyFile, Protection, Signer as _, sign_bundle};
use statement::{Bytes, Digest, StatementId};
use vault::Tenant;
use vault::blocking::BlockingVault;

use crate::home::Home;
use crate::realm::{open_vault, write_master_key};
use crate::shelf::Shelf;

const SIGNED_FOR: &[u8] = b"what was signed for";
const OTHER: &[u8] = b"what is there now..";

struct Bare {
    _folder: tempfile::TempDir,
    ledger: Ledger,
    vault: BlockingVault,
    tenant: Tenant,
}

impl Bare {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        for place in [home.vault(), home.vault_keys()] {
            std::fs::create_dir_all(place).unwrap();
        }
        write_master_key(&home).unwrap();
        let (vault, tenant) = (open_vault(&home).unwrap(), "realm".parse().unwrap());
        vault.create_tenant(&tenant).unwrap();
        Self { _folder: folder, ledger: Ledger::new(), vault, tenant }
    }

    fn has(&self, content: &[u8]) -> bool {
        self.vault.read(&self.tenant, &Digest::of(content), 1 << 10).is_ok_and(|found| found == content)
    }
}

impl Shelf for Bare {
    fn parts(&self) -> (&Ledger, &BlockingVault, &Tenant) {
        (&self.ledger, &self.vault, &self.tenant)
    }
}

/// A bundle with one content.
fn whole() -> (Whole, Vec<u8>) {
    let (_, key) = KeyFile::generate(FileScheme::Ed25519, Protection::Unsealed).unwrap();
    let section = |kind, bytes: &[u8]| Section {
        bytes: bytes.len().try_into().unwrap(),
        kind,
        sha256: Digest::of(bytes),
    };
    let mut header = Header {
        about: None,
        answers: None,
        created_ms: 1,
        direction: Direction::Submission,
        expires_ms: 2,
        from: key.public_key().id(),
        head: None,
        leaf: None,
        nonce: Bytes::new(vec![1; bundle::NONCE_BYTES]),
        realm: "acme".parse().unwrap(),
        refused: None,
        root: StatementId::from_digest(Digest::of(b"root")),
        sections: vec![section(SectionKind::Content, SIGNED_FOR), section(SectionKind::Statement, b"said")],
        to: key.public_key().id(),
    };
    header.sections.sort_by_key(|section| (section.kind, section.sha256));
    let contents: Vec<u8> = header
        .sections
        .iter()
        .flat_map(
            |section| if section.kind == SectionKind::Content { SIGNED_FOR } else { b"said".as_slice() },
        )
        .copied()
        .collect();
    let signed = sign_bundle(&key, Unsigned::new(header).unwrap()).unwrap();
    let bytes = [signed.opening(), contents].concat();
    let mut reader = Reader::new();
    reader.feed(&bytes).unwrap();
    (reader.finish().unwrap(), bytes)
}

/// Puts the bundle into the vault from a medium on which its content is another now.
fn store_swapped(bare: &Bare) -> String {
    let (whole, bytes) = whole();
    let at = bytes.windows(SIGNED_FOR.len()).position(|window| window == SIGNED_FOR).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes[..at]).unwrap();
    file.write_all(OTHER).unwrap();
    file.write_all(&bytes[at + OTHER.len()..]).unwrap();
    super::store(bare, &whole, &Arc::new(file)).unwrap_err().code
}

#[test]
fn what_the_vault_already_had_stays_when_a_bundle_with_it_is_refused() {
    let bare = Bare::new();
    // What nobody had is not there afterwards, by whatever name.
    let code = store_swapped(&bare);
    assert!(!bare.has(OTHER) && !bare.has(SIGNED_FOR));
    // What the vault had is not the bundle's to take out.
    let own = bare.vault.block_on(bare.vault.vault().put_reader(&bare.tenant, OTHER)).unwrap();
    assert_eq!(own.digest, Digest::of(OTHER));
    assert_eq!(store_swapped(&bare), code);
    assert!(code.starts_with("CS-BUN-") && bare.has(OTHER));
    // A medium that keeps its word.
    let (whole, bytes) = whole();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    super::store(&bare, &whole, &Arc::new(file)).unwrap();
    assert!(bare.has(SIGNED_FOR) && bare.has(OTHER));
}
