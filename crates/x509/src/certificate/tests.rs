use super::*;

#[test]
fn times_are_those_of_the_calendar() {
    let at = |tag: u8, text: &str| {
        let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
        der.extend_from_slice(text.as_bytes());
        time(&mut Reader::new(&der))
    };
    assert_eq!(at(tag::UTC_TIME, "700101000000Z"), Some(0));
    assert_eq!(at(tag::UTC_TIME, "250502233628Z"), Some(1_746_228_988));
    assert_eq!(at(tag::UTC_TIME, "491231235959Z"), Some(2_524_607_999));
    assert_eq!(at(tag::UTC_TIME, "500101000000Z"), Some(-631_152_000));
    assert_eq!(at(tag::GENERALIZED_TIME, "20000229120000Z"), Some(951_825_600));
    assert_eq!(at(tag::GENERALIZED_TIME, "99991231235959Z"), Some(253_402_300_799));
    for bad in ["250502233628", "251302233628Z", "250500233628Z", "2505022336Z", "25050223362xZ"] {
        assert_eq!(at(tag::UTC_TIME, bad), None, "{bad}");
    }
    assert_eq!(at(tag::OCTETS, "250502233628Z"), None);
}
