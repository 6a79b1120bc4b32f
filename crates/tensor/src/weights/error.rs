//! Why weights could not be listed or decoded.

/// A refusal to list or decode tensors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// Two tensors of one name.
    #[error("the tensor `{tensor}` stands twice")]
    Repeated {
        /// The name.
        tensor: String,
    },
    /// A tensor whose bytes do not fit its shape and type.
    #[error("the tensor `{tensor}` has {bytes} bytes, which do not fit its shape and type")]
    Bytes {
        /// The tensor.
        tensor: String,
        /// How many there are.
        bytes: usize,
    },
    /// Rows that the tensor does not have, or a buffer that does not hold exactly the rows asked for.
    #[error("rows {begin}..{end} of `{tensor}`, which has {rows}, do not fit a buffer of {buffer} elements")]
    Rows {
        /// The tensor.
        tensor: String,
        /// First row asked for.
        begin: usize,
        /// One past the last.
        end: usize,
        /// Rows there are.
        rows: usize,
        /// Elements the buffer holds.
        buffer: usize,
    },
    /// A type whose blocks cannot be turned back into numbers here.
    #[error("the blocks of `{tensor}` are of type `{element}`, which is not decoded")]
    NotDecodable {
        /// The tensor.
        tensor: String,
        /// The type.
        element: &'static str,
    },
    /// A number of heads that does not divide the rows into pairs.
    #[error("the {rows} rows of `{tensor}` are not {heads} heads of an even number of rows each")]
    Heads {
        /// The tensor.
        tensor: String,
        /// Rows there are.
        rows: usize,
        /// Heads given.
        heads: usize,
    },
    /// A tensor of a checkpoint that cannot stand as it is: quantised there, of a type of PyTorch's own, or copied
    /// beyond the limit.
    #[error(
        "the tensor `{tensor}` of the checkpoint is quantised, of a type without a name elsewhere, or too large"
    )]
    Checkpoint {
        /// The tensor.
        tensor: String,
    },
    /// A checkpoint that other readers may read otherwise.
    #[error("the checkpoint can be read in more than one way: {why}")]
    Ambiguous {
        /// What is open.
        why: String,
    },
    /// A model's configuration that cannot be read for how its layers are packed.
    #[error("the model's configuration cannot be read: {why}")]
    Configuration {
        /// What is wrong.
        why: String,
    },
    /// A way of packing layers that is not unpacked here.
    #[error("the model's layers are packed with {what}, which is not unpacked")]
    Packing {
        /// The setting and its value.
        what: String,
    },
    /// A packed layer whose tensors do not fit each other.
    #[error("the packed layer `{layer}` cannot be unpacked: {why}")]
    Layer {
        /// The layer.
        layer: String,
        /// What is wrong.
        why: String,
    },
    /// A tensor of a packed layer that is not there.
    #[error("the tensor `{tensor}`, which a packed layer needs, is not there")]
    Missing {
        /// The tensor.
        tensor: String,
    },
}

impl WeightsError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Repeated { .. } => "CS-TSR-570",
            Self::Bytes { .. } => "CS-TSR-571",
            Self::Rows { .. } => "CS-TSR-572",
            Self::NotDecodable { .. } => "CS-TSR-573",
            Self::Heads { .. } => "CS-TSR-574",
            Self::Checkpoint { .. } => "CS-TSR-575",
            Self::Configuration { .. } => "CS-TSR-576",
            Self::Ambiguous { .. } => "CS-TSR-580",
            Self::Packing { .. } => "CS-TSR-577",
            Self::Layer { .. } => "CS-TSR-578",
            Self::Missing { .. } => "CS-TSR-579",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Repeated { .. } => {
                "keep one of the two; readers differ in which they believe, so neither is taken"
            }
            Self::Bytes { .. } => "give as many bytes as shape and type need",
            Self::Rows { .. } => "ask for rows that are there, with a buffer of rows times row length",
            Self::NotDecodable { .. } => {
                "compare the bytes themselves, or convert the file to a type that is decoded"
            }
            Self::Heads { .. } => "take the numbers of heads from the same model's configuration",
            Self::Checkpoint { .. } => "save the model again as safetensors",
            Self::Ambiguous { .. } => {
                "look at it with `countersign scan`; where it can be trusted, save its `state_dict` alone, as safetensors"
            }
            Self::Configuration { .. } => "take the `config.json` that was written with these weights",
            Self::Packing { .. } => {
                "save it as `gptq`, `gptq_v2` or AWQ's `gemm` with 2, 3, 4 or 8 bits (AWQ: 4), or unpacked"
            }
            Self::Layer { .. } | Self::Missing { .. } => {
                "take weights and `config.json` of the same model, whole; bits and group size have to be theirs"
            }
        }
    }
}
