//! The negotiation of the media type by `Accept`.

use std::cmp::Reverse;

use mediatype::names::Q;
use mediatype::{MediaTypeList, ReadParams as _};

use super::Weight;

/// A media type that the server can send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// The part before the slash.
    pub(crate) type_name: &'static str,
    /// The part after the slash.
    pub(crate) subtype: &'static str,
    /// The parameters that distinguish offers. All others of a media range are ignored, because a
    /// client that adds one still prefers this type to the types that follow.
    pub(crate) parameters: &'static [Parameter],
}

/// The name of a parameter, and the values that the server supports.
type Parameter = (&'static str, &'static [&'static str]);

/// The parsed values of `Accept`.
#[derive(Debug, Default)]
pub struct Accept {
    ranges: Vec<MediaRange>,
}

/// A media range, such as `text/*;q=0.5`.
#[derive(Debug)]
struct MediaRange {
    type_name: String,
    subtype: String,
    parameters: Vec<(String, String)>,
    weight: Weight,
}

impl Accept {
    /// Parses the values of the header, which may be repeated. Malformed items are
    /// ignored.
    #[must_use]
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let items = values.into_iter().flat_map(MediaTypeList::new).filter_map(Result::ok);
        let range = |item: mediatype::MediaType<'_>| {
            let weight = match item.get_param(Q) {
                Some(weight) => Weight::parse(&weight.unquoted_str())?,
                None => Weight::MAX,
            };
            let parameters = item
                .params()
                // Parameters after the weight belong to `Accept`, not to the media type.
                .take_while(|(name, _)| *name != Q)
                .map(|(name, value)| (name.as_str().to_owned(), value.unquoted_str().into_owned()))
                .collect();
            // A suffix, such as `+json`, is compared as a part of the subtype.
            let subtype = item
                .suffix
                .map_or_else(|| item.subty.to_string(), |suffix| format!("{}+{suffix}", item.subty));
            Some(MediaRange { type_name: item.ty.to_string(), subtype, parameters, weight })
        };
        Self { ranges: items.filter_map(range).collect() }
    }

    /// The index of the offer with the highest weight, and the parameters of the range that
    /// it matched; `None` if no offer is acceptable. Among offers of equal weight, the one with
    /// the more specific range wins, then the one whose range comes first in the header, then
    /// the first in `offers`.
    pub(crate) fn best(&self, offers: &[Offer]) -> Option<(usize, &[(String, String)])> {
        let ranked = |(index, offer): (usize, &Offer)| {
            // The most specific range that matches an offer determines its weight.
            let ranges = self.ranges.iter().enumerate();
            let (position, range) = ranges
                .filter(|(_, range)| range.matches(offer))
                .max_by_key(|(position, range)| (range.specificity(offer), Reverse(*position)))?;
            let rank = (range.weight, range.specificity(offer), Reverse(position), Reverse(index));
            (range.weight > Weight::NOT_ACCEPTABLE).then_some((rank, index, &*range.parameters))
        };
        let best = offers.iter().enumerate().filter_map(ranked).max_by_key(|(rank, ..)| *rank);
        best.map(|(_, index, parameters)| (index, parameters))
    }
}

impl MediaRange {
    fn matches(&self, offer: &Offer) -> bool {
        let name_matches = |range: &str, offer: &str| range == "*" || range.eq_ignore_ascii_case(offer);
        name_matches(&self.type_name, offer.type_name)
            && name_matches(&self.subtype, offer.subtype)
            && self
                .requested(offer)
                .all(|(value, offered)| offered.iter().any(|offered| value.eq_ignore_ascii_case(offered)))
    }

    /// The values of the parameters that distinguish the offer, each with those that are offered.
    fn requested<'a>(&'a self, offer: &'a Offer) -> impl Iterator<Item = (&'a str, &'static [&'static str])> {
        self.parameters.iter().filter_map(|(name, value)| {
            let mut known = offer.parameters.iter();
            let (_, offered) = known.find(|(known, _)| name.eq_ignore_ascii_case(known))?;
            Some((value.as_str(), *offered))
        })
    }

    fn specificity(&self, offer: &Offer) -> (bool, bool, usize) {
        (self.type_name != "*", self.subtype != "*", self.requested(offer).count())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFERS: [Offer; 3] = [
        Offer { type_name: "text", subtype: "plain", parameters: &[("version", &["0.0.4"])] },
        Offer { type_name: "text", subtype: "plain", parameters: &[("version", &["1.0.0"])] },
        Offer { type_name: "application", subtype: "vnd.x+json", parameters: &[("proto", &["a.B"])] },
    ];

    fn best(values: &[&str]) -> Option<usize> {
        Accept::parse(values.iter().copied()).best(&OFFERS).map(|(index, _)| index)
    }

    #[test]
    fn the_highest_weight_wins() {
        assert_eq!(best(&["text/plain;version=0.0.4;q=0.3, text/plain;version=1.0.0;q=0.4"]), Some(1));
        assert_eq!(best(&["text/plain;version=0.0.4;q=0.301,text/plain;version=1.0.0;q=0.3"]), Some(0));
        assert_eq!(best(&["text/plain;q=0.9", "application/vnd.x+json"]), Some(2));
        assert_eq!(best(&["*/*;q=0.1, application/*;q=0.2"]), Some(2));
    }

    #[test]
    fn the_most_specific_range_determines_the_weight() {
        assert_eq!(best(&["text/plain;version=0.0.4;q=0, text/plain;q=0.5"]), Some(1));
        assert_eq!(best(&["text/*;q=0, */*;q=0.1"]), Some(2));
        assert_eq!(
            best(&["text/plain, text/plain;version=0.0.4;q=0.1, text/plain;version=1.0.0;q=0.2"]),
            Some(1)
        );
    }

    #[test]
    fn ties_are_broken_by_specificity_then_by_the_header_then_by_the_offers() {
        assert_eq!(best(&["*/*, application/vnd.x+json"]), Some(2));
        assert_eq!(best(&["application/vnd.x+json, text/plain"]), Some(2));
        assert_eq!(best(&["text/plain, application/vnd.x+json"]), Some(0));
        assert_eq!(best(&["*/*"]), Some(0));
        assert_eq!(best(&["TEXT/Plain"]), Some(0));
    }

    #[test]
    fn known_parameters_have_to_match_and_others_are_ignored() {
        assert_eq!(best(&["text/plain;version=0.0.5"]), None);
        assert_eq!(best(&["text/plain;VERSION=\"1.0.0\""]), Some(1));
        assert_eq!(best(&["text/plain ; version=1.0.0 ; Q=0.5"]), Some(1));
        assert_eq!(best(&["application/vnd.x+json;proto=other, text/plain;q=0.1"]), Some(0));
        // Regression: an unknown value of `escaping` made the whole range unacceptable.
        for parameter in [
            "format=flowed",
            "Charset=\"UTF-8\"",
            "charset=latin1",
            "escaping=c",
            "escaping=\"a,b;c=d\"",
            "x=",
        ] {
            let value = format!("text/plain;version=1.0.0;{parameter}, text/plain;q=0.5");
            assert_eq!(best(&[&value]), Some(1), "{value}");
            // An unknown parameter does not make a range more specific.
            let value = format!("application/vnd.x+json, text/plain;{parameter}");
            assert_eq!(best(&[&value]), Some(2), "{value}");
        }
        let accept = Accept::parse(["text/plain;escaping=b;q=0.5;extension=x"]);
        let (index, parameters) = accept.best(&OFFERS).unwrap();
        assert_eq!((index, parameters), (0, &[("escaping".to_owned(), "b".to_owned())][..]));
    }

    #[test]
    fn malformed_and_excluded_types_are_not_acceptable() {
        for value in [
            "",
            "   ",
            ",",
            "text",
            "text/",
            "/plain",
            "text/plain;q=2",
            "text/plain;q=0",
            "text/html",
            "\"\\",
        ] {
            assert_eq!(best(&[value]), None, "{value}");
        }
        assert_eq!(best(&["malformed, text/plain;;, application/vnd.x+json;proto=a.b"]), Some(2));
    }

    proptest! {
        #[test]
        fn no_header_causes_a_panic(value in ".{0,300}") {
            prop_assert!(Accept::parse([&*value]).best(&OFFERS).is_none_or(|(index, _)| index < OFFERS.len()));
        }
    }
}
