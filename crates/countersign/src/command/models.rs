//! Commands on model files. They need no realm.

mod diff;
mod engine;
pub(super) mod examine;
mod fingerprint;
mod folder;
pub(crate) mod foresee;
pub(crate) mod import;
mod merge;
mod quantize;
mod running;
mod scan;
mod sign;
mod tree;
mod verify;
mod which;
pub(crate) mod work;

use ::scan::ReadIn;
use serde_json::Value;

pub(crate) use diff::{diff, page as diff_page};
pub(crate) use engine::engine;
pub(crate) use examine::examine;
pub(crate) use fingerprint::fingerprint;
pub(crate) use merge::{is_beside_weights, merge};
pub(crate) use quantize::quantize;
pub(crate) use scan::scan;
pub(crate) use sign::sign;
pub(crate) use verify::verify;
pub(crate) use work::as_worker;

/// An answer for scripts, with where the files were read.
fn told_with(mut value: Value, read_in: &ReadIn) -> Value {
    if let (Value::Object(members), Ok(read_in)) = (&mut value, serde_json::to_value(read_in)) {
        members.insert("read_in".to_owned(), read_in);
    }
    value
}

/// An answer for people, with where the files were read.
fn with_place(mut text: String, read_in: &ReadIn) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&::scan::render::text::read_in(read_in));
    text.push('\n');
    text
}
