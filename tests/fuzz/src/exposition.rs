//! A strict parser of the Prometheus text format.

use std::collections::HashSet;

/// The reasons why a collection fails, a closed list.
const REASONS: [&str; 12] = [
    "assume_role_denied",
    "access_denied",
    "scp_denied",
    "credentials",
    "region_disabled",
    "throttled",
    "timeout",
    "connection",
    "server_error",
    "invalid_response",
    "pagination",
    "other",
];

/// Checks that every line is valid, that no series occurs twice, and that reasons are known.
pub fn check(text: &str) {
    assert!(text.ends_with('\n'), "the last line is not complete");
    let mut series = HashSet::new();
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(comment) => {
                assert!(comment.starts_with("HELP ") || comment.starts_with("TYPE "), "{line:?}")
            }
            None => {
                let sample = Sample::parse(line).unwrap_or_else(|| panic!("invalid line: {line:?}"));
                let is_reason = |name| name == "reason" && sample.name.contains("_target_");
                for (name, value) in &sample.labels {
                    assert!(!is_reason(name) || REASONS.contains(&value.as_str()), "{line:?}");
                }
                assert!(series.insert((sample.name, sample.labels)), "twice: {line:?}");
            }
        }
    }
}

struct Sample {
    name: String,
    labels: Vec<(String, String)>,
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let mut rest = line;
        let name = take_name(&mut rest)?;
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                if !labels.is_empty() {
                    rest = rest.strip_prefix(',')?;
                }
                let label = take_name(&mut rest)?;
                rest = rest.strip_prefix("=\"")?;
                labels.push((label, take_value(&mut rest)?));
            }
            rest = rest.strip_prefix('}')?;
        }
        rest.strip_prefix(' ')?.parse::<f64>().ok()?;
        labels.sort();
        let names: HashSet<_> = labels.iter().map(|(name, _)| name).collect();
        (names.len() == labels.len()).then_some(Self { name, labels })
    }
}

fn take_name(rest: &mut &str) -> Option<String> {
    let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')?;
    let (name, after) = rest.split_at(end);
    *rest = after;
    name.starts_with(|first: char| !first.is_ascii_digit()).then(|| name.to_owned())
}

/// A label value up to its closing quote.
fn take_value(rest: &mut &str) -> Option<String> {
    let mut value = String::new();
    let mut letters = rest.char_indices();
    loop {
        match letters.next()?.1 {
            '"' => break,
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                _ => return None,
            }),
            letter => value.push(letter),
        }
    }
    *rest = letters.as_str();
    Some(value)
}
