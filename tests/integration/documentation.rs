//! The Markdown pages: links and paths lead to files that exist, the README stays short,
//! and the configuration reference names exactly the keys and flags that the program
//! accepts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::deploy::{place, text, yaml};
use crate::process::{program, run};

const REFERENCE: &str = "config/README.md";

/// The most lines that a newcomer can be expected to read.
const MAX_README_LINES: usize = 200;

/// Directories that are not searched, because their files are not ours.
const IGNORED_DIRECTORIES: [&str; 3] = [".git", "node_modules", "target"];

/// The directories that a code span is checked for: other words with a slash are not paths.
const ROOTS: [&str; 6] = [".ci/", ".github/", "config/", "deploy/", "src/", "tests/"];

/// All Markdown files below `root`.
fn pages(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !IGNORED_DIRECTORIES.iter().any(|name| entry.file_name() == *name) {
                directories.push(entry.path());
            } else if kind.is_file() && is_markdown(&entry.path()) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// The lines of a page outside of fenced code blocks, with their numbers.
fn prose(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fence: Option<&str> = None;
    page.lines().enumerate().filter_map(move |(index, line)| {
        let marker = ["```", "~~~"].into_iter().find(|marker| line.trim_start().starts_with(marker));
        match (fence, marker) {
            (None, Some(_)) => fence = marker,
            (Some(open), Some(marker)) if open == marker => fence = None,
            (None, None) => return Some((index + 1, line)),
            _ => {}
        }
        None
    })
}

/// A line without its code spans.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// The code spans of a line.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The destinations of the links and images of a page, with their line numbers.
fn links(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(page) {
        let line = without_code(line);
        let inline = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        let inline = inline.map(|(destination, _)| destination);
        let definition = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        for destination in inline.chain(definition.map(|(_, destination)| destination)) {
            // A title may follow the destination.
            let destination = destination.split_whitespace().next().unwrap_or_default();
            found.push((number, destination.trim_matches(['<', '>']).to_owned()));
        }
    }
    found
}

/// The anchors that GitHub generates for the headings of a page.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(page) {
        let Some((level, heading)) = line.split_once(' ') else { continue };
        if !(1..=6).contains(&level.len()) || level.bytes().any(|byte| byte != b'#') {
            continue;
        }
        let anchor = anchor(heading);
        let times = seen.entry(anchor.clone()).or_default();
        anchors.insert(if *times == 0 { anchor } else { format!("{anchor}-{times}") });
        *times += 1;
    }
    anchors
}

fn anchor(heading: &str) -> String {
    // A link is replaced by its text.
    let mut shown = String::new();
    let mut rest = heading;
    while let Some((before, link)) = rest.split_once("](") {
        shown += before;
        rest = link.split_once(')').map_or("", |(_, after)| after);
    }
    shown += rest;
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let text: String = shown.trim().chars().filter(kept).collect();
    text.to_lowercase().replace(' ', "-")
}

/// The paths in the code spans of a page, with their line numbers.
fn paths(page: &str) -> Vec<(usize, &str)> {
    let is_path = |word: &&str| {
        ROOTS.iter().any(|root| word.starts_with(root))
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
    };
    prose(page)
        .flat_map(|(number, line)| {
            let words = code_spans(line).flat_map(str::split_whitespace);
            words.filter(is_path).map(move |word| (number, word)).collect::<Vec<_>>()
        })
        .collect()
}

/// Follows the relative links of all pages below `root`. Returns an error for each broken link, and
/// the number of links.
fn broken_links(root: &Path) -> (Vec<String>, usize) {
    let root = root.canonicalize().unwrap();
    let (mut broken, mut followed) = (Vec::new(), 0);
    for page in pages(&root) {
        let text = fs::read_to_string(&page).unwrap();
        for (line, link) in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            if let Err(problem) = follow(&root, &page, &link) {
                let page = page.strip_prefix(&root).unwrap().display();
                broken.push(format!("{page}:{line}: {link}: {problem}"));
            }
        }
    }
    (broken, followed)
}

/// Follows a relative link from a page. The error says why it is broken.
fn follow(root: &Path, page: &Path, link: &str) -> Result<(), &'static str> {
    let (path, fragment) = link.split_once('#').map_or((link, None), |(path, id)| (path, Some(id)));
    let target = if path.is_empty() { page.to_owned() } else { page.parent().unwrap().join(path) };
    let target = target.canonicalize().map_err(|_| "no such file")?;
    if !target.starts_with(root) {
        return Err("outside of the repository");
    }
    let Some(fragment) = fragment else { return Ok(()) };
    if !target.is_file() || !is_markdown(&target) {
        return Err("a fragment of a file that is not Markdown");
    }
    let found = anchors(&fs::read_to_string(target).unwrap()).contains(fragment);
    if found { Ok(()) } else { Err("no such heading") }
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading_that_exist() {
    let (broken, followed) = broken_links(&place(""));
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    assert!(followed > 100, "only {followed} links found");
}

#[test]
fn a_broken_link_is_reported_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("node_modules/x/README.md", "[not ours](missing)\n");
    write("data.json", "{}\n");
    write(
        "README.md",
        "# Title of `it`, and [more](sub/page.md)\n\
         ## Twice\n## Twice\n\
         [good](sub/page.md), ![good](data.json \"title\"), [good](sub/page.md#a_b-c), [good](sub), [good](#twice-1),\n\
         [good](#title-of-it-and-more), [good](https://example.com/missing), `[code](missing)`\n\
         ```\n[code](missing)\n# Code\n```\n\
         [bad](missing.md) and [bad](sub/page.md#d)\n\
         [bad](#code) [bad](#twice-2) [bad](data.json#x)\n\
         [bad](../..)\n\
         [reference]: gone.md\n",
    );
    write("sub/page.md", "# a_b `c`!\n[up](../README.md#twice)\n");
    assert_eq!(
        broken_links(directory.path()),
        (
            vec![
                "README.md:10: missing.md: no such file".to_owned(),
                "README.md:10: sub/page.md#d: no such heading".to_owned(),
                "README.md:11: #code: no such heading".to_owned(),
                "README.md:11: #twice-2: no such heading".to_owned(),
                "README.md:11: data.json#x: a fragment of a file that is not Markdown".to_owned(),
                "README.md:12: ../..: outside of the repository".to_owned(),
                "README.md:13: gone.md: no such file".to_owned(),
            ],
            15
        )
    );
}

#[test]
fn every_path_in_a_code_span_exists() {
    let root = place("");
    let (mut missing, mut found) = (Vec::new(), 0);
    for page in pages(&root) {
        let text = fs::read_to_string(&page).unwrap();
        for (line, path) in paths(&text) {
            // Some pages use paths relative to their own directory.
            if root.join(path).exists() || page.parent().unwrap().join(path).exists() {
                found += 1;
            } else {
                missing.push(format!("{}:{line}: {path}", page.strip_prefix(&root).unwrap().display()));
            }
        }
    }
    assert!(missing.is_empty(), "no such file:\n{}", missing.join("\n"));
    assert!(found > 50, "only {found} paths found");
}

#[test]
fn the_readme_is_short() {
    let lines = text("README.md").lines().count();
    assert!(lines <= MAX_README_LINES, "README.md has {lines} lines, at most {MAX_README_LINES} are allowed");
}

/// The keys or flags that the tables of a section of the reference describe: the code spans in the
/// first cell of each row. A section ends at the next heading.
fn described_in(section: &str) -> BTreeSet<String> {
    let reference = text(REFERENCE);
    let is_heading = |line: &str| line.starts_with('#');
    let mut lines = prose(&reference).map(|(_, line)| line);
    let found = lines.any(|line| is_heading(line) && line.trim_start_matches('#').trim() == section);
    assert!(found, "{REFERENCE} has no section {section}");
    let rows = lines.take_while(|line| !is_heading(line)).filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split_once(" |").map(|(first, _)| first));
    cells.flat_map(code_spans).map(ToOwned::to_owned).collect()
}

/// A key that the program does not know and that resembles none of its keys, so that it suggests
/// none.
const UNKNOWN: &str = "qqqqqqqq";

/// The keys that the program accepts where `file` has the key `UNKNOWN`. The error for an unknown
/// key ends with a list of them.
fn known_keys(flag: &str, file: &str) -> BTreeSet<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file.yaml");
    fs::write(&path, file.replace("UNKNOWN", UNKNOWN)).unwrap();
    let (status, _, error) = run(program().arg("--config.check").arg(flag).arg(&path));
    assert!(status == Some(2) && error.contains(UNKNOWN), "{file}: {status:?} {error}");
    // The list follows some words, so its first entry is the last word before the first comma.
    let (first, others) = error.trim_end().split_once(", ").unwrap_or((error.trim_end(), ""));
    let first = first.rsplit(' ').next().unwrap();
    let keys = [first].into_iter().chain(others.split(", ")).map(|key| key.trim_matches('`'));
    keys.filter(|key| !key.is_empty()).map(ToOwned::to_owned).collect()
}

/// The keys that the program accepts at several places, each place given as the prefix of its keys
/// in the reference and a file with the key `UNKNOWN` there.
fn known_keys_at(flag: &str, places: &[(&str, &str)]) -> BTreeSet<String> {
    let at = |(prefix, file): &(&str, &str)| {
        let keys = known_keys(flag, file).into_iter();
        keys.map(|key| format!("{prefix}{key}")).collect::<Vec<_>>()
    };
    places.iter().flat_map(at).collect()
}

/// A file with an unknown key of the organization.
const ORGANIZATION: &str = "organization: {UNKNOWN: 1, member_role: 'arn:aws:iam::{account_id}:role/x'}";

/// The roles of an account, with an unknown key.
const ROLE: &str = "assume_roles: [{UNKNOWN: 1, arn: 'arn:aws:iam::111122223333:role/x'}]";

#[test]
fn the_reference_describes_the_keys_of_the_main_configuration() {
    let expectation = |keys: &str| format!("expectations: [{{name: a, {keys}}}]");
    let request = |keys: &str| expectation(&format!("request: {{{keys}}}"));
    let destination = |keys: &str| request(&format!("S3Destination: {{{keys}}}"));
    let source = |keys: &str| request(&format!("SyncSource: {{{keys}}}"));
    let organization = |keys: &str| source(&format!("AwsOrganizationsSource: {{{keys}}}"));
    let sections: [(&str, &[(&str, &str)]); 7] = [
        ("Top level", &[("", "UNKNOWN: 1"), ("quota.", "quota: {UNKNOWN: 1}")]),
        ("`managed_nodes`", &[("", "managed_nodes: {UNKNOWN: 1}")]),
        (
            "`expectations`",
            &[
                ("", &expectation("UNKNOWN: 1")),
                ("request.", &request("UNKNOWN: 1")),
                ("request.S3Destination.", &destination("UNKNOWN: 1")),
                (
                    "request.S3Destination.DestinationDataSharing.",
                    &destination("DestinationDataSharing: {UNKNOWN: 1}"),
                ),
                ("request.SyncSource.", &source("UNKNOWN: 1")),
                ("request.SyncSource.AwsOrganizationsSource.", &organization("UNKNOWN: 1")),
                (
                    "request.SyncSource.AwsOrganizationsSource.OrganizationalUnits[].",
                    &organization(
                        "OrganizationalUnits: [{UNKNOWN: 1, OrganizationalUnitId: ou-abcd-11111111}]",
                    ),
                ),
            ],
        ),
        (
            "`accounts`",
            &[("", "accounts: [{UNKNOWN: 1}]"), ("assume_roles[].", &format!("accounts: [{{{ROLE}}}]"))],
        ),
        ("`organization`", &[("", ORGANIZATION)]),
        ("`metrics`", &[("", "metrics: {UNKNOWN: 1}")]),
        ("`aws`", &[("", "aws: {UNKNOWN: 1}")]),
    ];
    for (section, places) in sections {
        assert_eq!(described_in(section), known_keys_at("--config.file", places), "{section}");
    }
    // The section also has a table of health values.
    let of_health =
        [("", "health: {UNKNOWN: 1}"), ("rules[].", "health: {rules: [{UNKNOWN: 1, max_run_time: 1h}]}")];
    let known = known_keys_at("--config.file", &of_health);
    assert!(known.len() > 10, "{known:?}");
    let described = described_in("`health`");
    assert_eq!(known.difference(&described).collect::<Vec<_>>(), Vec::<&String>::new());
    // Entries have the same keys as the top level.
    let of_entry = |entry: &str| known_keys("--config.file", entry);
    let of_organization = ORGANIZATION.replace("UNKNOWN: 1", "managed_nodes: {UNKNOWN: 1}");
    for entry in ["accounts: [{managed_nodes: {UNKNOWN: 1}}]", &of_organization] {
        assert_eq!(of_entry(entry), described_in("`managed_nodes`"), "{entry}");
    }
}

#[test]
fn the_reference_describes_the_keys_of_the_web_configuration() {
    let sections: [(&str, &[(&str, &str)]); 4] = [
        ("Web configuration", &[("", "UNKNOWN: 1")]),
        ("`tls_server_config`", &[("", "tls_server_config: {UNKNOWN: 1}")]),
        (
            "`http_server_config`",
            &[
                ("", "http_server_config: {UNKNOWN: 1}"),
                ("headers.", "http_server_config: {headers: {UNKNOWN: 1}}"),
            ],
        ),
        ("`rate_limit`", &[("", "rate_limit: {UNKNOWN: 1}")]),
    ];
    for (section, places) in sections {
        assert_eq!(described_in(section), known_keys_at("--web.config.file", places), "{section}");
    }
}

#[test]
fn the_full_example_has_every_key() {
    let full = yaml("config/full.yaml");
    let keys_of =
        |value: &Value| -> BTreeSet<String> { value.as_object().unwrap().keys().cloned().collect() };
    let known = |file: &str| known_keys("--config.file", file);
    assert_eq!(keys_of(&full), known("UNKNOWN: 1"));
    for mapping in ["quota", "managed_nodes", "metrics", "aws"] {
        assert_eq!(keys_of(&full[mapping]), known(&format!("{mapping}: {{UNKNOWN: 1}}")), "{mapping}");
    }
    assert_eq!(keys_of(&full["organization"]), known(ORGANIZATION));
    let of_rules: BTreeSet<String> =
        full["health"]["rules"].as_array().unwrap().iter().flat_map(keys_of).collect();
    assert_eq!(of_rules, known("health: {rules: [{UNKNOWN: 1, max_run_time: 1h}]}"));
    let accounts = full["accounts"].as_array().unwrap();
    let of_accounts: BTreeSet<String> = accounts.iter().flat_map(keys_of).collect();
    assert_eq!(of_accounts, known("accounts: [{UNKNOWN: 1}]"));
    let of_expectations: BTreeSet<String> =
        full["expectations"].as_array().unwrap().iter().flat_map(keys_of).collect();
    let mut of_an_expectation = known("expectations: [{UNKNOWN: 1, name: a}]");
    // In a comment, because there is no such file.
    assert!(of_an_expectation.remove("request_file"));
    assert_eq!(of_expectations, of_an_expectation);
    let role = &full["accounts"][0]["assume_roles"][0];
    assert_eq!(keys_of(role), known(&format!("accounts: [{{{ROLE}}}]")));
}

#[test]
fn the_reference_describes_every_flag_with_its_default() {
    let (status, help, _) = run(program().arg("--help"));
    assert_eq!(status, Some(0));
    let mut flags: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut last = String::new();
    for line in help.lines() {
        // Help texts are indented further than flags.
        let is_text = line.starts_with("        ");
        let line = line.trim();
        let long = line.strip_prefix("-h, ").or_else(|| line.strip_prefix("-V, ")).unwrap_or(line);
        if long.starts_with("--") && !is_text {
            last = long.split(' ').next().unwrap().to_owned();
            flags.insert(last.clone(), None);
        }
        if let Some((_, rest)) = line.split_once("[default: ") {
            let default = rest.split_once(']').unwrap().0;
            flags.insert(last.clone(), Some(default.to_owned()));
        }
    }
    assert!(flags.len() > 10, "{help}");

    let described: BTreeSet<String> =
        described_in("Command line").into_iter().filter(|span| span.starts_with("--")).collect();
    assert_eq!(described, flags.keys().cloned().collect());
    let reference = text(REFERENCE);
    for (flag, default) in flags {
        let Some(default) = default else { continue };
        let row = format!("| `{flag}` | `{default}` |");
        assert!(reference.contains(&row), "{REFERENCE} has no row that begins with {row}");
    }
}

/// GitHub ignores a form that breaks these rules, without saying so anywhere else.
#[test]
fn issue_forms_follow_the_rules_of_github() {
    const FORMS: &str = ".github/ISSUE_TEMPLATE";
    let mut forms = 0;
    for entry in fs::read_dir(place(FORMS)).unwrap() {
        let name = format!("{FORMS}/{}", entry.unwrap().file_name().to_str().unwrap());
        let form = yaml(&name);
        assert!(form["name"].is_string() && form["description"].is_string(), "{name}");
        let mut ids = BTreeSet::new();
        for element in form["body"].as_array().unwrap() {
            let attribute = match element["type"].as_str().unwrap() {
                "markdown" => "value",
                "input" | "textarea" => "label",
                other => panic!("{name}: unsupported element type {other}"),
            };
            assert!(element["attributes"][attribute].is_string(), "{name}: {element}");
            let Some(id) = element["id"].as_str() else { continue };
            assert!(ids.insert(id.to_owned()), "{name}: the id {id} is not unique");
        }
        assert!(!ids.is_empty(), "{name} has no fields");
        forms += 1;
    }
    assert!(forms > 0, "no forms in {FORMS}");
}
