"""Writes golden.json: statistics of low-rank changes, the plain way, by numpy's dense decomposition.

The factors come from SplitMix64, as in tests.rs. Run with any Python that has numpy:
    python golden.py > golden.json
"""

import json

import numpy as np

MASK = (1 << 64) - 1


def draws(seed):
    """SplitMix64, each draw as a multiple of 2^-23 in [-1, 1)."""
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        mixed = state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
        mixed ^= mixed >> 31
        yield ((mixed >> 40) - (1 << 23)) / (1 << 23)


def factors(case):
    numbers = draws(case["seed"])
    rows, columns, rank = case["rows"], case["columns"], case["rank"]
    a = np.array([next(numbers) for _ in range(rank * columns)]).reshape(rank, columns)
    b = np.array([next(numbers) for _ in range(rows * rank)]).reshape(rows, rank)
    if case["kind"] == "spike":
        b[1, :] *= 64.0
    if case["kind"] == "deficient":
        a[-1, :] = a[0, :]
    if case["kind"] == "steep":
        b *= 2.0 ** (-4.0 * np.arange(rank))
    return a, b


def hoyer(x):
    n = x.size
    if n < 2:
        return None
    return (np.sqrt(n) - np.abs(x).sum() / np.sqrt((x * x).sum())) / (np.sqrt(n) - 1)


def statistics(case):
    a, b = factors(case)
    rows, columns, rank = case["rows"], case["columns"], case["rank"]
    delta = case["scaling"] * (b @ a)
    sigma = np.linalg.svd(delta, compute_uv=False)[: min(rows, columns, rank)]
    energy = sigma**2 / (sigma**2).sum()
    kept = sigma[sigma >= 1e-3 * sigma[0]]
    shares = kept**2 / (kept**2).sum()
    expected = rank / (1 + np.sqrt(rank / min(rows, columns))) ** 2
    centred = delta - delta.mean()
    squares = np.sort((delta**2).sum(axis=1))[::-1]
    return {
        "singular_values": sigma.tolist(),
        "frobenius": float(np.linalg.norm(delta)),
        "log_rms": float(np.log(np.linalg.norm(delta) / np.sqrt(rows * columns))),
        "top1_energy": float(energy[0]),
        "stable_rank": float(1 / energy[0]),
        "spectral_entropy": float(-(shares * np.log(shares)).sum() / np.log(rank)) if rank > 1 else 0.0,
        "excess_concentration": float(np.log(expected * energy[0])),
        "kurtosis": float((centred**4).mean() / (centred**2).mean() ** 2),
        "row_hoyer": hoyer(np.linalg.norm(delta, axis=1)),
        "column_hoyer": hoyer(np.linalg.norm(delta, axis=0)),
        "row_top8_share": float(squares[:8].sum() / squares.sum()),
    }


CASES = [
    {"kind": "plain", "rows": 24, "columns": 40, "rank": 4, "scaling": 2.0, "seed": 1},
    {"kind": "plain", "rows": 96, "columns": 33, "rank": 16, "scaling": 0.125, "seed": 2},
    {"kind": "spike", "rows": 64, "columns": 48, "rank": 8, "scaling": 1.0, "seed": 3},
    {"kind": "deficient", "rows": 30, "columns": 20, "rank": 5, "scaling": -3.0, "seed": 4},
    {"kind": "steep", "rows": 40, "columns": 40, "rank": 6, "scaling": 1.0, "seed": 5},
    {"kind": "plain", "rows": 6, "columns": 5, "rank": 9, "scaling": 1.0, "seed": 6},
    {"kind": "plain", "rows": 1, "columns": 7, "rank": 2, "scaling": 1.0, "seed": 7},
    {"kind": "plain", "rows": 50, "columns": 60, "rank": 1, "scaling": 0.5, "seed": 8},
    {"kind": "plain", "rows": 20, "columns": 16, "rank": 40, "scaling": 0.5, "seed": 9},
]

print(json.dumps([dict(case, expected=statistics(case)) for case in CASES], indent=1))
