//! `vault`: folder manifests, snapshots, attachments. Records are sealed, so that bytes from outside never reach
//! their parser.

use vault::{Attachment, Manifest, Snapshot};

pub(crate) fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        assert_eq!(manifest.to_bytes().expect("it was read"), data, "one spelling");
        for entry in manifest.entries() {
            let path = entry.path.as_str();
            assert!(
                !path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | "..")),
                "{path:?}"
            );
        }
    }
}

pub(crate) fn snapshot(data: &[u8]) {
    if let Ok(snapshot) = Snapshot::parse(data) {
        assert_eq!(snapshot.to_bytes().expect("it was read"), data, "one spelling");
    }
}

pub(crate) fn attachment(data: &[u8]) {
    if let Ok(attachment) = Attachment::parse(data) {
        assert_eq!(attachment.to_bytes(), data, "one spelling");
    }
}
