//! What a deciding crate must not do: look at the clock, the environment, files, the network, or chance.
//!
//! Found in the syntax of its sources, tests left out. A path counts however it was brought in: `use std::fs` and
//! `std::fs::read(..)` are both found, as is a name of the list at the end of any path.

use std::path::Path;

use anyhow::Result;
use syn::visit::{self, Visit};

use crate::source::is_test;

/// Modules that a deciding crate does not name.
const MODULES: &[&[&str]] = &[
    &["std", "env"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "os"],
    &["std", "process"],
    &["std", "time", "SystemTime"],
    &["std", "time", "Instant"],
    &["std", "thread", "sleep"],
    &["std", "hash", "RandomState"],
    &["std", "collections", "hash_map", "RandomState"],
    &["std", "io", "stdin"],
    &["std", "io", "stdout"],
    &["std", "io", "stderr"],
];
/// Macros that print.
const MACROS: &[&str] = &["print", "println", "eprint", "eprintln"];
/// Types whose values are the world's, under any path.
const NAMES: &[&str] = &["SystemTime", "Instant", "RandomState"];

/// Every impure thing that a crate's sources name, with its file.
pub fn impurities(source: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (path, file) in crate::source::files(source)? {
        let shown = path.display();
        found.extend(in_file(&file).into_iter().map(|what| format!("{shown}: {what}")));
    }
    Ok(found)
}

fn in_file(file: &syn::File) -> Vec<String> {
    let mut look = Look::default();
    look.visit_file(file);
    look.found
}

#[derive(Debug, Default)]
struct Look {
    found: Vec<String>,
}

impl Look {
    fn path(&mut self, segments: &[String]) {
        let named = segments.last().is_some_and(|last| NAMES.contains(&last.as_str()));
        let begins = |module: &&[&str]| {
            segments.len() >= module.len()
                && module.iter().zip(segments).all(|(wanted, found)| wanted == found)
        };
        let name_inside = segments.iter().any(|segment| NAMES.contains(&segment.as_str()));
        if named || name_inside || MODULES.iter().any(begins) {
            self.found.push(segments.join("::"));
        }
    }

    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.path(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.path(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.path(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(before, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Look {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.tree(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.path(&segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        if MACROS.iter().any(|name| invocation.path.is_ident(name)) {
            self.found.push(format!(
                "{}!",
                invocation.path.segments.last().map_or_else(String::new, |last| last.ident.to_string())
            ));
        }
        visit::visit_macro(self, invocation);
    }

    fn visit_item_foreign_mod(&mut self, _: &'ast syn::ItemForeignMod) {
        self.found.push("extern".to_owned());
    }
}

#[cfg(test)]
mod tests;
