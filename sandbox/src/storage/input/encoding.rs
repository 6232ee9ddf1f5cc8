//! Turns text inputs into UTF-8 as they stream: UTF-8 with and without byte-order mark, GB18030, UTF-16.
//! Bytes that an encoding does not know become U+FFFD, which the row readers report as a malformed row. Where the bytes of a
//! sample fit two encodings it does not guess: the steward has to name one.

use std::io::Read;

use encoding_rs::CoderResult;
use encoding_rs::Decoder;
use encoding_rs::GB18030;
use encoding_rs::UTF_16BE;
use encoding_rs::UTF_16LE;

use crate::storage::error::StorageError;
use crate::storage::input::Encoding;
use crate::storage::input::container;

const CHUNK_BYTES: usize = 64 << 10;
/// Bytes that an encoding is recognised by, from the first that is not ASCII on.
const SAMPLE_BYTES: u64 = 8 << 20;
/// So many different characters that only one encoding can hold are no accident.
const DISTINCT_MIN: usize = 3;

/// Wraps a byte stream so that it reads as UTF-8.
pub(super) fn decode(inner: Box<dyn Read + Send>, encoding: Option<Encoding>) -> Box<dyn Read + Send> {
    Box::new(Utf8Reader {
        inner,
        given: encoding,
        state: State::Start,
        raw: Vec::new(),
        out: Vec::new(),
        out_at: 0,
        ended: false,
    })
}

enum State {
    /// Nothing read yet: a byte-order mark may come.
    Start,
    /// Only ASCII so far: every encoding in question agrees on it.
    Ascii,
    Utf8,
    Foreign(Box<Decoder>),
}

struct Utf8Reader {
    inner: Box<dyn Read + Send>,
    given: Option<Encoding>,
    state: State,
    raw: Vec<u8>,
    out: Vec<u8>,
    out_at: usize,
    ended: bool,
}

impl Read for Utf8Reader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.out_at == self.out.len() {
            if self.ended {
                return Ok(0);
            }
            self.fill()?;
        }
        let ready = self.out.get(self.out_at..).unwrap_or_default();
        let length = ready.len().min(buffer.len());
        if let (Some(from), Some(to)) = (ready.get(..length), buffer.get_mut(..length)) {
            to.copy_from_slice(from);
        }
        self.out_at += length;
        Ok(length)
    }
}

impl Utf8Reader {
    /// Reads and decodes one chunk. A chunk is filled to the brim first, so that detection sees enough of the text.
    fn fill(&mut self) -> std::io::Result<()> {
        self.raw.clear();
        self.out.clear();
        self.out_at = 0;
        let read = (&mut self.inner).take(CHUNK_BYTES as u64).read_to_end(&mut self.raw)?;
        self.ended = read < CHUNK_BYTES;
        let is_undecided = matches!(self.state, State::Start | State::Ascii);
        if is_undecided && self.given.is_none() && !self.ended && !self.raw.is_ascii() {
            let read = (&mut self.inner).take(SAMPLE_BYTES).read_to_end(&mut self.raw)?;
            self.ended = (read as u64) < SAMPLE_BYTES;
        }
        let raw = std::mem::take(&mut self.raw);
        let body = self.advance(&raw)?;
        match &mut self.state {
            State::Foreign(decoder) => decode_chunk(decoder, body, self.ended, &mut self.out),
            State::Start | State::Ascii | State::Utf8 => self.out.extend_from_slice(body),
        }
        self.raw = raw;
        Ok(())
    }

    /// Moves on from undecided states and returns the chunk without a byte-order mark.
    fn advance<'r>(&mut self, raw: &'r [u8]) -> std::io::Result<&'r [u8]> {
        let mut body = raw;
        if matches!(self.state, State::Start) {
            let (marked, rest) = byte_order_mark(raw);
            body = rest;
            self.state = match self.given.or(marked) {
                Some(encoding) => state_of(encoding),
                None => State::Ascii,
            };
        }
        if matches!(self.state, State::Ascii) && !body.is_ascii() {
            let recognised = Evidence::of(body, self.ended).encoding();
            self.state = state_of(recognised.ok_or_else(|| std::io::Error::other(Undecided))?);
        }
        Ok(body)
    }
}

fn state_of(encoding: Encoding) -> State {
    let decoder = match encoding {
        Encoding::Utf8 => return State::Utf8,
        Encoding::Gb18030 => GB18030.new_decoder_without_bom_handling(),
        Encoding::Utf16Le => UTF_16LE.new_decoder_without_bom_handling(),
        Encoding::Utf16Be => UTF_16BE.new_decoder_without_bom_handling(),
    };
    State::Foreign(Box::new(decoder))
}

fn byte_order_mark(raw: &[u8]) -> (Option<Encoding>, &[u8]) {
    if let Some(rest) = raw.strip_prefix(b"\xEF\xBB\xBF") {
        (Some(Encoding::Utf8), rest)
    } else if let Some(rest) = raw.strip_prefix(b"\x84\x31\x95\x33") {
        (Some(Encoding::Gb18030), rest)
    } else if let Some(rest) = raw.strip_prefix(b"\xFF\xFE") {
        (Some(Encoding::Utf16Le), rest)
    } else if let Some(rest) = raw.strip_prefix(b"\xFE\xFF") {
        (Some(Encoding::Utf16Be), rest)
    } else {
        (None, raw)
    }
}

/// The bytes fit UTF-8 and GB18030 alike.
#[derive(Debug, thiserror::Error)]
#[error("the encoding cannot be told")]
struct Undecided;

/// The error for a failure to read text: a fault of the disk, or an encoding that the steward has to name.
pub(super) fn read_failure(error: &std::io::Error) -> StorageError {
    if container::is_damaged(error) {
        return StorageError::Input { format: "gzip", reason: "the file is cut off or damaged" };
    }
    if error.get_ref().is_some_and(|inner| inner.is::<Undecided>()) {
        return StorageError::EncodingUndecided;
    }
    StorageError::disk("read the input")(error.kind().into())
}

/// The evidence of a sample of text for its encoding.
#[derive(Debug, Default, PartialEq, Eq)]
struct Evidence {
    /// Characters that UTF-8 writes in three or four bytes, as it does all of Chinese. Two-byte text hardly ever looks like
    /// it.
    long: usize,
    /// Characters that UTF-8 writes in two bytes: Latin letters with marks, or one Chinese character of GB18030.
    short: usize,
    /// Of these, the ones beside an ASCII letter, as within a word of a European language.
    in_words: usize,
    /// Of these, the ones that GB18030 reads as a common Chinese character.
    common: usize,
    /// Places that are not UTF-8.
    bad: usize,
    /// Different pairs of bytes at those places.
    bad_distinct: usize,
    /// Every byte is GB18030.
    is_gb18030: bool,
}

impl Evidence {
    fn of(sample: &[u8], ended: bool) -> Self {
        let mut evidence = Self { is_gb18030: is_gb18030(sample, ended), ..Self::default() };
        let mut distinct = std::collections::BTreeSet::new();
        let mut rest = sample;
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    evidence.take(text);
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at_checked(error.valid_up_to()).unwrap_or((rest, &[]));
                    evidence.take(std::str::from_utf8(valid).unwrap_or_default());
                    let Some(length) = error.error_len() else {
                        evidence.bad += usize::from(ended);
                        break;
                    };
                    evidence.bad += 1;
                    distinct.extend(after.get(..2).map(<[u8]>::to_vec));
                    rest = after.get(length..).unwrap_or_default();
                }
            }
        }
        evidence.bad_distinct = distinct.len();
        evidence
    }

    /// Counts the characters of a stretch of UTF-8.
    fn take(&mut self, text: &str) {
        let mut before = ' ';
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character.len_utf8() {
                1 => {}
                2 => {
                    self.short += 1;
                    let after = characters.peek().copied().unwrap_or(' ');
                    let is_in_word = before.is_ascii_alphabetic() || after.is_ascii_alphabetic();
                    self.in_words += usize::from(is_in_word);
                    self.common += usize::from(is_common_pair(character));
                }
                _ => self.long += 1,
            }
            before = character;
        }
    }

    /// The encoding, or nothing when both explain the sample.
    fn encoding(&self) -> Option<Encoding> {
        let good = self.long + self.short;
        if !self.is_gb18030 {
            // A single damaged byte must not turn a UTF-8 file into GB18030: the one wins that explains more.
            let is_utf8 = self.bad == 0 || good > self.bad * 20;
            return Some(if is_utf8 { Encoding::Utf8 } else { Encoding::Gb18030 });
        }
        if self.bad > self.long && good <= self.bad * 20 {
            return Some(Encoding::Gb18030);
        }
        // Chinese text in UTF-8, or words with marked letters.
        if self.long * 4 > self.short || self.in_words * 2 > self.short {
            return Some(Encoding::Utf8);
        }
        if self.bad_distinct >= DISTINCT_MIN {
            return Some(Encoding::Gb18030);
        }
        // Letters that GB18030 would mostly read as rare characters; for Greek or Cyrillic the steward has to name it.
        (self.common * 2 < self.short).then_some(Encoding::Utf8)
    }
}

/// True if the two bytes of a character of UTF-8 are a common Chinese character (GB 2312, first level) or mark.
fn is_common_pair(character: char) -> bool {
    let mut bytes = [0_u8; 2];
    if character.len_utf8() != 2 {
        return false;
    }
    matches!(*character.encode_utf8(&mut bytes).as_bytes(), [0xB0..=0xD7, 0xA1..=0xFE])
}

/// True if a sample is GB18030 throughout; its last character may be cut off.
fn is_gb18030(sample: &[u8], ended: bool) -> bool {
    let mut scratch = vec![0_u8; CHUNK_BYTES * 3];
    let mut decoder = GB18030.new_decoder_without_bom_handling();
    let mut rest = sample;
    loop {
        let (result, read, _written, is_replaced) = decoder.decode_to_utf8(rest, &mut scratch, ended);
        rest = rest.get(read..).unwrap_or_default();
        if is_replaced {
            return false;
        }
        if matches!(result, CoderResult::InputEmpty) {
            return true;
        }
    }
}

fn decode_chunk(decoder: &mut Decoder, mut raw: &[u8], last: bool, out: &mut Vec<u8>) {
    let mut scratch = String::with_capacity(CHUNK_BYTES * 3);
    loop {
        scratch.clear();
        let (result, read, _replaced) = decoder.decode_to_string(raw, &mut scratch, last);
        out.extend_from_slice(scratch.as_bytes());
        raw = raw.get(read..).unwrap_or_default();
        if matches!(result, CoderResult::InputEmpty) {
            return;
        }
    }
}
