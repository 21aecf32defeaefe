//! What compiling costs: microseconds and bytes per operation of codes shaped like traces.
//!
//! `cargo run --release -p metajit --example compile_cost`: synthetic codes. Per 20 operations: 7 arithmetic
//! (2 with overflow checks), 3 comparisons, 5 guards, 4 loads, 2 stores, 1 call; each guard hands over so many live
//! values. With the path of a log that `METAJIT=trace` wrote, the codes in it. Medians of processor time of the
//! compiling thread.

use metajit::backend::{Arena, Compiler, Options, Quality, Stats};
use metajit::ir::code::{Block, BlockId, Code, End, Exit};
use metajit::ir::parse::parse_code;
use metajit::ir::tree::Portal;
use metajit::ir::{Arg, ArgRange, Aux, Callee, Effect, Inst, Op, OpRef};
use metajit::object::{Field, Kind, Mutability};

static PORTAL: Portal = Portal { name: "cost", greens: 0, reds: &[], virtualizable: None };

const fn word(name: &'static str, offset: u32) -> Field {
    Field { shape: "Cost", name, offset, kind: Kind::I64, mutability: Mutability::Mutable, is_array: false }
}
/// Enough that no two loads near each other read the same one: the optimizer would have merged them.
static FIELDS: [Field; 64] = {
    let mut fields = [const { word("word", 0) }; 64];
    let mut i = 0;
    while i < 64 {
        fields[i].offset = 8 + 8 * i as u32;
        i += 1;
    }
    fields
};

extern "C" fn callee(a: u64, b: u64) -> u64 {
    a ^ b
}
static CALLEE: Callee =
    Callee { name: "callee", address: callee as *const (), params: 2, results: 1, effect: Effect::Any, spread: None };

struct Shape {
    /// Live values per guard.
    live: usize,
    /// Whether there are calls.
    calls: bool,
    /// Of each guard's values, so many are the same at all guards.
    stable: usize,
}

struct Maker {
    code: Code,
    seed: u64,
    recent: Vec<OpRef>,
}

impl Maker {
    fn random(&mut self, below: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6364136223846793005).wrapping_add(1);
        (self.seed >> 33) as usize % below
    }
    fn pick(&mut self) -> Arg {
        let window = self.recent.len().min(12);
        let i = self.recent.len() - 1 - self.random(window);
        Arg::Op(self.recent[i])
    }
    /// Two different values: a guard whose condition is known would be the end of the code.
    fn pick_two(&mut self) -> (Arg, Arg) {
        let a = self.pick();
        loop {
            let b = self.pick();
            if a != b {
                return (a, b);
            }
        }
    }
    fn inst(&mut self, op: Op, args: &[Arg], aux: Aux) -> OpRef {
        let mut fixed = [Arg::Const(0); 3];
        fixed[..args.len()].copy_from_slice(args);
        self.code.insts.push(Inst { op, args: fixed, aux });
        let op = OpRef(self.code.insts.len() as u32 - 1);
        self.code.blocks.last_mut().unwrap().insts.push(op);
        op
    }
    fn value(&mut self, op: Op, args: &[Arg], aux: Aux) {
        let op = self.inst(op, args, aux);
        self.recent.push(op);
    }
    fn guard(&mut self, op: Op, args: &[Arg], shape: &Shape) {
        let params = self.code.blocks[1].params.clone();
        let mut slots: Vec<OpRef> = params.into_iter().take(shape.stable).collect();
        // Between two merge points a snapshot grows with what was logged, and then it begins anew.
        let rest = shape.live - slots.len();
        let period = 6;
        let end = self.recent.len();
        let from = (end / period * period).saturating_sub(rest.saturating_sub(period / 2));
        slots.extend(&self.recent[from..]);
        let slots = self.code.details.add(slots);
        self.code.exits.push(Exit { slots, ..Exit::default() });
        let exit = self.code.exits.len() as u32 - 1;
        self.inst(op, args, Aux::Index(exit));
    }
}

fn params(maker: &mut Maker, count: u32) -> Vec<OpRef> {
    let params: Vec<OpRef> = (0..count)
        .map(|i| {
            maker.code.insts.push(Inst { op: Op::Param, args: [Arg::Const(0); 3], aux: Aux::Index(i) });
            OpRef(maker.code.insts.len() as u32 - 1)
        })
        .collect();
    maker.code.blocks.push(Block { params: params.clone(), insts: Vec::new(), end: End::Finish(Vec::new()) });
    params
}

fn make(ops: usize, shape: &Shape) -> Code {
    let mut maker = Maker { code: Code::new(&PORTAL), seed: 42, recent: Vec::new() };
    let reds = params(&mut maker, 6);
    maker.code.blocks[0].end = End::Jump(BlockId(1), reds.into_iter().map(Arg::Op).collect());
    maker.recent = params(&mut maker, 6);
    let object = Arg::Op(maker.recent[0]);
    let mut next_field = 0;
    while maker.code.blocks[1].insts.len() < ops {
        for round in 0..2 {
            let (a, b) = maker.pick_two();
            maker.value(Op::Add, &[a, b], Aux::None);
            let overflow = maker.inst(Op::AddOvf, &[a, b], Aux::None);
            maker.guard(Op::GuardFalse, &[Arg::Op(overflow)], shape);
            let field = next_field % 62;
            next_field += 3;
            maker.value(Op::Load, &[object], Aux::Field(&FIELDS[field]));
            maker.value(Op::Load, &[object], Aux::Field(&FIELDS[field + 1]));
            let loaded = Arg::Op(maker.recent[maker.recent.len() - 1]);
            let (a, b) = maker.pick_two();
            let less = maker.inst(Op::Lt, &[a, b], Aux::None);
            maker.guard(Op::GuardTrue, &[Arg::Op(less)], shape);
            let a = maker.pick();
            maker.value(Op::Xor, &[a, Arg::Const(0x55)], Aux::None);
            let a = maker.pick();
            maker.inst(Op::Store, &[object, a], Aux::Field(&FIELDS[field + 2]));
            if round == 0 {
                let a = maker.pick();
                maker.value(Op::Sub, &[a, Arg::Const(3)], Aux::None);
                if shape.calls {
                    let start = maker.code.args.len() as u32;
                    let (a, b) = maker.pick_two();
                    maker.code.args.extend([a, b]);
                    maker.value(Op::Call, &[], Aux::Call(&CALLEE, ArgRange { start, len: 2 }));
                }
            } else {
                let low = maker.inst(Op::And, &[loaded, Arg::Const(1)], Aux::None);
                maker.guard(Op::GuardValue, &[Arg::Op(low), Arg::Const(1)], shape);
            }
        }
    }
    let mut args: Vec<Arg> = (0..5).map(|_| maker.pick()).collect();
    args.insert(0, object);
    maker.code.blocks[1].end = End::Jump(BlockId(1), args);
    maker.code
}

/// Microseconds and bytes per operation of compiling `code`, and the operations.
fn measure(compiler: &mut Compiler, code: &Code, options: &Options) -> (f64, usize, usize) {
    let mut times = Vec::new();
    let mut last = Stats::default();
    for _ in 0..(20_000 / code.insts.len().max(1)).clamp(7, 100) {
        last = compiler.compile(code, options).expect("compiles").stats();
        times.push(last.time.as_nanos() as f64 / 1000.0 / last.ops as f64);
    }
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], last.bytes / last.ops, last.ops)
}

fn synthetic(compiler: &mut Compiler) {
    println!("quality calls live stable   ops    us/op  bytes/op");
    for quality in [Quality::Quick, Quality::Full] {
        for calls in [true, false] {
            for (live, stable) in [(0, 0), (4, 2), (10, 0), (10, 4), (20, 6)] {
                for ops in [50, 200, 1000, 5000] {
                    let shape = Shape { live, calls, stable };
                    let code = make(ops, &shape);
                    let options = Options::new(quality);
                    let (time, bytes, _) = measure(compiler, &code, &options);
                    println!("{quality:?} {calls:>8} {live:>4} {stable:>6} {ops:>5} {time:>8.2} {bytes:>9}");
                }
            }
        }
    }
}

/// Measures the codes in a log that `METAJIT=trace` wrote.
fn logged(compiler: &mut Compiler, path: &str) {
    let log = std::fs::read_to_string(path).expect("a log");
    println!("quality   ops exits slots    us/op  bytes/op");
    let mut total = [0.0; 2];
    for text in log.split("metajit: code of ").skip(1) {
        let text = text.split_once('\n').expect("a line with its name").1;
        let text = text.split_inclusive("\n}\n").next().expect("a code");
        let code = match parse_code(text) {
            Ok(code) => code,
            Err(error) => {
                println!("{error}");
                continue;
            }
        };
        let slots: usize = code.exits.iter().map(|exit| exit.slots.len()).sum();
        for quality in [Quality::Quick, Quality::Full] {
            let options = Options::new(quality);
            let (time, bytes, ops) = measure(compiler, &code, &options);
            let exits = code.exits.len();
            total[quality as usize] += time * ops as f64;
            println!("{quality:?} {ops:>8} {exits:>5} {slots:>5} {time:>8.2} {bytes:>9}");
        }
    }
    println!("all: {:.0} us quick, {:.0} us full", total[0], total[1]);
}

fn main() {
    let arena = Arena::new(256 << 20).expect("executable memory");
    let mut compiler = Compiler::new(arena).expect("a compiler");
    match std::env::args().nth(1) {
        Some(log) => logged(&mut compiler, &log),
        None => synthetic(&mut compiler),
    }
}
