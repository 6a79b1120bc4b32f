//! Reading sources for codes, with the meaning and the hint that stand beside each.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Item, Lit, Pat};

use super::{Manner, Site, is_code};
use crate::source::is_test;

/// The codes in all sources below a crate's `src`.
pub(super) fn folder(folder: &Path) -> Result<Vec<Site>> {
    let mut parsed = Vec::new();
    for (_, file) in crate::source::files(folder)? {
        parsed.push(file);
    }
    Ok(sites(&parsed))
}

/// The codes in some files of one crate.
pub(super) fn sites(parsed: &[syn::File]) -> Vec<Site> {
    let mut names = Names::default();
    for file in parsed {
        names.visit_file(file);
    }
    let mut scan = Scan {
        names: &names,
        owner: String::new(),
        function: Function::default(),
        arms: Vec::new(),
        sites: Vec::new(),
    };
    for file in parsed {
        scan.visit_file(file);
    }
    scan.sites
}

/// What a crate's variants mean, and which hint its `hint` functions give for them.
#[derive(Debug, Default)]
struct Names {
    owner: String,
    /// By enum and variant.
    meanings: BTreeMap<(String, String), String>,
    hints: BTreeMap<(String, String), String>,
}

impl Names {
    /// The hint for one of the variants, the innermost first; else the one that a wildcard gives for all others.
    fn hint<'a>(
        &self,
        owner: &str,
        mut variants: impl Iterator<Item = &'a (String, String)>,
    ) -> Option<String> {
        let all_others = || self.hints.get(&(owner.to_owned(), "_".to_owned()));
        variants.find_map(|variant| self.hints.get(variant)).or_else(all_others).cloned()
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        for variant in &item.variants {
            let message = variant.attrs.iter().find(|attribute| attribute.path().is_ident("error"));
            let message =
                message.and_then(|attribute| first_text(&attribute.meta.require_list().ok()?.tokens));
            let meaning = message.unwrap_or_else(|| documentation(&variant.attrs));
            self.meanings.insert((item.ident.to_string(), variant.ident.to_string()), meaning);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.owner = type_name(&item.self_ty);
        visit::visit_item_impl(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if function.sig.ident == "hint" {
            let mut hints = Hints { owner: self.owner.clone(), found: Vec::new() };
            // A function with one hint for all.
            if let [syn::Stmt::Expr(expression, None)] = function.block.stmts.as_slice()
                && let Some(hint) = text(expression)
            {
                hints.found.push(((self.owner.clone(), "_".to_owned()), hint));
            }
            hints.visit_block(&function.block);
            self.hints.extend(hints.found);
        }
    }
}

/// The arms of a `hint` function.
struct Hints {
    owner: String,
    found: Vec<((String, String), String)>,
}

impl<'ast> Visit<'ast> for Hints {
    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let passed_on = || is_hint_of_cause(&arm.body).then(|| "as its cause says".to_owned());
        if let Some(hint) = text(&arm.body).or_else(passed_on) {
            let variants = variants(&arm.pat, &self.owner);
            self.found.extend(variants.into_iter().map(|variant| (variant, hint.clone())));
        }
        visit::visit_arm(self, arm);
    }
}

/// `cause.hint()` or `&cause.hint`
fn is_hint_of_cause(expression: &Expr) -> bool {
    match peel(expression) {
        Expr::MethodCall(call) => call.method == "hint" && call.args.is_empty(),
        Expr::Reference(of) => {
            matches!(&*of.expr, Expr::Field(field)
                if matches!(&field.member, syn::Member::Named(name) if name == "hint"))
        }
        _ => false,
    }
}

#[derive(Debug, Default, Clone)]
struct Function {
    documentation: String,
    /// The texts of `let name = ".."` and `let name = format!(..)`, the last of each name.
    texts: BTreeMap<String, String>,
    parameters: Vec<String>,
}

struct Scan<'names> {
    names: &'names Names,
    owner: String,
    function: Function,
    /// The variants of the match arms that one is in, the innermost last.
    arms: Vec<Vec<(String, String)>>,
    sites: Vec<Site>,
}

impl Scan<'_> {
    /// A code that is the value of a match arm, alone or with its hint beside it.
    fn arm_value(&mut self, code: String, hint: Option<String>) {
        let empty = Vec::new();
        let innermost = self.arms.last().unwrap_or(&empty);
        let meanings =
            innermost.iter().filter_map(|variant| self.names.meanings.get(variant).cloned()).collect();
        let hint = hint.or_else(|| self.names.hint(&self.owner, self.arms.iter().rev().flatten()));
        self.sites.push(Site { code, manner: Manner::Defined, meanings, hint });
    }

    fn enter(&mut self, attributes: &[Attribute], signature: &syn::Signature) -> Function {
        let parameters = signature.inputs.iter().filter_map(|input| match input {
            syn::FnArg::Typed(typed) => match &*typed.pat {
                Pat::Ident(name) => Some(name.ident.to_string()),
                _ => None,
            },
            syn::FnArg::Receiver(_) => None,
        });
        let function = Function {
            documentation: documentation(attributes),
            texts: BTreeMap::new(),
            parameters: parameters.collect(),
        };
        std::mem::replace(&mut self.function, function)
    }

    /// The text that an argument is, or is the name of.
    fn said(&self, argument: &Expr) -> Option<String> {
        let name = match peel(argument) {
            Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
            _ => None,
        };
        message(argument).or_else(|| self.function.texts.get(&name?).cloned())
    }

    /// The hint that an argument is. A function that is given its hint gives what its callers say.
    fn hint(&self, argument: &Expr) -> Option<String> {
        let given = || match peel(argument) {
            Expr::Path(path) => {
                path.path.get_ident().is_some_and(|name| self.function.parameters.contains(&name.to_string()))
            }
            _ => false,
        };
        self.said(argument).or_else(|| given().then(|| "as the message says".to_owned()))
    }
}

impl<'ast> Visit<'ast> for Scan<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = std::mem::replace(&mut self.owner, type_name(&item.self_ty));
        visit::visit_item_impl(self, item);
        self.owner = owner;
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        let outer = self.enter(&function.attrs, &function.sig);
        visit::visit_impl_item_fn(self, function);
        self.function = outer;
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        let outer = self.enter(&function.attrs, &function.sig);
        visit::visit_item_fn(self, function);
        self.function = outer;
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let (Pat::Ident(name), Some(init)) = (&local.pat, &local.init)
            && let Some(text) = message(&init.expr)
        {
            self.function.texts.insert(name.ident.to_string(), text);
        }
        visit::visit_local(self, local);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.arms.push(variants(&arm.pat, &self.owner));
        let value = peel(&arm.body);
        match (text(value), pair(value)) {
            (Some(code), _) if is_code(&code) => self.arm_value(code, None),
            (None, Some((code, hint))) if is_code(&code) => self.arm_value(code, Some(hint)),
            _ => visit::visit_expr(self, value),
        }
        self.arms.pop();
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        let arguments: Vec<&Expr> = call.args.iter().collect();
        if let Some((&first, rest)) = arguments.split_first()
            && let Some(code) = text(first).filter(|text| is_code(text))
        {
            let said = rest.first().and_then(|second| self.said(second));
            let said = said.unwrap_or_else(|| self.function.documentation.clone());
            let hint = if rest.len() > 1 { rest.last().and_then(|last| self.hint(last)) } else { None };
            self.sites.push(Site { code, manner: Manner::Called, meanings: vec![said], hint });
            for argument in rest {
                self.visit_expr(argument);
            }
        } else {
            visit::visit_expr_call(self, call);
        }
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        // A code in any other place. It counts as a mention, and a mention of what nobody gives out is an error.
        if is_code(&literal.value()) {
            let mention =
                Site { code: literal.value(), manner: Manner::Mentioned, meanings: Vec::new(), hint: None };
            self.sites.push(mention);
        }
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        if !invocation.path.is_ident("macro_rules") {
            table(&invocation.tokens, &mut self.sites);
        }
    }
}

/// The lines of a table macro: documentation or a text, a code, and a hint, as literals of one token list.
fn table(tokens: &TokenStream, sites: &mut Vec<Site>) {
    let mut documentation: Vec<String> = Vec::new();
    let mut open: Option<(String, Vec<String>, Vec<String>)> = None;
    for token in tokens.clone() {
        match token {
            TokenTree::Literal(literal) => {
                let Some(text) = literal_text(&TokenTree::Literal(literal)) else { continue };
                if is_code(&text) {
                    close(open.take(), sites);
                    open = Some((text, std::mem::take(&mut documentation), Vec::new()));
                } else if let Some((_, _, texts)) = &mut open {
                    texts.push(text);
                }
            }
            TokenTree::Group(group) => {
                if let Some(text) = documentation_of(&group.stream()) {
                    close(open.take(), sites);
                    documentation.push(text);
                } else {
                    table(&group.stream(), sites);
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
    close(open, sites);
}

fn close(open: Option<(String, Vec<String>, Vec<String>)>, sites: &mut Vec<Site>) {
    let Some((code, documentation, mut texts)) = open else { return };
    let hint = texts.pop();
    let meaning = if documentation.is_empty() { texts.join(" ") } else { sentence(&documentation.join(" ")) };
    let meanings = if meaning.is_empty() { Vec::new() } else { vec![meaning] };
    sites.push(Site { code, manner: Manner::Defined, meanings, hint });
}

/// The text of `doc = ".."`, which is how a doc comment looks among tokens.
fn documentation_of(tokens: &TokenStream) -> Option<String> {
    let mut tokens = tokens.clone().into_iter();
    match tokens.next()? {
        TokenTree::Ident(name) if name == "doc" => literal_text(&tokens.nth(1)?),
        _ => None,
    }
}

fn literal_text(token: &TokenTree) -> Option<String> {
    let literal: syn::LitStr = syn::parse2(TokenStream::from(token.clone())).ok()?;
    Some(literal.value().trim().to_owned())
}

fn first_text(tokens: &TokenStream) -> Option<String> {
    tokens.clone().into_iter().find_map(|token| literal_text(&token))
}

/// The first sentence of an item's documentation.
fn documentation(attributes: &[Attribute]) -> String {
    let lines =
        attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| {
            match &attribute.meta.require_name_value().ok()?.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
                _ => None,
            }
        });
    sentence(&lines.collect::<Vec<_>>().join(" "))
}

fn sentence(text: &str) -> String {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.').to_owned()
}

/// The variants that a pattern names, each with its enum. A wildcard is `_`.
fn variants(pattern: &Pat, owner: &str) -> Vec<(String, String)> {
    let of_path = |path: &syn::Path| {
        let mut segments = path.segments.iter().rev().map(|segment| segment.ident.to_string());
        let variant = segments.next().unwrap_or_default();
        let name = segments.next().unwrap_or_default();
        vec![(if name == "Self" { owner.to_owned() } else { name }, variant)]
    };
    match pattern {
        Pat::Or(or) => or.cases.iter().flat_map(|case| variants(case, owner)).collect(),
        Pat::Paren(inner) => variants(&inner.pat, owner),
        Pat::Reference(inner) => variants(&inner.pat, owner),
        Pat::Path(path) => of_path(&path.path),
        Pat::Struct(pattern) => of_path(&pattern.path),
        Pat::TupleStruct(pattern) => of_path(&pattern.path),
        Pat::Wild(_) => vec![(owner.to_owned(), "_".to_owned())],
        _ => Vec::new(),
    }
}

/// The expression inside blocks of one expression.
fn peel(expression: &Expr) -> &Expr {
    match expression {
        Expr::Block(block) => match block.block.stmts.as_slice() {
            [syn::Stmt::Expr(inner, None)] => peel(inner),
            _ => expression,
        },
        Expr::Paren(inner) => peel(&inner.expr),
        _ => expression,
    }
}

fn text(expression: &Expr) -> Option<String> {
    match peel(expression) {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

fn pair(expression: &Expr) -> Option<(String, String)> {
    match expression {
        Expr::Tuple(tuple) => match tuple.elems.iter().collect::<Vec<_>>().as_slice() {
            [first, second] => Some((text(first)?, text(second)?)),
            _ => None,
        },
        _ => None,
    }
}

/// The text of a string literal or of `format!`.
fn message(expression: &Expr) -> Option<String> {
    match peel(expression) {
        Expr::Macro(call) if call.mac.path.is_ident("format") => first_text(&call.mac.tokens),
        Expr::Reference(inner) => message(&inner.expr),
        other => text(other),
    }
}

fn type_name(ty: &syn::Type) -> String {
    match ty {
        syn::Type::Path(path) => {
            path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
