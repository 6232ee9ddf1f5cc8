//! Precedence and refusal of settings.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::fs;

use tempfile::TempDir;

use super::table::MEMORY_MB_MIN;
use super::table::TIMEOUT_SECONDS_MIN;
use super::*;

fn sources(folder: &TempDir, local: &str, system: &str) -> Sources {
    let local_file = folder.path().join("obscura.toml");
    let system_file = folder.path().join("system.toml");
    fs::write(&local_file, local).unwrap();
    fs::write(&system_file, system).unwrap();
    Sources {
        flags: BTreeMap::new(),
        environment: BTreeMap::new(),
        folder_file: Some(local_file),
        files: vec![system_file],
        login_file: None,
    }
}

fn timeout_of(sources: &Sources) -> u64 {
    sources.load().unwrap().settings.limits.timeout.as_secs()
}

#[test]
fn flag_beats_environment_beats_local_file_beats_system_file_beats_default() {
    let folder = TempDir::new().unwrap();
    assert_eq!(timeout_of(&sources(&folder, "", "")), 120);
    assert_eq!(timeout_of(&sources(&folder, "", "timeout_seconds = 11")), 11);
    let mut all = sources(&folder, "timeout_seconds = 12", "timeout_seconds = 11");
    assert_eq!(timeout_of(&all), 12);
    all.environment.insert("OBSCURA_TIMEOUT_SECONDS".to_owned(), "13".to_owned());
    assert_eq!(timeout_of(&all), 13);
    all.flags.insert("timeout_seconds", "14".to_owned());
    assert_eq!(timeout_of(&all), 14);
}

#[test]
fn every_setting_says_where_it_was_found() {
    let folder = TempDir::new().unwrap();
    let mut all = sources(&folder, "threads = 2", "result_days = 10");
    all.environment.insert("OBSCURA_LANGUAGE".to_owned(), "zh".to_owned());
    all.flags.insert("data_dir", "/somewhere".to_owned());
    let loaded = all.load().unwrap();
    let origin = |key: &str| loaded.effective.iter().find(|e| e.key == key).unwrap().origin.clone();
    assert_eq!(origin("data_dir"), "flag");
    assert_eq!(origin("language"), "environment OBSCURA_LANGUAGE");
    assert!(origin("threads").ends_with("obscura.toml"));
    assert!(origin("result_days").ends_with("system.toml"));
    assert_eq!(origin("timeout_seconds"), "default");
    assert_eq!(loaded.settings.language, Language::Zh);
}

#[test]
fn unknown_setting_in_a_file_is_refused_and_unknown_variable_is_reported() {
    let folder = TempDir::new().unwrap();
    assert!(sources(&folder, "data_folder = 'x'", "").load().is_err());
    let mut all = sources(&folder, "", "");
    all.environment.insert("OBSCURA_DATADIR".to_owned(), "x".to_owned());
    all.environment.insert("OBSCURA_REAL_DATA".to_owned(), "x".to_owned());
    assert_eq!(all.load().unwrap().unknown_variables, vec!["OBSCURA_DATADIR".to_owned()]);
}

#[test]
fn values_out_of_range_are_refused_with_what_is_accepted() {
    let folder = TempDir::new().unwrap();
    for wrong in [
        "timeout_seconds = 9",
        "language = 'fr'",
        "time_zone = 'Moon/Base'",
        "memory_max_mb = 699",
        "completion_step_ms = 4",
    ] {
        let error = sources(&folder, wrong, "").load().unwrap_err();
        assert!(matches!(error, ConfigError::OutOfRange { .. }), "{wrong}");
        let (en, zh) = (error.localized(Language::En), error.localized(Language::Zh));
        let key = wrong.split(' ').next().unwrap();
        assert!(en.starts_with(&format!("setting `{key}`: ")), "{en}");
        assert!(zh.starts_with(&format!("设置 `{key}`：须为")), "{zh}");
    }
    let both = "keyring_key_file = 'a'\nkeyring_passphrase_file = 'b'";
    assert!(sources(&folder, both, "").load().is_err());
}

#[test]
fn what_one_subjects_rows_can_become_lies_a_hundred_times_below_the_least_limit() {
    let (rows, row_bytes) = (100_000, 64);
    assert!(100 * rows * row_bytes <= (MEMORY_MB_MIN << 20) / 10 * 9);
    // A million rows a second are few, on one thread.
    assert!(100 * rows / 1_000_000 <= TIMEOUT_SECONDS_MIN);
    let folder = TempDir::new().unwrap();
    sources(&folder, "timeout_seconds = 10\nmemory_max_mb = 700", "").load().unwrap();
}

#[test]
fn key_file_stands_beside_the_data_directory_unless_named() {
    let folder = TempDir::new().unwrap();
    let mut all = sources(&folder, "", "");
    all.flags.insert("data_dir", "/srv/obscura".to_owned());
    let settings = all.load().unwrap().settings;
    assert_eq!(settings.keyring, KeyringSecret::KeyFile(PathBuf::from("/srv/obscura.key")));
}

#[test]
fn locale_chooses_the_language_when_nothing_else_does() {
    let folder = TempDir::new().unwrap();
    let mut all = sources(&folder, "", "");
    all.environment.insert("LANG".to_owned(), "zh_CN.UTF-8".to_owned());
    assert_eq!(all.load().unwrap().settings.language, Language::Zh);
    all.environment.insert("OBSCURA_LANGUAGE".to_owned(), "en".to_owned());
    assert_eq!(all.load().unwrap().settings.language, Language::En);
}

#[test]
fn contents_of_secrets_are_not_shown() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("passphrase");
    fs::write(&secret, "canary-passphrase").unwrap();
    let mut all = sources(&folder, "", "");
    all.flags.insert("keyring_passphrase_file", secret.display().to_string());
    let shown = format!("{:?}", all.load().unwrap());
    assert!(!shown.contains("canary-passphrase"));
}

#[test]
fn login_is_used_whole_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let mut all = sources(&folder, "", "");
    let file = folder.path().join("login.toml");
    let login = Login {
        server: "https://obscura.example".to_owned(),
        token_file: PathBuf::new(),
        server_roots_file: None,
    };
    login.write(&file, "a token").unwrap();
    all.login_file = Some(file);
    let used = |sources: &Sources| {
        let settings = sources.load().unwrap().settings;
        (settings.server.map(|server| server.url().to_owned()), settings.token_file.is_some())
    };
    assert_eq!(used(&all), (Some("https://obscura.example".to_owned()), true));
    let with = |key: &str, value: &str| {
        let mut all = all.clone();
        all.environment.insert(key.to_owned(), value.to_owned());
        used(&all)
    };
    // The token of a login is never shown to another server, and an installation that is named is asked itself.
    assert_eq!(with("OBSCURA_SERVER", "http://127.0.0.1:1"), (Some("http://127.0.0.1:1".to_owned()), false));
    assert_eq!(with("OBSCURA_DATA_DIR", "/srv"), (None, false));
    assert_eq!(with("OBSCURA_TOKEN_FILE", "/other"), (None, true));
}

#[test]
fn the_working_folder_does_not_say_where_a_token_goes() {
    let folder = TempDir::new().unwrap();
    for (key, text) in [
        ("server", "server = 'http://127.0.0.1:1'"),
        ("server_roots_file", "server_roots_file = 'roots.pem'"),
        ("token_file", "token_file = 'somebody.token'"),
    ] {
        let told = |error: ConfigError, language| {
            assert!(matches!(&error, ConfigError::NotFromFolder { key: found } if *found == key), "{error}");
            error.localized(language)
        };
        let foreign = sources(&folder, text, "");
        let english = told(foreign.load().unwrap_err(), Language::En);
        let variable = format!("OBSCURA_{}", key.to_uppercase());
        assert!(english.contains(&variable) && english.contains(SYSTEM_FILE), "{english}");
        assert!(told(foreign.load().unwrap_err(), Language::Zh).contains("令牌"));
        // The administrator of the machine may, and so may a person who names the file.
        sources(&folder, "", text).load().unwrap();
        let mut named = sources(&folder, text, "");
        named.name_file(folder.path().join("obscura.toml"));
        named.load().unwrap();
    }
}

#[test]
fn a_public_address_is_plain_and_has_no_slash_at_its_end() {
    let folder = TempDir::new().unwrap();
    let of = |text: &str| sources(&folder, &format!("public_url = '{text}'"), "").load();
    assert_eq!(
        of("https://data.example.gov/").unwrap().settings.public_url.unwrap(),
        "https://data.example.gov"
    );
    assert_eq!(of("http://10.0.0.1:80/x").unwrap().settings.public_url.unwrap(), "http://10.0.0.1:80/x");
    for wrong in
        ["data.example.gov", "ftp://x", "https://", "https:///x", "https://x y", "https://x\"", "https://x?y"]
    {
        assert!(of(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn every_default_is_accepted_and_no_setting_has_two_rows() {
    SettingsFile::defaults().check_bounds().unwrap();
    let names: std::collections::BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(names.len(), SETTINGS.len());
    let from_elsewhere = SETTINGS.iter().filter(|setting| !setting.is_from_folder());
    assert_eq!(
        from_elsewhere.map(|setting| setting.name).collect::<Vec<_>>(),
        ["token_file", "server", "server_roots_file"]
    );
}
