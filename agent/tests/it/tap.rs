//! `sightline tap` on a running agent, with a back end of its own instead of the embedded store.

use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

use super::fakes::bulk::Bulk;
use super::fakes::server::Server;
use super::support::agent::Ports;
use super::support::{eventually, free_port};

fn tap(url: &str, args: &[&str]) -> std::process::Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sightline"));
    command.arg("tap").args(args).args(["--url", url]).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shows_what_passes_as_it_passes() {
    let server = Server::start(Bulk::default()).await;
    let ports = Ports::new();
    let agent = ports.agent(&format!("elasticsearch: {{urls: ['{}']}}", server.url())).await;
    let url = ports.url("");
    let watching = tap(&url, &["logs", "--filter", "status=50*", "--count", "2"]);
    let spans = tap(&url, &["spans", "-n", "1"]);
    let series = tap(&url, &["metrics", "-n", "1", "--filter", "kittens_fed"]);
    let mut lines = TcpStream::connect(("127.0.0.1", ports.logs)).unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let zipkin = format!("http://127.0.0.1:{}/api/v2/spans", ports.zipkin);
    let mut children = vec![watching, spans, series];
    // A tap shows what comes after it was opened, so there is more until all have seen enough.
    let mut n = 0;
    eventually("all taps have ended", 30, async || {
        n += 1;
        for status in [200, 503] {
            writeln!(lines, "{{\"n\":{n},\"service\":\"tapped\",\"status\":{status}}}").unwrap();
        }
        udp.send_to(b"kittens.fed:1|c", ("127.0.0.1", ports.statsd)).unwrap();
        let span = format!(r#"[{{"traceId":"{n:032x}","id":"{n:016x}","name":"fed"}}]"#);
        let request = reqwest::Client::new().post(&zipkin).header("content-type", "application/json");
        assert_eq!(request.body(span).send().await.unwrap().status(), 202);
        let ended = children.iter_mut().filter_map(|child| child.try_wait().unwrap()).count();
        if ended == 3 { Ok(()) } else { Err(format!("{ended} of 3")) }
    })
    .await;
    let outputs: Vec<Output> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
    let records = text(&outputs[0]);
    assert_eq!(records.lines().count(), 2, "{records}");
    for line in records.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&record["status"], &record["service.name"]), (&503.into(), &"tapped".into()), "{line}");
    }
    assert!(text(&outputs[1]).contains("\"name\":\"fed\""), "{:?}", outputs[1]);
    assert!(text(&outputs[2]).starts_with("kittens_fed "), "{:?}", outputs[2]);

    // The agent's end is the stream's end.
    let open = tap(&url, &["logs"]);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let mut agent = agent;
    agent.signal("-TERM");
    assert_eq!(agent.ended(30).await, Some(0));
    assert!(open.wait_with_output().unwrap().status.code().is_some());
}

#[test]
fn says_what_is_wrong_when_no_agent_runs_or_a_filter_is_none() {
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let output = tap(&nowhere, &["logs"]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no agent answers at") && said.contains("is it running?"), "{said}");
    let output = tap(&nowhere, &["spans", "--filter", "=x"]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("FIELD=VALUE"));
}
