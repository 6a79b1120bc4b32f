//! The vault of a folder, and the key of this machine under which the tenants' keys are sealed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use vault::blocking::BlockingVault;
use vault::{FileKeyRing, MasterKey, Options, Protection, Quota, Vault};
use zeroize::Zeroizing;

use crate::failure::{Done, Failure};
use crate::home::{Home, read_bounded};

pub(crate) fn open_vault(home: &Home) -> Done<BlockingVault> {
    let ring = FileKeyRing::open(home.vault_keys(), read_master_key(home)?)?;
    let options = Options { protection: Protection::Encrypted, quota: Quota::Unlimited };
    Ok(BlockingVault::new(Vault::on_disk(&home.vault(), Arc::new(ring), options)?)?)
}

/// Makes the key under which the tenants' keys are sealed: a file of this machine, readable by its owner alone.
pub(crate) fn write_master_key(home: &Home) -> Done {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).map_err(|error| {
        Failure::outside(format!("the system gives no randomness: {error}"), "this machine cannot make keys")
    })?;
    let path = home.master_key();
    let failed = |error: std::io::Error| Failure::file(&path, &error);
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    file.write_all(bytes.as_ref()).and_then(|()| file.sync_all()).map_err(failed)
}

fn read_master_key(home: &Home) -> Done<MasterKey> {
    let path = home.master_key();
    let lost = |why: &str| {
        let message = format!("`{}` {why}", path.display());
        Failure::new("CS-CLI-009", message, "restore the vault's master key from its backup")
    };
    let mode = match fs::metadata(&path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(lost("is missing")),
        Err(error) => return Err(Failure::file(&path, &error)),
    };
    if mode & 0o077 != 0 {
        let message =
            format!("`{}` has mode `{mode:04o}`, which lets others than its owner at it", path.display());
        return Err(Failure::new(
            "CS-CLI-016",
            message,
            "set its mode to 0600 and find out who could read it",
        ));
    }
    let bytes = Zeroizing::new(read_bounded(&path, 32)?);
    let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| lost("is not 32 bytes"))?;
    Ok(MasterKey::from_bytes(Zeroizing::new(key)))
}
