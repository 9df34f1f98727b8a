//! Which media type is sent: `Accept`.

use std::cmp::Reverse;

use mediatype::names::Q;
use mediatype::{MediaTypeList, ReadParams as _};

use super::Weight;

/// A media type that can be had.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// The part before the slash.
    pub main: &'static str,
    /// The part behind it.
    pub sub: &'static str,
    /// What it can be had with.
    pub parameters: &'static [Parameter],
}

/// A parameter of a media type: its name, and the values that it can have.
pub type Parameter = (&'static str, &'static [&'static str]);

/// What a client says in `Accept`.
#[derive(Debug, Default)]
pub struct Accept {
    ranges: Vec<Range>,
}

/// A media type, or many, with how much they are liked.
#[derive(Debug)]
struct Range {
    main: String,
    sub: String,
    parameters: Vec<(String, String)>,
    weight: Weight,
}

impl Accept {
    /// Reads the values of the header, of which there may be several. Items that
    /// are rubbish are passed over.
    #[must_use]
    pub fn read<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let items = values.into_iter().flat_map(MediaTypeList::new).filter_map(Result::ok);
        let range = |item: mediatype::MediaType<'_>| {
            let weight = match item.get_param(Q) {
                Some(weight) => Weight::read(&weight.unquoted_str())?,
                None => Weight::FULL,
            };
            let parameters = item
                .params()
                // What stands behind the weight is not about the media type.
                .take_while(|(name, _)| *name != Q)
                .map(|(name, value)| (name.as_str().to_owned(), value.unquoted_str().into_owned()))
                .collect();
            // A suffix, such as `+json`, is a part of the name to us.
            let sub = item
                .suffix
                .map_or_else(|| item.subty.to_string(), |suffix| format!("{}+{suffix}", item.subty));
            Some(Range { main: item.ty.to_string(), sub, parameters, weight })
        };
        Self { ranges: items.filter_map(range).collect() }
    }

    /// The index of the offer that the client likes best, and the values that it
    /// wants the parameters to have; `None` if it likes none. Of those that it
    /// likes alike it gets what it names more exactly, then what it names first,
    /// then what is offered first.
    #[must_use]
    pub fn best(&self, offers: &[Offer]) -> Option<(usize, &[(String, String)])> {
        let liked = |(index, offer): (usize, &Offer)| {
            // The most exact range that an offer falls under tells its weight.
            let fitting = self.ranges.iter().enumerate();
            let (position, range) = fitting
                .filter(|(_, range)| range.covers(offer))
                .max_by_key(|(position, range)| (range.exactness(), Reverse(*position)))?;
            let rank = (range.weight, range.exactness(), Reverse(position), Reverse(index));
            (range.weight > Weight::REFUSED).then_some((rank, index, &*range.parameters))
        };
        let best = offers.iter().enumerate().filter_map(liked).max_by_key(|(rank, ..)| *rank);
        best.map(|(_, index, parameters)| (index, parameters))
    }
}

impl Range {
    fn covers(&self, offer: &Offer) -> bool {
        let is = |range: &str, offer: &str| range == "*" || range.eq_ignore_ascii_case(offer);
        let has = |(name, value): &(String, String)| {
            let mut offered = offer.parameters.iter().filter(|(known, _)| name.eq_ignore_ascii_case(known));
            offered.any(|(_, values)| values.iter().any(|known| value.eq_ignore_ascii_case(known)))
        };
        is(&self.main, offer.main) && is(&self.sub, offer.sub) && self.parameters.iter().all(has)
    }

    fn exactness(&self) -> (bool, bool, usize) {
        (self.main != "*", self.sub != "*", self.parameters.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFERS: [Offer; 3] = [
        Offer { main: "text", sub: "plain", parameters: &[("version", &["0.0.4"]), ("charset", &["utf-8"])] },
        Offer {
            main: "text",
            sub: "plain",
            parameters: &[("version", &["1.0.0"]), ("escaping", &["a", "b"])],
        },
        Offer { main: "application", sub: "vnd.x+json", parameters: &[("proto", &["a.B"])] },
    ];

    fn best(values: &[&str]) -> Option<usize> {
        Accept::read(values.iter().copied()).best(&OFFERS).map(|(index, _)| index)
    }

    #[test]
    fn the_weight_decides() {
        assert_eq!(best(&["text/plain;version=0.0.4;q=0.3, text/plain;version=1.0.0;q=0.4"]), Some(1));
        assert_eq!(best(&["text/plain;version=0.0.4;q=0.301,text/plain;version=1.0.0;q=0.3"]), Some(0));
        assert_eq!(best(&["text/plain;q=0.9", "application/vnd.x+json"]), Some(2));
        assert_eq!(best(&["*/*;q=0.1, application/*;q=0.2"]), Some(2));
    }

    #[test]
    fn the_most_exact_range_tells_the_weight() {
        assert_eq!(best(&["text/plain;version=0.0.4;q=0, text/plain;q=0.5"]), Some(1));
        assert_eq!(best(&["text/*;q=0, */*;q=0.1"]), Some(2));
        assert_eq!(
            best(&["text/plain, text/plain;version=0.0.4;q=0.1, text/plain;version=1.0.0;q=0.2"]),
            Some(1)
        );
    }

    #[test]
    fn of_what_is_liked_alike_the_exact_the_first_and_ours_in_this_order() {
        assert_eq!(best(&["*/*, application/vnd.x+json"]), Some(2));
        assert_eq!(best(&["application/vnd.x+json, text/plain"]), Some(2));
        assert_eq!(best(&["text/plain, application/vnd.x+json"]), Some(0));
        assert_eq!(best(&["*/*"]), Some(0));
        assert_eq!(best(&["TEXT/Plain"]), Some(0));
    }

    #[test]
    fn parameters_have_to_fit_and_the_wished_for_value_is_told() {
        assert_eq!(best(&["text/plain;version=0.0.5"]), None);
        assert_eq!(best(&["text/plain;format=flowed"]), None);
        assert_eq!(best(&["text/plain; Charset=\"UTF-8\""]), Some(0));
        let accept = Accept::read(["text/plain;escaping=b;q=0.5;extension=x"]);
        let (index, parameters) = accept.best(&OFFERS).unwrap();
        assert_eq!((index, parameters), (1, &[("escaping".to_owned(), "b".to_owned())][..]));
    }

    #[test]
    fn what_is_refused_or_rubbish_is_not_liked() {
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
        assert_eq!(best(&["rubbish, text/plain;;, application/vnd.x+json;proto=a.b"]), Some(2));
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_can_say_is_too_much(value in ".{0,300}") {
            prop_assert!(Accept::read([&*value]).best(&OFFERS).is_none_or(|(index, _)| index < OFFERS.len()));
        }
    }
}
