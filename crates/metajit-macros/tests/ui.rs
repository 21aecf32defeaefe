//! Every refusal, with its message and its place.
//!
//! `cargo xtask bless` rewrites the messages.

#[test]
fn mistakes_are_explained_where_they_stand() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
