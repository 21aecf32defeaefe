//! The workspace is tidy.

#[test]
fn the_workspace_is_tidy() {
    let findings = xtask::tidy::check(&xtask::root());
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}
