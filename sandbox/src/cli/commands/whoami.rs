//! `whoami`: the person that commands act for, their credential, and their grants in force.

use serde_json::json;

use crate::api::me::Me;
use crate::cli::args::Output;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::table::Listing;

pub(in crate::cli) async fn whoami(session: &mut Session<'_>) -> Result<Exit, Ending> {
    let me = session.desk().await?.whoami().await?;
    show(&mut session.screen, &me)?;
    Ok(Exit::Done)
}

fn show(screen: &mut Screen<'_>, me: &Me) -> Result<(), Ending> {
    if screen.output == Output::Json {
        let text = serde_json::to_string_pretty(me).map_err(std::io::Error::other)?;
        return Ok(screen.line(&text)?);
    }
    let mut listing = Listing::new(screen, &[("field", "field", "项目"), ("value", "value", "内容")]);
    let mut row = |en: &str, zh: &str, value: Option<&str>| {
        listing.row(vec![json!(screen.either(en, zh)), json!(value)]);
    };
    let roles = me.roles.iter().cloned().collect::<Vec<_>>().join(", ");
    row("person", "人员", Some(&me.name));
    row("roles", "角色", Some(&roles));
    row("department", "部门", me.department.as_deref());
    row("district", "区县", me.district.as_deref());
    let identity = &me.identity;
    let source = match identity.source.as_str() {
        "access_token" => screen.either("access token of this installation", "本系统访问令牌"),
        "identity_provider" => screen.either("identity provider", "身份提供方"),
        _ => screen.either("this installation", "本系统"),
    };
    row("recognised by", "身份来源", Some(source));
    if let Some(token) = &identity.token {
        row("token", "令牌", Some(token));
    }
    if let Some(expires) = &identity.expires {
        row("good until", "有效期至", Some(expires));
    }
    if let Some(link) = &me.link {
        row("account at", "关联账号的身份提供方", Some(&link.issuer));
    }
    for grant in &me.grants {
        let datasets = grant.datasets.iter().map(|granted| granted.dataset.as_str()).collect::<Vec<_>>();
        let datasets = datasets.join(", ");
        let told = screen.either("until", "有效期至");
        let told = format!("{}: {} ({datasets}; {told} {})", grant.id, grant.purpose, grant.until);
        row("grant", "授权", Some(&told));
    }
    Ok(listing.write(screen)?)
}
