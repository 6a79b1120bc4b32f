//! What is committed is what the sources say, and does what its card says.

#[cfg(test)]
mod families;
#[cfg(test)]
mod tiny;
