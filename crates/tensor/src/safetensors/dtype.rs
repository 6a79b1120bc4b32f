//! The element types of the format, and their exact values as `f64`.

use half::{bf16, f16};

/// An element type. The sub-byte and complex types that some writers have since added are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dtype {
    /// `BOOL`: one byte.
    Bool,
    /// `U8`
    U8,
    /// `I8`
    I8,
    /// `F8_E5M2`: five exponent bits, infinities and NaNs as in IEEE 754.
    F8E5M2,
    /// `F8_E4M3`: four exponent bits, no infinities, one NaN of each sign (OCP "E4M3", called `fn` elsewhere).
    F8E4M3,
    /// `U16`
    U16,
    /// `I16`
    I16,
    /// `F16`
    F16,
    /// `BF16`
    BF16,
    /// `U32`
    U32,
    /// `I32`
    I32,
    /// `F32`
    F32,
    /// `U64`
    U64,
    /// `I64`
    I64,
    /// `F64`
    F64,
}

impl Dtype {
    /// Every type, with its name in the format.
    const NAMES: [(Self, &'static str); 15] = [
        (Self::Bool, "BOOL"),
        (Self::U8, "U8"),
        (Self::I8, "I8"),
        (Self::F8E5M2, "F8_E5M2"),
        (Self::F8E4M3, "F8_E4M3"),
        (Self::U16, "U16"),
        (Self::I16, "I16"),
        (Self::F16, "F16"),
        (Self::BF16, "BF16"),
        (Self::U32, "U32"),
        (Self::I32, "I32"),
        (Self::F32, "F32"),
        (Self::U64, "U64"),
        (Self::I64, "I64"),
        (Self::F64, "F64"),
    ];

    /// The type of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(dtype, _)| *dtype)
    }

    /// The name in the format.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(dtype, _)| *dtype == self).map_or("", |(_, name)| name)
    }

    /// Bytes of one element.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 | Self::F8E5M2 | Self::F8E4M3 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Whether the elements are floating-point numbers.
    pub const fn is_float(self) -> bool {
        match self {
            Self::F8E5M2 | Self::F8E4M3 | Self::F16 | Self::BF16 | Self::F32 | Self::F64 => true,
            Self::Bool
            | Self::U8
            | Self::I8
            | Self::U16
            | Self::I16
            | Self::U32
            | Self::I32
            | Self::U64
            | Self::I64 => false,
        }
    }

    /// Whether the elements are floating-point numbers of a type in which weights are stored as they are. The
    /// 8-bit types come with scales of their own that stand elsewhere.
    pub const fn is_plain_float(self) -> bool {
        self.is_float() && self.bytes() > 1
    }
}

/// Decodes whole elements into `out`, replacing what it holds. Exact for every type except 64-bit integers
/// beyond 2^53, which become NaN so that no measure passes over them.
pub(crate) fn decode(dtype: Dtype, bytes: &[u8], out: &mut Vec<f64>) {
    fn each<const N: usize>(bytes: &[u8], out: &mut Vec<f64>, value: impl Fn([u8; N]) -> f64) {
        out.extend(bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)));
    }
    out.clear();
    match dtype {
        Dtype::Bool | Dtype::U8 => each::<1>(bytes, out, |[byte]| f64::from(byte)),
        Dtype::I8 => each(bytes, out, |chunk| f64::from(i8::from_le_bytes(chunk))),
        Dtype::F8E5M2 => each(bytes, out, |[byte]| f64::from(f16::from_le_bytes([0, byte]))),
        Dtype::F8E4M3 => each(bytes, out, |[byte]| e4m3(byte)),
        Dtype::U16 => each(bytes, out, |chunk| f64::from(u16::from_le_bytes(chunk))),
        Dtype::I16 => each(bytes, out, |chunk| f64::from(i16::from_le_bytes(chunk))),
        Dtype::F16 => each(bytes, out, |chunk| f64::from(f16::from_le_bytes(chunk))),
        Dtype::BF16 => each(bytes, out, |chunk| f64::from(bf16::from_le_bytes(chunk))),
        Dtype::U32 => each(bytes, out, |chunk| f64::from(u32::from_le_bytes(chunk))),
        Dtype::I32 => each(bytes, out, |chunk| f64::from(i32::from_le_bytes(chunk))),
        Dtype::F32 => each(bytes, out, |chunk| f64::from(f32::from_le_bytes(chunk))),
        Dtype::U64 => each(bytes, out, |chunk| whole(i128::from(u64::from_le_bytes(chunk)))),
        Dtype::I64 => each(bytes, out, |chunk| whole(i128::from(i64::from_le_bytes(chunk)))),
        Dtype::F64 => each(bytes, out, f64::from_le_bytes),
    }
}

#[expect(clippy::cast_precision_loss, reason = "the bound makes it exact")]
fn whole(integer: i128) -> f64 {
    if integer.unsigned_abs() <= 1 << 53 { integer as f64 } else { f64::NAN }
}

/// OCP 8-bit floating point, E4M3: bias 7, subnormals in units of 2^-9, `S.1111.111` is NaN.
fn e4m3(byte: u8) -> f64 {
    let mantissa = f64::from(byte & 7);
    let exponent = (byte >> 3) & 15;
    let magnitude = match (exponent, byte & 7) {
        (15, 7) => f64::NAN,
        (0, _) => mantissa / 512.0,
        // 2^(exponent - 7) · (1 + mantissa / 8), all in exact steps.
        _ => f64::from(1_u32 << exponent) * (8.0 + mantissa) / 1024.0,
    };
    if byte & 0x80 == 0 { magnitude } else { -magnitude }
}
