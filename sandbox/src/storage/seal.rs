//! Seals an input as a new version of a dataset: read, tokenise, group, encrypt, sign, publish.
//! One pass, flat memory, no plaintext on disk; until the last step nothing of it can be seen.

use arrow::array::AsArray;
use arrow::array::Int64Array;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use obscura_crypto::kms::KeyManagement;
use obscura_crypto::sha256_hex;
use obscura_crypto::sign::Signer;
use obscura_policies::identifiers::has_form;
use obscura_policies::published::PublishedRows;
use obscura_policies::vocabulary::DataType;

use crate::storage::append;
use crate::storage::cluster::Grouping;
use crate::storage::cluster::GroupingPlan;
use crate::storage::error::StorageError;
use crate::storage::folder::DataFolder;
use crate::storage::folder::Staging;
use crate::storage::folder::write_file;
use crate::storage::input::Input;
use crate::storage::input::InputOptions;
use crate::storage::input::InputReport;
use crate::storage::input::Rows;
use crate::storage::intervals::IntervalColumns;
use crate::storage::intervals::ProvenIntervals;
use crate::storage::manifest::Clustered;
use crate::storage::manifest::ColumnRecord;
use crate::storage::manifest::DocumentRecord;
use crate::storage::manifest::FORMAT;
use crate::storage::manifest::IntervalsRecord;
use crate::storage::manifest::KeysSection;
use crate::storage::manifest::MANIFEST_FILE;
use crate::storage::manifest::Manifest;
use crate::storage::manifest::ManifestFile;
use crate::storage::manifest::PartKeysRecord;
use crate::storage::manifest::PartRecord;
use crate::storage::manifest::UnitRecord;
use crate::storage::part::FinishedPart;
use crate::storage::part::PartContext;
use crate::storage::part::PartLimits;
use crate::storage::part::PartWriter;
use crate::storage::published::Publishing;
use crate::storage::rows::ColumnReader;
use crate::storage::spec::DatasetSpec;
use crate::storage::spec::Layout;
use crate::storage::spellings::UnitKeys;
use crate::storage::subjects::SubjectCounter;
use crate::storage::subjects::SubjectCounts;
use crate::storage::subjects::UniqueColumns;
use crate::storage::version::ColumnKeys;
use crate::storage::version::Expected;
use crate::storage::version::SealedVersion;

/// Memory that sealing takes unless the caller says otherwise.
pub const MEMORY_BYTES_STANDARD: usize = 256 << 20;
/// Of the memory, one share in this many goes to counting the subjects of each unit.
const COUNTING_SHARE: usize = 8;

/// The key of fingerprints of inputs; no kind of unit has such a name.
const INPUTS_KEY: &str = "_inputs";

/// The relation of a new version to the versions before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealMode {
    /// The first one: fails if there is a version already.
    First,
    /// Replaces the newest version.
    Replace,
    /// Adds rows to the newest version.
    Append,
}

/// The caller's confirmation of a possible mistake: rows that are sealed already, or a version with far fewer subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// Not confirmed: the possible mistake is an error.
    Ask,
    /// Confirmed.
    Given,
}

/// A point on the way at which a caller may look in, or stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The hidden folder exists.
    Staged,
    /// Rows are coming in.
    Reading,
    /// All rows were read; files are being written.
    Grouping,
    /// All files are written and synced.
    FilesWritten,
    /// The manifest is written and synced.
    ManifestWritten,
    /// Everything is ready to be renamed into place.
    Publishing,
    /// It is published, and compared with the version that analysts see.
    Comparing,
}

/// The caller's decision at a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Go on.
    Continue,
    /// Stop and clean up.
    Cancel,
    /// Stop and leave everything as a kill would: for tests.
    Abandon,
}

/// The progress of sealing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The current stage.
    pub stage: Stage,
    /// Rows taken.
    pub rows: u64,
    /// Rows left out.
    pub rows_skipped: u64,
    /// Bytes of the input read.
    pub bytes: u64,
}

/// Looks in while sealing runs.
pub trait SealObserver {
    /// Takes note and says whether to go on.
    fn reached(&self, progress: Progress) -> Direction;
}

/// Looks away.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl SealObserver for Unobserved {
    fn reached(&self, _progress: Progress) -> Direction {
        Direction::Continue
    }
}

/// Gives the keys of these columns of a sealed version, to count its rows anew.
pub type RecountKeys<'a> = &'a dyn Fn(&SealedVersion, &[&str]) -> Result<ColumnKeys, StorageError>;

/// One seal.
pub struct SealRequest<'a> {
    /// The folder of sealed datasets.
    pub data: &'a DataFolder,
    /// The dataset to seal.
    pub spec: &'a DatasetSpec,
    /// Settings for reading the input.
    pub options: &'a InputOptions,
    /// The relation of the new version to the versions before it.
    pub mode: SealMode,
    /// The newest version number the catalogue knows: numbers only rise, even when folders are gone.
    pub newest_known: Option<u64>,
    /// The newest version that is in force by the catalogue, which appending adds to.
    pub in_force: Option<u64>,
    /// Memory for grouping and counting, in bytes.
    pub memory_bytes: usize,
    /// The sizes at which row groups and files end.
    pub limits: PartLimits,
    /// The decision about several spellings of one unit key.
    pub unit_keys: UnitKeys,
    /// The caller's confirmation of a possible mistake.
    pub confirmation: Confirmation,
    /// When it is sealed.
    pub sealed_at: jiff::Timestamp,
    /// Wraps the data keys and makes tokens.
    pub kms: &'a dyn KeyManagement,
    /// Gives the keys with which appending reads the rows that stay.
    pub recount: RecountKeys<'a>,
    /// Signs the manifest.
    pub signer: &'a Signer,
    /// Looks in.
    pub observer: &'a dyn SealObserver,
}

impl std::fmt::Debug for SealRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealRequest")
            .field("dataset", &self.spec.id)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// The published version and the report of its input.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The published version.
    pub version: SealedVersion,
    /// The report of the input.
    pub report: InputReport,
    /// Bytes of the input read.
    pub bytes: u64,
}

/// Seals an input and publishes it as a new version.
///
/// # Errors
///
/// Fails, leaving what was there before, when the input, the document, the disk or the key service gives way, when a
/// malformed row is met and bad rows are to stop, when unit keys are written in several ways without a decision on what that
/// means, or when the observer says so.
pub fn seal(request: &SealRequest<'_>, input: Input) -> Result<Sealed, StorageError> {
    request.spec.check()?;
    let dataset = &request.spec.id;
    // Held to the end: two seals of one dataset cannot take one version number.
    let _lock = request.data.lock(dataset)?;
    let base = find_base(request)?;
    let request = &SealRequest { unit_keys: decided(request, base.as_ref())?, ..*request };
    let on_disk = base.as_ref().map_or(0, |base| base.manifest().version);
    let version = on_disk.max(request.newest_known.unwrap_or(0)) + 1;
    let mut staging = request.data.stage()?;
    let result = write_version(request, input, version, base.as_ref(), &staging);
    if matches!(result, Err(StorageError::Abandoned)) {
        staging.abandon();
    }
    let (report, bytes) = result?;
    if let Err(error) = watch(request, Stage::Publishing, &report, bytes) {
        if matches!(error, StorageError::Abandoned) {
            staging.abandon();
        }
        return Err(error);
    }
    staging.publish(dataset, version)?;
    let version =
        SealedVersion::open(request.data, dataset, Expected::Exactly(version), request.signer.verifier())?;
    Ok(Sealed { version, report, bytes })
}

/// The version that this one follows.
fn find_base(request: &SealRequest<'_>) -> Result<Option<SealedVersion>, StorageError> {
    let dataset = &request.spec.id;
    let newest = request.data.versions(dataset)?.pop();
    match (newest, request.mode) {
        (Some(version), SealMode::First) => {
            Err(StorageError::VersionTaken { dataset: dataset.to_string(), version })
        }
        (None, SealMode::Append) => Err(StorageError::NeverSealed { dataset: dataset.to_string() }),
        (None, SealMode::First | SealMode::Replace) => Ok(None),
        (Some(version), SealMode::Append) => {
            // An append must build on the newest version in force, or rows would vanish with the rollback.
            let expected = Expected::Newest(request.in_force.unwrap_or(version));
            SealedVersion::open(request.data, dataset, expected, request.signer.verifier()).map(Some)
        }
        (Some(version), SealMode::Replace) => {
            let expected = Expected::Exactly(version);
            SealedVersion::open(request.data, dataset, expected, request.signer.verifier()).map(Some)
        }
    }
}

/// The decision about spellings of a unit key in this seal: added rows are tokenised as the rows that stay.
fn decided(request: &SealRequest<'_>, base: Option<&SealedVersion>) -> Result<UnitKeys, StorageError> {
    let Some(base) = base.filter(|_| request.mode == SealMode::Append) else { return Ok(request.unit_keys) };
    let sealed = base.manifest().unit_keys.as_deref().map(UnitKeys::from_word);
    let reason = match (request.unit_keys, sealed) {
        (_, Some(None)) => "its decision about unit keys is not known here",
        (UnitKeys::Ask, Some(Some(sealed))) => return Ok(sealed),
        (asked, Some(Some(sealed))) if asked == sealed => return Ok(sealed),
        (UnitKeys::Ask | UnitKeys::AsWritten, None) => return Ok(request.unit_keys),
        _ => "its unit keys were sealed under another decision about spellings",
    };
    Err(StorageError::AppendMismatch { dataset: request.spec.id.to_string(), reason })
}

fn write_version(
    request: &SealRequest<'_>,
    input: Input,
    version: u64,
    base: Option<&SealedVersion>,
    staging: &Staging,
) -> Result<(InputReport, u64), StorageError> {
    watch(request, Stage::Staged, &InputReport::default(), 0)?;
    let appended_to = base.filter(|_| request.mode == SealMode::Append);
    if let Some(base) = appended_to {
        append::check_fit(base, request.spec)?;
    }
    ensure_keys(request)?;
    let first_ordinal = appended_to.map_or(Ok(0), append::next_ordinal)?;
    let measured = write_rows(request, input, version, first_ordinal, appended_to, staging)?;
    let mut manifest = describe(request, version, &measured)?;
    if let Some(base) = base.filter(|_| request.confirmation == Confirmation::Ask) {
        ask(request.mode, base.manifest(), &manifest)?;
    }
    manifest.previous = base.map(|base| base.manifest().sha256()).transpose()?;
    let mut keys = KeysSection {
        manifest: String::new(),
        revision: 1,
        shredded: None,
        parts: measured.parts.iter().map(keys_record).collect(),
    };
    if let Some(base) = appended_to {
        append::join(base, &mut manifest, &mut keys, staging.content())?;
    }
    keys.manifest = manifest.sha256()?;
    let file = ManifestFile::sign(manifest, keys, request.signer)?;
    let path = staging.content().join(MANIFEST_FILE);
    write_file(&path, &file.to_bytes()?).map_err(StorageError::disk("write the manifest"))?;
    watch(request, Stage::ManifestWritten, &measured.report, measured.bytes)?;
    Ok((measured.report, measured.bytes))
}

/// Stops where a new version may be a mistake that no check would notice: every file and number is as it should be.
fn ask(mode: SealMode, before: &Manifest, after: &Manifest) -> Result<(), StorageError> {
    if mode == SealMode::Append {
        let is_known = after.inputs.iter().any(|input| before.inputs.contains(input));
        return if is_known { Err(StorageError::SealedAlready) } else { Ok(()) };
    }
    let mut counts = vec![(before.rows, after.rows, "rows".to_owned())];
    if !before.units.is_empty() && !after.units.is_empty() {
        let subjects = |unit: &UnitRecord| {
            let now = after.unit(&unit.kind).map_or(0, |unit| unit.subjects);
            (unit.subjects, now, format!("subjects of kind `{}`", unit.kind))
        };
        counts = before.units.iter().map(subjects).collect();
    }
    let fewer = counts.into_iter().find(|(before, after, _)| after.saturating_mul(2) < *before);
    match fewer {
        Some((before, after, of)) => Err(StorageError::FewerThanHalf { before, after, of }),
        None => Ok(()),
    }
}

/// Stops where more rows are malformed than may be left out.
fn check_share(report: &InputReport, options: &InputOptions) -> Result<(), StorageError> {
    let rows = report.rows + report.rows_skipped;
    let most = u128::from(rows) * u128::from(options.bad_rows_max_ppm);
    if u128::from(report.rows_skipped) * 1_000_000 <= most {
        return Ok(());
    }
    let worst = report.skipped_by.iter().max_by_key(|(_, count)| **count);
    let told = worst.map(|((column, reason), count)| {
        let column = column.as_ref().map(|column| format!(" in column `{column}`")).unwrap_or_default();
        format!("{reason}{column} ({count})")
    });
    Err(StorageError::TooManyBadRows {
        skipped: report.rows_skipped,
        rows,
        max_ppm: options.bad_rows_max_ppm,
        worst: told.unwrap_or_default(),
    })
}

fn watch(
    request: &SealRequest<'_>,
    stage: Stage,
    report: &InputReport,
    bytes: u64,
) -> Result<(), StorageError> {
    let progress = Progress { stage, rows: report.rows, rows_skipped: report.rows_skipped, bytes };
    match request.observer.reached(progress) {
        Direction::Continue => Ok(()),
        Direction::Cancel => Err(StorageError::Cancelled),
        Direction::Abandon => Err(StorageError::Abandoned),
    }
}

fn ensure_keys(request: &SealRequest<'_>) -> Result<(), StorageError> {
    let mut wanted = std::collections::BTreeSet::from([request.spec.footer_kek()?]);
    for column in &request.spec.columns {
        wanted.insert(request.spec.column_kek(column)?);
    }
    for kek in wanted {
        let refused = |_opaque| StorageError::Keys { step: "make a key-encryption key" };
        let _newest: obscura_crypto::kms::KekVersion = request.kms.ensure_key(&kek).map_err(refused)?;
    }
    Ok(())
}

/// The parts written, and the numbers measured on the way.
struct Measured {
    parts: Vec<FinishedPart>,
    counted: Counted,
    report: InputReport,
    bytes: u64,
    /// The input's fingerprint.
    input: String,
    /// The rows, where everybody may have them.
    published: Option<PublishedRows>,
}

/// The counts of each unit, and the properties proven of columns, by position.
#[derive(Default)]
struct Counted {
    units: Vec<SubjectCounts>,
    unique: Vec<usize>,
    intervals: Vec<ProvenIntervals>,
}

/// Counts and proofs that are taken while rows pass by in any order.
struct Counting {
    /// Column of each unit with its counter.
    units: Vec<(usize, SubjectCounter)>,
    /// Columns whose spellings are undecided, with the counter of their plain forms.
    plain: Vec<(usize, SubjectCounter)>,
    /// Proofs about a table that protects no subject.
    reference: Option<(UniqueColumns, IntervalColumns)>,
}

impl Counting {
    fn new(request: &SealRequest<'_>, staging: &Staging) -> Self {
        let memory = request.memory_bytes / COUNTING_SHARE;
        let counter =
            |column: usize| SubjectCounter::new(staging.scratch(), format!("subjects-{column}"), memory);
        let spec = request.spec;
        let column_of = |name: &str| spec.columns.iter().position(|c| c.name == name);
        let units = || spec.units.iter().filter_map(|unit| column_of(&unit.column));
        let has_no_form = |column: &usize| {
            let semantic = spec.columns.get(*column).and_then(|column| column.semantic.as_deref());
            request.unit_keys == UnitKeys::Ask && !has_form(semantic.unwrap_or_default())
        };
        let plain_counter =
            |column: usize| SubjectCounter::new(staging.scratch(), format!("plain-{column}"), memory);
        Self {
            units: units().map(|column| (column, counter(column))).collect(),
            plain: units().filter(has_no_form).map(|column| (column, plain_counter(column))).collect(),
            reference: spec
                .units
                .is_empty()
                .then(|| (UniqueColumns::new(spec.columns.len()), IntervalColumns::new(spec.columns.len()))),
        }
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), StorageError> {
        for (column, counter) in &mut self.units {
            let tokens = batch.columns().get(*column).and_then(|c| c.as_primitive_opt::<Int64Type>());
            counter.push(tokens.ok_or(StorageError::Columnar { step: "count subjects" })?)?;
        }
        let Some((unique, intervals)) = &mut self.reference else { return Ok(()) };
        intervals.take(batch);
        unique.take(batch)
    }

    /// Takes rows that were sealed before: of their keys only the tokens are left.
    fn take_sealed(&mut self, batch: &RecordBatch) -> Result<(), StorageError> {
        for (column, counter) in &mut self.plain {
            let tokens = batch.columns().get(*column).and_then(|c| c.as_primitive_opt::<Int64Type>());
            counter.push(tokens.ok_or(StorageError::Columnar { step: "count subjects" })?)?;
        }
        self.take(batch)
    }

    fn take_plain(&mut self, keys: &[(usize, Int64Array)]) -> Result<(), StorageError> {
        for (column, tokens) in keys {
            if let Some((_, counter)) = self.plain.iter_mut().find(|(of, _)| of == column) {
                counter.push(tokens)?;
            }
        }
        Ok(())
    }

    /// Ends the counts. Plain forms must make as many subjects as written forms do, or nothing is sealed.
    fn finish(self, spec: &DatasetSpec) -> Result<Counted, StorageError> {
        let mut counted = Counted::default();
        let mut plain = self.plain.into_iter().peekable();
        for (column, counter) in self.units {
            let counts = counter.finish()?;
            if let Some((_, of_plain)) = plain.next_if(|(of, _)| *of == column)
                && of_plain.finish()?.subjects < counts.subjects
            {
                let column = spec.columns.get(column).map(|column| column.name.clone()).unwrap_or_default();
                return Err(StorageError::UnitKeySpellings { column, lines: None });
            }
            counted.units.push(counts);
        }
        if let Some((unique, intervals)) = self.reference {
            counted.unique = unique.finish();
            counted.intervals = intervals.finish();
        }
        Ok(counted)
    }
}

fn write_rows(
    request: &SealRequest<'_>,
    input: Input,
    version: u64,
    first_ordinal: u64,
    appended_to: Option<&SealedVersion>,
    staging: &Staging,
) -> Result<Measured, StorageError> {
    let spec = request.spec;
    let mut rows = Rows::open(input, spec, column_readers(request)?, request.options)?;
    let mut writer = PartWriter::new(PartContext {
        spec,
        schema: spec.schema(),
        folder: staging.content().to_path_buf(),
        version,
        first_ordinal,
        kms: request.kms,
        limits: request.limits,
        cluster_column: spec.cluster_column(),
    });
    let mut counting = Counting::new(request, staging);
    let mut publishing = Publishing::new(spec);
    if let Some(base) = appended_to {
        append::recount(base, request.recount, |batch| counting.take_sealed(batch))?;
    }
    let mut grouping = spec.cluster_column().map(|column| {
        Grouping::new(GroupingPlan {
            schema: spec.schema(),
            column,
            memory_bytes: request.memory_bytes,
            folder: staging.scratch().to_path_buf(),
            label: "rows".to_owned(),
        })
    });
    while let Some(batch) = rows.next_batch()? {
        watch(request, Stage::Reading, rows.report(), rows.bytes())?;
        counting.take(&batch)?;
        publishing.take(&batch)?;
        counting.take_plain(&rows.plain_keys())?;
        match &mut grouping {
            Some(grouping) => grouping.push(batch)?,
            None => writer.write(&batch)?,
        }
    }
    let key =
        request.kms.tokenizer(INPUTS_KEY).map_err(|_opaque| StorageError::Keys { step: "make tokens" })?;
    let input = rows.end(&key)?;
    if let Some(column) = rows.cut_column() {
        return Err(StorageError::CutNumbers { column });
    }
    let (report, bytes) = (rows.report().clone(), rows.bytes());
    drop(rows);
    check_share(&report, request.options)?;
    if report.rows == 0 {
        return Err(StorageError::NoRows);
    }
    if let Some(unit) = spec.units.first().filter(|_| report.rows_with_subject == 0) {
        return Err(StorageError::NoSubjects { column: unit.column.clone() });
    }
    watch(request, Stage::Grouping, &report, bytes)?;
    if let Some(grouping) = grouping {
        grouping.finish(&mut |batch: &RecordBatch| {
            watch(request, Stage::Grouping, &report, bytes)?;
            writer.write(batch)
        })?;
    }
    let parts = writer.finish()?;
    watch(request, Stage::FilesWritten, &report, bytes)?;
    Ok(Measured {
        parts,
        counted: counting.finish(spec)?,
        report,
        bytes,
        input,
        published: publishing.finish(),
    })
}

fn column_readers(request: &SealRequest<'_>) -> Result<Vec<ColumnReader>, StorageError> {
    let mut readers = Vec::with_capacity(request.spec.columns.len());
    for column in &request.spec.columns {
        let tokenizer = match &column.token_of {
            Some(unit) => {
                let refused = |_opaque| StorageError::Keys { step: "make tokens" };
                Some(request.kms.tokenizer(unit.as_str()).map_err(refused)?)
            }
            None => None,
        };
        readers.push(ColumnReader::new(column.clone(), tokenizer, request.unit_keys));
    }
    Ok(readers)
}

fn describe(request: &SealRequest<'_>, version: u64, measured: &Measured) -> Result<Manifest, StorageError> {
    let spec = request.spec;
    let mut units = Vec::with_capacity(spec.units.len());
    for (at, (unit, counts)) in spec.units.iter().zip(&measured.counted.units).enumerate() {
        let is_clustered = at == 0 && spec.layout == Layout::Clustered;
        units.push(UnitRecord {
            kind: unit.kind.to_string(),
            column: unit.column.clone(),
            subjects: counts.subjects,
            rows_max: counts.rows_max,
            rows_without: counts.rows_without,
            clustered: if is_clustered { Clustered::Whole } else { Clustered::No },
        });
    }
    let mut unique: Vec<String> = measured
        .counted
        .unique
        .iter()
        .filter_map(|at| spec.columns.get(*at))
        .map(|c| c.name.clone())
        .collect();
    unique.extend(units.iter().filter(|unit| unit.is_one_row_per_subject()).map(|unit| unit.column.clone()));
    let name = |at: usize| spec.columns.get(at).map(|column| column.name.clone());
    let intervals = measured.counted.intervals.iter().filter_map(|proven| {
        Some(IntervalsRecord { low: name(proven.low)?, high: name(proven.high)?, closed: proven.closed })
    });
    Ok(Manifest {
        format: FORMAT.to_owned(),
        dataset: spec.id.to_string(),
        version,
        previous: None,
        sealed_at: request.sealed_at.to_string(),
        document: DocumentRecord {
            version: spec.document_version,
            sha256: sha256_hex(spec.document.as_bytes()),
            text: spec.document.clone(),
        },
        in_force: spec.in_force.clone(),
        columns: column_records(spec),
        layout: if spec.cluster_column().is_some() { "clustered" } else { "arrival" }.to_owned(),
        units,
        unit_keys: request.unit_keys.word().map(str::to_owned),
        unique,
        intervals: intervals.collect(),
        published: measured.published.clone(),
        domains: spec.domains.clone(),
        inputs: vec![measured.input.clone()],
        rows: measured.report.rows,
        rows_skipped: measured.report.rows_skipped,
        parts: measured.parts.iter().map(|part| part_record(part, version)).collect(),
    })
}

/// The manifest's view of the columns.
pub(crate) fn column_records(spec: &DatasetSpec) -> Vec<ColumnRecord> {
    let scale = |data_type| if let DataType::Decimal { scale } = data_type { Some(scale) } else { None };
    let record = |column: &crate::storage::spec::ColumnSpec| ColumnRecord {
        name: column.name.clone(),
        data_type: column.data_type.as_str().to_owned(),
        scale: scale(column.data_type),
        grade: column.grade.to_string(),
        token_of: column.token_of.as_ref().map(ToString::to_string),
    };
    spec.columns.iter().map(record).collect()
}

fn part_record(part: &FinishedPart, version: u64) -> PartRecord {
    PartRecord {
        name: part.name.clone(),
        sealed_in: version,
        length: part.length,
        sha256: part.sha256.clone(),
        footer_sha256: part.footer_sha256.clone(),
        rows: part.rows,
        row_groups: part.row_groups,
    }
}

fn keys_record(part: &FinishedPart) -> (String, PartKeysRecord) {
    let record = PartKeysRecord { footer: part.footer_key.clone(), columns: part.column_keys.clone() };
    (part.name.clone(), record)
}

#[cfg(test)]
mod tests;
