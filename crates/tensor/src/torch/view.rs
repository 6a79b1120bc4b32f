//! Tensors as views of storages: bounds, and elements in row-major order.

use std::borrow::Cow;

use super::element::ElementType;
use super::error::Error;

/// A tensor: a view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Where it stands in the checkpoint: keys, attributes and indices joined by dots.
    pub name: String,
    /// The type of its elements.
    pub element: ElementType,
    /// The shape.
    pub shape: Vec<u64>,
    /// Elements of the storage between neighbours in each dimension.
    pub strides: Vec<u64>,
    /// The first element in the storage.
    pub offset: u64,
    /// The storage, by its place in [`Checkpoint::storages`](super::Checkpoint::storages).
    pub storage: usize,
    /// Whether the numbers mean something only with a quantiser's scales, which are not read.
    pub quantised: bool,
}

impl Tensor {
    /// How many elements; [`u64::MAX`] where the shape overflows, which no tensor that was read has.
    pub fn count(&self) -> u64 {
        count(&self.shape).unwrap_or(u64::MAX)
    }

    /// Whether the elements lie in the storage in row-major order, one after the other.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.count() == 0
            || self.shape.iter().zip(&self.strides).rev().all(|(size, stride)| {
                let fits = *size == 1 || *stride == expected;
                expected = expected.saturating_mul(*size);
                fits
            })
    }

    /// The bytes of the storage that the view touches, from the first to one past the last.
    pub fn span(&self) -> Option<(u64, u64)> {
        let begin = self.offset.checked_mul(self.element.bytes)?;
        if count(&self.shape)? == 0 {
            return Some((begin, begin));
        }
        let last = self.shape.iter().zip(&self.strides).try_fold(self.offset, |last, (size, stride)| {
            last.checked_add(size.checked_sub(1)?.checked_mul(*stride)?)
        })?;
        Some((begin, last.checked_add(1)?.checked_mul(self.element.bytes)?))
    }

    /// Checks that the view stays in a storage of so many bytes.
    pub(super) fn check(&self, bytes: u64) -> Result<(), Error> {
        let out = || Error::Bounds { name: self.name.clone(), elements: bytes / self.element.bytes.max(1) };
        let (_, end) = self.span().ok_or_else(out)?;
        let whole = count(&self.shape).and_then(|count| count.checked_mul(self.element.bytes));
        if end > bytes || whole.is_none() || self.shape.len() != self.strides.len() {
            return Err(out());
        }
        Ok(())
    }
}

fn count(shape: &[u64]) -> Option<u64> {
    // A zero makes the tensor empty whatever the other dimensions are.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1_u64, |count, size| count.checked_mul(*size))
}

/// The longest runs of elements that lie together, in row-major order.
#[derive(Debug, Clone)]
pub struct Runs<'s> {
    bytes: &'s [u8],
    /// Outer dimensions: size and stride in bytes, from the outermost.
    outer: Vec<(u64, u64)>,
    /// Where the next run is, in each outer dimension; nothing at the end.
    place: Option<Vec<u64>>,
    begin: u64,
    run: u64,
}

impl<'s> Runs<'s> {
    pub(super) fn new(tensor: &Tensor, bytes: &'s [u8]) -> Self {
        let width = tensor.element.bytes;
        let mut run = 1_u64;
        let mut dimensions: Vec<(u64, u64)> =
            tensor.shape.iter().copied().zip(tensor.strides.iter().copied()).collect();
        while let Some((size, stride)) = dimensions.last().copied() {
            if size != 1 && stride != run {
                break;
            }
            run = run.saturating_mul(size);
            dimensions.pop();
        }
        let outer: Vec<_> =
            dimensions.into_iter().map(|(size, stride)| (size, stride.saturating_mul(width))).collect();
        let place = (tensor.count() > 0).then(|| vec![0; outer.len()]);
        Self {
            bytes,
            outer,
            place,
            begin: tensor.offset.saturating_mul(width),
            run: run.saturating_mul(width),
        }
    }
}

impl<'s> Iterator for Runs<'s> {
    type Item = &'s [u8];

    fn next(&mut self) -> Option<&'s [u8]> {
        let place = self.place.as_mut()?;
        let begin = place.iter().zip(&self.outer).fold(self.begin, |begin, (index, (_, stride))| {
            begin.saturating_add(index.saturating_mul(*stride))
        });
        // To the next place: the innermost dimension moves first.
        let moved = place.iter_mut().zip(&self.outer).rev().any(|(index, (size, _))| {
            *index += 1;
            let stays = *index < *size;
            if !stays {
                *index = 0;
            }
            stays
        });
        if !moved {
            self.place = None;
        }
        let begin = usize::try_from(begin).ok()?;
        let run = usize::try_from(self.run).ok()?;
        self.bytes.get(begin..begin.checked_add(run)?)
    }
}

pub(super) fn elements<'s>(
    tensor: &Tensor,
    bytes: &'s [u8],
    big_endian: bool,
    limit: u64,
) -> Result<Cow<'s, [u8]>, Error> {
    let needed = tensor.count().saturating_mul(tensor.element.bytes);
    let mut runs = Runs::new(tensor, bytes);
    if tensor.is_contiguous() && !(big_endian && tensor.element.bytes > 1) {
        return Ok(Cow::Borrowed(runs.next().unwrap_or_default()));
    }
    if needed > limit {
        return Err(Error::TooLarge { name: tensor.name.clone(), bytes: needed, limit });
    }
    let mut laid = Vec::with_capacity(usize::try_from(needed).unwrap_or_default());
    for run in runs {
        laid.extend_from_slice(run);
    }
    if big_endian {
        // A complex number is two numbers.
        let halves = if tensor.element.name.starts_with("complex") { 2 } else { 1 };
        let width = usize::try_from(tensor.element.bytes / halves).unwrap_or(1).max(1);
        laid.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    Ok(Cow::Owned(laid))
}
