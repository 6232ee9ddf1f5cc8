//! Conditions on texts: prefixes of coded columns, what a mask leaves of a prefix, and numbers that want quotes.
//! Texts that a column is equated with are checked with the other literals, in `edges`.

use arrow::datatypes::DataType as ArrowType;
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use datafusion_expr::Like;
use obscura_policies::vocabulary::Use;

use crate::column_facts::ColumnKind;
use crate::finding::Finding;

use super::LIKE_PREFIX_MIN;
use super::ShapeCheck;
use super::generaliser::Form;
use super::generaliser::Generalised;
use crate::column::bare_column;
use crate::column::cast;
use crate::reason::Reason;

impl ShapeCheck<'_> {
    /// Accepts a prefix of a coded column (`icd10 LIKE 'J1%'`), of two characters or more.
    ///
    /// A pattern such as `name LIKE '%ab%'` picks people by accidents of spelling, which is a subset at random, and with
    /// enough characters one person. In a coded column a prefix is a class of the code. Escapes and wildcards within
    /// would make other patterns of it (`sandbox/docs/disclosure-model.md`, section 4.3; Dinur and Nissim 2003).
    pub(super) fn like(&mut self, whole: &Expr, like: &Like) -> Result<Expr, Finding> {
        let generalised = self.generalise(&like.expr)?;
        self.require(&generalised, Use::Filter)?;
        let pattern = self
            .review
            .constants
            .value(&like.pattern)?
            .and_then(|value| value.try_as_str().flatten().map(str::to_owned));
        let prefix = pattern.as_deref().and_then(|pattern| pattern.strip_suffix('%'));
        let plain = prefix.is_some_and(|prefix| {
            prefix.chars().count() >= LIKE_PREFIX_MIN && !prefix.contains(['%', '_', '\\'])
        });
        if !generalised.base.coded || !plain || like.escape_char.is_some() {
            return Err(self.not_allowed(Reason::PatternNotPrefix, whole).help(
                "LIKE takes a prefix of at least two characters on a coded column, such as 'J1%'",
                "LIKE 仅支持编码字段的前缀匹配，前缀至少两个字符，例如 'J1%'",
            ));
        }
        self.prefix_is_shown(&generalised, prefix)?;
        self.count(generalised.base.grade, 1, 1);
        let pattern = Expr::Literal(ScalarValue::Utf8(pattern), None);
        Ok(Expr::Like(Like::new(
            like.negated,
            Box::new(generalised.expr),
            Box::new(pattern),
            None,
            like.case_insensitive,
        )))
    }

    /// Refuses a prefix that is longer than what the mask keeps: a mask that keeps three characters answers a prefix of
    /// three.
    ///
    /// `zip LIKE '3101%'` over `310***` is true of nobody, which would be a wrong number and no answer
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn prefix_is_shown(&self, generalised: &Generalised<'_>, prefix: Option<&str>) -> Result<(), Finding> {
        let Some(mask) = &generalised.base.mask else { return Ok(()) };
        let asked = prefix.map_or(usize::MAX, |prefix| prefix.chars().count());
        let kept = match generalised.form {
            Form::Bare => mask.kept_prefix(),
            Form::Worded { prefix: Some(length) } => length.min(mask.kept_prefix()),
            Form::Worded { prefix: None }
            | Form::Floor(_)
            | Form::Step(_)
            | Form::Truncated
            | Form::Part
            | Form::PartStep(_) => 0,
        };
        if asked <= kept {
            return Ok(());
        }
        let column = Expr::Column(generalised.column.clone());
        Err(self.not_allowed(Reason::PrefixNotKept, &column).with("mask", mask.name()).help(
            format!("the mask leaves {kept} first characters of the column: ask for a prefix of no more"),
            format!("脱敏后该字段仅保留前 {kept} 个字符：请使用不超过该长度的前缀"),
        ))
    }

    /// Refuses a number beside a text column.
    ///
    /// The engine would compare what the text is as a number, and `007` and `7` are the same number: the answer would
    /// count people whom the question does not name (`sandbox/docs/disclosure-model.md`, section 4.3).
    pub(super) fn is_quoted(&self, side: &Expr, literal: &ScalarValue) -> Result<(), Finding> {
        let Some((inner, target)) = cast(side) else { return Ok(()) };
        let Some(column) = bare_column(self.bases, inner) else { return Ok(()) };
        let base = self.known(column)?;
        let is_number = literal.data_type().is_numeric() && target.is_numeric();
        if !is_number || base.data_type != ArrowType::Utf8 || matches!(base.kind, ColumnKind::UnitKey { .. })
        {
            return Ok(());
        }
        Err(self
            .not_allowed(Reason::NumberBesideText, side)
            .with("column", base.name.clone())
            .with("quote", "yes")
            .help(
                format!("the column is text: quote the value, as in {} = '1'", base.name),
                format!("该字段为文本：请为取值加引号，例如 {} = '1'", base.name),
            ))
    }
}
