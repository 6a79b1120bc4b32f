//! Modules of one kind compared over the layers of a model.
//!
//! A family is what has the same path but for its numbers: `model.layers.*.self_attn.q_proj`. Within a family a statistic
//! is first freed of its trend over depth by a Theil-Sen line, then measured against the family's own spread, the median
//! absolute deviation. Both bear almost a third of outliers without moving.

use std::collections::BTreeMap;

use super::Statistics;

/// The smallest family that is compared. Below it the spread is too uncertain for a standing to mean anything.
pub const FAMILY_MIN: usize = 16;

/// The largest number of points for which all pairs make a slope; beyond it, those half the family apart do.
const PAIRS_OF_ALL_MAX: usize = 512;

/// The median absolute deviation of a normal distribution is its standard deviation divided by this.
const MAD_TO_SIGMA: f64 = 1.482_602_218_505_602;
/// The same for the mean absolute deviation, which stands in where more than half of the points are equal.
const MEAN_DEVIATION_TO_SIGMA: f64 = 1.253_314_137_315_500_3;

/// How far a module stands from its family in each statistic, in robust standard deviations. Nothing for a statistic that
/// the module or the family lacks, or that does not vary in the family.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Standing {
    /// Of `log_rms`.
    pub log_rms: Option<f64>,
    /// Of `top1_energy`.
    pub top1_energy: Option<f64>,
    /// Of the stable rank over the rank.
    pub stable_rank: Option<f64>,
    /// Of `spectral_entropy`.
    pub spectral_entropy: Option<f64>,
    /// Of `excess_concentration`.
    pub excess_concentration: Option<f64>,
    /// Of the logarithm of `kurtosis`.
    pub kurtosis: Option<f64>,
    /// Of `row_hoyer`.
    pub row_hoyer: Option<f64>,
    /// Of `column_hoyer`.
    pub column_hoyer: Option<f64>,
    /// Of the logarithm of `row_top8_share`.
    pub row_top8_share: Option<f64>,
}

impl Standing {
    /// The smallest of the standings in kurtosis, `row_top8_share` and `row_hoyer`: high only where the change is heaped on
    /// a few outputs by all three.
    pub fn concentration(&self) -> Option<f64> {
        Some(self.kurtosis?.min(self.row_top8_share?).min(self.row_hoyer?))
    }
}

/// The family of a module's path, each whole number among its segments replaced by `*`, and the first of these numbers:
/// the layer.
pub fn family_of(path: &str) -> (String, Option<u64>) {
    let mut layer = None;
    let segments: Vec<&str> = path
        .split('.')
        .map(|segment| match segment.parse::<u64>() {
            Ok(number) if segment.bytes().all(|byte| byte.is_ascii_digit()) => {
                layer = layer.or(Some(number));
                "*"
            }
            _ => segment,
        })
        .collect();
    (segments.join("."), layer)
}

/// The standing of each module, in the order given. Modules of families below [`FAMILY_MIN`] have none.
pub fn standings(modules: &[(&str, &Statistics)]) -> Vec<Standing> {
    let mut families: BTreeMap<String, Vec<(usize, Option<u64>)>> = BTreeMap::new();
    for (at, (path, _)) in modules.iter().enumerate() {
        let (family, layer) = family_of(path);
        families.entry(family).or_default().push((at, layer));
    }
    let mut standings = vec![Standing::default(); modules.len()];
    for members in families.values().filter(|members| members.len() >= FAMILY_MIN) {
        for (read, place) in FEATURES {
            let points: Vec<(usize, Option<u64>, f64)> = members
                .iter()
                .filter_map(|(at, layer)| {
                    let (_, statistics) = modules.get(*at)?;
                    Some((*at, *layer, read(statistics).filter(|value| value.is_finite())?))
                })
                .collect();
            if points.len() < FAMILY_MIN {
                continue;
            }
            let values: Vec<f64> = points.iter().map(|(_, _, value)| *value).collect();
            #[expect(
                clippy::cast_precision_loss,
                reason = "layer numbers beyond 2^53 only blur their own trend"
            )]
            let layers: Option<Vec<f64>> =
                points.iter().map(|(_, layer, _)| layer.map(|l| l as f64)).collect();
            let values = layers.map_or_else(|| values.clone(), |layers| detrended(&layers, &values));
            let Some(scores) = robust_scores(&values) else { continue };
            for ((at, ..), score) in points.iter().zip(scores) {
                if let Some(standing) = standings.get_mut(*at) {
                    *place(standing) = Some(score);
                }
            }
        }
    }
    standings
}

type Read = fn(&Statistics) -> Option<f64>;
type Place = fn(&mut Standing) -> &mut Option<f64>;

/// The statistics compared: how each is read, and where its standing goes. What is positive with a heavy tail is compared
/// by its logarithm.
const FEATURES: [(Read, Place); 9] = [
    (|s| s.form.map(|form| form.log_rms), |standing| &mut standing.log_rms),
    (|s| s.form.map(|form| form.top1_energy), |standing| &mut standing.top1_energy),
    (|s| s.form.map(|form| form.stable_rank / width(s)), |standing| &mut standing.stable_rank),
    (|s| s.form.map(|form| form.spectral_entropy), |standing| &mut standing.spectral_entropy),
    (|s| s.form.map(|form| form.excess_concentration), |standing| &mut standing.excess_concentration),
    (|s| s.form.and_then(|form| form.kurtosis).map(libm::log), |standing| &mut standing.kurtosis),
    (|s| s.form.and_then(|form| form.row_hoyer), |standing| &mut standing.row_hoyer),
    (|s| s.form.and_then(|form| form.column_hoyer), |standing| &mut standing.column_hoyer),
    (|s| s.form.map(|form| libm::log(form.row_top8_share)), |standing| &mut standing.row_top8_share),
];

#[expect(clippy::cast_precision_loss, reason = "a rank")]
fn width(statistics: &Statistics) -> f64 {
    statistics.rank as f64
}

/// What is left of `values` without their Theil-Sen line over `layers`: the median of the slopes between points (Theil
/// 1950; Sen, Journal of the American Statistical Association 63, 1968), and the median of what remains. In a family of
/// more than a few hundred, Theil's incomplete method: the slopes between points half the family apart in depth.
pub(crate) fn detrended(layers: &[f64], values: &[f64]) -> Vec<f64> {
    let mut points: Vec<(f64, f64)> = layers.iter().copied().zip(values.iter().copied()).collect();
    let slope_of = |(x, y): (f64, f64), (u, v): (f64, f64)| ((u - x).abs() > 0.0).then(|| (v - y) / (u - x));
    let slopes: Vec<f64> = if points.len() <= PAIRS_OF_ALL_MAX {
        let later = |at: usize| points.iter().skip(at + 1);
        points
            .iter()
            .enumerate()
            .flat_map(|(at, &p)| later(at).filter_map(move |&q| slope_of(p, q)))
            .collect()
    } else {
        points.sort_by(|p, q| p.0.total_cmp(&q.0).then(p.1.total_cmp(&q.1)));
        let half = points.len() / 2;
        points.iter().zip(points.iter().skip(half)).filter_map(|(&p, &q)| slope_of(p, q)).collect()
    };
    let slope = median(slopes).unwrap_or(0.0);
    let rest: Vec<f64> = layers.iter().zip(values).map(|(x, y)| y - slope * x).collect();
    let level = median(rest.clone()).unwrap_or(0.0);
    rest.iter().map(|y| y - level).collect()
}

/// `(x - median) / σ`, with `σ` from the median absolute deviation or, where that is zero, from the mean one. Nothing where
/// the points do not vary beyond the rounding of their own size.
pub(crate) fn robust_scores(values: &[f64]) -> Option<Vec<f64>> {
    let middle = median(values.to_vec())?;
    let deviations: Vec<f64> = values.iter().map(|x| (x - middle).abs()).collect();
    #[expect(clippy::cast_precision_loss, reason = "the size of a family")]
    let mean = deviations.iter().sum::<f64>() / deviations.len() as f64;
    let size = values.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    let rounding = size * 1e-12;
    let spread = match median(deviations)? {
        median if median > rounding => MAD_TO_SIGMA * median,
        _ => MEAN_DEVIATION_TO_SIGMA * mean,
    };
    (spread > rounding).then(|| values.iter().map(|x| (x - middle) / spread).collect())
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    let half = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    if values.is_empty() {
        return None;
    }
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let middle = *middle;
    if even {
        let before = below.iter().copied().max_by(f64::total_cmp)?;
        Some(before + (middle - before) / 2.0)
    } else {
        Some(middle)
    }
}
