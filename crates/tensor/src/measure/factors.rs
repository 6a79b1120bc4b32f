//! Norms of `s·B·A` from its factors.

use super::round::{Upper, dot, gamma, inflate};
use super::{Extent, Norms, Work};
use crate::peft::LoraModule;

/// Columns that are worked on together, and rows that share their loads.
const PANEL: usize = 8;
const PAIR: usize = 2;

/// The decoded factors of one module.
#[derive(Debug)]
pub(super) struct Factors {
    rank: usize,
    rows: usize,
    columns: usize,
    /// The magnitude of the scaling.
    scaling: f64,
    /// `rank × columns`, row-major.
    pub(super) a: Vec<f64>,
    /// `rows × rank`, row-major.
    pub(super) b: Vec<f64>,
}

impl Factors {
    pub(super) fn of(module: &LoraModule<'_>) -> Self {
        Self {
            rank: module.rank,
            rows: module.rows,
            columns: module.columns,
            scaling: module.scaling.abs(),
            a: module.a.decoded(),
            b: module.b.decoded(),
        }
    }

    pub(super) fn norms(&self, work: &mut Work) -> Norms {
        if self.scaling == 0.0 {
            let none = Upper(0.0);
            let exact = Extent::Exact;
            return Norms { frobenius: none, frobenius_extent: exact, element: none, element_extent: exact };
        }
        let (frobenius, frobenius_extent) = self.frobenius(work);
        let (element, element_extent) = self.largest_element(work);
        let scaled = |value: f64| Upper(inflate(value * self.scaling, 2));
        Norms { frobenius: scaled(frobenius), frobenius_extent, element: scaled(element), element_extent }
    }

    /// `‖BA‖_F`, upwards.
    fn frobenius(&self, work: &mut Work) -> (f64, Extent) {
        let transposed = transpose(&self.b, self.rank);
        let b: Vec<&[f64]> = transposed.chunks_exact(self.rows).collect();
        let a: Vec<&[f64]> = self.a.chunks_exact(self.columns).collect();
        // Every summand of the Gram form is at most ‖b_k‖‖b_l‖‖a_k‖‖a_l‖, so the square of this sum bounds
        // both the result (triangle inequality) and, times γ, the rounding error of the whole computation.
        let reach: f64 = b.iter().zip(&a).map(|(b, a)| (dot(b, b) * dot(a, a)).sqrt()).sum();
        let chain = self.rows + self.columns + 16;
        let reach = inflate(reach, chain + self.rank);
        if reach == 0.0 {
            return (0.0, Extent::Exact);
        }
        let pairs = (self.rank as u64).saturating_mul(self.rank as u64 + 1) / 2;
        let cost = pairs.saturating_mul(self.rows as u64 + self.columns as u64);
        if work.spend(cost).is_none() {
            return (reach, Extent::Bound);
        }
        let mut trace = 0.0;
        for (k, (b_k, a_k)) in b.iter().zip(&a).enumerate() {
            trace += dot(b_k, b_k) * dot(a_k, a_k);
            for (b_l, a_l) in b.iter().zip(&a).skip(k + 1) {
                trace += 2.0 * dot(b_k, b_l) * dot(a_k, a_l);
            }
        }
        let allowance = gamma(chain + self.rank * self.rank) * reach * reach;
        (inflate((trace.max(0.0) + allowance).sqrt(), 4), Extent::Exact)
    }

    /// `max|BA|`, upwards, from the elements themselves.
    ///
    /// Rows of `B` and columns of `A` are taken in the order of falling norms. An element whose two norms multiply
    /// to no more than the largest element found so far cannot exceed it, so it is passed over; what is computed
    /// is computed in the same order of additions wherever it stands, so the maximum does not depend on that.
    fn largest_element(&self, work: &mut Work) -> (f64, Extent) {
        let rows = by_norm(self.b.chunks_exact(self.rank).map(norm));
        let a_columns = transpose(&self.a, self.columns);
        let columns = by_norm(a_columns.chunks_exact(self.rank).map(norm));
        let slack = 1.0 + gamma(2 * self.rank + 16);
        let (Some(first_row), Some(first_column)) = (rows.first(), columns.first()) else {
            return (0.0, Extent::Exact);
        };
        let reach = inflate(first_row.norm * first_column.norm, self.rank + 4);
        let panels = self.panels(&columns);
        let panel_len = PANEL * self.rank;

        let mut most = 0.0_f64;
        for pair in rows.chunks(PAIR) {
            let [top, ..] = pair else { break };
            let open = columns.partition_point(|column| top.norm * column.norm * slack > most);
            if open == 0 {
                break;
            }
            let cost = (open.next_multiple_of(PANEL) as u64)
                .saturating_mul(self.rank as u64)
                .saturating_mul(pair.len() as u64);
            if work.spend(cost).is_none() {
                return (reach, Extent::Bound);
            }
            let row = |at: usize| {
                let begin = pair.get(at).unwrap_or(top).index * self.rank;
                self.b.get(begin..begin + self.rank).unwrap_or_default()
            };
            let open_panels = panels.chunks_exact(panel_len).take(open.div_ceil(PANEL));
            let lanes =
                open_panels.fold([most; PANEL], |lanes, panel| panel_max(row(0), row(1), panel, lanes));
            most = lanes.iter().fold(most, |most, lane| most.max(*lane));
        }
        (inflate(most + gamma(self.rank + 4) * reach, 2), Extent::Exact)
    }

    /// `A` with its columns in the given order, cut into panels of [`PANEL`] columns; within a panel the elements
    /// of one row of `A` stand together. The last panel is filled up with zeros.
    fn panels(&self, order: &[Ranked]) -> Vec<f64> {
        let panel_len = PANEL * self.rank;
        let mut panels = vec![0.0; order.len().div_ceil(PANEL) * panel_len];
        for (panel, columns) in panels.chunks_exact_mut(panel_len).zip(order.chunks(PANEL)) {
            for (line, row) in panel.chunks_exact_mut(PANEL).zip(self.a.chunks_exact(self.columns)) {
                for (cell, column) in line.iter_mut().zip(columns) {
                    *cell = row.get(column.index).copied().unwrap_or_default();
                }
            }
        }
        panels
    }
}

/// For each lane the largest magnitude among what stood there and the products of two rows with one column of the
/// panel. Each product is summed from the first component to the last.
fn panel_max(first: &[f64], second: &[f64], panel: &[f64], mut most: [f64; PANEL]) -> [f64; PANEL] {
    let (mut one, mut two) = ([0.0_f64; PANEL], [0.0_f64; PANEL]);
    for ((x, y), line) in first.iter().zip(second).zip(panel.as_chunks::<PANEL>().0) {
        for ((one, two), a) in one.iter_mut().zip(&mut two).zip(line) {
            *one += x * a;
            *two += y * a;
        }
    }
    for ((most, one), two) in most.iter_mut().zip(&one).zip(&two) {
        let larger = if one.abs() > two.abs() { one.abs() } else { two.abs() };
        *most = if larger > *most { larger } else { *most };
    }
    most
}

/// A row or column and its norm.
#[derive(Debug, Clone, Copy)]
struct Ranked {
    norm: f64,
    index: usize,
}

/// In the order of falling norms; equal ones in the order they came in.
fn by_norm(norms: impl Iterator<Item = f64>) -> Vec<Ranked> {
    let mut ranked: Vec<Ranked> = norms.enumerate().map(|(index, norm)| Ranked { norm, index }).collect();
    ranked.sort_by(|x, y| y.norm.total_cmp(&x.norm));
    ranked
}

fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

/// Row-major, `width` columns, to row-major of the transpose.
fn transpose(values: &[f64], width: usize) -> Vec<f64> {
    let height = values.len() / width.max(1);
    let mut out = vec![0.0; values.len()];
    for (row, line) in values.chunks_exact(width.max(1)).enumerate() {
        for (cell, value) in out.iter_mut().skip(row).step_by(height.max(1)).zip(line) {
            *cell = *value;
        }
    }
    out
}
