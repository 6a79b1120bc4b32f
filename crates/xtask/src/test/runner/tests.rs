use super::{Skipped, skips, sum, unescape};

#[test]
fn skips_are_found_where_tests_print_them() {
    let output = "running 1 test\nSKIPPED peers: no `go`\ntest a::b ... SKIPPED c: d: e\nnothing SKIPPED here: no\n\
        <system-out>SKIPPED first: in the report\n";
    let expected =
        [Skipped::new("peers", "no `go`"), Skipped::new("c", "d: e"), Skipped::new("first", "in the report")];
    assert_eq!(skips(output), expected);
}

#[test]
fn a_report_is_read_as_it_was_written() {
    assert_eq!(unescape("a &lt;b&gt; &amp;amp; &quot;c&quot;"), "a <b> &amp; \"c\"");
}

#[test]
fn results_of_several_programs_are_summed() {
    let output = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
        test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.20s\n";
    let expected = "test result: FAILED. 15 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out";
    assert_eq!(sum(output, false), expected);
}
