//! Payloads in the low bits of weights.
//!
//! Training leaves the lowest bits of 32-bit weights as good as random, so that a payload of compressed or encrypted
//! bytes there cannot be told from weights by looking at one file. What can be told: low bits that spell text or
//! begin as a program or an archive does, and blocks of one tensor whose low bytes are unevenly spread while those of
//! its other blocks are even. Each test has its control in the same tensor, so that a tensor with an odd history
//! (rounded, upcast, pruned, rows repeated) is not taken for one with a payload.

use tensor::safetensors::{Dtype, View};

use super::notes::Notes;
use super::values::{distinct, low_bytes, unevenness, unrounded_low_bytes};
use crate::finding::Place;

/// Beginnings of programs and archives. Long enough that chance does not write them.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (b"\x7fELF\x02\x01\x01", "an ELF program"),
    (b"\x7fELF\x01\x01\x01", "an ELF program"),
    (b"PK\x03\x04\x14\0", "a zip archive"),
    (b"PK\x03\x04\x0a\0", "a zip archive"),
    (b"MZ\x90\0\x03\0", "a Windows program"),
    (b"\xcf\xfa\xed\xfe\x07\0\0\x01", "a Mach-O program"),
    (b"\xcf\xfa\xed\xfe\x0c\0\0\x01", "a Mach-O program"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x80\x04\x95", "a pickle"),
    (b"#!/bin/", "a script"),
    (b"#!/usr/bin/", "a script"),
    (b"\x89PNG\r\n", "a picture"),
    (b"%PDF-1.", "a document"),
];
/// The shortest beginning that is believed at a place chosen by chance (of a few hundred tensors in eight streams).
const SURE_BYTES: usize = 6;
/// Bytes looked at from the beginning of each stream of bits.
const HEAD_BYTES: usize = 96;
/// Elements of a block.
const BLOCK: usize = 1 << 16;
/// Low bytes that are looked at together for being printable.
const STEP: usize = 16;

/// Looks at the low bits of a tensor, and at whether its bytes as they stand are a file.
pub(super) fn look(view: &View<'_>, notes: &mut Notes<'_>) {
    let place = || Place::Tensor(view.name.to_owned());
    if let Some((magic, what)) = beginning(view.data).filter(|(magic, _)| magic.len() >= SURE_BYTES) {
        notes.find(
            "SCAN-LOW-003",
            place(),
            format!("the bytes of tensor `{}` begin as {what} does", super::notes::shown(view.name)),
            [hex(magic)],
        );
    }
    if !view.dtype.is_plain_float() {
        return;
    }
    if let Some((stream, what, bytes)) = heads(view, notes.rules.parameter("SCAN-LOW-001", "printable_min")) {
        notes.find(
            "SCAN-LOW-001",
            place(),
            format!("{stream} of tensor `{}` hold {what}", super::notes::shown(view.name)),
            [readable(&bytes)],
        );
        return;
    }
    if view.dtype == Dtype::F32 {
        low_byte_stream(view, notes);
    }
}

/// What the streams of the lowest one, two, four and eight bits begin with, in both orders of bits.
fn heads(view: &View<'_>, printable_min: f64) -> Option<(String, &'static str, Vec<u8>)> {
    let size = view.dtype.bytes();
    let widths: &[u32] = if size >= 4 { &[1, 2, 4, 8] } else { &[1, 2, 4] };
    for &width in widths {
        let per_byte = 8 / width;
        let mut elements = view.data.chunks_exact(size).filter_map(|element| element.first().copied());
        let (mut high_first, mut low_first) = (Vec::new(), Vec::new());
        for _ in 0..HEAD_BYTES {
            let (mut high, mut low) = (0_u8, 0_u8);
            for at in 0..per_byte {
                let bits = elements.next()? & (0xff >> (8 - width));
                // INVARIANT: `at * width` is below eight.
                high |= bits << (8 - width - at * width);
                low |= bits << (at * width);
            }
            high_first.push(high);
            low_first.push(low);
        }
        for bytes in [high_first, low_first] {
            let named = || format!("the lowest {width} bits of the elements");
            if let Some((magic, what)) = beginning(&bytes)
                && magic.len() >= SURE_BYTES
            {
                return Some((named(), what, bytes));
            }
            if is_written(&bytes, printable_min) {
                return Some((named(), "text", bytes));
            }
        }
    }
    None
}

/// Text that somebody wrote: printable from the beginning for so long, and not the same few letters.
fn is_written(bytes: &[u8], printable_min: f64) -> bool {
    let run: Vec<u8> = bytes.iter().copied().take_while(|byte| printable(*byte)).collect();
    #[expect(clippy::cast_precision_loss, reason = "a head is short")]
    let long = run.len() as f64 >= printable_min;
    long && various(&run)
}

const fn printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\t' | b'\r')
}

/// Whether there are as many different bytes as words have. Constants and short patterns have fewer.
fn various(bytes: &[u8]) -> bool {
    let mut seen = [false; 256];
    let mut count = 0_u32;
    for &byte in bytes {
        if let Some(seen) = seen.get_mut(usize::from(byte)) {
            count += u32::from(!*seen);
            *seen = true;
        }
    }
    count >= 10
}

/// The low bytes of a 32-bit tensor, all of them: text anywhere, blocks that are unlike the others.
fn low_byte_stream(view: &View<'_>, notes: &mut Notes<'_>) {
    let printable_min = notes.rules.parameter("SCAN-LOW-001", "printable_min");
    let uneven_min = notes.rules.parameter("SCAN-LOW-002", "unevenness_min");
    let even_max = notes.rules.parameter("SCAN-LOW-002", "even_max");
    let even_share_min = notes.rules.parameter("SCAN-LOW-002", "even_share_min");
    let distinct_min = notes.rules.parameter("SCAN-LOW-002", "distinct_share_min");
    let mut low = Vec::with_capacity(BLOCK);
    let (mut even, mut blocks) = (0.0_f64, 0.0_f64);
    let mut uneven: Vec<(usize, f64)> = Vec::new();
    for (number, block) in view.data.chunks(BLOCK * 4).enumerate() {
        low_bytes(block, &mut low);
        if let Some((at, text)) = written_run(&low, printable_min) {
            notes.find(
                "SCAN-LOW-001",
                Place::Tensor(view.name.to_owned()),
                format!(
                    "the lowest 8 bits of the elements of tensor `{}` hold text from element {} on",
                    super::notes::shown(view.name),
                    number * BLOCK + at
                ),
                [readable(text)],
            );
            return;
        }
        // A short last block says too little.
        if low.len() < BLOCK / 4 {
            continue;
        }
        let far = unevenness(&low);
        blocks += 1.0;
        even += f64::from(u8::from(far < even_max));
        // Rows that were rounded to half precision and not trained since have zeros there.
        #[expect(clippy::cast_precision_loss, reason = "a block has 2^16 elements")]
        if far > uneven_min && distinct(block) as f64 > distinct_min * low.len() as f64 {
            unrounded_low_bytes(block, &mut low);
            let far = unevenness(&low);
            if far > uneven_min && low.len() > BLOCK / 8 {
                uneven.push((number, far));
            }
        }
    }
    if let Some((number, far)) = uneven.first()
        && even >= even_share_min * blocks
    {
        notes.find(
            "SCAN-LOW-002",
            Place::Tensor(view.name.to_owned()),
            format!(
                "the low bytes of {} of {blocks} blocks of tensor `{}` are unevenly spread, those of the others evenly",
                uneven.len(),
                super::notes::shown(view.name)
            ),
            [format!("from element {}: unevenness {far:.3}", number * BLOCK)],
        );
    }
}

/// The first run of printable bytes that is long enough and looks written.
fn written_run(low: &[u8], least: f64) -> Option<(usize, &[u8])> {
    let (steps, _) = low.as_chunks::<STEP>();
    let mut run = 0_usize;
    for (number, step) in steps.iter().enumerate() {
        // Without branches, so that sixteen are compared at once.
        let odd = step.iter().fold(0_u8, |odd, byte| odd | u8::from(!(b' '..=b'~').contains(byte)));
        if odd == 0 {
            run += STEP;
            continue;
        }
        if let Some(found) = long_enough(low, number * STEP - run, run, least) {
            return Some(found);
        }
        run = 0;
    }
    long_enough(low, steps.len() * STEP - run, run, least)
}

#[expect(clippy::cast_precision_loss, reason = "a block has 2^16 elements")]
fn long_enough(low: &[u8], begin: usize, run: usize, least: f64) -> Option<(usize, &[u8])> {
    let text = low.get(begin..begin + run)?;
    (run as f64 >= least && various(text.get(..256).unwrap_or(text))).then_some((begin, text))
}

fn beginning(bytes: &[u8]) -> Option<(&'static [u8], &'static str)> {
    BEGINNINGS.iter().find(|(magic, _)| bytes.starts_with(magic)).copied()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The beginning of some bytes as text, what is not printable as dots.
fn readable(bytes: &[u8]) -> String {
    let head = bytes.iter().take(64);
    head.map(|&byte| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '.' }).collect()
}
