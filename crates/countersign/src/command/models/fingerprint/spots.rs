//! Some blocks of a model's weights hashed, and where in the files they are.

use seal::fingerprint::block_mark;
use seal::spot::Spot;
use seal::{Elements, Mark, Rule, Seal, Tensor};
use serde::{Deserialize, Serialize};

use super::super::work::{self, Answer, Contents, Side};
use super::{ALLOWANCE, Model, weights, with_tensors};
use crate::busy::while_busy;
use crate::failure::{Done, Failure};

/// Which blocks are hashed, under which rule.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpotTask {
    side: Side,
    /// The rule as the canonical JSON that is signed.
    rule: String,
    /// Tensors by name, with a block of each.
    spots: Vec<(String, u64)>,
}

/// A block that was hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hashed {
    /// The tensor's shape; none where there is no such tensor.
    pub(crate) shape: Option<Vec<u64>>,
    /// The block's hash.
    pub(crate) mark: [u8; 32],
    /// Where its bytes are, where they are elements as they stand.
    pub(crate) place: Option<Place>,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// The file's number among the files with weights.
    pub(crate) file: usize,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// Asks for the hashes of blocks of a seal, in their order.
pub(crate) fn ask(model: &Model<'_>, seal: &Seal, spots: &[Spot]) -> Done<(Vec<Hashed>, scan::ReadIn)> {
    let task = SpotTask {
        side: model.side.clone(),
        rule: String::from_utf8_lossy(&seal.rule().to_bytes()).into_owned(),
        spots: spots.iter().map(|spot| (spot.tensor.clone(), spot.block)).collect(),
    };
    let (answer, read_in) = while_busy("hashing blocks", || {
        let task = work::Task::Spots(task);
        work::perform(model.args.isolation, &model.handed, task, ALLOWANCE, &mut |_| Ok(()))
    })?;
    let Answer::Spots(hashed) = answer else { return Err(work::another()) };
    // A block is so many elements, of at most eight bytes each.
    let most = seal.rule().block().saturating_mul(8);
    let fits = |hashed: &Hashed| hashed.place.is_none_or(|place| place.bytes <= most);
    if hashed.len() != spots.len() || !hashed.iter().all(fits) {
        return Err(work::lie("it hashed other blocks than it was asked to"));
    }
    Ok((hashed, read_in))
}

/// Hashes blocks, wherever that is done.
pub(crate) fn spots(task: &SpotTask, contents: &Contents) -> Done<Vec<Hashed>> {
    let rule = Rule::parse(task.rule.as_bytes())?;
    let files = weights(&task.side).into_iter().map(|name| task.side.bytes(contents, name));
    let files: Vec<&[u8]> = files.map(|bytes| bytes.map(|bytes| &**bytes)).collect::<Done<_>>()?;
    with_tensors(&task.side, contents, |tensors, _| {
        let hashed = task.spots.iter().map(|(name, block)| {
            let absent = Hashed { shape: None, mark: [0; 32], place: None };
            let Some(tensor) = tensors.iter().find(|tensor| tensor.name() == name) else { return Ok(absent) };
            // A tensor that is too short for the block is told by its shape.
            let mark = block_mark(&rule, tensor, *block).map_or([0; 32], |mark: Mark| *mark.as_bytes());
            let place = place(&rule, tensor, *block, &files);
            Ok::<_, Failure>(Hashed { shape: Some(tensor.shape().to_vec()), mark, place })
        });
        hashed.collect()
    })
}

/// Where a block's bytes are.
fn place(rule: &Rule, tensor: &Tensor<'_>, block: u64, files: &[&[u8]]) -> Option<Place> {
    let Elements::Plain { dtype, bytes } = tensor.elements() else { return None };
    let size = u64::try_from(dtype.bytes()).ok()?;
    let begin = usize::try_from(block.checked_mul(rule.block())?.checked_mul(size)?).ok()?;
    let length = usize::try_from(rule.block().checked_mul(size)?).ok()?;
    let part = bytes.get(begin..bytes.len().min(begin.checked_add(length)?))?;
    let at = part.as_ptr() as usize;
    files.iter().enumerate().find_map(|(file, bytes)| {
        let range = bytes.as_ptr_range();
        let (first, last) = (range.start as usize, range.end as usize);
        let offset = u64::try_from(at.checked_sub(first)?).ok()?;
        (at < last).then_some(Place { file, offset, bytes: part.len() as u64 })
    })
}
