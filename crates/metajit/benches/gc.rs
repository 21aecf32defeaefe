//! Figures of the collector: `cargo bench -p metajit --bench gc [-- --json FILE] [-- --only NAME]`.
//!
//! | name | what |
//! |---|---|
//! | `alloc_small` | objects of 32 bytes, allocated from compiled code, escaping and dropped, against bumpalo writing the same words and reset after as many bytes as the nursery holds: ratio of CPU times |
//! | `alloc_small_ns`, `bumpalo_small_ns` | the same, nanoseconds per object |
//! | `alloc_plain_ns` | the same from inlined Rust code |
//! | `alloc_sparse_ns` | the same when one object in sixteen is put into a random place of a table of 65,536 |
//! | `heap_start_us` | CPU time from a thread without heap to its first object, microseconds |
//! | `trees_ns` | binary trees of depth 16 built and dropped beside a live one, nanoseconds per node |
//! | `trees_boehm`, `trees_cpython`, `trees_pypy3`, `trees_node` | binary trees in `cells` under the JIT, geometric mean of depths 16 and 18, against the same program in C with Boehm's collector, CPython, pypy3 and node: ratio of the processes' CPU times; left out where not installed |
//! | `trees_cells_ms` | our time of these |
//! | `pause_1g_ms`, `pause_1g_minor_ms` | a live heap of 1 GiB with random writes to it: longest pause, longest minor pause, CPU time |
//! | `pause_1g_minor_99_ms` | the minor pause that 99 of 100 are not longer than |
//! | `throughput_1g` | its CPU time as a multiple of the time outside the collector |
//! | `mark_1g_ns` | time of a major collection per live object of the same heap |
//! | `heap_overhead` | resident memory over live bytes, steady, 256 MiB live, random replacement: the worst of many samples |
//! | `stack_scan_ns` | a minor collection under 200,000 frames, per word of stack |
//! | `table_write_ns` | a write of a new object into a random slot of an old table of a million |

#![allow(missing_docs)]

use metajit::gc::{self, Config, Event, Kind, Root};
use metajit::prelude::*;
use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;

#[path = "gc/trees.rs"]
mod trees;

#[jit_object]
pub struct Node {
    #[immutable]
    key: i64,
    left: Maybe<Node>,
    right: Maybe<Node>,
}

#[jit_object]
pub struct Table {
    items: [Maybe<Node>],
}

#[jit_object]
pub struct Directory {
    tables: [Maybe<Table>],
}

/// CPU time of this thread, in seconds.
fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to the place given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Resident bytes of the process.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}

/// When the collection under way began, and the pauses so far.
type Pauses = (f64, Vec<(Kind, f64)>);

fn on_a_thread<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    std::thread::spawn(f).join().expect("the benchmark ran")
}

/// The least of several runs.
fn best(runs: usize, mut f: impl FnMut() -> f64) -> f64 {
    (0..runs).map(|_| f()).fold(f64::MAX, f64::min)
}

const SMALL: i64 = 20_000_000;

/// Objects known at a time in the benchmark of allocation, on both sides: so each of them escapes.
const KNOWN: i64 = 64;

/// Allocates until nothing is left to allocate; each object is put where the object before the last 64 was.
#[jit_driver(greens = [step], reds = [known, left])]
fn allocate(step: i64, known: Table, left: i64) -> i64 {
    loop {
        jit_merge_point!();
        if left <= 0 {
            return left;
        }
        known.set_items(left & (KNOWN - 1), Maybe::some(Node::alloc(left, Maybe::none(), Maybe::none())));
        left -= step;
        can_enter_jit!();
    }
}

fn allocate_compiled() -> f64 {
    let known = Table::alloc(KNOWN, Maybe::none());
    allocate(1, known, 100_000);
    let begin = cpu();
    allocate(1, known, SMALL);
    cpu() - begin
}

fn allocate_plain() -> f64 {
    let begin = cpu();
    for i in 0..SMALL {
        black_box(Node::alloc(i, Maybe::none(), Maybe::none()));
    }
    cpu() - begin
}

fn bump_small() -> f64 {
    let nursery = Config::default().nursery;
    let mut bump = bumpalo::Bump::with_capacity(nursery);
    let mut known = [std::ptr::null::<[u64; 4]>(); KNOWN as usize];
    let begin = cpu();
    let mut left = nursery / 32;
    for i in 0..SMALL {
        known[(i & (KNOWN - 1)) as usize] = bump.alloc([1u64, i as u64, 0, 0]);
        black_box(&known);
        left -= 1;
        if left == 0 {
            bump.reset();
            left = nursery / 32;
        }
    }
    cpu() - begin
}

/// Allocation when one object in sixteen lives for a while.
fn allocate_sparse() -> f64 {
    const RING: i64 = 1 << 10;
    let directory = Directory::alloc(64, Maybe::none());
    for index in 0..64 {
        directory.set_tables(index, Maybe::some(Table::alloc(RING, Maybe::none())));
    }
    let directory = Root::new(directory);
    let mut random = Random(1 << 35 | 777);
    let begin = cpu();
    for i in 0..SMALL {
        let node = black_box(Node::alloc(i, Maybe::none(), Maybe::none()));
        if i % 16 == 0 {
            let table = directory.get().tables(random.below(64)).get().expect("a table");
            table.set_items(random.below(RING as usize), Maybe::some(node));
        }
    }
    cpu() - begin
}

fn tree(depth: i64) -> Node {
    if depth == 0 {
        return Node::alloc(depth, Maybe::none(), Maybe::none());
    }
    let left = tree(depth - 1);
    let right = tree(depth - 1);
    Node::alloc(depth, Maybe::some(left), Maybe::some(right))
}

fn trees() -> f64 {
    let long_lived = tree(16);
    let begin = cpu();
    for _ in 0..40 {
        black_box(tree(16));
    }
    let time = cpu() - begin;
    black_box(long_lived);
    time / (40.0 * f64::from((1 << 17) - 1)) * 1e9
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 33) % n as u64) as i64
    }
}

/// Objects in one table of a directory.
const PER_TABLE: usize = 1024;

/// A two-level table of small trees of three nodes, with so many bytes live.
struct Forest {
    directory: Root<Directory>,
    tables: usize,
    random: Random,
}

const TREE_BYTES: usize = 3 * 32;

fn small_tree(key: i64) -> Node {
    let left = Node::alloc(key, Maybe::none(), Maybe::none());
    let right = Node::alloc(key, Maybe::none(), Maybe::none());
    Node::alloc(key, Maybe::some(left), Maybe::some(right))
}

impl Forest {
    fn new(bytes: usize) -> Forest {
        let tables = bytes / (PER_TABLE * (TREE_BYTES + 8) + 16);
        let directory = Directory::alloc(tables as i64, Maybe::none());
        for index in 0..tables {
            let table = Table::alloc(PER_TABLE as i64, Maybe::none());
            directory.set_tables(index as i64, Maybe::some(table));
            for item in 0..PER_TABLE {
                table.set_items(item as i64, Maybe::some(small_tree(item as i64)));
            }
        }
        Forest { directory: Root::new(directory), tables, random: Random(1 << 40 | 12345) }
    }

    fn live_bytes(&self) -> usize {
        self.tables * (PER_TABLE * (TREE_BYTES + 8) + 24)
    }

    /// Replaces random trees, with so many short-lived objects beside each.
    fn replace(&mut self, count: usize, garbage: usize) {
        let directory = self.directory.get();
        for _ in 0..count {
            let table = directory.tables(self.random.below(self.tables)).get().expect("a table");
            let item = self.random.below(PER_TABLE);
            table.set_items(item, Maybe::some(small_tree(item)));
            for _ in 0..garbage {
                black_box(Node::alloc(item, Maybe::none(), Maybe::none()));
            }
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == trees::ARGUMENT) {
        trees::run(arguments.get(at + 1).expect("a depth"));
        return;
    }
    let json = arguments.iter().position(|argument| argument == "--json").and_then(|at| arguments.get(at + 1));
    let only = arguments.iter().position(|argument| argument == "--only").and_then(|at| arguments.get(at + 1).cloned());
    let wanted = |name: &str| only.as_deref().is_none_or(|only| name.contains(only));
    let mut figures: Vec<(&str, f64)> = Vec::new();

    if wanted("heap_start") {
        let mut times: Vec<f64> = (0..51)
            .map(|_| {
                on_a_thread(|| {
                    let begin = cpu();
                    black_box(Node::alloc(1, Maybe::none(), Maybe::none()));
                    (cpu() - begin) * 1e6
                })
            })
            .collect();
        times.sort_by(f64::total_cmp);
        figures.push(("heap_start_us", times[times.len() / 2]));
    }
    if wanted("alloc_small") {
        let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
        // In turns: what else the machine does meanwhile shall hurt both alike.
        for _ in 0..7 {
            ours = ours.min(on_a_thread(|| best(2, allocate_compiled)));
            theirs = theirs.min(on_a_thread(|| best(2, bump_small)));
        }
        figures.push(("alloc_small", ours / theirs));
        figures.push(("alloc_small_ns", ours / SMALL as f64 * 1e9));
        figures.push(("bumpalo_small_ns", theirs / SMALL as f64 * 1e9));
    }
    if wanted("alloc_plain") {
        let time = on_a_thread(|| best(5, allocate_plain));
        figures.push(("alloc_plain_ns", time / SMALL as f64 * 1e9));
    }
    if wanted("alloc_sparse") {
        let time = on_a_thread(|| best(3, allocate_sparse));
        figures.push(("alloc_sparse_ns", time / SMALL as f64 * 1e9));
    }
    if wanted("trees") {
        figures.push(("trees_ns", on_a_thread(|| best(3, trees))));
        figures.extend(trees::figures());
    }
    if wanted("stack_scan") {
        #[inline(never)]
        fn deep(depth: usize) -> usize {
            let frame = [depth; 32];
            if depth == 0 {
                let begin = cpu();
                gc::collect_minor();
                return ((cpu() - begin) * 1e9) as usize;
            }
            deep(depth - 1) + black_box(frame)[0] / (1 << 40)
        }
        let time = std::thread::Builder::new()
            .stack_size(256 << 20)
            .spawn(|| {
                black_box(Node::alloc(1, Maybe::none(), Maybe::none()));
                deep(200_000)
            })
            .map(|thread| thread.join().expect("the benchmark ran") as f64)
            .unwrap_or(f64::NAN);
        figures.push(("stack_scan_ns", time / 200_000.0 / 34.0));
    }
    if wanted("table_write") {
        let time = on_a_thread(|| {
            let table = Table::alloc(1 << 20, Maybe::none());
            gc::collect();
            let mut random = Random(77);
            let begin = cpu();
            for _ in 0..2_000_000 {
                let item = random.below(1 << 20);
                table.set_items(item, Maybe::some(Node::alloc(item, Maybe::none(), Maybe::none())));
            }
            (cpu() - begin) / 2e6 * 1e9
        });
        figures.push(("table_write_ns", time));
    }
    if wanted("heap_overhead") {
        let (worst, mean) = on_a_thread(|| {
            let before = resident();
            let mut forest = Forest::new(256 << 20);
            let (mut worst, mut sum) = (0f64, 0f64);
            const SAMPLES: usize = 200;
            for sample in 0..SAMPLES + 20 {
                forest.replace(50_000, 2);
                let overhead = (resident() - before) as f64 / forest.live_bytes() as f64;
                if sample >= 20 {
                    worst = worst.max(overhead);
                    sum += overhead;
                }
            }
            (worst, sum / SAMPLES as f64)
        });
        figures.push(("heap_overhead", worst));
        figures.push(("heap_overhead_mean", mean));
    }
    if wanted("1g") {
        let (all, minor, most, throughput, mark) = on_a_thread(|| {
            let mut forest = Forest::new(1 << 30);
            gc::collect();
            // CPU time, as the pauses of `statistics` include what other processes took.
            let pauses: Rc<RefCell<Pauses>> = Rc::default();
            let log = pauses.clone();
            let _subscription = gc::subscribe(move |event| {
                let mut log = log.borrow_mut();
                match event {
                    Event::Begin { .. } => log.0 = cpu(),
                    Event::End(end) => {
                        let pause = cpu() - log.0;
                        log.1.push((end.kind, pause));
                    }
                    Event::OutOfMemory(_) => {}
                }
            });
            let begin = cpu();
            forest.replace(6_000_000, 6);
            let time = cpu() - begin;
            let seen = std::mem::take(&mut pauses.borrow_mut().1);
            let longest = |wanted: Option<Kind>| {
                seen.iter()
                    .filter(|(kind, _)| wanted.is_none_or(|wanted| wanted == *kind))
                    .map(|(_, pause)| pause * 1e3)
                    .fold(0.0, f64::max)
            };
            let mut minors: Vec<f64> =
                seen.iter().filter(|(kind, _)| *kind == Kind::Minor).map(|(_, pause)| pause * 1e3).collect();
            minors.sort_by(f64::total_cmp);
            let total: f64 = seen.iter().map(|(_, pause)| pause).sum();
            gc::collect();
            let major = pauses.borrow().1[0].1;
            (
                longest(None),
                longest(Some(Kind::Minor)),
                minors[minors.len() * 99 / 100],
                time / (time - total),
                major / (forest.tables * PER_TABLE * 3) as f64 * 1e9,
            )
        });
        figures.push(("pause_1g_ms", all));
        figures.push(("pause_1g_minor_ms", minor));
        figures.push(("pause_1g_minor_99_ms", most));
        figures.push(("throughput_1g", throughput));
        figures.push(("mark_1g_ns", mark));
    }

    for (name, figure) in &figures {
        println!("{name:20} {figure:10.3}");
    }
    if let Some(path) = json {
        let items: Vec<String> = figures.iter().map(|(name, figure)| format!("  \"{name}\": {figure:.4}")).collect();
        let text = format!("{{\n{}\n}}\n", items.join(",\n"));
        std::fs::write(path, text).expect("the figures can be written");
    }
}
