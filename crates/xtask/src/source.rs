//! The sources of a crate, tests left out: what is compiled when nothing is tested.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use syn::punctuated::Punctuated;
use syn::{Attribute, Item, Meta, Token};

use crate::workspace;

/// Every parsed file below a crate's `src` that is not only compiled for tests.
pub fn files(folder: &Path) -> Result<Vec<(PathBuf, syn::File)>> {
    let mut parsed = Vec::new();
    for path in workspace::files(folder, ".rs")? {
        let file =
            syn::parse_file(&workspace::read(&path)?).with_context(|| format!("`{}`", path.display()))?;
        parsed.push((path, file));
    }
    let tests: Vec<PathBuf> = parsed.iter().flat_map(|(path, file)| test_modules(path, file)).collect();
    parsed.retain(|(path, _)| {
        !tests.iter().any(|test| path.starts_with(test) || path == &test.with_extension("rs"))
    });
    Ok(parsed)
}

/// Whether an item is compiled for tests only.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<Meta>().is_ok_and(|condition| demands_test(&condition))
    })
}

/// Whether a condition holds in tests only: `test`, or `all(..)` with such a condition among its parts.
fn demands_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|parts| parts.iter().any(demands_test)),
        Meta::List(_) | Meta::NameValue(_) => false,
    }
}

/// The folders of the modules that a file declares for tests only. A module's own file is its folder's name and `.rs`.
fn test_modules(path: &Path, file: &syn::File) -> Vec<PathBuf> {
    let folder = match path.file_name().and_then(|name| name.to_str()) {
        Some("lib.rs" | "main.rs" | "mod.rs") => path.parent().map_or_else(PathBuf::new, Path::to_path_buf),
        _ => path.with_extension(""),
    };
    let modules = file.items.iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_none() && is_test(&module.attrs) => {
            Some(module.ident.to_string())
        }
        _ => None,
    });
    modules.map(|name| folder.join(name)).collect()
}
