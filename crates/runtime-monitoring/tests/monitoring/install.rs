//! Installing a log.

use runtime_monitoring::{
    InstallError, LineFormat, LogBuilder, LogConfig, LogLevel, MonitoringConfig, from_config,
    pre_config,
};

use crate::support::Output;

#[test]
fn installed_log_cannot_be_replaced() {
    // Neither of these installs a subscriber, or `install` would fail below.
    pre_config().debug("below the level");
    let config: MonitoringConfig =
        serde_json::from_str(r#"{"log": {"modules": {"noisy": "error"}}}"#)
            .expect("a valid configuration");
    let monitoring = from_config(&config);

    let output = Output::default();
    let text = LineFormat::Text { colours: false };
    let log = LogBuilder::new(config.log.clone())
        .writer(text, output.clone())
        .install();
    let log = log.expect("there is no other log");
    let again = LogBuilder::new(LogConfig::default())
        .install()
        .expect_err("there is one already");
    assert!(matches!(again, InstallError::Installed), "{again:?}");

    monitoring.monitor.debug("one");
    tracing::warn!(target: "noisy::part", "two");
    let mut debug = config.log;
    debug.level = LogLevel::Debug;
    log.set_levels(&debug);
    monitoring.monitor.debug("three");
    drop(log);
    let text = output.text();
    // Other tests of this process log to it as well.
    assert!(text.contains("DEBUG three"), "{text}");
    assert!(
        !text.contains("DEBUG one") && !text.contains("WARN  two"),
        "{text}"
    );
}

/// The child process of the test below, which reads its standard error.
#[test]
#[ignore = "`default_log_is_info_on_stderr` starts it"]
fn writes_early_lines() {
    let monitor = pre_config();
    monitor.debug("below the level");
    monitor.info("an early line");
}

#[test]
fn default_log_is_info_on_stderr() {
    let program = std::env::current_exe().expect("the test program has a path");
    let child = std::process::Command::new(program)
        .args(["--exact", "install::writes_early_lines"])
        .args(["--ignored", "--nocapture"])
        .output();
    let stderr = child.expect("the test program starts").stderr;
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(stderr.contains("INFO  an early line"), "{stderr}");
    assert!(!stderr.contains("below the level"), "{stderr}");
}

#[test]
fn log_levels_change_at_run_time() {
    let output = Output::default();
    let text = LineFormat::Text { colours: false };
    let (dispatch, log) = LogBuilder::new(LogConfig::default())
        .writer(text, output.clone())
        .build()
        .expect("a thread");
    let levels = log.levels();
    let mut quiet = LogConfig::default();
    quiet.modules.insert("noisy".to_owned(), LogLevel::Off);
    tracing::dispatcher::with_default(&dispatch, || {
        tracing::info!(target: "noisy::part", "one");
        levels.set(&quiet);
        tracing::info!(target: "noisy::part", "two");
        tracing::info!(target: "other", "three");
    });
    drop(log);
    let text = output.text();
    assert!(
        text.contains("one") && !text.contains("two") && text.contains("three"),
        "{text}"
    );
}

#[test]
fn invalid_configuration_is_rejected() {
    for wrong in [
        r#"{"logs": {}}"#,
        r#"{"type": "mock", "panicOnError": true}"#,
        r#"{"log": {"level": "loud"}}"#,
        r#"{"log": {"level": "fatal"}}"#,
        r#"{"log": {"level": "panic"}}"#,
        r#"{"log": {"format": 1}}"#,
    ] {
        serde_json::from_str::<MonitoringConfig>(wrong).expect_err(wrong);
    }
}

#[cfg(feature = "schema")]
#[test]
fn schema_describes_each_key() {
    let schema = schemars::schema_for!(MonitoringConfig).to_value();
    assert_eq!(schema["additionalProperties"], false);
    let properties = schema["properties"].as_object().expect("an object");
    for key in ["labels", "log", "otlp", "sentry", "tags"] {
        let property = properties.get(key).expect(key);
        assert!(property["description"].is_string(), "{key} in {schema:#}");
    }
    let dsn = &schema["$defs"]["Secret"];
    assert_eq!(dsn["writeOnly"], true, "{schema:#}");
}
