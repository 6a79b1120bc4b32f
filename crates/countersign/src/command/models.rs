//! Commands on model files. They need no realm.

mod diff;
mod engine;
mod examine;
mod fingerprint;
mod folder;
mod merge;
mod quantize;
mod running;
mod scan;
mod sign;
mod tree;
mod verify;

pub(crate) use diff::{diff, page as diff_page};
pub(crate) use engine::engine;
pub(crate) use examine::examine;
pub(crate) use fingerprint::fingerprint;
pub(crate) use merge::merge;
pub(crate) use quantize::quantize;
pub(crate) use scan::scan;
pub(crate) use sign::sign;
pub(crate) use verify::verify;
