//! A simulated kernel and a simulated Gramine: they show that the interface is used as documented, nothing about hardware.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Error as IoError, ErrorKind};
use std::path::{Path, PathBuf};

use attest::tsm::{self, Files};
use attest::{Sources, gramine};
use evidence::{Claims, Hex, Host};
use statement::Digest;

const DATA: [u8; 64] = [9; 64];

/// What configfs-tsm does with an entry, and who else writes to it.
struct Simulated {
    provider: &'static str,
    auxblob: Vec<u8>,
    others: u64,
    entries: RefCell<BTreeMap<PathBuf, (u64, Vec<u8>)>>,
}

impl Simulated {
    fn new(provider: &'static str) -> Self {
        Self { provider, auxblob: Vec::new(), others: 0, entries: RefCell::default() }
    }
}

impl Files for Simulated {
    fn make(&self, folder: &Path) -> Result<(), IoError> {
        assert!(folder.starts_with("/tsm"));
        assert!(self.entries.borrow_mut().insert(folder.to_owned(), (0, Vec::new())).is_none());
        Ok(())
    }

    fn write(&self, file: &Path, bytes: &[u8]) -> Result<(), IoError> {
        assert_eq!(file.file_name().unwrap(), "inblob");
        let mut entries = self.entries.borrow_mut();
        let entry = entries.get_mut(file.parent().unwrap()).unwrap();
        *entry = (entry.0 + 1 + self.others, bytes.to_vec());
        Ok(())
    }

    fn read(&self, file: &Path) -> Result<Vec<u8>, IoError> {
        let entries = self.entries.borrow();
        let (generation, data) = &entries[file.parent().unwrap()];
        match file.file_name().unwrap().to_str().unwrap() {
            "generation" => Ok(format!("{generation}\n").into_bytes()),
            "provider" => Ok(format!("{}\n", self.provider).into_bytes()),
            "outblob" if data.len() == 64 => Ok([b"report of ", data.as_slice()].concat()),
            "auxblob" if !self.auxblob.is_empty() => Ok(self.auxblob.clone()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    fn remove(&self, folder: &Path) -> Result<(), IoError> {
        assert!(self.entries.borrow_mut().remove(folder).is_some());
        Ok(())
    }
}

#[test]
fn a_simulated_kernel_gives_a_report_over_the_data_and_is_left_as_it_was() {
    let expected = [b"report of ", DATA.as_slice()].concat();
    let kernel = Simulated::new("tdx_guest");
    let Host::Tdx(quote) = tsm::report(&kernel, Path::new("/tsm"), &DATA).unwrap() else { panic!("TDX") };
    assert_eq!(quote.quote.as_slice(), expected);
    assert!(kernel.entries.borrow().is_empty());
    let mut kernel = Simulated::new("sev_guest");
    let Host::SevSnp(report) = tsm::report(&kernel, Path::new("/tsm"), &DATA).unwrap() else { panic!("SNP") };
    assert_eq!(report.report.as_slice(), expected);
    assert!(report.certificates.is_empty());
    kernel.auxblob = b"no table".to_vec();
    assert_eq!(tsm::report(&kernel, Path::new("/tsm"), &DATA).unwrap_err().code(), "CS-ATT-010");
    assert!(kernel.entries.borrow().is_empty());
}

#[test]
fn a_simulated_kernel_that_another_asks_too_is_not_believed() {
    let mut kernel = Simulated::new("tdx_guest");
    kernel.others = 1;
    assert_eq!(tsm::report(&kernel, Path::new("/tsm"), &DATA).unwrap_err().code(), "CS-ATT-009");
    assert!(kernel.entries.borrow().is_empty());
    let kernel = Simulated::new("arm_cca_guest");
    assert_eq!(tsm::report(&kernel, Path::new("/tsm"), &DATA).unwrap_err().code(), "CS-ATT-008");
    let absent = tempfile::tempdir().unwrap().path().join("absent");
    assert_eq!(tsm::report(&tsm::Kernel, &absent, &DATA).unwrap_err().code(), "CS-ATT-007");
}

#[test]
fn a_simulated_gramine_gives_a_quote_over_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let ask = || gramine::quote(&tsm::Kernel, root, &DATA);
    assert_eq!(ask().unwrap_err().code(), "CS-ATT-007");
    std::fs::write(root.join("attestation_type"), "none").unwrap();
    assert_eq!(ask().unwrap_err().code(), "CS-ATT-008");
    std::fs::write(root.join("attestation_type"), "dcap\n").unwrap();
    std::fs::write(root.join("user_report_data"), [0; 64]).unwrap();
    std::fs::write(root.join("quote"), b"a quote").unwrap();
    let Host::Sgx(quote) = ask().unwrap() else { panic!("SGX") };
    assert_eq!(quote.quote.as_slice(), b"a quote");
    assert_eq!(std::fs::read(root.join("user_report_data")).unwrap(), DATA);
}

#[test]
fn a_host_that_has_nothing_says_nothing() {
    let digest = Digest::of(b"x");
    let claims = Claims { inputs: digest, nonce: Hex::new(vec![1; 16]), trace_root: digest, worker: digest };
    let none = Sources::default();
    assert!(none.is_none());
    assert!(none.attest(&claims).unwrap().hosts.is_empty());
    let short = Claims { nonce: Hex::new(Vec::new()), ..claims };
    assert_eq!(none.attest(&short).unwrap_err().code(), "CS-ATT-010");
}
