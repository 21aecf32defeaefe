//! Upstream's suites, run when `SOM_UPSTREAM` names a checkout of SOM-st/SOM.

mod support;

use std::path::Path;
use support::{assert_none_failed, expectation, run, som_files, upstream};

fn class_path(root: &Path, directories: &[&str]) -> String {
    directories.iter().map(|directory| root.join(directory).display().to_string()).collect::<Vec<_>>().join(":")
}

fn arguments(class_path: String, program: &[&str]) -> Vec<String> {
    let options = ["-cp".to_owned(), class_path];
    options.into_iter().chain(program.iter().map(|&argument| argument.to_owned())).collect()
}

#[test]
fn the_test_suite_passes() {
    let Some(root) = upstream() else { return };
    let command = arguments(class_path(&root, &["Smalltalk"]), &["TestSuite/TestHarness.som"]);
    let outcome = run(&command, &root);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    for line in ["Total number of tests:           221", "Number of successful tests:      221"] {
        assert!(outcome.out.contains(line), "{}", outcome.out);
    }
}

/// Class, class-side method, and its answer as it is printed. The answers are facts about the tests.
const BASIC: &[(&str, &[(&str, &str)])] = &[
    (
        "Arrays",
        &[
            ("testEmptyToInts", "3"),
            ("testPutAllInt", "5"),
            ("testPutAllNil", "Nil"),
            ("testPutAllBlock", "3"),
            ("testNewWithAll", "1"),
        ],
    ),
    ("BinaryOperation", &[("test", "11")]),
    (
        "BlockInlining",
        &[
            ("testNoInlining", "1"),
            ("testOneLevelInlining", "1"),
            ("testOneLevelInliningWithLocalShadowTrue", "2"),
            ("testOneLevelInliningWithLocalShadowFalse", "1"),
            ("testShadowDoesntStoreWrongLocal", "33"),
            ("testShadowDoesntReadUnrelated", "Nil"),
            ("testDeepNestedInlinedIfTrue", "3"),
            ("testDeepNestedInlinedIfFalse", "42"),
            ("testBlockNestedInIfTrue", "2"),
            ("testBlockNestedInIfFalse", "42"),
            ("testStackDisciplineTrue", "1"),
            ("testStackDisciplineFalse", "2"),
            ("testDeepNestedBlocksInInlinedIfTrue", "5"),
            ("testDeepNestedBlocksInInlinedIfFalse", "43"),
            ("testDeepDeepNestedTrue", "9"),
            ("testDeepDeepNestedFalse", "43"),
            ("testToDoNestDoNestIfTrue", "2"),
        ],
    ),
    (
        "Blocks",
        &[
            ("testArg1", "42"),
            ("testArg2", "77"),
            ("testArgAndLocal", "8"),
            ("testArgAndContext", "8"),
            ("testEmptyZeroArg", "1"),
            ("testEmptyOneArg", "1"),
            ("testEmptyTwoArg", "1"),
        ],
    ),
    (
        "CompilerSimplification",
        &[
            ("testReturnConstantSymbol", "#constant"),
            ("testReturnConstantInt", "42"),
            ("testReturnSelf", "CompilerSimplification"),
            ("testReturnSelfImplicitly", "CompilerSimplification"),
            ("testReturnArgumentN", "55"),
            ("testReturnArgumentA", "44"),
            ("testSetField", "#foo"),
            ("testGetField", "40"),
        ],
    ),
    ("Hash", &[("testHash", "444")]),
    (
        "IfTrueIfFalse",
        &[
            ("test", "42"),
            ("test2", "33"),
            ("test3", "4"),
            ("testIfTrueTrueResult", "Integer"),
            ("testIfTrueFalseResult", "Nil"),
            ("testIfFalseTrueResult", "Nil"),
            ("testIfFalseFalseResult", "Integer"),
        ],
    ),
    ("MethodCall", &[("test", "42"), ("test2", "42")]),
    ("NonLocalReturn", &[("test1", "42"), ("test2", "43"), ("test3", "3"), ("test4", "42"), ("test5", "22")]),
    ("NonLocalVars", &[("testWriteDifferentTypes", "3.75")]),
    ("ObjectCreation", &[("test", "1000000")]),
    (
        "Regressions",
        &[
            ("testSymbolEquality", "1"),
            ("testSymbolReferenceEquality", "1"),
            ("testUninitializedLocal", "1"),
            ("testUninitializedLocalInBlock", "1"),
        ],
    ),
    (
        "Return",
        &[
            ("testReturnSelf", "Return"),
            ("testReturnSelfImplicitly", "Return"),
            ("testNoReturnReturnsSelf", "Return"),
            ("testBlockReturnsImplicitlyLastValue", "4"),
        ],
    ),
];

/// Runs the basic tests, each so many times, with a driver written for it.
fn basic_tests(root: &Path, times: usize, name: &str) {
    let mut calls = String::new();
    let mut expected = Vec::new();
    for (class, tests) in BASIC {
        for (test, answer) in *tests {
            calls.push_str(&format!(
                "{times} timesRepeat: [ answer := {class} {test} ]. '{class} {test} ' print. answer println.\n"
            ));
            expected.push(format!("{class} {test} {answer}"));
        }
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = format!("{name} = ( run = ( | answer |\n{calls}) )");
    std::fs::write(directory.join(format!("{name}.som")), source).expect("the driver is written");
    let path = class_path(root, &["Smalltalk", "TestSuite/BasicInterpreterTests"]);
    let outcome = run(&arguments(path, &[name]), directory);
    let actual: Vec<&str> = outcome.out.lines().collect();
    assert_eq!(actual, expected, "{outcome:?}");
    // The class of the last two is no program: `self` and `super` can't be assigned to.
    let path = class_path(root, &["Smalltalk", "TestSuite/BasicInterpreterTests"]);
    let refused = run(&arguments(path, &["Self"]), directory);
    assert_eq!(refused.status, Some(1));
    assert!(refused.err.contains("can't be assigned to"), "{refused:?}");
    assert_eq!(expected.len() + 2, 65);
}

#[test]
fn the_basic_interpreter_tests_pass() {
    let Some(root) = upstream() else { return };
    basic_tests(&root, 1, "BasicOnce");
}

#[test]
fn the_basic_interpreter_tests_pass_hot() {
    let Some(root) = upstream() else { return };
    basic_tests(&root, 30, "BasicHot");
}

/// Integration tests that this VM does not pass, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("vector_core_atput_err", "expects success, but `error:` ends a program with status 1"),
    ("vector_core_err", "expects success, but `error:` ends a program with status 1"),
    ("arbint_double_div_err", "prescribes the text of an error"),
    ("arbint_double_div_zero_err", "division by zero with // is an infinity here"),
    ("arbint_modulus_err", "prescribes the text of an error"),
    ("array_at_idx0_err", "prescribes the text of an error"),
    ("array_at_idx2_err", "prescribes the text of an error"),
    ("array_at_idx_err", "prescribes the text of an error"),
    ("array_at_negative_idx_err", "prescribes the text of an error"),
    ("array_at_put_idx0_err", "prescribes the text of an error"),
    ("array_at_put_idx2_err", "prescribes the text of an error"),
    ("call2", "prescribes the text of an error"),
    ("double11", "prescribes the text of an error"),
    ("double13", "prescribes the text of an error"),
    ("double3", "overflow is an infinity here"),
    ("double5", "overflow is an infinity here"),
    ("double6", "overflow is an infinity here"),
    ("double7", "overflow is an infinity here"),
    ("double8", "prescribes the text of an error"),
    ("double9", "prescribes the text of an error"),
    ("double_double_div_err", "prescribes the text of an error"),
    ("double_double_div_zero_err1", "division by zero with // is an infinity here"),
    ("double_double_div_zero_err2", "division by zero with // is an infinity here"),
    ("double_double_div_zero_err3", "division by zero with // is an infinity here"),
    ("double_double_div_zero_err4", "division by zero with // is an infinity here"),
    ("double_modulus_err", "prescribes the text of an error"),
    ("exit_double", "prescribes the text of an error"),
    ("exit_int_too_big", "prescribes the text of an error"),
    ("exit_string", "prescribes the text of an error"),
    ("fromstring_double_err", "what is no Double is NaN, as the library says"),
    ("fromstring_err", "prescribes the text of an error"),
    ("inst_var_at_bad_idx", "prescribes the text of an error"),
    ("inst_var_at_put_bad_idx", "prescribes the text of an error"),
    ("instance_fields_overlap/test", "a field may hide an inherited one here"),
    ("instance_fields_overlap2", "prescribes the text of an error"),
    ("int10", "prescribes the text of an error"),
    ("int11", "prescribes the text of an error"),
    ("int12", "prescribes the text of an error"),
    ("int13", "prescribes the text of an error"),
    ("int14", "prescribes the text of an error"),
    ("int15", "prescribes the text of an error"),
    ("int16", "prescribes the text of an error"),
    ("int17", "prescribes the text of an error"),
    ("int20", "prescribes the text of an error"),
    ("int21", "prescribes the text of an error"),
    ("int22", "prescribes the text of an error"),
    ("int23", "prescribes the text of an error"),
    ("int25", "prescribes the text of an error"),
    ("int27", "the square root of a negative Integer is NaN here"),
    ("int28", "the square root of a negative Integer is NaN here"),
    ("int31", "prescribes the text of an error"),
    ("int5", "prescribes the text of an error"),
    ("int8", "prescribes the text of an error"),
    ("int9", "prescribes the text of an error"),
    ("int_double_div_err", "prescribes the text of an error"),
    ("int_double_div_zero_err", "division by zero with // is an infinity here"),
    ("int_modulus_err", "prescribes the text of an error"),
    ("load_string", "prescribes the text of an error"),
    ("mutate_methods", "changing the array of methods changes no class here"),
    ("mutate_superclass_method/test", "changing the array of methods changes no class here"),
    ("nested_backtrace1", "prescribes the form of a stack trace"),
    ("nested_backtrace2", "prescribes the form of a stack trace"),
    ("obj2", "a Double and an Integer are not identical here"),
    ("perform_string", "prescribes the text of an error"),
    ("perform_witharguments_wrong", "prescribes the text of an error"),
    ("remainder_zero", "prescribes the text of an error"),
    ("shift_right_too_big", "its class has another name"),
    ("shift_right_type_err", "prescribes the text of an error"),
    ("str_escape_unknown", "prescribes the text of an error"),
    ("system2", "prescribes the text of an error"),
    ("system_global", "nil, true and false are literals here"),
    ("system_global_lookup_string", "prescribes the text of an error"),
    ("system_global_put_string", "prescribes the text of an error"),
    ("test_literals_limit_1", "prescribes another VM's limit"),
    ("test_literals_limit_2", "prescribes another VM's limit"),
    ("unknown_field_write", "prescribes the text of an error"),
];

#[test]
fn the_integration_tests_pass() {
    let Some(root) = upstream() else { return };
    let tests = root.join("IntegrationTests/Tests");
    // One test loads a file by a path from the directory above a checkout named core-lib.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("integration");
    std::fs::create_dir_all(&directory).expect("a working directory");
    #[cfg(unix)]
    if !directory.join("core-lib").exists() {
        std::os::unix::fs::symlink(&root, directory.join("core-lib")).expect("a link to the checkout");
    }
    let (mut failures, mut count, mut passed) = (Vec::new(), 0, 0);
    for file in som_files(&tests) {
        let source = std::fs::read_to_string(&file).unwrap_or_default();
        let Some(expectation) = expectation(&source) else {
            continue;
        };
        let name = file.strip_prefix(&tests).unwrap_or(&file).with_extension("");
        let name = name.display().to_string();
        count += 1;
        let mut path = class_path(&root, &["Smalltalk"]);
        if name.starts_with("vector_awfy") {
            path = class_path(&root, &["Examples/AreWeFastYet/Core", "Smalltalk"]);
        }
        let outcome = run(&arguments(path, &[&file.display().to_string()]), &directory);
        let otherwise = OTHERWISE.iter().find(|(test, _)| *test == name);
        match (expectation.is_met_by(&outcome), otherwise) {
            (true, None) => passed += 1,
            (true, Some(_)) => failures.push(format!("{name} passes: take it off the list")),
            (false, None) => failures.push(format!("{name}: {outcome:?}")),
            // Even so it must not crash.
            (false, Some(_)) => {
                if matches!(outcome.status, None | Some(101)) {
                    failures.push(format!("{name} crashes: {outcome:?}"));
                }
            }
        }
    }
    println!("{passed} of {count} integration tests pass; {} have reasons not to", OTHERWISE.len());
    assert_none_failed(&failures, count);
}

#[test]
fn som_in_som_passes_its_tests() {
    let Some(root) = upstream() else { return };
    let path = class_path(
        &root,
        &[
            "Smalltalk",
            "TestSuite",
            "SomSom/tests",
            "SomSom/src/vm",
            "SomSom/src/vmobjects",
            "SomSom/src/interpreter",
            "SomSom/src/compiler",
            "SomSom/src/primitives",
        ],
    );
    let outcome = run(&arguments(path, &["SomSom/tests/SomSomTests.som"]), &root);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    assert!(outcome.out.contains("Number of successful tests:      116"), "{}", outcome.out);
}

#[test]
fn are_we_fast_yet_verifies_its_results() {
    let Some(root) = upstream() else { return };
    let path = class_path(
        &root,
        &[
            "Examples/AreWeFastYet/Core",
            "Examples/AreWeFastYet/CD",
            "Examples/AreWeFastYet/DeltaBlue",
            "Examples/AreWeFastYet/Havlak",
            "Examples/AreWeFastYet/Json",
            "Examples/AreWeFastYet/NBody",
            "Examples/AreWeFastYet/Richards",
            "Smalltalk",
        ],
    );
    let programs: &[(&str, &str)] = &[
        ("Bounce", "1"),
        ("CD", "10"),
        ("DeltaBlue", "1"),
        ("Havlak", "1"),
        ("Json", "1"),
        ("List", "1"),
        ("Mandelbrot", "1"),
        ("NBody", "1"),
        ("Permute", "1"),
        ("Queens", "1"),
        ("Richards", "1"),
        ("Sieve", "1"),
        ("Storage", "1"),
        ("Towers", "1"),
    ];
    check_programs(&root, &path, "Examples/AreWeFastYet/Harness.som", programs);
}

#[test]
fn the_benchmarks_verify_their_results() {
    let Some(root) = upstream() else { return };
    let base = "Examples/Benchmarks";
    let directories: Vec<String> = [
        "",
        "/DeltaBlue",
        "/GraphSearch",
        "/Json",
        "/NBody",
        "/Richards",
        "/Interpreter",
        "/LanguageFeatures",
        "/GCBenchmark",
        "/TestSuite",
    ]
    .iter()
    .map(|part| format!("{base}{part}"))
    .chain(
        [
            "Smalltalk",
            "TestSuite",
            "SomSom/src/vm",
            "SomSom/src/vmobjects",
            "SomSom/src/interpreter",
            "SomSom/src/compiler",
            "SomSom/src/primitives",
        ]
        .map(str::to_owned),
    )
    .collect();
    let directories: Vec<&str> = directories.iter().map(String::as_str).collect();
    let path = class_path(&root, &directories);
    let once = [
        "All",
        "Bounce",
        "BubbleSort",
        "DeltaBlue",
        "Dispatch",
        "Fannkuch",
        "Fibonacci",
        "FieldLoop",
        "GraphSearch",
        "IntegerLoop",
        "Json",
        "Knapsack",
        "List",
        "Loop",
        "Mandelbrot",
        "NBody",
        "Permute",
        "Queens",
        "QuickSort",
        "Recurse",
        "Richards",
        "Sieve",
        "SomInit",
        "SomParse",
        "Storage",
        "Sum",
        "Test",
        "Towers",
        "TreeSort",
        "VectorBenchmark",
        "WhileLoop",
    ];
    let mut programs: Vec<(&str, &str)> = once.iter().map(|name| (*name, "1")).collect();
    programs.push(("PageRank", "2"));
    check_programs(&root, &path, "Examples/Benchmarks/BenchmarkHarness.som", &programs);
}

fn check_programs(root: &Path, path: &str, harness: &str, programs: &[(&str, &str)]) {
    let mut failures = Vec::new();
    for (program, inner) in programs {
        let outcome = run(&arguments(path.to_owned(), &[harness, program, "1", inner]), root);
        if outcome.status != Some(0) {
            failures.push(format!("{program}: {outcome:?}"));
        }
    }
    assert_none_failed(&failures, programs.len());
}
