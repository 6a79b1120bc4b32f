//! Why a file could not be read or measured, each with a stable code.

use crate::json;

/// A refusal of a file as a whole. What is wrong with a *change* in a well-formed file is a
/// [`Violation`](crate::scope::Violation) instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Shorter than its own length field, or than the header that field announces.
    #[error("the file has {length} bytes where its header needs {needed}")]
    Truncated {
        /// Bytes in the file.
        length: u64,
        /// Bytes the length field and the header need.
        needed: u64,
    },
    /// The announced header is larger than the limit.
    #[error("the header is announced as {announced} bytes, the limit is {limit}")]
    HeaderTooLarge {
        /// What the length field says.
        announced: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The file is of another format.
    #[error("the file is no safetensors file: it begins like {found}")]
    Format {
        /// What it begins like.
        found: &'static str,
    },
    /// The header does not begin with `{`, or something other than spaces follows its object.
    #[error("the header is not one JSON object padded with spaces: byte {at} is out of place")]
    HeaderFrame {
        /// Offset in the header.
        at: usize,
    },
    /// A JSON text that cannot be read.
    #[error("the {document} is not JSON that can be read")]
    Json {
        /// Which document.
        document: &'static str,
        /// Where and why.
        #[source]
        fault: json::Fault,
    },
    /// The same name twice in one object.
    #[error("`{name}` is named twice in the {document}")]
    Repeated {
        /// Which document.
        document: &'static str,
        /// The repeated name.
        name: String,
    },
    /// A tensor name that is empty, too long or holds control characters.
    #[error("the tensor name `{name}` is empty, too long or holds control characters")]
    Name {
        /// The name, escaped and shortened.
        name: String,
    },
    /// A dtype that the format does not know.
    #[error("tensor `{tensor}` has the unknown dtype `{dtype}`")]
    Dtype {
        /// The tensor.
        tensor: String,
        /// What stands there, escaped and shortened.
        dtype: String,
    },
    /// A tensor entry lacks a member, or has one that does not belong there.
    #[error("tensor `{tensor}`: the member `{member}` is missing or does not belong there")]
    Member {
        /// The tensor.
        tensor: String,
        /// The member, escaped and shortened.
        member: String,
    },
    /// More dimensions than the limit.
    #[error("tensor `{tensor}` has more than {limit} dimensions")]
    Rank {
        /// The tensor.
        tensor: String,
        /// The limit in force.
        limit: usize,
    },
    /// The product of the dimensions does not fit.
    #[error("the shape of tensor `{tensor}` overflows")]
    ShapeOverflow {
        /// The tensor.
        tensor: String,
    },
    /// Offsets that are reversed or point outside the file.
    #[error("the offsets {begin}..{end} of tensor `{tensor}` are not inside the {length} bytes of data")]
    Offsets {
        /// The tensor.
        tensor: String,
        /// First byte.
        begin: u64,
        /// One past the last byte.
        end: u64,
        /// Bytes of data in the file.
        length: u64,
    },
    /// The offsets do not span what shape and dtype need.
    #[error("tensor `{tensor}` spans {span} bytes where its shape and dtype need {needed}")]
    Span {
        /// The tensor.
        tensor: String,
        /// What the offsets span.
        span: u64,
        /// What shape and dtype need.
        needed: u64,
    },
    /// Two tensors share bytes.
    #[error("tensor `{tensor}` begins before the tensor ahead of it ends")]
    Overlap {
        /// The later tensor.
        tensor: String,
    },
    /// Bytes that belong to no tensor, between two.
    #[error("{bytes} bytes before tensor `{tensor}` belong to no tensor")]
    Hole {
        /// The tensor after the hole.
        tensor: String,
        /// How many bytes.
        bytes: u64,
    },
    /// Bytes that belong to no tensor, at the end.
    #[error("{bytes} bytes at the end of the file belong to no tensor")]
    Trailing {
        /// How many bytes.
        bytes: u64,
    },
    /// More tensors than the limit.
    #[error("the file holds more than {limit} tensors")]
    TooManyTensors {
        /// The limit in force.
        limit: usize,
    },
    /// `__metadata__` is not an object of strings.
    #[error("`__metadata__` is not an object of strings")]
    Metadata,
    /// A document's member has the wrong type or a value outside its range.
    #[error("the {document}: `{member}` must be {expected}")]
    Type {
        /// Which document.
        document: &'static str,
        /// The member.
        member: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A document lacks a member it must have.
    #[error("the {document} lacks `{member}`")]
    Missing {
        /// Which document.
        document: &'static str,
        /// The member.
        member: &'static str,
    },
    /// A shard name that is not a plain file name.
    #[error("the shard `{name}` is not a plain `.safetensors` file name")]
    ShardName {
        /// The name, escaped and shortened.
        name: String,
    },
    /// Index and shards do not say the same.
    #[error("tensor `{tensor}` is in shard `{shard}` according to only one of the index and the shards")]
    ShardContent {
        /// The tensor.
        tensor: String,
        /// The shard.
        shard: String,
    },
    /// A shard that the index names was not given, or one was given that it does not name.
    #[error("the shard `{shard}` is not both named by the index and given once")]
    ShardSet {
        /// The shard.
        shard: String,
    },
    /// An adapter that is not a low-rank adapter.
    #[error("the adapter type `{found}` is not `LORA`")]
    AdapterType {
        /// What the configuration says, escaped and shortened.
        found: String,
    },
    /// A tensor to be written whose bytes do not fit its shape and dtype, or whose name cannot stand.
    #[error("tensor `{tensor}` cannot be written: name, shape, dtype and bytes do not fit together")]
    Write {
        /// The tensor.
        tensor: String,
    },
    /// An element that is not finite, or too large or small to be measured without rounding it away.
    #[error("element {index} of tensor `{tensor}` is not finite or not between 2^-149 and 2^128")]
    Element {
        /// The tensor.
        tensor: String,
        /// Position in row-major order.
        index: u64,
    },
    /// A base weight whose shape the change does not fit.
    #[error("the change to `{place}` is {change} where the base weight is {base}")]
    Shape {
        /// The module or tensor.
        place: String,
        /// Shape of the change.
        change: String,
        /// Shape of the base weight.
        base: String,
    },
    /// A change that is defined only relative to a base weight, which is not at hand.
    #[error("the change to `{place}` can only be measured against its base weight")]
    NeedsBase {
        /// The module.
        place: String,
    },
    /// A change that this crate has no sound measure for within the work allowed.
    #[error("the change to `{place}` cannot be measured: {reason}")]
    Unmeasurable {
        /// The module.
        place: String,
        /// Why.
        reason: &'static str,
    },
    /// A pattern that cannot be read.
    #[error("the pattern `{pattern}` is not a dotted path with `*` inside a segment or `**` as one")]
    Pattern {
        /// The pattern, escaped and shortened.
        pattern: String,
    },
    /// A scope file that does not have the form of one.
    #[error("the scope is not in the form of a scope: {reason}")]
    Scope {
        /// What the reader says.
        reason: String,
    },
    /// A spectrum that takes more multiply-adds than allowed, or of a matrix larger than is decomposed.
    #[error("the spectrum of the change to `{place}` takes more work than is allowed")]
    SpectrumWork {
        /// The module or tensor.
        place: String,
    },
    /// The iteration for a spectrum did not settle.
    #[error("the spectrum of the change to `{place}` does not settle")]
    SpectrumUnsettled {
        /// The module or tensor.
        place: String,
    },
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "CS-TSR-001",
            Self::HeaderTooLarge { .. } => "CS-TSR-002",
            Self::HeaderFrame { .. } => "CS-TSR-003",
            Self::Json { .. } => "CS-TSR-004",
            Self::Repeated { .. } => "CS-TSR-005",
            Self::Name { .. } => "CS-TSR-006",
            Self::Dtype { .. } => "CS-TSR-007",
            Self::Member { .. } => "CS-TSR-008",
            Self::Rank { .. } => "CS-TSR-009",
            Self::ShapeOverflow { .. } => "CS-TSR-010",
            Self::Offsets { .. } => "CS-TSR-011",
            Self::Span { .. } => "CS-TSR-012",
            Self::Overlap { .. } => "CS-TSR-013",
            Self::Hole { .. } => "CS-TSR-014",
            Self::Trailing { .. } => "CS-TSR-015",
            Self::TooManyTensors { .. } => "CS-TSR-016",
            Self::Metadata => "CS-TSR-017",
            Self::Type { .. } => "CS-TSR-018",
            Self::Missing { .. } => "CS-TSR-019",
            Self::ShardName { .. } => "CS-TSR-020",
            Self::ShardContent { .. } => "CS-TSR-021",
            Self::ShardSet { .. } => "CS-TSR-022",
            Self::AdapterType { .. } => "CS-TSR-023",
            Self::Write { .. } => "CS-TSR-024",
            Self::Element { .. } => "CS-TSR-025",
            Self::Shape { .. } => "CS-TSR-026",
            Self::NeedsBase { .. } => "CS-TSR-027",
            Self::Unmeasurable { .. } => "CS-TSR-028",
            Self::Pattern { .. } => "CS-TSR-029",
            Self::Scope { .. } => "CS-TSR-030",
            Self::Format { .. } => "CS-TSR-031",
            Self::SpectrumWork { .. } => "CS-TSR-300",
            Self::SpectrumUnsettled { .. } => "CS-TSR-301",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "the file is cut short; fetch it again and compare its digest",
            Self::HeaderTooLarge { .. } | Self::TooManyTensors { .. } | Self::Rank { .. } => {
                "no file of weights is like this: it is another format, or made to exhaust its readers; `countersign scan` tells which"
            }
            Self::Format { .. } => {
                "`countersign scan` reads this format; save the weights as safetensors to quantise or run them"
            }
            Self::HeaderFrame { .. }
            | Self::Name { .. }
            | Self::Dtype { .. }
            | Self::Member { .. }
            | Self::ShapeOverflow { .. }
            | Self::Offsets { .. }
            | Self::Span { .. }
            | Self::Overlap { .. }
            | Self::Hole { .. }
            | Self::Trailing { .. }
            | Self::Metadata => {
                "the file breaks the safetensors format; other readers may see another model in it: do not use it"
            }
            Self::Json { .. } => "mend the JSON at the byte named",
            Self::Repeated { .. } => {
                "keep one of the two; readers differ in which they believe, so neither is taken"
            }
            Self::Type { .. } | Self::Missing { .. } => "write the member as the format's documentation says",
            Self::ShardName { .. } => "name shards by plain file names beside the index",
            Self::ShardContent { .. } | Self::ShardSet { .. } => "make the index from the shards again",
            Self::AdapterType { .. } => "only LoRA adapters can be checked; propose others as whole weights",
            Self::Write { .. } => "give as many bytes as the product of the shape times the dtype's size",
            Self::Element { .. } => "find out which step of training made the value; do not use the file",
            Self::Shape { .. } => "check that the adapter was made for this base model",
            Self::NeedsBase { .. } => "give the base weights as well",
            Self::Unmeasurable { .. } => "merge the adapter and propose the result as whole weights",
            Self::Pattern { .. } => "write patterns like `model.layers.*.self_attn.q_proj` or `**.q_proj`",
            Self::Scope { .. } => {
                "docs/scope.md says what a scope holds, and docs/scope.schema.json is its schema"
            }
            Self::SpectrumWork { .. } => "raise the work limit, or leave the spectrum out",
            Self::SpectrumUnsettled { .. } => "look at the norms alone, and find out how the tensor was made",
        }
    }

    /// Wraps a JSON fault, giving repeated names their own code.
    pub(crate) fn json(document: &'static str, fault: json::Fault) -> Self {
        match fault.kind {
            json::FaultKind::Repeated(name) => Self::Repeated { document, name: shown(&name) },
            _ => Self::Json { document, fault },
        }
    }
}

/// A stranger's text, escaped and shortened, fit for a message.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 120;
    let mut shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('\u{2026}');
    }
    shown
}
