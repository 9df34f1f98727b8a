//! The content codings, which compress a body, and their negotiation by `Accept-Encoding`.

use strum::{EnumString, IntoStaticStr};

use super::Weight;

/// A content coding, as in `Content-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr)]
#[strum(ascii_case_insensitive, serialize_all = "lowercase")]
pub enum ContentCoding {
    /// RFC 1952. RFC 9110 recommends treating `x-gzip` as equivalent.
    #[strum(to_string = "gzip", serialize = "x-gzip")]
    Gzip,
    /// RFC 8878.
    Zstd,
    /// No compression.
    Identity,
}

impl ContentCoding {
    /// All codings, in the server's order of preference. zstd is faster than gzip and its
    /// output is smaller, but a body of the exporter has many zstd frames, and some clients
    /// read only the first. zstd is therefore used only for clients that do not accept gzip
    /// or prefer zstd to it.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::Identity];

    /// The value of `Content-Encoding`; `None` without compression.
    #[must_use]
    pub fn token(self) -> Option<&'static str> {
        (self != Self::Identity).then(|| self.into())
    }

    /// The acceptable coding with the highest weight in these values of `Accept-Encoding`.
    /// [`Identity`](Self::Identity) if none is acceptable, which RFC 9110 permits.
    ///
    /// ```
    /// use ssm_sync_exporter::negotiation::ContentCoding;
    ///
    /// assert_eq!(ContentCoding::negotiate(["gzip, zstd"]), ContentCoding::Gzip);
    /// assert_eq!(ContentCoding::negotiate(["gzip;q=0.5, zstd"]), ContentCoding::Zstd);
    /// assert_eq!(ContentCoding::negotiate(["gzip;q=0"]), ContentCoding::Identity);
    /// ```
    #[must_use]
    pub fn negotiate<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut accepted = AcceptEncoding::default();
        let items = values.into_iter().flat_map(|value| value.split(','));
        items.filter_map(parse_item).for_each(|(name, weight)| accepted.add(name, weight));
        let weighted = Self::ALL.map(|coding| (accepted.weight(coding), coding));
        // Reversed, because `max_by_key` returns the last of several maxima.
        let best = weighted.into_iter().rev().max_by_key(|(weight, _)| *weight);
        best.filter(|(weight, _)| *weight > Weight::NOT_ACCEPTABLE)
            .map_or(Self::Identity, |(_, coding)| coding)
    }
}

#[derive(Default)]
struct AcceptEncoding {
    named: Vec<(ContentCoding, Weight)>,
    /// The weight of `*`.
    wildcard: Option<Weight>,
}

impl AcceptEncoding {
    fn add(&mut self, name: &str, weight: Weight) {
        if name == "*" {
            self.wildcard = Some(weight);
        } else if let Ok(coding) = name.parse() {
            self.named.push((coding, weight));
        }
    }

    fn weight(&self, coding: ContentCoding) -> Weight {
        let own = self.named.iter().find(|(named, _)| *named == coding).map(|(_, weight)| *weight);
        own.or(self.wildcard).unwrap_or(match coding {
            // Acceptable unless the client excludes it, but every named coding is preferred.
            ContentCoding::Identity => Weight(1),
            ContentCoding::Gzip | ContentCoding::Zstd => Weight::NOT_ACCEPTABLE,
        })
    }
}

/// Parses an item such as `gzip;q=0.5`; `None` if it is malformed.
fn parse_item(item: &str) -> Option<(&str, Weight)> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = match parts.next() {
        None => Weight::MAX,
        Some(parameter) => {
            let (key, value) = parameter.split_once('=')?;
            Some(key).filter(|key| key.eq_ignore_ascii_case("q"))?;
            Weight::parse(value)?
        }
    };
    parts.next().is_none().then_some((name, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_acceptable_coding_with_the_highest_weight_is_chosen() {
        use ContentCoding::{Gzip, Identity, Zstd};
        for (values, coding) in [
            (&[][..], Identity),
            (&[""], Identity),
            (&["gzip"], Gzip),
            (&["GZip"], Gzip),
            (&["x-gzip"], Gzip),
            (&["zstd"], Zstd),
            (&["gzip, zstd"], Gzip),
            (&["gzip, deflate, br, zstd"], Gzip),
            (&["gzip", "zstd"], Gzip),
            (&["gzip;q=1.0, zstd;q=0.9"], Gzip),
            (&["gzip;q=0.9, zstd"], Zstd),
            (&["gzip;q=0.5", "zstd; q=0.4"], Gzip),
            (&["gzip;Q=0.001"], Gzip),
            (&["identity"], Identity),
            (&["identity, gzip;q=0.5"], Identity),
            (&["identity;q=0.5, gzip"], Gzip),
            (&["*"], Gzip),
            (&["*;q=0.5, gzip"], Gzip),
            (&["zstd;q=0, *"], Gzip),
            (&["gzip;q=0, *"], Zstd),
            (&["br, deflate"], Identity),
        ] {
            assert_eq!(ContentCoding::negotiate(values.iter().copied()), coding, "{values:?}");
        }
    }

    #[test]
    fn a_weight_of_zero_excludes_a_coding() {
        use ContentCoding::{Gzip, Identity};
        for (value, coding) in [
            ("gzip;q=0", Identity),
            ("gzip;q=0.000, zstd;q=0", Identity),
            ("identity;q=0, gzip;q=0.1", Gzip),
            ("*;q=0, gzip", Gzip),
            // No coding is acceptable. An error would not help the client.
            ("*;q=0", Identity),
            ("identity;q=0", Identity),
        ] {
            assert_eq!(ContentCoding::negotiate([value]), coding, "{value}");
        }
    }

    #[test]
    fn malformed_and_unknown_items_are_ignored() {
        for value in
            ["gzip;q=2, zstd;q=x", ";q=1", ",,,", "gzip;level=9", "gzip;q=1;q=1", "\"gzip\"", "gzip zstd"]
        {
            assert_eq!(ContentCoding::negotiate([value]), ContentCoding::Identity, "{value}");
        }
        assert_eq!(ContentCoding::negotiate(["zstd;q=oops, gzip;q=0.3,;,"]), ContentCoding::Gzip);
    }
}
