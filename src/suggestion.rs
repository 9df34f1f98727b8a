//! Suggests what was probably meant in place of a name that is not known.

/// The name in lower case without the characters that separate words, by which people spell names
/// differently: `config.file`, `config-file`, `configFile`.
pub(crate) fn squash(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The known name that is most similar to `given`, unless none is similar.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // To compare a long text takes long.
    let is_comparable = |known: &&str| given.len() <= 4 * known.len();
    known
        .into_iter()
        .filter(is_comparable)
        .map(|known| (strsim::jaro_winkler(given, known), known))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(similarity, _)| *similarity > 0.7)
        .map(|(_, nearest)| nearest)
}
