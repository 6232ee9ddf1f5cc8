//! Named noise of what is looked up in open tables, over HTTP: its numbers are those of the codes that find it, and whoever keeps the
//! open table cannot have them drawn anew.

use obscura_tests::fixture::Fixture;
use obscura_tests::server::Server;
use obscura_tests::world::OPERATOR;
use obscura_tests::world::PURPOSE;
use obscura_tests::world::World;

use crate::noise::DEPARTMENT;
use crate::noise::cells;
use crate::noise::csv_of;
use crate::noise::released;
use crate::noise::residents;
use crate::noise::seal;

/// Residents, and an open table of their districts.
const DOCUMENTS: &str = "\
api_version: obscura/v1
kind: Dataset
metadata: {id: noisy.zones, version: 1, title: {zh: 区, en: Districts}}
department: noisy
scheme: exact-2021
units: []
opening: unconditional
sharing: unconditional
update: yearly
columns:
  - {name: district, type: text, role: dimension, grade: L1}
  - {name: side, type: text, role: dimension, grade: L1}
---
api_version: obscura/v1
kind: Policy
metadata: {id: noisy-open, version: 1, title: {zh: 开放, en: Open tables}}
owner: noisy
effective: {from: 2025-01-01}
legal_basis: [{law: PIPL, article: \"13\"}]
object:
  subjects: {roles: [analyst], departments: any, districts: any}
  resources: {datasets: [noisy.zones], grade_max: L1}
condition: {purposes: [official-statistics], approvals: 1}
content:
  default: deny
  columns:
    - {match: {role: dimension}, uses: [filter, group, join]}
method: {release: rows_open, functions: [count]}
---
api_version: obscura/v1
kind: Dataset
metadata: {id: noisy.residents, version: 1, title: {zh: 居民, en: Residents}}
department: noisy
scheme: exact-2021
units: [{kind: resident, column: person_id}]
layout: clustered
opening: limited
sharing: conditional
update: yearly
columns:
  - {name: person_id, type: text, role: unit_key, grade: L3}
  - {name: district, type: text, role: dimension, grade: L2, domain_of: {dataset: noisy.zones, column: district}}
---
api_version: obscura/v1
kind: Policy
metadata: {id: noisy-statistics, version: 1, title: {zh: 带噪统计, en: Statistics with noise}}
owner: noisy
effective: {from: 2025-01-01}
legal_basis: [{law: PIPL, article: \"13\"}]
object:
  subjects: {roles: [analyst], departments: any, districts: any}
  resources: {datasets: [noisy.residents], grade_max: L3}
condition: {purposes: [official-statistics], approvals: 1}
content:
  default: deny
  columns:
    - {match: {role: unit_key}, uses: [count_distinct]}
    - {match: {role: dimension}, uses: [filter, group, join]}
method:
  release: aggregates
  functions: [count, count_distinct]
  controls: {perturbation: {deviation: 4}}
  review: none
";

/// The ten districts: five in the east, four in the west, and one whose side is not known.
const ZONES: &str = "\
district,side
D0,east
D1,east
D2,east
D3,east
D4,east
D5,west
D6,west
D7,west
D8,west
D9,
";

const BY_SIDE: &str = "SELECT z.side, COUNT(*) AS n FROM noisy.residents AS r \
    JOIN noisy.zones AS z ON z.district = r.district GROUP BY z.side ORDER BY z.side";

/// A server over a world in which ana may ask of both tables, of which none is sealed.
fn unsealed() -> Server {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let file = |name: &str, text: &str| {
        let file = world.root().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    world.publish(OPERATOR, &file("department.yaml", DEPARTMENT)).unwrap();
    for steward in ["nora", "nils"] {
        world.add_person(steward, "steward", "noisy").unwrap();
    }
    world.enact("nora", "nils", &file("documents.yaml", DOCUMENTS)).unwrap();
    for id in ["noisy.zones", "noisy.residents"] {
        let grant = ["grant", "create", "--person", "ana", "--purpose", PURPOSE, "--dataset", id];
        world.run("nora", &[&grant[..], &["--until", "2099-12-31"]].concat()).unwrap().done().unwrap();
    }
    Server::over(world, &[])
}

#[test]
fn what_is_looked_up_is_one_number_with_the_codes_that_find_it() {
    let server = unsealed();
    seal(&server.world, "noisy.zones", ZONES, &[]);
    seal(&server.world, "noisy.residents", &csv_of(&residents()), &[]);
    let found = cells(&released(&server, BY_SIDE));
    let named = |codes: &str| {
        let sql = format!("SELECT COUNT(*) AS n FROM noisy.residents WHERE district IN ({codes})");
        cells(&released(&server, &sql))[""]
    };
    assert_eq!(found["east"], named("'D0', 'D1', 'D2', 'D3', 'D4'"));
    assert_eq!(found["west"], named("'D5', 'D6', 'D7', 'D8'"));
    assert_eq!(found[""], named("'D9'"));
    let counted = residents().iter().filter(|row| row.district.as_str() < "D5").count();
    let off = (found["east"] - f64::from(u32::try_from(counted).unwrap())).abs();
    // Five names, each off by 160 at the most; a draw may be nothing.
    assert!(off <= 5.0 * 160.0 + 2.5, "{off}: {found:?}");
    server.is_clean();
}

#[test]
fn whoever_keeps_the_open_table_cannot_draw_the_noise_anew() {
    let server = unsealed();
    seal(&server.world, "noisy.zones", ZONES, &[]);
    seal(&server.world, "noisy.residents", &csv_of(&residents()), &[]);
    let first = released(&server, BY_SIDE);
    let all = released(&server, "SELECT COUNT(*) AS n FROM noisy.residents WHERE district IS NOT NULL");
    // A further code that nobody has would else make every name of the column another one, as often as one likes.
    for further in ["D10,east\n", "D11,east\nD12,north\n"] {
        seal(&server.world, "noisy.zones", &format!("{ZONES}{further}"), &["--replace"]);
        assert_eq!(released(&server, BY_SIDE), first, "{further}");
        let again = "SELECT COUNT(*) AS n FROM noisy.residents WHERE district IS NOT NULL";
        assert_eq!(released(&server, again), all, "{further}");
    }
    // Rows that are added keep the values too, and a list that lost a code still names it.
    seal(&server.world, "noisy.zones", "district,side\nD0,east\n", &["--replace", "--yes"]);
    assert_eq!(cells(&released(&server, BY_SIDE)).len(), 1);
    server.is_clean();
}

#[test]
fn data_that_refers_to_an_open_table_is_sealed_after_it() {
    let server = unsealed();
    let file = server.world.root().join("early.csv");
    std::fs::write(&file, csv_of(&residents())).unwrap();
    let seal_early = ["seal", "noisy.residents", &file.display().to_string()];
    let refused = server.world.run("nora", &seal_early).unwrap();
    assert!(refused.stderr.contains("which no sealed version publishes"), "{}", refused.stderr);
    assert!(refused.stderr.contains("seal `noisy.zones` first"), "{}", refused.stderr);
}
