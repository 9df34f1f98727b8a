//! The recordings in `tests/fixtures/recordings`, each with the document that a replay gives beside it.
//! With `UPDATE_RECORDINGS=1`, the documents are written instead of compared.

use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;

use super::once;
use super::same_results::without_durations;
use crate::process::run;

#[test]
fn every_recording_gives_the_document_beside_it() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings");
    let files = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let (recordings, others): (Vec<PathBuf>, Vec<PathBuf>) =
        files.partition(|file| file.extension().is_some_and(|extension| extension == "ndjson"));
    assert!(!recordings.is_empty());
    for file in others {
        let is_expected = recordings.contains(&file.with_extension("ndjson"));
        let is_known = is_expected && file.extension().is_some_and(|extension| extension == "json");
        assert!(is_known || file.ends_with("README.md"), "{} has no recording", file.display());
    }
    for recording in recordings {
        let mut once = once(&recording);
        once.args(["--format", "json"]);
        let (status, out, err) = run(&mut once);
        // A recording with failing targets is as good as any other.
        assert!(matches!(status, Some(0 | 1)), "{}: {err}", recording.display());
        let is_version = |line: &&str| line.starts_with("  \"version\":");
        let lines = without_durations(&out);
        let document: String =
            lines.lines().filter(|line| !is_version(line)).map(|line| format!("{line}\n")).collect();
        let expected = recording.with_extension("json");
        if std::env::var_os("UPDATE_RECORDINGS").is_some() {
            std::fs::write(&expected, &document).unwrap();
        }
        let expected_document = std::fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(document, expected_document, "{}; see CONTRIBUTING.md", expected.display());
    }
}
