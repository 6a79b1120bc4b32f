//! Which files of a folder are its weights: programs differ where several are there.
//!
//! Some read `model.safetensors`, others the shards that an index names, others an adapter. What one program compares or examines
//! would not be what another serves, so nothing here picks one of them.

/// All weights in one file.
pub const SINGLE: &str = "model.safetensors";
/// Which shard has which tensor.
pub const INDEX: &str = "model.safetensors.index.json";
/// An adapter's weights.
pub const ADAPTER: &str = "adapter_model.safetensors";

/// The first two of the three that are there, where more than one is.
pub fn two_models(is_there: impl Fn(&str) -> bool) -> Option<[&'static str; 2]> {
    let mut found = [SINGLE, INDEX, ADAPTER].into_iter().filter(|name| is_there(name));
    Some([found.next()?, found.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_the_three_are_one_too_many() {
        let among = |names: &[&str]| two_models(|name| names.contains(&name));
        assert_eq!(among(&[]), None);
        assert_eq!(among(&["config.json", SINGLE, "pytorch_model.bin"]), None);
        assert_eq!(among(&[INDEX, "model-00001-of-00002.safetensors", "consolidated.safetensors"]), None);
        for two in [[SINGLE, INDEX], [SINGLE, ADAPTER], [INDEX, ADAPTER]] {
            assert_eq!(among(&two), Some(two));
        }
    }
}
