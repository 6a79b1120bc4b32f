//! What an examination needs of a record: how the change stands, and the contents. A realm has both, and so has a machine
//! without a network.

use std::io::Write;
use std::path::Path;

use dossier::Ledger;
use statement::Digest;
use vault::Tenant;
use vault::blocking::BlockingVault;

use crate::failure::{Done, Failure};

/// The most of a content that is in memory at once.
const PIECE: u64 = 8 << 20;

/// A record and the contents it names.
pub(crate) trait Shelf {
    /// The record, the contents, and whose they are.
    fn parts(&self) -> (&Ledger, &BlockingVault, &Tenant);

    /// Who may say what, and how every change stands.
    fn ledger(&self) -> &Ledger {
        self.parts().0
    }

    /// The contents.
    fn vault(&self) -> &BlockingVault {
        self.parts().1
    }

    /// Whose they are.
    fn tenant(&self) -> &Tenant {
        self.parts().2
    }
}

/// Keeps free text or evidence, salted.
pub(crate) fn attach(shelf: &impl Shelf, content: Vec<u8>) -> Done<Digest> {
    let vault = shelf.vault();
    let attachment = vault::Attachment::new(content)?;
    Ok(vault.block_on(vault.vault().put_attachment(shelf.tenant(), &attachment))?)
}

/// Writes a content piece by piece, each verified before it is written. Answers its length.
pub(crate) fn copy(shelf: &impl Shelf, digest: &Digest, to: &mut impl Write, path: &Path) -> Done<u64> {
    let vault = shelf.vault();
    let artefact = vault.block_on(vault.vault().open(shelf.tenant(), digest))?;
    let length = artefact.length();
    let mut at = 0;
    while at < length {
        let end = length.min(at.saturating_add(PIECE));
        let piece = vault.block_on(artefact.read_range(at..end))?;
        to.write_all(&piece).map_err(|error| Failure::file(path, &error))?;
        at = end;
    }
    Ok(length)
}

/// How long a content is.
pub(crate) fn length(shelf: &impl Shelf, digest: &Digest) -> Done<u64> {
    let vault = shelf.vault();
    Ok(vault.block_on(vault.vault().open(shelf.tenant(), digest))?.length())
}

/// The files of a folder, in the order of its manifest; none where the content is no folder.
pub(crate) fn files(shelf: &impl Shelf, digest: &Digest) -> Vec<Digest> {
    let vault = shelf.vault();
    let manifest = vault.block_on(vault.vault().manifest(shelf.tenant(), digest));
    manifest
        .map_or_else(|_| Vec::new(), |manifest| manifest.entries().iter().map(|entry| entry.digest).collect())
}
