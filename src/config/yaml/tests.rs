use super::*;

fn value_of(text: &str, key: &str) -> Value {
    Document::parse(text).unwrap().to_dict().unwrap()[key].clone()
}

#[test]
fn scalars_stay_text() {
    for scalar in ["012345678901", "0777", "1e3", "0x1F", "true", "no", "1_000", "2026-01-01"] {
        assert_eq!(value_of(&format!("key: {scalar}"), "key").as_str(), Some(scalar));
    }
    assert_eq!(value_of("key: \"null\"", "key").as_str(), Some("null"));
}

#[test]
fn an_empty_document_is_an_empty_mapping() {
    assert!(Document::parse("# nothing\n").unwrap().to_dict().unwrap().is_empty());
    assert!(Document::parse("").unwrap().to_dict().unwrap().is_empty());
}

#[test]
fn every_value_has_a_position() {
    let document = Document::parse("a: 1\nb:\n  - id: x\n  - id: y\n    z: [p, q]\n").unwrap();
    let at = |path: &[Segment]| {
        let Position { line, column } = document.locate(&KeyPath::from(path.to_vec()));
        (line, column)
    };
    assert_eq!(at(&["a".into()]), (1, 4));
    assert_eq!(at(&["b".into()]), (2, 1));
    assert_eq!(at(&["b".into(), 1.into(), "id".into()]), (4, 9));
    assert_eq!(at(&["b".into(), 1.into(), "z".into(), 1.into()]), (5, 12));
    assert_eq!(at(&["b".into(), 1.into(), "missing".into()]), (4, 5));
}

#[test]
fn aliases_are_followed_up_to_a_limit() {
    assert_eq!(value_of("a: &x [1, 2]\nb: *x\n", "b"), value_of("b: [1, 2]\n", "b"),);
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let previous = format!("*a{}", level - 1);
        bomb = format!("{bomb}a{level}: &a{level} [{}]\n", vec![previous; 10].join(", "));
    }
    let error = Document::parse(&bomb).unwrap_err();
    assert_eq!(error.message, "more than 300000 keys and values, with those that aliases repeat");
}

#[test]
fn unsupported_yaml_is_rejected_with_its_position() {
    for (text, position, message) in [
        ("a: 1\na: 2\n", (2, 1), "the key `a` is set twice, first on line 1; remove one of the two"),
        ("a: 1\n\"a\": 2\n", (2, 1), "the key `a` is set twice, first on line 1; remove one of the two"),
        (
            "é: {'b': 1, 'b': [2]}\n",
            (1, 13),
            "the key `b` is set twice, first on line 1; remove one of the two",
        ),
        ("a: 1\n---\nb: 2\n", (3, 1), "a second document begins here; the file may have only one"),
        ("a: &x\n  b: *x\n", (2, 6), "the alias refers to the collection that it is in"),
        ("a: [b, ]\nc:\n  - d\n  -\n", (4, 4), "the list entry is empty; fill it in or remove it"),
        (
            &format!(
                "a: &x {}{}\nb: {}*x{}\n",
                "[".repeat(20),
                "]".repeat(20),
                "[".repeat(20),
                "]".repeat(20)
            ),
            (2, 24),
            "nested more than 32 levels deep",
        ),
        (
            "a: &x b\n*x : c\n",
            (2, 1),
            "a key must be written as a string, not as null, an alias, a list or a mapping",
        ),
        (
            "? [a, b]\n: 1\n",
            (1, 3),
            "a key must be written as a string, not as null, an alias, a list or a mapping",
        ),
        (&"[".repeat(100), (1, 34), "nested more than 32 levels deep"),
    ] {
        let error = Document::parse(text).unwrap_err();
        let Position { line, column } = error.position;
        assert_eq!(((line, column), error.message.as_str()), (position, message), "{text}");
    }
    let error = Document::parse("a: [1\nb: 2\n").unwrap_err();
    assert_eq!(error.position.line, 2);
    assert!(error.message.starts_with("not YAML: "), "{}", error.message);
}

fn error_of(text: &str) -> ((usize, usize), String) {
    let SyntaxError { position, message } = Document::parse(text).unwrap_err();
    ((position.line, position.column), message)
}

#[test]
fn merge_keys_add_the_keys_of_other_mappings() {
    let merged = "c: {k: own, l: b, m: b, n: a}\n";
    for text in [
        // A key of the mapping itself takes precedence, wherever the merge key is.
        "c:\n  <<: [*b, *a]\n  k: own\n",
        "c:\n  k: own\n  <<: [*b, *a]\n",
        "c: {k: own, <<: [*b, {<<: *a}]}\n",
        // As `yq` writes it.
        "c:\n  !!merge <<: [*b, *a]\n  k: own\n",
        // A merged mapping may have a merge key itself.
        "d: &d {<<: [*b, *a]}\nc: {k: own, <<: *d}\n",
    ] {
        let anchors = "a: &a {k: a, l: a, n: a}\nb: &b {k: b, l: b, m: b}\n";
        let text = format!("{anchors}{text}");
        assert_eq!(value_of(&text, "c"), value_of(merged, "c"), "{text}");
    }
    assert_eq!(value_of("a: [{<<: {b: 1}}]\n", "a"), value_of("a: [{b: 1}]\n", "a"));
    // In quotes it is a key, such as the name of a user.
    assert_eq!(value_of("a: {\"<<\": 1}\n", "a").into_dict().unwrap()["<<"].as_str(), Some("1"));

    let document = Document::parse("a: &a\n  k: 1\n  l: [2]\nb:\n  <<: *a\n  m: 3\n").unwrap();
    let at = |keys: [&str; 2]| document.locate(&KeyPath::from(keys.map(Segment::from).to_vec()));
    assert_eq!(at(["b", "k"]), Position { line: 2, column: 6 }, "where it is written");
    assert_eq!(at(["b", "l"]), Position { line: 3, column: 3 });
    assert_eq!(at(["b", "m"]), Position { line: 6, column: 6 });
}

#[test]
fn a_merge_key_that_merges_no_mapping_is_rejected() {
    const EXPECTED: &str = "`<<` merges other mappings; expected an alias of a mapping, such as `<<: *name`, or a list of \
                            such aliases";
    for (text, position) in [
        ("a: &a 1\nb: {<<: *a}\n", (2, 9)),
        ("a: {<<: }\n", (1, 7)),
        ("a: {<<: b}\n", (1, 9)),
        ("a: {<<: [{b: 1}, c]}\n", (1, 18)),
    ] {
        assert_eq!(error_of(text), (position, EXPECTED.to_owned()), "{text}");
    }
    assert_eq!(
        error_of("a: &a {b: 1}\nc:\n  <<: *a\n  <<: *a\n"),
        (
            (4, 3),
            "the key `<<` is set twice, first on line 3; merge a list of mappings, such as `<<: [*a, *b]`"
                .to_owned()
        )
    );
}

#[test]
fn tags_of_the_core_schema_are_accepted() {
    for text in [
        "a: !!str 5m",
        "a: !!int 5m",
        "a: !!bool 5m",
        "a: !!float 5m",
        "a: ! 5m",
        "a: !<tag:yaml.org,2002:str> 5m",
    ] {
        assert_eq!(value_of(text, "a").as_str(), Some("5m"), "{text}");
    }
    for text in ["a: !!str null", "a: ! null", "a: \"null\""] {
        assert_eq!(value_of(text, "a").as_str(), Some("null"), "{text}");
    }
    for text in ["a: !!null null", "a: !!null", "a: NULL", "a: ~", "a:"] {
        assert_eq!(value_of(text, "a"), Value::from(Empty::None), "{text}");
    }
    assert_eq!(value_of("a: !!seq [!!map {b: c}]", "a"), value_of("a: [{b: c}]", "a"));
    assert_eq!(value_of("!!str a: !!str", "a").as_str(), Some(""));
}

#[test]
fn other_tags_are_rejected_by_name() {
    // Otherwise the exporter would start with the name of a variable instead of its value.
    for (text, position, tag) in [
        ("a: !env NAME", (1, 4), "!env"),
        ("a: !vault |\n  c2VjcmV0\n", (1, 4), "!vault"),
        ("a: !!binary aGFsbG8=", (1, 4), "!!binary"),
        ("a: !!timestamp 2026-01-01", (1, 4), "!!timestamp"),
        ("a: !!null b", (1, 4), "!!null"),
        ("a: !!str [b]", (1, 4), "!!str"),
        ("a: !!seq b", (1, 4), "!!seq"),
        ("a: !!set {b: c}", (1, 4), "!!set"),
        ("a: [!include b.yaml]", (1, 5), "!include"),
        ("!key a: b", (1, 1), "!key"),
        ("%TAG !e! tag:example.com,2026:\n---\na: !e!b c", (3, 4), "tag:example.com,2026:!b"),
    ] {
        assert_eq!(error_of(text).1, format!("the tag `{tag}` is not supported here; remove it"), "{text}");
        assert_eq!(error_of(text).0.0, position.0, "{text}");
    }
}

#[test]
fn a_key_is_neither_null_nor_missing() {
    for text in ["~: 1", "null: 1", ": 1", "{a, : 1}", "? \n: 1"] {
        assert!(error_of(text).1.starts_with("a key must be written as a string, not as null"), "{text}");
    }
    for text in ["\"\": 1", "!!str : 1"] {
        assert_eq!(value_of(text, "").as_str(), Some("1"), "{text}");
    }
    assert_eq!(value_of("\"null\": 1", "null").as_str(), Some("1"));
    assert_eq!(value_of("5: 1\ntrue: 2\n", "5").as_str(), Some("1"));
}

#[test]
fn line_ends_of_other_systems_do_not_change_positions() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["a: 1", "# b", "b: |", "  c", "  d", "e: 2", ""].join(end);
        let document = Document::parse(&text).unwrap();
        assert_eq!(
            document.locate(&KeyPath::default().join("e")),
            Position { line: 6, column: 4 },
            "{end:?}"
        );
        assert_eq!(value_of(&text, "b").as_str(), Some("c\nd\n"), "{end:?}");
    }
}

#[test]
fn the_expanded_size_of_a_document_is_limited() {
    // Each of these took gigabytes of memory.
    let aliases = format!("a: &a {}\nb: [{}]\n", "x".repeat(1_000_000), "*a, ".repeat(20_000));
    assert_eq!(error_of(&aliases).1, "more than 16 MiB of text, with what aliases repeat");
    let nested_anchors = format!("a: {}{}x{}\n", "&a [".repeat(30), "x, ".repeat(100_000), "]".repeat(30));
    assert_eq!(
        error_of(&nested_anchors).1,
        "more than 300000 keys and values, with those that aliases repeat"
    );
    let merged = format!(
        "a: &a {{{}}}\nb:\n{}",
        (0..1000).map(|key| format!("k{key}: 1, ")).collect::<Vec<_>>().concat(),
        "  - <<: *a\n".repeat(1000)
    );
    assert_eq!(error_of(&merged).1, "more than 300000 keys and values, with those that aliases repeat");
    let commas = format!("a: [{}]\n", "a,".repeat(2_000_000));
    assert_eq!(
        error_of(&commas),
        ((1, 600_006), "more than 300000 commas, and thus keys and values".to_owned())
    );
    let keys = (0..200_000).map(|key| format!("k{key}: 1\n")).collect::<Vec<_>>().concat();
    assert_eq!(error_of(&keys), ((10_001, 1), "the mapping has more than 10000 keys".to_owned()));
}

#[test]
fn no_nesting_is_too_deep_for_the_stack() {
    for text in ["[", "{", "- ", "? ", "[{", "a: [", "- - ", "? - ", "[[]"] {
        let text = text.repeat(100_000);
        let message = error_of(&text).1;
        assert!(
            message == "nested more than 32 levels deep"
                || message.starts_with("a key must be")
                || message.starts_with("not YAML"),
            "{message}"
        );
    }
    let lines = (0..5_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<Vec<_>>().concat();
    assert_eq!(error_of(&lines).1, "nested more than 32 levels deep");
}
