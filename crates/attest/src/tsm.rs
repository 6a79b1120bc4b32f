//! The kernel's interface to confidential machines: configfs-tsm (Linux, Documentation/ABI/testing/configfs-tsm-report).
//!
//! A folder is made, 64 bytes are written to its `inblob`, and its `outblob` is the report. A counter, `generation`,
//! tells whether another process wrote meanwhile.

use std::path::{Path, PathBuf};

use evidence::snp::table;
use evidence::{Host, Intel, Snp};
use statement::Bytes;

use crate::error::Error;

/// Where the interface is.
pub const ROOT: &str = "/sys/kernel/config/tsm/report";

/// Largest blob that is read, in bytes.
const BLOB_BYTES_MAX: usize = 1 << 20;

/// What is needed of a file system, so that tests can be the kernel.
pub trait Files {
    /// Makes a folder, in which a kernel makes its files.
    fn make(&self, folder: &Path) -> std::io::Result<()>;
    /// Writes a file that is there.
    fn write(&self, file: &Path, bytes: &[u8]) -> std::io::Result<()>;
    /// Reads a file.
    fn read(&self, file: &Path) -> std::io::Result<Vec<u8>>;
    /// Removes the folder again.
    fn remove(&self, folder: &Path) -> std::io::Result<()>;
}

/// The real one.
#[derive(Debug, Clone, Copy)]
pub struct Kernel;

impl Files for Kernel {
    fn make(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir(folder)
    }

    fn write(&self, file: &Path, bytes: &[u8]) -> std::io::Result<()> {
        use std::io::Write as _;
        // A blob is taken in one write, and the file must be there already.
        std::fs::OpenOptions::new().write(true).open(file)?.write_all(bytes)
    }

    fn read(&self, file: &Path) -> std::io::Result<Vec<u8>> {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        let limit = u64::try_from(BLOB_BYTES_MAX).unwrap_or(u64::MAX);
        std::fs::File::open(file)?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn remove(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::remove_dir(folder)
    }
}

/// Asks for a report over the data. The entry's name is this process's and the data's, so that two do not meet.
///
/// # Errors
/// [`Error::File`], [`Error::Provider`], [`Error::Interfered`], [`Error::Unsound`].
pub fn report(files: &impl Files, root: &Path, data: &[u8; 64]) -> Result<Host, Error> {
    let name = data.iter().take(8).fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
    let folder = root.join(format!("countersign-{}-{name}", std::process::id()));
    files.make(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
    let answer = ask(files, &folder, data);
    let removed = files.remove(&folder).map_err(|source| Error::File { path: folder, source });
    let host = answer?;
    removed?;
    Ok(host)
}

fn ask(files: &impl Files, folder: &Path, data: &[u8; 64]) -> Result<Host, Error> {
    let read = |name: &str| {
        let path = folder.join(name);
        files.read(&path).map_err(|source| Error::File { path, source })
    };
    let inblob = folder.join("inblob");
    let before = count(&read("generation")?, folder)?;
    files.write(&inblob, data).map_err(|source| Error::File { path: inblob, source })?;
    let outblob = read("outblob")?;
    let provider = String::from_utf8_lossy(&read("provider")?).trim().to_owned();
    let host = match provider.as_str() {
        "tdx_guest" => Host::Tdx(Intel { collateral: None, quote: Bytes::new(outblob) }),
        "sev_guest" => {
            // The hypervisor may have handed out no table: the certificates are then fetched from AMD.
            let table = read("auxblob").unwrap_or_default();
            let certificates = if table.is_empty() {
                Vec::new()
            } else {
                table::certificates(&table).map_err(Error::Unsound)?
            };
            let certificates = certificates.into_iter().map(Bytes::new).collect();
            Host::SevSnp(Snp { certificates, report: Bytes::new(outblob) })
        }
        _ => return Err(Error::Provider { name: provider.escape_debug().take(100).collect() }),
    };
    // One write was ours.
    if count(&read("generation")?, folder)? != before + 1 {
        return Err(Error::Interfered { path: folder.to_owned() });
    }
    Ok(host)
}

fn count(bytes: &[u8], folder: &Path) -> Result<u64, Error> {
    let path: PathBuf = folder.join("generation");
    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse::<u64>().ok());
    number
        .filter(|number| *number < u64::MAX)
        .ok_or_else(|| Error::File { path, source: std::io::Error::other("it is no number") })
}
