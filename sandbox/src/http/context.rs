//! What is known of a request before anybody looks at it: its name, its reader's language, and who asks.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::app::authenticate::authenticate_token;
use crate::app::authenticate::token_not_valid;
use crate::app::token::TokenText;
use crate::config::Language;
use crate::context::Caller;
use crate::context::Door;
use crate::error::AppError;
use crate::http::Service;
use crate::http::problem::Problem;
use crate::ids::RequestId;

/// A request's name and language.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) language: Language,
}

impl Request {
    fn of(parts: &Parts, service: &Service) -> Self {
        let installation = &service.installation;
        let id = RequestId::new(installation.clock.as_ref(), installation.random.as_ref());
        let wanted = parts.headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let language = wanted.and_then(preferred).unwrap_or(installation.settings().language);
        Self { id: id.map_or_else(|_| "unnamed".to_owned(), |id| id.to_string()), language }
    }

    /// A failure as an answer; what broke is noted for the operator under the request's name.
    pub(crate) fn problem(&self, service: &Service, error: &AppError) -> Problem {
        if let AppError::Internal(internal) = error {
            service.installation.note(&self.id, internal);
        }
        Problem::of(self, &error.public())
    }
}

/// The language that a reader likes best, of those that we write.
fn preferred(header: &str) -> Option<Language> {
    let mut best: Option<(f32, Language)> = None;
    for item in header.split(',') {
        let (tag, rest) = item.split_once(';').unwrap_or((item, ""));
        let weight = rest.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.trim().parse::<f32>().ok())?;
        let language = match tag.trim().get(..2).map(str::to_ascii_lowercase).as_deref() {
            Some("zh") => Language::Zh,
            Some("en") => Language::En,
            _ => continue,
        };
        if weight > 0.0 && best.is_none_or(|(known, _)| weight > known) {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

impl FromRequestParts<Arc<Service>> for Request {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts, service))
    }
}

/// A request of somebody who has shown a valid token.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) request: Request,
    pub(crate) caller: Caller,
}

impl FromRequestParts<Arc<Service>> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        let request = Request::of(parts, service);
        let shown = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = shown
            .and_then(|shown| shown.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(|(_, token)| TokenText::parse(token.trim()));
        let caller = match token {
            Some(token) => authenticate_token(&service.installation, &token, Door::Http).await,
            None => Err(token_not_valid()),
        };
        match caller {
            Ok(caller) => Ok(Self { request, caller }),
            Err(error) => Err(request.problem(service, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_with_the_greatest_weight_is_spoken() {
        assert_eq!(preferred("zh-CN,zh;q=0.9,en;q=0.8"), Some(Language::Zh));
        assert_eq!(preferred("fr, en;q=0.5, zh;q=0.7"), Some(Language::Zh));
        assert_eq!(preferred("en"), Some(Language::En));
        assert_eq!(preferred("zh;q=0, en;q=0.1"), Some(Language::En));
        assert_eq!(preferred("fr"), None);
        assert_eq!(preferred(""), None);
        assert_eq!(preferred("é,;q=x"), None);
    }
}
