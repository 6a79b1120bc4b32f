//! What a comparison found, and how it is told to scripts.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tensor::delta::{Rank, Spectrum};
use tensor::measure::SATURATED;
use tensor::scope::ScopeReport;

use super::put;

/// The longest text in a report, in bytes: names of tensors are bounded by their files' headers.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// The whole answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    pub(super) base: String,
    pub(super) candidate: Option<String>,
    pub(super) kind: ReportKind,
    /// Tensors compared, or modules measured.
    pub(super) compared: usize,
    pub(super) identical: usize,
    /// The same values in another type or encoding.
    pub(super) same_values: usize,
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
    /// Name, old shape, new shape.
    pub(super) reshaped: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Name, old type, new type.
    pub(super) retyped: Vec<(String, String, String)>,
    /// What could not be measured: name, code, why.
    pub(super) unmeasured: Vec<(String, String, String)>,
    /// What changed, the largest relative change first.
    pub(super) rows: Vec<Row>,
    /// Elements compared, and how many differ; nothing for adapters.
    pub(super) elements: Option<(u64, u64)>,
    /// How all differences are spread: `2^e` up to `2^(e+2)`.
    pub(super) magnitudes: Vec<(i32, u64)>,
    pub(super) scope: Option<ScopeReport>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ReportKind {
    /// Two models.
    Weights,
    /// A model and an adapter for it.
    Adapter,
    /// An adapter by itself.
    Alone,
    /// Two adapters.
    Adapters,
}

impl ReportKind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Adapter => "adapter",
            Self::Alone => "adapter-alone",
            Self::Adapters => "adapters",
        }
    }
}

/// One changed tensor or module.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(super) name: String,
    /// The kind of module, `*` for each number.
    pub(super) family: String,
    pub(super) layer: Option<u64>,
    pub(super) shape: Vec<usize>,
    pub(super) types: String,
    /// `‖ΔW‖/‖W‖` and `max|ΔW|/max|W|`, never understated; nothing without a base.
    pub(super) relative_ppm: Option<(u64, u64)>,
    /// The same as the first, without allowance.
    pub(super) relative: Option<f64>,
    /// `‖ΔW‖_F`.
    pub(super) frobenius: f64,
    /// `max|ΔW|`.
    pub(super) element: Option<f64>,
    pub(super) changed: Option<(u64, u64)>,
    pub(super) spectrum: Option<Spectrum>,
}

impl Row {
    /// What rows are ranked and coloured by: the relative change, or without a base the absolute one.
    pub(super) fn weight(&self) -> f64 {
        self.relative.unwrap_or(self.frobenius)
    }
}

impl Report {
    /// Whether nothing at all was measured: no name is in both, or what is in both has other shapes or cannot be read.
    pub(super) fn is_empty(&self) -> bool {
        let compared_in_vain = self.unmeasured.len() + self.reshaped.len() >= self.compared;
        self.rows.is_empty() && self.identical == 0 && self.same_values == 0 && compared_in_vain
    }

    /// Whether rows are relative to a base.
    pub(super) fn is_relative(&self) -> bool {
        self.rows.iter().all(|row| row.relative.is_some())
    }

    /// What the first path was taken for.
    pub(super) const fn base_word(&self) -> &'static str {
        match self.kind {
            ReportKind::Alone => "adapter",
            ReportKind::Weights | ReportKind::Adapter | ReportKind::Adapters => "base",
        }
    }

    /// The sentence that says it all.
    pub(super) fn summary(&self) -> String {
        let mut parts = Vec::new();
        if self.compared == 0 {
            parts.push("nothing is in both".to_owned());
        } else if self.is_empty() {
            parts.push("nothing could be measured".to_owned());
        } else if self.rows.is_empty() {
            let kept = if self.same_values > 0 {
                format!(", {} kept in another type or encoding", counted(self.same_values, "tensor"))
            } else {
                String::new()
            };
            let all = self.unmeasured.is_empty() && self.reshaped.is_empty();
            let which = if all { "weight" } else { "weight that could be compared" };
            parts.push(format!("no {which} differs{kept}"));
        } else {
            parts.push(match self.elements {
                Some((all, changed)) => format!("{} of weights changed", percent(changed, all)),
                None => match self.kind {
                    ReportKind::Adapters => format!("{} differ", counted(self.rows.len(), "module")),
                    _ => format!("{} adapted", counted(self.rows.len(), "module")),
                },
            });
            parts.push(format!("only in {}", self.places()));
            parts.extend(self.rank());
            if let Some(first) = self.rows.first() {
                parts.push(match (self.is_relative(), first.relative_ppm) {
                    (true, Some((ppm, _))) => format!("largest relative change {}", ppm_text(ppm)),
                    (true, None) => format!("largest relative change {}", ratio(first.weight())),
                    (false, _) => {
                        format!(
                            "largest change {} by Frobenius norm (no base to compare it with)",
                            digits(first.frobenius)
                        )
                    }
                });
            }
        }
        for (count, word) in [
            (self.added.len(), "added"),
            (self.removed.len(), "removed"),
            (self.reshaped.len(), "of another shape"),
            (self.unmeasured.len(), "not measurable"),
        ] {
            if count > 0 {
                parts.push(format!("{} {word}", counted(count, "tensor")));
            }
        }
        parts.join(", ")
    }

    /// Which kinds of modules in which layers.
    fn places(&self) -> String {
        let mut kinds: Vec<&str> = self.rows.iter().map(|row| last_word(&row.family)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let mut text = match kinds.as_slice() {
            kinds if kinds.len() <= 4 => kinds.iter().map(|kind| shown(kind)).collect::<Vec<_>>().join("/"),
            kinds => counted(kinds.len(), "kind of module"),
        };
        let mut layers: Vec<u64> = self.rows.iter().filter_map(|row| row.layer).collect();
        layers.sort_unstable();
        layers.dedup();
        if !layers.is_empty() {
            let (word, ranges) = (if layers.len() == 1 { "layer" } else { "layers" }, ranges(&layers));
            put(&mut text, format_args!(" of {word} {ranges}"));
        }
        text
    }

    /// The rank, where all changes are of clearly low rank.
    fn rank(&self) -> Option<String> {
        let mut least = usize::MAX;
        let mut most = 0;
        for spectrum in self.rows.iter().filter_map(|row| row.spectrum.as_ref()) {
            let Rank::Of(rank) = spectrum.rank else { return None };
            if rank * 4 > spectrum.side {
                return None;
            }
            (least, most) = (least.min(rank), most.max(rank));
        }
        match (least, most) {
            (_, 0) => None,
            (least, most) if least == most => Some(format!("rank {most}")),
            (least, most) => Some(format!("rank {least}-{most}")),
        }
    }

    /// Whether a worker can have found this: parts within their wholes, numbers that measures have, names of bearable
    /// length. Whether it is true is not told from outside.
    ///
    /// # Errors
    /// What cannot be.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let measure = |value: f64| value.is_nan() || value >= 0.0;
        let parts = [self.identical, self.same_values, self.reshaped.len(), self.rows.len()];
        let parts = parts.into_iter().fold(0_usize, usize::saturating_add);
        if parts > self.compared {
            return Err("more differs than was compared");
        }
        let rows_changed = self.rows.iter().filter_map(|row| row.changed);
        let within = |(all, changed): (u64, u64)| changed <= all;
        if !self.elements.into_iter().chain(rows_changed).all(within) {
            return Err("more elements changed than there are");
        }
        let numbers = self.rows.iter().all(|row| {
            let spectrum = row.spectrum.iter().all(|spectrum| {
                let values = spectrum.values.iter().chain([&spectrum.beyond, &spectrum.rounding]);
                values.copied().all(measure) && spectrum.rank.number() <= spectrum.side
            });
            spectrum
                && measure(row.frobenius)
                && row.relative.iter().chain(&row.element).copied().all(measure)
        });
        if !numbers {
            return Err("a measure of it is none");
        }
        let changed = self.rows.iter().flat_map(|row| [&row.name, &row.family, &row.types]);
        let three = self.retyped.iter().chain(&self.unmeasured).flat_map(|(name, a, b)| [name, a, b]);
        let names = self.added.iter().chain(&self.removed).chain(self.reshaped.iter().map(|(name, ..)| name));
        if !changed.chain(three).chain(names).all(|text| text.len() <= TEXT_BYTES_MAX) {
            return Err("a name in it is longer than names are");
        }
        Ok(())
    }

    /// For scripts.
    pub(super) fn told(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(told_row).collect();
        let named = |list: &[(String, String, String)], first: &str, second: &str| -> Vec<Value> {
            list.iter().map(|(name, a, b)| json!({ "name": name, first: a, second: b })).collect()
        };
        let reshaped: Vec<Value> = self
            .reshaped
            .iter()
            .map(|(name, old, new)| json!({ "name": name, "old": old, "new": new }))
            .collect();
        let magnitudes: Vec<Value> =
            self.magnitudes.iter().map(|(low, count)| json!({ "exponent": low, "count": count })).collect();
        json!({
            "diff": self.kind.word(),
            "base": self.base,
            "candidate": self.candidate,
            "summary": self.summary(),
            "compared": self.compared,
            "identical": self.identical,
            "same_values": self.same_values,
            "changed": self.rows.len(),
            "elements": self.elements.map(|(all, _)| all),
            "elements_changed": self.elements.map(|(_, changed)| changed),
            "added": self.added,
            "removed": self.removed,
            "reshaped": reshaped,
            "retyped": named(&self.retyped, "old", "new"),
            "unmeasured": named(&self.unmeasured, "code", "message"),
            "tensors": rows,
            "magnitudes": magnitudes,
            "scope": self.scope,
        })
    }
}

fn told_row(row: &Row) -> Value {
    let spectrum = row.spectrum.as_ref().map(|spectrum| {
        let (rank, exact) = match spectrum.rank {
            Rank::Of(rank) => (rank, true),
            Rank::AtLeast(rank) => (rank, false),
        };
        json!({ "values": spectrum.values, "beyond": spectrum.beyond, "side": spectrum.side,
                "rounding": spectrum.rounding, "rank": rank, "rank_is_exact": exact })
    });
    json!({
        "name": row.name,
        "kind": row.family,
        "layer": row.layer,
        "shape": row.shape,
        "types": row.types,
        "relative_frobenius_ppm": row.relative_ppm.map(|(frobenius, _)| frobenius),
        "relative_element_ppm": row.relative_ppm.map(|(_, element)| element),
        "frobenius": row.frobenius,
        "element": row.element,
        "elements": row.changed.map(|(all, _)| all),
        "elements_changed": row.changed.map(|(_, changed)| changed),
        "spectrum": spectrum,
    })
}

/// The last segment that says what a module is.
pub(super) fn last_word(family: &str) -> &str {
    let named = |segment: &&str| !matches!(*segment, "*" | "weight" | "bias" | "default" | "base_layer");
    family.rsplit('.').find(named).unwrap_or(family)
}

/// `4-8, 11`.
fn ranges(sorted: &[u64]) -> String {
    const RANGES_MAX: usize = 8;
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &number in sorted {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let more = ranges.len().saturating_sub(RANGES_MAX);
    let mut texts: Vec<String> = ranges
        .iter()
        .take(RANGES_MAX)
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    if more > 0 {
        texts.push(format!("{more} more"));
    }
    texts.join(", ")
}

/// `1 tensor`, `7 tensors`, `6 kinds of module`.
pub(super) fn counted(count: usize, word: &str) -> String {
    match (count, word.split_once(' ')) {
        (1, _) => format!("1 {word}"),
        (_, Some((first, rest))) => format!("{count} {first}s {rest}"),
        (_, None) => format!("{count} {word}s"),
    }
}

/// A share in per cent; what is not none is never shown as none, and what is not all never as all.
#[expect(clippy::cast_precision_loss, reason = "to be shown")]
pub(super) fn percent(part: u64, whole: u64) -> String {
    match (part, whole) {
        (0, _) => "0 %".to_owned(),
        (part, whole) if part == whole => "100 %".to_owned(),
        (part, whole) => {
            let share = part as f64 / whole as f64 * 100.0;
            if share < 0.01 { "under 0.01 %".to_owned() } else { format!("{} %", digits(share.min(99.99))) }
        }
    }
}

/// A ratio as per cent.
pub(super) fn ratio(value: f64) -> String {
    if value.is_finite() { format!("{} %", digits(value * 100.0)) } else { "beyond measure".to_owned() }
}

/// Parts per million as per cent.
#[expect(clippy::cast_precision_loss, reason = "to be shown")]
pub(super) fn ppm_text(ppm: u64) -> String {
    if ppm >= SATURATED { "beyond measure".to_owned() } else { ratio(ppm as f64 / 1e6) }
}

/// Three digits that count.
pub(super) fn digits(value: f64) -> String {
    let size = value.abs();
    if size >= 99.95 {
        format!("{value:.0}")
    } else if size >= 9.995 {
        format!("{value:.1}")
    } else if size >= 0.995 {
        format!("{value:.2}")
    } else if size >= 0.0005 || size == 0.0 {
        format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.1e}")
    }
}

/// A stranger's text, escaped and shortened, fit for a terminal.
pub(super) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 96;
    let mut shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('\u{2026}');
    }
    shown
}
