//! The project's chores, as far as they are worth a test.
//!
//! Few dependencies: whoever builds the workspace builds this too.

pub mod compare;
pub mod evaluate;
pub mod fuzz;
pub mod heap;
pub mod matrix;
pub mod progress;
pub mod soak;
pub mod tidy;
pub mod twins;
/// The test kit's ways to run a program. The file stands alone, so that this crate needs not wait for metajit.
#[path = "../../crates/metajit/src/testing/matrix.rs"]
pub mod ways;

use std::path::{Path, PathBuf};

/// The workspace's root.
///
/// # Panics
/// If this crate has been moved out of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}
