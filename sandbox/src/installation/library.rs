//! The documents in force, read from their records, and what follows from them for one moment.
//! It publishes nothing; a document whose record the log does not confirm is not here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use obscura_crypto::sha256_hex;
use obscura_policies::day::Day;
use obscura_policies::day::LocalTime;
use obscura_policies::document::Document;
use obscura_policies::document::Grant;
use obscura_policies::library::Library;
use obscura_policies::parse::Located;
use obscura_policies::parse::parse_documents;

use crate::catalog::body::DocumentBody;
use crate::catalog::body::GrantBody;
use crate::error::AppError;
use crate::error::InternalError;
use crate::installation::Installation;

/// The library that was read last. The records in force are looked up anew each time; only the same texts are not read
/// again, and all requests at one time hold the same library.
#[derive(Debug, Default)]
pub(crate) struct LastLibrary(Mutex<Option<(String, Arc<Library>)>>);

impl LastLibrary {
    /// The library of these texts, if they are those that were read last.
    fn of(&self, texts: &str) -> Option<Arc<Library>> {
        self.last().as_ref().filter(|(known, _)| known == texts).map(|(_, library)| Arc::clone(library))
    }

    fn keep(&self, texts: String, library: &Arc<Library>) {
        *self.last() = Some((texts, Arc::clone(library)));
    }

    /// A panic while the lock was held leaves a library that is still a library.
    fn last(&self) -> MutexGuard<'_, Option<(String, Arc<Library>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads all documents in force, the newest version of each.
pub(crate) async fn library(installation: &Installation) -> Result<Arc<Library>, AppError> {
    let newest = newest_in_force(installation).await?;
    let texts = name_of(&newest);
    if let Some(library) = installation.last_library.of(&texts) {
        return Ok(library);
    }
    let documents = parse_all(installation, newest)?;
    let library = Library::from_located(documents.into_values().collect())
        .map_err(|_| unreadable("documents do not fit together"))?;
    let library = Arc::new(library);
    installation.last_library.keep(texts, &library);
    Ok(library)
}

/// A name of the documents in force: another set of them has another.
pub(crate) async fn name_of_library(installation: &Installation) -> Result<String, AppError> {
    Ok(name_of(&newest_in_force(installation).await?))
}

/// The newest version of each document, by kind and identifier.
pub(crate) async fn documents_in_force(
    installation: &Installation,
) -> Result<BTreeMap<(String, String), Located<Document>>, AppError> {
    parse_all(installation, newest_in_force(installation).await?)
}

async fn newest_in_force(
    installation: &Installation,
) -> Result<BTreeMap<(String, String), DocumentBody>, AppError> {
    let mut newest: BTreeMap<(String, String), DocumentBody> = BTreeMap::new();
    for body in installation.all_in_force::<DocumentBody>().await? {
        let name = (body.kind.clone(), body.id.clone());
        if newest.get(&name).is_none_or(|known| known.version < body.version) {
            newest.insert(name, body);
        }
    }
    Ok(newest)
}

fn parse_all(
    installation: &Installation,
    newest: BTreeMap<(String, String), DocumentBody>,
) -> Result<BTreeMap<(String, String), Located<Document>>, AppError> {
    installation
        .blocking(|| newest.into_iter().map(|(name, body)| Ok((name, parse_one(&body.text)?))).collect())
}

/// A digest of all texts, each with its length, so that no two sets of texts are taken for each other.
fn name_of(newest: &BTreeMap<(String, String), DocumentBody>) -> String {
    let mut all = Vec::new();
    for body in newest.values() {
        all.extend(body.text.len().to_be_bytes());
        all.extend(body.text.as_bytes());
    }
    sha256_hex(&all)
}

/// Reads all grants in force, of one person or of everybody, with who gave each.
pub(crate) async fn grants_in_force(
    installation: &Installation,
    person: Option<&str>,
) -> Result<Vec<(GrantBody, Grant)>, AppError> {
    let mut grants = Vec::new();
    for body in installation.all_in_force::<GrantBody>().await? {
        if person.is_none_or(|person| body.person == person) {
            match parse_one(&body.text)?.value {
                Document::Grant(grant) => grants.push((body, grant)),
                _ => return Err(unreadable("a grant's record holds another document")),
            }
        }
    }
    Ok(grants)
}

/// The grants of a person that hold today: one that is over, or has not begun, opens nothing and shows nothing.
pub(crate) async fn grants_that_hold(
    installation: &Installation,
    person: &str,
) -> Result<Vec<Grant>, AppError> {
    let today = today(installation);
    let grants = grants_in_force(installation, Some(person)).await?;
    Ok(grants.into_iter().map(|(_, grant)| grant).filter(|grant| holds_on(grant, today)).collect())
}

/// Says whether a grant holds on a day.
pub(crate) fn holds_on(grant: &Grant, day: Day) -> bool {
    grant.from.is_none_or(|from| from <= day) && day <= grant.until
}

/// The day in the configured time zone.
pub(crate) fn today(installation: &Installation) -> Day {
    local_time(installation.now(), &installation.settings().time_zone).day
}

/// The wall clock of the configured time zone, as policies count it.
pub(crate) fn local_time(at: Timestamp, zone: &TimeZone) -> LocalTime {
    let zoned = at.to_zoned(zone.clone());
    let (year, month, day) = (i32::from(zoned.year()), zoned.month(), zoned.day());
    let day = Day::from_ymd(year, u8::try_from(month).unwrap_or(1), u8::try_from(day).unwrap_or(1));
    let minute = i32::from(zoned.hour()) * 60 + i32::from(zoned.minute());
    LocalTime { day: day.unwrap_or(Day::from_epoch_days(0)), minute: u16::try_from(minute).unwrap_or(0) }
}

/// Reads the one document that a record holds.
pub(crate) fn parse_one(text: &str) -> Result<Located<Document>, AppError> {
    let documents =
        parse_documents("record", text).map_err(|_| unreadable("a document in force cannot be read"))?;
    match <[Located<Document>; 1]>::try_from(documents) {
        Ok([document]) => Ok(document),
        Err(_) => Err(unreadable("a record holds more than one document")),
    }
}

fn unreadable(kind: &'static str) -> AppError {
    InternalError::of_kind("read the documents in force", kind).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_and_minute_are_those_of_the_configured_zone() {
        let at = Timestamp::from_second(1_800_000_000).unwrap_or_default();
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap_or(TimeZone::UTC);
        let time = local_time(at, &shanghai);
        // 2027-01-15 08:00 UTC
        assert_eq!((time.day.to_string(), time.minute), ("2027-01-15".to_owned(), 16 * 60));
        let time = local_time(at, &TimeZone::UTC);
        assert_eq!(time.minute, 8 * 60);
    }
}
