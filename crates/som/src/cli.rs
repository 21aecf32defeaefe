//! The command line.
//!
//! Options stand before the class; everything after the class belongs to the program. The class may be given as a path to its
//! file, whose directory then joins the class path.

use crate::machine::Options;
use crate::stats::Form;
use std::path::PathBuf;

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Run a program, or a shell if there is no class.
    Run(Box<Options>),
    /// Print this and exit with success.
    Print(String),
}

/// How the command is used.
pub const USAGE: &str = "\
usage: 2som [OPTIONS] [dir/]Class[.som] [ARGS...]

Runs a SOM program; without a class, an interactive shell.

  -cp, --classpath DIR:DIR...   directories to search for classes
  -d                            print the bytecode of classes as they are loaded
  -h, --help                    print this
      --version                 print the version
      --tier TIER               interp, threaded, tracing or two-level (the default)
      --jit NAME=VALUE[,...]    parameters of the JIT compiler, or off
      --stats[=json]            print figures to standard error after the run
      --jit-log FILE            write what the JIT compiler does to a file, as JSON lines
      --heap SIZE               limit of the heap, such as 512M
";

/// Exit status of a wrong command line.
pub const WRONG_USAGE: i32 = 2;

/// The tiers by name, with the parameters that make them.
const TIERS: &[(&str, &str)] = &[
    ("interp", "off"),
    ("threaded", "threaded=1,tracing=0,tier1_threshold=1500"),
    ("tracing", "threaded=0,tracing=1"),
    ("two-level", "threaded=1,tracing=1"),
];

/// Reads the arguments after the program's name.
///
/// # Errors
/// With a message if they make no sense.
pub fn parse(arguments: &[String]) -> Result<Command, String> {
    let mut options = Options::default();
    let mut class_path_seen = false;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (name, attached) = match argument.split_once('=') {
            Some((name, attached)) if argument.starts_with("--") => (name, Some(attached)),
            _ => (argument.as_str(), None),
        };
        let mut value = |what: &str| match attached {
            Some(attached) => Ok(attached.to_owned()),
            None => rest.next().cloned().ok_or_else(|| format!("{name} needs {what}")),
        };
        if matches!(name, "--help" | "--version") && attached.is_some() {
            return Err(format!("{name} takes no value"));
        }
        match name {
            "-cp" | "--classpath" => {
                if class_path_seen {
                    return Err("the class path is given twice".to_owned());
                }
                class_path_seen = true;
                let list = value("a list of directories")?;
                options.class_path.extend(list.split(':').filter(|d| !d.is_empty()).map(PathBuf::from));
            }
            "-d" => options.disassemble = true,
            "-h" | "--help" => return Ok(Command::Print(USAGE.to_owned())),
            "--version" => {
                return Ok(Command::Print(format!("2som {}\n", env!("CARGO_PKG_VERSION"))));
            }
            "--tier" => {
                let tier = value("a tier")?;
                let Some((_, parameters)) = TIERS.iter().find(|(name, _)| *name == tier) else {
                    let names: Vec<&str> = TIERS.iter().map(|(name, _)| *name).collect();
                    return Err(format!("there is no tier '{tier}': there are {}", names.join(", ")));
                };
                options.tier = parameters;
            }
            "--jit" => {
                let list = value("parameters")?;
                check_parameters(&list)?;
                if !options.jit.is_empty() {
                    options.jit.push(',');
                }
                options.jit.push_str(&list);
            }
            "--stats" => match attached {
                None => options.stats = Some(Form::Text),
                Some("json") => options.stats = Some(Form::Json),
                Some(other) => return Err(format!("--stats can't be '{other}'")),
            },
            "--jit-log" => options.jit_log = Some(PathBuf::from(value("a file")?)),
            "--heap" => options.heap_limit = parse_size(&value("a size")?)?,
            _ if name.starts_with('-') && name.len() > 1 => {
                return Err(format!("there is no option {name}"));
            }
            _ => {
                add_program(&mut options, argument);
                options.arguments.extend(rest.by_ref().cloned());
            }
        }
    }
    Ok(Command::Run(Box::new(options)))
}

/// The class that is run: its directory is searched too.
fn add_program(options: &mut Options, argument: &str) {
    let (directory, file) = match argument.rsplit_once('/') {
        Some(("", file)) => ("/", file),
        Some((directory, file)) => (directory, file),
        None => (".", argument),
    };
    options.class_path.push(PathBuf::from(directory));
    let class = file.strip_suffix(".som").unwrap_or(file);
    options.arguments.push(class.to_owned());
}

fn check_parameters(list: &str) -> Result<(), String> {
    for item in list.split(',').filter(|item| !item.is_empty()) {
        let fits =
            item == "off" || item.split_once('=').is_some_and(|(name, value)| !name.is_empty() && !value.is_empty());
        if !fits {
            return Err(format!("'{item}' is no parameter: write NAME=VALUE, or off"));
        }
    }
    Ok(())
}

fn parse_size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(format!("'{text}' is no size: write 512M")),
    };
    digits
        .parse::<usize>()
        .ok()
        .and_then(|size| size.checked_mul(1 << shift))
        .filter(|size| *size > 0)
        .ok_or_else(|| format!("'{text}' is no size: write 512M"))
}
