//! The tensor types of ggml: how many elements share a block, and how many bytes a block takes.

/// A tensor type of ggml (`enum ggml_type` in `ggml.h`, sizes from `ggml-common.h` and `gguf-py/gguf/constants.py`).
///
/// Numbers that ggml has withdrawn (4, 5, 31 to 33, 36 to 38) are no types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(non_camel_case_types, reason = "these are the names the field uses")]
#[expect(missing_docs, reason = "the name is the whole meaning")]
pub enum GgmlType {
    F32,
    F16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    IQ2_XXS,
    IQ2_XS,
    IQ3_XXS,
    IQ1_S,
    IQ4_NL,
    IQ3_S,
    IQ2_S,
    IQ4_XS,
    I8,
    I16,
    I32,
    I64,
    F64,
    IQ1_M,
    BF16,
    TQ1_0,
    TQ2_0,
    MXFP4,
    NVFP4,
    Q1_0,
    Q2_0,
}

/// A type with its number in files, its name, elements per block and bytes per block.
type Row = (GgmlType, u32, &'static str, usize, usize);

const TABLE: [Row; 35] = [
    (GgmlType::F32, 0, "F32", 1, 4),
    (GgmlType::F16, 1, "F16", 1, 2),
    (GgmlType::Q4_0, 2, "Q4_0", 32, 18),
    (GgmlType::Q4_1, 3, "Q4_1", 32, 20),
    (GgmlType::Q5_0, 6, "Q5_0", 32, 22),
    (GgmlType::Q5_1, 7, "Q5_1", 32, 24),
    (GgmlType::Q8_0, 8, "Q8_0", 32, 34),
    // In files 36 bytes: two `f16` and 32 codes. The Python package's table still says 40 from when they were `f32`.
    (GgmlType::Q8_1, 9, "Q8_1", 32, 36),
    (GgmlType::Q2_K, 10, "Q2_K", 256, 84),
    (GgmlType::Q3_K, 11, "Q3_K", 256, 110),
    (GgmlType::Q4_K, 12, "Q4_K", 256, 144),
    (GgmlType::Q5_K, 13, "Q5_K", 256, 176),
    (GgmlType::Q6_K, 14, "Q6_K", 256, 210),
    (GgmlType::Q8_K, 15, "Q8_K", 256, 292),
    (GgmlType::IQ2_XXS, 16, "IQ2_XXS", 256, 66),
    (GgmlType::IQ2_XS, 17, "IQ2_XS", 256, 74),
    (GgmlType::IQ3_XXS, 18, "IQ3_XXS", 256, 98),
    (GgmlType::IQ1_S, 19, "IQ1_S", 256, 50),
    (GgmlType::IQ4_NL, 20, "IQ4_NL", 32, 18),
    (GgmlType::IQ3_S, 21, "IQ3_S", 256, 110),
    (GgmlType::IQ2_S, 22, "IQ2_S", 256, 82),
    (GgmlType::IQ4_XS, 23, "IQ4_XS", 256, 136),
    (GgmlType::I8, 24, "I8", 1, 1),
    (GgmlType::I16, 25, "I16", 1, 2),
    (GgmlType::I32, 26, "I32", 1, 4),
    (GgmlType::I64, 27, "I64", 1, 8),
    (GgmlType::F64, 28, "F64", 1, 8),
    (GgmlType::IQ1_M, 29, "IQ1_M", 256, 56),
    (GgmlType::BF16, 30, "BF16", 1, 2),
    (GgmlType::TQ1_0, 34, "TQ1_0", 256, 54),
    (GgmlType::TQ2_0, 35, "TQ2_0", 256, 66),
    (GgmlType::MXFP4, 39, "MXFP4", 32, 17),
    (GgmlType::NVFP4, 40, "NVFP4", 64, 36),
    (GgmlType::Q1_0, 41, "Q1_0", 128, 18),
    (GgmlType::Q2_0, 42, "Q2_0", 64, 18),
];

impl GgmlType {
    /// Every type, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// The type of that number in files.
    pub fn from_number(number: u32) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// The type of that name, such as `Q4_K`.
    pub fn parse(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.2 == name).map(|row| row.0)
    }

    fn row(self) -> &'static Row {
        const UNREACHABLE: Row = TABLE[0];
        // INVARIANT: every variant has a row; a test goes through them.
        TABLE.iter().find(|row| row.0 == self).unwrap_or(&UNREACHABLE)
    }

    /// The number in files.
    pub fn number(self) -> u32 {
        self.row().1
    }

    /// The name.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Elements that share a block; 1 for types that are not quantised.
    pub fn block_elements(self) -> usize {
        self.row().3
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        self.row().4
    }

    /// Whether elements stand alone, not in blocks with a scale of their own.
    pub fn is_plain(self) -> bool {
        self.block_elements() == 1
    }

    /// Bytes that a tensor of that row-major shape takes. Nothing where a row is no whole number of blocks or the
    /// product overflows; a zero dimension does not excuse the others.
    pub fn bytes_of(self, shape: &[usize]) -> Option<usize> {
        let (_, _, _, elements, bytes) = *self.row();
        let row = shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(elements) {
            return None;
        }
        let mut most = 1_usize;
        for &dimension in shape {
            most = most.checked_mul(dimension.max(1))?;
        }
        // ggml counts elements in `int64_t`.
        i64::try_from(most.checked_mul(bytes)?).ok()?;
        Some(shape.iter().product::<usize>() / elements * bytes)
    }
}
