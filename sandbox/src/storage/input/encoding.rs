//! Turns text inputs into UTF-8 as they stream: UTF-8 with and without byte-order mark, GB18030, UTF-16.
//! Bytes that an encoding does not know become U+FFFD, which the row readers report as a malformed row.

use std::io::Read;

use encoding_rs::CoderResult;
use encoding_rs::Decoder;
use encoding_rs::GB18030;
use encoding_rs::UTF_16BE;
use encoding_rs::UTF_16LE;

use crate::storage::input::Encoding;

const CHUNK_BYTES: usize = 64 << 10;

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
        if is_undecided && !self.ended && !self.raw.is_ascii() {
            // The first foreign character may be cut off by the end of the chunk: look at one more.
            let read = (&mut self.inner).take(CHUNK_BYTES as u64).read_to_end(&mut self.raw)?;
            self.ended = read < CHUNK_BYTES;
        }
        let raw = std::mem::take(&mut self.raw);
        let body = self.advance(&raw);
        match &mut self.state {
            State::Foreign(decoder) => decode_chunk(decoder, body, self.ended, &mut self.out),
            State::Start | State::Ascii | State::Utf8 => self.out.extend_from_slice(body),
        }
        self.raw = raw;
        Ok(())
    }

    /// Moves on from undecided states and returns the chunk without a byte-order mark.
    fn advance<'r>(&mut self, raw: &'r [u8]) -> &'r [u8] {
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
            self.state =
                if looks_like_utf8(body, self.ended) { State::Utf8 } else { state_of(Encoding::Gb18030) };
        }
        body
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

/// Decides between UTF-8 and GB18030 on the first chunk that is not ASCII.
///
/// A single damaged byte must not turn a UTF-8 file into GB18030, so that the encoding wins which explains more bytes.
fn looks_like_utf8(chunk: &[u8], ended: bool) -> bool {
    let mut rest = chunk;
    let (mut good, mut bad) = (0_usize, 0_usize);
    loop {
        match std::str::from_utf8(rest) {
            Ok(text) => {
                good += text.chars().filter(|c| !c.is_ascii()).count();
                break;
            }
            Err(error) => {
                let (valid, after) = rest.split_at_checked(error.valid_up_to()).unwrap_or((rest, &[]));
                good += String::from_utf8_lossy(valid).chars().filter(|c| !c.is_ascii()).count();
                let Some(length) = error.error_len() else {
                    bad += usize::from(ended);
                    break;
                };
                bad += 1;
                rest = after.get(length..).unwrap_or_default();
            }
        }
    }
    // Chinese text in GB18030 is almost nowhere valid UTF-8.
    bad == 0 || good > bad * 20
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
