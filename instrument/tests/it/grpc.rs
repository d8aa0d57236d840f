//! gRPC: the layer around a tonic service and the client layer around its channel, over a real connection.

#[allow(dead_code, unreachable_pub, reason = "the example's own main")]
#[path = "../../examples/tonic.rs"]
mod example;

use example::{ALL, FIND, KittensServer};
use http::uri::PathAndQuery;
use sightline_instrument::testing::Capture;
use sightline_instrument::{ClientLayer, assert_metric};
use std::sync::Arc;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response};
use tonic_prost::ProstCodec;
use tower_layer::Layer;

#[tokio::test]
async fn calls_are_counted_by_method_and_by_what_grpc_says() {
    let capture = Arc::new(Capture::new("cattery"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let layer = capture.service().layer().paths([FIND, ALL]);
    let server = Server::builder().layer(layer).add_service(KittensServer).serve(address);
    let server = tokio::spawn(server);

    let channel = Channel::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_timeout(std::time::Duration::from_secs(5));
    let channel = loop {
        match channel.connect().await {
            Ok(channel) => break channel,
            // It has not begun to listen.
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let mut client = tonic::client::Grpc::new(ClientLayer::new("cattery").layer(channel));
    let mut ask = async |path: &'static str, breed: &str| {
        client.ready().await.unwrap();
        let codec = ProstCodec::<String, String>::default();
        let call = client.unary(Request::new(breed.to_owned()), PathAndQuery::from_static(path), codec);
        capture.run(call).await.map(Response::into_inner).map_err(|s| s.code())
    };
    assert_eq!(ask(FIND, "tabby").await, Ok("Felix".to_owned()));
    assert_eq!(ask(FIND, "sphynx").await, Err(Code::NotFound));
    assert_eq!(ask("/kittens.v1.Kittens/Made-up", "").await, Err(Code::Unimplemented));
    assert!(ask(FIND, "ghost").await.is_err());
    // A stream's outcome comes after its last message.
    for (breed, kittens, code) in [("tabby", 2, Code::Ok), ("any", 2, Code::DataLoss)] {
        client.ready().await.unwrap();
        let codec = ProstCodec::<String, String>::default();
        let path = PathAndQuery::from_static(ALL);
        let call = client.server_streaming(Request::new(breed.to_owned()), path, codec);
        let mut stream = capture.run(call).await.unwrap().into_inner();
        let mut seen = 0;
        let end = loop {
            match capture.run(stream.message()).await {
                Ok(Some(_)) => seen += 1,
                Ok(None) => break Code::Ok,
                Err(status) => break status.code(),
            }
        };
        assert_eq!((seen, end), (kittens, code));
    }
    server.abort();

    // The record of a request is there when its body has ended, a moment after the client has it.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while capture.spans().iter().filter(|s| s.kind == "server").count() < 6 {
        assert!(std::time::Instant::now() < deadline, "{:#?}", capture.spans());
        tokio::task::yield_now().await;
    }
    let segment = "kittens_v1_Kittens_Find";
    for (outcome, n) in [("called", 3), ("success", 1), ("failed", 1), ("panic", 1)] {
        assert_eq!(capture.counter(&format!("handlers.{segment}.{outcome}")), Some(n), "{outcome}");
    }
    assert_metric!(capture, "handlers.unmatched.failed", 1);
    assert_metric!(capture, "http.cattery.success", 2);
    assert_metric!(capture, "http.cattery.failed", 4);
    let spans = capture.spans();
    let of = |kind| spans.iter().filter(move |s| s.kind == kind);
    for server in of("server") {
        let client = of("client").find(|c| Some(&c.span_id) == server.parent_id.as_ref());
        assert_eq!(client.map(|c| &c.trace_id), Some(&server.trace_id), "{server:#?}");
    }
    // What is the server's own fault is an error of its span too; what is not there is not.
    let code = |code: &str| {
        of("server")
            .filter(|s| s.attributes.get("rpc.grpc.status_code").is_some_and(|c| c == code))
            .collect::<Vec<_>>()
    };
    assert!(code("15").iter().all(|s| s.error.is_some() && s.attributes["error.type"] == "15"), "{spans:#?}");
    assert!(!code("15").is_empty() && code("5").iter().all(|s| s.error.is_none()), "{spans:#?}");
    let refused = of("client").find(|s| s.error.as_deref() == Some("gRPC status 5"));
    assert!(refused.is_some(), "{spans:#?}");
    let broke =
        of("client").find(|s| s.error.as_deref() == Some("gRPC status 15")).expect("the end of the stream");
    assert_eq!(broke.attributes["rpc.grpc.status_code"], "15");
    assert_metric!(capture, "handlers.kittens_v1_Kittens_All.success", 1);
    assert_metric!(capture, "handlers.kittens_v1_Kittens_All.failed", 1);
}
