//! What a person sees who types something wrong.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

fn sightline(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sightline")).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_wrong_word_or_flag_is_named_and_exits_64() {
    for (args, named) in
        [(&["rnu"][..], "rnu"), (&["run", "--confg", "x"], "--confg"), (&["run", "extra"], "extra")]
    {
        let output = sightline(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(named), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn a_setup_that_cannot_be_meant_says_what_to_give() {
    let server = ["setup", "--elasticsearch", "http://127.0.0.1:9", "--wait", "0s"];
    let with = |more: &[&'static str]| server.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>();
    for (args, code, named) in [
        (vec!["setup"], 64, "give --elasticsearch or --kibana"),
        (vec!["setup", "kibana"], 64, "give --kibana, or set KIBANA_URL"),
        (vec!["setup", "--elasticsearch", "ftp://x"], 64, "write http://HOST:PORT"),
        (with(&["--username", "u"]), 64, "give --password-file"),
        (with(&["--log-retention", "30days"]), 64, "write 30d, 12h or 90m"),
        (with(&["--username", "u", "--password-file", "/nonexistent/p"]), 1, "cannot read /nonexistent/p"),
        (with(&["--ca-file", "/dev/null"]), 1, "/dev/null holds no certificate"),
        (with(&[]), 69, ""),
    ] {
        let output = sightline(&args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(named), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn a_configuration_error_names_file_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.yaml");
    std::fs::write(&file, "web:\n  listen: 127.0.0.1:0\n  lisen: x\n").unwrap();
    for args in [["run", "--config", file.to_str().unwrap()].as_slice(), &["check", file.to_str().unwrap()]] {
        let output = sightline(args);
        assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
        assert!(stderr(&output).contains("s.yaml:3:3: unknown field `lisen`"), "{}", stderr(&output));
    }
    let output = sightline(&["run", "--config", "/nonexistent/x.yaml"]);
    assert!(stderr(&output).contains("/nonexistent/x.yaml: cannot read it"), "{}", stderr(&output));
}

/// Two endpoints of one name, which would share a queue, were found out only by a start, as if the machine were at fault.
#[test]
fn two_endpoints_of_one_name_are_a_mistake_of_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.yaml");
    let endpoints = "remote_write:\n- url: http://a/w\n- url: http://a/v\n";
    std::fs::write(&file, format!("data_dir: {}\n{endpoints}", dir.path().display())).unwrap();
    for args in [["run", "--config", file.to_str().unwrap()].as_slice(), &["check", file.to_str().unwrap()]] {
        let output = sightline(args);
        assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
        let said = stderr(&output);
        assert!(
            said.contains("s.yaml:4: remote_write.1: another endpoint is called 'a' too; set name"),
            "{said}"
        );
    }
}

/// It was said twice.
#[test]
fn a_cause_is_said_once() {
    let output = sightline(&["statsd-exporter", "--check-config", "--statsd.mapping-config=/no/such.yml"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output).matches("cannot read the mapping file").count(), 1, "{}", stderr(&output));
}

/// The sample service's container was never healthy: its check asked for `/health/-/ready`.
#[test]
fn an_address_with_a_path_is_asked_as_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        for status in ["200 OK", "503 Service Unavailable"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 1_024];
            let n = stream.read(&mut head).unwrap();
            assert!(
                head[..n].starts_with(b"GET /health HTTP/1.1"),
                "{}",
                String::from_utf8_lossy(&head[..n])
            );
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    for code in [0, 1] {
        let output = sightline(&["health", "--url", &format!("http://{address}/health")]);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    }
    server.join().unwrap();
}

/// `sightline schema | head` ended in a panic.
#[test]
fn a_reader_that_stops_early_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sightline"))
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", stderr(&output));
}

#[test]
fn help_and_version_go_to_stdout() {
    let output = sightline(&["--version"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("sightline "));
    assert!(sightline(&["--help"]).status.success());
}

/// The printed configuration is a configuration: it reads back to itself.
#[test]
fn the_printed_configuration_is_valid() {
    let printed = sightline(&["run", "--print-config"]);
    assert!(printed.status.success(), "{}", stderr(&printed));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("printed.yaml");
    std::fs::write(&file, &printed.stdout).unwrap();
    let checked = sightline(&["check", file.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", stderr(&checked));
    let again = sightline(&["run", "--print-config", "--config", file.to_str().unwrap()]);
    assert_eq!(printed.stdout, again.stdout);
}

/// A start that failed also logged that a round of samples was lost: it had been cancelled with everything else.
#[test]
fn a_start_that_fails_says_why_and_nothing_else() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.yaml");
    let off = "{listen: off}";
    let config = format!(
        "data_dir: {}\nweb: {{listen: '{address}'}}\nmetrics: {{listen_udp: off, listen_tcp: off}}\n\
         logs: {{tcp: {off}, udp: {off}, http: {off}}}\notlp: {{http: {off}, grpc: {off}}}\nspans: {{zipkin: {off}}}\n",
        dir.path().join("data").display()
    );
    std::fs::write(&file, config).unwrap();
    for _ in 0..3 {
        let output = sightline(&["run", "--config", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains(&format!("cannot listen on {address}; change web.listen")), "{said}");
        assert!(!said.contains("ERROR"), "{said}");
    }
}

/// `check` said ok to rules, addresses and shares that no start got past.
#[test]
fn check_names_every_mistake_and_a_start_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.yaml");
    let config = format!(
        "data_dir: {}\nlogs: {{rules: [{{extract: {{field: m, grok: '%{{NO}}'}}}}]}}\nspans: {{sampling: {{ratio: 7}}}}\n\
         otlp: {{grpc: {{tls: {{certificate: /no/such.pem, key: /no/such.key}}}}}}\n",
        dir.path().display()
    );
    std::fs::write(&file, config).unwrap();
    let checked = sightline(&["check", file.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(64));
    let said = stderr(&checked);
    assert!(said.contains("s.yaml:2: logs.rules: rule 1: 'NO'"), "{said}");
    assert!(said.contains("s.yaml:3: spans.sampling.ratio: 7"), "{said}");
    assert!(String::from_utf8_lossy(&checked.stdout).contains("warning: "), "a file that is elsewhere");
    let started = sightline(&["run", "--config", file.to_str().unwrap()]);
    assert_eq!(started.status.code(), Some(64));
    assert!(stderr(&started).contains("s.yaml:2: logs.rules: rule 1: 'NO'"), "{}", stderr(&started));
}
