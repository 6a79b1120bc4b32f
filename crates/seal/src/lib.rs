//! Canonical fingerprints of weights, and OpenSSF Model Signing bundles.
