//! What a model file may import, and what is said about the rest.
//!
//! The lists are data (`allowed.txt`, `dangerous.txt`). An import that is not on the first is an [`Objection`];
//! the second only says how bad it is known to be. An import that cannot be resolved is never allowed.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::error::{Error, FaultKind};
use super::value::{Callee, Reference, Value};
use super::{Call, Import, Pickle};

/// Under which circumstances an import is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// However it is used.
    Any,
    /// Called with text and the name of the encoding Latin-1.
    Latin1,
}

/// The imports that are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowList {
    names: BTreeMap<String, BTreeMap<String, Condition>>,
    /// Whether names below `__torch__` are allowed, which in TorchScript name the archive's own code.
    script: bool,
}

/// What is known about an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Fit for model files.
    Allowed,
    /// Not known to be fit.
    Unknown,
    /// Reads or writes files.
    Files,
    /// Talks to the network.
    Network,
    /// Reaches attributes by name, or calls what it is given, which leads anywhere.
    Attributes,
    /// Loads another stream, which this reader has not seen.
    Loads,
    /// Runs code.
    Code,
    /// Runs commands.
    Commands,
}

impl Class {
    /// A stable name of the class.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Unknown => "unknown",
            Self::Files => "files",
            Self::Network => "network",
            Self::Attributes => "attributes",
            Self::Loads => "loads",
            Self::Code => "code",
            Self::Commands => "commands",
        }
    }

    /// Whether the import is known to give an attacker a hold.
    pub const fn is_dangerous(self) -> bool {
        !matches!(self, Self::Allowed | Self::Unknown)
    }
}

/// Something about a pickle that a model file has no need of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// Offset in the stream.
    pub at: u64,
    /// The instruction.
    pub opcode: &'static str,
    /// What is wrong.
    pub concern: Concern,
    /// What it is about, in a few words, escaped: `os.system`, `os.system('id')`.
    pub subject: String,
    /// Whether it stands after something that would stop Python's reader.
    pub after_fault: bool,
}

/// The kinds of objection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// An import that is not allowed.
    Import(Class),
    /// An import that cannot be resolved from the stream alone.
    Unresolved,
    /// A call of something that an import known as dangerous or unknown gave, with its arguments.
    Call(Class),
    /// A call of what another call returned, or of a value that is no import.
    CallOfResult,
    /// An allowed import, called with arguments with which it is not allowed.
    Arguments,
    /// An imported object is changed.
    Changed,
    /// A memo place so high that C Python asks for gigabytes of memory.
    MemoPlace(u64),
    /// The pickle breaks.
    Fault(FaultKind),
}

impl Concern {
    /// A stable name of the kind.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::Import(class) if class.is_dangerous() => "pickle-dangerous-import",
            Self::Import(_) => "pickle-unknown-import",
            Self::Unresolved => "pickle-unresolved-import",
            Self::Call(class) if class.is_dangerous() => "pickle-dangerous-call",
            Self::Call(_) => "pickle-unknown-call",
            Self::CallOfResult => "pickle-call-of-result",
            Self::Arguments => "pickle-arguments",
            Self::Changed => "pickle-changed-import",
            Self::MemoPlace(_) => "pickle-memo-place",
            Self::Fault(_) => "pickle-fault",
        }
    }
}

/// Memo places above this make C Python ask for more than 2 GiB.
const MEMO_PLACE_MAX: u64 = 1 << 27;

impl AllowList {
    /// The list for files that Python loads.
    pub fn standard() -> &'static Self {
        static LIST: LazyLock<AllowList> = LazyLock::new(|| {
            // A test reads the list; where it could not be read, nothing would be allowed.
            AllowList::read(include_str!("allowed.txt"))
                .unwrap_or(AllowList { names: BTreeMap::new(), script: false })
        });
        &LIST
    }

    /// The list for the pickles inside a TorchScript archive. They are read by PyTorch's own reader, to which
    /// names below `__torch__` mean the code in the same archive.
    pub fn script() -> &'static Self {
        static LIST: LazyLock<AllowList> =
            LazyLock::new(|| AllowList { script: true, ..AllowList::standard().clone() });
        &LIST
    }

    /// Reads a list: lines `module: name name …`, `#` begins a comment.
    ///
    /// # Errors
    /// [`Error::AllowList`]
    pub fn read(text: &str) -> Result<Self, Error> {
        let mut names: BTreeMap<String, BTreeMap<String, Condition>> = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (module, rest) = line.split_once(": ").ok_or(Error::AllowList { line: number + 1 })?;
            let module = names.entry(module.to_owned()).or_default();
            for name in rest.split_whitespace() {
                let (name, condition) = match name.strip_suffix("[latin1]") {
                    Some(name) => (name, Condition::Latin1),
                    None => (name, Condition::Any),
                };
                if name.contains(['[', ']']) {
                    return Err(Error::AllowList { line: number + 1 });
                }
                module.insert(name.to_owned(), condition);
            }
        }
        Ok(Self { names, script: false })
    }

    /// What is known about a name.
    pub fn class(&self, module: &str, name: &str) -> Class {
        if self.condition(module, name).is_some() { Class::Allowed } else { dangerous(module, name) }
    }

    fn condition(&self, module: &str, name: &str) -> Option<Condition> {
        let script = self.script && module.split('.').next() == Some("__torch__");
        if script {
            return Some(Condition::Any);
        }
        self.names.get(module)?.get(name).copied()
    }

    /// Everything about a pickle that a model file has no need of, in the order of the stream.
    pub fn objections(&self, pickle: &Pickle<'_>) -> Vec<Objection> {
        let mut objections = Vec::new();
        objections.extend(pickle.imports.iter().filter_map(|import| self.import(import)));
        objections.extend(pickle.calls.iter().filter_map(|call| self.call(pickle, call)));
        if pickle.memo_place_max > MEMO_PLACE_MAX {
            objections.push(Objection {
                at: pickle.begin,
                opcode: "LONG_BINPUT",
                concern: Concern::MemoPlace(pickle.memo_place_max),
                subject: pickle.memo_place_max.to_string(),
                after_fault: false,
            });
        }
        if let Some(fault) = &pickle.fault {
            objections.push(Objection {
                at: fault.at,
                opcode: "",
                concern: Concern::Fault(fault.kind.clone()),
                subject: fault.kind.to_string(),
                after_fault: true,
            });
        }
        objections.sort_by_key(|objection| objection.at);
        objections
    }

    fn import(&self, import: &Import<'_>) -> Option<Objection> {
        let concern = match &import.reference {
            Reference::Named { module, name } => match self.class(module, name) {
                Class::Allowed => return None,
                class => Concern::Import(class),
            },
            Reference::Extension(_) | Reference::Unresolved { .. } => Concern::Unresolved,
        };
        Some(Objection {
            at: import.at,
            opcode: import.opcode,
            concern,
            subject: import.show(),
            after_fault: import.after_fault,
        })
    }

    fn call(&self, pickle: &Pickle<'_>, call: &Call) -> Option<Objection> {
        let changes =
            matches!(call.opcode, "BUILD" | "APPEND" | "APPENDS" | "SETITEM" | "SETITEMS" | "ADDITEMS");
        let concern = match call.callee {
            Callee::Import(_) if changes => Concern::Changed,
            Callee::Import(place) => match pickle.imports.get(place).map(|import| &import.reference) {
                Some(Reference::Named { module, name }) => match self.condition(module, name) {
                    None => Concern::Call(dangerous(module, name)),
                    Some(Condition::Any) => return None,
                    Some(Condition::Latin1) if is_latin1(pickle, call) => return None,
                    Some(Condition::Latin1) => Concern::Arguments,
                },
                _ => Concern::Call(Class::Unknown),
            },
            // What an allowed call made may be given its state.
            Callee::Result(_) if changes => return None,
            Callee::Value(value) if changes && !matches!(pickle.value(value), Value::Persistent(_)) => {
                return None;
            }
            Callee::Result(_) | Callee::Value(_) => Concern::CallOfResult,
        };
        Some(Objection {
            at: call.at,
            opcode: call.opcode,
            concern,
            subject: pickle.show_call(call),
            after_fault: call.after_fault,
        })
    }
}

fn is_latin1(pickle: &Pickle<'_>, call: &Call) -> bool {
    let [text, encoding] = *pickle.items(call.arguments).unwrap_or_default() else { return false };
    pickle.text(text).is_some() && matches!(pickle.text(encoding), Some("latin1" | "latin-1"))
}

/// How bad a name is known to be: its own entry, or that of a module it is below.
fn dangerous(module: &str, name: &str) -> Class {
    static LIST: LazyLock<BTreeMap<&'static str, Class>> = LazyLock::new(|| {
        include_str!("dangerous.txt")
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter_map(|(how, names)| Some((class_named(how)?, names)))
            .flat_map(|(class, names)| names.split_whitespace().map(move |name| (name, class)))
            .collect()
    });
    let whole = format!("{module}.{name}");
    if let Some(class) = LIST.get(whole.as_str()) {
        return *class;
    }
    // From the longest module to the shortest; a name with dots reaches through attributes, so its parts count.
    let mut head = whole.as_str();
    while let Some((shorter, _)) = head.rsplit_once('.') {
        if let Some(class) = LIST.get(format!("{shorter}.*").as_str()).or_else(|| LIST.get(shorter)) {
            return *class;
        }
        head = shorter;
    }
    Class::Unknown
}

fn class_named(name: &str) -> Option<Class> {
    [Class::Files, Class::Network, Class::Attributes, Class::Loads, Class::Code, Class::Commands]
        .into_iter()
        .find(|class| class.name() == name)
}
