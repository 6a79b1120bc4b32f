//! Keys that sign statements: sealed file keys, and the seam for hardware.
