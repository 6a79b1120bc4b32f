//! The tensors of a GGUF file under the names and in the layout that the model's `transformers` checkpoint has, so that
//! one model has one seal in either container.
//!
//! For the architectures `llama`, `qwen2` and `qwen3`, names are mapped back, and in `llama` the rows of the query and
//! key projections are put back in order (`LlamaModel.permute` of llama.cpp's `convert_hf_to_gguf.py` pairs the halves
//! of each head's rows). Tensors of other architectures keep the names of the file: their seals compare GGUF files
//! with each other only, and [`Model::naming`] says so.
//!
//! Elements in ggml's block formats are sealed as the numbers that ggml's reference dequantisation gives.

use quant::Kind;
use tensor::gguf::{GgmlType, Gguf, Value, View};
use tensor::safetensors::Dtype;

use crate::Error;
use crate::error::shown;
use crate::source::{Decode, Elements, Tensor};

/// Where the names of a model's tensors come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// The model's checkpoint.
    Canonical,
    /// The GGUF file, whose architecture is not known here.
    File,
}

/// A GGUF file's tensors, ready to be sealed.
#[derive(Debug)]
pub struct Model<'a> {
    naming: Naming,
    parts: Vec<Part<'a>>,
}

#[derive(Debug)]
struct Part<'a> {
    name: String,
    shape: Vec<u64>,
    stored: Stored<'a>,
}

#[derive(Debug)]
enum Stored<'a> {
    Plain { dtype: Dtype, bytes: &'a [u8] },
    Rows(Rows<'a>),
}

impl<'a> Model<'a> {
    /// The tensors of an open file.
    ///
    /// # Errors
    /// [`Error::Decode`] for block formats that cannot be decoded here, and for heads that do not fit their rows.
    pub fn of(file: &'a Gguf<'_>) -> Result<Self, Error> {
        let architecture = file.architecture().unwrap_or_default();
        let naming = match architecture {
            "llama" | "qwen2" | "qwen3" => Naming::Canonical,
            _ => Naming::File,
        };
        let count = |name: &str| match file.setting(name) {
            Some(Value::U32(number)) => usize::try_from(*number).ok(),
            _ => None,
        };
        let heads = count("attention.head_count");
        let key_heads = count("attention.head_count_kv").or(heads);
        let mut parts = Vec::with_capacity(file.len());
        for view in file.views() {
            let name = match naming {
                Naming::Canonical => canonical(view.name),
                Naming::File => view.name.to_owned(),
            };
            let heads = match view.name.rsplit('.').nth(1) {
                _ if architecture != "llama" => None,
                Some("attn_q") => Some(heads),
                Some("attn_k") => Some(key_heads),
                _ => None,
            };
            let paired = match heads {
                None => None,
                Some(heads) => Some(paired(&view, heads)?),
            };
            let shape = view.shape.iter().map(|&dimension| dimension as u64).collect();
            parts.push(Part { name, shape, stored: stored(&view, paired)? });
        }
        Ok(Self { naming, parts })
    }

    /// Where the names come from.
    pub const fn naming(&self) -> Naming {
        self.naming
    }

    /// The tensors.
    ///
    /// # Errors
    /// As [`Tensor::new`].
    pub fn tensors(&self) -> Result<Vec<Tensor<'_>>, Error> {
        self.parts
            .iter()
            .map(|part| {
                let elements = match &part.stored {
                    Stored::Plain { dtype, bytes } => Elements::Plain { dtype: *dtype, bytes },
                    Stored::Rows(rows) => Elements::Coded(rows),
                };
                Tensor::new(part.name.as_str(), part.shape.clone(), elements)
            })
            .collect()
    }
}

/// Rows of a head whose halves are paired in the file.
fn paired(view: &View<'_>, heads: Option<usize>) -> Result<usize, Error> {
    let rows = view.shape.first().copied().unwrap_or(0);
    let head = heads.filter(|heads| *heads > 0 && rows.is_multiple_of(*heads)).map(|heads| rows / heads);
    head.filter(|head| *head > 0 && head.is_multiple_of(2)).ok_or_else(|| Error::Decode {
        tensor: shown(view.name),
        reason: "the number of attention heads does not fit its rows".to_owned(),
    })
}

fn stored<'a>(view: &View<'a>, paired: Option<usize>) -> Result<Stored<'a>, Error> {
    let dtype = match view.kind {
        GgmlType::F32 => Some(Dtype::F32),
        GgmlType::F16 => Some(Dtype::F16),
        GgmlType::BF16 => Some(Dtype::BF16),
        GgmlType::F64 => Some(Dtype::F64),
        GgmlType::I8 => Some(Dtype::I8),
        GgmlType::I16 => Some(Dtype::I16),
        GgmlType::I32 => Some(Dtype::I32),
        GgmlType::I64 => Some(Dtype::I64),
        _ => None,
    };
    let refused = |reason: &str| Err(Error::Decode { tensor: shown(view.name), reason: reason.to_owned() });
    let form = match dtype {
        Some(dtype) if paired.is_none() => return Ok(Stored::Plain { dtype, bytes: view.data }),
        Some(Dtype::F32) => Form::Single,
        Some(Dtype::F16) => Form::Half,
        Some(Dtype::BF16) => Form::Brain,
        Some(_) => return refused("its element type has no place in an attention projection"),
        None => match Kind::from_ggml_type(view.kind.number()) {
            Some(kind) => Form::Blocks(kind),
            None => return refused("its block format cannot be decoded here"),
        },
    };
    // One element in a row for a bias, whose elements are put in order like rows.
    let columns = match (view.shape, paired) {
        ([_], Some(_)) => 1,
        (shape, _) => shape.last().copied().unwrap_or(1),
    };
    let length = view.elements_len();
    let row_bytes = match form {
        Form::Single => columns.checked_mul(4),
        Form::Half | Form::Brain => columns.checked_mul(2),
        Form::Blocks(kind) => kind.bytes_of(columns),
    };
    let Some(row_bytes) = row_bytes.filter(|bytes| length / columns.max(1) * bytes == view.data.len()) else {
        return refused("its bytes are not whole rows");
    };
    let name = shown(view.name);
    Ok(Stored::Rows(Rows { name, form, data: view.data, columns, row_bytes, length, head: paired }))
}

/// How the elements of a row are stored.
#[derive(Debug, Clone, Copy)]
enum Form {
    Single,
    Half,
    Brain,
    Blocks(Kind),
}

/// Rows that are decoded on demand.
#[derive(Debug)]
struct Rows<'a> {
    name: String,
    form: Form,
    data: &'a [u8],
    columns: usize,
    row_bytes: usize,
    length: usize,
    /// Rows of a head, where the file pairs their halves.
    head: Option<usize>,
}

impl Rows<'_> {
    /// Where the row of the checkpoint stands in the file.
    const fn in_file(&self, row: usize) -> usize {
        match self.head {
            None => row,
            Some(head) => {
                let (begin, place) = (row - row % head, row % head);
                let half = head / 2;
                begin + 2 * (place % half) + place / half
            }
        }
    }
}

impl Decode for Rows<'_> {
    fn length(&self) -> u64 {
        self.length as u64
    }

    fn decode(&self, first: u64, count: usize, out: &mut Vec<u32>) -> Result<(), Error> {
        let damaged = |reason: &str| Error::Decode { tensor: self.name.clone(), reason: reason.to_owned() };
        let first = usize::try_from(first).map_err(|_| damaged("it is too large"))?;
        let (mut at, end) = (first, first.saturating_add(count));
        let mut row_values: Vec<f32> = Vec::new();
        while at < end {
            let (row, skipped) = (at / self.columns, at % self.columns);
            let taken = (self.columns - skipped).min(end - at);
            let begin = self.in_file(row) * self.row_bytes;
            let bytes =
                self.data.get(begin..begin + self.row_bytes).ok_or_else(|| damaged("it is cut short"))?;
            match self.form {
                Form::Single => {
                    let words = bytes.as_chunks::<4>().0.iter().skip(skipped).take(taken);
                    out.extend(words.map(|word| u32::from_le_bytes(*word)));
                }
                Form::Half => {
                    let words = bytes.as_chunks::<2>().0.iter().skip(skipped).take(taken);
                    out.extend(words.map(|word| crate::coding::f32_of_f16(u16::from_le_bytes(*word))));
                }
                Form::Brain => {
                    let words = bytes.as_chunks::<2>().0.iter().skip(skipped).take(taken);
                    out.extend(words.map(|word| u32::from(u16::from_le_bytes(*word)) << 16));
                }
                Form::Blocks(kind) => {
                    row_values.resize(self.columns, 0.0);
                    quant::dequantize(kind, bytes, &mut row_values)
                        .map_err(|error| damaged(&error.to_string()))?;
                    out.extend(row_values.iter().skip(skipped).take(taken).map(|value| value.to_bits()));
                }
            }
            at += taken;
        }
        Ok(())
    }
}

/// The checkpoint's name of a tensor that llama.cpp's converter renamed (`gguf-py/gguf/tensor_mapping.py`).
fn canonical(name: &str) -> String {
    let outer = match name {
        "token_embd.weight" => Some("model.embed_tokens.weight"),
        "output_norm.weight" => Some("model.norm.weight"),
        "output.weight" => Some("lm_head.weight"),
        _ => None,
    };
    if let Some(outer) = outer {
        return outer.to_owned();
    }
    let inner = || {
        let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
        let (part, suffix) = rest.rsplit_once('.')?;
        let part = match part {
            "attn_norm" => "input_layernorm",
            "ffn_norm" => "post_attention_layernorm",
            "attn_q" => "self_attn.q_proj",
            "attn_k" => "self_attn.k_proj",
            "attn_v" => "self_attn.v_proj",
            "attn_output" => "self_attn.o_proj",
            "attn_q_norm" => "self_attn.q_norm",
            "attn_k_norm" => "self_attn.k_norm",
            "ffn_gate" => "mlp.gate_proj",
            "ffn_up" => "mlp.up_proj",
            "ffn_down" => "mlp.down_proj",
            _ => return None,
        };
        Some(format!("model.layers.{layer}.{part}.{suffix}"))
    };
    inner().unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests;
