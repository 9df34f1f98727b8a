//! How a body is compressed: `Accept-Encoding`.

use super::Weight;

/// How a body is compressed on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// As RFC 1952 has it.
    Gzip,
    /// As RFC 8878 has it.
    Zstd,
    /// Not at all.
    Identity,
}

impl Coding {
    /// All of them in their order, the one we like best first. zstd would be smaller and quicker,
    /// but a body that is put together has many frames, and some clients read the
    /// first only; who likes zstd best gets it.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::Identity];

    /// What stands in `Content-Encoding`; nothing without compression.
    #[must_use]
    pub fn token(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// The one that a client likes best which sends these values of
    /// `Accept-Encoding`. One who refuses all of them gets
    /// [`Identity`](Self::Identity), which the standard allows: there is nothing
    /// else to give.
    #[must_use]
    pub fn best<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut wishes = Wishes::default();
        let items = values.into_iter().flat_map(|value| value.split(','));
        items.filter_map(wish).for_each(|(name, weight)| wishes.add(name, weight));
        let liked = Self::ALL.map(|coding| (wishes.weight(coding), coding));
        // The first of equals, so the one we like best.
        let best = liked.into_iter().rev().max_by_key(|(weight, _)| *weight);
        best.filter(|(weight, _)| *weight > Weight::REFUSED).map_or(Self::Identity, |(_, coding)| coding)
    }

    fn named(name: &str) -> Option<Self> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match () {
            () if is("identity") => Some(Self::Identity),
            // An old name, which RFC 9110 wants to be taken as the same.
            () if is("gzip") || is("x-gzip") => Some(Self::Gzip),
            () if is("zstd") => Some(Self::Zstd),
            () => None,
        }
    }
}

/// What a client wishes.
#[derive(Default)]
struct Wishes {
    named: Vec<(Coding, Weight)>,
    any: Option<Weight>,
}

impl Wishes {
    fn add(&mut self, name: &str, weight: Weight) {
        if name == "*" {
            self.any = Some(weight);
        } else if let Some(coding) = Coding::named(name) {
            self.named.push((coding, weight));
        }
    }

    fn weight(&self, coding: Coding) -> Weight {
        let named = self.named.iter().find(|(named, _)| *named == coding).map(|(_, weight)| *weight);
        named.or(self.any).unwrap_or(match coding {
            // Always acceptable unless refused, and liked less than all that is
            // asked for by name.
            Coding::Identity => Weight(1),
            _ => Weight::REFUSED,
        })
    }
}

/// One item, such as `gzip;q=0.5`; `None` for rubbish.
fn wish(item: &str) -> Option<(&str, Weight)> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = match parts.next() {
        None => Weight::FULL,
        Some(parameter) => {
            let (key, value) = parameter.split_once('=')?;
            Some(key).filter(|key| key.eq_ignore_ascii_case("q"))?;
            Weight::read(value)?
        }
    };
    parts.next().is_none().then_some((name, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_what_is_wished_for() {
        use Coding::{Gzip, Identity, Zstd};
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
            assert_eq!(Coding::best(values.iter().copied()), coding, "{values:?}");
        }
    }

    #[test]
    fn what_is_refused_is_not_sent() {
        use Coding::{Gzip, Identity};
        for (value, coding) in [
            ("gzip;q=0", Identity),
            ("gzip;q=0.000, zstd;q=0", Identity),
            ("identity;q=0, gzip;q=0.1", Gzip),
            ("*;q=0, gzip", Gzip),
            // Nothing is left, and an error would help nobody.
            ("*;q=0", Identity),
            ("identity;q=0", Identity),
        ] {
            assert_eq!(Coding::best([value]), coding, "{value}");
        }
    }

    #[test]
    fn rubbish_is_passed_over() {
        for value in
            ["gzip;q=2, zstd;q=x", ";q=1", ",,,", "gzip;level=9", "gzip;q=1;q=1", "\"gzip\"", "gzip zstd"]
        {
            assert_eq!(Coding::best([value]), Coding::Identity, "{value}");
        }
        assert_eq!(Coding::best(["zstd;q=oops, gzip;q=0.3,;,"]), Coding::Gzip);
    }
}
