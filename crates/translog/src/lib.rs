//! The transparency log on disk: write-ahead log, tiles, checkpoints, witnesses, fsck.
