//! Why an examination cannot begin. What is wrong with the *change* is a finding instead.

/// A refusal of what the caller gave: suites, tables, the base.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line of a suite that is not a case.
    #[error("line {line} of the suite file `{file}` is no case: {reason}")]
    Suite {
        /// The file.
        file: String,
        /// The line, counted from one.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A suite without a case.
    #[error("the suite `{suite}` holds no case")]
    SuiteEmpty {
        /// The suite.
        suite: String,
    },
    /// A base whose files hold no model that can be run.
    #[error("the files of the base hold no model: {reason}")]
    Base {
        /// Why.
        reason: String,
    },
    /// A base that cannot be loaded or run.
    #[error("the base cannot be run")]
    BaseModel {
        /// The cause.
        #[source]
        source: Box<model::Error>,
    },
    /// A table of depths that does not have its form.
    #[error("the table of examinations cannot be read: {reason}")]
    Depth {
        /// Why.
        reason: String,
    },
    /// A declaration of what was done that does not have its form.
    #[error("the declaration cannot be read: {reason}")]
    Declaration {
        /// Why.
        reason: String,
    },
    /// A merge that cannot be made, or a recipe of one that cannot be followed.
    #[error("the merge cannot be made: {reason}")]
    Merge {
        /// Why.
        reason: String,
    },
    /// A file of another tool that does not have its form.
    #[error("the imported results cannot be used: {reason}")]
    Import {
        /// Why.
        reason: String,
    },
}

impl Error {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Suite { .. } => "CS-EXM-001",
            Self::SuiteEmpty { .. } => "CS-EXM-002",
            Self::Base { .. } => "CS-EXM-003",
            Self::BaseModel { .. } => "CS-EXM-004",
            Self::Depth { .. } => "CS-EXM-005",
            Self::Declaration { .. } => "CS-EXM-007",
            Self::Merge { .. } => "CS-EXM-008",
            Self::Import { .. } => "CS-EXM-009",
        }
    }

    /// What the reader of the refusal can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Suite { .. } => "docs/examine.md shows the members of a case, one JSON object a line",
            Self::SuiteEmpty { .. } => "give a folder with at least one `.jsonl` file that has a case in it",
            Self::Base { .. } => {
                "give a folder with config.json, safetensors files and tokenizer.json, or one GGUF file"
            }
            Self::BaseModel { .. } => "look at the cause; without a base that runs nothing can be compared",
            Self::Depth { .. } => "compare it with policies/examination.json",
            Self::Declaration { .. } => {
                "docs/examine.md shows the forms: `quantised`, `merged` and `combined`"
            }
            Self::Import { .. } => {
                "docs/examine.md says which files of which tools are read, and how limits are written"
            }
            Self::Merge { .. } => "docs/merge.md says what parents and recipes must be",
        }
    }
}

/// Text of a stranger, fit for a message.
pub(crate) fn shown(text: &str) -> String {
    scan::finding::shown(text)
}
