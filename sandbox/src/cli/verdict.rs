//! Drawing a verdict for a person: each finding under the SQL it is about, the rule, accepted input, and questions that
//! would be admitted. It adds nothing to the verdict.

use std::fmt;
use std::io;

use miette::Diagnostic;
use miette::GraphicalReportHandler;
use miette::GraphicalTheme;
use miette::LabeledSpan;
use miette::SourceCode;

use crate::app::query::budget_view::BudgetUseView;
use crate::app::query::charging::BUDGET_SPENT;
use crate::app::query::verdict::FindingView;
use crate::app::query::verdict::GrantUseView;
use crate::app::query::verdict::OutputView;
use crate::app::query::verdict::Verdict;
use crate::cli::screen::Paint;
use crate::cli::screen::Painted;
use crate::cli::screen::Screen;
use crate::cli::visible::visible;
use crate::cli::visible::visible_line;
use crate::cli::wrap::indented;
use crate::cli::wrap::lines;

/// Longest line of SQL that is drawn as it is, in characters; longer ones are broken.
const LINE_CHARACTERS_MAX: usize = 96;
/// Words before which a long line is broken.
const CLAUSES: &[&str] = &[
    "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "JOIN", "LEFT", "RIGHT", "FULL", "INNER",
    "CROSS",
];
/// Longest line of SQL that findings are drawn under.
const LINE_BYTES_MAX: usize = 2000;

const NOTICE_EN: &str = "\
Suppression is in force: groups and cells that rest on too few subjects, or on few large ones, \
are left out or shown as –. What is withheld, empty or never existed looks alike. \
Rows without a subject are not counted.";
const NOTICE_ZH: &str = "\
输出控制已生效：主体过少、或被少数大户主导的分组和单元格不予显示，或显示为 –。\
被隐去的、为空的和本不存在的，看起来都一样。没有主体的行不计入统计。";
/// Widest that findings and notices are drawn.
const DRAWN_COLUMNS_MAX: usize = 100;

/// One finding as miette draws it.
struct Drawn<'a> {
    code: &'a str,
    message: &'a str,
    sql: &'a str,
    span: Option<(usize, usize)>,
    label: &'a str,
}

impl fmt::Debug for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl Diagnostic for Drawn<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(self.code))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.span.map(|_| &self.sql as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (start, end) = self.span?;
        let label = LabeledSpan::new(Some(self.label.to_owned()), start, end.saturating_sub(start));
        Some(Box::new(std::iter::once(label)))
    }
}

/// Draws the findings of a refusal and its rewrites.
pub(crate) fn draw_refusal(screen: &mut Screen<'_>, sql: &str, verdict: &Verdict) -> io::Result<()> {
    if verdict.codes().into_iter().eq([BUDGET_SPENT]) {
        screen.say("A budget has no room for this question.", "隐私预算不足，查询未执行。")?;
    } else {
        screen.say("The guard refuses this question.", "查询未通过审查。")?;
    }
    for finding in &verdict.findings {
        let drawing = draw(screen, sql, finding);
        screen.show(&drawing)?;
    }
    for rewrite in &verdict.rewrites {
        let title = screen.pick(&rewrite.title).to_owned();
        let introduction = screen.either("This would be admitted: ", "可改为以下查询：").to_owned();
        screen.tell("")?;
        for line in lines(&(introduction + &title), screen.columns(usize::MAX)) {
            let line = screen.paint(&line, Paint::Good);
            screen.show(&line)?;
        }
        screen.tell("")?;
        for line in rewrite.sql.lines() {
            let text = line.trim_start();
            let first = format!("    {}", line.strip_suffix(text).unwrap_or_default());
            for part in indented(&first, text, screen.columns(usize::MAX)) {
                screen.tell(&part)?;
            }
        }
    }
    Ok(())
}

/// Draws the columns and controls of an admitted question.
pub(crate) fn draw_admission(screen: &mut Screen<'_>, verdict: &Verdict) -> io::Result<()> {
    let admitted = screen.either("The guard admits this question.", "查询通过审查。").to_owned();
    let admitted = screen.paint(&admitted, Paint::Good);
    screen.show(&admitted)?;
    if let Some(controls) = &verdict.controls {
        let subjects = controls.subjects_min;
        screen.say(
            &format!("  every cell rests on at least {subjects} subjects"),
            &format!("  每个单元格至少涉及 {subjects} 个主体"),
        )?;
        if let (Some(share), Some(p)) = (controls.dominance_share_max_permille, controls.dominance_p_percent)
        {
            let percent = f64::from(share) / 10.0;
            screen.say(
                &format!(
                    "  in a sum, the largest contributors hold at most {percent} % (and p% with p = {p})"
                ),
                &format!("  求和时，最大贡献者占比不超过 {percent} %（p% 规则，p = {p}）"),
            )?;
        }
        if let Some(base) = controls.rounding {
            screen
                .say(&format!("  counts are multiples of {base}"), &format!("  计数取整为 {base} 的倍数"))?;
        }
        if let Some(deviation) = controls.perturbation {
            screen.say(
                &format!("  counts and sums have noise, of deviation {deviation} subjects a draw"),
                &format!("  计数与求和含噪声，单次抽取的标准差为 {deviation} 个主体"),
            )?;
        }
    }
    if verdict.reviewers > 0 {
        let reviewers = verdict.reviewers;
        screen.say(
            &format!("  the result waits for {reviewers} reviewer(s) before it leaves"),
            &format!("  结果须经 {reviewers} 人复核后方可输出"),
        )?;
    }
    for used in verdict.grants.iter().filter(|used| !used.others.is_empty()) {
        let GrantUseView { dataset, grant, until, others } = used;
        let (grant, others) = (visible_line(grant), visible_line(&others.join(", ")));
        screen.say(
            &format!(
                "  `{dataset}` under your grant `{grant}` (until {until}); `--grant` names another: {others}"
            ),
            &format!(
                "  `{dataset}` 依据授权 `{grant}`（有效期至 {until}）；可用 `--grant` 另行指明：{others}"
            ),
        )?;
    }
    draw_budget(screen, verdict)?;
    if let Some(cost) = &verdict.cost {
        screen.say(&format!("  cost class {cost}"), &format!("  成本等级 {cost}"))?;
    }
    Ok(())
}

/// Draws what a question costs each budget, and what is left there before it is charged.
fn draw_budget(screen: &mut Screen<'_>, verdict: &Verdict) -> io::Result<()> {
    for used in verdict.budget.iter().flatten() {
        let BudgetUseView { dataset, cost, left, lifetime_left, resets, .. } = used;
        let (cost, left, lifetime) = (cost.epsilon, left.epsilon, lifetime_left.epsilon);
        screen.say(
            &format!(
                "  costs an epsilon of {cost} of your share of the budget of `{dataset}`; before it {left} is left, and {lifetime} of its lifetime total"
            ),
            &format!(
                "  消耗您在 `{dataset}` 的隐私预算份额 epsilon {cost}；扣减前剩余 {left}，终身总额剩余 {lifetime}"
            ),
        )?;
        if let Some(resets) = resets {
            screen.say(
                &format!("  the next of your charges falls out of the period at {resets}"),
                &format!("  您的下一笔扣减于 {resets} 移出周期"),
            )?;
        }
    }
    Ok(())
}

/// The standing notice, and how far the numbers may be off: the same words under every protected result of a question, whether anything
/// was withheld or not.
pub(crate) fn draw_notice(screen: &mut Screen<'_>, verdict: &Verdict) -> io::Result<()> {
    let mut notice = screen.either(NOTICE_EN, NOTICE_ZH).to_owned();
    if let Some(most) = verdict.output.iter().find_map(|output| output.top_coded_at) {
        let en = format!(" {most}+ stands for {most} and every larger number.");
        notice.push_str(screen.either(&en, &format!("{most}+ 表示 {most} 及以上。")));
    }
    let errors: Vec<String> = verdict.output.iter().filter_map(|output| told_error(screen, output)).collect();
    if !errors.is_empty() {
        notice.push_str(screen.either(" Accuracy: ", "准确度："));
        notice.push_str(&errors.join(screen.either("; ", "；")));
        notice.push_str(screen.either(".", "。"));
    }
    if verdict.controls.as_ref().is_some_and(|controls| controls.perturbation.is_some()) {
        notice.push_str(screen.either(
            " Totals and their parts have noise of their own, and do not add up exactly.",
            "合计与分项各含噪声，二者之和不完全相等。",
        ));
    }
    for line in lines(&notice, screen.columns(DRAWN_COLUMNS_MAX)) {
        let line = screen.paint(&line, Paint::Faint);
        screen.show(&line)?;
    }
    Ok(())
}

/// The error of a column under its name; nothing where its numbers are exact, or it states none.
fn told_error(screen: &Screen<'_>, output: &OutputView) -> Option<String> {
    let told = output.error.as_ref()?.told()?;
    Some(format!("{} {}", visible_line(&output.name), screen.pick(&told)))
}

/// The text with its long lines broken, so that a place in it can be seen: white space outside of quotes becomes the end of
/// a line, so that every place stays where it is.
fn reflowed(sql: &str) -> String {
    let mut shown = String::with_capacity(sql.len());
    for line in sql.split_inclusive('\n') {
        if line.chars().count() <= LINE_CHARACTERS_MAX {
            shown.push_str(line);
        } else {
            break_line(line, &mut shown);
        }
    }
    shown
}

fn break_line(line: &str, shown: &mut String) {
    let (mut quote, mut column) = (None, 0_usize);
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"' | '`') => quote = Some(c),
            _ => {}
        }
        let next = line.get(at + c.len_utf8()..).unwrap_or_default();
        if quote.is_none() && c == ' ' && column > 0 && begins_line(next, column + 1) {
            shown.push('\n');
            column = 0;
        } else {
            shown.push(c);
            column += 1;
        }
    }
}

/// True if the text begins with a clause, or with a word that a line so long has no room for. Of a word no more is read than a
/// line holds: a text may be one word of 64 KiB.
fn begins_line(text: &str, column: usize) -> bool {
    let word: String = text.chars().take_while(|c| !c.is_whitespace()).take(LINE_CHARACTERS_MAX).collect();
    CLAUSES.contains(&word.to_ascii_uppercase().as_str())
        || column + word.chars().count() > LINE_CHARACTERS_MAX
}

/// A line that fills screens shows no place.
fn is_drawable(sql: &str) -> bool {
    reflowed(sql).lines().all(|line| line.len() <= LINE_BYTES_MAX)
}

/// Everything is made visible before it is drawn: the drawing adds only colours. Places are bytes, and stay.
fn draw(screen: &Screen<'_>, sql: &str, finding: &FindingView) -> Painted {
    let sql = &*reflowed(&visible(sql));
    let named = ["column", "function", "dataset"].iter().find_map(|role| finding.params.get(*role));
    let label = named.map_or_else(|| screen.either("here", "此处").to_owned(), |name| visible_line(name));
    let help = finding.help.as_ref().map(|help| visible(screen.pick(help)));
    let (code, message) = (visible_line(&finding.code), visible(screen.pick(&finding.message)));
    let drawn = Drawn {
        code: &code,
        message: &message,
        sql,
        // A place outside the text would make the drawing fail, and the finding is worth more than its place.
        span: finding
            .span
            .map(|span| (span.start, span.end))
            .filter(|(start, end)| start < end && *end <= sql.len() && is_drawable(sql)),
        label: &label,
    };
    let theme = if screen.colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(screen.columns(DRAWN_COLUMNS_MAX))
        .with_links(false);
    let mut text = String::new();
    if let Err(fmt::Error) = handler.render_report(&mut text, &drawn) {
        text = format!("{}: {}", drawn.code, drawn.message);
    }
    let mut drawing = text.trim_end().to_owned();
    if let Some(help) = help {
        // The drawing has the word for it in one language only.
        let word = screen.either("  help: ", "  建议：");
        for line in indented(word, &help.replace('\n', " "), screen.columns(DRAWN_COLUMNS_MAX)) {
            drawing.push('\n');
            drawing.push_str(&line);
        }
    }
    Painted::drawing_of_visible(&drawing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_at_its_clauses_and_every_place_stays() {
        let sql = "SELECT district, COUNT(*) AS n, AVG(cost) AS 平均 FROM hz_health.visits WHERE note = 'from  here on' \
                   AND district IN ('a', 'b') GROUP BY district ORDER BY n DESC LIMIT 10";
        let shown = reflowed(sql);
        assert_eq!(shown.len(), sql.len());
        assert_eq!(shown.replace('\n', " "), sql);
        assert!(shown.contains("'from  here on'"), "{shown}");
        let second = shown.lines().nth(1).unwrap_or_default();
        assert!(shown.lines().count() > 4 && second.starts_with("FROM "), "{shown}");
        let short = "SELECT 1\nFROM t WHERE a = 1";
        assert_eq!(reflowed(short), short);
    }

    /// Each of these took time in the square of its length: minutes, of the longest text that the guard looks at.
    #[test]
    fn words_of_any_length_are_passed_once() {
        const LONG: usize = 1 << 22;
        for word in ["x", "1+", "'1',"] {
            let sql = format!("SELECT {}", word.repeat(LONG / word.len()));
            assert_eq!(reflowed(&sql), sql.replacen(' ', "\n", 1));
        }
    }
}
