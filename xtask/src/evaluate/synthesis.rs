//! The synthesized programs: twenty benchmarks in one process, in twenty orders, after appendix A of the ECOOP paper.
//!
//! **Problem.** SOM has no programs of a hundred thousand lines, and small benchmarks say little of warm-up: each has one hot loop. In large
//! programs the logarithm of a method's number of calls falls along a line with the logarithm of its rank.
//!
//! **Approach.** Benchmarks are run one after the other, each with an inner number of its own, and these are chosen so that the calls of all
//! functions together fall along such a line: R² near [`TARGET`]. The plain interpreter counts the calls (parameter `profile`);
//! counts don't depend on the machine, so neither does the choice. What is chosen is written down as a SOM program,
//! `crates/som/benchmarks/Synthesized.som`, by `cargo xtask evaluate --tune`, so that all evaluations run the same; each profiles it and
//! plots its line.
//!
//! The search is simulated annealing with a seed of its own; besides the line it wants a certain size, and that no part is nearly all.

use super::statistics::{Line, fit};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The share of the variance that the line is to explain.
pub const TARGET: f64 = 0.98;

/// Calls and jumps backwards of one iteration: some tenths of a second of interpretation.
const SIZE: std::ops::Range<u64> = 4_000_000..7_000_000;

/// How many orders there are.
pub const ORDERS: u32 = 20;

/// Where the program is.
pub const FILE: &str = "crates/som/benchmarks/Synthesized.som";

/// A part of the program: a benchmark, or the heart of one with a size of its own.
struct Part {
    name: &'static str,
    /// The expression that runs it and answers whether it went right; `{n}` stands for its number, `{r}` for what is to come out.
    expression: &'static str,
    numbers: Numbers,
    result: fn(u32) -> u64,
}

/// The numbers that a part may have.
enum Numbers {
    /// Repetitions: what some of them count tells what others would.
    Repetitions,
    /// Sizes.
    Of(&'static [u32]),
}

const fn repeated(name: &'static str, expression: &'static str) -> Part {
    Part { name, expression, numbers: Numbers::Repetitions, result: u64_from }
}

const fn sized(name: &'static str, expression: &'static str, sizes: &'static [u32], result: fn(u32) -> u64) -> Part {
    Part { name, expression, numbers: Numbers::Of(sizes), result }
}

const PARTS: [Part; ORDERS as usize] = [
    repeated("Richards", "Richards new times: {n}"),
    sized("DeltaBlue", "DeltaBlue new times: {n}", &[1, 2, 5, 10, 20, 50, 100, 200], u64_from),
    sized(
        "Json",
        "(JsonReader over: '[' + (JsonDocument itemsFrom: 1 to: {n}) + ']') read size = {n}",
        &STEPS,
        u64_from,
    ),
    sized("CD", "CD new times: {n}", &[1, 2, 10], u64_from),
    sized("NBody", "NBody new times: {n}", &[1, 10, 100, 1000], u64_from),
    repeated("Bounce", "Bounce new times: {n}"),
    repeated("List", "List new times: {n}"),
    sized("Permute", "(Permute new calls: {n}) = {r}", &[1, 2, 3, 4, 5, 6, 7, 8], permutations),
    repeated("Queens", "Queens new times: {n}"),
    sized("Sieve", "(Sieve new upTo: {n}) = {r}", &[10, 100, 1000, 5000, 20000], primes),
    sized("Storage", "(Storage new nodes: {n}) = {r}", &[1, 2, 3, 4, 5, 6, 7, 8], |n| (4_u64.pow(n) - 1) / 3),
    sized("Towers", "(Towers new moves: {n}) = {r}", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14], |n| {
        (1 << n) - 1
    }),
    sized("Fannkuch", "(Fannkuch new flips: {n}) = {r}", &[2, 3, 4, 5, 6, 7], |n| {
        [0, 0, 1, 2, 4, 7, 10, 16][n as usize]
    }),
    repeated("PageRank", "PageRank new times: {n}"),
    sized("Recurse", "(Recurse new down: {n}) = {n}", &[1, 10, 100, 500, 1000], u64_from),
    sized("BubbleSort", "BubbleSort new sorts: {n}", &STEPS, u64_from),
    sized("QuickSort", "QuickSort new sorts: {n}", &STEPS, u64_from),
    sized("TreeSort", "TreeSort new sorts: {n}", &STEPS, u64_from),
    sized(
        "Fibonacci",
        "(Fibonacci new fib: {n}) = {r}",
        &[1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30],
        fibonacci,
    ),
    repeated("Dispatch", "Dispatch new times: {n}"),
];

/// Repetitions and sizes of parts that take any.
const STEPS: [u32; 18] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024];

fn u64_from(n: u32) -> u64 {
    u64::from(n)
}

fn permutations(n: u32) -> u64 {
    if n == 0 { 1 } else { 1 + permutations(n - 1) * (u64::from(n) + 1) }
}

fn primes(end: u32) -> u64 {
    (2..=end).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).count() as u64
}

fn fibonacci(n: u32) -> u64 {
    (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0
}

impl Part {
    /// The expression with this number.
    fn with(&self, number: u32) -> String {
        self.expression.replace("{n}", &number.to_string()).replace("{r}", &(self.result)(number).to_string())
    }
}

/// How often functions were called and jumped back to, by name.
pub type Counts = BTreeMap<String, [u64; 2]>;

/// Counts what a program calls.
///
/// # Errors
/// If it can't be run, or goes wrong.
pub fn profile(binary: &Path, root: &Path, log: &Path, arguments: &[String]) -> Result<Counts, String> {
    let mut command = Command::new(binary);
    command.args(["--jit", "profile=1", "--jit-log"]).arg(log);
    command.args(["-cp", "crates/som/benchmarks"]).args(arguments);
    let output = command.current_dir(root).stdin(Stdio::null()).output().map_err(|error| format!("{error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stdout)));
    }
    let text = std::fs::read_to_string(log).map_err(|error| format!("{}: {error}", log.display()))?;
    Ok(read_profile(&text))
}

/// The places of a log, those of one function together.
fn read_profile(log: &str) -> Counts {
    let mut counts = Counts::new();
    for line in log.lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        let (Some(place), Some(calls)) = (value["place"].as_str(), value["calls"].as_u64()) else { continue };
        let function = place.rsplit_once('@').map_or(place, |(function, _)| function);
        let count = counts.entry(function.to_owned()).or_default();
        count[0] += calls;
        count[1] += value["jumps"].as_u64().unwrap_or(0);
    }
    counts
}

/// The calls of functions that were called at all, the most first.
pub fn ranked(counts: &Counts) -> Vec<u64> {
    let mut calls: Vec<u64> = counts.values().map(|count| count[0]).filter(|&calls| calls > 0).collect();
    calls.sort_unstable_by_key(|&calls| std::cmp::Reverse(calls));
    calls
}

/// The logarithms of rank and calls.
pub fn points(calls: &[u64]) -> Vec<(f64, f64)> {
    calls.iter().enumerate().map(|(index, &calls)| (((index + 1) as f64).log10(), (calls as f64).log10())).collect()
}

/// The line through them.
pub fn line(calls: &[u64]) -> Line {
    fit(&points(calls))
}

/// What a part counts for each of its numbers.
struct Choices {
    numbers: Vec<u32>,
    counts: Vec<Counts>,
}

/// The calls of a choice by the number of the function, and all of its calls and jumps together.
type Choice = (Vec<(usize, u64)>, u64);

/// Finds the numbers of all parts.
fn choose(parts: &[Choices], size: std::ops::Range<u64>) -> Vec<usize> {
    let mut names: Vec<&String> = parts.iter().flat_map(|part| part.counts.iter().flat_map(BTreeMap::keys)).collect();
    names.sort_unstable();
    names.dedup();
    let number = |name: &String| names.binary_search(&name).expect("all names are there");
    // Calls by function, and everything together, for each part and choice.
    let table: Vec<Vec<Choice>> = parts
        .iter()
        .map(|part| {
            let calls = |counts: &Counts| counts.iter().map(|(name, count)| (number(name), count[0])).collect();
            let all = |counts: &Counts| counts.values().flatten().sum();
            part.counts.iter().map(|counts| (calls(counts), all(counts))).collect()
        })
        .collect();
    // How far this is from what is wanted: the line, the size, and that no part is nearly everything.
    let distance = |chosen: &[usize]| {
        let mut calls = vec![0; names.len()];
        let (mut all, mut largest) = (0, 0);
        for (part, &choice) in table.iter().zip(chosen) {
            part[choice].0.iter().for_each(|&(function, count)| calls[function] += count);
            all += part[choice].1;
            largest = largest.max(part[choice].1);
        }
        calls.retain(|&calls| calls > 0);
        calls.sort_unstable_by_key(|&calls| std::cmp::Reverse(calls));
        let outside = if all < size.start { size.start - all } else { all.saturating_sub(size.end) };
        let off = ((line(&calls).r2 - TARGET).abs() - TOLERANCE).max(0.0);
        off + outside as f64 / size.end as f64 + UNEVENNESS * largest as f64 / all.max(1) as f64
    };
    // Simulated annealing: changes for the worse are taken less and less.
    let mut random = Random(1);
    let mut chosen: Vec<usize> = table.iter().map(|part| random.below(part.len())).collect();
    let mut here = distance(&chosen);
    let mut best = (here, chosen.clone());
    for step in 0..STEPS_OF_SEARCH {
        let heat = 0.02 * (1.0 - step as f64 / STEPS_OF_SEARCH as f64) + 1e-6;
        let part = random.below(table.len());
        let was = std::mem::replace(&mut chosen[part], random.below(table[part].len()));
        let there = distance(&chosen);
        if there <= here || random.below(1 << 30) as f64 / f64::from(1 << 30) < ((here - there) / heat).exp() {
            here = there;
        } else {
            chosen[part] = was;
        }
        if here < best.0 {
            best = (here, chosen.clone());
        }
    }
    best.1
}

/// Tries of the search: a second of it.
const STEPS_OF_SEARCH: u32 = 40_000;

/// How near to [`TARGET`] is near enough.
const TOLERANCE: f64 = 0.003;

/// What it is worth that the largest part is a small one, against the line.
const UNEVENNESS: f64 = 0.05;

/// SplitMix64: the same numbers every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// Chooses the numbers and writes the program.
///
/// # Errors
/// If a benchmark can't be run, or the program can't be written.
pub fn tune(binary: &Path, root: &Path, scratch: &Path) -> Result<(), String> {
    let log = scratch.join("profile.jsonl");
    let file = scratch.join("Part.som");
    let mut parts = Vec::new();
    for part in &PARTS {
        println!("profiling {}", part.name);
        let count = |number: u32| {
            let text = format!("Part = ( run = ( ({}) ifFalse: [ self error: 'wrong' ] ) )", part.with(number));
            std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
            profile(binary, root, &log, &[file.display().to_string()]).map(|mut counts| {
                counts.retain(|name, _| !name.starts_with("Part>>") && !name.starts_with("System>>"));
                counts
            })
        };
        let (numbers, counts) = match part.numbers {
            Numbers::Of(sizes) => (sizes.to_vec(), sizes.iter().map(|&size| count(size)).collect::<Result<_, _>>()?),
            Numbers::Repetitions => {
                let (one, two) = (count(1)?, count(2)?);
                (STEPS.to_vec(), STEPS.iter().map(|&times| extended(&one, &two, times)).collect())
            }
        };
        parts.push(Choices { numbers, counts });
    }
    let chosen = choose(&parts, SIZE);
    let numbers: Vec<u32> = parts.iter().zip(chosen).map(|(choices, at)| choices.numbers[at]).collect();
    std::fs::write(root.join(FILE), program(&numbers)).map_err(|error| format!("{FILE}: {error}"))?;
    let arguments = [FILE, "1", "1"].map(str::to_owned);
    let calls = ranked(&profile(binary, root, &log, &arguments)?);
    let line = line(&calls);
    println!("{FILE}: {} functions are called, R² is {:.4}, the slope {:.2}", calls.len(), line.r2, line.slope);
    Ok(())
}

/// What so many repetitions count, if one and two count this.
fn extended(one: &Counts, two: &Counts, repetitions: u32) -> Counts {
    let at = |counts: &Counts, name: &String| counts.get(name).copied().unwrap_or_default();
    let more = u64::from(repetitions) - 1;
    two.keys()
        .chain(one.keys())
        .map(|name| {
            let (one, two) = (at(one, name), at(two, name));
            (name.clone(), [0, 1].map(|kind| one[kind] + more * two[kind].saturating_sub(one[kind])))
        })
        .collect()
}

/// The orders of so many parts: the first as they are, the others shuffled, always the same.
fn orders(parts: usize) -> Vec<Vec<usize>> {
    let mut random = Random(20);
    (0..ORDERS)
        .map(|number| {
            let mut order: Vec<usize> = (0..parts).collect();
            if number > 0 {
                (1..parts).rev().for_each(|last| order.swap(last, random.below(last + 1)));
            }
            order
        })
        .collect()
}

/// The text of the program.
fn program(numbers: &[u32]) -> String {
    let selector = |name: &str| format!("run{name}");
    let mut text = String::from(
        "\"Large programs, put together from the benchmarks:

     2som -cp crates/som/benchmarks Synthesized.som Order [Iterations]

 An iteration runs all parts in the order of that number, each so often or of
 such a size that the calls of all functions, sorted, fall along a line if
 both axes are logarithmic. Written by `cargo xtask evaluate --tune`.\"
Synthesized = (
    | order |

    run: arguments = (
        | iterations |
        arguments length < 2 ifTrue: [ ^'usage: Synthesized.som Order [Iterations]' println ].
        order := arguments at: 2.
        iterations := arguments length < 3 ifTrue: [ 1 ] ifFalse: [ (arguments at: 3) asInteger ].
        1 to: iterations do: [ :i | self iteration ]
    )

    iteration = (
        | start time |
        start := system ticks.
        self perform: ('order' + order) asSymbol.
        time := system ticks - start.
        ('Synthesized' + order + ': iterations=1 runtime: ' + time + 'us') println
    )

    wrong: name = ( self error: name + ' gave a wrong result' )

",
    );
    for (part, &number) in PARTS.iter().zip(numbers) {
        let (selector, expression) = (selector(part.name), part.with(number));
        let _ = writeln!(text, "    {selector} = ( ({expression}) ifFalse: [ self wrong: '{}' ] )", part.name);
    }
    for (number, order) in orders(PARTS.len()).iter().enumerate() {
        let _ = write!(text, "\n    order{} = (", number + 1);
        for (index, &part) in order.iter().enumerate() {
            let separator = if index % 4 == 0 { "\n        " } else { " " };
            let _ = write!(text, "{separator}self {}.", selector(PARTS[part].name));
        }
        text.push_str("\n    )\n");
    }
    text.push_str(")\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_has_every_part_once() {
        let orders = orders(20);
        assert_eq!(orders.len(), 20);
        for order in &orders {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..20).collect::<Vec<_>>());
        }
        assert_eq!(orders[0], (0..20).collect::<Vec<_>>());
        assert!(orders[1..].iter().all(|order| *order != orders[0]));
    }

    #[test]
    fn the_program_in_the_tree_is_the_one_that_is_written() {
        let text = std::fs::read_to_string(crate::root().join(FILE)).expect("the program");
        let number = |part: &Part| {
            let body = format!("run{} = ( (", part.name);
            let rest = text.split(&body).nth(1).expect("each part is there");
            let (before, _) = part.expression.split_once("{n}").expect("each part has a number");
            let digits = rest.strip_prefix(before).expect("its expression");
            let end = digits.find(|c: char| !c.is_ascii_digit()).expect("something after the number");
            digits[..end].parse::<u32>().expect("a number")
        };
        let numbers: Vec<u32> = PARTS.iter().map(number).collect();
        assert_eq!(text, program(&numbers));
    }

    #[test]
    fn numbers_are_chosen_that_make_a_line() {
        // A function of each part is called once for each repetition.
        let part = |name: usize| {
            let numbers: Vec<u32> = (0..12).map(|power| 1 << power).collect();
            let counts = numbers.iter().map(|&n| Counts::from([(format!("f{name}"), [u64::from(n), 0])])).collect();
            Choices { numbers, counts }
        };
        let parts: Vec<Choices> = (0..8).map(part).collect();
        let chosen = choose(&parts, 500..5000);
        let mut calls: Vec<u64> = chosen.iter().map(|&choice| 1 << choice).collect();
        assert!((500..5000).contains(&calls.iter().sum::<u64>()), "{calls:?}");
        calls.sort_unstable_by_key(|&calls| std::cmp::Reverse(calls));
        let r2 = line(&calls).r2;
        assert!((r2 - TARGET).abs() < 0.01, "{r2} of {calls:?}");
    }

    #[test]
    fn parts_know_what_is_to_come_out() {
        assert_eq!((permutations(6), primes(5000), fibonacci(20)), (8660, 669, 6765));
        let towers = PARTS.iter().find(|part| part.name == "Towers").expect("a part");
        assert_eq!(towers.with(13), "(Towers new moves: 13) = 8191");
    }

    #[test]
    fn repetitions_are_foretold() {
        let one = Counts::from([("once".to_owned(), [1, 0]), ("each".to_owned(), [5, 2])]);
        let two = Counts::from([("once".to_owned(), [1, 0]), ("each".to_owned(), [10, 4])]);
        let ten = Counts::from([("once".to_owned(), [1, 0]), ("each".to_owned(), [50, 20])]);
        assert_eq!(extended(&one, &two, 10), ten);
    }

    #[test]
    fn a_profile_sums_the_places_of_a_function() {
        let log = r#"{"at_us":1,"event":"recording","place":"A>>#f@0"}
{"at_us":2,"event":"place","place":"A>>#f@0","entries":0,"calls":7,"jumps":0}
{"at_us":2,"event":"place","place":"A>>#f@9","entries":0,"calls":0,"jumps":40}
{"at_us":3,"event":"statistics","entries":0}"#;
        assert_eq!(read_profile(log), Counts::from([("A>>#f".to_owned(), [7, 40])]));
        assert_eq!(ranked(&read_profile(log)), [7]);
    }
}
