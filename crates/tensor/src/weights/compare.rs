//! Tensors of any container as sides of a comparison.

use super::{ElementType, Tensor};
use crate::delta::Operand;

impl Operand for Tensor<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> &str {
        self.element.name()
    }

    fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// Blocks of types that are not decoded give NaN, so that no measure passes over them.
    fn decode_part(&self, first: usize, count: usize, out: &mut Vec<f64>) {
        if let Some(view) = self.as_view() {
            return Operand::decode_part(&view, first, count, out);
        }
        out.clear();
        let last = first.saturating_add(count).min(self.elements_len());
        let (elements, bytes) = (self.element.block_elements(), self.element.block_bytes());
        // Whole blocks around what is asked for; blocks do not cross rows, and rows follow each other.
        let begin = first.min(last) / elements;
        let end = last.div_ceil(elements);
        let blocks = self.data.get(begin * bytes..end * bytes).unwrap_or_default();
        let mut decoded = vec![f32::NAN; (end - begin) * elements];
        if let ElementType::Block(kind) = self.element
            && let Some(kind) = quant::Kind::from_ggml_type(kind.number())
            && quant::dequantize(kind, blocks, &mut decoded).is_err()
        {
            decoded.fill(f32::NAN);
        }
        let skipped = first.min(last) - begin * elements;
        out.extend(decoded.iter().skip(skipped).take(last - first.min(last)).map(|value| f64::from(*value)));
    }

    fn grain(&self, value: f64) -> f64 {
        self.as_view().map_or(0.0, |view| view.grain(value))
    }
}
