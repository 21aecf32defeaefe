//! What the JIT compiler's log says: how much of which tier was made, what it cost, and when.

use serde_json::Value;
use std::collections::BTreeMap;

/// Pieces of threaded code after which the compile thread is warm.
const COLD: usize = 10;

/// Something to be marked in a curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Microseconds since the process was started.
    pub at: f64,
    /// 1 for threaded code, 2 for a trace.
    pub tier: u8,
    /// Where.
    pub place: String,
}

/// Code that was published.
pub fn marks(log: &str) -> Vec<Mark> {
    events(log)
        .filter_map(|event| {
            let tier = match event["event"].as_str()? {
                "threaded" => 1,
                "compiled" => 2,
                _ => return None,
            };
            Some(Mark { at: event["at_us"].as_f64()?, tier, place: event["place"].as_str()?.to_owned() })
        })
        .collect()
}

/// Sums of the log, by name.
pub fn figures(log: &str) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::new();
    let mut units = 0;
    for event in events(log) {
        let mut add = |name: &str, value: f64| *figures.entry(name.to_owned()).or_insert(0.0) += value;
        let number = |name: &str| event[name].as_f64().unwrap_or(0.0);
        match event["event"].as_str().unwrap_or_default() {
            "threaded" => {
                units += 1;
                add("tier1_units", 1.0);
                add("tier1_ops", number("ops"));
                add("tier1_bytes", number("bytes"));
                add("tier1_merge_points", number("merge_points"));
                let ns = number("shallow_ns") + number("backend_ns");
                add("tier1_ns", ns);
                if units > COLD {
                    add("tier1_warm_merge_points", number("merge_points"));
                    add("tier1_warm_ns", ns);
                }
            }
            "compiled" => {
                add("tier2_compilations", 1.0);
                add("tier2_ops", number("ops"));
                add("tier2_bytes", number("bytes"));
                add("tier2_ns", number("optimize_ns") + number("backend_ns"));
            }
            "recorded" => {
                add("tier2_traces", 1.0);
                add("tier2_recorded", number("ops"));
                add("tier2_ns", number("ns"));
            }
            "aborted" => add("tier2_ns", number("ns")),
            _ => {}
        }
    }
    figures
}

fn events(log: &str) -> impl Iterator<Item = Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"at_us":10,"event":"recorded","place":"A>>#f@0","ops":50,"ns":1000}
{"at_us":15,"event":"threaded","place":"A>>#g@0","entries":1,"merge_points":4,"ops":30,"bytes":900,"shallow_ns":7000,"backend_ns":9000}
{"at_us":20,"event":"compiled","place":"A>>#f@0","quality":"full","ops":40,"bytes":600,"optimize_ns":2000,"backend_ns":3000}
not a line"#;

    #[test]
    fn the_tiers_are_summed_up() {
        let figures = figures(LOG);
        let figure = |name: &str| figures.get(name).copied().unwrap_or(0.0);
        assert_eq!((figure("tier1_units"), figure("tier1_merge_points"), figure("tier1_ns")), (1.0, 4.0, 16000.0));
        assert_eq!((figure("tier2_traces"), figure("tier2_bytes"), figure("tier2_ns")), (1.0, 600.0, 6000.0));
        assert_eq!(figure("tier1_warm_ns"), 0.0, "the first pieces are made by a cold thread");
        let many = super::figures(&LOG.repeat(COLD + 2).replace("not a line", "\n"));
        assert_eq!((many["tier1_warm_merge_points"], many["tier1_warm_ns"]), (8.0, 32000.0));
    }

    #[test]
    fn what_was_published_is_marked() {
        let marks = marks(LOG);
        assert_eq!(marks.iter().map(|mark| (mark.at, mark.tier)).collect::<Vec<_>>(), [(15.0, 1), (20.0, 2)]);
    }
}
