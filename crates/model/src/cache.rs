//! Keys and values of the tokens that a model has seen, so that they are not computed again.

use crate::Error;
use crate::config::Config;
use crate::kernel::LANES;

/// The keys and values of one layer.
///
/// Keys lie in blocks of sixteen positions, `[block][element][position]`, values as `[position][element]` padded to
/// sixteen: both as the kernels read them.
#[derive(Debug, Clone, Default)]
pub(crate) struct LayerCache {
    /// For each head of keys.
    pub(crate) heads: Vec<HeadCache>,
}

/// The keys and values of one head.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeadCache {
    pub(crate) keys: Vec<f32>,
    pub(crate) values: Vec<f32>,
}

/// Elements of a head's values with their padding.
pub(crate) const fn padded(head_len: usize) -> usize {
    head_len.next_multiple_of(LANES)
}

impl LayerCache {
    /// Writes the keys and values of the positions from `first` on: `rows × (heads·head_len)` each.
    pub(crate) fn write(
        &mut self,
        first: usize,
        heads: usize,
        head_len: usize,
        keys: &[f32],
        values: &[f32],
    ) {
        let (width, stride) = (heads * head_len, padded(head_len));
        let positions = first + keys.len() / width;
        self.heads.resize_with(heads, HeadCache::default);
        for (head, cache) in self.heads.iter_mut().enumerate() {
            cache.keys.resize(positions.div_ceil(LANES) * LANES * head_len, 0.0);
            cache.values.resize(positions * stride, 0.0);
            let rows = keys.chunks_exact(width).zip(values.chunks_exact(width));
            for ((keys, values), position) in rows.zip(first..) {
                let part = head * head_len..(head + 1) * head_len;
                let block = position / LANES * LANES * head_len + position % LANES;
                let places = cache.keys.iter_mut().skip(block).step_by(LANES);
                for (place, key) in places.zip(keys.get(part.clone()).unwrap_or_default()) {
                    *place = *key;
                }
                let places = cache.values.iter_mut().skip(position * stride);
                for (place, value) in places.zip(values.get(part).unwrap_or_default()) {
                    *place = *value;
                }
            }
        }
    }
}

/// What a model remembers of one sequence.
#[derive(Debug, Clone)]
pub struct Cache {
    pub(crate) layers: Vec<LayerCache>,
    pub(crate) tokens: Vec<u32>,
    limit: usize,
}

impl Cache {
    /// An empty memory for at most `limit` tokens, and never more than the model's context. Memory is taken as it
    /// is needed.
    pub fn new(config: &Config, limit: usize) -> Self {
        let layers = vec![LayerCache::default(); config.layers];
        Self { layers, tokens: Vec::new(), limit: limit.min(config.context) }
    }

    /// The tokens seen.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many tokens have been seen.
    pub const fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether none has been seen.
    pub const fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Most tokens that it takes.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Forgets all but the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.tokens.truncate(len);
    }

    pub(crate) fn room_for(&self, more: usize) -> Result<(), Error> {
        let tokens = self.tokens.len().saturating_add(more);
        if tokens > self.limit { Err(Error::Context { tokens, limit: self.limit }) } else { Ok(()) }
    }
}
