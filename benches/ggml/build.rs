//! Finds `ggml-quants.c` among the sources that Cargo has fetched, and compiles it three ways.

use std::error::Error;
use std::path::PathBuf;

use cargo_metadata::MetadataCommand;

/// The C file's copies: the prefix of the functions, and what the compiler is told.
const VARIANTS: [(&str, u32, &[&str]); 3] = [
    // What our own code repeats: every operation rounded once.
    ("strict", 2, &["-ffp-contract=off"]),
    // As llama.cpp builds the library that holds this file, `ggml-base`: optimised, for the oldest processor.
    ("shipped", 3, &[]),
    // As somebody may build it for the own machine, where the compiler may fuse multiplication and addition.
    ("native", 3, &["-march=native"]),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/oracle.c");
    println!("cargo::rerun-if-changed=build.rs");
    let ggml = sources()?.join("llama.cpp/ggml");
    for (at, (name, level, flags)) in VARIANTS.into_iter().enumerate() {
        let mut build = cc::Build::new();
        build
            .file("src/oracle.c")
            .include(ggml.join("include"))
            .include(ggml.join("src"))
            .define("VARIANT", name)
            .define("NDEBUG", None)
            .define("_GNU_SOURCE", None)
            .opt_level(level)
            .debug(false)
            .warnings(false);
        if at == 0 {
            build.define("SUPPORT", None);
        }
        for flag in flags {
            build.flag_if_supported(flag);
        }
        build.try_compile(name)?;
    }
    println!("cargo::rustc-link-lib=m");
    Ok(())
}

/// The folder of the package that carries llama.cpp.
fn sources() -> Result<PathBuf, Box<dyn Error>> {
    let locked = ["--locked".to_owned()];
    let offline = ["--locked".to_owned(), "--offline".to_owned()];
    let metadata = MetadataCommand::new()
        .other_options(offline)
        .exec()
        .or_else(|_| MetadataCommand::new().other_options(locked).exec())?;
    let package = metadata.packages.iter().find(|package| *package.name == "llama-cpp-sys-2");
    let manifest = &package.ok_or("`llama-cpp-sys-2` is not among the packages")?.manifest_path;
    Ok(manifest.parent().ok_or("a manifest without a folder")?.into())
}
