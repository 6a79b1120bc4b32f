//! Why something could not be sealed, signed or verified, each with a stable code.

use statement::Digest;

use crate::hash::Mark;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A rule that is not strict JSON of the right members.
    #[error("the rule cannot be read: {reason}")]
    RuleForm {
        /// What the reader says.
        reason: String,
    },
    /// A rule with a value that it must not have.
    #[error("the rule cannot be used: {reason}")]
    Rule {
        /// Why.
        reason: &'static str,
    },
    /// A tensor name that is empty, too long or holds control characters.
    #[error("the tensor name `{name}` is empty, too long or holds control characters")]
    Name {
        /// The name, escaped and shortened.
        name: String,
    },
    /// More dimensions than the limit.
    #[error("tensor `{tensor}` has more than 16 dimensions")]
    Rank {
        /// The tensor.
        tensor: String,
    },
    /// Shape and elements, or shape and block hashes, that do not fit together.
    #[error("the shape of tensor `{tensor}` does not fit its elements")]
    Shape {
        /// The tensor.
        tensor: String,
    },
    /// Two tensors of one name, or names out of order.
    #[error("tensor `{tensor}` is there twice or out of order")]
    Repeated {
        /// The tensor.
        tensor: String,
    },
    /// More tensors than the limit.
    #[error("there are more than {limit} tensors")]
    TooManyTensors {
        /// The limit.
        limit: usize,
    },
    /// Elements that cannot be decoded.
    #[error("the elements of tensor `{tensor}` cannot be decoded: {reason}")]
    Decode {
        /// The tensor.
        tensor: String,
        /// Why.
        reason: String,
    },
    /// A seal or difference file that has not the form of one.
    #[error("the seal cannot be read: {reason}")]
    SealForm {
        /// Why.
        reason: &'static str,
    },
    /// A root that does not follow from the hashes below it.
    #[error("the root is said to be `{said}`, and is `{is}`")]
    Root {
        /// What the file says.
        said: Mark,
        /// What follows from its hashes.
        is: Mark,
    },
    /// Seals under different rules.
    #[error("the rule `{found}` is not the rule `{wanted}`")]
    OtherRule {
        /// The rule there should be.
        wanted: Digest,
        /// The rule there is.
        found: Digest,
    },
    /// A difference applied to a seal it was not made from.
    #[error("the difference is from the seal `{wanted}`, not from `{found}`")]
    OtherBase {
        /// The root there should be.
        wanted: Mark,
        /// The root there is.
        found: Mark,
    },
    /// A difference that does not fit its base.
    #[error("the change of tensor `{tensor}` does not fit the base")]
    Change {
        /// The tensor.
        tensor: String,
    },
    /// A block that is not there.
    #[error("tensor `{tensor}` has no block {block}")]
    Block {
        /// The tensor.
        tensor: String,
        /// The block.
        block: u64,
    },
    /// A block that is not the one that was sealed.
    #[error("block {block} of tensor `{tensor}` is not the one that was sealed")]
    Mismatch {
        /// The tensor.
        tensor: String,
        /// The block.
        block: u64,
    },
    /// A signature bundle that cannot be read.
    #[error("the signature bundle cannot be read at `{place}`: {reason}")]
    Bundle {
        /// Where.
        place: &'static str,
        /// Why.
        reason: String,
    },
    /// A resource name that could lead outside the model, or means different files to different readers.
    #[error("the resource name `{name}` cannot be accepted: {reason}")]
    ResourceName {
        /// The name, escaped and shortened.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// A root digest in the subject that the resources do not give.
    #[error("the signed resources give the digest `{is}`, the subject says `{said}`")]
    SubjectDigest {
        /// What the subject says.
        said: Digest,
        /// What the resources give.
        is: Digest,
    },
    /// A binding of names that the resources do not give.
    #[error("the signed names give the digest `{is}`, the bundle says `{said}`")]
    Names {
        /// What the bundle says.
        said: Digest,
        /// What the names give.
        is: Digest,
    },
    /// A key that cannot verify bundles.
    #[error("the key cannot be used: {reason}")]
    Key {
        /// Why.
        reason: &'static str,
    },
    /// A bundle signed by another key than the one given.
    #[error("the bundle names the key `{said}`, the key given is `{given}`")]
    OtherKey {
        /// The bundle's hint.
        said: String,
        /// The hint of the key given.
        given: String,
    },
    /// A signature that is not by the key over the content.
    #[error("the signature is not of this content by this key")]
    Signature,
    /// A bundle that carries a certificate where a key was given, or the other way round.
    #[error("the bundle is signed {found}, and {wanted} was given to check it by")]
    Material {
        /// How it is signed.
        found: &'static str,
        /// What was given.
        wanted: &'static str,
    },
    /// A certificate that cannot be read.
    #[error("certificate {index} of the chain cannot be read: {reason}")]
    Certificate {
        /// Its place in the chain, the signer's first.
        index: usize,
        /// Why.
        reason: &'static str,
    },
    /// A chain that does not lead to a root that was given.
    #[error("the certificate chain breaks at certificate {index}: {reason}")]
    Chain {
        /// The certificate, the signer's first.
        index: usize,
        /// Why.
        reason: &'static str,
    },
    /// A certificate outside its time.
    #[error("certificate {index} is valid from {from} to {until} (Unix seconds), and the time is {at}")]
    Expired {
        /// The certificate, the signer's first.
        index: usize,
        /// First second.
        from: i64,
        /// Last second.
        until: i64,
        /// The time it is judged at.
        at: i64,
    },
    /// A file that was signed and is not there.
    #[error("`{name}` was signed and is not there")]
    FileMissing {
        /// The resource.
        name: String,
    },
    /// A file that is there and was not signed.
    #[error("`{name}` is there and was not signed")]
    FileUnsigned {
        /// The file.
        name: String,
    },
    /// A file that differs from what was signed.
    #[error("`{name}` is not what was signed: its digest is `{is}`, `{said}` was signed")]
    FileChanged {
        /// The resource.
        name: String,
        /// What was signed.
        said: String,
        /// What is there.
        is: String,
    },
    /// A symbolic link where none was signed.
    #[error("`{name}` is a symbolic link, which this signature does not allow")]
    Link {
        /// The file.
        name: String,
    },
    /// A folder to be signed that cannot be: no files, or too many.
    #[error("the folder cannot be signed: {reason}")]
    Unsignable {
        /// Why.
        reason: &'static str,
    },
    /// A log proof that does not hold for this bundle.
    #[error("the log does not show this bundle: {reason}")]
    Inclusion {
        /// Why.
        reason: String,
    },
}

impl Error {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RuleForm { .. } => "CS-SEL-001",
            Self::Rule { .. } => "CS-SEL-002",
            Self::Name { .. } => "CS-SEL-003",
            Self::Rank { .. } => "CS-SEL-004",
            Self::Shape { .. } => "CS-SEL-005",
            Self::Repeated { .. } => "CS-SEL-006",
            Self::TooManyTensors { .. } => "CS-SEL-007",
            Self::Decode { .. } => "CS-SEL-008",
            Self::SealForm { .. } => "CS-SEL-009",
            Self::Root { .. } => "CS-SEL-010",
            Self::OtherRule { .. } => "CS-SEL-011",
            Self::OtherBase { .. } => "CS-SEL-012",
            Self::Change { .. } => "CS-SEL-013",
            Self::Block { .. } => "CS-SEL-014",
            Self::Mismatch { .. } => "CS-SEL-015",
            Self::Bundle { .. } => "CS-SEL-020",
            Self::ResourceName { .. } => "CS-SEL-021",
            Self::SubjectDigest { .. } => "CS-SEL-022",
            Self::Names { .. } => "CS-SEL-023",
            Self::Key { .. } => "CS-SEL-024",
            Self::OtherKey { .. } => "CS-SEL-025",
            Self::Signature => "CS-SEL-026",
            Self::Material { .. } => "CS-SEL-027",
            Self::Certificate { .. } => "CS-SEL-028",
            Self::Chain { .. } => "CS-SEL-029",
            Self::Expired { .. } => "CS-SEL-030",
            Self::FileMissing { .. } => "CS-SEL-031",
            Self::FileUnsigned { .. } => "CS-SEL-032",
            Self::FileChanged { .. } => "CS-SEL-033",
            Self::Link { .. } => "CS-SEL-034",
            Self::Unsignable { .. } => "CS-SEL-035",
            Self::Inclusion { .. } => "CS-SEL-036",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::RuleForm { .. } | Self::Rule { .. } => "compare the rule with docs/fingerprint.md",
            Self::Name { .. } | Self::Rank { .. } | Self::Shape { .. } | Self::TooManyTensors { .. } => {
                "the model file is damaged or not a model; fetch it again"
            }
            Self::Repeated { .. } => {
                "readers differ in which of two tensors of one name they take; have the file written again"
            }
            Self::Decode { .. } => "convert the model to safetensors first",
            Self::SealForm { .. } | Self::Root { .. } => {
                "the seal file is damaged or altered; have it made again from the model"
            }
            Self::OtherRule { .. } => "seal both models under the same rule: `--rule`",
            Self::OtherBase { .. } => "give the seal that the difference was made from",
            Self::Change { .. } => "the difference is damaged or altered; have it made again from both seals",
            Self::Block { .. } => "give a seal of this model",
            Self::Mismatch { .. } => {
                "these are not the weights that were sealed: stop serving them and find out what changed"
            }
            Self::Bundle { .. } => "the file is damaged, altered or not a signature bundle; fetch it again",
            Self::ResourceName { .. } => {
                "do not use this bundle: its signer names files that are not a model's own"
            }
            Self::SubjectDigest { .. } | Self::Names { .. } => {
                "do not use this bundle: what its signer wrote contradicts itself"
            }
            Self::Key { .. } => "use an ECDSA key on P-256, P-384 or P-521 in PEM",
            Self::OtherKey { .. } => "ask the signer for the public key, or check who signed this",
            Self::Signature => {
                "the bundle was altered after it was signed, or is by another key: do not use it"
            }
            Self::Material { .. } => {
                "give `--public-key` for keys and `--certificate-chain` for certificates"
            }
            Self::Certificate { .. } => {
                "ask the signer for certificates in DER (in the bundle) or PEM (beside it)"
            }
            Self::Chain { .. } => "give the root certificate that you trust; do not take it from the bundle",
            Self::Expired { .. } => {
                "nothing shows that it was signed in time: give a log inclusion, or the time to judge it at with `--at`"
            }
            Self::FileMissing { .. } | Self::FileChanged { .. } => {
                "this is not the model that was signed; fetch it again"
            }
            Self::FileUnsigned { .. } => {
                "remove the file, or pass `--ignore PATH` if you know why it is there"
            }
            Self::Link { .. } => "replace the link by the file, or sign with `--allow-symlinks`",
            Self::Unsignable { .. } => "give a file or folder with the model's files",
            Self::Inclusion { .. } => {
                "ask the log for a proof of this bundle, and check the log's and witnesses' keys"
            }
        }
    }

    pub(crate) fn rule_form(reason: impl std::fmt::Display) -> Self {
        Self::RuleForm { reason: reason.to_string() }
    }

    pub(crate) fn bundle(place: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Bundle { place, reason: reason.to_string() }
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
