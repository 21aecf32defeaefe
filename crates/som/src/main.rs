//! 2SOM.
fn main() {}
