//! What has been measured, in a file of the report's directory, so that an evaluation goes on where it was stopped.
//!
//! The first line names the binary that was measured, by a hash of its bytes, and the machine; with another binary the file is begun anew,
//! and the old one kept under the old binary's name. Each further line is one measurement.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What one job gave. Times are in microseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurement {
    /// What was wrong, if anything.
    pub failure: Option<String>,
    /// Wall time of each iteration, by the program's own clock.
    pub iterations: Vec<f64>,
    /// When each iteration was over, in wall time since the process was started.
    pub ends: Vec<f64>,
    /// Processor time that the process had used then, all its threads together.
    pub cpu: Vec<f64>,
    /// Wall time of the whole process.
    pub total_wall: f64,
    /// Processor time of the whole process.
    pub total_cpu: f64,
    /// The most memory it had, in KiB.
    pub peak_kb: f64,
    /// Figures by name: of `--stats`, and what was counted in the log.
    pub figures: BTreeMap<String, f64>,
}

impl Measurement {
    /// A figure; 0 if it is not there.
    pub fn figure(&self, name: &str) -> f64 {
        self.figures.get(name).copied().unwrap_or(0.0)
    }

    /// Wall time and processor time until the end of the first iteration.
    pub fn first(&self) -> Option<(f64, f64)> {
        Some((*self.iterations.first()?, *self.cpu.first()?))
    }

    /// Wall time and processor time of one iteration in the last half.
    pub fn steady(&self) -> Option<(f64, f64)> {
        let count = self.iterations.len();
        let half = count / 2;
        if half == 0 || self.cpu.len() != count {
            return None;
        }
        let wall = self.iterations[half..].iter().sum::<f64>() / (count - half) as f64;
        let cpu = (self.cpu[count - 1] - self.cpu[half - 1]) / (count - half) as f64;
        Some((wall, cpu))
    }

    fn to_json(&self, id: &str) -> Value {
        json!({
            "id": id, "failure": self.failure, "iterations": self.iterations, "ends": self.ends, "cpu": self.cpu,
            "total_wall": self.total_wall, "total_cpu": self.total_cpu, "peak_kb": self.peak_kb, "figures": self.figures,
        })
    }

    fn from_json(value: &Value) -> Option<(String, Measurement)> {
        let list = |name: &str| -> Option<Vec<f64>> { value[name].as_array()?.iter().map(Value::as_f64).collect() };
        let figures: &Map<String, Value> = value["figures"].as_object()?;
        let measurement = Measurement {
            failure: value["failure"].as_str().map(str::to_owned),
            iterations: list("iterations")?,
            ends: list("ends")?,
            cpu: list("cpu")?,
            total_wall: value["total_wall"].as_f64()?,
            total_cpu: value["total_cpu"].as_f64()?,
            peak_kb: value["peak_kb"].as_f64()?,
            figures: figures.iter().filter_map(|(name, figure)| Some((name.clone(), figure.as_f64()?))).collect(),
        };
        Some((value["id"].as_str()?.to_owned(), measurement))
    }
}

/// All measurements of one binary.
#[derive(Debug)]
pub struct Store {
    file: PathBuf,
    /// The binary, as the file names it.
    pub build: String,
    done: BTreeMap<String, Measurement>,
}

impl Store {
    /// Reads what there is, if it is of this binary.
    ///
    /// # Errors
    /// If the binary can't be read, or the directory not be written to.
    pub fn open(directory: &Path, binary: &Path) -> Result<Store, String> {
        let bytes = std::fs::read(binary).map_err(|error| format!("{}: {error}", binary.display()))?;
        let build = format!("{:016x}", hash(&bytes));
        std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let file = directory.join("measurements.jsonl");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let before = lines.next().and_then(|line| Some(line["build"].as_str()?.to_owned()));
        let mut store = Store { file, build, done: BTreeMap::new() };
        match before {
            Some(before) if before == store.build => {
                store.done = lines.filter_map(|line| Measurement::from_json(&line)).collect();
                // A process that was stopped while it wrote may have left half a line.
                if !text.ends_with('\n') {
                    store.append("")?;
                }
            }
            before => {
                if let Some(before) = before {
                    let old = directory.join(format!("measurements-{before}.jsonl"));
                    std::fs::rename(&store.file, old).map_err(|error| format!("{}: {error}", store.file.display()))?;
                }
                let head = json!({ "build": store.build }).to_string();
                std::fs::write(&store.file, head + "\n")
                    .map_err(|error| format!("{}: {error}", store.file.display()))?;
            }
        }
        Ok(store)
    }

    /// What a job gave, if it has been run.
    pub fn get(&self, id: &str) -> Option<&Measurement> {
        self.done.get(id)
    }

    /// Notes what a job gave.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn note(&mut self, id: &str, measurement: Measurement) -> Result<(), String> {
        self.append(&measurement.to_json(id).to_string())?;
        self.done.insert(id.to_owned(), measurement);
        Ok(())
    }

    fn append(&self, line: &str) -> Result<(), String> {
        let file = std::fs::OpenOptions::new().append(true).open(&self.file);
        file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .map_err(|error| format!("{}: {error}", self.file.display()))
    }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("metajit-store-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a directory");
        directory
    }

    fn measurement() -> Measurement {
        Measurement {
            iterations: vec![8.0, 4.0, 2.0, 2.0],
            cpu: vec![10.0, 15.0, 17.5, 20.0],
            figures: BTreeMap::from([("run_us".to_owned(), 17.0)]),
            ..Measurement::default()
        }
    }

    #[test]
    fn what_was_measured_is_there_again_unless_the_binary_is_another() {
        let directory = directory("again");
        let binary = directory.join("binary");
        std::fs::write(&binary, "one").expect("a binary");
        let mut store = Store::open(&directory, &binary).expect("a store");
        store.note("a", measurement()).expect("a note");
        let failed = Measurement { failure: Some("status 1".to_owned()), ..Measurement::default() };
        store.note("b \"c\"", failed.clone()).expect("a note");
        // Half a line does no harm.
        let file = directory.join("measurements.jsonl");
        let text = std::fs::read_to_string(&file).expect("the file");
        std::fs::write(&file, text + "{\"id\":\"d\",\"ite").expect("half a line");
        let mut store = Store::open(&directory, &binary).expect("a store");
        assert_eq!((store.get("a"), store.get("b \"c\""), store.get("d")), (Some(&measurement()), Some(&failed), None));
        store.note("d", measurement()).expect("a note");
        assert!(Store::open(&directory, &binary).expect("a store").get("d").is_some());
        std::fs::write(&binary, "two").expect("a binary");
        assert_eq!(Store::open(&directory, &binary).expect("a store").get("a"), None);
        let kept = std::fs::read_dir(&directory).expect("the directory").flatten();
        assert_eq!(kept.filter(|entry| entry.file_name().to_string_lossy().starts_with("measurements-")).count(), 1);
        let _ = std::fs::remove_dir_all(&directory);
    }

    #[test]
    fn the_last_half_is_steady() {
        assert_eq!(measurement().steady(), Some((2.0, 2.5)));
        assert_eq!(measurement().first(), Some((8.0, 10.0)));
        assert_eq!(Measurement::default().steady(), None);
    }
}
