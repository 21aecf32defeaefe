//! The command line: options, statuses, and output that is never lost.

mod support;

use std::path::{Path, PathBuf};
use support::{Outcome, run, run_with_input};

/// A directory with classes in it, of which each has the body given.
fn program(name: &str, classes: &[(&str, &str)]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("command-{name}"));
    std::fs::create_dir_all(&directory).expect("a directory for the program");
    for (class, body) in classes {
        std::fs::write(directory.join(format!("{class}.som")), format!("{class} = ( {body} )"))
            .expect("a class is written");
    }
    directory
}

fn call(arguments: &[&str], directory: &Path) -> Outcome {
    run(&arguments.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>(), directory)
}

fn shell(input: &str) -> Outcome {
    run_with_input(&[], Path::new(env!("CARGO_TARGET_TMPDIR")), input)
}

/// The tiers that a program is run in where it matters.
const TIERS: [&[&str]; 3] =
    [&["--tier", "interp"], &["--tier", "tracing"], &["--jit", "threshold=2,function_threshold=2,trace_eagerness=1"]];

fn in_tiers(program: &[&str], directory: &Path, check: impl Fn(&[&str], Outcome)) {
    for tier in TIERS {
        let arguments: Vec<&str> = tier.iter().chain(program).copied().collect();
        check(tier, call(&arguments, directory));
    }
}

#[test]
fn wrong_options_are_refused_with_the_usage() {
    let here = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let cases: &[(&[&str], &str)] = &[
        (&["--nonsense"], "there is no option --nonsense"),
        (&["-x", "Hello"], "there is no option -x"),
        (&["-cp"], "-cp needs a list of directories"),
        (&["-cp", "a", "-cp", "b"], "the class path is given twice"),
        (&["--tier", "best"], "there is no tier 'best': there are interp, threaded, tracing, two-level"),
        (&["--jit", "threshold"], "'threshold' is no parameter"),
        (&["--jit", "threshold="], "'threshold=' is no parameter"),
        (&["--heap", "many"], "'many' is no size"),
        (&["--heap", "0"], "'0' is no size"),
        (&["--heap", "99999999999999999999G"], "is no size"),
        (&["--heap"], "--heap needs a size"),
        (&["--stats=xml", "Hello"], "--stats can't be 'xml'"),
    ];
    for (arguments, message) in cases {
        let outcome = call(arguments, here);
        assert_eq!(outcome.status, Some(2), "{arguments:?}: {outcome:?}");
        assert!(outcome.err.contains(message) && outcome.err.contains("usage: 2som"), "{arguments:?}: {outcome:?}");
        assert_eq!(outcome.out, "");
    }
}

#[test]
fn unknown_parameters_are_refused_by_name() {
    let directory = program("Parameters", &[("Quiet", "run = ( 'ran' println )")]);
    let outcome = call(&["--jit", "treshold=3", "Quiet"], &directory);
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(2), ""), "{outcome:?}");
    assert!(outcome.err.contains("treshold") && outcome.err.contains("trace_eagerness"), "{outcome:?}");
    let outcome = call(&["--jit", "threshold=many", "Quiet"], &directory);
    assert_eq!(outcome.status, Some(2), "{outcome:?}");
}

#[test]
#[cfg(feature = "jit")]
fn the_log_names_functions_and_a_profile_counts_their_calls() {
    let body =
        "run = ( 1 to: 30 do: [ :i | self twice: i ]. self stop ) twice: x = ( ^x + x ) stop = ( system exit: 3 )";
    let directory = program("Log", &[("Logged", body)]);
    let log = directory.join("log.jsonl");
    let outcome = call(&["--jit", "profile=1", "--jit-log", &log.display().to_string(), "Logged"], &directory);
    assert_eq!(outcome.status, Some(3), "{outcome:?}");
    let lines = std::fs::read_to_string(&log).expect("a log");
    for expected in [
        r#""place":"Logged>>#twice:@0","entries":0,"calls":30,"jumps":0}"#,
        r#""place":"Logged>>#stop@0","entries":0,"calls":1,"jumps":0}"#,
    ] {
        assert!(lines.contains(expected), "{lines}");
    }
    let jumps = lines.lines().filter(|line| line.contains("Logged>>#run@") && line.contains(r#""jumps":29}"#));
    assert_eq!(jumps.count(), 1, "{lines}");
}

#[test]
fn help_and_version_go_to_standard_output() {
    let here = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for option in ["-h", "--help"] {
        let outcome = call(&[option], here);
        assert_eq!(outcome.status, Some(0));
        assert!(outcome.out.starts_with("usage: 2som") && outcome.err.is_empty());
        for option in ["-cp", "-d", "--version", "--tier", "--jit", "--stats", "--jit-log", "--heap"] {
            assert!(outcome.out.contains(option), "{option}");
        }
    }
    let outcome = call(&["--version"], here);
    assert_eq!((outcome.status, outcome.out), (Some(0), format!("2som {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_program_is_named_by_class_or_path() {
    let directory =
        program("Naming", &[("Named", "run: args = ( args length println. (args at: 1) println. args last println )")]);
    let path = directory.join("Named").display().to_string();
    let file = directory.join("Named.som").display().to_string();
    let elsewhere = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, from) in
        [("Named", directory.as_path()), ("Named.som", &directory), (&path, elsewhere), (&file, elsewhere)]
    {
        let outcome = call(&[name, "-cp", "--tier"], from);
        assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "3\nNamed\n--tier\n"), "{name}: {outcome:?}");
    }
}

#[test]
fn the_class_path_is_searched_in_order() {
    let first = program("First", &[("Thing", "say = ( ^'first' )")]);
    let second = program("Second", &[("Thing", "say = ( ^'second' )"), ("Other", "say = ( ^'other' )")]);
    let main = program("Main", &[("Main", "run = ( Thing new say println. Other new say println )")]);
    let path = format!("{}:{}", first.display(), second.display());
    for option in ["-cp", "--classpath"] {
        let outcome = call(&[option, &path, "Main"], &main);
        assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "first\nother\n"), "{outcome:?}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let here = program("Missing", &[("Wrong", "run = ( "), ("Heir", "run = ( 1 println )")]);
    std::fs::write(here.join("Heir.som"), "Heir = Nowhere ( run = ( 1 println ) )").expect("a class is written");
    std::fs::write(here.join("Misnamed.som"), "Other = ( run = ( 1 println ) )").expect("a class is written");
    let outcome = call(&["NoSuchProgram"], &here);
    assert_eq!(outcome.status, Some(1));
    assert!(format!("{}{}", outcome.out, outcome.err).contains("NoSuchProgram"), "{outcome:?}");
    let outcome = call(&["Wrong"], &here);
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.err.contains("Wrong.som:1:"), "{outcome:?}");
    let outcome = call(&["Heir"], &here);
    assert_eq!(outcome.status, Some(1));
    assert!(format!("{}{}", outcome.out, outcome.err).contains("Nowhere"), "{outcome:?}");
    let outcome = call(&["Misnamed"], &here);
    assert_eq!(outcome.status, Some(1));
    assert!(format!("{}{}", outcome.out, outcome.err).contains("Misnamed"), "{outcome:?}");
    // A directory of that name is no class, and a class path may name what is not there.
    std::fs::create_dir_all(here.join("Folder.som")).expect("a directory");
    assert_eq!(call(&["Folder"], &here).status, Some(1));
    assert_eq!(call(&["-cp", "nowhere", "NoSuchProgram"], &here).status, Some(1));
}

#[test]
fn output_is_whole_however_a_program_ends() {
    let lines = "1 to: 30000 do: [ :i | i println ].";
    let directory = program(
        "Whole",
        &[
            ("Ends", &format!("run = ( {lines} )")),
            ("Exits", &format!("run = ( {lines} system exit: 7 )")),
            ("ExitsDeep", &format!("run = ( {lines} #(1 2) do: [ :e | #(1) do: [ :f | system exit: 263 ] ] )")),
            ("Fails", &format!("run = ( {lines} self error: 'over' )")),
            ("Misses", &format!("run = ( {lines} nil foo )")),
            ("Recurses", &format!("run = ( {lines} self endless ) endless = ( ^1 + self endless )")),
            (
                "Fills",
                &format!(
                    "run = ( | all | {lines} all := Vector new. [ true ] whileTrue: [ all append: (Array new: 1000) ] )"
                ),
            ),
            ("Returns", &format!("run = ( {lines} ^7 )")),
        ],
    );
    let cases = [
        ("Ends", 0, ""),
        ("Exits", 7, ""),
        ("ExitsDeep", 7, ""),
        ("Fails", 1, ""),
        ("Misses", 1, ""),
        ("Recurses", 1, "the stack is too deep"),
        ("Fills", 1, "out of memory"),
        ("Returns", 0, ""),
    ];
    let expected: String = (1..=30000).map(|i| format!("{i}\n")).collect();
    for (class, status, message) in cases {
        // Only the one that fills the heap is to find it small.
        let heap = if class == "Fills" { "64M" } else { "4G" };
        in_tiers(&["--heap", heap, class], &directory, |tier, outcome| {
            assert_eq!(outcome.status, Some(status), "{class} {tier:?}: {}", outcome.err);
            assert!(outcome.out.starts_with(&expected), "{class} {tier:?}: {} bytes of output", outcome.out.len());
            assert!(outcome.err.contains(message), "{class} {tier:?}: {}", outcome.err);
        });
    }
}

#[test]
fn endless_recursion_names_methods_and_lines() {
    let directory = program(
        "Endless",
        &[("Endless", "run = (\n self a: 1 )\n a: n = (\n ^(self b: n + 1) + 1 )\n b: n = (\n ^self a: n )")],
    );
    in_tiers(&["Endless"], &directory, |tier, outcome| {
        assert_eq!(outcome.status, Some(1), "{tier:?}");
        for part in [
            "the stack is too deep",
            "Endless>>#a: (",
            "Endless.som:4)",
            "Endless>>#b: (",
            " more ...",
            "Endless>>#run (",
        ] {
            assert!(outcome.err.contains(part), "{tier:?}: {part} is not in {}", outcome.err);
        }
    });
}

#[test]
fn figures_are_printed_on_request() {
    let directory = program(
        "Figures",
        &[("Busy", "run = ( | sum | sum := 0. 1 to: 10000 do: [ :i | sum := sum + i ]. sum println )")],
    );
    let outcome = call(&["--stats=json", "--jit", "sync=1", "Busy"], &directory);
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "50005000\n"));
    let text = outcome.err.trim();
    assert!(text.starts_with('{') && text.ends_with('}') && text.lines().count() == 1, "{text}");
    // Names and whole numbers, each name once.
    let mut names: Vec<&str> = text[1..text.len() - 1]
        .split(',')
        .map(|field| {
            let (name, figure) = field.split_once(':').expect("a name and a figure");
            assert!(figure.parse::<u64>().is_ok(), "{field}");
            name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).expect("a quoted name")
        })
        .collect();
    for name in
        ["run_us", "heap_allocated", "heap_used", "gc_minor", "gc_pause_us", "jit_compilations", "jit_loops_recorded"]
    {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    let outcome = call(&["--stats", "Busy"], &directory);
    assert!(outcome.err.lines().any(|line| line.starts_with("heap_used ")), "{}", outcome.err);
    // Figures come after an error, too.
    let outcome = call(&["--stats=json", "NoSuchProgram"], &directory);
    assert!(outcome.status == Some(1) && outcome.err.contains("\"run_us\":"), "{outcome:?}");
}

#[test]
fn code_is_shown_on_request() {
    let directory = program("Shown", &[("Shown", "run = ( 42 println )")]);
    let outcome = call(&["-d", "Shown"], &directory);
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "42\n"));
    assert!(outcome.err.contains("Shown>>#run"), "{}", &outcome.err[outcome.err.len().saturating_sub(300)..]);
}

#[test]
fn the_shell_prints_values_and_keeps_variables() {
    let outcome = shell("x := 3 + 4\nx * 2\nit + 1\n\n'a' + 'b'\n");
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "7\n14\n15\nab\n"), "{outcome:?}");
}

#[test]
fn the_shell_reads_statements_of_several_lines() {
    let outcome =
        shell("#(1 2 3)\n  inject: 0 into: [ :a :b |\n  a + b\n]\n'two\nlines' length\n[ :x |\n x + 1\n ] value: 4\n");
    assert_eq!(outcome.status, Some(0));
    assert!(outcome.out.contains("9\n5\n"), "{outcome:?}");
}

#[test]
fn the_shell_goes_on_after_errors_and_ends_with_exit() {
    let outcome = shell("1 foo\n1 +\n)\n\n'after' length\nsystem exit: 5\n'never' println\n");
    assert_eq!(outcome.status, Some(5), "{outcome:?}");
    assert!(
        outcome.out.contains("does not understand") && outcome.out.contains("5\n") && !outcome.out.contains("never"),
        "{outcome:?}"
    );
    assert!(outcome.err.contains("error: "), "{outcome:?}");
}

#[test]
fn the_shell_runs_nothing_of_an_unfinished_end() {
    let outcome = shell("1 println\n[ :x |");
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    assert!(outcome.out.starts_with("1\n"), "{outcome:?}");
}
