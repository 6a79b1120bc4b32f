//! Some blocks of a model's weights hashed, and where in the files they are.

use seal::fingerprint::block_mark;
use seal::spot::Spot;
use seal::{Elements, Mark, Rule, Seal, Tensor};
use serde::{Deserialize, Serialize};

use super::super::work::{self, Answer, Contents, Side};
use super::{ALLOWANCE, Model, weights, with_tensors};
use crate::busy::while_busy;
use crate::failure::{Done, Failure};

/// More bytes than the first and the last of a format's blocks have together.
const BLOCKS_BYTES_MAX: u64 = 4096;

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
    /// Where the bytes are from which its elements are read; none where that is not known.
    pub(crate) places: Vec<Place>,
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
    // A block is so many elements, of at most eight bytes each, and what is stored in blocks begins and ends with whole ones.
    let most = seal.rule().block().saturating_mul(8).saturating_add(BLOCKS_BYTES_MAX);
    let fits = |hashed: &Hashed| {
        let total = hashed.places.iter().fold(0_u64, |total, place| total.saturating_add(place.bytes));
        total <= most && hashed.places.len() as u64 <= seal.rule().block()
    };
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
            let absent = Hashed { shape: None, mark: [0; 32], places: Vec::new() };
            let Some(tensor) = tensors.iter().find(|tensor| tensor.name() == name) else { return Ok(absent) };
            // A tensor that is too short for the block is told by its shape.
            let mark = block_mark(&rule, tensor, *block).map_or([0; 32], |mark: Mark| *mark.as_bytes());
            let places = places(&rule, tensor, *block, &files).unwrap_or_default();
            Ok::<_, Failure>(Hashed { shape: Some(tensor.shape().to_vec()), mark, places })
        });
        hashed.collect()
    })
}

/// Where the bytes of a block's elements are: one part of a file, or several where the file has rows in another order.
fn places(rule: &Rule, tensor: &Tensor<'_>, block: u64, files: &[&[u8]]) -> Option<Vec<Place>> {
    let first = block.checked_mul(rule.block())?;
    let count = usize::try_from(tensor.length().checked_sub(first)?.min(rule.block())).ok()?;
    let parts = match tensor.elements() {
        Elements::Plain { dtype, bytes } => {
            let begin = usize::try_from(first).ok()?.checked_mul(dtype.bytes())?;
            vec![bytes.get(begin..begin.checked_add(count.checked_mul(dtype.bytes())?)?)?]
        }
        Elements::Coded(decode) => decode.stored(first, count),
    };
    let mut places: Vec<Place> = Vec::new();
    for part in parts {
        let next = place(part, files)?;
        match places.last_mut() {
            Some(last) if last.file == next.file && last.offset + last.bytes == next.offset => {
                last.bytes += next.bytes;
            }
            _ => places.push(next),
        }
    }
    Some(places)
}

/// Where in the files a part of one of them is.
fn place(part: &[u8], files: &[&[u8]]) -> Option<Place> {
    let at = part.as_ptr() as usize;
    files.iter().enumerate().find_map(|(file, bytes)| {
        let range = bytes.as_ptr_range();
        let (first, last) = (range.start as usize, range.end as usize);
        let offset = u64::try_from(at.checked_sub(first)?).ok()?;
        (at < last).then_some(Place { file, offset, bytes: part.len() as u64 })
    })
}
