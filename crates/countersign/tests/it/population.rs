//! What an export covers: all of the log, or all since an earlier checkpoint.

use crate::house::House;

fn exported(house: &House, line: &str) -> Vec<u8> {
    house.ok(line);
    std::fs::read(house.path("part.export")).unwrap()
}

#[test]
fn an_export_begins_where_an_earlier_checkpoint_ends() {
    let house = House::staffed();
    let head = house.ok("log head");
    house.write("earlier.checkpoint", head.as_bytes());
    let size: u64 = head.lines().nth(1).unwrap().parse().unwrap();
    let change = house.approved("--prompt new.md");
    house.ok(&format!("order {change} --by olga"));
    let bytes = exported(&house, "export --out part.export --from-checkpoint earlier.checkpoint");
    let report = audit::audit(&bytes, &audit::Expectations::none()).unwrap();
    assert_eq!((report.population.from, report.population.statements), (size, report.population.to - size));
    assert!(report.population.from > 0 && report.population.statements > 5, "{:?}", report.population);
    assert_eq!(report.changes.len(), 1);
    let whole = house.audited();
    assert_eq!((whole.population.from, whole.population.to), (0, report.population.to));
    assert_eq!(whole.trust.roots, report.trust.roots);

    // Another log's checkpoint, one that this log never had, one of a larger log, and no checkpoint.
    let other = House::founded();
    house.write("foreign.checkpoint", other.ok("log head").as_bytes());
    let digit = if head.lines().nth(2).unwrap().starts_with('A') { 'B' } else { 'A' };
    let lines: Vec<String> = head
        .lines()
        .enumerate()
        .map(|(at, line)| if at == 2 { format!("{digit}{}", &line[1..]) } else { line.to_owned() })
        .collect();
    house.write("altered.checkpoint", (lines.join("\n") + "\n").as_bytes());
    house.write("nonsense.checkpoint", b"nonsense\n");
    // One whose size was edited, so that nobody signed it.
    let resized = head.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size - 1), 1);
    assert_ne!(resized, head);
    house.write("resized.checkpoint", resized.as_bytes());
    for name in ["foreign", "altered", "nonsense", "resized"] {
        let line = format!("export --out other.export --from-checkpoint {name}.checkpoint");
        assert!(house.refused(&line, "CS-CLI-015").contains("checkpoint of this log"), "{name}");
        assert!(!house.path("other.export").exists(), "{name}");
    }
    house.refused("export --out other.export --from-checkpoint missing.checkpoint", "CS-CLI-003");
}
