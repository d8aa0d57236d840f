//! Lines in, exposition out.

use expect_test::expect;

use super::*;
use crate::metrics::naming::Rules;
use crate::metrics::settings::Settings;
use crate::metrics::tally::Batch;

pub(super) fn registry(lines: &str) -> Arc<Registry> {
    let registry = Arc::new(Registry::new(&Settings::default(), Rules::default(), &[]));
    registry.ingest(lines.as_bytes(), 1, &mut Batch::default());
    registry
}

const LINES: &str = "b.count:3|c\nb_total:1|c|#k:a\"\\\\b\na.gauge:1.5|g\nt:1:2:3|ms\ns:x|s\ns:y|s\n\
                     dev.h.kit.http.geo.timing:250|ms";

#[test]
fn text() {
    expect![[r##"
        # HELP a_gauge From StatsD.
        # TYPE a_gauge gauge
        a_gauge 1.5
        # HELP b_count From StatsD.
        # TYPE b_count counter
        b_count 3
        # HELP b_total From StatsD.
        # TYPE b_total counter
        b_total{k="a\"\\\\b"} 1
        # HELP instrument_outcomes_total How requests or operations ended.
        # TYPE instrument_outcomes_total counter
        instrument_outcomes_total{environment="dev",group="http",host="h",outcome="failed",segment="geo",service="kit"} 0
        instrument_outcomes_total{environment="dev",group="http",host="h",outcome="panic",segment="geo",service="kit"} 0
        instrument_outcomes_total{environment="dev",group="http",host="h",outcome="success",segment="geo",service="kit"} 0
        # HELP instrument_timing_seconds How long requests or operations took, in seconds.
        # TYPE instrument_timing_seconds histogram
        instrument_timing_seconds_bucket{environment="dev",group="http",host="h",segment="geo",service="kit",le="0.005"} 0
        instrument_timing_seconds_bucket{environment="dev",group="http",host="h",segment="geo",service="kit",le="0.01"} 0
        instrument_timing_seconds_bucket{environment="dev",group="http",host="h",segment="geo",service="kit",le="0.025"} 0
        instrument_timing_seconds_bucket{environment="dev",group="http",host="h",segment="geo",service="kit",le="0.05"} 0
        instrument_timing_seconds_bucket{environment="dev",group="http",host="h",segment="geo",service="kit",le="0.1"} 0
        instrument_timing_seconds_bucket{environment="dev",group="http",host="h",segment="geo",service="kit",le="0.25"} 1
        instrument_timing_seconds_bucket{environment="dev",group="http",host="h",segment="geo",service="kit",le="0.5"} 1
        instrument_timing_seconds_bucket{environment="dev",group="http",host="h",segment="geo",service="kit",le="1"} 1
        instrument_timing_seconds_bucket{environment="dev",group="http",host="h",segment="geo",service="kit",le="2.5"} 1
        instrument_timing_seconds_bucket{environment="dev",group="http",host="h",segment="geo",service="kit",le="5"} 1
        instrument_timing_seconds_bucket{environment="dev",group="http",host="h",segment="geo",service="kit",le="10"} 1
        instrument_timing_seconds_bucket{environment="dev",group="http",host="h",segment="geo",service="kit",le="+Inf"} 1
        instrument_timing_seconds_sum{environment="dev",group="http",host="h",segment="geo",service="kit"} 0.25
        instrument_timing_seconds_count{environment="dev",group="http",host="h",segment="geo",service="kit"} 1
        # HELP s From StatsD.
        # TYPE s gauge
        s 2
        # HELP t From StatsD.
        # TYPE t summary
        t{quantile="0.5"} 0.002
        t{quantile="0.9"} 0.003
        t{quantile="0.99"} 0.003
        t_sum 0.006
        t_count 3
    "##]]
    .assert_eq(&to_string(&registry(LINES), Format::Text, 1));
}

#[test]
fn pages_join_without_gap_or_overlap() {
    let lines: String = (0..3 * PAGE).map(|i| format!("m:{i}|g|#i:{i:05}\nn{i:05}:1|c\n")).collect();
    let text = to_string(&registry(&lines), Format::Text, 1);
    assert_eq!(text.matches("# TYPE m ").count(), 1);
    let values: Vec<&str> =
        text.lines().filter(|l| l.starts_with("m{")).map(|l| l.rsplit(' ').next().unwrap()).collect();
    assert_eq!(values, (0..3 * PAGE).map(|i| i.to_string()).collect::<Vec<_>>());
    assert_eq!(text.lines().filter(|l| l.starts_with('n')).count(), 3 * PAGE);
}

#[test]
fn the_scraper_chooses() {
    let prometheus =
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
    assert_eq!(Format::negotiate(prometheus), Format::OpenMetrics);
    let native = format!(
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,{prometheus}"
    );
    assert_eq!(Format::negotiate(&native), Format::Protobuf);
    assert_eq!(Format::negotiate("application/vnd.google.protobuf"), Format::Text);
    assert_eq!(Format::negotiate("text/plain"), Format::Text);
    assert_eq!(Format::negotiate(""), Format::Text);
    assert_eq!(Format::negotiate("application/json"), Format::Text);
    assert_eq!(Format::negotiate("application/openmetrics-text;version=9"), Format::Text);
}

#[test]
fn open_metrics_names_counters_by_their_rules_and_shows_exemplars() {
    let registry = registry("a_total:1|c\nb:1|c\nt:1:2|ms\ndev.h.k.http.x.timing:250|ms");
    registry.exemplar(&crate::hooks::Exemplar {
        environment: "dev",
        host: "h",
        service: "k",
        group: "http",
        segment: "x",
        trace_id: "0123456789abcdef0123456789abcdef",
        seconds: 0.25,
        at_ms: 1500,
    });
    let text = to_string(&registry, Format::OpenMetrics, 1);
    assert!(text.contains("# TYPE a counter\na_total 1\n"), "{text}");
    assert!(text.contains("# TYPE b unknown\nb 1\n"), "{text}");
    assert!(text.contains("t{quantile=\"0.5\"} 0.001\n"), "{text}");
    assert!(
        text.contains("le=\"0.25\"} 1 # {trace_id=\"0123456789abcdef0123456789abcdef\"} 0.25 1.5\n"),
        "{text}"
    );
    assert!(text.contains("le=\"1.0\"} 1\n"), "{text}");
}

#[test]
fn an_exemplar_makes_no_series_and_a_bad_id_no_exemplar() {
    let registry = registry("dev.h.k.http.x.timing:250|ms");
    let good = crate::hooks::Exemplar {
        environment: "dev",
        host: "h",
        service: "k",
        group: "http",
        segment: "x",
        trace_id: "0123456789abcdef0123456789abcdef",
        seconds: 0.25,
        at_ms: 1500,
    };
    let before = to_string(&registry, Format::OpenMetrics, 1);
    registry.exemplar(&crate::hooks::Exemplar { segment: "other", ..good });
    registry.exemplar(&crate::hooks::Exemplar { trace_id: "0123\"} evil", ..good });
    registry.exemplar(&crate::hooks::Exemplar { trace_id: "0123456789ABCDEF0123456789ABCDEF", ..good });
    assert_eq!(to_string(&registry, Format::OpenMetrics, 1), before);
}

/// A scraper that reads slowly, or not at all, is between two pieces for as long as it likes.
#[test]
fn no_lock_is_held_while_a_scrape_waits_for_its_reader() {
    let lines = |from: usize| -> String {
        (from..from + 3000).map(|i| format!("c:1|c|#i:{i}\nt{}:5|ms|#i:{i}\n", i % 7)).collect()
    };
    let registry = registry(&lines(0));
    let mut scrape = Renderer::new(Arc::clone(&registry), Format::Text, 1);
    let (mut text, mut pieces) = (Vec::new(), 0);
    while scrape.next_piece(&mut text) {
        pieces += 1;
        let (done, is_done) = std::sync::mpsc::channel();
        let (registry, more) = (Arc::clone(&registry), lines(pieces * 100));
        std::thread::spawn(move || {
            registry.ingest(more.as_bytes(), 1, &mut Batch::default());
            registry.sweep(1);
            done.send(()).unwrap();
        });
        let waited = is_done.recv_timeout(std::time::Duration::from_secs(60));
        assert!(waited.is_ok(), "updates, new series or a sweep wait for the reader of piece {pieces}");
    }
    assert!(pieces > 5, "{pieces}");
    assert!(crate::metrics::exposition::Exposition::parse(std::str::from_utf8(&text).unwrap()).is_ok());
}
