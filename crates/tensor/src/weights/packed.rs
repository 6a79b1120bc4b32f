//! Linear layers that GPTQ or AWQ packed, as the weights that they stand for.
//!
//! Such a model's `config.json` says how its layers are packed ([`Packing`]); of a layer `x` there are `x.qweight`,
//! `x.qzeros`, `x.scales` and, with GPTQ, `x.g_idx`. [`Unpacked`] holds `x.weight` in their place, `out × in` in single
//! precision, by [`quant::gptq`] and [`quant::awq`].
//!
//! Sources: transformers, `utils/quantization_config.py` (`GPTQConfig`, `AwqConfig`); AutoGPTQ's and GPTQModel's
//! `checkpoint_format`; AutoAWQ's `version`.
//!
//! What this module does not do: the layouts of other kernels (`marlin`, `gemv`, `exllama`), which are refused by name.

use std::collections::BTreeSet;

use quant::awq;
use quant::gptq::{self, Grouping, ZeroPoints};

use super::{ElementType, Tensor, Weights, WeightsError};
use crate::error::shown;
use crate::json::Value;
use crate::safetensors::Dtype;

/// The end of the name that a packed layer's integers have.
const INTEGERS: &str = ".qweight";
/// The end of the name that an unpacked layer has.
const WEIGHT: &str = ".weight";

/// How a model's layers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    method: Method,
    /// Bits a weight.
    bits: u32,
    /// Inputs that share a scale; nothing where all of them do.
    group: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Gptq(ZeroPoints),
    Awq,
}

impl Packing {
    /// What a `config.json` says under `quantization_config`. Nothing where it says nothing of GPTQ and AWQ.
    ///
    /// # Errors
    /// [`WeightsError::Configuration`] for a text that is no JSON object, or settings of another type than they have;
    /// [`WeightsError::Packing`] for a layout that is not unpacked here.
    pub fn of_config(config: &[u8]) -> Result<Option<Self>, WeightsError> {
        let unreadable = |why: String| WeightsError::Configuration { why };
        let read = Value::read(config).map_err(|fault| unreadable(fault.to_string()))?;
        let Some(stated) = member(&read, "quantization_config") else { return Ok(None) };
        let text = |name: &str| match member(stated, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.to_ascii_lowercase())),
            Some(_) => Err(unreadable(format!("`{name}` is not text"))),
        };
        let number = |names: [&str; 2]| {
            let found = names.into_iter().find_map(|name| member(stated, name).map(|value| (name, value)));
            match found {
                Some((_, Value::Integer(number))) => Ok(*number),
                Some((name, _)) => Err(unreadable(format!("`{name}` is not a whole number"))),
                None => Err(unreadable(format!("`{}` is missing", names[0]))),
            }
        };
        let other = |what: &str, found: String| {
            Err(WeightsError::Packing { what: format!("{what} `{}`", shown(&found)) })
        };
        let method = match text("quant_method")?.as_deref() {
            Some("gptq") => match text("checkpoint_format")?.as_deref() {
                None | Some("gptq") => Method::Gptq(ZeroPoints::LessOne),
                Some("gptq_v2") => Method::Gptq(ZeroPoints::AsTheyAre),
                Some(format) => return other("GPTQ's format", format.to_owned()),
            },
            Some("awq") => match text("version")?.as_deref() {
                None | Some("gemm") => Method::Awq,
                Some(version) => return other("AWQ's version", version.to_owned()),
            },
            _ => return Ok(None),
        };
        let (bits, group) = (number(["bits", "w_bit"])?, number(["group_size", "q_group_size"])?);
        let known = match method {
            Method::Gptq(_) => [2, 3, 4, 8].contains(&bits),
            Method::Awq => bits == 4,
        };
        if !known {
            return other("bits", bits.to_string());
        }
        let bits = u32::try_from(bits).unwrap_or_default();
        let group = match usize::try_from(group) {
            Ok(group) if group > 0 => Some(group),
            Err(_) if group == -1 => None,
            _ => return other("group size", group.to_string()),
        };
        Ok(Some(Self { method, bits, group }))
    }

    /// What the configuration says of these weights: it is not asked where none of them is packed, for then it says nothing
    /// that counts.
    ///
    /// # Errors
    /// As [`Packing::of_config`].
    pub fn of_model(config: &[u8], weights: &Weights<'_>) -> Result<Option<Self>, WeightsError> {
        if weights.tensors().iter().any(|tensor| tensor.name().ends_with(INTEGERS)) {
            return Self::of_config(config);
        }
        Ok(None)
    }

    /// The name that the layers' packing is told by.
    pub const fn name(self) -> &'static str {
        match self.method {
            Method::Gptq(_) => "gptq",
            Method::Awq => "awq",
        }
    }
}

fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(members) => members.iter().find(|(member, _)| member == name).map(|(_, value)| value),
        _ => None,
    }
}

/// A layer's weight.
#[derive(Debug, Clone, PartialEq)]
struct Layer {
    /// `x.weight`.
    name: String,
    /// Outputs, inputs.
    shape: [usize; 2],
    /// In single precision, row by row, the lowest byte first.
    bytes: Vec<u8>,
}

/// The layers of a model that were packed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unpacked {
    /// In the order of their names.
    layers: Vec<Layer>,
    packing: Option<Packing>,
}

impl Unpacked {
    /// Every packed layer among `weights`. It takes sixteen times the memory of the packed ones at most, and most often
    /// eight times.
    ///
    /// # Errors
    /// [`WeightsError::Layer`] for tensors of a layer that do not fit each other, [`WeightsError::Missing`].
    pub fn of(weights: &Weights<'_>, packing: Packing) -> Result<Self, WeightsError> {
        let mut layers = Vec::new();
        for integers in weights.tensors() {
            if let Some(layer) = integers.name().strip_suffix(INTEGERS) {
                layers.push(unpacked(weights, packing, layer, integers)?);
            }
        }
        layers.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { layers, packing: Some(packing) })
    }

    /// How the weight of that name was packed; nothing for one that was not.
    pub fn packing_of(&self, weight: &str) -> Option<Packing> {
        let found = self.layers.binary_search_by(|layer| layer.name.as_str().cmp(weight));
        found.ok().and(self.packing)
    }

    /// The weights of a model with these layers in the place of the packed ones.
    ///
    /// # Errors
    /// [`WeightsError::Repeated`] where a layer is there in both forms.
    pub fn among<'a>(&'a self, weights: &Weights<'a>) -> Result<Weights<'a>, WeightsError> {
        const PARTS: [&str; 4] = [INTEGERS, ".qzeros", ".scales", ".g_idx"];
        let known: BTreeSet<&str> =
            self.layers.iter().filter_map(|layer| layer.name.strip_suffix(WEIGHT)).collect();
        let packed = |name: &str| {
            PARTS.iter().filter_map(|part| name.strip_suffix(part)).any(|layer| known.contains(layer))
        };
        let others = weights.tensors().iter().filter(|tensor| !packed(tensor.name())).cloned();
        let layers = self.layers.iter().map(|layer| Tensor {
            name: &layer.name,
            element: ElementType::Plain(Dtype::F32),
            shape: layer.shape.as_slice().into(),
            data: layer.bytes.as_slice().into(),
        });
        Weights::gather(others.chain(layers))
    }

    /// The name, the shape (outputs, inputs) and the bytes of each, in single precision, the lowest byte first.
    pub fn into_layers(self) -> impl Iterator<Item = (String, [usize; 2], Vec<u8>)> {
        self.layers.into_iter().map(|layer| (layer.name, layer.shape, layer.bytes))
    }
}

fn unpacked(
    weights: &Weights<'_>,
    packing: Packing,
    layer: &str,
    integers: &Tensor<'_>,
) -> Result<Layer, WeightsError> {
    let unfit = |why: String| WeightsError::Layer { layer: shown(layer), why };
    let part = |name: &str| {
        let whole = format!("{layer}.{name}");
        weights.tensor(&whole).ok_or_else(|| WeightsError::Missing { tensor: shown(&whole) })
    };
    let &[rows, columns] = integers.shape() else {
        return Err(unfit("its integers are no matrix".to_owned()));
    };
    let too_many = || unfit("it has more weights than can be counted".to_owned());
    let (inputs, outputs) = match packing.method {
        Method::Gptq(_) => {
            let bits = rows.checked_mul(32).ok_or_else(too_many)?;
            (bits / packing.bits as usize, columns)
        }
        Method::Awq => (rows, columns.checked_mul(8).ok_or_else(too_many)?),
    };
    let scales = part("scales")?;
    let plain = matches!(scales.element(), ElementType::Plain(Dtype::F16 | Dtype::BF16 | Dtype::F32));
    if !plain || scales.row_len() != outputs {
        return Err(unfit(format!("its scales are not rows of {outputs} floats")));
    }
    let even = packing.group.unwrap_or(inputs).max(1);
    if scales.rows() != inputs.div_ceil(even) {
        return Err(unfit(format!(
            "{inputs} inputs in groups of {even} do not have {} rows of scales",
            scales.rows()
        )));
    }
    let scales = scales.decode()?;
    let (qweight, qzeros) = (words(integers)?, words(part("qzeros")?)?);
    let count = inputs.checked_mul(outputs).ok_or_else(too_many)?;
    // INVARIANT: the integers are there, so the weights are at most sixteen times as many.
    let mut out = vec![0.0; count];
    let index = match packing.method {
        Method::Gptq(_) => weights.tensor(&format!("{layer}.g_idx")).map(words).transpose()?,
        Method::Awq => None,
    };
    let done = match packing.method {
        Method::Gptq(zero_points) => gptq::unpack(
            &gptq::Layer {
                bits: packing.bits,
                inputs,
                outputs,
                qweight: &qweight,
                qzeros: &qzeros,
                scales: &scales,
                grouping: index.as_deref().map_or(Grouping::Even(even), Grouping::Index),
                zero_points,
            },
            &mut out,
        ),
        Method::Awq => awq::unpack(
            &awq::Layer {
                inputs,
                outputs,
                qweight: &qweight,
                qzeros: &qzeros,
                scales: &scales,
                group_size: even,
            },
            &mut out,
        ),
    };
    done.map_err(|error| unfit(error.to_string()))?;
    let bytes = out.iter().flat_map(|weight| weight.to_le_bytes()).collect();
    Ok(Layer { name: format!("{layer}{WEIGHT}"), shape: [outputs, inputs], bytes })
}

/// A tensor of 32-bit integers.
fn words(tensor: &Tensor<'_>) -> Result<Vec<i32>, WeightsError> {
    if tensor.element() != ElementType::Plain(Dtype::I32) {
        let why = format!("its elements are of type `{}`, not I32", tensor.element().name());
        return Err(WeightsError::Layer { layer: shown(tensor.name()), why });
    }
    Ok(tensor.data().as_chunks::<4>().0.iter().map(|word| i32::from_le_bytes(*word)).collect())
}

#[cfg(test)]
mod tests;
