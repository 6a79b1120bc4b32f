//! The fold of the log: the world, the dossiers, and the lifecycle of a change.
