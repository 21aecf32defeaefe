//! `cargo xtask COMMAND`: see `cargo xtask help`.

use std::process::{Command, ExitCode};
use xtask::{compare, evaluate, fuzz, heap, matrix, root, soak, tidy, twins};

const HELP: &str = "\
cargo xtask ci                      everything that CI does (.ci/run), step by step
cargo xtask tidy                    layering, lengths, headers, dead links, left-overs
cargo xtask bless                   rewrites expected text: read the diff like code
cargo xtask fuzz [NAME=VALUE ...]   random programs in every mode; goes on where it stopped
    programs=N   in all, for each language (100000 of each example, 50000 of 2SOM, a million mutated sources)
    chunk=N      in one test run (500; 20000 mutated sources)
    only=NAME    one language: a directory of examples/, som, or som-mutants
cargo xtask heap [NAME=VALUE ...]   random heap graphs, then allocation without end; goes on where it stopped
    graphs=N     in all, in each of three ways (1000000)
    chunk=N      in one test run (20000)
    churn=N      seconds (3600)
cargo xtask matrix [NAME=VALUE ...] all suites in each tier with each threshold, forced exits, collections that nobody needs, and
                                    compiling in the background or not; goes on where it stopped
    only=PART    only runs with this in their name, such as language or threaded/at-once
    ways=WAYS    all, or pairwise: so few that any two circumstances meet (all)
cargo xtask evaluate [OPTIONS]      how fast 2SOM's tiers are: a report; goes on where it stopped
    --quick      in some five minutes
    --out DIR    where (target/evaluation)
    --binary F   the binary, if it is not to be built
    --tune       puts the synthesized program together anew, and rebench.conf, and nothing else
cargo xtask compare [NAME=VALUE ...] 2SOM against another SOM virtual machine, on the programs of SOM_UPSTREAM
    reference='COMMAND OPTIONS'  the other, such as 'SOM++ -H64MB'
    rounds=N     processes of each program for first iterations (3)
    only=NAME    one program
    json=FILE    writes the figures there, too
    binary=F     the binary, if it is not to be built
cargo xtask soak [NAME=VALUE ...]   hot loops, made and abandoned; goes on where it stopped
    minutes=N    in all (10)
    chunk=N      seconds of one process (60)
cargo xtask twins                   compile time and code of 2SOM with twins and without, held against a budget";

/// Expected text, and the command that rewrites it.
const BLESSED: &[&[&str]] = &[
    &["test", "-p", "metajit", "--test", "filetests"],
    &["test", "-p", "metajit-macros", "--test", "ui"],
    &["test", "-p", "tla", "--test", "threaded"],
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.first().map(String::as_str) {
        Some("ci") => run(Command::new(root().join(".ci/run"))),
        Some("tidy") => report(&tidy::check(&root())),
        Some("bless") => BLESSED.iter().try_for_each(|args| {
            let mut cargo = Command::new("cargo");
            cargo.args(*args).env("METAJIT_BLESS", "1").env("TRYBUILD", "overwrite");
            run(cargo)
        }),
        Some("fuzz") => fuzz::Campaign::parse(&args[1..]).and_then(|campaign| campaign.run(&root())),
        Some("heap") => heap::Campaign::parse(&args[1..]).and_then(|campaign| campaign.run(&root())),
        Some("matrix") => matrix::Matrix::parse(&args[1..]).and_then(|matrix| matrix.run(&root())),
        Some("evaluate") => {
            evaluate::Evaluation::parse(&args[1..], &root()).and_then(|evaluation| evaluation.run(&root()))
        }
        Some("compare") => {
            let upstream = std::env::var_os("SOM_UPSTREAM").map(std::path::PathBuf::from);
            compare::Comparison::parse(&args[1..], upstream).and_then(|comparison| comparison.run(&root()))
        }
        Some("twins") => twins::run(&root()),
        Some("soak") => soak::Soak::parse(&args[1..]).and_then(|soak| soak.run(&root())),
        Some("help") | None => {
            println!("{HELP}");
            Ok(())
        }
        Some(other) => Err(format!("there is no command '{other}'\n{HELP}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn report(findings: &[String]) -> Result<(), String> {
    if findings.is_empty() { Ok(()) } else { Err(findings.join("\n")) }
}

fn run(mut command: Command) -> Result<(), String> {
    let status = command.current_dir(root()).status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}
