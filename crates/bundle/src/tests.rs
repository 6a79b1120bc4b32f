#![cfg(feature = "accept")]

mod findings;
mod form;
mod request;
mod scene;
mod submission;
