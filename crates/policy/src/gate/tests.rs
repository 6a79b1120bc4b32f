//! Tests of the gates over a small realm.
