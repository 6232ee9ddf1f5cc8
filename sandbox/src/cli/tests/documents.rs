//! Warnings to stewards about documents and data before they answer for them: lowered grades, controls that would be dropped
//! without a word, keys that are written in several ways.

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
