//! Replaces words. The same word always gets the same pseudonym, and different words get different
//! ones. A pseudonym has the form of its word: its length, and for each character whether it is a
//! digit, a letter or a capital letter.

use std::collections::{HashMap, HashSet};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

/// Words with more characters are not remembered: that two of them get the same pseudonym is as good
/// as impossible.
const MAX_REMEMBERED_CHARS: usize = 20;

/// The maximum number of words that are remembered, about 20 MB. Further words get a pseudonym that
/// another word may have as well. The names of a thousand accounts have a few thousand words.
const MAX_REMEMBERED: usize = 200_000;

/// The letters of pseudonyms. Without vowels and most of the frequent consonants, pseudonyms are
/// neither words nor the usual abbreviations of them.
const LETTERS: &str = "bcdfgjkqvwxz";

/// The letters of pseudonyms of hexadecimal numbers.
const HEX_LETTERS: &str = "bcdf";

/// The letters of pseudonyms of short words, once there are too many of them for the other letters.
const MANY_LETTERS: &str = "bcdfghjklmnpqrstvwxyz";

/// The characters that replace others, which are not ASCII, by their length in UTF-8.
const NOT_ASCII: [&str; 3] = ["ćđğķłńřšťžźż", "甲乙丙丁戊己庚辛壬癸", "𝒜𝒞𝒟𝒢𝒥𝒦𝒩𝒪"];

/// How many pseudonyms with the same letters and the same length are tried.
const ATTEMPTS: u32 = 16;

#[derive(Debug)]
pub(super) struct Words {
    key: hmac::Key,
    /// By words in lower case.
    pseudonyms: HashMap<Box<str>, Box<str>>,
    used: HashSet<Box<str>>,
}

impl Words {
    /// With a random key, which is forgotten when this is dropped.
    pub(super) fn new() -> Result<Self, Unspecified> {
        let mut key = [0; 32];
        SystemRandom::new().fill(&mut key)?;
        let key = hmac::Key::new(HMAC_SHA256, &key);
        Ok(Self { key, pseudonyms: HashMap::new(), used: HashSet::new() })
    }

    /// The pseudonym of a word of letters and digits. `is_reserved` says which pseudonyms, in lower
    /// case, have a meaning.
    pub(super) fn word(&mut self, word: &str, is_reserved: impl Fn(&str) -> bool) -> String {
        let lower_case = word.to_ascii_lowercase();
        let pseudonym = self.remembered(&lower_case, is_reserved, |words, attempt| {
            let letters = match attempt {
                0..ATTEMPTS if is_hexadecimal(&lower_case) => HEX_LETTERS,
                0..ATTEMPTS => LETTERS,
                _ => MANY_LETTERS,
            };
            let longer = usize::try_from(attempt / (4 * ATTEMPTS)).unwrap_or_default();
            words.same_form(&lower_case, letters, attempt, longer)
        });
        let mut pseudonym = pseudonym.chars();
        let with_case = word.chars().filter_map(|character| {
            let replaced = pseudonym.next()?;
            Some(if character.is_ascii_uppercase() { replaced.to_ascii_uppercase() } else { replaced })
        });
        let mut word: String = with_case.collect();
        word.extend(pseudonym);
        word
    }

    /// Whether the word, in lower case, has a pseudonym.
    pub(super) fn has(&self, word: &str) -> bool {
        self.pseudonyms.contains_key(word)
    }

    /// The pseudonym of a text with a form that only its letters and digits do not tell, such as a
    /// UUID. Two of these texts have different pseudonyms because they are long.
    pub(super) fn hexadecimal(&self, text: &str) -> String {
        let lower_case = text.to_ascii_lowercase();
        let pseudonym = self.same_form(&lower_case, HEX_LETTERS, 0, 0);
        let with_case = pseudonym.chars().zip(text.chars()).map(|(replaced, character)| {
            if character.is_ascii_uppercase() { replaced.to_ascii_uppercase() } else { replaced }
        });
        with_case.collect()
    }

    /// The pseudonym of an IPv4 address: one that is reserved for benchmarks.
    pub(super) fn ipv4(&mut self, address: &str) -> String {
        self.remembered(
            address,
            |_| false,
            |words, attempt| {
                let [first, second, third, ..] = words.block(address, attempt, 0);
                format!("198.{}.{second}.{third}", 18 + first % 2)
            },
        )
    }

    /// The pseudonym of `word`, or the first that `candidate` returns which can be one.
    fn remembered(
        &mut self,
        word: &str,
        is_reserved: impl Fn(&str) -> bool,
        candidate: impl Fn(&Self, u32) -> String,
    ) -> String {
        if let Some(pseudonym) = self.pseudonyms.get(word) {
            return pseudonym.to_string();
        }
        let first = candidate(self, 0);
        if word.chars().count() > MAX_REMEMBERED_CHARS || self.pseudonyms.len() >= MAX_REMEMBERED {
            return first;
        }
        let is_free = |words: &Self, pseudonym: &str| {
            pseudonym != word
                && !words.used.contains(pseudonym)
                && !words.pseudonyms.contains_key(pseudonym)
                && !is_reserved(pseudonym)
        };
        let mut attempt = 0;
        let mut pseudonym = first;
        while !is_free(self, &pseudonym) {
            attempt += 1;
            pseudonym = candidate(self, attempt);
        }
        self.used.insert(pseudonym.as_str().into());
        self.pseudonyms.insert(word.into(), pseudonym.as_str().into());
        pseudonym
    }

    /// A text of the same form as `word`, which is in lower case, and `longer` further letters. A number
    /// starts with 0 only if `word` does, because JSON has no numbers with leading zeros.
    fn same_form(&self, word: &str, letters: &str, attempt: u32, longer: usize) -> String {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        let mut characters = String::with_capacity(word.len());
        let mut block = [0; 32];
        let padding = std::iter::repeat_n(if is_number { '1' } else { 'x' }, longer);
        for (index, character) in word.chars().chain(padding).enumerate() {
            if index % block.len() == 0 {
                block = self.block(word, attempt, index);
            }
            let random = usize::from(block[index % block.len()]);
            let pick = |from: &str| from.chars().nth(random % from.chars().count()).unwrap_or('x');
            characters.push(match character {
                '0' if is_number && index == 0 => '0',
                '1'..='9' if is_number && index == 0 => pick("123456789"),
                '0'..='9' => pick("0123456789"),
                'a'..='z' => pick(letters),
                _ if character.is_ascii() => character,
                _ => pick(NOT_ASCII[character.len_utf8() - 2]),
            });
        }
        characters
    }

    fn block(&self, word: &str, attempt: u32, index: usize) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&attempt.to_be_bytes());
        context.update(&index.to_be_bytes());
        context.update(word.as_bytes());
        let mut block = [0; 32];
        block.copy_from_slice(context.sign().as_ref());
        block
    }
}

fn is_hexadecimal(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_hexdigit())
}
