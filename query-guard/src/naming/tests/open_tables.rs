//! Names of rows that look something up in open tables: they are those of the keys that find it.

use obscura_policies::published::PublishedRows;

use super::*;

#[test]
fn what_is_looked_up_has_the_names_of_the_keys_that_find_it() {
    each_list_has_names_of_its_own(&[
        &["SELECT COUNT(*) FROM persons"],
        &[
            "SELECT COUNT(*) FROM persons WHERE zip IN ('1000', '1001')",
            "SELECT COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip WHERE z.district = 'north'",
            "SELECT COUNT(*) FROM zones z JOIN persons p ON p.zip = z.zip AND z.district = 'north'",
            "SELECT COUNT(*) FROM persons p LEFT JOIN zones z ON p.zip = z.zip WHERE z.district = 'north'",
            "SELECT COUNT(*) FROM zones z RIGHT JOIN persons p ON p.zip = z.zip WHERE z.district = 'north'",
            "SELECT COUNT(*) FROM persons WHERE zip IN (SELECT zip FROM zones WHERE district = 'north')",
            "SELECT COUNT(*) FROM persons p WHERE EXISTS (SELECT 1 FROM zones z WHERE z.zip = p.zip AND z.district = 'north')",
            "SELECT COUNT(*) FROM persons p JOIN (SELECT zip AS code, district AS name FROM zones WHERE level < 4) z ON p.zip = z.code WHERE name = 'north'",
            "SELECT COUNT(*) FILTER (WHERE z.district = 'north') FROM persons p LEFT JOIN zones z ON p.zip = z.zip",
            "SELECT COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip JOIN zones y ON y.zip = z.zip WHERE y.district = 'north'",
        ],
        &[
            // The row of one zone has no district, and one zip of the domain is in no zone.
            "SELECT COUNT(*) FROM persons WHERE zip IN ('1000', '1001', '1010', '2000', '2001')",
            "SELECT COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip",
            "SELECT COUNT(*) FROM persons WHERE zip IN (SELECT zip FROM zones)",
            "SELECT COUNT(*) FROM persons p LEFT JOIN zones z ON p.zip = z.zip WHERE z.zip IS NOT NULL",
        ],
        &[
            "SELECT COUNT(*) FROM persons WHERE zip = '2002' OR zip IS NULL",
            "SELECT COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM zones z WHERE z.zip = p.zip)",
            "SELECT COUNT(*) FROM persons p LEFT JOIN zones z ON p.zip = z.zip WHERE z.zip IS NULL",
        ],
        &[
            "SELECT COUNT(*) FROM persons WHERE zip = '1010'",
            "SELECT COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip WHERE z.level = 1 AND z.district = 'south'",
        ],
    ]);
}

#[test]
fn groups_of_what_is_looked_up_have_the_names_of_their_keys() {
    let policy = policy();
    let grouped =
        "SELECT z.district, COUNT(*) FROM persons p LEFT JOIN zones z ON p.zip = z.zip GROUP BY z.district";
    for (district, condition) in [
        (text("north"), "zip IN ('1000', '1001')"),
        (text("south"), "zip IN ('1010', '2000')"),
        (ScalarValue::Utf8(None), "zip = '2001' OR zip = '2002' OR zip IS NULL"),
    ] {
        let sql = format!("SELECT COUNT(*) FROM persons WHERE {condition}");
        assert_eq!(names_of(&policy, grouped, &[district]), names_of(&policy, &sql, &[]), "{condition}");
    }
}

#[test]
fn look_ups_without_noise_are_the_counts_of_plain_rows() {
    are_counts_of_plain_rows(&[
        "SELECT COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip WHERE z.district = 'north'",
        "SELECT COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip",
        "SELECT COUNT(*) FROM persons p LEFT JOIN zones z ON p.zip = z.zip WHERE z.district IS NULL",
        "SELECT COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM zones z WHERE z.zip = p.zip AND z.level = 1)",
        "SELECT COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip WHERE z.district = 'south' OR p.sex = 'f'",
        "SELECT COUNT(*) FROM visits v JOIN persons p ON v.person_id = p.person_id JOIN zones z ON p.zip = z.zip WHERE z.district = 'north'",
    ]);
}

#[test]
fn a_list_with_a_missing_value_lets_nobody_pass_not_in() {
    let policy = policy();
    // One missing key makes NOT IN unknown for everybody, and so is it for who has none.
    let listed = |list: &str| format!("SELECT COUNT(*) FROM persons WHERE zip NOT IN (SELECT {list})");
    let rows =
        |condition: &str| names_of(&policy, &format!("SELECT COUNT(*) FROM persons WHERE {condition}"), &[]);
    let named = |sql: &str| names_of(&policy, sql, &[]);
    assert_eq!(
        named(&listed("zip FROM zones WHERE district = 'north'")),
        rows("zip NOT IN ('1000', '1001')")
    );
    assert_ne!(
        named(&listed("zip FROM zones")),
        named("SELECT COUNT(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM zones z WHERE z.zip = p.zip)"),
    );
    assert_eq!(named(&listed("zip FROM zones WHERE level > 90")), rows("zip IS NULL OR zip IS NOT NULL"));
    let mut missing = policy.clone();
    let zones = missing.datasets.get_mut(&"corpus.zones".parse::<DatasetId>().unwrap()).unwrap();
    let known = |name: &str| zones.published.as_ref().unwrap().column(name).unwrap().to_vec();
    let zips = known("zip").into_iter().map(|zip| zip.filter(|zip| zip != "3000")).collect();
    let columns = [("zip", zips), ("district", known("district")), ("level", known("level"))];
    let columns = columns.map(|(name, values): (&str, Vec<Option<String>>)| (name.to_owned(), values));
    zones.published = PublishedRows::new(BTreeMap::from(columns));
    assert_eq!(names_of(&missing, &listed("zip FROM zones"), &[]), Named::new());
    are_counts_of_plain_rows(&[
        listed("zip FROM zones WHERE district = 'north'"),
        listed("zip FROM zones WHERE level > 90"),
    ]);
}

#[test]
fn rows_that_no_manifest_publishes_have_no_names() {
    let sql = "SELECT COUNT(*) FROM persons p JOIN zones z ON p.zip = z.zip";
    assert_eq!(reasons(sql), []);
    let mut unknown = policy();
    unknown.datasets.get_mut(&"corpus.zones".parse::<DatasetId>().unwrap()).unwrap().published = None;
    let reasons_under = |policy: &EffectivePolicy, sql: &str| match review_under(policy, sql).decision {
        Decision::Admitted(_) => Vec::new(),
        Decision::Refused { findings, .. } => findings.into_iter().map(|finding| finding.reason).collect(),
    };
    assert_eq!(reasons_under(&unknown, sql), [Reason::RowsWithoutNames]);
    // A key without published values has no nodes to look up by.
    let mut without = policy();
    let persons = without.datasets.get_mut(&"corpus.persons".parse::<DatasetId>().unwrap()).unwrap();
    persons.columns.iter_mut().find(|column| column.name == "zip").unwrap().domain = None;
    assert_eq!(reasons_under(&without, sql), [Reason::DomainNotPublished]);
}
