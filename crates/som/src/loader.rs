//! Classes: finding their files, building them, and the bootstrap of the library.
//!
//! A class file is searched along the class path, then in the embedded library; superclasses are loaded first. The core
//! classes depend on each other (each name is a symbol, each array of methods an array), so the bootstrap reads all of them, allocates
//! all of them empty, and then fills them in. What happens to a class afterwards is the same for all.
//!
//! A class that is being loaded is not yet reachable by any name, so code never sees one half built.

use crate::ast::{ClassDef, Literal, MethodDef, Side};
use crate::bytecode::kind;
use crate::compiler::{Compiled, Constant, MethodContext, SlotKey, compile_generic, compile_method};
use crate::core_lib;
use crate::disassembler::disassemble;
use crate::interpreter::sends::SITE;
use crate::lexer::{Pos, SyntaxError};
use crate::library::{Definitions, assumptions};
use crate::numbers;
use crate::objects::{Caches, Class, ClassSetup, Instance, Layout, Literals, Method, SArray, SString};
use crate::parser::{parse_class, parse_statements};
use crate::primitives;
use crate::trace::PRINT_STACK_TRACE;
use crate::universe::{Universe, set_universe, universe};
use crate::value::{self, NIL, Value};
use crate::vm::{Migration, Source, Vm, class_value, maybe_class, new_string, string_value};
use metajit::Maybe;
use std::collections::HashMap;
use std::rc::Rc;
use std::string::FromUtf8Error;

/// The classes that the VM itself needs.
const CORE: &[&str] = &[
    "Object",
    "Class",
    "Metaclass",
    "Nil",
    "Array",
    "Method",
    "Integer",
    "Primitive",
    "String",
    "Symbol",
    "Double",
    "Block",
    "Block1",
    "Block2",
    "Block3",
    "Boolean",
    "True",
    "False",
    "System",
];

/// How deep a chain of superclasses may be that are all loaded for one class.
const MAX_SUPERCLASSES: usize = 10_000;

/// Why a class could not be loaded, as text for the user.
pub type Loaded<T> = Result<T, String>;

struct Found {
    file: Rc<str>,
    text: String,
}

/// A class before it is filled in.
#[derive(Clone)]
struct Outline {
    definition: Rc<ClassDef>,
    found: Rc<Found>,
    class: Class,
    metaclass: Class,
    superclass: Maybe<Class>,
}

fn layout_of(name: &str) -> Option<Layout> {
    Some(match name {
        "Array" => Layout::Array,
        "String" => Layout::String,
        "Class" | "Metaclass" => Layout::Class,
        "Integer" | "Double" | "Nil" | "True" | "False" | "Block" | "Method" | "Primitive" | "Symbol" | "System" => {
            Layout::Special
        }
        _ => return None,
    })
}

impl Vm {
    /// Loads the library and makes the universe.
    ///
    /// # Errors
    /// If a core class is missing or malformed.
    pub fn bootstrap(&mut self) -> Loaded<()> {
        metajit::gc::without_collection(|| self.bootstrap_quietly())
    }

    fn bootstrap_quietly(&mut self) -> Loaded<()> {
        let mut definitions: Definitions = HashMap::new();
        let mut order: Vec<(Rc<ClassDef>, Rc<Found>)> = Vec::new();
        for name in CORE {
            self.read_core(name, &mut definitions, &mut order, 0)?;
        }
        self.assumptions = Rc::new(assumptions(&definitions));

        // Superclasses come before their subclasses in `order`.
        let mut outlines: Vec<Outline> = Vec::new();
        let mut sizes: HashMap<Rc<str>, (i64, i64)> = HashMap::new();
        let class_size =
            definitions["Class"].instance.fields.len() as i64 + definitions["Object"].instance.fields.len() as i64;
        for (definition, found) in &order {
            let (instance, class) = match superclass_name(definition) {
                Some(name) => sizes[&name],
                None => (0, class_size),
            };
            let instance = instance + definition.instance.fields.len() as i64;
            let class = class + definition.class.fields.len() as i64;
            sizes.insert(definition.name.clone(), (instance, class));
            outlines.push(Outline {
                definition: definition.clone(),
                found: found.clone(),
                class: empty_class(class),
                // No class has fields on the side of its metaclass's class.
                metaclass: empty_class(class_size),
                superclass: Maybe::none(),
            });
        }
        let by_name: HashMap<Rc<str>, Class> =
            outlines.iter().map(|outline| (outline.definition.name.clone(), outline.class)).collect();
        let metaclass_of: HashMap<u64, Class> =
            outlines.iter().map(|outline| (outline.class.bits(), outline.metaclass)).collect();
        self.symbol_class = by_name["Symbol"];
        self.string_class = by_name["String"];
        let core = |name: &str| by_name[name];
        for outline in &mut outlines {
            let name = outline.definition.name.clone();
            outline.superclass = match superclass_name(&outline.definition) {
                Some(superclass) => Maybe::some(by_name[&superclass]),
                None => Maybe::none(),
            };
            let meta_super = match metaclass_of.get(&outline.superclass.bits()) {
                Some(metaclass) => *metaclass,
                None => core("Class"),
            };
            self.outline(outline, core("Metaclass"), meta_super);
            self.name_class(&name, outline.class);
        }
        let mut fields_of: HashMap<u64, Rc<[Rc<str>]>> = HashMap::new();
        // `Class` has no class-side fields of its own, but metaclasses inherit its instance side.
        for outline in &outlines {
            let inherited = fields_of.get(&outline.superclass.bits()).cloned().unwrap_or_default();
            let names = join_fields(&inherited, &outline.definition.instance);
            fields_of.insert(outline.class.bits(), names);
        }
        let class_fields = fields_of[&core("Class").bits()].clone();
        for outline in &outlines {
            let inherited = match metaclass_of.get(&outline.superclass.bits()) {
                Some(metaclass) => fields_of[&metaclass.bits()].clone(),
                None => class_fields.clone(),
            };
            let names = join_fields(&inherited, &outline.definition.class);
            fields_of.insert(outline.metaclass.bits(), names);
        }
        self.class_fields = fields_of;
        let array_class = core("Array");
        for outline in &outlines {
            for class in [outline.class, outline.metaclass] {
                self.set_field_names(class, array_class);
            }
        }
        self.make_universe(&by_name, &outlines);
        for outline in &outlines {
            self.fill(outline)?;
        }
        Ok(())
    }

    fn read_core(
        &mut self,
        name: &str,
        definitions: &mut Definitions,
        order: &mut Vec<(Rc<ClassDef>, Rc<Found>)>,
        depth: usize,
    ) -> Loaded<()> {
        if definitions.contains_key(name) {
            return Ok(());
        }
        let Some(found) = self.find_file(name)? else {
            return Err(format!("error: the core class {name} is not on the class path\n"));
        };
        let definition = parse(name, &found)?;
        if depth > CORE.len() + MAX_SUPERCLASSES / 100 {
            return Err(format!("error: {name} is its own superclass\n"));
        }
        if let Some(superclass) = superclass_name(&definition) {
            self.read_core(&superclass, definitions, order, depth + 1)?;
        }
        let definition = Rc::new(definition);
        definitions.insert(name.into(), definition.clone());
        order.push((definition, Rc::new(found)));
        Ok(())
    }

    fn make_universe(&mut self, by_name: &HashMap<Rc<str>, Class>, outlines: &[Outline]) {
        let core = |name: &str| by_name[name];
        let defines = |except: &[&str], selectors: &[&str]| {
            outlines.iter().any(|outline| {
                !except.contains(&&*outline.definition.name) && overrides(&outline.definition, selectors)
            })
        };
        let nil_tests = defines(&["Object", "Nil"], NIL_TESTS);
        let identity = defines(&["Object", "Integer"], IDENTITY);
        let system_class = core("System");
        let system = Instance::alloc(system_class, system_class.instance_fields(), NIL);
        let system = Value::from_bits(system.bits());
        let universe = Universe::alloc(
            core("Integer"),
            core("Double"),
            core("Nil"),
            core("True"),
            core("False"),
            core("Array"),
            core("String"),
            core("Symbol"),
            core("Method"),
            core("Primitive"),
            core("Class"),
            core("Metaclass"),
            core("Block"),
            core("Block1"),
            core("Block2"),
            core("Block3"),
            system,
            self.symbol("doesNotUnderstand:arguments:"),
            self.symbol("escapedBlock:"),
            self.symbol("unknownGlobal:"),
            self.symbol("error:"),
            self.symbol("+"),
            self.symbol("-"),
            self.symbol("<="),
            self.symbol(">="),
            self.symbol("ifFalse:"),
            self.symbol("not"),
            nil_tests,
            identity,
            // What runs before the program is loaded is part of its stack traces.
            false,
            Maybe::none(),
        );
        self.root_universe(universe);
        set_universe(universe);
        for (name, content) in [("nil", NIL), ("true", value::TRUE), ("false", value::FALSE), ("system", system)] {
            self.global(name).set_value(content);
        }
    }

    /// The class of a name, loaded if it is not yet; none if there is no such file.
    ///
    /// # Errors
    /// If there is one that is no class.
    pub fn load_class(&mut self, name: &str) -> Loaded<Option<Class>> {
        if let Some(class) = self.classes.get(name) {
            return Ok(Some(*class));
        }
        let Some(found) = self.find_file(name)? else {
            return Ok(None);
        };
        let definition = parse(name, &found)?;
        self.loading.push(name.into());
        let class = self.build(definition, found);
        self.loading.pop();
        class.map(Some)
    }

    fn build(&mut self, definition: ClassDef, found: Found) -> Loaded<Class> {
        let name = definition.name.clone();
        let (superclass, meta_super) = match superclass_name(&definition) {
            None => (Maybe::none(), universe().class_class()),
            Some(superclass) => {
                let refuse = |message: String| {
                    let pos = definition.superclass.as_ref().map_or(definition.pos, |s| s.1);
                    Err(SyntaxError { pos, message }.render(&found.file, &found.text))
                };
                if self.loading.len() > MAX_SUPERCLASSES {
                    return refuse(format!("{name} has more than {MAX_SUPERCLASSES} superclasses"));
                }
                if superclass == name {
                    return refuse(format!("{name} can't be its own superclass"));
                }
                if self.loading.contains(&superclass) {
                    return refuse(format!("{superclass} can't be the superclass of {name}, which is one of its own"));
                }
                match self.load_class(&superclass)? {
                    Some(class) => (Maybe::some(class), class.class()),
                    None => return refuse(format!("there is no class {superclass} on the class path")),
                }
            }
        };
        metajit::gc::without_collection(|| {
            let fields = meta_super.instance_fields() + definition.class.fields.len() as i64;
            let outline = Outline {
                class: empty_class(fields),
                metaclass: empty_class(universe().class_class().instance_fields()),
                definition: Rc::new(definition),
                found: Rc::new(found),
                superclass,
            };
            self.outline(&outline, universe().metaclass_class(), meta_super);
            let sides = [
                (outline.class, superclass, &outline.definition.instance),
                (outline.metaclass, Maybe::some(meta_super), &outline.definition.class),
            ];
            for (class, superclass, side) in sides {
                let inherited = self.class_fields.get(&superclass.bits()).cloned().unwrap_or_default();
                self.class_fields.insert(class.bits(), join_fields(&inherited, side));
                self.set_field_names(class, universe().array_class());
            }
            self.fill(&outline)?;
            if overrides(&outline.definition, NIL_TESTS) {
                universe().set_nil_tests_overridden(true);
            }
            if overrides(&outline.definition, IDENTITY) {
                universe().set_identity_overridden(true);
            }
            self.name_class(&name, outline.class);
            Ok(outline.class)
        })
    }

    /// Ties a class to its metaclass and superclass, and names it.
    fn outline(&mut self, outline: &Outline, metaclass_class: Class, meta_super: Class) {
        let Outline { definition, class, metaclass, superclass, .. } = outline;
        let inherited = match superclass.get() {
            Some(superclass) => (superclass.instance_fields(), superclass.layout()),
            None => (0, Layout::Fields as i64),
        };
        let is_core = CORE.contains(&&*definition.name);
        let layout = match layout_of(&definition.name) {
            Some(layout) if is_core => layout as i64,
            _ => inherited.1,
        };
        let name = self.symbol(&definition.name);
        let meta_name = self.symbol(&format!("{} class", definition.name));
        for (target, its_class, name, superclass, fields, layout) in [
            (*class, *metaclass, name, *superclass, inherited.0 + definition.instance.fields.len() as i64, layout),
            (*metaclass, metaclass_class, meta_name, Maybe::some(meta_super), class.fields_len(), Layout::Class as i64),
        ] {
            self.pin(class_value(target));
            // SAFETY: `ClassSetup` has the layout of `Class`, and no code has seen the class.
            let setup = unsafe { ClassSetup::from_bits(target.bits()) };
            setup.set_class(its_class);
            setup.set_name(name);
            setup.set_superclass(superclass);
            setup.set_instance_fields(fields);
            setup.set_layout(layout);
        }
    }

    fn set_field_names(&mut self, class: Class, array_class: Class) {
        let names = self.class_fields[&class.bits()].clone();
        let array = SArray::alloc(array_class, names.len() as i64, NIL);
        for (index, name) in names.iter().enumerate() {
            array.set_items(index as i64, string_value(self.symbol(name)));
        }
        // SAFETY: as in `outline`.
        unsafe { ClassSetup::from_bits(class.bits()) }.set_field_names(array);
    }

    fn name_class(&mut self, name: &Rc<str>, class: Class) {
        self.classes.insert(name.clone(), class);
        self.global(name).set_value(class_value(class));
    }

    /// Compiles the methods of both sides.
    fn fill(&mut self, outline: &Outline) -> Loaded<()> {
        for (class, side, class_side) in
            [(outline.class, &outline.definition.instance, false), (outline.metaclass, &outline.definition.class, true)]
        {
            let context = MethodContext {
                fields: self.class_fields[&class.bits()].clone(),
                class_side: class.layout() == Layout::Class as i64,
                assumptions: self.assumptions.clone(),
            };
            // Of several definitions of one selector the last counts.
            let last: Vec<&Rc<MethodDef>> = side
                .methods
                .iter()
                .enumerate()
                .filter(|(index, method)| {
                    !side.methods[index + 1..].iter().any(|later| later.selector == method.selector)
                })
                .map(|(_, method)| method)
                .collect();
            let methods = SArray::alloc(universe().array_class(), last.len() as i64, NIL);
            for (index, definition) in last.iter().enumerate() {
                let method = self.method(definition, &context, class, class_side, outline)?;
                methods.set_items(index as i64, Value::from_bits(method.bits()));
                let selector = self.symbol(&definition.selector);
                self.define(class, selector, method);
            }
            // SAFETY: as in `outline`.
            unsafe { ClassSetup::from_bits(class.bits()) }.set_methods(methods);
        }
        Ok(())
    }

    fn method(
        &mut self,
        definition: &Rc<MethodDef>,
        context: &MethodContext,
        holder: Class,
        class_side: bool,
        outline: &Outline,
    ) -> Loaded<Method> {
        if definition.body.is_none() {
            let number = primitives::number(&outline.definition.name, class_side, &definition.selector);
            let signature = self.symbol(&definition.selector);
            return Ok(Method::alloc(
                universe().primitive_class(),
                signature,
                Maybe::some(holder),
                number,
                0,
                definition.arguments.len() as i64,
                0,
                0,
                0,
                0,
                0,
                0,
                false,
                -1,
                Literals::alloc(0, NIL),
                Caches::alloc(0, 0),
                Maybe::none(),
                0,
                0,
            ));
        }
        let found = &outline.found;
        let compiled = compile_method(definition, context).map_err(|error| error.render(&found.file, &found.text))?;
        let source = Template { definition, context, holder, file: &found.file };
        Ok(self.link(Rc::new(compiled), &source, false, None))
    }

    /// Makes a method object of compiled code.
    fn link(
        &mut self,
        compiled: Rc<Compiled>,
        template: &Template<'_>,
        generic: bool,
        entry: Option<(usize, usize)>,
    ) -> Method {
        let literals = Literals::alloc(compiled.constants.len() as i64, NIL);
        for (index, constant) in compiled.constants.iter().enumerate() {
            let value = match constant {
                Constant::Literal(literal) => self.literal(literal),
                Constant::Selector(name) => self.mentioned(name),
                Constant::Global(name) => Value::from_bits(self.global(name).bits()),
                Constant::Block(block) => {
                    let is_generic = !block.fallbacks.is_empty();
                    let block = self.link(Rc::new((**block).clone()), template, is_generic, None);
                    Value::from_bits(block.bits())
                }
                Constant::Superclass => maybe_class(template.holder.superclass()),
                Constant::Special(value) => *value,
            };
            // SAFETY: nothing else has seen the literals.
            unsafe { literals.set_items(index as i64, value) };
        }
        let caches = Caches::alloc(SITE * compiled.sites as i64, 0);
        let fallbacks = if generic && !compiled.fallbacks.is_empty() {
            let fallbacks = Caches::alloc(compiled.fallbacks.len() as i64, 0);
            for (index, (pc, _)) in compiled.fallbacks.iter().enumerate() {
                fallbacks.set_entries(index as i64, *pc as u64);
            }
            Maybe::some(fallbacks)
        } else {
            Maybe::none()
        };
        let signature = self.symbol(&compiled.signature);
        let (entry_pc, entry_depth) = entry.unwrap_or((0, 0));
        let method = Method::alloc(
            universe().method_class(),
            signature,
            Maybe::some(template.holder),
            compiled.kind,
            compiled.field as i64,
            compiled.arguments as i64,
            (compiled.stack_begin + compiled.stack_depth) as i64,
            entry_pc as i64,
            (compiled.stack_begin + entry_depth) as i64,
            compiled.stack_begin as i64,
            compiled.body_begin as i64,
            compiled.home_slot as i64,
            compiled.is_block,
            self.sources.len() as i64,
            literals,
            caches,
            fallbacks,
            compiled.code.len() as i64,
            0,
        );
        for (index, word) in compiled.code.iter().enumerate() {
            // SAFETY: nothing else has seen the method.
            unsafe { method.set_code(index as i64, *word) };
        }
        self.pin(Value::from_bits(method.bits()));
        if self.disassemble {
            let text = disassemble(&compiled, &crate::vm::text(template.holder.name()));
            self.output.print_error(text.as_bytes());
        }
        self.sources.push(Source {
            definition: template.definition.clone(),
            context: template.context.clone(),
            holder: template.holder,
            compiled,
            generic,
            file: template.file.clone(),
        });
        method
    }

    /// The symbol of a name that code has. If it may print stack traces by it, calls note their places.
    fn mentioned(&mut self, name: &str) -> Value {
        if name == PRINT_STACK_TRACE {
            self.keep_places();
        }
        string_value(self.symbol(name))
    }

    /// Some code can print stack traces.
    pub fn keep_places(&mut self) {
        self.prints_traces = true;
        if universe().forgets_places() {
            universe().set_forgets_places(false);
            self.places_are_missing = true;
        }
    }

    /// The program is loaded: if nothing in it prints stack traces, calls need not note their places.
    pub fn program_is_loaded(&mut self) {
        if !std::mem::replace(&mut self.program_loaded, true) && !self.prints_traces {
            universe().set_forgets_places(true);
        }
    }

    fn literal(&mut self, literal: &Literal) -> Value {
        match literal {
            Literal::Integer(integer) => numbers::from_big(integer.clone()),
            Literal::Double(double) => value::from_double(*double),
            Literal::String(text) => string_value(new_string(self.string_class, text)),
            Literal::Symbol(text) => self.mentioned(text),
            Literal::Array(elements) => {
                let array = SArray::alloc(universe().array_class(), elements.len() as i64, NIL);
                for (index, element) in elements.iter().enumerate() {
                    array.set_items(index as i64, self.literal(element));
                }
                Value::from_bits(array.bits())
            }
        }
    }

    /// The generic version of a function, to be entered at a fallback.
    ///
    /// # Errors
    /// If it is too large to compile.
    pub fn migration(&mut self, method: Method, number: i64) -> Loaded<Rc<Migration>> {
        if let Some(migration) = self.migrations.get(&(method.bits(), number)) {
            return Ok(migration.clone());
        }
        let Some(source) = self.source(method) else {
            return Err("error: this code has no source\n".to_owned());
        };
        let (definition, context, holder, file, before) = (
            source.definition.clone(),
            source.context.clone(),
            source.holder,
            source.file.clone(),
            source.compiled.clone(),
        );
        let compiled = compile_generic(&definition, &context, before.scope).map_err(|error| error.render(&file, ""))?;
        // `self` is in slot 0 of both.
        let mut moves = vec![(0, 0, false)];
        for (key, from) in &before.slots {
            let Some(to) = compiled.slots.get(key) else {
                continue;
            };
            match key {
                SlotKey::Variable(variable) => {
                    moves.push((*from, *to, compiled.cells.contains(variable)));
                }
                SlotKey::Loop(_) => {
                    moves.extend((0..crate::bytecode::loops::SLOTS).map(|i| (from + i, to + i, false)));
                }
                SlotKey::Block => moves.extend([(*from, *to, false), (from + 1, to + 1, false)]),
                SlotKey::Context(_) | SlotKey::Home => moves.push((*from, *to, false)),
            }
        }
        let new_home =
            compiled.slots.get(&SlotKey::Home).copied().filter(|_| !before.slots.contains_key(&SlotKey::Home));
        let entry = compiled.fallbacks[number as usize];
        let template = Template { definition: &definition, context: &context, holder, file: &file };
        let method_after =
            metajit::gc::without_collection(|| self.link(Rc::new(compiled), &template, true, Some(entry)));
        let migration = Rc::new(Migration { method: method_after, moves, new_home, depth: entry.1 });
        self.migrations.insert((method.bits(), number), migration.clone());
        Ok(migration)
    }

    /// Compiles statements that an interactive shell has read, as a method of `nil`'s class.
    ///
    /// # Errors
    /// If they are malformed.
    pub fn compile_shell(&mut self, text: &str) -> Loaded<Method> {
        let found = Rc::<str>::from("shell");
        let definition = parse_statements(text).map_err(|error| error.render(&found, text))?;
        let context = MethodContext { fields: Rc::new([]), class_side: false, assumptions: self.assumptions.clone() };
        let compiled = compile_method(&definition, &context).map_err(|error| error.render(&found, text))?;
        let template = Template {
            definition: &Rc::new(definition),
            context: &context,
            holder: universe().nil_class(),
            file: &found,
        };
        Ok(metajit::gc::without_collection(|| self.link(Rc::new(compiled), &template, false, None)))
    }

    /// Why there is no program of this name, if there is none.
    pub fn missing_program(&self, name: &str) -> Option<String> {
        if self.classes.contains_key(name) || core_lib::source(name).is_some() {
            return None;
        }
        let mut looked = Vec::new();
        for directory in &self.class_path {
            let path = directory.join(format!("{name}.som"));
            if path.is_file() {
                return None;
            }
            let why = match (path.is_dir(), directory.is_dir(), directory.exists()) {
                (true, ..) => format!(" (where {name}.som is a directory)"),
                (_, true, _) => String::new(),
                (_, _, true) => " (which is no directory)".to_owned(),
                _ => " (which does not exist)".to_owned(),
            };
            looked.push(format!("{}{why}", directory.display()));
        }
        Some(format!("error: there is no class '{name}': looked for {name}.som in {}\n", looked.join(", ")))
    }

    fn find_file(&self, name: &str) -> Loaded<Option<Found>> {
        if name.is_empty() || name.contains(['/', '\\', '\0']) {
            return Ok(None);
        }
        for directory in &self.class_path {
            let path = directory.join(format!("{name}.som"));
            match std::fs::read(&path) {
                Ok(bytes) => {
                    let file = path.display().to_string();
                    let text = String::from_utf8(bytes).map_err(|error| not_utf8(&file, &error))?;
                    return Ok(Some(Found { file: file.into(), text }));
                }
                Err(error) if path.is_file() => {
                    return Err(format!("error: {} can't be read: {error}\n", path.display()));
                }
                Err(_) => {}
            }
        }
        Ok(core_lib::source(name)
            .map(|text| Found { file: format!("core-lib/{name}.som").into(), text: text.to_owned() }))
    }
}

/// Says where a file ceases to be text.
fn not_utf8(file: &str, error: &FromUtf8Error) -> String {
    let text = String::from_utf8_lossy(error.as_bytes());
    let before = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
    let line = before.matches('\n').count() as u32 + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() as u32 + 1;
    SyntaxError { pos: Pos { line, column }, message: "this is no UTF-8".to_owned() }.render(file, &text)
}

/// What all functions of a method have in common.
struct Template<'a> {
    definition: &'a Rc<MethodDef>,
    context: &'a MethodContext,
    holder: Class,
    file: &'a Rc<str>,
}

const NIL_TESTS: &[&str] = &["ifNil:", "ifNotNil:", "ifNil:ifNotNil:", "ifNotNil:ifNil:"];
const IDENTITY: &[&str] = &["=="];

fn overrides(definition: &ClassDef, selectors: &[&str]) -> bool {
    let mut methods = definition.instance.methods.iter().chain(&definition.class.methods);
    methods.any(|method| selectors.contains(&&*method.selector))
}

fn parse(name: &str, found: &Found) -> Loaded<ClassDef> {
    let definition = parse_class(&found.text).map_err(|error| error.render(&found.file, &found.text))?;
    if *definition.name != *name {
        let error = SyntaxError {
            pos: definition.pos,
            message: format!("this file holds the class {}, not {name}", definition.name),
        };
        return Err(error.render(&found.file, &found.text));
    }
    Ok(definition)
}

/// The name of a class's superclass; none for a root.
fn superclass_name(definition: &ClassDef) -> Option<Rc<str>> {
    match &definition.superclass {
        Some((name, _)) if &**name == "nil" => None,
        Some((name, _)) => Some(name.clone()),
        None if &*definition.name == "Object" => None,
        None => Some("Object".into()),
    }
}

fn join_fields(inherited: &[Rc<str>], side: &Side) -> Rc<[Rc<str>]> {
    inherited.iter().cloned().chain(side.fields.iter().map(|(name, _)| name.clone())).collect()
}

fn empty_class(fields: i64) -> Class {
    // SAFETY: `outline`, `set_field_names` and `fill` replace them before any code can see the class.
    let (class, name, array) = unsafe { (Class::from_bits(0), SString::from_bits(0), SArray::from_bits(0)) };
    Class::alloc(class, name, Maybe::none(), 0, 0, array, array, fields, NIL)
}

/// The kinds of methods that have code or need none: everything that is no primitive.
pub fn is_primitive(method: Method) -> bool {
    method.kind() >= kind::FIRST_PRIMITIVE
}
