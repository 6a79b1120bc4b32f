//! Intel SGX, asked through Gramine: 64 bytes are written to `user_report_data`, and `quote` is the quote.

use std::path::Path;

use evidence::{Host, Intel};
use statement::Bytes;

use crate::error::Error;
use crate::tsm::Files;

/// Where Gramine shows its files to what runs in it.
pub const ROOT: &str = "/dev/attestation";

/// Asks for a quote over the data.
///
/// # Errors
/// [`Error::File`], [`Error::Provider`].
pub fn quote(files: &impl Files, root: &Path, data: &[u8; 64]) -> Result<Host, Error> {
    let read = |name: &str| {
        let path = root.join(name);
        files.read(&path).map_err(|source| Error::File { path, source })
    };
    let kind = String::from_utf8_lossy(&read("attestation_type")?).trim().to_owned();
    if kind != "dcap" {
        return Err(Error::Provider { name: kind.escape_debug().take(100).collect() });
    }
    let path = root.join("user_report_data");
    files.write(&path, data).map_err(|source| Error::File { path, source })?;
    Ok(Host::Sgx(Intel { collateral: None, quote: Bytes::new(read("quote")?) }))
}
