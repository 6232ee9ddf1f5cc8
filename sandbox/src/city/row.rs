//! Writes one CSV line into a byte buffer, digit by digit, because formatting machinery would dominate the generation.
//! It quotes nothing: the city's texts hold no comma, quote or line break (a test looks).

use super::date::Date;

/// One line under construction; [`Row::end`] closes it.
#[derive(Debug)]
pub(super) struct Row<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Row<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, first: true }
    }

    fn field(&mut self) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
    }

    pub(super) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.field();
        self.out.extend_from_slice(value);
        self
    }

    pub(super) fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// Two texts in one field.
    pub(super) fn joined(&mut self, first: &str, second: &str) -> &mut Self {
        self.text(first);
        self.out.extend_from_slice(second.as_bytes());
        self
    }

    /// A missing value: the empty field.
    pub(super) fn null(&mut self) -> &mut Self {
        self.field();
        self
    }

    pub(super) fn flag(&mut self, value: bool) -> &mut Self {
        self.text(if value { "true" } else { "false" })
    }

    pub(super) fn int(&mut self, value: u64) -> &mut Self {
        self.field();
        push_int(self.out, value);
        self
    }

    /// An amount in hundredths, written with two decimal places.
    pub(super) fn cents(&mut self, value: u64) -> &mut Self {
        self.field();
        push_int(self.out, value / 100);
        self.out.push(b'.');
        push_padded(self.out, value % 100, 2);
        self
    }

    pub(super) fn date(&mut self, value: Date) -> &mut Self {
        self.field();
        push_date(self.out, value);
        self
    }

    /// A moment of a day, `2025-01-28 07:13:22`.
    pub(super) fn moment(&mut self, day: Date, second: u32) -> &mut Self {
        self.field();
        push_date(self.out, day);
        for (mark, part) in [(b' ', second / 3600), (b':', second / 60 % 60), (b':', second % 60)] {
            self.out.push(mark);
            push_padded(self.out, u64::from(part), 2);
        }
        self
    }

    pub(super) fn end(&mut self) {
        self.out.push(b'\n');
    }
}

/// Appends a number in decimal digits.
pub(super) fn push_int(out: &mut Vec<u8>, value: u64) {
    let mut digits = 1;
    let mut rest = value / 10;
    while rest > 0 {
        digits += 1;
        rest /= 10;
    }
    push_padded(out, value, digits);
}

/// Appends the last `digits` decimal digits of a number, with leading zeros.
pub(super) fn push_padded(out: &mut Vec<u8>, value: u64, digits: usize) {
    let start = out.len();
    out.resize(start + digits, b'0');
    let mut rest = value;
    for place in out.iter_mut().skip(start).rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

fn push_date(out: &mut Vec<u8>, value: Date) {
    let civil = value.civil();
    push_padded(out, u64::from(civil.year), 4);
    out.push(b'-');
    push_padded(out, u64::from(civil.month), 2);
    out.push(b'-');
    push_padded(out, u64::from(civil.day), 2);
}
