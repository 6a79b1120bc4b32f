//! Every code of the fold stands in a test of this folder.

use dossier::Code;

const TESTS: [&str; 7] = [
    include_str!("back.rs"),
    include_str!("changes.rs"),
    include_str!("governance.rs"),
    include_str!("reader.rs"),
    include_str!("roots.rs"),
    include_str!("signers.rs"),
    include_str!("voices.rs"),
];

#[test]
fn every_code_of_the_fold_is_asserted() {
    let of_fold = Code::ALL.iter().map(|code| code.as_str()).filter(|code| code.starts_with("CS-FLD-"));
    let missing: Vec<&str> =
        of_fold.filter(|code| !TESTS.iter().any(|test| test.contains(&format!("\"{code}\"")))).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
