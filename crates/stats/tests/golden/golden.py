"""Writes golden.json: what scipy, statsmodels and ville say, for the tests of `stats`.

Made by `cargo xtask golden`, which provides the packages in the versions it names.
"""

import importlib.metadata
import json
import sys

import numpy as np
import scipy.integrate
import scipy.spatial.distance
import scipy.special
import scipy.stats as st
import statsmodels.api as sm
import statsmodels.stats.contingency_tables as tables
import statsmodels.stats.multitest as multitest
import statsmodels.stats.proportion as proportion
import ville

rng = np.random.default_rng(20261122)
out = {
    "versions": {
        name: importlib.metadata.version(name) for name in ("numpy", "scipy", "statsmodels", "ville")
    }
}
ALTERNATIVES = ["less", "greater", "two-sided"]

# Exact bounds and tests.
counts = [(0, 1), (1, 1), (0, 59), (1, 93), (5, 208), (3, 9690), (3, 25844), (50, 100), (99, 100), (7, 1000),
          (4_050, 8_100), (40_000, 8_000_000), (500_000_000, 1_000_000_000), (3, 1_000_000_000)]
out["bounds"] = []
for s, n in counts:
    for alpha in (0.05, 0.001):
        low, high = proportion.proportion_confint(s, n, alpha=alpha, method="beta")
        out["bounds"].append({"s": s, "n": n, "alpha": alpha, "low": float(low), "high": float(high)})
out["binomial"] = []
for s, n, p in [(0, 10, 0.5), (3, 10, 0.5), (10, 10, 0.5), (5, 10, 0.5), (7, 200, 0.05), (20, 200, 0.05),
                (1, 3, 0.9), (480, 1000, 0.5), (400, 1000, 0.5), (5_100, 1_000_000, 0.005), (2, 1000, 0.01),
                (500_050_000, 1_000_000_000, 0.5)]:
    for alternative in ALTERNATIVES:
        value = st.binomtest(s, n, p, alternative=alternative).pvalue
        out["binomial"].append({"s": s, "n": n, "p": p, "alternative": alternative, "value": float(value)})
out["mcnemar"] = []
for worse, better in [(0, 0), (1, 0), (10, 2), (30, 30), (200, 140)]:
    value = tables.mcnemar([[5, worse], [better, 7]], exact=True).pvalue if worse + better else 1.0
    out["mcnemar"].append({"worse": worse, "better": better, "value": float(value)})
out["fisher"] = []
for table in [[[8, 2], [1, 5]], [[0, 10], [5, 5]], [[3, 0], [0, 3]], [[100, 900], [130, 870]], [[1, 9999], [9, 9991]],
              [[50, 50], [50, 50]], [[0, 0], [3, 4]], [[4050, 95950], [4300, 95700]], [[12, 5], [29, 2]]]:
    for alternative in ALTERNATIVES:
        value = st.fisher_exact(table, alternative=alternative).pvalue
        out["fisher"].append({"table": table, "alternative": alternative, "value": float(value)})

# Distributions.
out["beta"] = [
    {"a": a, "b": b, "x": x, "lower": float(scipy.special.betainc(a, b, x)),
     "upper": float(scipy.special.betaincc(a, b, x))}
    for a, b, x in [(0.5, 0.5, 0.1), (1, 1, 0.3), (2, 5, 0.9), (100, 900, 0.11), (1e6, 1e6, 0.5005), (0.01, 3, 1e-5),
                    (5, 1e8, 1e-7), (1e9, 3e9, 0.25001)]
]
out["normal"] = [{"alpha": a, "z": float(st.norm.isf(a))} for a in (0.5, 0.25, 0.025, 1e-4, 1e-9, 1e-30, 0.975)]
out["t"] = [{"alpha": a, "degrees": d, "t": float(st.t.isf(a, d))}
            for a in (0.25, 0.025, 0.0001) for d in (1, 2.5, 10, 79.3, 10_000)]

# E-processes. ville's Bernoulli test is the two-sided one; the one-sided ones by integration.
out["bernoulli_equal"] = []
for s, n, p in [(0, 10, 0.005), (3, 50, 0.05), (60, 1000, 0.05), (5_000, 1_000_000, 0.0051), (400, 500, 0.5)]:
    x = np.zeros(n)
    x[:s] = 1
    value = ville.BernoulliTest(p).fit(x).log_e_values_[-1]
    out["bernoulli_equal"].append({"s": s, "n": n, "p": p, "ln": float(value)})
out["bernoulli_sided"] = []
for s, n, p in [(0, 10, 0.1), (3, 50, 0.05), (9, 50, 0.05), (60, 1000, 0.05), (2, 300, 0.05)]:
    for null, low, high in (("at-most", p, 1.0), ("at-least", 0.0, p)):
        def ratio(theta):
            return np.exp(s * np.log(theta / p) + (n - s) * np.log1p(-theta) - (n - s) * np.log1p(-p))
        value, _ = scipy.integrate.quad(ratio, low, high, epsabs=0, epsrel=1e-12, limit=500, points=[s / n])
        out["bernoulli_sided"].append({"s": s, "n": n, "p": p, "null": null, "ln": float(np.log(value / (high - low)))})
out["rate_sequence"] = []
for s, n in [(0, 10), (10, 10), (3, 50), (40, 8_100), (5_000, 1_000_000)]:
    for alpha in (0.05, 0.01 / 48):
        x = np.zeros(n)
        x[:s] = 1
        cs = ville.BernoulliCS(alpha=alpha, intersect=False).fit(x)
        out["rate_sequence"].append({"s": s, "n": n, "alpha": alpha, "low": float(cs.lower_[-1]), "high": float(cs.upper_[-1])})
out["boundary"] = [
    {"v": v, "alpha": a, "rho": r, "one_sided": one,
     "value": float(ville.normal_mixture(v, a, r, one_sided=one))}
    for v in (1.0, 100.0, 1e6) for a in (0.05, 1e-4) for r in (0.5, 50.0) for one in (False, True)
]
out["best_rho"] = [{"v": v, "alpha": a, "one_sided": one, "height":
                    float(ville.normal_mixture(v, a, ville.best_rho(v, a, one_sided=one), one_sided=one))}
                   for v in (100.0, 8_100.0) for a in (0.05, 1e-4) for one in (False, True)]
out["quantile_ranks"] = []
for n, q, alpha in [(200, 0.5, 0.05), (2_000, 0.99, 0.05), (500, 0.9, 0.001), (50, 0.99, 0.05)]:
    x = np.arange(1.0, n + 1.0)
    rng.shuffle(x)
    cs = ville.QuantileCS(q=q, alpha=alpha, t_opt=500, intersect=False).fit(x)
    low, high = cs.lower_[-1], cs.upper_[-1]
    out["quantile_ranks"].append({"n": n, "q": q, "alpha": alpha, "lower": None if np.isinf(low) else int(low),
                                  "upper": None if np.isinf(high) else int(high)})
out["asymptotic"] = []
for n, alpha in [(200, 0.05), (5_000, 0.01)]:
    x = rng.gamma(2.0, 3.0, size=n)
    cs = ville.AsymptoticCS(alpha=alpha, t_opt=500).fit(x)
    out["asymptotic"].append({"n": n, "alpha": alpha, "mean": float(x.mean()), "deviation": float(x.std(ddof=1)),
                              "low": float(cs.lower_[-1]), "high": float(cs.upper_[-1])})
out["multinomial"] = []
for shares, x in [([0.5, 0.5], [520, 480]), ([0.5, 0.5], [5, 0]), ([0.9, 0.1], [900, 180]), ([0.2, 0.3, 0.5], [21, 33, 49]),
                  ([0.25, 0.75], [2_500_900, 7_499_100])]:
    theta = np.array(shares)
    mixed = st.dirichlet_multinomial.logpmf(x, 100 * theta, sum(x))
    out["multinomial"].append({"shares": shares, "counts": x,
                               "ln": float(mixed - st.multinomial.logpmf(x, sum(x), theta))})

# Bets, value by value instead of by counts.
BETS, MOST = 14, 0.95


def mixture(logs):
    return float(scipy.special.logsumexp(logs) - np.log(len(logs)))


out["mean"] = []
for m, levels, n in [(0.05, 2, 400), (0.3, 11, 300)]:
    draws = rng.integers(0, levels, size=n) * (rng.random(n) < 2 * m)
    x = draws / (levels - 1)
    logs = [np.log1p(MOST / m * 0.5**j * (x - m)).sum() for j in range(BETS)]
    out["mean"].append({"m": m, "counts": np.bincount(draws, minlength=levels).tolist(), "ln": mixture(logs)})
out["paired"] = []
for delta, pairs in [(0.0, (12, 300, 4)), (0.02, (40, 400, 10)), (0.02, (0, 50, 3))]:
    d = np.repeat([1.0, 0.0, -1.0], pairs)
    logs = [np.log1p(MOST / (1 + delta) * 0.5**j * (d - delta)).sum() for j in range(BETS)]
    out["paired"].append({"delta": delta, "pairs": pairs, "ln": mixture(logs)})
out["comparison"] = []
for delta, sign, expected, levels in [(0.0, 1, 0.05, 2), (0.02, 1, 0.05, 2), (0.03, -1, 0.05, 2), (0.01, 1, 0.4, 5)]:
    rows, wealth, units, sums = [], np.zeros(16), np.zeros(2), np.zeros(2)
    for _ in range(60):
        sizes = rng.integers(0, 30, size=2)
        a = rng.integers(0, levels, size=sizes[0]) * (rng.random(sizes[0]) < 0.1)
        b = rng.integers(0, levels, size=sizes[1]) * (rng.random(sizes[1]) < 0.2)
        rows.append([np.bincount(a, minlength=levels).tolist(), np.bincount(b, minlength=levels).tolist()])
        xa, xb = a / (levels - 1), b / (levels - 1)
        if len(a) and len(b):
            share = len(b) / len(a)
            ma = (sums.sum() - units[1] * delta + 200 * expected) / (units.sum() + 200)
            ma = min(max(ma, 1e-6 - min(delta, 0)), 1 - 1e-6 - max(delta, 0))
            mb = ma + delta
            most = MOST * (min(1 / mb, 1 / (1 - ma) / share) if sign > 0 else min(1 / (1 - mb), 1 / ma / share))
            for j in range(16):
                c = sign * min(64 * 0.5**j, most)
                wealth[j] += np.log1p(c * (xb - mb)).sum() + np.log1p(-c * share * (xa - ma)).sum()
        units += [len(a), len(b)]
        sums += [xa.sum(), xb.sum()]
    out["comparison"].append({"delta": delta, "worse": sign > 0, "expected": expected, "levels": levels,
                              "rows": rows, "ln": mixture(wealth)})

# Many tests.
p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216, 0.0021, 0.3]
out["multiple"] = {"p": p, "alpha": 0.05, "holm": multitest.multipletests(p, 0.05, "holm")[0].tolist(),
                   "bh": multitest.multipletests(p, 0.05, "fdr_bh")[0].tolist()}

# Clusters: an intercept with cluster-robust standard error.
out["cluster"] = []
for units in (5, 60):
    sizes = rng.integers(1, 9, size=units)
    effect = rng.normal(0, 30, size=units)
    groups = np.repeat(np.arange(units), sizes)
    y = np.rint(200 + effect[groups] + rng.normal(0, 20, size=len(groups))).astype(int)
    fit = sm.OLS(y, np.ones(len(y))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    per_unit = [[int(sizes[u]), int(y[groups == u].sum())] for u in range(units)]
    out["cluster"].append({"units": per_unit, "mean": float(fit.params[0]), "error": float(fit.bse[0])})

# Drift.
out["drift"] = []
for n, m, shift in [(50, 70, 0.0), (200, 150, 0.5), (3, 400, 3.0)]:
    a, b = rng.normal(size=n).round(2), rng.normal(shift, size=m).round(2)
    root = np.sqrt(n * m / (n + m))
    d = st.ks_2samp(a, b).statistic
    out["drift"].append({"first": a.tolist(), "second": b.tolist(), "ks": float(d),
                         "p": float(st.kstwobign.sf((root + 0.12 + 0.11 / root) * d)),
                         "wasserstein": float(st.wasserstein_distance(a, b))})
out["shares"] = []
for a, b in [([10, 20, 30], [12, 18, 33]), ([1, 0, 5], [0, 4, 2]), ([1000, 10], [10, 1000])]:
    pa, pb = np.array(a) / sum(a), np.array(b) / sum(b)
    ha, hb = np.where(pa > 0, pa, 0.5 / sum(a)), np.where(pb > 0, pb, 0.5 / sum(b))
    out["shares"].append({"first": a, "second": b, "js": float(scipy.spatial.distance.jensenshannon(a, b)),
                          "psi": float(((hb - ha) * np.log(hb / ha)).sum())})

# Maximum mean discrepancy.
a, b = rng.normal(size=(12, 3)).round(3), rng.normal(1.0, size=(9, 3)).round(3)
z = np.vstack([a, b])
squared = scipy.spatial.distance.cdist(z, z, "sqeuclidean")
lower = np.sort(squared[np.tril_indices(len(z), -1)])
kernel = np.exp(-squared / (2 * lower[len(lower) // 2]))
kaa, kbb, kab = kernel[:12, :12], kernel[12:, 12:], kernel[:12, 12:]
out["mmd"] = {"first": a.tolist(), "second": b.tolist(), "width": float(np.sqrt(lower[len(lower) // 2])),
              "squared": float((kaa.sum() - 12) / (12 * 11) + (kbb.sum() - 9) / (9 * 8) - 2 * kab.mean())}

# Calibration: the exceedances that keep a rate with 95 % confidence over calibration sets.
out["exceedances"] = []
for n in (1_000, 3_743, 3_744, 10_000, 50_000):
    ks = [k for k in range(200) if st.beta.ppf(0.95, k + 1, n - k) <= 0.0008]
    out["exceedances"].append({"n": n, "alpha": 0.0008, "beta": 0.05, "k": max(ks) if ks else None})

json.dump(out, open(sys.argv[1], "w"), indent=None, separators=(",", ":"))
