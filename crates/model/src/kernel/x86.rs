//! The kernels for x86-64 processors with AVX2 or AVX-512 (VNNI).
//!
//! This is the one module of the crate that may use `unsafe`, for two reasons: calling a function that is compiled
//! for instructions the processor may lack (every call here stands behind the run-time detection of
//! [`Level`](super::Level)), and loading vectors from slices (every load stands behind a check of the slice's
//! length in the same function). Nothing else is done with it.
//!
//! What is computed is defined by [`super::portable`] and [`super::math`]; a test compares bit for bit.

#![allow(unsafe_code, reason = "vector instructions behind run-time detection; see the module's text")]
#![allow(clippy::missing_safety_doc, reason = "one contract for all: the features named were detected")]

use std::arch::x86_64::{
    __m128i, __m512, __m512i, _mm_loadu_si128, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    _mm512_and_si512, _mm512_castsi128_si512, _mm512_cvtepi32_ps, _mm512_cvtph_ps, _mm512_fmadd_ps,
    _mm512_inserti32x4, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_or_si512,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi32,
    _mm512_srli_epi32, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};
use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_broadcast_ss, _mm256_cvtepi32_ps, _mm256_fmadd_ps,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_si256, _mm256_slli_epi32,
    _mm256_srli_epi16, _mm512_cvtepi32_epi16,
};
use std::arch::x86_64::{
    _MM_HINT_T0, _mm_prefetch, _mm_storeu_si128, _mm512_castps_si512, _mm512_cvtepi32_epi8, _mm512_max_epi32,
    _mm512_min_epi32, _mm512_reduce_add_epi32, _mm512_reduce_max_epi32, _mm512_sub_epi32,
};

use super::kind::{Kind, scale_min};
use super::math::{self, Activation};
use super::{LANES, Panel, QUADS, Quantised, TileView};

/// The instructions that the AVX-512 level needs.
pub(super) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vnni")
        && has_avx2()
}

/// The instructions that the AVX2 level needs.
pub(super) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
}

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

/// [`super::portable::pack`] with vector instructions. Answers whether the kind has such a form.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,avx2,fma")]
pub(super) unsafe fn pack_avx512(
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

/// [`super::portable::dot`] for a tile of `C` activation rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
unsafe fn dot_avx512_by<const C: usize, const Q: usize>(
    panel: &Panel,
    x: TileView<'_>,
    out: &mut [[f32; LANES]],
) {
    let groups = x.sums.len() / C;
    let per_scale = QUADS / Q;
    let codes = &x.quads[..groups * Q * C];
    let scales = &x.scales[..groups / per_scale * C];
    let quads = &panel.quads[..groups * Q * LANES];
    let (d, m) = (&panel.scales[..groups * LANES], &panel.offsets[..groups * LANES]);
    let mut total = [_mm512_setzero_ps(); C];
    let (mut w, mut codes) = (quads.as_ptr(), codes.as_ptr());
    for group in 0..groups {
        let mut integers = [_mm512_setzero_si512(); C];
        for _ in 0..Q {
            // SAFETY: `quads` has `groups·Q·16` dwords and `codes` has `groups·Q·C`; this is step `group·Q + q`.
            unsafe {
                let u = _mm512_loadu_si512(w.cast());
                for (c, integer) in integers.iter_mut().enumerate() {
                    *integer = dpbusd_broadcast(*integer, u, codes.add(c));
                }
                w = w.add(LANES);
                codes = codes.add(C);
            }
        }
        // SAFETY: `d` and `m` have `groups·16` floats, `scales` has `groups / per_scale · C`, `sums` has `groups·C`.
        unsafe {
            let d = _mm512_loadu_ps(d.as_ptr().add(group * LANES));
            let m = _mm512_loadu_ps(m.as_ptr().add(group * LANES));
            for c in 0..C {
                let scale = *scales.get_unchecked(group / per_scale * C + c);
                let sum = *x.sums.get_unchecked(group * C + c);
                let scale = _mm512_mul_ps(d, _mm512_set1_ps(scale));
                total[c] = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(integers[c]), total[c]);
                total[c] = _mm512_fmadd_ps(m, _mm512_set1_ps(sum), total[c]);
            }
        }
    }
    for (out, total) in out.iter_mut().zip(total) {
        // SAFETY: `out` is sixteen writable floats.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), total) }
    }
}

/// `sum + u·x`, four unsigned by four signed bytes in each lane, `x` being one dword of memory for all lanes. As
/// an intrinsic the compiler takes the broadcast out of the instruction and runs out of registers.
///
/// SAFETY: `x` points to a readable dword.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
unsafe fn dpbusd_broadcast(mut sum: __m512i, u: __m512i, x: *const u32) -> __m512i {
    // SAFETY: one dword is read at `x`; nothing else is touched.
    unsafe {
        std::arch::asm!(
            "vpdpbusd {sum}, {u}, dword ptr [{x}]{{1to16}}",
            sum = inout(zmm_reg) sum,
            u = in(zmm_reg) u,
            x = in(reg) x,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    sum
}

/// The products of a panel with a tile.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
pub(super) unsafe fn dot_avx512(
    panel: &Panel,
    group_len: usize,
    tile: TileView<'_>,
    out: &mut [[f32; LANES]],
) {
    // SAFETY: the same features are enabled here.
    unsafe {
        match (tile.width, group_len) {
            (8, 32) => dot_avx512_by::<8, 8>(panel, tile, out),
            (8, _) => dot_avx512_by::<8, 4>(panel, tile, out),
            (4, 32) => dot_avx512_by::<4, 8>(panel, tile, out),
            (4, _) => dot_avx512_by::<4, 4>(panel, tile, out),
            (_, 32) => dot_avx512_by::<1, 8>(panel, tile, out),
            (_, _) => dot_avx512_by::<1, 4>(panel, tile, out),
        }
    }
}

/// [`math::quantise`] of whole rows.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn quantise_avx2(x: &[f32], columns: usize, out: &mut Quantised) {
    super::quantise_rows(x, columns, out, math::quantise);
}

/// [`math::quantise`] of whole rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
pub(super) unsafe fn quantise_avx512(x: &[f32], columns: usize, out: &mut Quantised) {
    super::quantise_rows(x, columns, out, |x, codes| {
        // SAFETY: the closure runs in this function alone, where the features are enabled.
        unsafe { quantise_group(x, codes) }
    });
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
#[inline]
unsafe fn quantise_group(x: &[f32; 32], codes: &mut [i8; 32]) -> (f32, [i32; 2]) {
    // SAFETY: `x` is 32 readable floats, `codes` 32 writable bytes.
    unsafe {
        let (a, b) = (_mm512_loadu_ps(x.as_ptr()), _mm512_loadu_ps(x.as_ptr().add(16)));
        let magnitude = _mm512_set1_epi32(0x7fff_ffff);
        let bits = |v: __m512| _mm512_and_si512(_mm512_castps_si512(v), magnitude);
        let most = _mm512_reduce_max_epi32(_mm512_max_epi32(bits(a), bits(b)));
        let scale = f32::from_bits(most as u32) / 127.0;
        let inverse = _mm512_set1_ps(if scale > 0.0 { 1.0 / scale } else { 0.0 });
        let code = |v: __m512| {
            let shifted = _mm512_fmadd_ps(v, inverse, _mm512_set1_ps(12_582_912.0));
            let whole = _mm512_sub_epi32(_mm512_castps_si512(shifted), _mm512_set1_epi32(0x4b40_0000));
            _mm512_max_epi32(_mm512_min_epi32(whole, _mm512_set1_epi32(127)), _mm512_set1_epi32(-127))
        };
        let (a, b) = (code(a), code(b));
        _mm_storeu_si128(codes.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(a));
        _mm_storeu_si128(codes.as_mut_ptr().add(16).cast(), _mm512_cvtepi32_epi8(b));
        (scale, [_mm512_reduce_add_epi32(a), _mm512_reduce_add_epi32(b)])
    }
}

/// Sums over quads of four unsigned by four signed bytes, for codes of at most eight bits: the codes' nibbles
/// are taken apart where their products would overflow sixteen bits.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn dpbusd_avx2<const WIDE: bool>(sum: __m256i, u: __m256i, x: __m256i) -> __m256i {
    let ones = _mm256_set1_epi16(1);
    if WIDE {
        let low = _mm256_set1_epi8(15);
        let a = _mm256_maddubs_epi16(_mm256_and_si256(u, low), x);
        let b = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16::<4>(u), low), x);
        let b = _mm256_slli_epi32::<4>(_mm256_madd_epi16(b, ones));
        _mm256_add_epi32(sum, _mm256_add_epi32(_mm256_madd_epi16(a, ones), b))
    } else {
        _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(u, x), ones))
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn dot_avx2_by<const C: usize, const Q: usize, const WIDE: bool>(
    panel: &Panel,
    x: TileView<'_>,
    from: usize,
    out: &mut [[f32; LANES]],
) {
    let width = x.width;
    let groups = x.sums.len() / width;
    let per_scale = QUADS / Q;
    let quads = &panel.quads[..groups * Q * LANES];
    let (d, m) = (&panel.scales[..groups * LANES], &panel.offsets[..groups * LANES]);
    for half in [0, 8] {
        let mut total = [_mm256_setzero_ps(); C];
        for group in 0..groups {
            let mut integers = [_mm256_setzero_si256(); C];
            for quad in group * Q..(group + 1) * Q {
                // SAFETY: `quads` has `groups·Q·16` dwords, of which eight are read at `quad·16 + half`.
                let u = unsafe { _mm256_loadu_si256(quads.as_ptr().add(quad * LANES + half).cast()) };
                for c in 0..C {
                    let x = _mm256_set1_epi32(x.quads[quad * width + from + c] as i32);
                    integers[c] = dpbusd_avx2::<WIDE>(integers[c], u, x);
                }
            }
            // SAFETY: `d` and `m` have `groups·16` floats.
            let (d, m) = unsafe {
                (
                    _mm256_loadu_ps(d.as_ptr().add(group * LANES + half)),
                    _mm256_loadu_ps(m.as_ptr().add(group * LANES + half)),
                )
            };
            for c in 0..C {
                let scale = _mm256_mul_ps(d, _mm256_set1_ps(x.scales[group / per_scale * width + from + c]));
                total[c] = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(integers[c]), total[c]);
                total[c] = _mm256_fmadd_ps(m, _mm256_set1_ps(x.sums[group * width + from + c]), total[c]);
            }
        }
        for (out, total) in out.iter_mut().zip(total) {
            // SAFETY: `out` is sixteen floats, of which eight are written at `half`.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(half), total) }
        }
    }
}

/// The products of a panel with a tile.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn dot_avx2(
    panel: &Panel,
    (group_len, wide): (usize, bool),
    tile: TileView<'_>,
    out: &mut [[f32; LANES]],
) {
    // Sixteen registers hold the sums of four rows; a tile of eight is worked on in two parts.
    for (part, out) in out.chunks_mut(4).enumerate() {
        let from = part * 4;
        // SAFETY: the same features are enabled here.
        unsafe {
            match (out.len(), group_len, wide) {
                (4, 32, false) => dot_avx2_by::<4, 8, false>(panel, tile, from, out),
                (4, 32, true) => dot_avx2_by::<4, 8, true>(panel, tile, from, out),
                (4, _, _) => dot_avx2_by::<4, 4, false>(panel, tile, from, out),
                (_, 32, false) => dot_avx2_by::<1, 8, false>(panel, tile, from, out),
                (_, 32, true) => dot_avx2_by::<1, 8, true>(panel, tile, from, out),
                (_, _, _) => dot_avx2_by::<1, 4, false>(panel, tile, from, out),
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
unsafe fn float_dot_avx512_by<const C: usize>(
    w: &[f32],
    stride: usize,
    x: &[f32],
    x_stride: usize,
    k_len: usize,
    out: &mut [[f32; LANES]],
) {
    if k_len == 0 {
        return;
    }
    let w = &w[..(k_len - 1) * stride + LANES];
    let x: [&[f32]; C] = std::array::from_fn(|c| &x[c * x_stride..c * x_stride + k_len]);
    let out = &mut out[..C];
    // SAFETY: each element of `out` is sixteen floats.
    let mut total: [__m512; C] = std::array::from_fn(|c| unsafe { _mm512_loadu_ps(out[c].as_ptr()) });
    for k in 0..k_len {
        // SAFETY: `w` has `(k_len - 1)·stride + 16` floats and `x[c]` has `k_len`.
        unsafe {
            let w = _mm512_loadu_ps(w.as_ptr().add(k * stride));
            for c in 0..C {
                total[c] = _mm512_fmadd_ps(w, _mm512_set1_ps(*x[c].get_unchecked(k)), total[c]);
            }
        }
    }
    for (out, total) in out.iter_mut().zip(total) {
        // SAFETY: `out` is sixteen floats.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), total) }
    }
}

/// [`super::portable::float_dot`] for as many rows of `x`, `x_stride` apart, as `out` has.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")]
pub(super) unsafe fn float_dot_avx512(
    w: &[f32],
    stride: usize,
    (mut x, x_stride): (&[f32], usize),
    k_len: usize,
    mut out: &mut [[f32; LANES]],
) {
    // SAFETY: the same features are enabled here.
    unsafe {
        while !out.is_empty() {
            let step = match out.len() {
                12.. => 12,
                6.. => 6,
                3.. => 3,
                _ => 1,
            };
            let (head, tail) = out.split_at_mut(step);
            match step {
                12 => float_dot_avx512_by::<12>(w, stride, x, x_stride, k_len, head),
                6 => float_dot_avx512_by::<6>(w, stride, x, x_stride, k_len, head),
                3 => float_dot_avx512_by::<3>(w, stride, x, x_stride, k_len, head),
                _ => float_dot_avx512_by::<1>(w, stride, x, x_stride, k_len, head),
            }
            out = tail;
            x = x.get(step * x_stride..).unwrap_or_default();
        }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn float_dot_avx2_by<const C: usize>(
    w: &[f32],
    stride: usize,
    x: &[f32],
    x_stride: usize,
    k_len: usize,
    out: &mut [[f32; LANES]],
) {
    if k_len == 0 {
        return;
    }
    let w = &w[..(k_len - 1) * stride + LANES];
    let x: [&[f32]; C] = std::array::from_fn(|c| &x[c * x_stride..c * x_stride + k_len]);
    let mut total = [[_mm256_setzero_ps(); 2]; C];
    for (total, out) in total.iter_mut().zip(out.iter()) {
        // SAFETY: `out` is sixteen floats.
        *total = unsafe { [_mm256_loadu_ps(out.as_ptr()), _mm256_loadu_ps(out.as_ptr().add(8))] };
    }
    for k in 0..k_len {
        // SAFETY: `w` has `(k_len - 1)·stride + 16` floats.
        let (a, b) = unsafe {
            (_mm256_loadu_ps(w.as_ptr().add(k * stride)), _mm256_loadu_ps(w.as_ptr().add(k * stride + 8)))
        };
        for c in 0..C {
            let x = _mm256_broadcast_ss(&x[c][k]);
            total[c][0] = _mm256_fmadd_ps(a, x, total[c][0]);
            total[c][1] = _mm256_fmadd_ps(b, x, total[c][1]);
        }
    }
    for (out, total) in out.iter_mut().zip(total) {
        // SAFETY: `out` is sixteen floats.
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr(), total[0]);
            _mm256_storeu_ps(out.as_mut_ptr().add(8), total[1]);
        }
    }
}

/// [`super::portable::float_dot`] for as many rows of `x`, `x_stride` apart, as `out` has.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn float_dot_avx2(
    w: &[f32],
    stride: usize,
    (mut x, x_stride): (&[f32], usize),
    k_len: usize,
    mut out: &mut [[f32; LANES]],
) {
    // SAFETY: the same features are enabled here.
    unsafe {
        while !out.is_empty() {
            let step = if out.len() >= 3 { 3 } else { 1 };
            let (head, tail) = out.split_at_mut(step);
            if step == 3 {
                float_dot_avx2_by::<3>(w, stride, x, x_stride, k_len, head);
            } else {
                float_dot_avx2_by::<1>(w, stride, x, x_stride, k_len, head);
            }
            out = tail;
            x = x.get(step * x_stride..).unwrap_or_default();
        }
    }
}

/// The functions of [`math`] and the portable packing, compiled for a level's instructions.
macro_rules! compiled_for {
    ($module:ident, $features:literal) => {
        pub(super) mod $module {
            use super::{Activation, Kind, Panel, math};

            #[target_feature(enable = $features)]
            pub(in super::super) unsafe fn squares(x: &[f32], mean: f32) -> f32 {
                math::squares(x, mean)
            }
            #[target_feature(enable = $features)]
            pub(in super::super) unsafe fn sum(x: &[f32]) -> f32 {
                math::sum(x)
            }
            #[target_feature(enable = $features)]
            pub(in super::super) unsafe fn largest(x: &[f32]) -> f32 {
                math::largest(x)
            }
            #[target_feature(enable = $features)]
            pub(in super::super) unsafe fn activate(activation: Activation, x: &mut [f32]) {
                math::activate(activation, x);
            }
            #[target_feature(enable = $features)]
            pub(in super::super) unsafe fn scale_cap(x: &mut [f32], scale: f32, cap: Option<f32>) {
                math::scale_cap(x, scale, cap);
            }
            #[target_feature(enable = $features)]
            pub(in super::super) unsafe fn exponentials(x: &mut [f32], largest: f32) -> f32 {
                math::exponentials(x, largest)
            }
            #[target_feature(enable = $features)]
            pub(in super::super) unsafe fn log_sum_exp(x: &[f32], largest: f32) -> f32 {
                math::log_sum_exp(x, largest)
            }
            #[target_feature(enable = $features)]
            pub(in super::super) unsafe fn pack(
                kind: Kind,
                bytes: &[u8],
                row_bytes: usize,
                rows: usize,
                first: usize,
                panel: &mut Panel,
            ) {
                super::super::portable::pack(kind, bytes, row_bytes, rows, first, panel);
            }
        }
    };
}

compiled_for!(avx2, "avx2,fma,f16c");
compiled_for!(avx512, "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c");
