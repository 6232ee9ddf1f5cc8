//! The story's remarks on each answer. A remark computes every number that it claims from the rows of the answer, and says
//! nothing that they do not show. The rest are rules of the installation, which hold for every city.

use std::collections::BTreeMap;

use obscura_policies::Text;

use super::answer::Answer;
use crate::city::firm::GIANT_SECTOR;
use crate::city::geography::DISTRICTS;

/// Villages of the town in the hills that the open register lists.
const VILLAGES: usize = 9;

/// The result of a question, as far as a remark needs it.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// The answer, where there is one.
    pub answer: Option<&'a Answer>,
    /// The question was refused.
    pub is_refused: bool,
    /// The refusal came with a question that would be admitted.
    pub has_rewrite: bool,
}

/// The sentences of a remark.
type Sentences = Vec<Text>;

fn say(en: impl Into<String>, zh: impl Into<String>) -> Text {
    Text::new(en, zh)
}

/// Columns: zone, registration, passages before, passages at the festival.
pub(super) fn traffic(outcome: &Outcome<'_>) -> Sentences {
    let Some(answer) = outcome.answer else { return Vec::new() };
    let (mut zones, mut registered) = (BTreeMap::new(), BTreeMap::new());
    for row in answer.places() {
        let numbers = answer.numbers(row, [2, 3]);
        for (sums, key) in [(&mut zones, answer.text(row, 0)), (&mut registered, answer.text(row, 1))] {
            if let Some(key) = key {
                add(sums.entry(key.to_owned()).or_insert(Some([0.0; 2])), numbers);
            }
        }
    }
    let mut said: Vec<(f64, String, [f64; 2])> = changes(zones);
    said.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut sentences = Vec::new();
    if let Some((change, zone, [before, after])) = said.first()
        && *change < 1.0
    {
        sentences.push(say(
            format!("{} empties: {before} passages before, {after} at the festival.", title(zone)),
            format!("{zone}空了：节前 {before} 次，节中 {after} 次。"),
        ));
    }
    if let Some((change, zone, [before, after])) = said.last()
        && *change > 1.0
    {
        sentences.push(say(
            format!("{} fills: {before} passages before, {after} at the festival.", title(zone)),
            format!("{zone}满了：节前 {before} 次，节中 {after} 次。"),
        ));
    }
    sentences.extend(of_registration(&changes(registered)));
    sentences.extend(all_are_multiples_of_five(answer, [2, 3]));
    sentences
}

/// Adds a row's numbers; a sum of which a part is missing is no sum.
fn add(sum: &mut Option<[f64; 2]>, numbers: Option<[f64; 2]>) {
    *sum = sum.zip(numbers).map(|(sum, more)| [sum[0] + more[0], sum[1] + more[1]]);
}

/// The sums that are whole, each with the ratio of its second number to its first.
fn changes(sums: BTreeMap<String, Option<[f64; 2]>>) -> Vec<(f64, String, [f64; 2])> {
    let whole = sums.into_iter().filter_map(|(key, sum)| Some((key, sum?)));
    whole.filter(|(_, sum)| sum[0] > 0.0).map(|(key, sum)| (sum[1] / sum[0], key, sum)).collect()
}

fn of_registration(changes: &[(f64, String, [f64; 2])]) -> Option<Text> {
    let of = |names: [&str; 2]| changes.iter().find(|(_, name, _)| names.contains(&name.as_str()));
    let (elsewhere, local) = of(["elsewhere", "外地"]).zip(of(["local", "本地"]))?;
    let percent = |(change, _, _): &(f64, String, [f64; 2])| (change * 100.0).round();
    let (elsewhere, local) = (percent(elsewhere), percent(local));
    let (en, zh) = match elsewhere.total_cmp(&local) {
        std::cmp::Ordering::Less => {
            ("those registered elsewhere stay away more than locals", "外地户籍的人比本地人走得多")
        }
        std::cmp::Ordering::Greater => {
            ("locals stay away more than those registered elsewhere", "本地人比外地户籍的人走得多")
        }
        std::cmp::Ordering::Equal => return None,
    };
    Some(say(
        format!(
            "Of a hundred passages before, {elsewhere} are left of people registered elsewhere and {local} of locals: {en}."
        ),
        format!("节前每一百次通行，外地户籍的人还剩 {elsewhere} 次，本地人 {local} 次：{zh}。"),
    ))
}

fn all_are_multiples_of_five(answer: &Answer, columns: [usize; 2]) -> Option<Text> {
    let mut numbers =
        answer.places().flat_map(|row| columns.map(|column| answer.number(row, column))).flatten().peekable();
    numbers.peek()?;
    numbers
        .all(|number| number % 5.0 == 0.0)
        .then(|| say("Every count is a multiple of five.", "所有计数都是五的倍数。"))
}

/// Columns: first year of the band, drivers, minutes, fee.
pub(super) fn parking(outcome: &Outcome<'_>) -> Sentences {
    let mut sentences = Vec::new();
    if let Some(answer) = outcome.answer {
        let bands: Vec<[f64; 2]> = answer.places().filter_map(|row| answer.numbers(row, [0, 2])).collect();
        sentences.extend(standing(&bands));
        if answer.number(0, 0) == Some(10.0) {
            sentences.push(say(
                "The first band begins at ten, though nobody of ten drives: ages are only ever seen in tens.",
                "第一行写着 10，并不是十岁的人在开车：年龄在这里只以十岁为一段。",
            ));
            return sentences;
        }
    }
    sentences.push(say("Ages are only ever seen in tens.", "年龄在这里只以十岁为一段。"));
    sentences
}

fn standing(bands: &[[f64; 2]]) -> Option<Text> {
    let ([young, short], [old, long]) = (*bands.first()?, *bands.last()?);
    let rises =
        bands.len() > 2 && bands.windows(2).all(|pair| matches!(pair, [one, next] if one[1] < next[1]));
    if rises {
        return Some(say(
            format!(
                "The older the driver, the longer the car stands: {short} minutes on average from {young} on, {long} from {old} on."
            ),
            format!("驾驶人越年长，车停得越久：{young} 岁段平均 {short} 分钟，{old} 岁段平均 {long} 分钟。"),
        ));
    }
    let longest = bands.iter().max_by(|one, other| one[1].total_cmp(&other[1]))?;
    let shortest = bands.iter().min_by(|one, other| one[1].total_cmp(&other[1]))?;
    (longest[1] > shortest[1]).then(|| {
        say(
            format!("Cars stand longest with drivers from {} on, {} minutes on average, and shortest from {} on, {} minutes.", longest[0], longest[1], shortest[0], shortest[1]),
            format!("{} 岁段停得最久，平均 {} 分钟；{} 岁段最短，平均 {} 分钟。", longest[0], longest[1], shortest[0], shortest[1]),
        )
    })
}

/// Columns: sight, guests, average ticket.
pub(super) fn tourism(outcome: &Outcome<'_>) -> Sentences {
    let mut sentences = Vec::new();
    if let Some(answer) = outcome.answer
        && let Some((spot, guests)) = answer.text(0, 0).zip(answer.number(0, 1))
        && answer.number(1, 1).is_none_or(|second| second < guests)
    {
        sentences.push(say(
            format!("{spot} comes first, with {guests} guests."),
            format!("{spot}居首，有 {guests} 位客人。"),
        ));
    }
    sentences.push(say(
        "LIMIT is harmless here: it cuts a list of released numbers. On a list of people it would have been refused.",
        "这里的 LIMIT 无害，它截的是已经放行的数字；若截的是人的名单，就会被拒绝。",
    ));
    sentences
}

/// Number of districts that have a line; one that has none may have too few people or none at all.
fn districts(outcome: &Outcome<'_>) -> Option<Text> {
    let (shown, all) = (outcome.answer?.len(), DISTRICTS.len());
    Some(if shown == all {
        say(format!("All {all} districts have a line."), format!("全部 {all} 个区县都在表里。"))
    } else {
        say(
            format!(
                "{shown} of {all} districts have a line; where there is none, too few people and nobody look alike."
            ),
            format!("{all} 个区县中有 {shown} 个在表里；不在表里的，人太少和没有人看上去一样。"),
        )
    })
}

/// Columns: district, people, amount.
pub(super) fn insurance(outcome: &Outcome<'_>) -> Sentences {
    let mut sentences = Vec::from_iter(districts(outcome));
    sentences.push(say(
        "The table says where an inspector should go, not whom to suspect. Names are the inspector's business, under another law.",
        "这张表说的是该去哪里查，没有说该怀疑谁。名字是检查人员的事，依据的是另一部法规。",
    ));
    sentences
}

/// Columns: district, residents.
pub(super) fn old_age(outcome: &Outcome<'_>) -> Sentences {
    let mut sentences = Vec::from_iter(districts(outcome));
    if outcome.answer.is_some() {
        sentences.push(say(
            "Eighty is an edge of the ten-year bands, so the question passed as it stood.",
            "八十正好是十岁分段的边界，所以这个问题原样通过。",
        ));
    }
    sentences
}

pub(super) fn migrants(outcome: &Outcome<'_>) -> Sentences {
    let mut sentences = vec![say(
        "Two exact lines, a year apart, would between them show the few who stand there.",
        "两条只差一岁的线，相减就会露出站在中间的几个人。",
    )];
    if outcome.has_rewrite {
        sentences.push(say(
            "So the refusal names the place and the rule, and offers the nearest line that may be drawn.",
            "所以拒绝时会指出位置和规则，并给出最近的、可以画的那条线。",
        ));
    }
    sentences
}

/// Columns: village, residents, of them sixty and more.
pub(super) fn villages(outcome: &Outcome<'_>) -> Sentences {
    let Some(answer) = outcome.answer else { return Vec::new() };
    let (shown, blank) = (answer.len(), answer.missing(1) + answer.missing(2));
    let mut sentences = vec![if shown < VILLAGES {
        say(
            format!("{shown} of the {VILLAGES} villages have a line."),
            format!("{VILLAGES} 个村中有 {shown} 个出现。"),
        )
    } else {
        say(format!("All {VILLAGES} villages have a line."), format!("{VILLAGES} 个村都出现了。"))
    }];
    if blank > 0 {
        sentences.push(say(
            format!("{blank} of their numbers are blank: too few people, or none."),
            format!("其中 {blank} 个数字是空白：人太少，或者没有人。"),
        ));
    }
    if shown < VILLAGES || blank > 0 {
        sentences.push(say(
            "A village that is hidden and one where nobody lives look alike, which is the point.",
            "被藏起来的村和没有人的村看上去一样，这正是用意。",
        ));
    }
    sentences
}

/// Columns: sector, firms, amount.
pub(super) fn giants(outcome: &Outcome<'_>) -> Sentences {
    let Some(answer) = outcome.answer else { return Vec::new() };
    let is_giants =
        |row: &usize| answer.text(*row, 0).is_some_and(|sector| [GIANT_SECTOR, "平台"].contains(&sector));
    let mut sentences = match answer.places().find(is_giants) {
        None => vec![say("The platform sector has no line.", "平台行业没有出现。")],
        Some(row) => match (answer.number(row, 1), answer.number(row, 2)) {
            (Some(firms), None) => vec![say(
                format!(
                    "For the platform sector the sum is blank while the number of firms stands: {firms}."
                ),
                format!("平台行业的总额是空白，企业数仍在：{firms} 家。"),
            )],
            _ => Vec::new(),
        },
    };
    sentences.push(say(
        "It is not enough to be many; no two may outweigh the rest.",
        "光是数量多还不够，还不能有两家压过其余所有。",
    ));
    sentences
}

pub(super) fn neighbour(outcome: &Outcome<'_>) -> Sentences {
    if !outcome.is_refused {
        return Vec::new();
    }
    vec![say(
        "Refused before a byte was read. A person's key may join and be counted, and is compared with nothing. The attempt now \
         stands in the log under the name of the one who asked.",
        "一个字节都没有读，就被拒绝了。人的标识可以用来关联和计数，不能同任何值比较。这次尝试已经记在日志里，署着提问者的名字。",
    )]
}

/// A name as a sentence begins with it.
fn title(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Cell;
    use super::*;

    /// An answer in short: a text, a number, or `-` for a cell that is missing.
    fn answer(rows: &[&[&str]]) -> Answer {
        let cell = |text: &&str| match text.parse() {
            Ok(number) => Cell::Number(number),
            Err(_) if *text == "-" => Cell::Missing,
            Err(_) => Cell::Text((*text).to_owned()),
        };
        Answer::new(rows.iter().map(|row| row.iter().map(cell).collect()).collect())
    }

    fn said(remark: fn(&Outcome<'_>) -> Vec<Text>, rows: &[&[&str]]) -> String {
        let answer = answer(rows);
        let outcome = Outcome { answer: Some(&answer), is_refused: false, has_rewrite: false };
        remark(&outcome).into_iter().map(|text| text.en + " ").collect()
    }

    #[test]
    fn a_change_is_told_as_it_is_and_not_of_what_is_withheld() {
        let told = said(
            traffic,
            &[
                &["centre", "elsewhere", "100", "10"],
                &["centre", "local", "100", "50"],
                &["lake", "elsewhere", "100", "90"],
                &["lake", "local", "100", "150"],
            ],
        );
        assert!(told.contains("Centre empties: 200 passages before, 60 at the festival."), "{told}");
        assert!(told.contains("Lake fills: 200 passages before, 240 at the festival."), "{told}");
        assert!(told.contains("50 are left of people registered elsewhere and 100 of locals"), "{told}");
        assert!(told.contains("multiple of five"), "{told}");
        let turned =
            said(traffic, &[&["centre", "elsewhere", "100", "120"], &["centre", "local", "102", "90"]]);
        assert!(turned.contains("Centre fills") && !turned.contains("empties"), "{turned}");
        assert!(turned.contains("locals stay away more"), "{turned}");
        assert!(!turned.contains("multiple of five"), "{turned}");
        let withheld =
            said(traffic, &[&["centre", "elsewhere", "100", "-"], &["centre", "local", "100", "50"]]);
        assert!(!withheld.contains("empties") && !withheld.contains("registered elsewhere"), "{withheld}");
        assert_eq!(said(traffic, &[]), "");
    }

    #[test]
    fn an_order_is_claimed_only_where_every_band_has_it() {
        let rising =
            said(parking, &[&["10", "50", "60", "5"], &["20", "90", "70.5", "5"], &["30", "90", "80", "6"]]);
        assert!(
            rising.contains("The older the driver") && rising.contains("60 minutes on average from 10 on")
        );
        assert!(rising.contains("The first band begins at ten"), "{rising}");
        let mixed =
            said(parking, &[&["20", "50", "60", "5"], &["30", "90", "90", "5"], &["40", "90", "80", "6"]]);
        assert!(!mixed.contains("The older") && !mixed.contains("begins at ten"), "{mixed}");
        assert!(mixed.contains("longest with drivers from 30 on, 90 minutes"), "{mixed}");
        assert_eq!(said(parking, &[]), "Ages are only ever seen in tens. ");
    }

    #[test]
    fn the_first_place_is_given_to_one_alone() {
        assert!(
            said(tourism, &[&["Temple", "90", "75"], &["Lake", "85", "130"]])
                .contains("Temple comes first, with 90")
        );
        assert!(!said(tourism, &[&["Temple", "90", "75"], &["Lake", "90", "130"]]).contains("comes first"));
        assert!(!said(tourism, &[]).contains("comes first"));
    }

    #[test]
    fn lines_and_blanks_are_counted() {
        let rows: [&[&str]; 2] = [&["Upper", "40", "-"], &["Lower", "30", "20"]];
        let told = said(villages, &rows);
        assert!(
            told.contains("2 of the 9 villages") && told.contains("1 of their numbers are blank"),
            "{told}"
        );
        let all = said(villages, &[&["V", "40", "20"]; 9].map(|row| row as &[&str]));
        assert_eq!(all, "All 9 villages have a line. ");
        assert!(
            said(old_age, &[&["d", "5"]; 13].map(|row| row as &[&str]))
                .starts_with("All 13 districts have a line.")
        );
        assert!(said(insurance, &rows).starts_with("2 of 13 districts have a line;"));
    }

    #[test]
    fn the_sum_of_the_giants_is_called_blank_only_where_it_is() {
        assert!(
            said(giants, &[&["platform", "85", "-"]])
                .contains("the sum is blank while the number of firms stands: 85.")
        );
        assert!(!said(giants, &[&["platform", "85", "10"]]).contains("blank"));
        assert!(said(giants, &[&["software", "85", "10"]]).contains("has no line"));
    }

    #[test]
    fn a_refusal_is_explained_only_where_there_is_one() {
        let none = Outcome { answer: None, is_refused: false, has_rewrite: false };
        assert!(neighbour(&none).is_empty());
        assert!(!neighbour(&Outcome { is_refused: true, ..none }).is_empty());
        assert_eq!(migrants(&none).len(), 1);
        assert_eq!(migrants(&Outcome { is_refused: true, has_rewrite: true, ..none }).len(), 2);
    }
}
