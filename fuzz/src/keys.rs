//! `signer`: key files. None that is sealed is opened: stretching a passphrase is slow on purpose.

use signer::{KEY_FILE_BYTES_MAX, KeyFile, Signer as _};

pub(crate) fn key_file(data: &[u8]) {
    let Ok(file) = KeyFile::parse(data) else { return };
    assert!(data.len() <= KEY_FILE_BYTES_MAX);
    assert!(file.public_key().check().is_ok());
    if let Ok(key) = file.open_unsealed() {
        assert_eq!(key.public_key(), file.public_key());
    }
}
