//! Tensors of one side under the names and in the order that the other side has for them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use tensor::delta::Operand;
use tensor::gguf::{Gguf, Value};
use tensor::safetensors::{Dtype, View};
use tensor::scope::BaseWeights;
use tensor::weights::packed::Packing;
use tensor::weights::{Family, Heads, RotaryRows, Tensor, Transform, Weights};

/// Elements that are decoded at a time.
const DECODED_AT_ONCE: usize = 1 << 16;

/// How many heads a GGUF file's model has.
pub(super) fn heads(file: &Gguf<'_>, which: Heads) -> Option<usize> {
    let setting = match which {
        Heads::Query => "attention.head_count",
        Heads::KeyValue => "attention.head_count_kv",
    };
    file.setting(setting).and_then(Value::as_unsigned).and_then(|heads| usize::try_from(heads).ok())
}

/// A GGUF file's weights as an adapter's base: by the names that they have at Hugging Face, in single precision, each decoded
/// when it is first asked for.
pub(super) struct Decoded<'a>(BTreeMap<String, (Renamed<'a>, OnceLock<Vec<u8>>)>);

impl<'a> Decoded<'a> {
    /// Nothing where the architecture is not one whose names are known.
    pub(super) fn of(file: &'a Gguf<'a>) -> Option<Self> {
        let family = file.architecture().and_then(Family::of_architecture)?;
        let named = Weights::from(file).tensors().to_vec().into_iter().filter_map(|tensor| {
            let (name, transform) = family.to_hugging_face(tensor.name())?;
            let renamed = Renamed::of(tensor, &name, transform, |which| heads(file, which))?;
            Some((name, (renamed, OnceLock::new())))
        });
        Some(Self(named.collect()))
    }
}

impl BaseWeights for Decoded<'_> {
    fn tensor(&self, name: &str) -> Option<View<'_>> {
        let (name, (tensor, bytes)) = self.0.get_key_value(name)?;
        let data = bytes.get_or_init(|| {
            let (all, mut values) = (tensor.elements_len(), Vec::new());
            let mut bytes = Vec::with_capacity(all.saturating_mul(4));
            for first in (0..all).step_by(DECODED_AT_ONCE) {
                tensor.decode_part(first, DECODED_AT_ONCE, &mut values);
                // What is kept there is in single precision or less, but for 64-bit floats, which are rounded.
                #[expect(clippy::cast_possible_truncation, reason = "rounding to nearest")]
                bytes.extend(values.iter().flat_map(|value| (*value as f32).to_le_bytes()));
            }
            bytes
        });
        Some(View { name, dtype: Dtype::F32, shape: tensor.shape(), data })
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// The weight of a layer that was packed.
pub(super) struct Packed<'a> {
    pub(super) tensor: Tensor<'a>,
    pub(super) packing: Packing,
}

impl Operand for Packed<'_> {
    fn name(&self) -> &str {
        self.tensor.name()
    }

    fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    fn dtype(&self) -> &str {
        self.packing.name()
    }

    fn bytes(&self) -> &[u8] {
        self.tensor.bytes()
    }

    fn decode_part(&self, first: usize, count: usize, out: &mut Vec<f64>) {
        self.tensor.decode_part(first, count, out);
    }

    fn grain(&self, _: f64) -> f64 {
        0.0
    }
}

/// A tensor of a GGUF file under another name, its elements in the order and of the size that they have under it.
pub(super) struct Renamed<'a> {
    tensor: Tensor<'a>,
    name: String,
    undo: Undo,
}

/// What is done to elements to undo llama.cpp's conversion.
#[derive(Clone, Copy)]
enum Undo {
    Nothing,
    /// Rows were reordered; so many elements make one.
    Rows(RotaryRows, usize),
    /// One was added.
    MinusOne,
}

impl<'a> Renamed<'a> {
    /// Nothing where the conversion cannot be undone a few elements at a time.
    pub(super) fn of(
        tensor: Tensor<'a>,
        name: &str,
        transform: Transform,
        heads: impl Fn(Heads) -> Option<usize>,
    ) -> Option<Self> {
        let undo = match transform {
            Transform::Same => Undo::Nothing,
            Transform::PlusOne => Undo::MinusOne,
            Transform::Rotary(which) => {
                // A bias is one number to a row.
                let vector = tensor.shape().len() == 1;
                let (rows, row_len) =
                    if vector { (tensor.elements_len(), 1) } else { (tensor.rows(), tensor.row_len()) };
                Undo::Rows(RotaryRows::new(rows, heads(which)?)?, row_len.max(1))
            }
            Transform::Transposed => return None,
        };
        Some(Self { tensor, name: name.to_owned(), undo })
    }
}

impl Operand for Renamed<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    fn dtype(&self) -> &str {
        self.tensor.dtype()
    }

    fn bytes(&self) -> &[u8] {
        // Bytes in another order are not those of what is compared.
        match self.undo {
            Undo::Nothing => self.tensor.bytes(),
            Undo::Rows(..) | Undo::MinusOne => &[],
        }
    }

    fn decode_part(&self, first: usize, count: usize, out: &mut Vec<f64>) {
        match self.undo {
            Undo::Nothing => self.tensor.decode_part(first, count, out),
            Undo::MinusOne => {
                self.tensor.decode_part(first, count, out);
                for value in out {
                    *value -= 1.0;
                }
            }
            Undo::Rows(order, row_len) => {
                out.clear();
                let mut part = Vec::new();
                let (mut at, last) = (first, first.saturating_add(count).min(self.tensor.elements_len()));
                while at < last {
                    let (row, column) = (at / row_len, at % row_len);
                    let wanted = (row_len - column).min(last - at);
                    self.tensor.decode_part(order.to_gguf(row) * row_len + column, wanted, &mut part);
                    out.append(&mut part);
                    at += wanted;
                }
            }
        }
    }

    fn grain(&self, value: f64) -> f64 {
        self.tensor.grain(value)
    }
}
