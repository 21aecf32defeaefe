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
        (&["--heap", "-1"], "'-1' is no size"),
        (&["--heap", "1.5G"], "'1.5G' is no size"),
        (&["--help=all"], "--help takes no value"),
        (&["--version=2"], "--version takes no value"),
        (&["--jit-log"], "--jit-log needs a file"),
        (&["--tier"], "--tier needs a tier"),
        (&["-d=1"], "there is no option -d=1"),
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
    let cases = [
        ("threshold=many", "the parameter threshold takes a number, not 'many'"),
        ("threshold=-1", "the parameter threshold takes a number, not '-1'"),
        ("tracing=2", "the parameter tracing is 0 or 1, not '2'"),
        ("tracer=best", "the tracer is generated or generic, not 'best'"),
    ];
    for (parameter, message) in cases {
        let outcome = call(&["--jit", parameter, "Quiet"], &directory);
        assert_eq!((outcome.status, outcome.out.as_str()), (Some(2), ""), "{outcome:?}");
        assert!(outcome.err.contains(message), "{outcome:?}");
    }
    let outcome = call(&["--jit-log", "nowhere/log", "Quiet"], &directory);
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(2), ""), "{outcome:?}");
    assert!(outcome.err.starts_with("2som: nowhere/log: "), "{outcome:?}");
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
    std::fs::create_dir_all(here.join("Folder.som")).expect("a directory");
    let places = "looked for Folder.som in nowhere (which does not exist), Heir.som (which is no directory), . (where Folder.som is a directory)";
    let outcome = call(&["-cp", "nowhere:Heir.som", "Folder"], &here);
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(1), ""), "{outcome:?}");
    assert_eq!(outcome.err, format!("error: there is no class 'Folder': {places}\n"));
    for name in ["", "-", "nowhere/NoSuchProgram", "Folder/"] {
        let outcome = call(&[name], &here);
        assert_eq!((outcome.status, outcome.out.as_str()), (Some(1), ""), "{name}: {outcome:?}");
        assert!(outcome.err.starts_with("error: there is no class '"), "{name}: {outcome:?}");
    }
}

#[test]
fn what_is_wrong_with_a_source_is_shown_where_it_is() {
    let here = program("Sources", &[]);
    let many = |piece: &dyn Fn(usize) -> String| (0..300).map(piece).collect::<Vec<_>>().join(" ");
    let very_many = "self a. ".repeat(70_000);
    let cases: &[(&str, Vec<u8>, &str, &str)] = &[
        (
            "Latin",
            b"Latin = (\n run = ( 'caf\xE9' println ) )".to_vec(),
            "Latin.som:2:14: error: this is no UTF-8",
            " run = ( 'caf\u{FFFD}' println ) )\n                 ^",
        ),
        ("Empty", Vec::new(), "Empty.som:1:1: error: expected the name of the class", "^"),
        ("Zero", b"Zero = ( \0 )".to_vec(), "Zero.som:1:10: error: the character '\\0'", "^"),
        (
            "Own",
            b"Own = Own ( )".to_vec(),
            "Own.som:1:7: error: Own can't be its own superclass",
            "    Own = Own ( )\n          ^",
        ),
        (
            "There",
            b"There = Back ( )".to_vec(),
            "Back.som:1:8: error: There can't be the superclass of Back, which is one of its own",
            "    Back = There ( )\n           ^",
        ),
        ("Twice", b"Twice = ( | a b a | )".to_vec(), "Twice.som:1:17: error: there is a field 'a' already", "^"),
        (
            "TwiceLocal",
            b"TwiceLocal = ( run = ( | a a | ) )".to_vec(),
            "TwiceLocal.som:1:28: error: there is a variable 'a' already",
            "^",
        ),
        (
            "TwiceArgument",
            b"TwiceArgument = ( a: x b: x = ( ) )".to_vec(),
            "TwiceArgument.som:1:27: error: there is a variable 'x' already",
            "^",
        ),
        (
            "TwiceInBlock",
            b"TwiceInBlock = ( run = ( [ :x :x | ] ) )".to_vec(),
            "TwiceInBlock.som:1:32: error: there is a variable 'x' already",
            "^",
        ),
        (
            "Arguments",
            format!("Arguments = ( {} = ( ) )", many(&|index| format!("a{index}: x{index}"))).into_bytes(),
            "has more than 254 arguments",
            "...\n                  ^",
        ),
        (
            "InBlock",
            format!("InBlock = ( run = ( ^[ {} | ] ) )", many(&|index| format!(":x{index}"))).into_bytes(),
            "InBlock.som:1:13: error: a block in the method run has more than 254 arguments",
            "...",
        ),
        (
            "Message",
            format!("Message = ( run = ( self {} ) )", many(&|index| format!("a{index}: 1"))).into_bytes(),
            "Message.som:1:13: error: the method run has a message with more than 255 arguments",
            "...",
        ),
        (
            "Sends",
            format!("Sends = ( run = ( {very_many} ) )").into_bytes(),
            "Sends.som:1:11: error: the method run has more than 65,535 ",
            "...",
        ),
        (
            "Deep",
            format!("Deep = ( run = ( {} ) )", "(".repeat(2000)).into_bytes(),
            "Deep.som:1:1018: error: this is nested more than 1000 deep",
            "    ...(((",
        ),
    ];
    std::fs::write(here.join("Back.som"), "Back = There ( )").expect("a class is written");
    for (class, source, message, shown) in cases {
        std::fs::write(here.join(format!("{class}.som")), source).expect("a class is written");
        let outcome = call(&[class], &here);
        assert_eq!((outcome.status, outcome.out.as_str()), (Some(1), ""), "{class}: {outcome:?}");
        assert!(outcome.err.contains(message) && outcome.err.contains(shown), "{class}: {outcome:?}");
        assert!(outcome.err.len() < 700, "{class}: {outcome:?}");
    }
}

#[test]
fn a_primitive_that_is_missing_is_named() {
    let here = program("Primitives", &[("Own", "run = ( self magic ) magic = primitive")]);
    let outcome = call(&["Own"], &here);
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    assert!(outcome.out.contains("this VM has no primitive Own>>#magic"), "{outcome:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_goes_nowhere_is_no_success() {
    use std::process::{Command, Stdio};
    let here = program(
        "Nowhere",
        &[("Few", "run = ( 1 println )"), ("Endless", "run = ( [ true ] whileTrue: [ 1 println ] )")],
    );
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device that is full");
    let command = |class: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_2som"));
        command.arg(class).current_dir(&here).stderr(Stdio::piped());
        command
    };
    let output = command("Few").stdout(full).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: the output can't be written: "));
    // A reader that goes away ends the program, without a word.
    let mut child = command("Endless").stdout(Stdio::piped()).spawn().expect("the binary starts");
    let mut byte = [0];
    std::io::Read::read_exact(&mut child.stdout.take().expect("a pipe"), &mut byte).expect("a byte of output");
    let output = child.wait_with_output().expect("the binary ends");
    assert_eq!((output.status.code(), output.stderr), (Some(141), Vec::new()));
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
