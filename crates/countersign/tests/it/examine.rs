//! `countersign examine PATH --base B`: what it refuses before anything is run. What it finds is tested in `examine`, and
//! that the box changes none of it in `boxed`.

use crate::house::House;

#[test]
fn what_cannot_be_examined_is_refused_by_name() {
    let house = House::empty();
    for (line, code) in [
        ("examine within --base model.safetensors", "CS-EXM-003"),
        ("examine within --base model.safetensors --suite within", "CS-EXM-002"),
        ("examine within --base model.safetensors --isolation none", "CS-EXM-003"),
        ("examine within --base model.safetensors --isolation none --unboxed", "CS-CLI-001"),
        ("examine within --base nowhere --unboxed", "CS-CLI-003"),
        ("examine nowhere --base model.safetensors --unboxed", "CS-CLI-003"),
        ("examine within --base model.safetensors --unboxed", "CS-EXM-003"),
        ("examine within --base model.safetensors --unboxed --suite within", "CS-EXM-002"),
        ("examine within --base model.safetensors --unboxed --kind strange", "CS-CLI-001"),
    ] {
        let run = house.run(line);
        assert_eq!(run.code, 2, "`{line}`: {}{}", run.out, run.err);
        assert!(
            run.err.contains(&format!("[{code}]")) && run.err.contains("hint: "),
            "`{line}`: {}",
            run.err
        );
    }
    assert_eq!(house.run("examine 3f0c").code, 2, "a proposed change needs a key");
    assert_eq!(house.run("examine 3f0c --by erin --base model.safetensors").code, 2);
}
