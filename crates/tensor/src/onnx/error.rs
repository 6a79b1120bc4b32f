//! Why an ONNX model could not be read.

/// A refusal of an ONNX model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// Bytes that are no protobuf message: a cut field, an overlong number, a group, the field number 0.
    #[error("byte {at} is not part of a protobuf message: {reason}")]
    Wire {
        /// Offset in the file.
        at: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A field with another wire type than the schema gives it.
    #[error("field {field} of `{message}` at byte {at} has another wire type than it should")]
    WireType {
        /// The message.
        message: &'static str,
        /// The field's number.
        field: u32,
        /// Offset in the file.
        at: u64,
    },
    /// A field that may stand once stands again; readers differ in which they believe.
    #[error("field {field} of `{message}` stands again at byte {at}")]
    FieldTwice {
        /// The message.
        message: &'static str,
        /// The field's number.
        field: u32,
        /// Offset in the file.
        at: u64,
    },
    /// Messages within messages, deeper than the limit.
    #[error("messages nest deeper than {limit} at byte {at}")]
    Depth {
        /// The limit in force.
        limit: usize,
        /// Offset in the file.
        at: u64,
    },
    /// More messages and list entries than the limit.
    #[error("the model holds more than {limit} messages and list entries")]
    TooMany {
        /// The limit in force.
        limit: usize,
    },
    /// A string that is not UTF-8, or a name with control characters or beyond the limit.
    #[error("the text at byte {at} is not UTF-8, too long, or holds control characters")]
    Text {
        /// Offset in the file.
        at: u64,
    },
    /// A message lacks a field without which it means nothing.
    #[error("a `{message}` lacks its `{field}`")]
    Missing {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
    },
    /// An element type that is not known.
    #[error("`{tensor}` has the unknown element type {number}")]
    ElementType {
        /// The tensor.
        tensor: String,
        /// The number.
        number: u64,
    },
    /// A dimension that is negative, too many of them, or a product that overflows.
    #[error("the shape of `{tensor}` is negative, has too many dimensions or overflows")]
    Shape {
        /// The tensor.
        tensor: String,
    },
    /// Data that does not fit shape and type, stands in the wrong field or in several, or does not fit its element.
    #[error("the data of `{tensor}` does not fit its shape and type, or stands in several places")]
    Data {
        /// The tensor.
        tensor: String,
    },
    /// External data whose place is not a plain file name with whole numbers, or lies outside that file.
    #[error("the external data of `{tensor}` is not a range of a file beside the model: `{location}`")]
    External {
        /// The tensor.
        tensor: String,
        /// Where it is said to be, escaped and shortened.
        location: String,
    },
    /// Two things of one name in one graph.
    #[error("`{name}` is defined twice in the graph `{graph}`")]
    Repeated {
        /// The graph.
        graph: String,
        /// The name.
        name: String,
    },
    /// A node or an output uses what nothing before it defines.
    #[error("`{name}` is used in the graph `{graph}` before anything defines it")]
    Undefined {
        /// The graph.
        graph: String,
        /// The name.
        name: String,
    },
    /// An attribute that does not say what it is, or whose value is not of that kind.
    #[error("the attribute `{name}` holds no value of the kind that it says")]
    Attribute {
        /// The attribute.
        name: String,
    },
}

impl OnnxError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Wire { .. } => "CS-TSR-540",
            Self::WireType { .. } => "CS-TSR-541",
            Self::FieldTwice { .. } => "CS-TSR-542",
            Self::Depth { .. } => "CS-TSR-543",
            Self::TooMany { .. } => "CS-TSR-544",
            Self::Text { .. } => "CS-TSR-545",
            Self::Missing { .. } => "CS-TSR-546",
            Self::ElementType { .. } => "CS-TSR-547",
            Self::Shape { .. } => "CS-TSR-548",
            Self::Data { .. } => "CS-TSR-549",
            Self::External { .. } => "CS-TSR-550",
            Self::Repeated { .. } => "CS-TSR-551",
            Self::Undefined { .. } => "CS-TSR-552",
            Self::Attribute { .. } => "CS-TSR-553",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Wire { .. } | Self::WireType { .. } => {
                "the file is no ONNX model or is cut short; fetch it again and compare its digest"
            }
            Self::Depth { .. } | Self::TooMany { .. } => {
                "raise the limit only if the file's maker is known and the size is expected"
            }
            Self::FieldTwice { .. }
            | Self::Text { .. }
            | Self::Missing { .. }
            | Self::Shape { .. }
            | Self::Data { .. }
            | Self::Repeated { .. }
            | Self::Undefined { .. }
            | Self::Attribute { .. } => {
                "the file breaks the ONNX format; other readers may see another model in it: do not use it"
            }
            Self::ElementType { .. } => "export the model again with element types of the ONNX standard",
            Self::External { .. } => "keep external data in one file beside the model, named without a path",
        }
    }
}
