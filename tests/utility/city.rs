//! The demo city's tables in memory: as they are sealed, with tokens for the keys of subjects and each subject's rows together,
//! and as analysts may see them, under the masks of their policy. Facts that a manifest proves are counted here anew.
//!
//! Nothing is encrypted: other suites hold that sealed files have the rows that went in.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context as _;
use anyhow::bail;
use arrow::array::Array as _;
use arrow::array::ArrayRef;
use arrow::array::AsArray as _;
use arrow::array::Date32Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMicrosecondArray;
use arrow::array::UInt64Array;
use arrow::compute::concat_batches;
use arrow::compute::take_record_batch;
use arrow::csv::ReaderBuilder;
use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::Date32Type;
use arrow::datatypes::Field;
use arrow::datatypes::Int64Type;
use arrow::datatypes::Schema;
use arrow::datatypes::TimeUnit;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use obscura_policies::day::Day;
use obscura_policies::document::Dataset;
use obscura_policies::document::Unit;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::evaluate::ManifestFacts;
use obscura_policies::fixed::Fixed;
use obscura_policies::library::Library;
use obscura_policies::mask::Mask;
use obscura_policies::mask::MaskContext;
use obscura_policies::published::PublishedRows;
use obscura_policies::vocabulary::DatasetId;
use obscura_query_guard::open_values::as_texts;
use obscura_query_guard::sealed_type;
use obscura_sandbox::city::City;
use obscura_sandbox::city::CityDataset;
use obscura_tests::guarded::people::Tables;

use crate::documents::Documents;
use crate::documents::TODAY;

/// Rows of one batch while a table is read.
const BATCH_ROWS: usize = 65_536;

/// Some of the city's tables, and what a manifest would prove of them.
pub(crate) struct Sealed {
    /// Rows by the table's name in SQL.
    pub(crate) rows: Tables,
    pub(crate) facts: BTreeMap<DatasetId, ManifestFacts>,
}

impl Sealed {
    /// Makes the tables of these datasets.
    ///
    /// # Errors
    /// When the rows of one are not as its document says.
    pub(crate) fn of(city: &City, documents: &Documents, datasets: &[DatasetId]) -> anyhow::Result<Self> {
        let mut sealed = Sealed { rows: Tables::new(), facts: BTreeMap::new() };
        let mut tokens = Tokens::default();
        for id in datasets {
            let (document, rows) = written(city, documents, id)?;
            let batch = tokens.sealed(&rows, document)?;
            let mut facts = facts(&batch, document, &documents.library)?;
            for column in &document.columns {
                let Some(of) = &column.domain_of else { continue };
                let (_, open) = written(city, documents, &of.dataset)?;
                let values = open.column_by_name(of.column.as_str()).context("an open column is written")?;
                let values = as_texts(values).context("a text is a text")?.into_iter().flatten();
                facts.domains.insert(column.name.to_string(), values.collect());
            }
            sealed.facts.insert(id.clone(), facts);
            sealed.rows.insert(id.sql_name(), batch);
        }
        Ok(sealed)
    }

    /// The tables as the analyst of a policy may see them.
    ///
    /// # Errors
    /// When a mask meets a column that it does not fit.
    pub(crate) fn seen(&self, policy: &EffectivePolicy) -> anyhow::Result<Tables> {
        let mut seen = Tables::new();
        for (id, dataset) in &policy.datasets {
            let batch = self.rows.get(&id.sql_name()).with_context(|| format!("{id} has no rows"))?;
            let mut columns = batch.columns().to_vec();
            for (column, values) in dataset.columns.iter().zip(&mut columns) {
                if let Some(mask) = &column.mask {
                    *values = masked(mask, values).with_context(|| format!("{id}.{}", column.name))?;
                }
            }
            seen.insert(id.sql_name(), RecordBatch::try_new(batch.schema(), columns)?);
        }
        Ok(seen)
    }
}

/// A dataset's document, and its rows as they are written.
fn written<'d>(
    city: &City,
    documents: &'d Documents,
    id: &DatasetId,
) -> anyhow::Result<(&'d Dataset, RecordBatch)> {
    let document = documents.library.datasets().get(id).with_context(|| format!("{id} is unknown"))?;
    let of_city = CityDataset::ALL.into_iter().find(|known| known.id() == id.to_string());
    let of_city = of_city.with_context(|| format!("the city has no {id}"))?;
    Ok((document, read(city, of_city, document)?))
}

/// Tokens of subjects: whole numbers in the order in which identifiers are first met, by the kind of subject.
#[derive(Default)]
struct Tokens {
    by_kind: BTreeMap<String, BTreeMap<String, i64>>,
}

impl Tokens {
    /// A table with tokens in place of identifiers, without rows that have no subject, and with each subject's rows together.
    fn sealed(&mut self, batch: &RecordBatch, document: &Dataset) -> anyhow::Result<RecordBatch> {
        let (mut fields, mut columns) = (batch.schema().fields().to_vec(), batch.columns().to_vec());
        for unit in protected(document) {
            let at = batch.schema().index_of(unit.column.as_str())?;
            let known = self.by_kind.entry(unit.kind.as_str().to_owned()).or_default();
            let tokens: Int64Array = columns[at]
                .as_string::<i32>()
                .iter()
                .map(|identifier| {
                    let next = i64::try_from(known.len()).unwrap_or(i64::MAX);
                    identifier.map(|identifier| *known.entry(identifier.to_owned()).or_insert(next))
                })
                .collect();
            fields[at] = Arc::new(Field::new(unit.column.as_str(), ArrowType::Int64, true));
            columns[at] = Arc::new(tokens);
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        let Some(first) = protected(document).next() else { return Ok(batch) };
        let tokens = batch.column_by_name(first.column.as_str()).context("the key is a column")?;
        let tokens = tokens.as_primitive::<Int64Type>();
        let mut order: Vec<(i64, u64)> =
            tokens.iter().zip(0..).filter_map(|(token, row)| Some((token?, row))).collect();
        order.sort_unstable();
        Ok(take_record_batch(&batch, &UInt64Array::from_iter_values(order.into_iter().map(|(_, row)| row)))?)
    }
}

fn protected(document: &Dataset) -> impl Iterator<Item = &Unit> {
    document.units.iter().filter(|unit| unit.protects)
}

/// The rows of a table as its generator writes them; keys of subjects are still texts.
fn read(city: &City, of_city: CityDataset, document: &Dataset) -> anyhow::Result<RecordBatch> {
    let fields = document
        .columns
        .iter()
        .map(|column| Field::new(column.name.as_str(), sealed_type(column.physical_type()), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let written: Vec<&str> = of_city.header().split(',').collect();
    let named: Vec<&str> = document.columns.iter().map(|column| column.name.as_str()).collect();
    anyhow::ensure!(written == named, "{} has other columns: {written:?}", of_city.id());
    let reader = ReaderBuilder::new(Arc::clone(&schema))
        .with_header(true)
        .with_batch_size(BATCH_ROWS)
        .build(city.csv(of_city))?;
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

/// The facts that sealing would prove of these rows.
fn facts(batch: &RecordBatch, document: &Dataset, library: &Library) -> anyhow::Result<ManifestFacts> {
    let mut facts = ManifestFacts {
        rows: Some(u64::try_from(batch.num_rows())?),
        clustered: protected(document).next().is_some(),
        ..ManifestFacts::default()
    };
    for (place, unit) in protected(document).enumerate() {
        let tokens = batch.column_by_name(unit.column.as_str()).context("the key is a column")?;
        let mut rows: BTreeMap<i64, u64> = BTreeMap::new();
        tokens
            .as_primitive::<Int64Type>()
            .iter()
            .flatten()
            .for_each(|token| *rows.entry(token).or_default() += 1);
        let most = rows.values().copied().max().unwrap_or(0);
        facts.rows_max.insert(unit.column.to_string(), most);
        if most <= 1 {
            facts.one_row_per_subject |= place == 0;
            facts.unique.insert(BTreeSet::from([unit.column.to_string()]));
        }
    }
    let open = library.published_columns(document).map(|column| {
        let values = batch.column_by_name(column.name.as_str()).and_then(as_texts);
        Ok((column.name.to_string(), values.context("an open column has texts")?))
    });
    let open = open.collect::<anyhow::Result<BTreeMap<_, _>>>()?;
    facts.published = PublishedRows::new(open).filter(|rows| rows.values() > 0);
    if protected(document).next().is_none() {
        for (field, values) in batch.schema().fields().iter().zip(batch.columns()) {
            if is_unique(values)? {
                facts.unique.insert(BTreeSet::from([field.name().clone()]));
            }
        }
    }
    Ok(facts)
}

fn is_unique(values: &ArrayRef) -> anyhow::Result<bool> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(values, &options)?;
    let different: BTreeSet<String> = (0..values.len()).map(|row| formatter.value(row).to_string()).collect();
    Ok(values.null_count() == 0 && different.len() == values.len())
}

/// A column under a mask, by the definition of masks of single values.
fn masked(mask: &Mask, values: &ArrayRef) -> anyhow::Result<ArrayRef> {
    let context = MaskContext::keyless(TODAY);
    Ok(match values.data_type() {
        ArrowType::Utf8 => {
            let texts = values.as_string::<i32>().iter();
            Arc::new(texts.map(|text| mask.apply_text(text?, &context)).collect::<StringArray>())
        }
        ArrowType::Int64 => {
            let numbers = values.as_primitive::<Int64Type>().iter();
            let masked = numbers.map(|number| mask.apply_number(Fixed::from_i64(number?))?.to_i64());
            Arc::new(masked.collect::<Int64Array>())
        }
        ArrowType::Date32 => {
            let days = values.as_primitive::<Date32Type>().iter();
            let masked =
                days.map(|day| Some(mask.apply_date(Day::from_epoch_days(day?), &context)?.epoch_days()));
            Arc::new(masked.collect::<Date32Array>())
        }
        ArrowType::Timestamp(TimeUnit::Microsecond, None) => {
            let moments = values.as_primitive::<TimestampMicrosecondType>().iter();
            let masked = moments.map(|moment| mask.apply_timestamp(moment?, &context));
            Arc::new(masked.collect::<TimestampMicrosecondArray>())
        }
        other => bail!("no mask of the city is over {other}"),
    })
}
