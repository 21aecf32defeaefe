//! The evaluation from end to end, as small as it can be: a stand-in for 2SOM whose times are known.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("evaluate-{name}"));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    directory
}

/// A binary that prints iterations as 2SOM does, and whose log says what 2SOM's would. For a greeting it makes so many pieces of code.
fn stand_in(directory: &Path, iteration: &str, for_greeting: u32) -> PathBuf {
    let binary = directory.join("2som");
    let script = format!(
        r##"#!/bin/sh
tier=; log=; profile=; stats=
while [ $# -gt 0 ]; do
    case "$1" in
        --tier) tier=$2; shift 2 ;;
        --jit) case "$2" in profile=1) profile=1 ;; esac; shift 2 ;;
        --jit-log) log=$2; shift 2 ;;
        -cp) shift 2 ;;
        --stats=json) stats=1; shift ;;
        *) break ;;
    esac
done
if [ -n "$profile" ]; then
    for rank in 1 2 3 4 5 6 7 8; do
        echo "{{\"at_us\":1,\"event\":\"place\",\"place\":\"F>>#f$rank@0\",\"calls\":$((1000 / rank / rank)),\"jumps\":0}}"
    done > "$log"
    exit 0
fi
case "$1" in
    *Harness.som) iterations=$3; name=$2 ;;
    *Synthesized.som) iterations=$3; name=Synthesized$2 ;;
    *) echo hello
        [ -n "$stats" ] && echo "{{\"jit_compilations\":0,\"jit_threaded_units\":{for_greeting},\"jit_loops_recorded\":0}}" >&2
        exit 0 ;;
esac
case "$tier" in interp) work=1200 ;; tracing) work=400 ;; *) work=200 ;; esac
i=0
while [ $i -lt $iterations ]; do
    n=0; while [ $n -lt $((work * 10)) ]; do n=$((n + 1)); done
    {iteration}
    i=$((i + 1))
done
[ -n "$log" ] && for unit in 1 2 3 4 5 6 7 8 9 10 11 12; do
    echo '{{"at_us":5,"event":"threaded","place":"A","ops":9,"bytes":80,"merge_points":4,"shallow_ns":4000,"backend_ns":8000}}'
done > "$log"
echo "{{\"jit_ops_recorded\":10,\"jit_threaded_ops\":30}}" >&2
exit 0
"##
    );
    std::fs::write(&binary, script).expect("the stand-in");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).expect("it can be run");
    binary
}

fn evaluate(binary: &Path, out: &Path) -> Output {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.args(["evaluate", "--tiny", "--binary"]).arg(binary).arg("--out").arg(out);
    xtask.output().expect("the evaluation runs")
}

#[test]
fn a_report_is_made_and_a_second_call_measures_nothing_again() {
    let directory = directory("report");
    let binary = stand_in(&directory, "echo \"$name: iterations=1 runtime: ${work}us\"", 0);
    let out = directory.join("out");
    let output = evaluate(&binary, &out);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let text = |name: &str| std::fs::read_to_string(out.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));

    let figures: serde_json::Value = serde_json::from_str(&text("figures.json")).expect("figures");
    let names: Vec<&str> = figures.as_object().expect("an object").keys().map(String::as_str).collect();
    let expected = [
        "no_ic",
        "no_ic_no_handler_opt",
        "no_inlining",
        "short_runs",
        "threaded_peak",
        "threaded_us_per_bytecode",
        "two_level_peak",
        "warmup_cpu",
        "warmup_wall",
    ];
    assert_eq!(names, expected);
    // Wall time is what the program says itself.
    assert_eq!(figures["warmup_wall"], 0.5);
    assert_eq!(figures["threaded_us_per_bytecode"], 3.0);
    // Processor time is measured, so it is only roughly known.
    let threaded = figures["threaded_peak"].as_f64().expect("a ratio");
    assert!(threaded > 0.02 && threaded < 0.9, "{figures}");
    assert!(figures["short_runs"].as_f64().is_some_and(|ratio| ratio > 0.0), "{figures}");

    for part in ["Q1: warm-up", "Q2: peak performance", "Q3: threaded code", "Wilcoxon", "<svg", "R² = 0.99"] {
        assert!(text("report.html").contains(part), "{part}");
    }
    let report = text("report.md");
    let plots: Vec<&str> = report.split("](plots/").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(plots.len() >= 6, "{plots:?}");
    plots.iter().for_each(|plot| assert!(text(&format!("plots/{plot}")).starts_with("<svg"), "{plot}"));
    let rows = text("measurements.csv").lines().count();
    assert_eq!(rows, said.split(' ').next().and_then(|count| count.parse::<usize>().ok()).expect("a count") + 1);

    // Half of it is forgotten: just that is measured again.
    let state = text("measurements.jsonl");
    let lines: Vec<&str> = state.lines().collect();
    let half = lines.len() / 2;
    std::fs::write(out.join("measurements.jsonl"), lines[..half].join("\n") + "\n").expect("half of the state");
    let said = String::from_utf8_lossy(&evaluate(&binary, &out).stdout).into_owned();
    assert!(said.contains(&format!("{} of them measured before", half - 1)), "{said}");
    assert_eq!(text("measurements.jsonl").lines().count(), lines.len());
    let said = String::from_utf8_lossy(&evaluate(&binary, &out).stdout).into_owned();
    assert!(said.contains(&format!("{} of them measured before", lines.len() - 1)), "{said}");
}

#[test]
fn a_wrong_result_fails_the_evaluation_and_is_named() {
    let directory = directory("wrong");
    let binary = stand_in(&directory, "[ $tier = two-level ] && echo \"$name gave a wrong result\" && exit 1", 0);
    let output = evaluate(&binary, &directory.join("out"));
    assert!(!output.status.success());
    let report = std::fs::read_to_string(directory.join("out/report.md")).expect("a report");
    assert!(report.contains("went wrong") && report.contains("Queens gave a wrong result"), "{report}");
}

#[test]
fn a_greeting_that_compiles_fails_the_evaluation() {
    let directory = directory("greeting");
    let binary = stand_in(&directory, "echo \"$name: iterations=1 runtime: ${work}us\"", 2);
    let output = evaluate(&binary, &directory.join("out"));
    assert!(!output.status.success());
    let report = std::fs::read_to_string(directory.join("out/report.md")).expect("a report");
    assert!(report.contains("nothing may be compiled") && report.contains("jit_threaded_units is 2"), "{report}");
}
