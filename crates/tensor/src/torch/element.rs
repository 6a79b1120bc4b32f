//! The types of elements, and the storage classes that stand for them.

use crate::safetensors::Dtype;

/// A type of elements, by PyTorch's name for it: `float32`, `quint8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElementType {
    /// PyTorch's name.
    pub name: &'static str,
    /// Bytes of one element.
    pub bytes: u64,
    /// The same type in safetensors, where there is one.
    pub plain: Option<Dtype>,
}

const fn element(name: &'static str, bytes: u64, plain: Option<Dtype>) -> ElementType {
    ElementType { name, bytes, plain }
}

/// Types that have a storage class, with its name.
const CLASSES: [(&str, ElementType); 17] = [
    ("DoubleStorage", element("float64", 8, Some(Dtype::F64))),
    ("FloatStorage", element("float32", 4, Some(Dtype::F32))),
    ("HalfStorage", element("float16", 2, Some(Dtype::F16))),
    ("BFloat16Storage", element("bfloat16", 2, Some(Dtype::BF16))),
    ("LongStorage", element("int64", 8, Some(Dtype::I64))),
    ("IntStorage", element("int32", 4, Some(Dtype::I32))),
    ("ShortStorage", element("int16", 2, Some(Dtype::I16))),
    ("CharStorage", element("int8", 1, Some(Dtype::I8))),
    ("ByteStorage", element("uint8", 1, Some(Dtype::U8))),
    ("BoolStorage", element("bool", 1, Some(Dtype::Bool))),
    ("ComplexDoubleStorage", element("complex128", 16, None)),
    ("ComplexFloatStorage", element("complex64", 8, None)),
    ("QUInt8Storage", element("quint8", 1, None)),
    ("QInt8Storage", element("qint8", 1, None)),
    ("QInt32Storage", element("qint32", 4, None)),
    ("QUInt4x2Storage", element("quint4x2", 1, None)),
    ("QUInt2x4Storage", element("quint2x4", 1, None)),
];

/// Types without a storage class of their own: their storages are untyped.
const OTHERS: [ElementType; 10] = [
    element("float8_e4m3fn", 1, Some(Dtype::F8E4M3)),
    element("float8_e5m2", 1, Some(Dtype::F8E5M2)),
    element("float8_e4m3fnuz", 1, None),
    element("float8_e5m2fnuz", 1, None),
    element("float8_e8m0fnu", 1, None),
    element("float4_e2m1fn_x2", 1, None),
    element("uint16", 2, Some(Dtype::U16)),
    element("uint32", 4, Some(Dtype::U32)),
    element("uint64", 8, Some(Dtype::U64)),
    element("complex32", 4, None),
];

impl ElementType {
    /// A byte, which is what untyped storages are made of.
    pub const BYTE: Self = element("uint8", 1, Some(Dtype::U8));

    /// The type for which a storage class of `torch` or `torch.storage` stands.
    pub(super) fn of_class(class: &str) -> Option<Self> {
        if matches!(class, "UntypedStorage" | "_UntypedStorage") {
            return Some(Self::BYTE);
        }
        CLASSES.iter().find(|(name, _)| *name == class).map(|(_, element)| *element)
    }

    /// The type of that name.
    pub fn named(name: &str) -> Option<Self> {
        let name = match name {
            "double" => "float64",
            "float" => "float32",
            "half" => "float16",
            "long" => "int64",
            "int" => "int32",
            "short" => "int16",
            "cdouble" => "complex128",
            "cfloat" => "complex64",
            "chalf" => "complex32",
            name => name,
        };
        let classes = CLASSES.iter().map(|(_, element)| element);
        classes.chain(&OTHERS).find(|element| element.name == name).copied()
    }
}
