//! 2SOM.
