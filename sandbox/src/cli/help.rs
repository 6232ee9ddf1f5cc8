//! The command line's help and its usage errors in the reader's language. The help is written in English where its commands
//! are declared; in Chinese each text is replaced by its translation, and clap lays it out. It changes no command.

use std::ffi::OsString;

use clap::Arg;
use clap::Command;
use clap::CommandFactory as _;
use clap::Error;
use clap::FromArgMatches as _;
use clap::error::ContextKind;
use clap::error::ContextValue;
use clap::error::ErrorKind;

use crate::cli::args::Cli;
use crate::cli::unaccepted;
use crate::config::Language;

mod chinese;

use chinese::in_chinese;

/// The examples of the program itself.
const MAIN_EXAMPLES_ZH: &str = "\
示例：
  obscura demo --once                 一座城市，封存并提问，只需几分钟
  obscura init                        您自己的系统
  obscura login https://...           通过网络使用他人的系统
  obscura query --purpose official-statistics 'select district, count(*) from hz_health.visits group by 1'

命令代表谁，由 OBSCURA_TOKEN_FILE 指定的文件或 `obscura login` 决定。
退出码：0 完成，1 失败，2 用法错误，3 被拒绝，4 等待审批或复核，5 预算用尽，6 身份验证，
7 校验失败，8 未予输出，9 超出限制。";

/// Layout of a command's help in Chinese.
const TEMPLATE_ZH: &str = "{about-with-newline}\n用法：{usage}\n\n{all-args}{after-help}";

/// The language that the arguments themselves ask for, before they are understood.
pub(super) fn asked_for(arguments: &[OsString]) -> Option<Language> {
    let mut arguments =
        arguments.iter().filter_map(|argument| argument.to_str()).take_while(|text| *text != "--");
    while let Some(argument) = arguments.next() {
        let language = match argument.split_once('=') {
            Some(("--lang", language)) => Some(language),
            _ if argument == "--lang" => arguments.next(),
            _ => None,
        };
        match language {
            Some("en") => return Some(Language::En),
            Some("zh") => return Some(Language::Zh),
            _ => {}
        }
    }
    None
}

/// Reads the arguments; their faults, or the help they ask for, come in the reader's language.
pub(super) fn parse(arguments: Vec<OsString>, language: Language) -> Result<Cli, (Error, String)> {
    let command = match language {
        Language::En => Cli::command(),
        Language::Zh => translated(),
    };
    let told = |error: Error| {
        let text = match language {
            Language::En => error.render().to_string(),
            Language::Zh => without_english(usage_error(&error)),
        };
        (error, text)
    };
    let matches = command.try_get_matches_from(arguments).map_err(told)?;
    Cli::from_arg_matches(&matches).map_err(told)
}

/// The command line with every text of its help in Chinese.
fn translated() -> Command {
    let mut command = Cli::command();
    // Only then does it have the arguments that clap adds by itself.
    command.build();
    in_chinese_throughout(command).after_help(MAIN_EXAMPLES_ZH)
}

fn in_chinese_throughout(command: Command) -> Command {
    let about = command.get_about().and_then(|text| in_chinese(&text.to_string()));
    let examples = command.get_after_help().map(|text| text.to_string().replacen("Examples:", "示例：", 1));
    let mut command = command
        .help_template(TEMPLATE_ZH)
        .subcommand_help_heading("命令")
        .subcommand_value_name("命令")
        .mut_args(translated_argument)
        .mut_subcommands(in_chinese_throughout);
    if let Some(about) = about {
        command = command.about(about);
    }
    match examples {
        Some(examples) => command.after_help(examples),
        None => command,
    }
}

fn translated_argument(argument: Arg) -> Arg {
    let heading = if argument.is_positional() { "参数" } else { "选项" };
    let Some(help) = argument.get_help().and_then(|text| in_chinese(&text.to_string())) else {
        return argument.help_heading(heading);
    };
    let mut help = help.to_owned();
    // clap's own words about these are English.
    if !argument.get_action().takes_values() {
        let long = argument.get_long_help().and_then(|text| in_chinese(&text.to_string()));
        return argument.long_help(long).help(help).help_heading(heading);
    }
    let choices = argument.get_possible_values();
    let choices: Vec<&str> = choices.iter().map(|choice| choice.get_name()).collect();
    if !choices.is_empty() {
        help.push_str(&format!(" [可选：{}]", choices.join("、")));
    }
    let defaults =
        argument.get_default_values().iter().filter_map(|value| value.to_str()).collect::<Vec<_>>();
    if !defaults.is_empty() {
        help.push_str(&format!(" [默认：{}]", defaults.join("、")));
    }
    argument.help(help).help_heading(heading).hide_possible_values(true).hide_default_value(true)
}

/// The fault of the arguments, in Chinese; the help if that is asked for.
fn usage_error(error: &Error) -> String {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        return error.render().to_string();
    }
    let about = |kind: ContextKind| error.get(kind).map(shown).unwrap_or_default();
    let (argument, value) = (about(ContextKind::InvalidArg), about(ContextKind::InvalidValue));
    let mut text = match error.kind() {
        ErrorKind::UnknownArgument => format!("没有参数 `{argument}`"),
        ErrorKind::InvalidSubcommand => format!("没有命令 `{}`", about(ContextKind::InvalidSubcommand)),
        ErrorKind::MissingSubcommand => "缺少命令".to_owned(),
        ErrorKind::MissingRequiredArgument => format!("缺少 {argument}"),
        ErrorKind::ArgumentConflict => {
            format!("`{argument}` 不能与 {} 同时使用", about(ContextKind::PriorArg))
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("`{argument}` 需要一个值"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => format!("`{argument}` 不接受 `{value}`"),
        ErrorKind::TooManyValues => format!("`{argument}` 不接受更多的值 `{value}`"),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => format!("`{argument}` 的值个数不对"),
        ErrorKind::NoEquals => format!("`{argument}` 与其值之间需要等号"),
        ErrorKind::InvalidUtf8 => "参数不是 UTF-8 文本".to_owned(),
        // A kind that a later clap adds is told in its own words.
        _ => return error.render().to_string(),
    };
    let reason = std::error::Error::source(error).and_then(unaccepted::in_chinese);
    if let Some(reason) = reason.filter(|_| error.kind() == ErrorKind::ValueValidation) {
        text.push_str(&format!("（{reason}）"));
    }
    let choices = about(ContextKind::ValidValue);
    if !choices.is_empty() {
        text.push_str(&format!("\n  可选：{choices}"));
    }
    for kind in [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue] {
        let meant = about(kind);
        if !meant.is_empty() {
            text.push_str(&format!("\n  您是否想用：{meant}"));
        }
    }
    let usage = about(ContextKind::Usage);
    let usage = usage.trim().trim_start_matches("Usage:").trim();
    if !usage.is_empty() {
        text.push_str(&format!("\n\n用法：{usage}"));
    }
    format!("错误：{text}\n\n更多信息请用 `--help`。\n")
}

/// The words that clap puts between ours.
fn without_english(mut text: String) -> String {
    for heading in ["命令", "参数", "选项"] {
        text = text.replace(&format!("\n{heading}:\n"), &format!("\n{heading}：\n"));
    }
    text.replace("[OPTIONS]", "[选项]").replace("[COMMAND]", "[命令]")
}

fn shown(value: &ContextValue) -> String {
    match value {
        ContextValue::None => String::new(),
        ContextValue::Strings(texts) => texts.join("、"),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[expect(clippy::panic, reason = "tests may panic")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every English text of the help.
    fn texts(command: &Command, found: &mut BTreeSet<String>) {
        found.extend(command.get_about().map(ToString::to_string));
        found.extend(
            command.get_arguments().filter_map(|argument| argument.get_help()).map(ToString::to_string),
        );
        let choices = command.get_arguments().flat_map(Arg::get_possible_values);
        found.extend(choices.filter_map(|choice| choice.get_help().map(ToString::to_string)));
        for inner in command.get_subcommands() {
            texts(inner, found);
        }
    }

    fn told(arguments: &[&str]) -> String {
        let arguments = std::iter::once("obscura").chain(arguments.iter().copied());
        match parse(arguments.map(OsString::from).collect(), Language::Zh) {
            Ok(_) => panic!("it is understood"),
            Err((_, text)) => text,
        }
    }

    #[test]
    fn every_text_of_the_help_has_a_chinese_one() {
        let mut command = Cli::command();
        command.build();
        let mut found = BTreeSet::new();
        texts(&command, &mut found);
        assert!(found.len() > 100, "{}", found.len());
        let missing: Vec<&String> = found.iter().filter(|text| in_chinese(text).is_none()).collect();
        assert!(missing.is_empty(), "add to cli/help/chinese.rs: {missing:#?}");
    }

    #[test]
    fn help_is_chinese_throughout() {
        for arguments in
            [&["--help"][..], &["seal", "--help"], &["audit", "verify", "-h"], &["help", "job", "list"]]
        {
            let help = told(arguments);
            for english in [
                "Usage",
                "OPTIONS",
                "Options",
                "Commands",
                "Arguments",
                "Examples",
                "Print",
                "default:",
                "possible values",
            ] {
                assert!(!help.contains(english), "{arguments:?}: {english}\n{help}");
            }
            assert!(help.contains("用法：") && help.contains("示例："), "{help}");
        }
        let seal = told(&["seal", "--help"]);
        assert!(seal.contains("[可选：stop、skip] [默认：stop]"), "{seal}");
    }

    #[test]
    fn usage_errors_are_chinese_and_name_what_was_meant() {
        for (arguments, expected) in [
            (&["serve", "--lisen", "x"][..], "没有参数 `--lisen`\n  您是否想用：--listen"),
            (&["serv"], "没有命令 `serv`"),
            (&["query", "select 1"], "缺少 --purpose <CODE>"),
            (&["job", "list", "--limit", "many"], "`--limit <LIMIT>` 不接受 `many`（不是整数）"),
            (
                &["job", "list", "--limit", "5000000000"],
                "`5000000000`（5000000000 不在 0..=4294967295 之内）",
            ),
            (&["policy", "activate", "visits"], "不接受 `visits`（应为策略及其版本，如 `hz-visits@2`）"),
            (&["audit", "log", "--decision", "no"], "（可用：admitted、refused、"),
            (&["seal", "visits", "f"], "不接受 `visits`（`visits` 不是有效的数据集标识"),
            (&["--output", "xml", "doctor"], "  可选：table、json、csv、arrow、parquet"),
            (&["seal", "a.b", "f", "--append", "--replace"], "不能与"),
        ] {
            let text = told(arguments);
            assert!(text.starts_with("错误：") && text.contains(expected), "{arguments:?}\n{text}");
            assert!(text.contains("更多信息请用 `--help`"), "{text}");
        }
    }

    /// The arguments of all commands that take a value.
    fn with_values(command: &Command, found: &mut Vec<Arg>) {
        let arguments = command.get_arguments().filter(|argument| argument.get_action().takes_values());
        found.extend(arguments.cloned());
        for inner in command.get_subcommands() {
            with_values(inner, found);
        }
    }

    #[test]
    fn every_reason_against_a_value_is_chinese() {
        let mut arguments = Vec::new();
        let mut command = Cli::command();
        command.build();
        with_values(&command, &mut arguments);
        let mut reasons = BTreeSet::new();
        for argument in &arguments {
            let alone = Arg::new("alone").long("alone").value_parser(argument.get_value_parser().clone());
            let alone = Command::new("obscura").arg(alone);
            for value in ["~ ~", "", "-1", "1e9", "99999999999999999999", "hz@x", &"x".repeat(300)] {
                let asked = ["obscura".to_owned(), format!("--alone={value}")];
                let Err(error) = alone.clone().try_get_matches_from(asked) else { continue };
                let Some(reason) = std::error::Error::source(&error) else { continue };
                let chinese = unaccepted::in_chinese(reason);
                assert!(chinese.is_some(), "{}: add to cli/unaccepted.rs: {reason}", argument.get_id());
                reasons.extend(chinese);
            }
        }
        assert!(reasons.len() > 10, "{reasons:#?}");
        let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
        assert!(reasons.iter().all(|reason| reason.contains(is_chinese)), "{reasons:#?}");
    }

    #[test]
    fn the_language_is_known_before_the_rest_is_understood() {
        let asked = |text: &str| asked_for(&text.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(asked("obscura --lang zh nothing"), Some(Language::Zh));
        assert_eq!(asked("obscura seal --lang=en --help"), Some(Language::En));
        assert_eq!(asked("obscura --lang"), None);
        assert_eq!(asked("obscura query -- --lang zh"), None);
        assert_eq!(asked("obscura --lang fr"), None);
    }
}
