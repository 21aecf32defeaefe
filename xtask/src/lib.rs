//! The project's chores, as far as they are worth a test.
//!
//! Few dependencies: whoever builds the workspace builds this too.

pub mod evaluate;
pub mod fuzz;
pub mod heap;
pub mod progress;
pub mod soak;
pub mod stress;
pub mod tidy;
pub mod twins;

use std::path::{Path, PathBuf};

/// The workspace's root.
///
/// # Panics
/// If this crate has been moved out of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}
