//! `review list`, `show`, `approve`, `return`, `reject`.

use serde_json::json;

use crate::api::reviews::ReviewDecided;
use crate::api::reviews::ReviewSummaryView;
use crate::api::reviews::ReviewView;
use crate::api::reviews::ReviewWish;
use crate::api::reviews::ReviewWord;
use crate::app::query::verdict::ControlsView;
use crate::app::query::verdict::TextView;
use crate::cli::args::Output;
use crate::cli::args::ReviewCommand;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::table::Listing;
use crate::jobs::JobState;

pub(in crate::cli) async fn review(
    session: &mut Session<'_>,
    command: ReviewCommand,
) -> Result<Exit, Ending> {
    let desk = session.desk().await?;
    let (id, decision, comment) = match command {
        ReviewCommand::List => {
            let reviews = desk.reviews().await?;
            list(&mut session.screen, &reviews)?;
            return Ok(Exit::Done);
        }
        ReviewCommand::Show { id } => {
            let review = desk.review(id).await?;
            show(&mut session.screen, &review)?;
            return Ok(Exit::Done);
        }
        ReviewCommand::Approve { id, comment } => (id, ReviewWord::Approve, comment),
        ReviewCommand::Return { id, comment } => (id, ReviewWord::Return, Some(comment)),
        ReviewCommand::Reject { id, comment } => (id, ReviewWord::Reject, Some(comment)),
    };
    let decided = desk.decide_review(id, ReviewWish { decision, comment }).await?;
    tell(&mut session.screen, &decided)
}

/// Says how the job stands after a decision.
fn tell(screen: &mut Screen<'_>, decided: &ReviewDecided) -> Result<Exit, Ending> {
    let job = &decided.job;
    let (en, zh) = match JobState::from_name(&decided.state) {
        Some(JobState::InReview) => (
            format!("Your decision is in the log; `{job}` waits for another reviewer."),
            format!("您的决定已记入日志；`{job}` 仍在等待其他复核人员。"),
        ),
        Some(JobState::Released) => (format!("`{job}` is released."), format!("`{job}` 的结果已发布。")),
        Some(JobState::Cancelled) => (
            format!("`{job}` is not allowed any more; nothing of it leaves."),
            format!("`{job}` 已不再被允许，没有任何结果流出。"),
        ),
        _ => (format!("Nothing of `{job}` leaves."), format!("`{job}` 的结果未予输出。")),
    };
    screen.say(&en, &zh)?;
    screen.line(&decided.state)?;
    Ok(Exit::Done)
}

fn list(screen: &mut Screen<'_>, reviews: &[ReviewSummaryView]) -> Result<(), Ending> {
    let mut listing = Listing::new(
        screen,
        &[
            ("job", "job", "任务"),
            ("person", "person", "人员"),
            ("purpose", "purpose", "用途"),
            ("since", "waits since", "等待自"),
            ("until", "until", "截止"),
            ("reviewers", "reviewers", "复核人数"),
            ("own", "your decision", "您的决定"),
        ],
    );
    for review in reviews {
        listing.row(vec![
            json!(review.job),
            json!(review.person),
            json!(review.purpose),
            json!(review.since),
            json!(review.until),
            json!(review.reviewers),
            json!(review.own),
        ]);
    }
    Ok(listing.write(screen)?)
}

/// Shows everything that a decision on a result rests on.
fn show(screen: &mut Screen<'_>, review: &ReviewView) -> Result<(), Ending> {
    if screen.output == Output::Json {
        let text = serde_json::to_string_pretty(review).map_err(std::io::Error::other)?;
        return Ok(screen.line(&text)?);
    }
    let mut listing = Listing::new(screen, &[("field", "field", "项目"), ("value", "value", "内容")]);
    let mut row = |en: &str, zh: &str, value: &str| {
        listing.row(vec![json!(screen.either(en, zh)), json!(value)]);
    };
    row("job", "任务", &review.job);
    row("state", "状态", screen.word(&review.state));
    row("person", "人员", &review.person);
    let title = text(screen, &review.purpose_title);
    row("purpose", "用途", &format!("{} ({title})", review.purpose));
    row("asked", "提交时间", &review.asked);
    row("until", "截止", &review.until);
    row("reviewers", "复核人数", &review.reviewers.to_string());
    if let Some(controls) = &review.controls {
        row("controls", "输出控制", &controls_text(screen, controls));
    }
    for column in &review.output {
        row(
            &format!("column {}", column.name),
            &format!("字段 {}", column.name),
            &column.treatment.join(", "),
        );
    }
    for decision in &review.decisions {
        let said =
            format!("{} {}", screen.word(&decision.outcome), decision.comment.as_deref().unwrap_or_default());
        row(&decision.by, &decision.by, said.trim());
    }
    row("bands", "计数区间", text(screen, &review.bands));
    listing.write(screen)?;
    heading(screen, "Question", "问题")?;
    for line in review.sql.lines() {
        screen.line(line)?;
    }
    if let Some(result) = &review.result {
        heading(
            screen,
            "Protected result, as it would leave (CSV; * is a withheld cell)",
            "受保护的结果，与发布时一致（CSV；* 为被隐去的单元格）",
        )?;
        for line in result.lines() {
            screen.line(line)?;
        }
    }
    heading(screen, "Before you decide", "决定之前请确认")?;
    for item in &review.checklist {
        let line = format!("- {}", text(screen, &item.text));
        screen.line(&line)?;
    }
    Ok(())
}

fn heading(screen: &mut Screen<'_>, en: &str, zh: &str) -> Result<(), Ending> {
    let heading = screen.either(en, zh).to_owned();
    screen.line("")?;
    Ok(screen.line(&format!("{heading}:"))?)
}

fn controls_text(screen: &Screen<'_>, controls: &ControlsView) -> String {
    let ControlsView {
        subjects_min,
        dominance_share_max_permille,
        dominance_p_percent,
        rounding,
        perturbation,
    } = controls;
    let number = |en: &str, zh: &str, number: Option<u32>| {
        number.map(|number| format!("{} {number}", screen.either(en, zh)))
    };
    let parts = [
        number("subjects at least", "主体数至少", Some(*subjects_min)),
        number(
            "largest share in thousandths",
            "最大占比（千分之）",
            dominance_share_max_permille.map(u32::from),
        ),
        number("p%", "p%", dominance_p_percent.map(u32::from)),
        number("rounded to", "取整至", *rounding),
        number("noise of deviation", "噪声标准差", *perturbation),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(screen.either(", ", "，"))
}

fn text<'t>(screen: &Screen<'_>, text: &'t TextView) -> &'t str {
    screen.either(&text.en, &text.zh)
}
