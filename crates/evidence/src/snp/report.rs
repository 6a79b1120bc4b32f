//! The report's fields.

use std::fmt;

use super::KIND;
use crate::cursor::Cursor;
use crate::error::Error;
use crate::policy::SnpTcb;

/// A report's size, in bytes.
pub const REPORT_BYTES: usize = 1184;
/// What the signature covers.
const SIGNED_BYTES: usize = 0x2a0;
/// ECDSA on P-384 with SHA-384.
const ECDSA_P384: u32 = 1;
/// From this family of processors on (Turin) versions have another order.
const TURIN_FAMILY: u8 = 0x1a;

/// A report, read; nothing about it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    signed: Vec<u8>,
    flags: u32,
    /// The form's version.
    pub version: u32,
    /// The guest's security version.
    pub guest_svn: u32,
    /// The guest's policy.
    pub policy_bits: u64,
    /// The privilege level that asked.
    pub vmpl: u32,
    /// What the guest chose.
    pub data: [u8; 64],
    /// The digest of what was launched.
    pub measurement: [u8; 48],
    /// The versions that the key was derived from.
    pub reported: Tcb,
    /// The chip.
    pub chip: [u8; 64],
    /// The signature, its two numbers big-endian.
    pub signature: [u8; 96],
}

/// Versions of what a guest has to trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcb {
    /// The first firmware, from Turin on.
    pub fmc: Option<u8>,
    /// The boot loader.
    pub boot_loader: u8,
    /// The trusted execution environment.
    pub tee: u8,
    /// The SNP firmware.
    pub snp: u8,
    /// The microcode.
    pub microcode: u8,
}

impl Tcb {
    const fn of(bytes: [u8; 8], is_turin: bool) -> Self {
        let [b0, b1, b2, b3, _, _, b6, b7] = bytes;
        if is_turin {
            Self { fmc: Some(b0), boot_loader: b1, tee: b2, snp: b3, microcode: b7 }
        } else {
            Self { fmc: None, boot_loader: b0, tee: b1, snp: b6, microcode: b7 }
        }
    }

    /// Whether no version is below the least.
    pub const fn is_at_least(&self, least: &SnpTcb) -> bool {
        self.boot_loader >= least.boot_loader
            && self.tee >= least.tee
            && self.snp >= least.snp
            && self.microcode >= least.microcode
    }

    /// Each version with the last number of its identifier in certificates.
    pub(super) fn numbered(self) -> impl Iterator<Item = (u8, u8)> {
        let all = [(1, self.boot_loader), (2, self.tee), (3, self.snp), (8, self.microcode)];
        all.into_iter().chain(self.fmc.map(|fmc| (9, fmc)))
    }
}

impl fmt::Display for Tcb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boot_loader, tee, snp, microcode, .. } = self;
        write!(f, "boot-loader {boot_loader}, tee {tee}, snp {snp}, microcode {microcode}")
    }
}

impl Report {
    /// Reads a report of version 2 or later.
    ///
    /// # Errors
    /// [`Error::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(KIND, bytes);
        if bytes.len() != REPORT_BYTES {
            return cursor.refuse("report", "it has not 1184 bytes");
        }
        let mut ahead = cursor.clone();
        let signed = ahead.take(SIGNED_BYTES, "report")?.to_vec();
        let version = cursor.le_u32("VERSION")?;
        if !(2..=5).contains(&version) {
            return cursor.refuse("VERSION", "only versions 2 to 5 are known here");
        }
        let guest_svn = cursor.le_u32("GUEST_SVN")?;
        let policy_bits = u64::from_le_bytes(cursor.array("POLICY")?);
        cursor.take(32, "FAMILY_ID")?;
        let vmpl = cursor.le_u32("VMPL")?;
        if cursor.le_u32("SIGNATURE_ALGO")? != ECDSA_P384 {
            return cursor.refuse("SIGNATURE_ALGO", "it is not ECDSA on P-384");
        }
        cursor.take(16, "CURRENT_TCB")?;
        let flags = cursor.le_u32("KEY_INFO")?;
        cursor.zeros(4, "KEY_INFO")?;
        let data = cursor.array("REPORT_DATA")?;
        let measurement = cursor.array("MEASUREMENT")?;
        // Host data, the digests of the identity and author keys, the ids of the report and of the migration agent.
        cursor.take(32 + 48 + 48 + 32 + 32, "HOST_DATA")?;
        let reported = cursor.array("REPORTED_TCB")?;
        let family = cursor.u8("CPUID_FAM_ID")?;
        cursor.take(23, "CPUID")?;
        let chip = cursor.array("CHIP_ID")?;
        let is_turin = version >= 3 && family >= TURIN_FAMILY;
        let signature = signature(&mut ahead)?;
        if flags >> 2 & 7 > 1 {
            return cursor.refuse("KEY_INFO", "it is signed by no key, or by one that is not known here");
        }
        let reported = Tcb::of(reported, is_turin);
        Ok(Self {
            signed,
            flags,
            version,
            guest_svn,
            policy_bits,
            vmpl,
            data,
            measurement,
            reported,
            chip,
            signature,
        })
    }

    /// What is signed.
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// Whether a key signed that a cloud was lent, which no chip's number stands for.
    pub const fn is_lent_key(&self) -> bool {
        self.flags >> 2 & 7 == 1
    }

    /// Whether the chip hides its number.
    pub const fn is_chip_hidden(&self) -> bool {
        self.flags >> 1 & 1 == 1
    }
}

/// Two numbers of 72 bytes each, little-endian, and zeros.
fn signature(cursor: &mut Cursor<'_>) -> Result<[u8; 96], Error> {
    let mut signature = [0; 96];
    for half in signature.chunks_exact_mut(48) {
        let number: [u8; 48] = cursor.array("SIGNATURE")?;
        cursor.zeros(24, "SIGNATURE")?;
        for (to, from) in half.iter_mut().zip(number.iter().rev()) {
            *to = *from;
        }
    }
    cursor.zeros(REPORT_BYTES - SIGNED_BYTES - 144, "SIGNATURE")?;
    Ok(signature)
}
