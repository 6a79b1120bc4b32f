//! Panels of weights brought to the common form, sixteen rows at once.

use std::arch::x86_64::{
    __m128i, __m512, __m512i, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm512_and_si512,
    _mm512_castsi128_si512, _mm512_cvtepi32_epi16, _mm512_cvtepi32_ps, _mm512_cvtph_ps, _mm512_inserti32x4,
    _mm512_loadu_si512, _mm512_mul_ps, _mm512_or_si512, _mm512_set1_epi32, _mm512_set1_ps, _mm512_slli_epi32,
    _mm512_srli_epi32, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use crate::kernel::kind::{Kind, scale_min};
use crate::kernel::{LANES, Panel, QUADS};

/// Sixteen rows of a matrix, for reading at one offset in each.
#[derive(Clone, Copy)]
struct SixteenRows<'a> {
    rows: [&'a [u8]; LANES],
}

impl SixteenRows<'_> {
    /// Sixteen bytes at the same offset of each row, as four vectors: dword `q` of row `r` is in lane `r` of
    /// vector `q`.
    ///
    /// SAFETY: `at + 16` is within every row.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    #[inline]
    unsafe fn quads(&self, at: usize) -> [__m512i; 4] {
        macro_rules! four {
            ($first:literal) => {{
                // SAFETY: the function's own contract.
                unsafe {
                    let load = |row: &[u8]| -> __m128i { _mm_loadu_si128(row.as_ptr().add(at).cast()) };
                    let v = _mm512_castsi128_si512(load(self.rows[$first]));
                    let v = _mm512_inserti32x4::<1>(v, load(self.rows[$first + 4]));
                    let v = _mm512_inserti32x4::<2>(v, load(self.rows[$first + 8]));
                    _mm512_inserti32x4::<3>(v, load(self.rows[$first + 12]))
                }
            }};
        }
        let (a, b, c, d) = (four!(0), four!(1), four!(2), four!(3));
        let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
        let (ab_high, cd_high) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
        [
            _mm512_unpacklo_epi64(ab, cd),
            _mm512_unpackhi_epi64(ab, cd),
            _mm512_unpacklo_epi64(ab_high, cd_high),
            _mm512_unpackhi_epi64(ab_high, cd_high),
        ]
    }

    /// A dword at the same offset of each row.
    ///
    /// SAFETY: `at + 4` is within every row.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    #[inline]
    unsafe fn dwords(&self, at: usize) -> __m512i {
        let mut values = [0_i32; LANES];
        for (value, row) in values.iter_mut().zip(&self.rows) {
            // SAFETY: the function's own contract.
            *value = unsafe { row.as_ptr().add(at).cast::<i32>().read_unaligned() };
        }
        // SAFETY: `values` is sixteen readable dwords.
        unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
    }
}

/// Asks for the part of the next panel that corresponds to `share` of this one. Rows are read sixteen at once, which
/// the processor's own prefetcher does not see through.
#[inline]
fn prefetch(next: &[u8], part: usize, parts: usize) {
    let bytes = next.len() / parts;
    let mut at = part * bytes;
    while at < (part + 1) * bytes {
        if let Some(byte) = next.get(at) {
            // SAFETY: a prefetch reads nothing; the address is inside the slice.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast()) }
        }
        at += 64;
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
fn store_quad(panel: &mut [u32], quad: usize, value: __m512i) {
    if let Some(place) = panel.get_mut(quad * LANES..).and_then(|rest| rest.first_chunk_mut::<LANES>()) {
        // SAFETY: `place` is sixteen writable dwords.
        unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), value) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
fn store_lanes(place: &mut [f32], group: usize, value: __m512) {
    if let Some(place) = place.get_mut(group * LANES..).and_then(|rest| rest.first_chunk_mut::<LANES>()) {
        // SAFETY: `place` is sixteen writable floats.
        unsafe { _mm512_storeu_ps(place.as_mut_ptr(), value) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
fn low_halves(dwords: __m512i) -> __m512 {
    _mm512_cvtph_ps(_mm512_cvtepi32_epi16(dwords))
}

/// [`crate::kernel::portable::pack`] with vector instructions. Answers whether the kind has such a form.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,avx2,fma")]
pub(in crate::kernel) unsafe fn pack_avx512(
    kind: Kind,
    bytes: &[u8],
    row_bytes: usize,
    rows: usize,
    first: usize,
    panel: &mut Panel,
) -> bool {
    let mut slices: [&[u8]; LANES] = [&[]; LANES];
    for (lane, slice) in slices.iter_mut().enumerate() {
        let row = (first + lane).min(rows - 1);
        *slice = &bytes[row * row_bytes..(row + 1) * row_bytes];
    }
    // INVARIANT: every row is `row_bytes` long, whole blocks; all offsets below are inside a block.
    let block_bytes = kind.block_bytes();
    let blocks = row_bytes / block_bytes;
    let after = (first + LANES).min(rows) * row_bytes;
    let next = &bytes[after..(after + LANES * row_bytes).min(bytes.len())];
    let slices = SixteenRows { rows: slices };
    let low = _mm512_set1_epi32(0x0f0f_0f0f);
    match kind {
        Kind::Q4_0 | Kind::Q4_1 => {
            let header = if kind == Kind::Q4_0 { 2 } else { 4 };
            for group in 0..blocks {
                let at = group * block_bytes;
                prefetch(next, group, blocks);
                for (q, quad) in unsafe { slices.quads(at + header) }.into_iter().enumerate() {
                    store_quad(&mut panel.quads, group * QUADS + q, _mm512_and_si512(quad, low));
                    let high = _mm512_and_si512(_mm512_srli_epi32::<4>(quad), low);
                    store_quad(&mut panel.quads, group * QUADS + q + 4, high);
                }
                let head = unsafe { slices.dwords(at) };
                let scale = low_halves(head);
                let offset = if kind == Kind::Q4_0 {
                    _mm512_mul_ps(_mm512_set1_ps(-8.0), scale)
                } else {
                    low_halves(_mm512_srli_epi32::<16>(head))
                };
                store_lanes(&mut panel.scales, group, scale);
                store_lanes(&mut panel.offsets, group, offset);
            }
        }
        Kind::Q8_0 => {
            let flip = _mm512_set1_epi32(0x8080_8080_u32 as i32);
            for group in 0..blocks {
                let at = group * block_bytes;
                prefetch(next, group, blocks);
                for part in 0..2 {
                    for (q, quad) in unsafe { slices.quads(at + 2 + part * 16) }.into_iter().enumerate() {
                        let place = group * QUADS + part * 4 + q;
                        store_quad(&mut panel.quads, place, _mm512_xor_si512(quad, flip));
                    }
                }
                let scale = low_halves(unsafe { slices.dwords(at) });
                store_lanes(&mut panel.scales, group, scale);
                store_lanes(&mut panel.offsets, group, _mm512_mul_ps(_mm512_set1_ps(-128.0), scale));
            }
        }
        Kind::Q4K => {
            for block in 0..blocks {
                let at = block * block_bytes;
                prefetch(next, block, blocks);
                for pair in 0..4 {
                    for part in 0..2 {
                        let quads = unsafe { slices.quads(at + 16 + pair * 32 + part * 16) };
                        for (q, quad) in quads.into_iter().enumerate() {
                            let place = (block * 8 + pair * 2) * QUADS + part * 4 + q;
                            store_quad(&mut panel.quads, place, _mm512_and_si512(quad, low));
                            let high = _mm512_and_si512(_mm512_srli_epi32::<4>(quad), low);
                            store_quad(&mut panel.quads, place + QUADS, high);
                        }
                    }
                }
                let head = unsafe { slices.dwords(at) };
                let (d, dmin) = (low_halves(head), low_halves(_mm512_srli_epi32::<16>(head)));
                let negative = _mm512_mul_ps(_mm512_set1_ps(-1.0), dmin);
                for group in 0..8 {
                    let (mut scales, mut minima) = ([0_i32; LANES], [0_i32; LANES]);
                    for lane in 0..LANES {
                        let (scale, minimum) = scale_min(&slices.rows[lane][at + 4..at + 16], group);
                        scales[lane] = i32::from(scale);
                        minima[lane] = i32::from(minimum);
                    }
                    // SAFETY: both arrays are sixteen readable dwords.
                    let (scales, minima) = unsafe {
                        (
                            _mm512_loadu_si512(scales.as_ptr().cast()),
                            _mm512_loadu_si512(minima.as_ptr().cast()),
                        )
                    };
                    let place = block * 8 + group;
                    store_lanes(&mut panel.scales, place, _mm512_mul_ps(d, _mm512_cvtepi32_ps(scales)));
                    let offset = _mm512_mul_ps(negative, _mm512_cvtepi32_ps(minima));
                    store_lanes(&mut panel.offsets, place, offset);
                }
            }
        }
        Kind::Q6K => {
            let two = _mm512_set1_epi32(0x3030_3030);
            for block in 0..blocks {
                let at = block * block_bytes;
                prefetch(next, block, blocks);
                for half in 0..2 {
                    for part in 0..2 {
                        let a = unsafe { slices.quads(at + half * 64 + part * 16) };
                        let b = unsafe { slices.quads(at + half * 64 + 32 + part * 16) };
                        let c = unsafe { slices.quads(at + 128 + half * 32 + part * 16) };
                        for q in 0..4 {
                            let place = block * 64 + half * 32 + part * 4 + q;
                            let high = |v: __m512i| _mm512_and_si512(v, two);
                            let n0 = _mm512_or_si512(
                                _mm512_and_si512(a[q], low),
                                high(_mm512_slli_epi32::<4>(c[q])),
                            );
                            let n1 = _mm512_or_si512(
                                _mm512_and_si512(b[q], low),
                                high(_mm512_slli_epi32::<2>(c[q])),
                            );
                            let shifted = _mm512_and_si512(_mm512_srli_epi32::<4>(a[q]), low);
                            let n2 = _mm512_or_si512(shifted, high(c[q]));
                            let shifted = _mm512_and_si512(_mm512_srli_epi32::<4>(b[q]), low);
                            let n3 = _mm512_or_si512(shifted, high(_mm512_srli_epi32::<2>(c[q])));
                            store_quad(&mut panel.quads, place, n0);
                            store_quad(&mut panel.quads, place + 8, n1);
                            store_quad(&mut panel.quads, place + 16, n2);
                            store_quad(&mut panel.quads, place + 24, n3);
                        }
                    }
                }
                let mut d = [0_u32; LANES];
                for (d, row) in d.iter_mut().zip(&slices.rows) {
                    *d = u32::from(u16::from_le_bytes([row[at + 208], row[at + 209]]));
                }
                // SAFETY: `d` is sixteen readable dwords.
                let d = low_halves(unsafe { _mm512_loadu_si512(d.as_ptr().cast()) });
                for group in 0..16 {
                    let mut scales = [0_i32; LANES];
                    for (scale, row) in scales.iter_mut().zip(&slices.rows) {
                        *scale = i32::from(row[at + 192 + group] as i8);
                    }
                    // SAFETY: `scales` is sixteen readable dwords.
                    let scales = unsafe { _mm512_loadu_si512(scales.as_ptr().cast()) };
                    let scale = _mm512_mul_ps(d, _mm512_cvtepi32_ps(scales));
                    store_lanes(&mut panel.scales, block * 16 + group, scale);
                    let offset = _mm512_mul_ps(_mm512_set1_ps(-32.0), scale);
                    store_lanes(&mut panel.offsets, block * 16 + group, offset);
                }
            }
        }
        _ => return false,
    }
    true
}
