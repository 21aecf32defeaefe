//! The part of a VM that is ordinary Rust: symbol table, globals, loaded code, output, options.
//!
//! Traced code never sees it; functions that are not looked inside reach it through [`with_vm`]. One VM belongs to one thread.
//! Nothing may run SOM code while the VM is borrowed.
//!
//! Classes, methods, symbols and globals live as long as the VM: they are *pinned*, linked into a list on the heap
//! that one root names, so that tables here can hold plain handles.

use crate::ast::MethodDef;
use crate::bytecode::{self, kind};
use crate::compiler::inlining::Assumptions;
use crate::compiler::{Compiled, MethodContext};
use crate::objects::{Caches, Class, GlobalCell, Literals, Method, Obj, SArray, SString};
use crate::output::Output;
use crate::universe::{Universe, universe};
use crate::value::{self, UNDEFINED, Value};
use metajit::gc::Root;
use metajit::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

/// Hashes addresses: they are distinct multiples of eight, and nobody chooses them to collide.
#[derive(Clone, Copy, Debug, Default)]
pub struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0.rotate_left(29) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// A map from addresses.
pub type AddressMap<K, V> = HashMap<K, V, BuildHasherDefault<AddressHasher>>;

/// A piece of the list of pinned values.
#[jit_object]
pub struct Pinned {
    #[immutable]
    next: Maybe<Pinned>,
    items: [Value],
}

const PINNED_ITEMS: i64 = 255;

/// Where a function came from.
#[derive(Debug)]
pub struct Source {
    /// The method's syntax tree.
    pub definition: Rc<MethodDef>,
    /// What the compiler knew about the class.
    pub context: MethodContext,
    /// The class, for the superclass constant.
    pub holder: Class,
    /// What was compiled; the generic version needs its slots.
    pub compiled: Rc<Compiled>,
    /// Whether this is the generic version.
    pub generic: bool,
    /// The file, as messages name it.
    pub file: Rc<str>,
}

/// How to move an activation to the generic version of its function.
#[derive(Debug)]
pub struct Migration {
    /// The generic version, entered at the fallback.
    pub method: Method,
    /// Slots before and after, and whether the value moves into a cell.
    pub moves: Vec<(usize, usize, bool)>,
    /// The slot of a home that the activation did not have.
    pub new_home: Option<usize>,
    /// How deep the operand stack is.
    pub depth: usize,
}

/// A line of a stack trace.
#[derive(Debug, Clone)]
pub struct TraceEntry {
    /// The code.
    pub method: Method,
    /// The instruction.
    pub pc: i64,
}

/// The VM of one thread.
#[derive(Debug)]
pub struct Vm {
    /// Where programs print.
    pub output: Output,
    /// Directories to search for classes.
    pub class_path: Vec<PathBuf>,
    /// Whether code is printed as it is loaded.
    pub disassemble: bool,
    /// When the VM began.
    pub start: Instant,
    /// State of the generator of `atRandom`.
    pub random: u64,
    /// What the library is known to say.
    pub assumptions: Rc<Assumptions>,
    /// Why the last primitive failed.
    pub failure: String,
    /// Why a class could not be loaded.
    pub load_error: Option<String>,
    /// The stack trace that is being collected.
    pub trace: Vec<TraceEntry>,
    /// Activations that a stack trace leaves out because there are too many.
    pub trace_omitted: u64,
    /// What functions came from, by `Method::debug`.
    pub sources: Vec<Source>,
    /// Whether some code can print a stack trace.
    pub prints_traces: bool,
    /// Whether it came so late that activations run which have noted no places.
    pub places_are_missing: bool,
    /// Whether the program's class has been loaded, or a shell has begun.
    pub program_loaded: bool,
    /// Generic versions by method and fallback.
    pub migrations: HashMap<(u64, i64), Rc<Migration>>,
    /// Field names by class.
    pub class_fields: HashMap<u64, Rc<[Rc<str>]>>,
    /// Classes being loaded, to find cycles.
    pub loading: Vec<Rc<str>>,
    /// Classes by name.
    pub classes: HashMap<Rc<str>, Class>,
    symbols: HashMap<Rc<str>, SString>,
    globals: AddressMap<u64, GlobalCell>,
    methods: AddressMap<(u64, u64), Method>,
    found: AddressMap<(u64, u64), Method>,
    not_understood: AddressMap<u64, Method>,
    loop_exit: Option<Method>,
    characters: Vec<SString>,
    /// The class of symbols; no class until the loader has made it.
    pub symbol_class: Class,
    /// The class of strings; no class until the loader has made it.
    pub string_class: Class,
    pinned: Root<Maybe<Pinned>>,
    pinned_count: i64,
    root: Root<Maybe<Universe>>,
}

thread_local! {
    static VM: RefCell<Option<Box<Vm>>> = const { RefCell::new(None) };
}

/// Makes a VM this thread's; whether there was none yet.
pub fn install(vm: Vm) {
    VM.set(Some(Box::new(vm)));
}

/// Takes the VM down.
pub fn uninstall() -> Option<Box<Vm>> {
    VM.take()
}

/// Runs `f` on this thread's VM.
///
/// # Panics
/// If the thread has no VM.
pub fn with_vm<R>(f: impl FnOnce(&mut Vm) -> R) -> R {
    VM.with_borrow_mut(|vm| match vm {
        Some(vm) => f(vm),
        None => panic!("this thread has no SOM VM"),
    })
}

impl Vm {
    /// A VM without classes.
    pub fn new(output: Output) -> Vm {
        Vm {
            output,
            class_path: Vec::new(),
            disassemble: false,
            start: Instant::now(),
            random: 0x2545_F491_4F6C_DD1D,
            assumptions: Rc::new(Assumptions::none()),
            failure: String::new(),
            load_error: None,
            trace: Vec::new(),
            trace_omitted: 0,
            sources: Vec::new(),
            prints_traces: false,
            places_are_missing: false,
            program_loaded: false,
            migrations: HashMap::new(),
            class_fields: HashMap::new(),
            loading: Vec::new(),
            classes: HashMap::new(),
            symbols: HashMap::new(),
            globals: AddressMap::default(),
            methods: AddressMap::default(),
            found: AddressMap::default(),
            not_understood: AddressMap::default(),
            loop_exit: None,
            characters: Vec::new(),
            // SAFETY: the loader replaces both before it makes the first symbol or string.
            symbol_class: unsafe { Class::from_bits(0) },
            // SAFETY: as above.
            string_class: unsafe { Class::from_bits(0) },
            pinned: Root::new(Maybe::none()),
            pinned_count: PINNED_ITEMS,
            root: Root::new(Maybe::none()),
        }
    }

    /// Roots the universe.
    pub fn root_universe(&self, universe: Universe) {
        self.root.set(Maybe::some(universe));
    }

    /// Keeps a value alive as long as the VM.
    pub fn pin(&mut self, value: Value) {
        let pinned = match self.pinned.get().get() {
            Some(pinned) if self.pinned_count < PINNED_ITEMS => pinned,
            _ => {
                let pinned = Pinned::alloc(self.pinned.get(), PINNED_ITEMS, value::NIL);
                self.pinned.set(Maybe::some(pinned));
                self.pinned_count = 0;
                pinned
            }
        };
        pinned.set_items(self.pinned_count, value);
        self.pinned_count += 1;
    }

    /// A new string of a class.
    pub fn string_of(&mut self, class: Class, text: &str) -> SString {
        new_string(class, text)
    }

    /// The symbol with this text.
    pub fn symbol(&mut self, text: &str) -> SString {
        if let Some(symbol) = self.symbols.get(text) {
            return *symbol;
        }
        let symbol = new_string(self.symbol_class, text);
        self.pin(string_value(symbol));
        self.symbols.insert(text.into(), symbol);
        symbol
    }

    /// The string of one ASCII character: always the same object, since strings never change.
    pub fn character(&mut self, byte: u8) -> SString {
        if self.characters.is_empty() {
            for byte in 0..128u8 {
                let string = new_string_of(self.string_class, 1, &[byte], &[]);
                self.pin(string_value(string));
                self.characters.push(string);
            }
        }
        self.characters[usize::from(byte)]
    }

    /// All symbols made so far.
    pub fn all_symbols(&self) -> Vec<SString> {
        self.symbols.values().copied().collect()
    }

    /// The global variable of a name, unset if it is new.
    pub fn global(&mut self, name: &str) -> GlobalCell {
        let symbol = self.symbol(name);
        self.global_of(symbol)
    }

    /// The global variable of a symbol, unset if it is new.
    pub fn global_of(&mut self, symbol: SString) -> GlobalCell {
        if let Some(cell) = self.globals.get(&symbol.bits()) {
            return *cell;
        }
        let cell = GlobalCell::alloc(symbol, UNDEFINED);
        self.pin(Value::from_bits(cell.bits()));
        self.globals.insert(symbol.bits(), cell);
        cell
    }

    /// The value of a global, if it is set.
    pub fn global_value(&self, symbol: SString) -> Option<Value> {
        let value = self.globals.get(&symbol.bits())?.value();
        (value != UNDEFINED).then_some(value)
    }

    /// Makes a method understood by instances of a class.
    pub fn define(&mut self, class: Class, selector: SString, method: Method) {
        self.methods.insert((class.bits(), selector.bits()), method);
    }

    /// A class's own method.
    pub fn own_method(&self, class: Class, selector: SString) -> Option<Method> {
        self.methods.get(&(class.bits(), selector.bits())).copied()
    }

    /// The method that a class understands a selector by, or a pseudo-method of kind `NOT_UNDERSTOOD`.
    ///
    /// Methods never change once their class is loaded, so an answer stays right.
    pub fn find(&mut self, class: Class, selector: SString) -> Method {
        let key = (class.bits(), selector.bits());
        if let Some(method) = self.found.get(&key) {
            return *method;
        }
        let mut at = Maybe::some(class);
        let method = loop {
            let Some(class) = at.get() else {
                break self.not_understood(selector);
            };
            if let Some(method) = self.own_method(class, selector) {
                break method;
            }
            at = class.superclass();
        };
        self.found.insert(key, method);
        method
    }

    /// The pseudo-method for a selector that a class does not understand.
    pub fn not_understood(&mut self, selector: SString) -> Method {
        if let Some(method) = self.not_understood.get(&selector.bits()) {
            return *method;
        }
        let method = Method::alloc(
            universe().method_class(),
            selector,
            Maybe::none(),
            kind::NOT_UNDERSTOOD,
            0,
            selector_arguments(&text(selector)) as i64,
            0,
            0,
            0,
            0,
            0,
            0,
            false,
            -1,
            Literals::alloc(0, value::NIL),
            Caches::alloc(0, 0),
            Maybe::none(),
            0,
            0,
        );
        self.pin(Value::from_bits(method.bits()));
        self.not_understood.insert(selector.bits(), method);
        method
    }

    /// The code of `[ ^nil ]`.
    pub fn loop_exit(&mut self) -> Method {
        if let Some(method) = self.loop_exit {
            return method;
        }
        let method = Method::alloc(
            universe().method_class(),
            self.symbol("whileTrue:"),
            Maybe::some(universe().block_class()),
            kind::CODE,
            0,
            0,
            4,
            0,
            3,
            3,
            0,
            1,
            true,
            -1,
            Literals::alloc(0, value::NIL),
            Caches::alloc(0, 0),
            Maybe::none(),
            2,
            0,
        );
        // SAFETY: nothing else has seen the method.
        unsafe {
            method.set_code(0, bytecode::word(bytecode::PUSH_SPECIAL, 0, 0, 0));
            method.set_code(1, bytecode::word(bytecode::RETURN_NON_LOCAL, 0, 0, 0));
        }
        self.pin(Value::from_bits(method.bits()));
        self.loop_exit = Some(method);
        method
    }

    /// The line of an instruction.
    pub fn line(&self, method: Method, pc: i64) -> u32 {
        let Some(source) = self.source(method) else {
            return 0;
        };
        let lines = &source.compiled.lines;
        let index = lines.partition_point(|(begin, _)| i64::from(*begin) <= pc);
        match index.checked_sub(1) {
            Some(index) => lines[index].1,
            None => source.definition.pos.line,
        }
    }

    /// What a function came from.
    pub fn source(&self, method: Method) -> Option<&Source> {
        self.sources.get(usize::try_from(method.debug()).ok()?)
    }
}

/// How many arguments a message with this selector has.
pub fn selector_arguments(selector: &str) -> usize {
    let colons = selector.bytes().filter(|b| *b == b':').count();
    if colons > 0 {
        return colons;
    }
    match selector.chars().next() {
        Some(c) if !c.is_alphanumeric() && c != '_' => 1,
        _ => 0,
    }
}

/// A new string.
pub fn new_string(class: Class, text: &str) -> SString {
    new_string_of(class, text.chars().count() as i64, text.as_bytes(), &[])
}

/// A new string of so many characters, from two pieces of UTF-8.
pub fn new_string_of(class: Class, length: i64, first: &[u8], second: &[u8]) -> SString {
    let hash = hash(hash(HASH_BEGIN, first), second);
    let hash = ((hash ^ (hash >> 32)) & 0x3FFF_FFFF) as i64;
    let string = SString::alloc(class, hash, length, (first.len() + second.len()) as i64, 0);
    // SAFETY: the slice tells where the bytes are, and nothing else has seen the string.
    unsafe {
        let address = string.bytes_slice().as_ptr().expose_provenance();
        let bytes = std::ptr::with_exposed_provenance_mut::<u8>(address);
        bytes.copy_from_nonoverlapping(first.as_ptr(), first.len());
        bytes.add(first.len()).copy_from_nonoverlapping(second.as_ptr(), second.len());
    }
    string
}

const HASH_BEGIN: u64 = 0xCBF2_9CE4_8422_2325;

fn hash(begin: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(begin, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3))
}

/// The text of a string or symbol.
pub fn text(string: SString) -> String {
    // SAFETY: bytes never change after allocation.
    String::from_utf8_lossy(unsafe { string.bytes_slice() }).into_owned()
}

/// A string as a value.
pub fn string_value(string: SString) -> Value {
    Value::from_bits(string.bits())
}

/// A value that is a string or symbol.
pub fn as_string(value: Value) -> Option<SString> {
    if !value.is_object() {
        return None;
    }
    // SAFETY: the value names an object; its header tells whether it is a string.
    let string = unsafe { SString::from_bits(value.bits()) };
    string.is_shape().then_some(string)
}

/// A value that is a symbol.
pub fn as_symbol(value: Value) -> Option<SString> {
    as_string(value).filter(|string| string.class() == universe().symbol_class())
}

/// A value that is an array.
pub fn as_array(value: Value) -> Option<SArray> {
    if !value.is_object() {
        return None;
    }
    // SAFETY: the value names an object; its header tells whether it is an array.
    let array = unsafe { SArray::from_bits(value.bits()) };
    array.is_shape().then_some(array)
}

/// A value that is a class.
pub fn as_class(value: Value) -> Option<Class> {
    if !value.is_object() {
        return None;
    }
    // SAFETY: the value names an object; its header tells whether it is a class.
    let class = unsafe { Class::from_bits(value.bits()) };
    class.is_shape().then_some(class)
}

/// A value that is a method.
pub fn as_method(value: Value) -> Option<Method> {
    if !value.is_object() {
        return None;
    }
    // SAFETY: the value names an object; its header tells whether it is a method.
    let method = unsafe { Method::from_bits(value.bits()) };
    method.is_shape().then_some(method)
}

/// A class as a value; nil for the superclass of a root.
pub fn class_value(class: Class) -> Value {
    Value::from_bits(class.bits())
}

/// A class as a value, or nil.
pub fn maybe_class(class: Maybe<Class>) -> Value {
    class.get().map_or(value::NIL, class_value)
}

/// The object behind a handle of whatever shape.
pub fn object(bits: u64) -> Obj {
    // SAFETY: callers pass the bits of a live object of the language.
    unsafe { Obj::from_bits(bits) }
}

/// A new `String`.
pub fn string(text: &str) -> Value {
    string_value(new_string(universe().string_class(), text))
}
