//! The request and the response.

use std::collections::BTreeMap;

use super::KIND;
use crate::cursor::Cursor;
use crate::error::Error;

/// Largest report, in bytes.
pub const REPORT_BYTES_MAX: usize = 64 << 10;

const REQUEST_BYTES: usize = 37;
const SIGNATURE_BYTES: usize = 96;
const VERSION: u8 = 0x11;
const GET_MEASUREMENTS: u8 = 0xe0;
const MEASUREMENTS: u8 = 0x60;
/// Measurements in the form of the standard.
const DMTF: u8 = 1;
/// Fields of opaque data at most.
const OPAQUE_MAX: usize = 64;

/// NVIDIA's fields of the opaque data that are looked at here.
pub mod opaque {
    /// The driver's version, a text.
    pub const DRIVER: u16 = 3;
    /// The firmware of the card, a number.
    pub const VBIOS: u16 = 6;
    /// The board.
    pub const BOARD: u16 = 14;
    /// The digest of the firmware that measures.
    pub const FIRMWARE: u16 = 20;
}

/// A report, read; nothing about it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What is signed: the request, and the response up to its signature.
    pub signed: Vec<u8>,
    /// What the caller chose.
    pub nonce: [u8; 32],
    /// Measurements by their index, from 1.
    pub measurements: BTreeMap<u8, Vec<u8>>,
    /// NVIDIA's fields, by their number.
    pub opaque: BTreeMap<u16, Vec<u8>>,
    /// The signature's two numbers, big-endian.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl Message {
    /// Reads a report, to its last byte.
    ///
    /// # Errors
    /// [`Error::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(KIND, bytes);
        if bytes.len() > REPORT_BYTES_MAX {
            return cursor.refuse("report", "it is larger than 64 KiB");
        }
        let unsigned = bytes.len().saturating_sub(SIGNATURE_BYTES);
        let signed = cursor.clone().take(unsigned, "report")?.to_vec();
        let nonce = request(&mut cursor)?;
        if (cursor.u8("SPDMVersion")?, cursor.u8("RequestResponseCode")?) != (VERSION, MEASUREMENTS) {
            return cursor
                .refuse("RequestResponseCode", "it is not a response with measurements of SPDM 1.1");
        }
        cursor.take(2, "Param1")?;
        let count = cursor.u8("NumberOfBlocks")?;
        let [b0, b1, b2]: [u8; 3] = cursor.array("MeasurementRecordLength")?;
        let length = usize::from(b0) | usize::from(b1) << 8 | usize::from(b2) << 16;
        let record = cursor.take(length, "MeasurementRecord")?;
        let measurements = measurements(record, count)?;
        // The GPU's own nonce: it makes the response fresh for the GPU, and says nothing to the reader.
        cursor.take(32, "Nonce")?;
        let length = usize::from(cursor.le_u16("OpaqueLength")?);
        let opaque = fields(cursor.take(length, "OpaqueData")?)?;
        let signature = cursor.array("Signature")?;
        cursor.end("report")?;
        if bytes.len() < REQUEST_BYTES + SIGNATURE_BYTES {
            return cursor.refuse("report", "it ends too early");
        }
        Ok(Self { signed, nonce, measurements, opaque, signature })
    }

    /// A field that is a text, up to its first zero; what is not plain text is left out.
    pub fn text(&self, field: u16) -> String {
        let bytes = self.opaque.get(&field).map(Vec::as_slice).unwrap_or_default();
        let plain = bytes.iter().take_while(|byte| **byte != 0).filter(|byte| byte.is_ascii_graphic());
        plain.map(|byte| char::from(*byte)).collect()
    }
}

/// GET_MEASUREMENTS for all measurements, signed.
fn request(cursor: &mut Cursor<'_>) -> Result<[u8; 32], Error> {
    if (cursor.u8("request")?, cursor.u8("request")?) != (VERSION, GET_MEASUREMENTS) {
        return cursor.refuse("request", "it does not ask for measurements in SPDM 1.1");
    }
    if (cursor.u8("request.Param1")?, cursor.u8("request.Param2")?) != (1, 0xff) {
        return cursor.refuse("request.Param1", "it does not ask for all measurements with a signature");
    }
    let nonce = cursor.array("request.Nonce")?;
    cursor.u8("request.SlotIDParam")?;
    Ok(nonce)
}

fn measurements(record: &[u8], count: u8) -> Result<BTreeMap<u8, Vec<u8>>, Error> {
    let mut cursor = Cursor::new(KIND, record);
    let mut all = BTreeMap::new();
    for _ in 0..count {
        let index = cursor.u8("Measurement.Index")?;
        if cursor.u8("MeasurementSpecification")? != DMTF {
            return cursor.refuse("MeasurementSpecification", "it is not in the form of the standard");
        }
        let size = usize::from(cursor.le_u16("MeasurementSize")?);
        let mut block = Cursor::new(KIND, cursor.take(size, "Measurement")?);
        block.u8("DMTFSpecMeasurementValueType")?;
        let size = usize::from(block.le_u16("DMTFSpecMeasurementValueSize")?);
        let value = block.take(size, "DMTFSpecMeasurementValue")?;
        block.end("Measurement")?;
        if index == 0 || all.insert(index, value.to_vec()).is_some() {
            return cursor.refuse("Measurement.Index", "an index is zero or there twice");
        }
    }
    cursor.end("MeasurementRecord")?;
    Ok(all)
}

fn fields(data: &[u8]) -> Result<BTreeMap<u16, Vec<u8>>, Error> {
    let mut cursor = Cursor::new(KIND, data);
    let mut all = BTreeMap::new();
    while !cursor.is_empty() {
        let field = cursor.le_u16("OpaqueData")?;
        let length = usize::from(cursor.le_u16("OpaqueData")?);
        let value = cursor.take(length, "OpaqueData")?;
        if all.len() == OPAQUE_MAX || all.insert(field, value.to_vec()).is_some() {
            return cursor.refuse("OpaqueData", "a field is there twice, or there are more than 64");
        }
    }
    Ok(all)
}
