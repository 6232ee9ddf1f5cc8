//! Warnings to stewards about documents and data before they answer for them: lowered grades, controls that would be dropped
//! without a word, units that were forgotten, keys that are written in several ways.

use super::*;

/// A version of the policy with some texts changed.
fn policy(version: u32, changes: &[(&str, &str)]) -> String {
    let mut policy =
        DATASET.split("---\n").nth(1).unwrap().replace("version: 1", &format!("version: {version}"));
    for (from, to) in changes {
        assert!(policy.contains(from), "the policy holds `{from}`");
        policy = policy.replacen(from, to, 1);
    }
    policy
}

const MEASURE: &str = "{match: {role: measure}, uses: [aggregate]}";

#[test]
fn a_grade_that_a_mask_lowers_is_a_word_in_the_activation() {
    let mut world = World::founded();
    let lowered = MEASURE.replace("aggregate]", "aggregate], mask: {bin: 100}, grade_after: L2");
    let second = world.write("second.yaml", &policy(2, &[(MEASURE, &lowered)]));
    let word = "`health-statistics@2`: grade of hz-health.visits.cost: L3 to L2 by mask bin";
    let proposed = world.run(Some("shen"), &["policy", "publish", &second]).must_be(Exit::Waits);
    assert!(proposed.err.contains(word), "{}", proposed.err);
    let waiting = world.run(Some("feng"), &["policy", "proposals"]).must_be(Exit::Done);
    assert!(waiting.err.contains(word), "{}", waiting.err);
    let chinese = world.run(Some("feng"), &["policy", "proposals", "--lang", "zh"]).must_be(Exit::Done);
    assert!(
        chinese.err.contains("hz-health.visits.cost 的分级：经脱敏 bin 由 L3 降为 L2"),
        "{}",
        chinese.err
    );
    let listed = world.run(Some("feng"), &["policy", "proposals", "-o", "json"]).must_be(Exit::Done);
    let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    let lowers = listed.pointer("/0/lowers/0").unwrap();
    for (field, value) in
        [("dataset", "hz-health.visits"), ("column", "cost"), ("from", "L3"), ("to", "L2"), ("mask", "bin")]
    {
        assert_eq!(lowers.get(field).unwrap(), value);
    }
    let activated =
        world.run(Some("feng"), &["policy", "activate", "health-statistics@2"]).must_be(Exit::Done);
    assert!(activated.err.contains(word), "{}", activated.err);
    let nothing = world.run(Some("feng"), &["policy", "proposals", "-o", "json"]).must_be(Exit::Done);
    assert_eq!(nothing.out.trim(), "[]");
}

#[test]
fn documents_that_drop_a_control_without_a_word_are_not_published() {
    let mut world = World::founded();
    let dimension = "{match: {role: dimension}, uses: [filter, group]}";
    for (code, from, to) in [
        ("rule-covers-nothing", dimension, "{match: {role: measure, name: district}, uses: [filter, group]}"),
        (
            "limit-unfit",
            "  release: aggregates\n",
            "  release: aggregates\n  max_rows_per_subject: 4000000000\n",
        ),
        (
            "grade-after-unfit",
            MEASURE,
            "{match: {role: measure}, uses: [aggregate], mask: redact, grade_after: L1}",
        ),
        (
            "mask-changes-nothing",
            MEASURE,
            "{match: {role: measure}, uses: [aggregate], mask: {bin: 0.000001}, grade_after: L2}",
        ),
    ] {
        let file = world.write("wrong.yaml", &policy(2, &[(from, to)]));
        for command in ["check", "publish"] {
            let refused = world.run(Some("shen"), &["policy", command, &file]);
            assert!(refused.exit != Exit::Done && refused.err.contains(code), "{code}: {}", refused.err);
        }
    }
}

const ROADS: &str = "\
api_version: obscura/v1
kind: Dataset
metadata: {id: hz-health.roads, version: 1, title: {en: Roads, zh: 路段}}
department: hz-health
scheme: db33t2351-2021
units: []
opening: limited
sharing: conditional
columns:
  - {name: road, type: text, role: dimension, grade: L2}
  - {name: accidents, type: int, role: measure, grade: L2, range: [0, 100]}
";

#[test]
fn data_above_l1_without_units_is_published_with_a_reason_by_two_people() {
    let mut world = World::founded();
    let forgotten = world.write("roads.yaml", ROADS);
    for command in ["check", "publish"] {
        let refused = world.run(Some("shen"), &["policy", command, &forgotten]).must_be(Exit::Failure);
        for told in ["roads.yaml:6:1: ", "`units`", "units-undeclared", "`units: none`"] {
            assert!(refused.err.contains(told), "{told}: {}", refused.err);
        }
    }
    let chinese = world.run(Some("shen"), &["policy", "check", &forgotten, "--lang", "zh"]);
    assert!(chinese.err.contains("没有写明主体"), "{}", chinese.err);
    let none = ROADS.replace("units: []\n", "units: none\n");
    let silent = world.write("silent.yaml", &none);
    let refused = world.run(Some("shen"), &["policy", "publish", &silent]).must_be(Exit::Failure);
    assert!(refused.err.contains("reason-missing"), "{}", refused.err);

    let reason = none.replace("units: none\n", "units: none\nunits_reason: each row is a stretch of road\n");
    let stated = world.write("stated.yaml", &reason);
    let warning =
        "each row counts as a subject of its own, whoever it is about: each row is a stretch of road";
    let proposed = world.run(Some("shen"), &["policy", "publish", &stated]).must_be(Exit::Waits);
    assert!(proposed.err.contains(warning), "{}", proposed.err);
    let rows = world.write("roads.csv", "road,accidents\na,1\nb,2\n");
    let seal = ["seal", "hz-health.roads", &rows];
    assert!(world.run(Some("shen"), &seal).exit != Exit::Done, "it is not in force yet");
    let listed = world.run(Some("feng"), &["policy", "proposals", "-o", "json"]).must_be(Exit::Done);
    let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(listed.pointer("/0/policy").unwrap(), "hz-health.roads");
    let waiting = world.run(Some("feng"), &["policy", "proposals"]).must_be(Exit::Done);
    assert!(waiting.err.contains(warning), "{}", waiting.err);
    let shown = world.run(Some("feng"), &["policy", "show", "hz-health.roads@1"]).must_be(Exit::Done);
    assert!(
        shown.out.contains("units: none") && shown.err.contains("Dataset hz-health.roads@1"),
        "{}",
        shown.err
    );

    let name = "hz-health.roads@1";
    let own = world.run(Some("shen"), &["policy", "activate", name]);
    assert!(own.exit != Exit::Done && own.err.contains("nobody activates what they proposed"), "{}", own.err);
    world.run(Some("feng"), &["policy", "activate", name]).must_be(Exit::Done);
    world.run(Some("shen"), &seal).must_be(Exit::Done);
    let log = world.run(Some("gu"), &["audit", "export"]).must_be(Exit::Done);
    assert!(log.out.contains("activated"), "{}", log.out);

    // Every version is read by a second person, and its author may take it back.
    let next = world.write("next.yaml", &reason.replace("version: 1", "version: 2"));
    world.run(Some("shen"), &["policy", "publish", &next]).must_be(Exit::Waits);
    world.run(Some("shen"), &["policy", "withdraw", "hz-health.roads@2"]).must_be(Exit::Done);
    // Open data needs no second person.
    let open = world.write("open.yaml", &ROADS.replace("grade: L2", "grade: L1").replace("roads", "lanes"));
    world.run(Some("shen"), &["policy", "publish", &open]).must_be(Exit::Done);
}

#[test]
fn units_that_are_not_protected_wait_for_a_second_person_too() {
    let mut world = World::founded();
    let unit = "  - {kind: resident, column: person_id}\n";
    let unprotected =
        "  - {kind: resident, column: person_id, protects: false, reason: a register of firms}\n";
    let dataset = DATASET.split("---\n").next().unwrap().replace("hz-health.visits", "hz-health.firms");
    let dataset = world.write("firms.yaml", &dataset.replace(unit, unprotected));
    let proposed = world.run(Some("shen"), &["policy", "publish", &dataset]).must_be(Exit::Waits);
    assert!(proposed.err.contains("a register of firms"), "{}", proposed.err);
    world.run(Some("feng"), &["policy", "activate", "hz-health.firms@1"]).must_be(Exit::Done);
}

#[test]
fn what_is_empty_in_a_policy_is_not_published() {
    let mut world = World::founded();
    for (code, from, to) in [
        ("controls-empty", "  release: aggregates\n", "  release: aggregates\n  controls: {}\n"),
        ("value-missing", "  release: aggregates\n", "  release: aggregates\n  controls:\n"),
        ("limit-zero", "  release: aggregates\n", "  release: aggregates\n  controls: {subjects_min: 0}\n"),
        ("list-empty", "departments: any", "departments: []"),
    ] {
        let file = world.write("empty.yaml", &policy(2, &[(from, to)]));
        for command in ["check", "publish"] {
            let refused = world.run(Some("shen"), &["policy", command, &file]).must_be(Exit::Failure);
            assert!(
                refused.err.contains(code) && refused.err.contains("empty.yaml:"),
                "{code}: {}",
                refused.err
            );
        }
    }
    // A policy without controls waits, and is activated from the form that is kept: the floor of the grade holds.
    let floor = world.write("floor.yaml", &policy(2, &[]));
    world.run(Some("shen"), &["policy", "publish", &floor]).must_be(Exit::Waits);
    world.run(Some("feng"), &["policy", "activate", "health-statistics@2"]).must_be(Exit::Done);
}

#[test]
fn an_activation_is_checked_against_what_is_in_force_by_then() {
    let mut world = World::founded();
    let until = ("owner: hz-health\n", "owner: hz-health\neffective: {until: 2099-06-30}\n");
    let enact = |world: &mut World, version: u32, text: &str| {
        let file = world.write("policy.yaml", text);
        world.run(Some("shen"), &["policy", "publish", &file]).must_be(Exit::Waits);
        let name = format!("health-statistics@{version}");
        world.run(Some("feng"), &["policy", "activate", &name]).must_be(Exit::Done);
    };
    enact(&mut world, 2, &policy(2, &[until]));
    let strict = policy(
        1,
        &[
            until,
            ("id: health-statistics", "id: health-strict"),
            ("  release: aggregates\n", "  release: aggregates\n  controls: {subjects_min: 30}\n"),
        ],
    );
    let strict = world.write("strict.yaml", &strict);
    world.run(Some("shen"), &["policy", "publish", &strict]).must_be(Exit::Waits);
    enact(&mut world, 3, &policy(3, &[]));
    let refused = world.run(Some("feng"), &["policy", "activate", "health-strict@1"]);
    assert!(refused.exit != Exit::Done, "{}", refused.err);
    for told in ["policy-lapses", "2099-06-30", "`health-statistics`"] {
        assert!(refused.err.contains(told), "{told}: {}", refused.err);
    }
}

#[test]
fn a_new_dataset_uncovers_no_rule_of_a_policy_in_force() {
    let mut world = World::founded();
    let masked = "{match: {type: money}, uses: [aggregate], mask: {bin: 100}}";
    let second = world.write("second.yaml", &policy(2, &[(MEASURE, masked)]));
    world.run(Some("shen"), &["policy", "publish", &second]).must_be(Exit::Waits);
    world.run(Some("feng"), &["policy", "activate", "health-statistics@2"]).must_be(Exit::Done);
    let dataset = DATASET.split("---\n").next().unwrap().replace("version: 1", "version: 2");
    let untyped = world.write("untyped.yaml", &dataset.replace("semantic: money, ", ""));
    let refused = world.run(Some("shen"), &["policy", "publish", &untyped]);
    assert!(refused.exit != Exit::Done && refused.err.contains("does-not-fit"), "{}", refused.err);
    let retitled = world.write("retitled.yaml", &dataset.replace("en: Visits", "en: All visits"));
    world.run(Some("shen"), &["policy", "publish", &retitled]).must_be(Exit::Done);
}

#[test]
fn keys_that_are_written_in_several_ways_wait_for_the_steward_s_decision() {
    let mut world = World::founded();
    let dataset = DATASET.split("---\n").next().unwrap().replace(", semantic: resident_id", "");
    let dataset = world.write("walks.yaml", &dataset.replace("hz-health.visits", "hz-health.walks"));
    world.run(Some("shen"), &["policy", "publish", &dataset]).must_be(Exit::Done);
    let rows = "person_id,name,district,cost\n8888,a,x,1\n08888,b,x,2\n7,c,x,3\n";
    let rows = world.write("walks.csv", rows);
    let seal = ["seal", "hz-health.walks", &rows];
    let stopped = world.run(Some("shen"), &seal).must_be(Exit::Usage);
    for told in ["unit-key-spellings", "`person_id`", "lines 2 and 3", "--unit-keys same"] {
        assert!(stopped.err.contains(told), "{told}: {}", stopped.err);
    }
    assert!(!stopped.err.contains("8888"), "{}", stopped.err);
    let chinese = world.run(Some("shen"), &["--lang", "zh", "seal", "hz-health.walks", &rows]);
    assert!(chinese.err.contains("第 2 行与第 3 行"), "{}", chinese.err);
    let as_written = [seal.as_slice(), &["--unit-keys", "as-written"]].concat();
    let sealed = world.run(Some("shen"), &as_written).must_be(Exit::Done);
    assert!(sealed.err.contains("3 subjects"), "{}", sealed.err);
    let same = [seal.as_slice(), &["--unit-keys", "same", "--replace"]].concat();
    let sealed = world.run(Some("shen"), &same).must_be(Exit::Done);
    assert!(sealed.err.contains("2 subjects"), "{}", sealed.err);
    let log = world.run(Some("gu"), &["audit", "export"]).must_be(Exit::Done);
    assert!(log.out.contains("unit_keys") && log.out.contains("as-written"), "{}", log.out);
    world.run(None, &["audit", "verify"]).must_be(Exit::Done);
}

#[test]
fn findings_are_told_in_the_reader_s_language() {
    let mut world = World::founded();
    for (changes, english, chinese) in [
        (
            vec![("purposes: [official-statistics]", "purposes: [official]")],
            "there is no purpose `official` (purpose-not-found); accepted: ",
            "用途 `official` 不存在（purpose-not-found）；可用：",
        ),
        (
            vec![("  release: aggregates\n", "  releases: aggregates\n")],
            "unknown field `releases` (malformed); accepted: ",
            "没有字段 `releases`（malformed）；可用：",
        ),
        (
            vec![("content:\n", "content:\n  row_filter: ward = 'east'\n")],
            "the row filter names `ward`, which is no column of the dataset (`hz-health.visits`)",
            "行过滤条件中的 `ward` 不是该数据集的字段（`hz-health.visits`）（row-filter-unfit）；可用：",
        ),
    ] {
        let file = world.write("wrong.yaml", &policy(2, &changes));
        for (language, told, other) in [("en", english, chinese), ("zh", chinese, english)] {
            let refused = world.run(Some("shen"), &["--lang", language, "policy", "check", &file]);
            let refused = refused.must_be(Exit::Failure);
            assert!(refused.err.contains(told) && !refused.err.contains(other), "{told}: {}", refused.err);
        }
    }
    // This very version is in force with other words in it.
    let other = world.write("other.yaml", &policy(1, &[("en: Statistics", "en: Other statistics")]));
    let refused = world.run(Some("shen"), &["--lang", "zh", "policy", "publish", &other]);
    let refused = refused.must_be(Exit::Failure);
    assert!(
        refused.err.contains("版本 1 已生效，已发布的版本不再改动（version-not-new）；请改为版本 2"),
        "{}",
        refused.err
    );
}
