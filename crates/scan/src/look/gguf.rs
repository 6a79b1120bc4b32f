//! GGUF: metadata, the scales of quantised blocks, plain values, bytes between tensors.

use tensor::gguf::{GgmlType, Gguf, Value, View as Block};
use tensor::safetensors::{Dtype, View};

use super::notes::{Notes, shown};
use super::{tensors, text};
use crate::finding::Place;
use crate::report::Examined;

/// Looks at a GGUF file.
pub(super) fn look(bytes: &[u8], notes: &mut Notes<'_>) -> Examined {
    let file = match Gguf::read(bytes) {
        Ok(file) => file,
        Err(error) => {
            let message = format!("the file breaks the GGUF format: {error}");
            notes.find("SCAN-FIL-009", Place::File, message, [error.code().to_owned()]);
            notes.unexamined("the tensors of a file that breaks its format");
            return Examined::Part;
        }
    };
    metadata(&file, notes);
    for (at, padding) in file.padding() {
        if padding.iter().any(|&byte| byte != 0) {
            let message =
                format!("{} bytes between tensors, which nothing reads, are not zero", padding.len());
            notes.find("SCAN-GGF-001", Place::Byte(at), message, []);
        }
    }
    let blocks: Vec<Block<'_>> = file.views().collect();
    let plain: Vec<View<'_>> = blocks
        .iter()
        .filter_map(|block| {
            Some(View { name: block.name, dtype: plain(block.kind)?, shape: block.shape, data: block.data })
        })
        .collect();
    tensors::all(&plain, notes);
    for block in blocks.iter().filter(|block| plain_of(block.kind)) {
        scales(block, notes);
    }
    Examined::Whole
}

const fn plain_of(kind: GgmlType) -> bool {
    plain(kind).is_none()
}

/// The types that are stored element by element.
const fn plain(kind: GgmlType) -> Option<Dtype> {
    match kind {
        GgmlType::F32 => Some(Dtype::F32),
        GgmlType::F16 => Some(Dtype::F16),
        GgmlType::BF16 => Some(Dtype::BF16),
        GgmlType::F64 => Some(Dtype::F64),
        GgmlType::I8 => Some(Dtype::I8),
        GgmlType::I16 => Some(Dtype::I16),
        GgmlType::I32 => Some(Dtype::I32),
        GgmlType::I64 => Some(Dtype::I64),
        _ => None,
    }
}

/// Where the half-precision scales of a block stand (`ggml-common.h`).
const fn scale_places(kind: GgmlType) -> &'static [usize] {
    match kind {
        GgmlType::Q4_0 | GgmlType::Q5_0 | GgmlType::Q8_0 | GgmlType::IQ4_NL => &[0],
        GgmlType::Q4_1 | GgmlType::Q5_1 | GgmlType::Q8_1 | GgmlType::Q4_K | GgmlType::Q5_K => &[0, 2],
        GgmlType::Q2_K => &[80, 82],
        GgmlType::Q3_K => &[108],
        GgmlType::Q6_K => &[208],
        _ => &[],
    }
}

/// Scales that are not finite make a whole block of elements not finite.
fn scales(block: &Block<'_>, notes: &mut Notes<'_>) {
    let places = scale_places(block.kind);
    if places.is_empty() {
        notes.unexamined(&format!("the values of tensor `{}` ({})", shown(block.name), block.kind.name()));
        return;
    }
    let size = block.kind.block_bytes();
    let broken = block
        .data
        .chunks_exact(size)
        .filter(|bytes| {
            places.iter().any(|&at| {
                let half =
                    bytes.get(at..at + 2).and_then(|half| half.try_into().ok()).map(u16::from_le_bytes);
                half.is_some_and(|half| half & 0x7c00 == 0x7c00)
            })
        })
        .count();
    if broken > 0 {
        let message =
            format!("the scales of {broken} blocks of tensor `{}` are not finite", shown(block.name));
        notes.find("SCAN-GGF-002", Place::Tensor(block.name.to_owned()), message, []);
    }
}

/// Strings that a person or a template reads, and numbers of tokens.
fn metadata(file: &Gguf<'_>, notes: &mut Notes<'_>) {
    let tokens = file.value("tokenizer.ggml.tokens").and_then(Value::as_array).map(tensor::gguf::Array::len);
    for (key, value) in file.metadata() {
        let place = || Place::Key((*key).to_owned());
        if let Some(told) = value.as_text() {
            if key.starts_with("tokenizer.chat_template") {
                super::template::look(told, key, notes);
                continue;
            }
            if *key == "tokenizer.huggingface.json" {
                super::json::embedded_tokenizer(told, key, notes);
                continue;
            }
            text::invisible(told, notes, |_, _| place());
        }
        if let (Some(tokens), Some(number)) = (tokens, value.as_unsigned())
            && key.starts_with("tokenizer.ggml.")
            && key.ends_with("_token_id")
            && number >= tokens
        {
            let message = format!("`{}` is {number}, and there are {tokens} tokens", shown(key));
            notes.find("SCAN-GGF-003", place(), message, []);
        }
    }
}
