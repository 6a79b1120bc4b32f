//! What a file is: by its content first, then by its name. Where the two disagree, that is a finding.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Tensors behind a JSON header.
    Safetensors,
    /// llama.cpp's container.
    Gguf,
    /// A stream of pickle opcodes.
    Pickle,
    /// A zip archive with a pickle in it, as `torch.save` writes.
    TorchZip,
    /// Any other zip archive.
    Zip,
    /// A protocol-buffer graph.
    Onnx,
    /// One NumPy array.
    Npy,
    /// A zip archive of NumPy arrays.
    Npz,
    /// HDF5, as Keras wrote it.
    Hdf5,
    /// A zip archive with a Keras configuration.
    Keras,
    /// JSON.
    Json,
    /// A Jinja template.
    Template,
    /// Python source.
    Python,
    /// A program for a shell or another interpreter.
    Script,
    /// A program or library: ELF.
    Elf,
    /// A program or library: Portable Executable.
    Pe,
    /// A program or library: Mach-O.
    MachO,
    /// Java class or jar, or WebAssembly.
    Bytecode,
    /// Packed with something other than zip.
    Archive,
    /// TensorFlow Lite, SavedModel and others that are known and not read.
    OtherModel,
    /// Words for people.
    Text,
    /// An image, a sound or a document.
    Media,
    /// Nothing in it.
    Empty,
    /// None of these.
    Unknown,
    /// A link, a device, or what could not be opened.
    NoFile,
}

impl Kind {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Gguf => "GGUF",
            Self::Pickle => "pickle",
            Self::TorchZip => "PyTorch archive",
            Self::Zip => "zip archive",
            Self::Onnx => "ONNX",
            Self::Npy => "NumPy array",
            Self::Npz => "NumPy archive",
            Self::Hdf5 => "HDF5",
            Self::Keras => "Keras archive",
            Self::Json => "JSON",
            Self::Template => "template",
            Self::Python => "Python source",
            Self::Script => "script",
            Self::Elf => "ELF program or library",
            Self::Pe => "Windows program or library",
            Self::MachO => "Mach-O program or library",
            Self::Bytecode => "bytecode",
            Self::Archive => "archive",
            Self::OtherModel => "model of a kind that is not read",
            Self::Text => "text",
            Self::Media => "media",
            Self::Empty => "empty file",
            Self::Unknown => "unknown",
            Self::NoFile => "no file",
        }
    }

    /// Whether it is code by itself.
    pub const fn is_program(self) -> bool {
        matches!(self, Self::Python | Self::Script | Self::Elf | Self::Pe | Self::MachO | Self::Bytecode)
    }
}

/// First bytes, and what they say.
const MAGIC: &[(&[u8], Kind)] = &[
    (b"GGUF", Kind::Gguf),
    (b"PK\x03\x04", Kind::Zip),
    (b"PK\x05\x06", Kind::Zip),
    (b"PK\x07\x08", Kind::Zip),
    (b"\x93NUMPY", Kind::Npy),
    (b"\x89HDF\r\n\x1a\n", Kind::Hdf5),
    (b"\x7fELF", Kind::Elf),
    (b"\xcf\xfa\xed\xfe", Kind::MachO),
    (b"\xce\xfa\xed\xfe", Kind::MachO),
    (b"\xfe\xed\xfa\xcf", Kind::MachO),
    (b"\xfe\xed\xfa\xce", Kind::MachO),
    (b"\xca\xfe\xba\xbe", Kind::Bytecode),
    (b"\0asm", Kind::Bytecode),
    (b"\x1f\x8b", Kind::Archive),
    (b"BZh", Kind::Archive),
    (b"\xfd7zXZ\0", Kind::Archive),
    (b"7z\xbc\xaf\x27\x1c", Kind::Archive),
    (b"\x28\xb5\x2f\xfd", Kind::Archive),
    (b"\x04\x22\x4d\x18", Kind::Archive),
    (b"Rar!\x1a\x07", Kind::Archive),
    (b"ZF", Kind::Archive),
    (b"\x89PNG\r\n\x1a\n", Kind::Media),
    (b"\xff\xd8\xff", Kind::Media),
    (b"GIF8", Kind::Media),
    (b"%PDF-", Kind::Media),
    (b"RIFF", Kind::Media),
    (b"OggS", Kind::Media),
    (b"#!", Kind::Script),
];

/// Endings of names, and what they promise.
const ENDINGS: &[(&str, Kind)] = &[
    (".safetensors", Kind::Safetensors),
    (".gguf", Kind::Gguf),
    (".ggml", Kind::OtherModel),
    (".pkl", Kind::Pickle),
    (".pickle", Kind::Pickle),
    (".dill", Kind::Pickle),
    (".joblib", Kind::Pickle),
    (".pt", Kind::TorchZip),
    (".pth", Kind::TorchZip),
    (".ckpt", Kind::TorchZip),
    (".mar", Kind::Zip),
    (".zip", Kind::Zip),
    (".nemo", Kind::Archive),
    (".onnx", Kind::Onnx),
    (".npy", Kind::Npy),
    (".npz", Kind::Npz),
    (".h5", Kind::Hdf5),
    (".hdf5", Kind::Hdf5),
    (".keras", Kind::Keras),
    (".json", Kind::Json),
    (".jinja", Kind::Template),
    (".jinja2", Kind::Template),
    (".j2", Kind::Template),
    (".py", Kind::Python),
    (".pyw", Kind::Python),
    (".pyx", Kind::Python),
    (".ipynb", Kind::Python),
    (".sh", Kind::Script),
    (".bash", Kind::Script),
    (".zsh", Kind::Script),
    (".ps1", Kind::Script),
    (".bat", Kind::Script),
    (".cmd", Kind::Script),
    (".js", Kind::Script),
    (".rb", Kind::Script),
    (".pl", Kind::Script),
    (".lua", Kind::Script),
    (".so", Kind::Elf),
    (".dll", Kind::Pe),
    (".exe", Kind::Pe),
    (".pyd", Kind::Pe),
    (".dylib", Kind::MachO),
    (".pyc", Kind::Bytecode),
    (".pyo", Kind::Bytecode),
    (".class", Kind::Bytecode),
    (".jar", Kind::Bytecode),
    (".wasm", Kind::Bytecode),
    (".tar", Kind::Archive),
    (".gz", Kind::Archive),
    (".tgz", Kind::Archive),
    (".bz2", Kind::Archive),
    (".xz", Kind::Archive),
    (".7z", Kind::Archive),
    (".zst", Kind::Archive),
    (".lz4", Kind::Archive),
    (".rar", Kind::Archive),
    (".tflite", Kind::OtherModel),
    (".pb", Kind::OtherModel),
    (".pbtxt", Kind::OtherModel),
    (".msgpack", Kind::OtherModel),
    (".pmml", Kind::OtherModel),
    (".mlmodel", Kind::OtherModel),
    (".llamafile", Kind::Elf),
    (".md", Kind::Text),
    (".txt", Kind::Text),
    // Lines of JSON are no document.
    (".jsonl", Kind::Text),
    (".ndjson", Kind::Text),
    (".csv", Kind::Text),
    (".tsv", Kind::Text),
    (".yaml", Kind::Text),
    (".yml", Kind::Text),
    (".toml", Kind::Text),
    (".png", Kind::Media),
    (".jpg", Kind::Media),
    (".jpeg", Kind::Media),
    (".gif", Kind::Media),
    (".pdf", Kind::Media),
    (".wav", Kind::Media),
];

/// What the name promises.
pub fn by_name(name: &str) -> Option<Kind> {
    let lower = name.to_ascii_lowercase();
    ENDINGS.iter().find(|(ending, _)| lower.ends_with(ending)).map(|(_, kind)| *kind)
}

/// What the first bytes say, where they say it beyond doubt.
pub fn by_content(bytes: &[u8]) -> Option<Kind> {
    if bytes.is_empty() {
        return Some(Kind::Empty);
    }
    if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(*kind);
    }
    if is_pe(bytes) {
        return Some(Kind::Pe);
    }
    if is_pickle(bytes) {
        return Some(Kind::Pickle);
    }
    if is_safetensors(bytes) {
        return Some(Kind::Safetensors);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some(Kind::Archive);
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return Some(Kind::OtherModel);
    }
    None
}

/// `MZ`, and the header it points to.
fn is_pe(bytes: &[u8]) -> bool {
    let at = bytes.get(0x3c..0x40).and_then(|at| at.try_into().ok()).map(u32::from_le_bytes);
    let header = at.and_then(|at| usize::try_from(at).ok()).and_then(|at| bytes.get(at..)?.get(..4));
    bytes.starts_with(b"MZ") && header == Some(b"PE\0\0")
}

/// Protocol 2 to 5: the opcode PROTO, then an opcode that can follow it.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, next, ..] if b"\x95}])({K]c\x8cX\x8a\x8bUTNI\x88\x89JMG(\x8e\x96B".contains(next))
}

/// A length that the file holds, and an object at its place.
fn is_safetensors(bytes: &[u8]) -> bool {
    let length = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
    length.is_some_and(|length| length > 1 && length <= bytes.len() as u64) && bytes.get(8) == Some(&b'{')
}

/// Whether two answers may stand for one file: a container read by its general and by its special name, say.
pub(crate) const fn agree(content: Kind, name: Kind) -> bool {
    match (content, name) {
        (Kind::Zip, Kind::TorchZip | Kind::Npz | Kind::Keras | Kind::Bytecode | Kind::Archive)
        // `torch.save` wrote bare pickles before it wrote archives; joblib and others compress theirs.
        | (Kind::Pickle, Kind::TorchZip)
        | (Kind::Archive, Kind::Pickle)
        | (Kind::Script, Kind::Python)
        // Python's compiled modules end in `.so` on several systems, and fat Mach-O files begin as Java classes do.
        | (Kind::MachO, Kind::Elf)
        | (Kind::Bytecode, Kind::MachO)
        | (Kind::Empty, _) => true,
        _ => content as u8 == name as u8,
    }
}

#[cfg(test)]
mod tests;
