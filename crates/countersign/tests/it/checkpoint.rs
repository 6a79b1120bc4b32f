//! Checkpoints of PyTorch through the commands: the weights that safetensors files would hold, and what is not believed.
//! `crates/tensor/src/torch/fixtures/state.py` made the three files with PyTorch.

use serde_json::{Value, json};

use crate::house::House;

const STATE: &[u8] = include_bytes!("../../../tensor/src/torch/fixtures/state.pt");
const LEGACY: &[u8] = include_bytes!("../../../tensor/src/torch/fixtures/state-legacy.pt");
const SAFE: &[u8] = include_bytes!("../../../tensor/src/torch/fixtures/state.safetensors");
/// Holds complex numbers, too, which no other container has a type for.
const NESTED: &[u8] = include_bytes!("../../../tensor/src/torch/fixtures/nested.pt");

fn house() -> House {
    let house = House::empty();
    house.write("state.pt", STATE);
    house.write("legacy.bin", LEGACY);
    house.write("folder/pytorch_model.bin", STATE);
    house.write("folder/config.json", b"{}");
    house.write("folder/training_args.bin", b"no checkpoint");
    house.write("state.safetensors", SAFE);
    house
}

fn root(house: &House, path: &str, rule: &str) -> Value {
    let told = house.json(&format!("fingerprint {path} --rule {rule}"));
    assert!(told["seals"][0]["root"].is_string(), "{told}");
    told["seals"][0]["root"].clone()
}

#[test]
fn the_same_weights_have_one_seal_and_no_difference() {
    let house = house();
    for rule in ["exact", "8-bit"] {
        let plain = root(&house, "state.safetensors", rule);
        for checkpoint in ["state.pt", "legacy.bin", "folder"] {
            assert_eq!(root(&house, checkpoint, rule), plain, "{checkpoint}");
        }
    }
    for checkpoint in ["state.pt", "legacy.bin", "folder"] {
        let told = house.json(&format!("diff state.safetensors {checkpoint}"));
        assert_eq!((&told["compared"], &told["identical"]), (&json!(6), &json!(6)), "{told}");
        assert_eq!((&told["added"], &told["removed"]), (&json!([]), &json!([])), "{told}");
    }
    // A name is no proof: this one begins as a safetensors file. A configuration counts where layers are packed alone.
    house.write("safe.bin", SAFE);
    assert_eq!(root(&house, "safe.bin", "exact"), root(&house, "state.pt", "exact"));
    house.write("odd/model.safetensors", SAFE);
    house.write("odd/config.json", b"{\"limit\": Infinity}");
    let told = house.json("diff state.pt odd");
    assert_eq!(told["identical"], json!(6), "{told}");
    // One element of the storage that three of the tensors look at.
    let mut other = STATE.to_vec();
    let at = other.windows(4).position(|window| window == 0.37_f32.sin().to_le_bytes()).unwrap();
    other[at] ^= 1;
    house.write("other.pt", &other);
    assert_ne!(root(&house, "other.pt", "exact"), root(&house, "state.pt", "exact"));
}

#[test]
fn what_is_no_weights_is_refused_by_name() {
    let house = house();
    house.write("nested.pt", NESTED);
    house.refused("fingerprint nested.pt", "CS-TSR-575");
    // An object of a class that nobody asked for: other readers would make it, and it may put weights in place.
    let mut call = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.}.".to_vec();
    call.extend(b"}(Va\nctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\nByteStorage\nVk\nVcpu\nI2\nNtQI0\n(I2\nt(I1\ntI00\n}tRVb\ncsome.where\nThing\n)Ru.");
    call.extend(b"]X\x01\0\0\0ka.\x02\0\0\0\0\0\0\0\x07\x08");
    house.write("call.bin", &call);
    house.refused("fingerprint call.bin", "CS-TSR-580");
    for (name, bytes, code) in [
        ("empty.pt", &b""[..], "CS-TSR-240"),
        ("text.bin", b"words", "CS-TSR-240"),
        ("cut.pt", &STATE[..900], "CS-TSR-2"),
    ] {
        house.write(name, bytes);
        for line in [format!("fingerprint {name}"), format!("diff state.safetensors {name}")] {
            let run = house.run(&line);
            assert!(
                run.code != 0 && run.err.contains(code) && run.err.contains(name),
                "`{line}`: {}",
                run.err
            );
        }
    }
}
