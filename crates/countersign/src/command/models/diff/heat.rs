//! The heat map: kinds of modules down, layers across, the size of the change in each cell.

use std::collections::{BTreeMap, BTreeSet};

use super::report::Report;

/// Most columns; beyond, layers stand together.
const COLUMNS_MAX: usize = 64;
/// Most rows; beyond, the kinds that changed least are left out.
const ROWS_MAX: usize = 48;

/// A table of changes.
pub(super) struct Heat {
    /// The first and last layer of each column. One column without layers where the model has none.
    pub(super) columns: Vec<Option<(u64, u64)>>,
    pub(super) rows: Vec<HeatRow>,
    /// The smallest and the largest change, above zero.
    pub(super) range: Option<(f64, f64)>,
    /// Kinds of modules left out.
    pub(super) left_out: usize,
}

pub(super) struct HeatRow {
    pub(super) label: String,
    /// The largest change among what a cell stands for; nothing where nothing changed.
    pub(super) cells: Vec<Option<f64>>,
}

impl Heat {
    /// Of what changed. Kinds and layers without a change are not in it.
    pub(super) fn of(report: &Report) -> Self {
        let layers: BTreeSet<u64> = report.rows.iter().filter_map(|row| row.layer).collect();
        let layers: Vec<u64> = layers.into_iter().collect();
        let span = layers.len().div_ceil(COLUMNS_MAX).max(1);
        let mut columns: Vec<Option<(u64, u64)>> =
            layers.chunks(span).filter_map(|chunk| Some(Some((*chunk.first()?, *chunk.last()?)))).collect();
        let outside = columns.len();
        if report.rows.iter().any(|row| row.layer.is_none()) {
            columns.push(None);
        }
        let mut kinds: BTreeMap<&str, Vec<Option<f64>>> = BTreeMap::new();
        for row in &report.rows {
            let at =
                row.layer.and_then(|layer| layers.binary_search(&layer).ok()).map_or(outside, |at| at / span);
            let cells = kinds.entry(&row.family).or_insert_with(|| vec![None; columns.len()]);
            if let Some(cell) = cells.get_mut(at) {
                *cell = Some(cell.unwrap_or(0.0_f64).max(row.weight()));
            }
        }
        let all = || {
            kinds
                .values()
                .flatten()
                .filter_map(|cell| *cell)
                .filter(|value| *value > 0.0 && value.is_finite())
        };
        let range = all().reduce(f64::min).zip(all().reduce(f64::max));
        let prefix = common_prefix(kinds.keys().copied().filter(|kind| kind.contains('*')));
        let most = |cells: &[Option<f64>]| cells.iter().flatten().copied().fold(0.0, f64::max);
        let mut rows: Vec<(f64, HeatRow)> = kinds
            .iter()
            .map(|(kind, cells)| {
                let label = kind.strip_prefix(prefix).unwrap_or(kind).to_owned();
                (most(cells), HeatRow { label, cells: cells.clone() })
            })
            .collect();
        let left_out = rows.len().saturating_sub(ROWS_MAX);
        if left_out > 0 {
            rows.sort_by(|a, b| b.0.total_cmp(&a.0));
            rows.truncate(ROWS_MAX);
            rows.sort_by(|a, b| a.1.label.cmp(&b.1.label));
        }
        Self { columns, rows: rows.into_iter().map(|(_, row)| row).collect(), range, left_out }
    }

    /// Where a change lies between the smallest (0) and the largest (1), by its logarithm.
    pub(super) fn level(&self, value: f64) -> f64 {
        match self.range {
            Some((least, most)) if most > least && value > 0.0 => {
                ((value / least).ln() / (most / least).ln()).clamp(0.0, 1.0)
            }
            _ => 1.0,
        }
    }
}

/// What all names begin with, up to a dot.
fn common_prefix<'a>(mut names: impl Iterator<Item = &'a str>) -> &'a str {
    let Some(first) = names.next() else { return "" };
    let (mut length, mut count) = (first.len(), 1);
    for name in names {
        let shared = first.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        length = length.min(shared);
        count += 1;
    }
    let shared = first.get(..length).unwrap_or_default();
    if count == 1 {
        // A single kind keeps what stands after the layer.
        return first.rfind("*.").and_then(|at| first.get(..at + 2)).unwrap_or_default();
    }
    shared.rfind('.').and_then(|at| shared.get(..=at)).unwrap_or_default()
}
