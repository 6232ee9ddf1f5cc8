//! `purpose list`.

use serde_json::json;

use crate::cli::args::PurposeCommand;
use crate::cli::exit::Exit;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::table::Listing;

pub(in crate::cli) async fn purpose(
    session: &mut Session<'_>,
    command: PurposeCommand,
) -> Result<Exit, Ending> {
    let PurposeCommand::List = command;
    let purposes = session.desk().await?.purposes().await?;
    let screen = &mut session.screen;
    let mut listing = Listing::new(
        screen,
        &[
            ("id", "purpose", "用途"),
            ("title", "title", "名称"),
            ("description", "covers", "适用范围"),
            ("legal_basis", "legal basis", "法律依据"),
            ("datasets", "your datasets", "您的数据集"),
        ],
    );
    for purpose in &purposes {
        let basis = purpose.legal_basis.iter().map(|basis| format!("{} {}", basis.law, basis.article));
        listing.row(vec![
            json!(purpose.id),
            json!(screen.either(&purpose.title.en, &purpose.title.zh)),
            json!(screen.either(&purpose.description.en, &purpose.description.zh)),
            json!(basis.collect::<Vec<_>>()),
            json!(purpose.datasets),
        ]);
    }
    listing.write(screen)?;
    Ok(Exit::Done)
}
