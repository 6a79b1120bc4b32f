//! TPMS_ATTEST of type TPM_ST_ATTEST_QUOTE (part 2, section 10.12).

use super::KIND;
use crate::cursor::Cursor;
use crate::error::Error;

/// The highest index of a register.
pub const PCR_INDEX_MAX: u8 = 23;

/// TPM_GENERATED_VALUE: what a restricted key signs begins with it, and a TPM hashes nothing else that does for such a
/// key.
const MAGIC: u32 = 0xff54_4347;
const QUOTE: u16 = 0x8018;
/// Longest qualifying data: a TPM2B_DATA holds a TPMT_HA.
const DATA_MAX: usize = 66;
/// Longest name: an algorithm and the longest digest.
const NAME_MAX: usize = 66;
const DIGEST_MAX: usize = 64;
/// Banks that a TPM may have.
const SELECTIONS_MAX: u32 = 16;

/// A quote, read; nothing about it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attest {
    /// The qualified name of the key.
    pub signer: Vec<u8>,
    /// What the caller chose.
    pub qualifying_data: Vec<u8>,
    /// Milliseconds that the TPM was powered.
    pub clock_ms: u64,
    /// How often the TPM was reset.
    pub reset_count: u32,
    /// How often it was resumed or restarted since.
    pub restart_count: u32,
    /// Whether the clock has surely never gone back.
    pub is_clock_safe: bool,
    /// The firmware's version, as its maker counts.
    pub firmware_version: u64,
    /// Which registers were quoted.
    pub selections: Vec<Selection>,
    /// The digest over their values.
    pub pcr_digest: Vec<u8>,
}

/// Registers of one bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The bank's hash algorithm.
    pub hash: u16,
    /// Their indices, rising.
    pub indices: Vec<u8>,
}

impl Attest {
    /// Reads the structure, to its last byte.
    ///
    /// # Errors
    /// [`Error::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(KIND, bytes);
        if cursor.be_u32("magic")? != MAGIC {
            return cursor.refuse("magic", "it was not made by a TPM");
        }
        if cursor.be_u16("type")? != QUOTE {
            return cursor.refuse("type", "it is not a quote");
        }
        let signer = cursor.sized(NAME_MAX, "qualifiedSigner")?.to_vec();
        let qualifying_data = cursor.sized(DATA_MAX, "extraData")?.to_vec();
        let clock_ms = cursor.be_u64("clock")?;
        let reset_count = cursor.be_u32("resetCount")?;
        let restart_count = cursor.be_u32("restartCount")?;
        let is_clock_safe = match cursor.u8("safe")? {
            0 => false,
            1 => true,
            _ => return cursor.refuse("safe", "it is neither yes nor no"),
        };
        let firmware_version = cursor.be_u64("firmwareVersion")?;
        let count = cursor.be_u32("pcrSelect")?;
        if count > SELECTIONS_MAX {
            return cursor.refuse("pcrSelect", "there are more than sixteen banks");
        }
        let mut selections = Vec::new();
        for _ in 0..count {
            selections.push(selection(&mut cursor)?);
        }
        let pcr_digest = cursor.sized(DIGEST_MAX, "pcrDigest")?.to_vec();
        cursor.end("attest")?;
        Ok(Self {
            signer,
            qualifying_data,
            clock_ms,
            reset_count,
            restart_count,
            is_clock_safe,
            firmware_version,
            selections,
            pcr_digest,
        })
    }
}

/// TPMS_PCR_SELECTION: a bit for each register.
fn selection(cursor: &mut Cursor<'_>) -> Result<Selection, Error> {
    let hash = cursor.be_u16("pcrSelect.hash")?;
    let length = cursor.u8("pcrSelect.size")?;
    if length > 4 {
        return cursor.refuse("pcrSelect.size", "there are more than 32 registers");
    }
    let bits = cursor.take(usize::from(length), "pcrSelect.bits")?;
    let mut indices = Vec::new();
    for (byte, place) in bits.iter().zip((0_u8..).step_by(8)) {
        indices.extend((0..8).filter(|bit| byte >> bit & 1 == 1).map(|bit| place + bit));
    }
    if indices.iter().any(|index| *index > PCR_INDEX_MAX) {
        return cursor.refuse("pcrSelect.bits", "a register has an index above 23");
    }
    Ok(Selection { hash, indices })
}
