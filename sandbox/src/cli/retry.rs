//! Decides the wait for a server that asks a command to come back later (`Retry-After`: RFC 9110, section 10.2.3).
//! The client waits and says so.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use ureq::http::HeaderMap;
use ureq::http::Method;

/// Longest that one request waits, all its waits together.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Most repetitions of one request.
const TRIES_MAX: u32 = 10;

/// The time and tries that one request has left.
#[derive(Debug)]
pub(super) struct Patience {
    left: Duration,
    tries: u32,
    /// Sent twice, it does no more than once.
    is_repeatable: bool,
}

impl Patience {
    /// The full allowance of a request before it has been sent.
    pub(super) fn for_request(method: &Method, has_key: bool) -> Self {
        Self { left: WAIT_MAX, tries: TRIES_MAX, is_repeatable: *method == Method::GET || has_key }
    }

    /// The wait that an answer asks for, where the request may be sent again.
    ///
    /// 429 is answered before anything is done. A server that answers 503 may have done something before it ran into
    /// trouble, so that only requests that may be done twice are sent again.
    pub(super) fn asked_by(&self, status: u16, headers: &HeaderMap) -> Option<Duration> {
        let is_later = status == 429 || status == 503 && self.is_repeatable;
        is_later.then(|| retry_after(headers))?
    }

    /// Takes a wait from the time that is left; true if there was so much.
    pub(super) fn take(&mut self, asked: Duration) -> bool {
        let left = self.tries.checked_sub(1).zip(self.left.checked_sub(asked));
        if let Some(left) = left {
            (self.tries, self.left) = left;
        }
        left.is_some()
    }
}

/// The wait that an answer asks for: a number of seconds, or a date, which is compared with the answer's own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text("retry-after")?;
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(asked.parse().unwrap_or(u64::MAX)));
    }
    let instant = |text: &str| rfc2822::parse(text).ok().map(|time| time.timestamp());
    let (then, now): (Timestamp, Timestamp) = (instant(asked)?, instant(text("date")?)?);
    Some(Duration::try_from(then.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    fn asked(method: &Method, has_key: bool, status: u16, headers: &[(&'static str, &str)]) -> Option<u64> {
        let headers = headers.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()));
        let headers: HeaderMap = headers.collect();
        Patience::for_request(method, has_key).asked_by(status, &headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_server_asks_in_seconds_or_by_a_date() {
        let get = |headers: &[(&'static str, &str)]| asked(&Method::GET, false, 503, headers);
        assert_eq!(get(&[("retry-after", "15")]), Some(15));
        assert_eq!(get(&[("retry-after", "0")]), Some(0));
        assert_eq!(get(&[("retry-after", "99999999999999999999999")]), Some(u64::MAX));
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(get(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), date]), Some(30));
        assert_eq!(get(&[("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT"), date]), Some(0), "it is over");
        assert_eq!(get(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]), None, "nobody's clock is known");
        for wrong in ["", "-1", "1.5", "soon"] {
            assert_eq!(get(&[("retry-after", wrong), date]), None, "{wrong}");
        }
        assert_eq!(get(&[]), None);
    }

    #[test]
    fn what_may_not_be_done_twice_is_not_sent_twice() {
        let later = [("retry-after", "1")];
        assert_eq!(asked(&Method::POST, false, 429, &later), Some(1), "nothing was done yet");
        assert_eq!(asked(&Method::POST, false, 503, &later), None);
        assert_eq!(asked(&Method::DELETE, false, 503, &later), None);
        assert_eq!(asked(&Method::POST, true, 503, &later), Some(1));
        assert_eq!(asked(&Method::GET, false, 500, &later), None);
        assert_eq!(asked(&Method::GET, false, 202, &later), None);
    }

    #[test]
    fn waits_are_bounded_together_and_in_number() {
        let seconds = Duration::from_secs;
        let mut patience = Patience::for_request(&Method::GET, false);
        assert!(patience.take(seconds(40)));
        assert!(!patience.take(seconds(21)), "only 20 are left");
        assert!(patience.take(seconds(20)));
        let mut patience = Patience::for_request(&Method::GET, false);
        let granted = (0..100).filter(|_| patience.take(seconds(0))).count();
        assert_eq!(granted, 10);
    }
}
