//! A decoder written as a GGUF file.
//!
//! Matrices keep the type that they are stored in; norms and biases are written in single precision. Rows of queries
//! and keys are put into the order that the file's architecture has, one is added to Gemma's norms, and GPT-2's
//! queries, keys and values stand in one tensor. What the format has no place for is refused: a file that is read
//! back with other settings would be another model.
//!
//! A tokenizer goes in in llama.cpp's form where that form says the same ([`vocabulary`]), and otherwise whole, under the
//! key that the format has for it (`tokenizer.huggingface.json`): to llama.cpp such a file is one without a vocabulary,
//! whose weights it runs. Never both, so that two programs cannot read two tokenizers from one file.
//!
//! Sources: ggml's `docs/gguf.md`; ggml-org/llama.cpp, `convert_hf_to_gguf.py`.
//!
//! What this module does not do: quantise, or write adapters.

mod vocabulary;

use std::borrow::Cow;

use tensor::gguf::{GgmlType, Gguf, TensorInfo, Value, Writer};

use crate::Error;
use crate::config::{Architecture, Config, NormKind, Pairing, Positions, Rotary, Stretch, Windows};
use crate::decoder::{Layer, Linear, Norm, Stored};
use crate::matrix::Matrix;
use crate::model::Model;
use crate::names::{Part, gguf};
use crate::source::ggml_of;
use crate::tokenizer::Tokenizer;

/// A tokenizer as it was read, and the file that it was read from.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary<'a> {
    /// The `tokenizer.json`.
    pub json: &'a str,
    /// What was read from it.
    pub tokenizer: &'a Tokenizer,
    /// The chat template.
    pub template: Option<&'a str>,
}

impl Model {
    /// Writes the model, without its adapters, as a GGUF file: pieces of it are given to `sink` in order.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for settings that the format has no place for; [`Error::Gguf`].
    pub fn write_gguf(
        &self,
        vocabulary: Option<Vocabulary<'_>>,
        sink: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        let mut metadata = settings(&self.config)?;
        check(&self.config, &metadata)?;
        metadata.extend(vocabulary.map(|it| texts(it, self.config.vocabulary)).unwrap_or_default());
        let pairs: Vec<(&str, Value<'_>)> =
            metadata.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        let pieces = pieces(&self.config, &self.decoder)?;
        let infos: Vec<TensorInfo<'_>> = pieces
            .iter()
            .map(|piece| TensorInfo { name: &piece.name, kind: piece.kind, shape: &piece.shape })
            .collect();
        let mut writer = Writer::begin(&pairs, &infos, sink)?;
        for piece in &pieces {
            writer.data(&piece.bytes())?;
        }
        Ok(writer.finish()?)
    }
}

type Pairs<'a> = Vec<(String, Value<'a>)>;

#[allow(clippy::cast_possible_truncation, reason = "the format keeps such settings in single precision")]
const fn single(value: f64) -> f32 {
    value as f32
}

/// The settings that [`Config::from_gguf`] reads.
fn settings(config: &Config) -> Result<Pairs<'static>, Error> {
    let name = config.architecture.gguf_name();
    let mut pairs: Pairs<'static> =
        vec![("general.architecture".to_owned(), Value::Text(Cow::Borrowed(name)))];
    let mut put = |key: &str, value| pairs.push((format!("{name}.{key}"), value));
    let size = |value: usize| {
        let unfit = Error::Unwritable { what: "a model of that size" };
        u32::try_from(value).map(Value::U32).map_err(|_| unfit)
    };
    let number = |value: f64| Value::F32(single(value));
    put("vocab_size", size(config.vocabulary)?);
    put("context_length", size(config.context)?);
    put("embedding_length", size(config.hidden)?);
    put("block_count", size(config.layers)?);
    put("feed_forward_length", size(config.inner)?);
    put("attention.head_count", size(config.heads)?);
    put("attention.head_count_kv", size(config.kv_heads)?);
    put("attention.key_length", size(config.head_len)?);
    put("attention.value_length", size(config.head_len)?);
    let epsilon = match config.norm {
        NormKind::Layer => "attention.layer_norm_epsilon",
        NormKind::Rms | NormKind::RmsPlusOne => "attention.layer_norm_rms_epsilon",
    };
    put(epsilon, number(config.norm_epsilon));
    if let Positions::Rotary { global, local, .. } = config.positions {
        put("rope.dimension_count", size(config.head_len)?);
        put("rope.freq_base", number(global.base));
        match global.stretch {
            Stretch::None => {}
            Stretch::Linear { factor } => {
                put("rope.scaling.type", Value::Text(Cow::Borrowed("linear")));
                put("rope.scaling.factor", number(factor));
            }
            Stretch::Llama3 { .. } => {
                return Err(Error::Unwritable { what: "frequencies that are stretched as by Llama 3" });
            }
        }
        if config.architecture == Architecture::Gemma3 {
            put("rope.freq_base_swa", number(local.base));
        }
    }
    if let Windows::Periodic { length, .. } = config.windows {
        put("attention.sliding_window", size(length)?);
    }
    if let Some(cap) = config.attention_cap {
        put("attn_logit_softcapping", number(cap));
    }
    if let Some(cap) = config.logit_cap {
        put("final_logit_softcapping", number(cap));
    }
    Ok(pairs)
}

/// Reads the settings back: everything that the configuration says must be what they say.
fn check(config: &Config, pairs: &Pairs<'_>) -> Result<(), Error> {
    let pairs: Vec<(&str, Value<'_>)> =
        pairs.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    // The size of the vocabulary is read off the table's.
    let shape = [config.vocabulary, 1];
    let table = TensorInfo { name: "token_embd.weight", kind: GgmlType::F32, shape: &shape };
    let file = tensor::gguf::write(&pairs, &[(table, &vec![0; config.vocabulary * 4])])?;
    let found = Config::from_gguf(&Gguf::read(&file)?)?;
    if found == as_read_back(config, &found) {
        return Ok(());
    }
    Err(Error::Unwritable { what: "settings that are not those of the architecture" })
}

/// The configuration as it must be found: numbers in the precision that the file has, norms and rows as they are
/// written. What depends on which tensors there are is taken as found.
fn as_read_back(config: &Config, found: &Config) -> Config {
    let round = |value: f64| f64::from(single(value));
    let rotary = |rotary: Rotary| Rotary {
        base: round(rotary.base),
        stretch: match rotary.stretch {
            Stretch::Linear { factor } => Stretch::Linear { factor: round(factor) },
            other => other,
        },
    };
    let norm = if config.norm == NormKind::RmsPlusOne { NormKind::Rms } else { config.norm };
    let positions = match (config.positions, found.positions) {
        (Positions::Rotary { global, local, .. }, Positions::Rotary { pairing, local: found, .. }) => {
            let windowed = config.windows != Windows::None;
            let local = if windowed { rotary(local) } else { found };
            Positions::Rotary { global: rotary(global), local, pairing }
        }
        (positions, _) => positions,
    };
    Config {
        norm,
        positions,
        norm_epsilon: round(config.norm_epsilon),
        attention_cap: config.attention_cap.map(round),
        logit_cap: config.logit_cap.map(round),
        qkv_biases: found.qkv_biases,
        biases: found.biases,
        ..config.clone()
    }
}

/// What the file says about texts, for a table of `rows` tokens.
fn texts(vocabulary: Vocabulary<'_>, rows: usize) -> Pairs<'_> {
    let Vocabulary { json, tokenizer, template } = vocabulary;
    let text = |value| Value::Text(Cow::Borrowed(value));
    let mut pairs = vocabulary::pairs(json, tokenizer, rows).unwrap_or_else(|| {
        vec![
            ("tokenizer.ggml.model".to_owned(), text("no_vocab")),
            ("tokenizer.huggingface.json".to_owned(), text(json)),
            // The tokenizer adds the beginning itself where it wants one.
            ("tokenizer.ggml.add_bos_token".to_owned(), Value::Bool(false)),
        ]
    });
    if let Some(begin) = tokenizer.begin() {
        pairs.push(("tokenizer.ggml.bos_token_id".to_owned(), Value::U32(begin)));
    }
    if let Some(end) = tokenizer.end() {
        pairs.push(("tokenizer.ggml.eos_token_id".to_owned(), Value::U32(end)));
    }
    if let Some(template) = template {
        pairs.push(("tokenizer.chat_template".to_owned(), text(template)));
    }
    pairs
}

/// A tensor of the file.
struct Piece<'m> {
    name: String,
    kind: GgmlType,
    shape: Vec<usize>,
    content: Content<'m>,
}

enum Content<'m> {
    /// Rows of one matrix, or of several one after the other; in the order given, or in their own.
    Rows(Vec<&'m Matrix>, Option<Vec<usize>>),
    Values(Vec<f32>),
}

impl Piece<'_> {
    fn bytes(&self) -> Cow<'_, [u8]> {
        match &self.content {
            Content::Values(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Content::Rows(matrices, order) => match (matrices.as_slice(), order) {
                ([matrix], None) => Cow::Borrowed(matrix.bytes()),
                (matrices, None) => matrices.iter().flat_map(|matrix| matrix.bytes()).copied().collect(),
                (matrices, Some(order)) => {
                    let row_bytes = |matrix: &Matrix| matrix.bytes().len() / matrix.rows();
                    let rows: Vec<&[u8]> = matrices
                        .iter()
                        .flat_map(|matrix| matrix.bytes().chunks_exact(row_bytes(matrix)))
                        .collect();
                    order
                        .iter()
                        .filter_map(|row| rows.get(*row))
                        .flat_map(|row| row.iter())
                        .copied()
                        .collect()
                }
            },
        }
    }
}

fn pieces<'m>(config: &Config, decoder: &'m Stored) -> Result<Vec<Piece<'m>>, Error> {
    let mut list = List { config, pieces: Vec::new() };
    list.table(Part::Embedding, &decoder.embedding);
    if let Some(positions) = &decoder.positions {
        list.table(Part::Positions, positions);
    }
    for (index, layer) in decoder.layers.iter().enumerate() {
        list.layer(index, layer)?;
    }
    list.norm(Part::FinalNorm, 0, &decoder.final_norm);
    if let Some(output) = &decoder.output {
        list.linear(Part::Output, 0, output);
    }
    Ok(list.pieces)
}

struct List<'c, 'm> {
    config: &'c Config,
    pieces: Vec<Piece<'m>>,
}

impl<'m> List<'_, 'm> {
    fn table(&mut self, part: Part, matrix: &'m Matrix) {
        self.rows(part, 0, vec![matrix], None);
    }

    fn rows(&mut self, part: Part, layer: usize, matrices: Vec<&'m Matrix>, order: Option<Vec<usize>>) {
        let Some(first) = matrices.first() else { return };
        let shape = vec![matrices.iter().map(|matrix| matrix.rows()).sum(), first.columns()];
        self.pieces.push(Piece {
            name: format!("{}.weight", gguf(part, layer)),
            kind: ggml_of(first.kind()),
            shape,
            content: Content::Rows(matrices, order),
        });
    }

    fn values(&mut self, part: Part, layer: usize, of: &str, values: Vec<f32>) {
        self.pieces.push(Piece {
            name: format!("{}.{of}", gguf(part, layer)),
            kind: GgmlType::F32,
            shape: vec![values.len()],
            content: Content::Values(values),
        });
    }

    fn norm(&mut self, part: Part, layer: usize, norm: &Norm<Vec<f32>>) {
        let one_more = if self.config.norm == NormKind::RmsPlusOne { 1.0 } else { 0.0 };
        self.values(part, layer, "weight", norm.weight.iter().map(|weight| weight + one_more).collect());
        if let Some(bias) = &norm.bias {
            self.values(part, layer, "bias", bias.clone());
        }
    }

    fn linear(&mut self, part: Part, layer: usize, linear: &'m Linear<Matrix, Vec<f32>>) {
        let order = self.order(part, linear);
        let bias = linear.bias.as_ref().map(|bias| match &order {
            Some(order) => order.iter().filter_map(|row| bias.get(*row)).copied().collect(),
            None => bias.clone(),
        });
        self.rows(part, layer, vec![&linear.weight], order);
        if let Some(bias) = bias {
            self.values(part, layer, "bias", bias);
        }
    }

    /// The rows in the order of the file, where that is not the order that they have. Files of the Llama family pair
    /// neighbours: a row stands where [`hf_row`](crate::adapter::hf_row) finds it from.
    fn order(&self, part: Part, linear: &Linear<Matrix, Vec<f32>>) -> Option<Vec<usize>> {
        let rotated = matches!(part, Part::Queries | Part::Keys);
        let llama = self.config.architecture == Architecture::Llama;
        if !rotated || !llama || linear.pairing == Pairing::Neighbours {
            return None;
        }
        let turned = Linear { pairing: Pairing::Neighbours, ..linear.clone() };
        Some((0..linear.weight.rows()).map(|row| crate::adapter::hf_row(self.config, &turned, row)).collect())
    }

    fn layer(&mut self, index: usize, layer: &'m Layer<Matrix, Vec<f32>>) -> Result<(), Error> {
        self.norm(Part::AttentionNorm, index, &layer.attention_norm);
        let Layer { queries, keys, values, .. } = layer;
        if self.config.architecture == Architecture::Gpt2 {
            let all = [queries, keys, values];
            if all.iter().any(|linear| linear.weight.kind() != queries.weight.kind()) {
                return Err(Error::Unwritable {
                    what: "queries, keys and values of several types in one tensor",
                });
            }
            self.rows(Part::Fused, index, all.map(|linear| &linear.weight).to_vec(), None);
            let biases: Vec<f32> =
                all.iter().filter_map(|linear| linear.bias.as_ref()).flatten().copied().collect();
            if !biases.is_empty() {
                self.values(Part::Fused, index, "bias", biases);
            }
        } else {
            self.linear(Part::Queries, index, queries);
            self.linear(Part::Keys, index, keys);
            self.linear(Part::Values, index, values);
        }
        if let Some((query, key)) = &layer.head_norms {
            self.norm(Part::QueryNorm, index, query);
            self.norm(Part::KeyNorm, index, key);
        }
        self.linear(Part::AttentionOutput, index, &layer.output);
        if let Some(norm) = &layer.post_attention_norm {
            self.norm(Part::PostAttentionNorm, index, norm);
        }
        self.norm(Part::MlpNorm, index, &layer.mlp_norm);
        if let Some(gate) = &layer.gate {
            self.linear(Part::Gate, index, gate);
        }
        self.linear(Part::Up, index, &layer.up);
        self.linear(Part::Down, index, &layer.down);
        if let Some(norm) = &layer.post_mlp_norm {
            self.norm(Part::PostMlpNorm, index, norm);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
