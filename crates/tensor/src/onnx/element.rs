//! Element types.

/// The type of a tensor's elements (`TensorProto.DataType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the format's own")]
pub enum ElementType {
    Float,
    Uint8,
    Int8,
    Uint16,
    Int16,
    Int32,
    Int64,
    String,
    Bool,
    Float16,
    Double,
    Uint32,
    Uint64,
    Complex64,
    Complex128,
    Bfloat16,
    Float8E4M3FN,
    Float8E4M3FNUZ,
    Float8E5M2,
    Float8E5M2FNUZ,
    Uint4,
    Int4,
    Float4E2M1,
    Float8E8M0,
}

impl ElementType {
    /// In the order of their numbers, from 1, with bits per element.
    const TABLE: [(Self, usize); 24] = [
        (Self::Float, 32),
        (Self::Uint8, 8),
        (Self::Int8, 8),
        (Self::Uint16, 16),
        (Self::Int16, 16),
        (Self::Int32, 32),
        (Self::Int64, 64),
        (Self::String, 0),
        (Self::Bool, 8),
        (Self::Float16, 16),
        (Self::Double, 64),
        (Self::Uint32, 32),
        (Self::Uint64, 64),
        (Self::Complex64, 64),
        (Self::Complex128, 128),
        (Self::Bfloat16, 16),
        (Self::Float8E4M3FN, 8),
        (Self::Float8E4M3FNUZ, 8),
        (Self::Float8E5M2, 8),
        (Self::Float8E5M2FNUZ, 8),
        (Self::Uint4, 4),
        (Self::Int4, 4),
        (Self::Float4E2M1, 4),
        (Self::Float8E8M0, 8),
    ];

    /// The type of that number in files.
    pub fn from_number(number: u64) -> Option<Self> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        Self::TABLE.get(at).map(|(element, _)| *element)
    }

    /// Bits of an element; 0 for strings.
    pub fn bits(self) -> usize {
        Self::TABLE.iter().find(|(element, _)| *element == self).map_or(0, |(_, bits)| *bits)
    }

    /// Whether the elements are signed whole numbers.
    pub(super) const fn is_signed(self) -> bool {
        matches!(self, Self::Int4 | Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64)
    }
}
