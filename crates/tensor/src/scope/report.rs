//! What a check answers: a verdict, measures, and violations with stable codes.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::shown;

/// Most violations that a report lists. The measure `violations` counts them all.
pub const VIOLATIONS_MAX: usize = 32;

/// The answer of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was changed is allowed, and everything that is limited was measured.
    Within,
    /// Something could not be measured, and nothing is known to be outside.
    Undecided,
    /// Something is not allowed.
    Outside,
}

/// One thing that is not as the scope says, or could not be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// Which rule.
    #[serde(rename = "code")]
    pub rule: Rule,
    /// The tensor, module, section, key or member. In a report it is escaped and shortened, fit to be shown.
    pub place: String,
    /// What was measured, in the rule's unit.
    pub measured: u64,
    /// What is allowed, in the same unit.
    pub limit: u64,
}

/// A check's whole answer. Integers and strings only, so that it can be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeReport {
    /// The verdict.
    pub within: Verdict,
    /// What was measured, by name; the name ends in the unit.
    pub measures: BTreeMap<String, u64>,
    /// What is wrong, sorted, at most [`VIOLATIONS_MAX`].
    pub violations: Vec<Violation>,
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident $code:literal $verdict:ident $hint:literal;)+) => {
        /// A rule that a change can break. Its code is stable, and is how it is written.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        pub enum Rule {
            $($(#[doc = $doc])+ #[serde(rename = $code)] $name,)+
        }

        impl Rule {
            /// Every rule, in the order of the codes.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// What a breach of the rule is.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim()),+ }
            }

            /// What can be done about it.
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$name => $hint),+ }
            }

            /// What a breach of the rule makes of the whole.
            pub const fn verdict(self) -> Verdict {
                match self { $(Self::$name => Verdict::$verdict),+ }
            }
        }
    };
}

rules! {
    /// The scope does not cover changes of this kind.
    KindNotInScope "CS-TSR-101" Outside "propose the change under a scope that covers this kind of artefact";
    /// The artefact changes nothing that can be checked.
    NothingToCheck "CS-TSR-102" Outside "propose an artefact with content";
    /// No pattern allows the module.
    ModuleNotAllowed "CS-TSR-103" Outside "leave the module as it is, or ask for a scope that names it";
    /// The module's layer is outside the range, or has no number.
    LayerNotAllowed "CS-TSR-104" Outside "leave the layer as it is, or ask for a scope that reaches it";
    /// The rank is above the limit.
    RankOver "CS-TSR-105" Outside "train with a smaller rank; a tensor that is replaced whole counts with its full rank, whatever its change has";
    /// The relative Frobenius norm is above the limit. Parts per million.
    FrobeniusOver "CS-TSR-106" Outside "train with a smaller rate, fewer steps or a smaller alpha";
    /// The relative largest element is above the limit. Parts per million.
    ElementOver "CS-TSR-107" Outside "train with a smaller rate, fewer steps or a smaller alpha";
    /// The largest element is above the limit. Units of 10^-9.
    AbsoluteElementOver "CS-TSR-108" Outside "train with a smaller rate, fewer steps or a smaller alpha";
    /// A tensor replaced whole that no pattern under `modules_to_save` allows.
    FullTensorNotAllowed "CS-TSR-109" Outside "do not save whole modules, or ask for a scope that names them";
    /// An embedding or output head is changed.
    EmbeddingNotAllowed "CS-TSR-110" Outside "leave the vocabulary as it is, or ask for a scope that allows it";
    /// A tensor that the reader does not recognise.
    TensorUnknown "CS-TSR-111" Outside "remove tensors that are no part of the adapter";
    /// A tensor that the other model does not have.
    TensorAdded "CS-TSR-112" Outside "propose a model with the same tensors";
    /// A tensor of the old model that the new one lacks.
    TensorRemoved "CS-TSR-113" Outside "propose a model with the same tensors";
    /// Another shape or dtype than in the base.
    ShapeDiffers "CS-TSR-114" Outside "check that the change was made for this base model";

    /// One factor of a pair is missing.
    FactorAlone "CS-TSR-121" Outside "save the adapter again, with both factors of each module";
    /// The factors' shapes do not fit together.
    FactorShapes "CS-TSR-122" Outside "save the adapter again; the file does not hold what was trained";
    /// A module of rank zero.
    RankZero "CS-TSR-123" Outside "remove the module from the adapter";
    /// The rank by the shapes is not the declared one.
    RankDiffers "CS-TSR-124" Outside "make configuration and tensors agree; engines differ in which they believe";
    /// NaN, an infinity, or a magnitude out of range. Measured: the position of the first.
    ElementNotMeasurable "CS-TSR-125" Outside "find out which step of training made the value";
    /// Two tensors for the same place.
    TensorTwice "CS-TSR-126" Outside "keep one of the two";
    /// A tensor for a module that the configuration does not target.
    NotTargeted "CS-TSR-127" Outside "make configuration and tensors agree";
    /// A magnitude vector without a low-rank pair.
    MagnitudeAlone "CS-TSR-128" Outside "save the adapter again, with all parts of each module";
    /// A magnitude vector in an adapter that is not declared as weight-decomposed.
    MagnitudeUndeclared "CS-TSR-129" Outside "set `use_dora` if that is how it was trained";
    /// A weight-decomposed adapter without a module's magnitude vector.
    MagnitudeMissing "CS-TSR-130" Outside "save the adapter again, with all parts of each module";
    /// A scaling that cannot be told from the configuration.
    ScalingUnknown "CS-TSR-131" Outside "write `rank_pattern` and `alpha_pattern` with plain names, not expressions";
    /// A factor in a type other than F16, BF16, F32 and F64, so that engines would have to guess its scale.
    FactorDtype "CS-TSR-132" Outside "save the adapter in a plain floating-point type";

    /// A relative limit, and no base weight to compare with.
    BaseMissing "CS-TSR-141" Undecided "give the base weights, or use a scope with an absolute limit";
    /// A configuration member that may change what the adapter does, and is not given effect to here.
    MemberNotUnderstood "CS-TSR-142" Undecided "remove the member, or merge the adapter and propose whole weights";
    /// A bound is above a limit, and the exact value was beyond the work limit.
    BoundOver "CS-TSR-143" Undecided "raise `work_max` in the scope, so that the value is measured exactly";
    /// There is no sound measure for this change.
    NotMeasurable "CS-TSR-144" Undecided "merge the adapter and propose the result as whole weights";
    /// The base weight holds elements that cannot be measured.
    BaseNotMeasurable "CS-TSR-145" Undecided "check the base model's file";

    /// A section that may not change was changed.
    SectionChanged "CS-TSR-161" Outside "restore the section byte for byte";
    /// A section that may not be added was added.
    SectionAdded "CS-TSR-162" Outside "remove the section, or ask for a scope that names it";
    /// A section that may not be removed was removed.
    SectionRemoved "CS-TSR-163" Outside "restore the section";
    /// Sections stand in another order.
    SectionsMoved "CS-TSR-164" Outside "restore the order of the sections";
    /// Two sections have the same name.
    SectionTwice "CS-TSR-165" Outside "give each section a name of its own";
    /// A section that must stand does not.
    SectionFixedMissing "CS-TSR-166" Outside "restore the section";
    /// The prompt is longer than the limit. Bytes.
    PromptTooLong "CS-TSR-167" Outside "shorten the prompt";
    /// A new line that a reader may take for a heading although it does not begin a section here.
    LookalikeHeading "CS-TSR-168" Outside "write headings as `## Name`, or the line as plain text";
    /// New characters that a person does not see, or that change how a line is shown.
    HiddenCharacter "CS-TSR-169" Outside "remove control, zero-width, direction and tag characters";

    /// A key that may not change was changed or added.
    KeyNotAllowed "CS-TSR-181" Outside "leave the key as it is, or ask for a scope that names it";
    /// A key was removed.
    KeyRemoved "CS-TSR-182" Outside "keep the key; what holds in its absence is not checked";
    /// A number outside its range. Measured: how far outside.
    IntegerOutOfRange "CS-TSR-183" Outside "choose a value inside the range";
    /// A value of another type, or a string that is not among those allowed.
    ValueNotAllowed "CS-TSR-184" Outside "choose one of the values allowed";
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, place, measured, limit } = self;
        write!(formatter, "{} `{place}`: {} Found {measured}, limit {limit}.", rule.code(), rule.meaning())
    }
}

impl ScopeReport {
    /// A report from what was found. The verdict follows from the violations alone.
    pub(super) fn from_parts(mut measures: BTreeMap<String, u64>, mut violations: Vec<Violation>) -> Self {
        let within =
            violations.iter().map(|violation| violation.rule.verdict()).max().unwrap_or(Verdict::Within);
        measures.insert("violations".to_owned(), violations.len() as u64);
        // What is outside comes first, so that shortening the list never hides why.
        violations.sort_by(|a, b| {
            let key = |v: &Violation| (std::cmp::Reverse(v.rule.verdict()), v.rule);
            key(a).cmp(&key(b)).then_with(|| a.place.cmp(&b.place))
        });
        violations.truncate(VIOLATIONS_MAX);
        for violation in &mut violations {
            violation.place = shown(&violation.place);
        }
        Self { within, measures, violations }
    }
}

/// What a check gathers on its way.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) measures: BTreeMap<String, u64>,
    pub(super) violations: Vec<Violation>,
}

impl Gathered {
    pub(super) fn violate(&mut self, rule: Rule, place: &str, measured: u64, limit: u64) {
        self.violations.push(Violation { rule, place: place.to_owned(), measured, limit });
    }

    /// Keeps the largest value seen under a name.
    pub(super) fn most(&mut self, name: &str, value: u64) {
        let kept = self.measures.entry(name.to_owned()).or_default();
        *kept = value.max(*kept);
    }

    pub(super) fn count(&mut self, name: &str, more: u64) {
        let kept = self.measures.entry(name.to_owned()).or_default();
        *kept = kept.saturating_add(more);
    }

    pub(super) fn report(self) -> ScopeReport {
        ScopeReport::from_parts(self.measures, self.violations)
    }
}
