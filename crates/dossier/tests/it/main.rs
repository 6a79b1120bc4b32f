//! The fold over real statements with real keys: who may say what, and what becomes of what they said.

mod back;
mod changes;
mod codes;
mod governance;
mod keys;
mod properties;
mod reader;
mod roots;
mod signers;
