//! A decoder that can be run: weights, adapters by name, and passes over batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tensor::gguf::Gguf;

use crate::Error;
use crate::adapter::{Adapter, linears_mut};
use crate::cache::Cache;
use crate::config::Config;
use crate::decoder::{self, Ops, Stored};
use crate::fast::{Activations, Fast, Segment, Wanted};
use crate::kernel::{Kernels, Level};
use crate::matrix::Matrix;
use crate::random::random;
use crate::source::Source;
use crate::tap::{NoTap, Tap};
use crate::timing::{Spent, Timed};

/// A decoder. Cloning shares the weights.
#[derive(Debug, Clone)]
pub struct Model {
    pub(crate) config: Config,
    pub(crate) decoder: Arc<Stored>,
    pub(crate) kernels: Kernels,
    adapters: BTreeMap<String, Arc<Adapter>>,
}

/// One sequence of a pass.
#[derive(Debug)]
pub struct Continuation<'a> {
    /// The tokens that follow what the cache holds; at least one.
    pub tokens: &'a [u32],
    /// What was seen before, and where to remember.
    pub cache: &'a mut Cache,
    /// The name of an adapter.
    pub adapter: Option<&'a str>,
}

impl Model {
    /// A model of the given shape from its tensors.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::TensorMissing`], [`Error::TensorShape`], [`Error::TensorKind`].
    pub fn load(config: Config, source: &Source) -> Result<Self, Error> {
        let decoder = Stored::load(&config, source)?;
        Ok(Self::of(config, decoder))
    }

    pub(crate) fn of(config: Config, decoder: Stored) -> Self {
        let kernels = Kernels::at(Level::detect());
        Self { config, decoder: Arc::new(decoder), kernels, adapters: BTreeMap::new() }
    }

    /// An untrained model: seeded random weights.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn untrained(config: Config, seed: u64) -> Result<Self, Error> {
        let decoder = random(&config, seed)?;
        Ok(Self::of(config, decoder))
    }

    /// A model from a GGUF file's bytes (mapped or read), which are kept and not copied.
    ///
    /// # Errors
    /// As [`Model::load`], and [`Error::Gguf`], [`Error::Architecture`].
    pub fn from_gguf(file: &Bytes) -> Result<Self, Error> {
        let config = Config::from_gguf(&Gguf::read(file)?)?;
        Self::load(config, &Source::from_gguf(file)?)
    }

    /// A model from a `config.json` and its safetensors files' bytes, which are kept and not copied.
    ///
    /// # Errors
    /// As [`Model::load`], and [`Error::Container`], [`Error::Architecture`].
    pub fn from_safetensors(config: &[u8], files: &[Bytes]) -> Result<Self, Error> {
        Self::load(Config::from_json(config)?, &Source::from_folder(config, files)?)
    }

    /// The same model computed with the instructions of a level, or the best below it that there is. Results are
    /// the same.
    #[must_use]
    pub fn at_level(mut self, level: Level) -> Self {
        self.kernels = Kernels::at(level);
        self
    }

    /// The model's shape.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Loads a LoRA adapter under a name; one of that name is replaced. The files are PEFT's
    /// `adapter_config.json` and `adapter_model.safetensors`.
    ///
    /// # Errors
    /// [`Error::Container`], [`Error::AdapterMisfit`].
    pub fn load_adapter(&mut self, name: &str, config: &[u8], file: &Bytes) -> Result<(), Error> {
        let adapter = Adapter::fit(&self.decoder, &self.config, config, file)?;
        self.adapters.insert(name.to_owned(), Arc::new(adapter));
        Ok(())
    }

    /// Loads an adapter from factors: for each module's path (as a transformers model names it) `A` (`rank × in`),
    /// `B` (`out × rank`) and the scaling.
    ///
    /// # Errors
    /// [`Error::AdapterMisfit`].
    pub fn load_factors(
        &mut self,
        name: &str,
        factors: &[(String, Matrix, Matrix, f64)],
    ) -> Result<(), Error> {
        let adapter = Adapter::from_factors(&self.decoder, &self.config, factors)?;
        self.adapters.insert(name.to_owned(), Arc::new(adapter));
        Ok(())
    }

    /// Forgets an adapter. Answers whether there was one.
    pub fn unload_adapter(&mut self, name: &str) -> Result<(), Error> {
        let unknown = || Error::AdapterUnknown { name: name.to_owned() };
        self.adapters.remove(name).map(|_| ()).ok_or_else(unknown)
    }

    /// The names of the loaded adapters.
    pub fn adapters(&self) -> impl Iterator<Item = &str> {
        self.adapters.keys().map(String::as_str)
    }

    /// The model with an adapter merged into its weights. Changed weights become single precision; the others are
    /// shared.
    ///
    /// # Errors
    /// [`Error::AdapterUnknown`].
    pub fn merged(&self, adapter: &str) -> Result<Self, Error> {
        let adapter = self.adapter(Some(adapter))?;
        let decoder = match adapter {
            Some(adapter) => Arc::new(adapter.merge(&self.decoder)?),
            None => Arc::clone(&self.decoder),
        };
        Ok(Self { decoder, adapters: BTreeMap::new(), ..self.clone() })
    }

    /// The model with every matrix expanded to single precision: activations are then not quantised either. The
    /// reference that quantised runs are compared with; it takes four bytes a weight.
    ///
    /// # Errors
    /// None for a model that was loaded.
    pub fn expanded(&self) -> Result<Self, Error> {
        let mut decoder = self.decoder.as_ref().clone();
        let expand = |matrix: &mut Matrix| -> Result<(), Error> {
            *matrix = Matrix::from_values("", matrix.rows(), matrix.columns(), &matrix.dense())?;
            Ok(())
        };
        expand(&mut decoder.embedding)?;
        for linear in linears_mut(&mut decoder) {
            expand(&mut linear.weight)?;
        }
        Ok(Self { decoder: Arc::new(decoder), ..self.clone() })
    }

    pub(crate) fn adapter(&self, name: Option<&str>) -> Result<Option<&Adapter>, Error> {
        let Some(name) = name else { return Ok(None) };
        let unknown = || Error::AdapterUnknown { name: crate::error::shown(name) };
        self.adapters.get(name).map(|adapter| Some(adapter.as_ref())).ok_or_else(unknown)
    }

    /// Continues one sequence: the logits after its last token, one for each token of the vocabulary.
    ///
    /// # Errors
    /// [`Error::Context`], [`Error::Token`], [`Error::AdapterUnknown`], [`Error::NotFinite`].
    pub fn next(&self, continuation: Continuation<'_>) -> Result<Vec<f32>, Error> {
        let mut rows = self.step(vec![continuation])?;
        Ok(rows.pop().unwrap_or_default())
    }

    /// Continues several sequences in one pass: for each the logits after its last token. Each comes out as if it
    /// were continued alone.
    ///
    /// # Errors
    /// As [`Model::next`]; then no sequence has been continued.
    pub fn step(&self, continuations: Vec<Continuation<'_>>) -> Result<Vec<Vec<f32>>, Error> {
        let mut segments = self.segments(continuations)?;
        let logits = self.pass(&mut segments, &mut NoTap)?;
        finite(&logits)?;
        Ok(logits.rows().map(<[f32]>::to_vec).collect())
    }

    fn segments<'a>(&'a self, continuations: Vec<Continuation<'a>>) -> Result<Vec<Segment<'a>>, Error> {
        let mut segments = Vec::with_capacity(continuations.len());
        for Continuation { tokens, cache, adapter } in continuations {
            if tokens.is_empty() {
                return Err(Error::Request { member: "tokens", expected: "at least one token" });
            }
            cache.room_for(tokens.len())?;
            let adapter = self.adapter(adapter)?;
            segments.push(Segment { tokens, cache: Some(cache), adapter, wanted: Wanted::Last });
        }
        Ok(segments)
    }

    /// [`Model::next`], with what `clock` says was spent on each kind of operation.
    ///
    /// # Errors
    /// As [`Model::next`].
    pub fn next_timed(
        &self,
        continuation: Continuation<'_>,
        clock: &mut dyn FnMut() -> f64,
    ) -> Result<(Vec<f32>, Spent), Error> {
        let mut segments = self.segments(vec![continuation])?;
        let mut ops = Timed { ops: Fast::new(self.kernels, &mut segments), clock, spent: Spent::default() };
        let logits = self.run(&mut ops, &mut NoTap)?;
        let Timed { ops, spent, .. } = ops;
        ops.commit();
        finite(&logits)?;
        Ok((logits.values, spent))
    }

    /// Runs sequences from their beginnings, without remembering, and shows a tap what happens: the logits after
    /// every token, `rows × vocabulary`, the sequences one after the other.
    ///
    /// # Errors
    /// As [`Model::next`].
    pub fn observe(
        &self,
        sequences: &[&[u32]],
        adapter: Option<&str>,
        tap: &mut dyn Tap<Activations>,
    ) -> Result<Activations, Error> {
        let adapter = self.adapter(adapter)?;
        let mut segments = Vec::with_capacity(sequences.len());
        for &tokens in sequences {
            if tokens.len() > self.config.context {
                return Err(Error::Context { tokens: tokens.len(), limit: self.config.context });
            }
            if tokens.is_empty() {
                return Err(Error::Request { member: "tokens", expected: "at least one token" });
            }
            segments.push(Segment { tokens, cache: None, adapter, wanted: Wanted::From(0) });
        }
        let logits = self.pass(&mut segments, tap)?;
        finite(&logits)?;
        Ok(logits)
    }

    pub(crate) fn pass(
        &self,
        segments: &mut [Segment<'_>],
        tap: &mut dyn Tap<Activations>,
    ) -> Result<Activations, Error> {
        let mut ops = Fast::new(self.kernels, segments);
        let logits = self.run(&mut ops, tap)?;
        ops.commit();
        Ok(logits)
    }

    fn run<O: Ops<Tensor = Activations, Matrix = Matrix, Vector = Vec<f32>>>(
        &self,
        ops: &mut O,
        tap: &mut dyn Tap<Activations>,
    ) -> Result<Activations, Error> {
        let hidden = decoder::hidden(ops, &self.config, &self.decoder, tap)?;
        decoder::logits(ops, &self.config, &self.decoder, &hidden, tap)
    }
}

fn finite(logits: &Activations) -> Result<(), Error> {
    if logits.values.iter().all(|logit| logit.is_finite()) {
        Ok(())
    } else {
        Err(Error::NotFinite { place: "logits" })
    }
}

#[cfg(test)]
mod tests;
