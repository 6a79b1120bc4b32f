//! An outsider's check of an export: the record is whole, and the decisions follow from it.
