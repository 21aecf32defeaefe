//! What can be chosen about a heap, by the program or by the environment variable `METAJIT_GC`.
//!
//! The variable is a list like `stress=1,limit=512M,verify=1,poison=1` and wins over what the program says, so that any
//! program can be run under stress without changing it.
//!
//! | key | value |
//! |---|---|
//! | `limit` | [`Config::limit`], bytes with an optional `K`, `M` or `G`; so are `nursery`, `nursery_max` and `growth_min` |
//! | `growth` | [`Config::growth`], a decimal fraction |
//! | `stress` | 0: none, 1: at every allocation, n: at one allocation in n, chosen by `seed` |
//! | `stress_major` | of these collections, one in so many is a major one |
//! | `verify`, `poison`, `log` | 0 or 1 |

use std::sync::OnceLock;

/// How often to collect although there is no need, to bring out what depends on when a collection happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stress {
    /// Only when needed.
    #[default]
    None,
    /// At each allocation.
    EveryAllocation,
    /// At one allocation in so many, chosen by [`Config::seed`].
    OneIn(u32),
}

/// When the closures given to [`on_death`](super::on_death) run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Finalizers {
    /// At the end of the collection that found the object dead, before the allocation that caused it returns.
    #[default]
    AtCollection,
    /// When the program calls [`run_finalizers`](super::run_finalizers).
    OnRequest,
}

/// Choices about one thread's heap; see [`configure`](super::configure).
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The most bytes of objects the heap may have (0: what the machine has). Beyond it, allocation fails.
    pub limit: usize,
    /// Bytes to allocate between two minor collections, at first and at least.
    pub nursery: usize,
    /// The most bytes to allocate between two minor collections; reached only while much survives.
    pub nursery_max: usize,
    /// How much the old part of the heap may grow, as a part of what lived at the last major collection,
    /// before the next major collection.
    pub growth: f64,
    /// How many bytes it may grow in any case.
    pub growth_min: usize,
    /// Collections without need.
    pub stress: Stress,
    /// Of the collections made for stress, one in so many is a major one (0: none).
    pub stress_major: u32,
    /// Chooses the collections of [`Stress::OneIn`].
    pub seed: u64,
    /// Checks the whole heap before and after each collection; panics if it finds something wrong.
    pub verify: bool,
    /// Overwrites what is freed, so that a use of a dead object is noticed.
    pub poison: bool,
    /// When finalizers run.
    pub finalizers: Finalizers,
    /// Prints a line to standard error for each collection.
    pub log: bool,
}

/// The nursery: half of a common second-level cache, so that memory is written again while it is still cached.
const NURSERY_BYTES: usize = 1 << 20;
/// Bounds a minor collection's pause: everything in it may survive.
const NURSERY_MAX_BYTES: usize = 4 << 20;
/// With the nursery and the tables, peaks at about one and a half times what lives.
const GROWTH: f64 = 0.3;
/// Small heaps would collect all the time if their growth were only a part of their size.
const GROWTH_MIN_BYTES: usize = 32 << 20;

impl Default for Config {
    fn default() -> Config {
        Config {
            limit: 0,
            nursery: NURSERY_BYTES,
            nursery_max: NURSERY_MAX_BYTES,
            growth: GROWTH,
            growth_min: GROWTH_MIN_BYTES,
            stress: Stress::None,
            stress_major: 8,
            seed: 0x9E37_79B9_7F4A_7C15,
            verify: false,
            poison: false,
            finalizers: Finalizers::AtCollection,
            log: false,
        }
    }
}

/// Why an allocation failed: what [`alloc`](super::alloc) panics with, and [`try_alloc`](super::try_alloc) returns.
///
/// The heap is whole after it: a program may catch the panic with [`std::panic::catch_unwind`], let go of some
/// objects and go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory {
    /// Bytes the allocation asked for.
    pub requested: usize,
    /// Bytes the heap may have.
    pub limit: usize,
}

impl std::fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "out of memory: {} bytes do not fit into the heap, which is limited to {} bytes",
            self.requested, self.limit
        )
    }
}

impl std::error::Error for OutOfMemory {}

/// A number with an optional binary suffix: `512M`, `64k`, `1G`.
fn parse_bytes(text: &str) -> Option<usize> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 10),
        b'm' | b'M' => (&text[..text.len() - 1], 20),
        b'g' | b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.parse::<usize>().ok()?.checked_mul(1 << shift)
}

impl Config {
    /// This configuration changed by a list in the form of `METAJIT_GC`.
    ///
    /// # Errors
    /// A sentence that names what was not understood; what came before it has been applied.
    pub fn apply(&mut self, list: &str) -> Result<(), String> {
        for item in list.split(',').map(str::trim).filter(|i| !i.is_empty()) {
            let (key, value) = item.split_once('=').unwrap_or((item, "1"));
            let bad = || format!("METAJIT_GC: `{item}` is not understood");
            let flag = || match value {
                "0" => Ok(false),
                "1" => Ok(true),
                _ => Err(bad()),
            };
            match key {
                "limit" => self.limit = parse_bytes(value).ok_or_else(bad)?,
                "nursery" => {
                    self.nursery = parse_bytes(value).ok_or_else(bad)?;
                    self.nursery_max = self.nursery_max.max(self.nursery);
                }
                "nursery_max" => self.nursery_max = parse_bytes(value).ok_or_else(bad)?,
                "growth" => self.growth = value.parse().map_err(|_| bad())?,
                "growth_min" => self.growth_min = parse_bytes(value).ok_or_else(bad)?,
                "stress" => {
                    self.stress = match value.parse::<u32>().map_err(|_| bad())? {
                        0 => Stress::None,
                        1 => Stress::EveryAllocation,
                        n => Stress::OneIn(n),
                    }
                }
                "stress_major" => self.stress_major = value.parse().map_err(|_| bad())?,
                "seed" => self.seed = value.parse().map_err(|_| bad())?,
                "verify" => self.verify = flag()?,
                "poison" => self.poison = flag()?,
                "log" => self.log = flag()?,
                _ => return Err(bad()),
            }
        }
        Ok(())
    }

    /// This configuration with what the environment says.
    pub(super) fn with_environment(mut self) -> Config {
        static LIST: OnceLock<Option<String>> = OnceLock::new();
        let list = LIST.get_or_init(|| {
            let list = std::env::var("METAJIT_GC").ok()?;
            if let Err(problem) = Config::default().apply(&list) {
                eprintln!("{problem}");
            }
            Some(list)
        });
        if let Some(list) = list {
            // What is wrong with it was said when it was first read.
            let _ = self.apply(list);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_sets_what_it_names() {
        let mut config = Config::default();
        config.apply("stress=1, limit=512M,verify=1,poison,nursery=64k").unwrap();
        assert_eq!(config.stress, Stress::EveryAllocation);
        assert_eq!(config.limit, 512 << 20);
        assert!(config.verify && config.poison);
        assert_eq!(config.nursery, 64 << 10);
        config.apply("stress=50,verify=0").unwrap();
        assert_eq!((config.stress, config.verify), (Stress::OneIn(50), false));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let problem = Config::default().apply("verify=1,stres=1").unwrap_err();
        assert_eq!(problem, "METAJIT_GC: `stres=1` is not understood");
        assert!(Config::default().apply("limit=12Q").is_err());
    }
}
