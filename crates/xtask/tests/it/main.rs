//! The rules of the workspace, applied to the workspace.

#[cfg(test)]
mod documents;
#[cfg(test)]
mod kubernetes;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod snippets;
