//! Facts about the choice of a grant: a renewal locks nobody out, the widest applies, a named one comes first.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::day::LocalTime;
use crate::document::Grant;
use crate::document::GrantedDataset;
use crate::effective::EffectivePolicy;
use crate::evaluate::Permits;
use crate::evaluate::PolicyRefusal;
use crate::evaluate::Principal;
use crate::evaluate::RefusalCode;
use crate::evaluate::effective;
use crate::evaluate::used_grants;
use crate::library::Library;
use crate::library::tests::WORLD;
use crate::library::tests::library;
use crate::vocabulary::Code;
use crate::vocabulary::DatasetId;
use crate::vocabulary::PersonRole;
use crate::vocabulary::Use;

const PURPOSE: &str = "epidemic-monitoring";

/// A further grant: its name, and what is changed of the world's.
type Further<'a> = (&'a str, &'a dyn Fn(&mut Grant));

struct Asked {
    library: Library,
    grants: Vec<Grant>,
    named: BTreeSet<Code>,
}

impl Asked {
    /// The world's grant, and further ones made of it.
    fn with(more: &[Further<'_>]) -> Self {
        let library = library(WORLD).unwrap();
        let mut grants: Vec<Grant> = library.grants().values().cloned().collect();
        for (id, change) in more {
            let mut grant = grants[0].clone();
            grant.metadata.id = id.parse().unwrap();
            change(&mut grant);
            grants.push(grant);
        }
        Self { library, grants, named: BTreeSet::new() }
    }

    fn naming(mut self, names: &[&str]) -> Self {
        self.named = names.iter().map(|name| name.parse().unwrap()).collect();
        self
    }

    fn ask(&self) -> Result<EffectivePolicy, PolicyRefusal> {
        let permits = Permits { grants: &self.grants, named: &self.named };
        effective(&self.library, &lin(), PURPOSE, permits, &[visits()], &BTreeMap::new(), now())
    }

    /// The grant that applied.
    fn used(&self) -> Result<String, RefusalCode> {
        let policy = self.ask().map_err(|refusal| refusal.code)?;
        let permits = Permits { grants: &self.grants, named: &self.named };
        let used = used_grants(&self.library, &lin(), PURPOSE, permits, &[visits()], now());
        let id = used[&visits()].id.to_string();
        assert!(policy.sources.iter().any(|source| source.id == id), "the decision names it");
        Ok(id)
    }
}

fn lin() -> Principal {
    Principal {
        person: "lin".to_owned(),
        roles: BTreeSet::from([PersonRole::Analyst]),
        department: "hz-cdc".parse().unwrap(),
        district: None,
    }
}

fn visits() -> DatasetId {
    "hz-health.outpatient_visits".parse().unwrap()
}

fn now() -> LocalTime {
    LocalTime { day: "2026-12-24".parse().unwrap(), minute: 10 * 60 }
}

fn dataset(grant: &mut Grant) -> &mut GrantedDataset {
    &mut grant.datasets[0]
}

fn longer(grant: &mut Grant) {
    grant.until = "2028-12-31".parse().unwrap();
}

fn whole(grant: &mut Grant) {
    dataset(grant).columns = None;
}

fn filtered(grant: &mut Grant) {
    dataset(grant).row_filter = Some("cost > 0".to_owned());
}

#[test]
fn a_renewal_locks_nobody_out_and_the_longest_of_equals_applies() {
    let renewed = Asked::with(&[("renewal", &longer)]);
    assert_eq!(renewed.used(), Ok("renewal".to_owned()));
    let twice = Asked::with(&[("again", &|_: &mut Grant| {})]);
    assert_eq!(twice.used(), Ok("again".to_owned()), "the same twice is one of them, always the same");
}

#[test]
fn of_grants_that_contain_each_other_the_widest_applies() {
    let fewer_uses = |grant: &mut Grant| {
        longer(grant);
        dataset(grant).uses = Some(BTreeSet::from([Use::Filter]));
    };
    assert_eq!(Asked::with(&[("less", &fewer_uses)]).used(), Ok("lin-epi".to_owned()));
    assert_eq!(Asked::with(&[("less", &filtered), ("whole", &whole)]).used(), Ok("whole".to_owned()));
}

#[test]
fn grants_of_which_none_contains_the_others_are_for_the_person_to_choose() {
    let other = |grant: &mut Grant| {
        whole(grant);
        filtered(grant);
    };
    let asked = Asked::with(&[("other", &other)]);
    let refusal = asked.ask().unwrap_err();
    assert_eq!(refusal.code, RefusalCode::GrantAmbiguous);
    let help = refusal.help.unwrap();
    for name in ["`lin-epi`", "`other`"] {
        assert!(help.en.contains(name) && help.zh.contains(name), "{help:?}");
    }
    assert_eq!(asked.naming(&["other"]).used(), Ok("other".to_owned()));
    let filters = |grant: &mut Grant| dataset(grant).row_filter = Some("cost > 1".to_owned());
    let asked = Asked::with(&[("one", &filtered), ("two", &filters)]).naming(&["one", "two"]);
    assert_eq!(asked.used(), Err(RefusalCode::GrantAmbiguous), "different conditions are not compared");
}

#[test]
fn a_named_grant_applies_though_another_is_wider() {
    let asked = Asked::with(&[("whole", &whole)]).naming(&["lin-epi"]);
    assert_eq!(asked.used(), Ok("lin-epi".to_owned()));
    let used = used_grants(
        &asked.library,
        &lin(),
        PURPOSE,
        Permits { grants: &asked.grants, named: &asked.named },
        &[visits()],
        now(),
    );
    assert_eq!(used[&visits()].others, BTreeSet::from(["whole".parse().unwrap()]));
}

#[test]
fn a_name_that_is_none_of_the_person_s_grants_is_refused_whoever_else_has_it() {
    let of_another = |grant: &mut Grant| grant.person = "chen".to_owned();
    let asked = Asked::with(&[("of-another", &of_another)]);
    assert_eq!(asked.used(), Ok("lin-epi".to_owned()));
    let hidden = asked.naming(&["of-another"]).ask().unwrap_err();
    assert_eq!(hidden.code, RefusalCode::GrantNotFound);
    let none = Asked::with(&[]).naming(&["of-another"]).ask().unwrap_err();
    assert_eq!(hidden, none);
}

#[test]
fn a_wider_grant_with_too_few_approvals_does_not_stand_in_the_way() {
    let unapproved = |grant: &mut Grant| {
        whole(grant);
        grant.approved_by = BTreeSet::new();
    };
    assert_eq!(Asked::with(&[("whole", &unapproved)]).used(), Ok("lin-epi".to_owned()));
}

#[test]
fn an_owner_s_row_filter_may_read_what_the_grant_leaves_out() {
    let policy = Asked::with(&[]).ask().unwrap();
    let dataset = &policy.datasets[&visits()];
    let hospital = dataset.columns.iter().find(|column| column.name == "hospital").unwrap();
    assert!(hospital.uses.is_empty(), "no question may name it");
}
