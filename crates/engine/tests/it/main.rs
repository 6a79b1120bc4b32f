//! The interface over real connections, to a small made model, and to SmolLM2 where it is present.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod client;
#[cfg(test)]
mod embeddings;
#[cfg(test)]
mod house;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod python;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod smollm2;
#[cfg(test)]
mod stopping;
