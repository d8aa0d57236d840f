//! The crate installed for the process, over real sockets: in a test process of its own, since it is global.

use sightline_instrument::{Instrument, LogTarget};
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

#[test]
fn what_libraries_say_arrives_and_a_second_installation_is_harmless() {
    let statsd = UdpSocket::bind("127.0.0.1:0").unwrap();
    statsd.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let logstash = TcpListener::bind("127.0.0.1:0").unwrap();
    let builder = || {
        Instrument::builder("svc").version("1.2.3").settings(|s| {
            s.service = "svc".to_owned();
            s.environment = "test".to_owned();
            s.statsd = Some(statsd.local_addr().unwrap().to_string());
            s.logs = LogTarget::Tcp(logstash.local_addr().unwrap().to_string());
            s.otlp_traces = None;
            s.console = false;
            s.log_filter = "info".to_owned();
        })
    };
    let instrument = builder().install();
    builder().install();

    tracing::info!(kitten = "Felix", "from tracing");
    tracing::debug!("too quiet");
    log::warn!("from log");
    instrument.set_log_filter("debug").unwrap();
    tracing::debug!("now heard");
    assert!(instrument.set_log_filter("svc=loud").is_err());
    metrics::counter!("cache.kittens.hit").increment(3);
    let _ = std::panic::catch_unwind(|| panic!("a thread of its own fell"));
    instrument.shutdown(Duration::from_secs(5));

    let mut logs = String::new();
    logstash.accept().unwrap().0.read_to_string(&mut logs).unwrap();
    let records: Vec<serde_json::Value> = logs.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let said = |text: &str| records.iter().find(|r| r["message"].as_str().is_some_and(|m| m.contains(text)));
    assert_eq!(said("from tracing").unwrap()["labels.kitten"], "Felix");
    assert_eq!(said("from log").unwrap()["log.logger"], "installed");
    assert_eq!(said("from log").unwrap()["log.level"], "warn");
    assert!(said("too quiet").is_none());
    assert!(said("now heard").is_some());
    assert!(said("instrumented already").is_some());
    assert_eq!(said("Error: a thread of its own fell").unwrap()["event.dataset"], "svc.panic");

    let (mut metrics, mut buffer) = (String::new(), [0u8; 2_048]);
    while let Ok(n) = statsd.recv(&mut buffer) {
        metrics.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
        metrics.push('\n');
    }
    let line = |start: &str| metrics.lines().find(|l| l.starts_with(start));
    assert!(line("svc.cache.kittens.hit:3|c|#environment:test,host:").is_some(), "{metrics}");
    assert!(line("svc.process.build.info:1|g|#environment:test").unwrap().ends_with(",version:1.2.3"));
    assert!(line("svc.process.tasks.panic:1|c").is_some(), "{metrics}");
    assert_eq!(instrument.dropped(), []);
}
