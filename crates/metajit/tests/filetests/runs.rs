//! Running code for `run:` lines: arguments and results as text.
//!
//! Arguments are integers, floats (with a point), and objects: `Pair { left: Pair { tag: 3 }, items: [1, 2] }`. Objects are
//! numbered in the order in which they begin, and `#0` names the first. Fields that are not said are 0.
//!
//! A result is `finish(3)`, `exit x2(1.5, #0)` with the exit's slots, `panicked`, or `fault: …`. An object that the
//! run made shows its contents the first time. What the run changed in an object among the arguments follows: `with #0 Pair { … }`.

use metajit::context::{CellHead, Context, FINISH, PANICKED};
use metajit::gc;
use metajit::ir::Arg;
use metajit::ir::code::{Code, End};
use metajit::ir::eval::{Evaluator, load_item, store_item};
use metajit::ir::print::{float_literal, word_literal};
use metajit::object::{Field, Shape};
use metajit::word::Type;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};

thread_local! {
    static CONTEXT: Cell<*mut Context> = const { Cell::new(std::ptr::null_mut()) };
    static VALID: Cell<*const AtomicU64> = const { Cell::new(std::ptr::null()) };
}

extern "C" fn add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

extern "C" fn nothing() -> u64 {
    0
}

extern "C" fn divmod(a: u64, b: u64, rest: *mut u64) -> u64 {
    // SAFETY: the caller gives room for the second result word.
    unsafe { *rest = a % b };
    a / b
}

#[rustfmt::skip]
extern "C" fn digits(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64, j: u64, k: u64, l: u64) -> u64 {
    [a, b, c, d, e, f, g, h, i, j, k, l].iter().fold(0, |sum, digit| sum * 10 + digit)
}

extern "C" fn halve(bits: u64) -> u64 {
    (f64::from_bits(bits) / 2.0).to_bits()
}

/// What a callee's wrapper does when the callee panicked.
extern "C" fn panics() -> u64 {
    // SAFETY: the context is that of the run.
    unsafe { (*CONTEXT.get()).panicked = 1 };
    0
}

extern "C" fn invalidate() -> u64 {
    // SAFETY: the word is that of the run.
    unsafe { (*VALID.get()).store(0, Ordering::Release) };
    0
}

extern "C" fn collect() -> u64 {
    gc::collect();
    0
}

/// A portal's code: it returns the sum and the difference of its reds.
unsafe extern "C" fn sum_and_difference(context: *mut Context) -> u64 {
    // SAFETY: the context is that of the run.
    unsafe {
        let [a, b, ..] = (*context).slots;
        (*context).results[0] = a.wrapping_add(b);
        (*context).results[1] = a.wrapping_sub(b);
    }
    FINISH
}

/// A portal's code for a frame that is spread: the same, the other way round.
unsafe extern "C" fn difference_and_sum(context: *mut Context) -> u64 {
    // SAFETY: as there.
    unsafe {
        sum_and_difference(context);
        (&mut (*context).results)[..2].reverse();
    }
    FINISH
}

/// A portal's code that leaves by an exit, whose slot is one more than the first red.
unsafe extern "C" fn leaves(context: *mut Context) -> u64 {
    // SAFETY: the context is that of the run.
    unsafe { (*context).slots[0] += 1 };
    7 << 32 | 5
}

/// A portal's code whose callee panics.
unsafe extern "C" fn panics_inside(context: *mut Context) -> u64 {
    // SAFETY: the context is that of the run.
    unsafe { (*context).panicked = 1 };
    PANICKED
}

/// Finishes a portal's call: the words are the number, and the first word that was handed over.
extern "C" fn finish(_cell: u64, number: u64) -> u64 {
    // SAFETY: the context is that of the run.
    unsafe {
        let context = CONTEXT.get();
        (*context).results[0] = number;
        (*context).results[1] = (*context).slots[0];
    }
    0
}

/// Makes any stack low.
extern "C" fn exhaust() -> u64 {
    // SAFETY: the context is that of the run.
    unsafe { (*CONTEXT.get()).stack_limit = u64::MAX };
    0
}

thread_local! {
    static CELLS: [CellHead; 4] = [
        CellHead::default(),
        CellHead { entry: Cell::new(sum_and_difference), spread: Cell::new(difference_and_sum) },
        CellHead { entry: Cell::new(leaves), ..CellHead::default() },
        CellHead { entry: Cell::new(panics_inside), ..CellHead::default() },
    ];
}

/// What `@0` and so on are in texts that are run: call cells without code, with code that returns (for
/// either way of passing a frame), that leaves, that panics.
pub(super) fn address(number: u64) -> u64 {
    CELLS.with(|cells| cells.get(number as usize).map_or(0, |cell| std::ptr::from_ref(cell) as u64))
}

/// The functions that texts can call.
const CALLEES: &[(&str, *const ())] = &[
    ("test::add", add as *const ()),
    ("test::nothing", nothing as *const ()),
    ("test::divmod", divmod as *const ()),
    ("test::digits", digits as *const ()),
    ("test::halve", halve as *const ()),
    ("test::panics", panics as *const ()),
    ("test::invalidate", invalidate as *const ()),
    ("test::collect", collect as *const ()),
    ("test::portal", finish as *const ()),
    ("test::spread", finish as *const ()),
    ("test::exhaust", exhaust as *const ()),
];

/// The function of a name in a text; null if tests have none.
pub(super) fn callee(name: &str) -> *const () {
    let found = CALLEES.iter().find(|(known, _)| *known == name);
    found.map_or(std::ptr::null(), |(_, address)| *address)
}

type Shapes<'a> = HashMap<&'a str, &'static Shape>;

/// An argument as written.
enum Word {
    Bits(u64),
    Named(usize),
    Object(usize),
}

/// An object as written.
struct Literal {
    shape: &'static Shape,
    fields: Vec<(&'static Field, Word)>,
    items: Vec<Word>,
}

struct Parser<'a> {
    rest: &'a str,
    shapes: &'a Shapes<'a>,
    objects: Vec<Option<Literal>>,
}

impl<'a> Parser<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(format!("expected `{token}` at `{}`", self.rest)) }
    }

    fn token(&mut self) -> &'a str {
        self.skip();
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || "_-.".contains(c)));
        let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        token
    }

    fn list(&mut self, end: &str) -> Result<Vec<Word>, String> {
        let mut words = Vec::new();
        while !self.eat(end) {
            if !words.is_empty() {
                self.expect(",")?;
            }
            words.push(self.word()?);
        }
        Ok(words)
    }

    fn word(&mut self) -> Result<Word, String> {
        if self.eat("#") {
            let number = self.token();
            return number.parse().map(Word::Named).map_err(|_| format!("`#{number}`"));
        }
        let token = self.token();
        if let Some(&shape) = self.shapes.get(token) {
            return self.object(shape);
        }
        let (sign, digits) = match token.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, token),
        };
        let bits = if let Some(hex) = digits.strip_prefix("0x") {
            u64::from_str_radix(hex, 16).ok()
        } else if let Ok(value) = token.parse::<i128>() {
            Some(value as u64)
        } else {
            token.parse::<f64>().ok().map(f64::to_bits)
        };
        let bits = bits.ok_or_else(|| format!("expected an argument, found `{token}{}`", self.rest))?;
        let hex = digits.starts_with("0x");
        Ok(Word::Bits(if hex && sign < 0 { bits.wrapping_neg() } else { bits }))
    }

    fn object(&mut self, shape: &'static Shape) -> Result<Word, String> {
        let number = self.objects.len();
        self.objects.push(None);
        let mut literal = Literal { shape, fields: Vec::new(), items: Vec::new() };
        self.expect("{")?;
        let mut first = true;
        while !self.eat("}") {
            if !first {
                self.expect(",")?;
            }
            first = false;
            let name = self.token();
            let mut fields = shape.fields.iter().chain(shape.array);
            let field = fields.find(|field| field.name == name);
            let field = field.ok_or_else(|| format!("`{}` has no field `{name}`", shape.name))?;
            self.expect(":")?;
            if field.is_array {
                self.expect("[")?;
                literal.items = self.list("]")?;
            } else {
                literal.fields.push((field, self.word()?));
            }
        }
        self.objects[number] = Some(literal);
        Ok(Word::Object(number))
    }
}

/// The words of a `run:` line, and the objects among them.
fn arguments(text: &str, shapes: &Shapes<'_>) -> Result<(Vec<u64>, Vec<u64>), String> {
    let line = format!("{text}\n");
    let mut parser = Parser { rest: &line, shapes, objects: Vec::new() };
    let words = parser.list("\n")?;
    let literals: Vec<Literal> = parser.objects.into_iter().flatten().collect();
    let objects: Vec<u64> =
        literals.iter().map(|literal| gc::alloc(literal.shape, literal.items.len()) as u64).collect();
    let bits = |word: &Word| match *word {
        Word::Bits(bits) => Ok(bits),
        Word::Named(number) | Word::Object(number) => {
            objects.get(number).copied().ok_or_else(|| format!("there is no object #{number}"))
        }
    };
    for (literal, &object) in literals.iter().zip(&objects) {
        for (field, word) in &literal.fields {
            let bits = bits(word)?;
            // SAFETY: the object was just made with this shape.
            unsafe { ((object + u64::from(field.offset)) as *mut u64).write(bits) };
        }
        let Some(array) = literal.shape.array else {
            continue;
        };
        let items = (object + u64::from(array.offset)) as *mut u8;
        // SAFETY: the object was just made with this shape and so many items.
        unsafe {
            items.cast::<u64>().sub(1).write(literal.items.len() as u64);
            for (index, word) in literal.items.iter().enumerate() {
                store_item(items, array.kind, index, bits(word)?);
            }
        }
    }
    let words = words.iter().map(bits).collect::<Result<_, _>>()?;
    Ok((words, objects))
}

/// How words are shown.
struct Shown {
    /// The numbers of the objects.
    numbers: HashMap<u64, usize>,
    /// The objects that the run made and that were not shown yet.
    hidden: Vec<u64>,
}

impl Shown {
    fn word(&mut self, bits: u64, ty: Type) -> String {
        if ty == Type::Float {
            return float_literal(bits);
        }
        if let Some(number) = self.numbers.get(&bits) {
            return format!("#{number}");
        }
        if let Some(at) = self.hidden.iter().position(|&object| object == bits) {
            self.hidden.remove(at);
            self.numbers.insert(bits, self.numbers.len());
            return self.object(bits);
        }
        word_literal(bits)
    }

    /// A numbered object with its contents.
    fn object(&mut self, object: u64) -> String {
        let mut text = format!("#{}", self.numbers[&object]);
        // SAFETY: only objects have numbers.
        let shape = unsafe { (*(object as *const metajit::object::Header)).shape };
        let shape = Shape::by_id(shape).expect("an object's header names its shape");
        let mut parts = Vec::new();
        for field in shape.fields {
            // SAFETY: the object has the field.
            let bits = unsafe { ((object + u64::from(field.offset)) as *const u64).read() };
            if bits != 0 {
                parts.push(format!("{}: {}", field.name, self.word(bits, field.ty())));
            }
        }
        if let Some(array) = shape.array {
            let items = (object + u64::from(array.offset)) as *const u8;
            // SAFETY: the object has so many items.
            let words: Vec<String> = unsafe {
                let len = items.cast::<u64>().sub(1).read() as usize;
                (0..len).map(|index| self.word(load_item(items, array.kind, index), array.ty())).collect()
            };
            parts.push(format!("{}: [{}]", array.name, words.join(", ")));
        }
        let _ = write!(text, " {} {{ {} }}", shape.name, parts.join(", "));
        text.replace("{  }", "{}")
    }
}

/// How a code is run: given the context and the word that tells whether it is valid, what it returns and the objects it made.
pub(super) type Engine<'a> = &'a mut dyn FnMut(*mut Context, &Arc<AtomicU64>) -> (u64, Vec<u64>);

/// Runs the code in the evaluator.
pub(super) fn evaluate(code: &Code, context: *mut Context, valid: &AtomicU64) -> (u64, Vec<u64>) {
    let mut evaluator = Evaluator::new(code, valid);
    evaluator.fuel = 1_000_000;
    evaluator.made = Some(Vec::new());
    // SAFETY: the context is valid, and the callees are those above.
    let result = unsafe { evaluator.run(context) };
    (result, evaluator.made.take().unwrap_or_default())
}

/// The register classes of the words that the code finishes with, if it always does with as many.
fn finish_types(code: &Code) -> Vec<Type> {
    let mut types: Vec<Type> = Vec::new();
    for block in &code.blocks {
        if let End::Finish(words) = &block.end {
            types = words
                .iter()
                .map(|word| match word {
                    Arg::Op(op) => code.inst(*op).result().unwrap_or(Type::Int),
                    Arg::Const(_) => Type::Int,
                })
                .collect();
        }
    }
    types
}

/// Keeps the evaluator's panics, which are results here, from being reported.
fn quiet_faults() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let message = info.payload_as_str().unwrap_or_default();
            if !message.starts_with("evaluating") {
                report(info);
            }
        }));
    });
}

/// Runs code with these arguments; the result as text.
pub(super) fn run(code: &Code, shapes: &Shapes<'_>, text: &str, engine: Engine<'_>) -> Result<String, String> {
    let (words, objects) = gc::without_collection(|| arguments(text, shapes))?;
    // SAFETY: the objects' addresses stay where they are until the range is dropped.
    let _roots = unsafe { gc::RootRange::new(objects.as_ptr(), objects.len()) };
    let mut context = Context::default();
    context.slots[..words.len()].copy_from_slice(&words);
    let valid = Arc::new(AtomicU64::new(1));
    let numbers = objects.iter().enumerate().map(|(number, &object)| (object, number)).collect();
    let mut shown = Shown { numbers, hidden: Vec::new() };
    let before: Vec<String> = objects.iter().map(|&object| shown.object(object)).collect();

    let context_pointer = &raw mut context;
    CONTEXT.set(context_pointer);
    VALID.set(Arc::as_ptr(&valid));
    quiet_faults();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine(context_pointer, &valid)));
    let (result, made) = match outcome {
        Ok(outcome) => outcome,
        Err(payload) => {
            let message = payload.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| payload.downcast_ref::<&str>().copied());
            return Ok(format!("fault: {}", message.unwrap_or("?")));
        }
    };
    shown.hidden = made;
    let mut text = match result {
        FINISH => {
            let types = finish_types(code);
            let words = types.iter().zip(context.results);
            let words: Vec<String> = words.map(|(&ty, bits)| shown.word(bits, ty)).collect();
            format!("finish({})", words.join(", "))
        }
        PANICKED => "panicked".to_string(),
        exit => {
            let slots = code.exits.get(exit as usize).ok_or_else(|| format!("exit x{exit}?"))?.slots;
            let slots = code.details[slots].iter();
            let words = slots.zip(context.slots);
            let words: Vec<String> =
                words.map(|(&op, bits)| shown.word(bits, code.inst(op).result().unwrap_or(Type::Int))).collect();
            format!("exit x{exit}({})", words.join(", "))
        }
    };
    for (&object, before) in objects.iter().zip(&before) {
        let after = shown.object(object);
        if after != *before {
            let _ = write!(text, " with {after}");
        }
    }
    Ok(text)
}
