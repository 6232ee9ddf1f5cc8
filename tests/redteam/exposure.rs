//! The figure that a steward is shown of the register: what somebody who asks everything tells of one resident, as it is computed and
//! not as it is played.

use anyhow::Context as _;
use obscura_policies::day::Day;
use obscura_query_guard::exposure::AllKnown;
use obscura_query_guard::exposure::Exposure;
use obscura_query_guard::exposure::Search;
use obscura_query_guard::exposure::all_known;
use obscura_query_guard::exposure::least_squares;
use obscura_query_guard::opening::Opening;

use crate::policy::dataset;
use crate::policy::policy;
use crate::register::Register;

/// The day as of which masks count ages; the register has none.
const TODAY: i32 = 20_000;

/// The figures of the register at a deviation of named noise, published once; of these columns alone, where some are named.
pub(crate) fn figures(
    register: &Register,
    deviation: u32,
    opened: Option<&[&str]>,
) -> anyhow::Result<(Exposure, AllKnown)> {
    let (mut policy, id) = (policy(Some(deviation), false), dataset());
    let columns = policy.datasets.values_mut().flat_map(|dataset| &mut dataset.columns);
    for column in
        columns.filter(|column| opened.is_some_and(|opened| !opened.contains(&column.name.as_str())))
    {
        column.uses.clear();
    }
    let opening = Opening::of(&policy, &id, Day::from_epoch_days(TODAY)).context("nothing is opened")?;
    let mut rows = opening.rows();
    rows.take(&register.batch()).context("the rows cannot be read")?;
    let subjects = rows.subjects().context("nobody is in the register")?;
    let search = Search::default();
    let exposure = least_squares(opening.opened(), &subjects, deviation, &search)?;
    Ok((exposure, all_known(opening.opened(), deviation)?))
}
