//! TorchScript: the programs that a model saved with `torch.jit.save` carries as text, which PyTorch compiles and runs when
//! the model is used. They cannot name Python's modules, but operators that read and write files are theirs to call.
//!
//! What this does not do: follow what a program computes.

use super::notes::{Notes, shown};
use crate::finding::Place;

/// What `torch.jit.load` reads of an archive beside the pickles: source under `code/`, in an archive that has constants.
pub(super) fn is_source(name: &str, bytes: &[u8]) -> bool {
    let ending = std::path::Path::new(name).extension().is_some_and(|ending| ending == "py");
    ending && name.contains("/code/") && std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'))
}

/// Looks for calls of operators that act outside the model.
pub(super) fn look(text: &str, notes: &mut Notes<'_>) {
    let operators = notes.rules.list("SCAN-PTH-003", "operators");
    for (at, name) in calls(text) {
        if operators.contains(&operator(&name)) {
            let message = format!("the program calls `{}`, which reads or writes files", shown(&name));
            notes.find("SCAN-PTH-003", Place::Byte(at as u64), message, [name]);
        }
    }
}

/// An operator's name under its namespace: `torch.save` and `ops.aten.save` are both `aten.save`.
fn operator(name: &str) -> String {
    let name = name.strip_prefix("torch.ops.").or_else(|| name.strip_prefix("ops.")).unwrap_or(name);
    name.strip_prefix("torch.").map_or_else(|| name.to_owned(), |rest| format!("aten.{rest}"))
}

/// Dotted names with where each begins. Blanks, comments and continued lines between the parts are left out, as the language
/// leaves them out; what stands in quotes is no name. A name counts whether or not it is called: it could be called elsewhere.
fn calls(text: &str) -> Vec<(usize, String)> {
    let mut letters = text.char_indices().peekable();
    let mut names: Vec<(usize, String)> = Vec::new();
    // Whether the next word belongs to the last name: a dot stood between.
    let (mut joined, mut dotted) = (false, false);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '#' => while letters.next_if(|(_, letter)| *letter != '\n').is_some() {},
            quote @ ('"' | '\'') => {
                while let Some((_, letter)) = letters.next() {
                    match letter {
                        '\\' => drop(letters.next()),
                        // What ends with its line was no text, and names behind it are names.
                        '\n' => break,
                        _ if letter == quote => break,
                        _ => {}
                    }
                }
                (joined, dotted) = (false, false);
            }
            '.' => (joined, dotted) = (false, joined),
            letter if letter.is_alphanumeric() || letter == '_' => {
                let mut word = String::from(letter);
                while let Some((_, letter)) =
                    letters.next_if(|(_, letter)| letter.is_alphanumeric() || *letter == '_')
                {
                    word.push(letter);
                }
                match names.last_mut() {
                    Some((_, name)) if dotted => {
                        name.push('.');
                        name.push_str(&word);
                    }
                    _ => names.push((at, word)),
                }
                (joined, dotted) = (true, false);
            }
            letter if letter.is_whitespace() || letter == '\\' => {}
            _ => (joined, dotted) = (false, false),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{calls, operator};

    fn called(text: &str) -> Vec<String> {
        calls(text).iter().map(|(_, name)| operator(name)).filter(|name| name.contains('.')).collect()
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        assert_eq!(called("x = torch.save(y, \"/etc/passwd\")"), ["aten.save"]);
        assert_eq!(called("ops . aten .\\\n  save(x)"), ["aten.save"]);
        assert_eq!(called("torch.ops.image.write_file(a, b)"), ["image.write_file"]);
        assert_eq!(called("a = \"torch.save(\" # torch.save(x)\nb = torch.add(c, d)"), ["aten.add"]);
        assert_eq!(called("s = \"\\\"\"; torch.save(x)"), ["aten.save"]);
        assert_eq!(called("s = \"unfinished\ntorch.save(x)"), ["aten.save"]);
        assert_eq!(called("a\nsave(x)"), Vec::<String>::new());
    }
}
