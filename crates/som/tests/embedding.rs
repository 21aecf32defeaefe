//! A VM within a Rust program.

use som::Options;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A stream that keeps what is written to it.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no writer panics")).into_owned()
    }
}

/// Runs a program of one class; its status, output and errors.
fn run(name: &str, body: &str) -> (i32, String, String) {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("embedding-{name}"));
    std::fs::create_dir_all(&directory).expect("a directory for the program");
    std::fs::write(directory.join(format!("{name}.som")), format!("{name} = ( {body} )"))
        .expect("the program is written");
    let (out, err) = (Kept::default(), Kept::default());
    let status = som::run(Options {
        class_path: vec![directory],
        arguments: vec![name.to_owned(), "one".to_owned()],
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
        line_by_line: false,
        ..Options::default()
    });
    (status, out.text(), err.text())
}

#[test]
fn two_vms_live_side_by_side() {
    let threads: Vec<_> = (0..2)
        .map(|number| {
            std::thread::spawn(move || {
                let name = format!("Side{number}");
                run(&name, &format!("run = ( system global: #shared put: {number}. 1 to: 1000 do: [:i | i asString asSymbol ]. shared println )"))
            })
        })
        .collect();
    for (number, thread) in threads.into_iter().enumerate() {
        let (status, out, err) = thread.join().expect("the VM does not panic");
        assert_eq!((status, out.as_str(), err.as_str()), (0, format!("{number}\n").as_str(), ""));
    }
}

#[test]
fn arguments_and_status_pass_through() {
    let (status, out, _) = run("Passing", "run: args = ( (args at: 2) println. system exit: 300 )");
    assert_eq!((status, out.as_str()), (44, "one\n"));
}

#[test]
fn an_error_shows_the_methods_and_lines_it_left() {
    let (status, out, err) = run("Failing", "run = ( self a )\n a = (\n #(1) at: 2 )");
    assert_eq!(status, 1);
    assert!(out.contains("ERROR: "), "{out}");
    assert!(err.contains("Failing>>#a (") && err.contains("Failing.som:3)"), "{err}");
}

#[test]
fn endless_recursion_ends() {
    let (status, out, err) = run("Endless", "run = ( 'before' println. self run )");
    assert_eq!((status, out.lines().next()), (1, Some("before")));
    assert!(err.contains("the stack is too deep") && err.contains("Endless>>#run"), "{err}");
}

#[test]
fn a_full_heap_ends_the_program() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("embedding-Filling");
    std::fs::create_dir_all(&directory).expect("a directory for the program");
    let source = "Filling = ( run = ( | all | 'before' println. all := Vector new. [ true ] whileTrue: [ all append: (Array new: 1000) ] ) )";
    std::fs::write(directory.join("Filling.som"), source).expect("the program is written");
    let err = Kept::default();
    let status = som::run(Options {
        class_path: vec![directory],
        arguments: vec!["Filling".to_owned()],
        heap_limit: 64 << 20,
        out: Box::new(Kept::default()),
        err: Box::new(err.clone()),
        line_by_line: false,
        ..Options::default()
    });
    assert_eq!(status, 1);
    assert!(err.text().contains("out of memory"), "{}", err.text());
}
