//! End to end: the built program, in folders of its own, as a person or a script uses it.

#[cfg(test)]
mod attest;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod boxed;
#[cfg(test)]
mod bundle;
#[cfg(test)]
mod checkpoint;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod ending;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod examination;
#[cfg(test)]
mod examine;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod go_reader;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod house;
#[cfg(test)]
mod import;
#[cfg(test)]
mod json;
#[cfg(test)]
mod launch;
#[cfg(test)]
mod law;
#[cfg(test)]
mod log;
#[cfg(test)]
mod models;
#[cfg(test)]
mod monitors;
#[cfg(test)]
mod packed;
#[cfg(test)]
mod population;
#[cfg(test)]
mod quantize;
#[cfg(test)]
mod range;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod realm;
#[cfg(test)]
mod resumed;
#[cfg(test)]
mod root;
#[cfg(test)]
mod scan;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod spared;
#[cfg(test)]
mod tour;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod way;
#[cfg(test)]
mod whole;
