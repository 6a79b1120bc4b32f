//! The report in other forms: for people, for code hosts (SARIF), for inventories (CycloneDX).

pub mod cyclonedx;
pub mod sarif;
pub mod text;
