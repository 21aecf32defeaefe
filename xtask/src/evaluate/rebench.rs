//! The configuration for ReBench: the same programs in the same modes.

use super::plan::{MODES, Plan};
use super::synthesis::ORDERS;
use std::fmt::Write as _;

/// The file in the workspace.
pub const FILE: &str = "rebench.conf";

/// The configuration.
pub fn configuration() -> String {
    let plan = Plan::full();
    let mut text = String::from(
        "# ReBench: the programs and modes of `cargo xtask evaluate`, which writes this file (--tune).
#
#     cargo build --release -p som
#     rebench rebench.conf

default_experiment: all
default_data_file: target/rebench.data

runs:
    max_invocation_time: 600

benchmark_suites:
    benchmarks:
        gauge_adapter: RebenchLog
        command: \"-cp crates/som/benchmarks crates/som/benchmarks/Harness.som %(benchmark)s %(iterations)s %(input)s\"
",
    );
    let _ = writeln!(text, "        iterations: {}\n        benchmarks:", plan.iterations);
    for benchmark in &plan.benchmarks {
        let _ = writeln!(text, "            - {}: {{ input_sizes: [{}] }}", benchmark.name, benchmark.inner);
    }
    text.push_str(
        "    synthesized:
        gauge_adapter: RebenchLog
        command: \"-cp crates/som/benchmarks crates/som/benchmarks/Synthesized.som %(input)s %(iterations)s\"
",
    );
    let _ = writeln!(text, "        iterations: {}", plan.synthesized_iterations);
    let orders: Vec<String> = (1..=ORDERS).map(|order| order.to_string()).collect();
    let _ =
        writeln!(text, "        input_sizes: [{}]\n        benchmarks:\n            - Synthesized", orders.join(", "));
    text.push_str("\nexecutors:\n");
    for mode in MODES {
        let arguments = mode.arguments().join(" ");
        let _ = writeln!(
            text,
            "    {}:\n        path: target/release\n        executable: 2som\n        args: \"{arguments}\"",
            mode.name
        );
    }
    text.push_str("\nexperiments:\n    all:\n        suites: [benchmarks, synthesized]\n        executions:\n");
    MODES.iter().for_each(|mode| {
        let _ = writeln!(text, "            - {}", mode.name);
    });
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_file_in_the_workspace_is_the_one_that_is_written() {
        let text = std::fs::read_to_string(crate::root().join(super::FILE)).expect("the file");
        assert_eq!(text, super::configuration());
    }
}
