//! The C functions. Here alone is code that the compiler cannot vouch for: a call into C with pointers whose lengths
//! were checked right before.
#![allow(unsafe_code, reason = "calls into the C that everything here is compared with")]

use std::ffi::{c_int, c_void};

use quant::Kind;

macro_rules! variants {
    ($($name:ident: $quantize:ident, $dequantize:ident;)*) => {
        unsafe extern "C" {
            $(
                fn $quantize(kind: c_int, src: *const f32, dst: *mut c_void, rows: i64, per_row: i64, importance: *const f32) -> usize;
                fn $dequantize(kind: c_int, src: *const c_void, dst: *mut f32, elements: i64) -> c_int;
            )*
        }

        /// One way of compiling the C.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Variant {
            $(
                #[doc = concat!("The functions that begin with `", stringify!($name), "_`.")]
                $name,
            )*
        }

        impl Variant {
            fn quantize_at(self, kind: c_int, src: *const f32, dst: *mut c_void, rows: i64, per_row: i64, importance: *const f32) -> usize {
                match self {
                    // SAFETY: `quantize` has checked that the buffers hold the rows and their blocks.
                    $(Self::$name => unsafe { $quantize(kind, src, dst, rows, per_row, importance) },)*
                }
            }

            fn dequantize_at(self, kind: c_int, src: *const c_void, dst: *mut f32, elements: i64) -> c_int {
                match self {
                    // SAFETY: `dequantize` has checked that the buffers hold the blocks and their weights.
                    $(Self::$name => unsafe { $dequantize(kind, src, dst, elements) },)*
                }
            }
        }
    };
}

variants! {
    Strict: strict_quantize, strict_dequantize;
    Shipped: shipped_quantize, shipped_dequantize;
    Native: native_quantize, native_dequantize;
}

impl Variant {
    /// Quantises rows; `out` must have exactly the bytes of their blocks.
    pub fn quantize(
        self,
        kind: Kind,
        weights: &[f32],
        row_len: usize,
        importance: Option<&[f32]>,
        out: &mut [u8],
    ) {
        assert!(row_len.is_multiple_of(kind.block_elements()) && weights.len().is_multiple_of(row_len));
        assert_eq!(kind.bytes_of(weights.len()), Some(out.len()));
        assert!(importance.is_none_or(|importance| importance.len() == row_len));
        let written = self.quantize_at(
            number(kind),
            weights.as_ptr(),
            out.as_mut_ptr().cast(),
            (weights.len() / row_len) as i64,
            row_len as i64,
            importance.map_or(std::ptr::null(), <[f32]>::as_ptr),
        );
        assert_eq!(written, out.len());
    }

    /// Turns blocks back; false where C has no function for the kind.
    pub fn dequantize(self, kind: Kind, blocks: &[u8], out: &mut [f32]) -> bool {
        assert_eq!(kind.bytes_of(out.len()), Some(blocks.len()));
        self.dequantize_at(number(kind), blocks.as_ptr().cast(), out.as_mut_ptr(), out.len() as i64) != 0
    }
}

fn number(kind: Kind) -> c_int {
    c_int::try_from(kind.ggml_type()).expect("ggml's type numbers are small")
}
