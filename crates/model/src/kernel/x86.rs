//! The kernels for x86-64 processors with AVX2 or AVX-512 (VNNI).
//!
//! This is the one module of the crate that may use `unsafe`, for two reasons: calling a function that is compiled
//! for instructions the processor may lack (every call here stands behind the run-time detection of
//! [`Level`](super::Level)), and loading vectors from slices (every load stands behind a check of the slice's
//! length in the same function). Nothing else is done with it, here and in the modules below.
//!
//! What is computed is defined by [`super::portable`] and [`super::math`]; a test compares bit for bit.

#![allow(unsafe_code, reason = "vector instructions behind run-time detection; see the module's text")]
#![allow(clippy::missing_safety_doc, reason = "one contract for all: the features named were detected")]

mod dot;
mod float;
mod pack;
mod quantise;

pub(super) use dot::{dot_avx2, dot_avx512};
pub(super) use float::{float_dot_avx2, float_dot_avx512};
pub(super) use pack::pack_avx512;
pub(super) use quantise::{quantise_avx2, quantise_avx512};

use super::Panel;
use super::kind::Kind;
use super::math::{self, Activation};

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
