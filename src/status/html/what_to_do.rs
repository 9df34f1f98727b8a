//! What to do about a problem or a concern, with commands and documents to copy.

use maud::{Markup, html};

use super::components::{backticks_to_code, untrusted};
use crate::health::remedy::{Advice, Detail, Step};

/// The remedy, and the steps with what to copy. The script adds buttons that copy.
pub(super) fn what_to_do(advice: &Advice) -> Markup {
    html! {
        div.what-to-do {
            @if let Some(explanation) = advice.explanation { p { (backticks_to_code(explanation)) } }
            p.remedy { (backticks_to_code(advice.remedy)) }
            @if !advice.steps.is_empty() {
                ol.steps { @for step in &advice.steps { li { (step_markup(step)) } } }
            }
            p.sources {
                a href=(advice.runbook_url) rel="noreferrer" { "Runbook" }
                @if let Some(source) = advice.source { " · " a href=(source) rel="noreferrer" { "AWS documentation" } }
            }
        }
    }
}

fn step_markup(Step { text, detail }: &Step) -> Markup {
    html! {
        p { (backticks_to_code(text)) }
        @match detail {
            None => {},
            Some(Detail::Command { text, deletes }) => {
                @if *deletes { p.deletes { "This command deletes the sync." } }
                (to_copy(text))
            },
            Some(Detail::OmittedCommand) => {
                p.omitted {
                    "The command is not shown: a value from AWS in it has characters that are not printable, or would be "
                    "taken for a reference to a file."
                }
            },
            Some(Detail::Document(text)) => (to_copy(text)),
            Some(Detail::List(names)) => { ul.names { @for name in names { li { (untrusted(name)) } } } },
        }
    }
}

/// A text with a button that copies it, which the script shows.
fn to_copy(text: &str) -> Markup {
    html! {
        div.to-copy {
            pre tabindex="0" { code dir="ltr" { (text) } }
            button.copy type="button" hidden { "Copy" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_documents_and_lists_are_escaped() {
        const HOSTILE: &str = "</code></pre><script>alert(1)</script>";
        let step = |detail| Step { text: "Run `it`.".into(), detail: Some(detail) };
        let advice = Advice {
            title: "Title".into(),
            explanation: None,
            remedy: "Do `it`.",
            steps: vec![
                step(Detail::Command { text: HOSTILE.to_owned(), deletes: true }),
                step(Detail::Document(HOSTILE.to_owned())),
                step(Detail::List(vec![HOSTILE.to_owned()])),
                step(Detail::OmittedCommand),
            ],
            source: None,
            runbook_url: "https://example.com/".to_owned(),
        };
        let html = what_to_do(&advice).into_string();
        assert!(!html.contains("<script"), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 3, "{html}");
        assert_eq!(html.matches("This command deletes the sync.").count(), 1, "{html}");
        assert_eq!(html.matches("<button class=\"copy\" type=\"button\" hidden>").count(), 2, "{html}");
        assert!(html.contains("<p class=\"remedy\">Do <code>it</code>.</p>"), "{html}");
    }
}
