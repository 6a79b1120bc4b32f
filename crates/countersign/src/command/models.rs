//! Commands on model files. They need no realm.

mod scan;
mod tree;

pub(crate) use scan::scan;
