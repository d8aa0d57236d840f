//! A gRPC server and its client with tonic: the same layer on the one side, the client layer on the other.
//!
//! `KittensServer` stands for what tonic-prost-build writes from a `.proto` file; messages are single texts here.

use http::uri::PathAndQuery;
use sightline_instrument::{ClientLayer, Instrument};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower_layer::Layer;
use tower_service::Service;

pub const FIND: &str = "/kittens.v1.Kittens/Find";
pub const ALL: &str = "/kittens.v1.Kittens/All";

async fn find(request: Request<String>) -> Result<Response<String>, Status> {
    let breed = request.into_inner();
    tracing::info!(breed, "looking for a kitten");
    match breed.as_str() {
        "tabby" => Ok(Response::new("Felix".to_owned())),
        "ghost" => panic!("there are no ghosts"),
        _ => Err(Status::not_found("no such kitten")),
    }
}

/// Two kittens, and then what was asked for: gRPC tells the outcome after the last message.
async fn all(request: Request<String>) -> Result<Response<Kittens>, Status> {
    let end = match request.into_inner().as_str() {
        "tabby" => None,
        _ => Some(Err(Status::data_loss("the third kitten escaped"))),
    };
    let kittens = ["Felix", "Minka"].map(|k| Ok(k.to_owned())).into_iter().chain(end);
    Ok(Response::new(futures_util::stream::iter(kittens.collect::<Vec<_>>())))
}

type Kittens = futures_util::stream::Iter<std::vec::IntoIter<Result<String, Status>>>;

#[derive(Debug, Clone)]
pub struct KittensServer;

impl NamedService for KittensServer {
    const NAME: &'static str = "kittens.v1.Kittens";
}

impl Service<http::Request<Body>> for KittensServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            if ![FIND, ALL].contains(&request.uri().path()) {
                return Ok(Status::unimplemented("no such method").into_http());
            }
            let codec = ProstCodec::<String, String>::default();
            let mut grpc = tonic::server::Grpc::new(codec);
            Ok(match request.uri().path() {
                ALL => grpc.server_streaming(tower::service_fn(all), request).await,
                _ => grpc.unary(tower::service_fn(find), request).await,
            })
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let instrument = Instrument::builder("cattery").version(env!("CARGO_PKG_VERSION")).install();
    let address = "127.0.0.1:50051".parse()?;
    let ended = tokio::signal::ctrl_c();
    // Methods are counted by name if they are named: a client cannot make up metrics.
    let server = Server::builder().layer(instrument.layer().paths([FIND, ALL])).add_service(KittensServer);
    tokio::spawn(ask());
    server
        .serve_with_shutdown(address, async {
            let _ = ended.await;
        })
        .await?;
    instrument.shutdown(Duration::from_secs(5));
    Ok(())
}

/// The client: each call is timed, counted and a span, and the server's span hangs below it.
async fn ask() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let channel = Channel::from_static("http://127.0.0.1:50051").connect_lazy();
    let mut client = tonic::client::Grpc::new(ClientLayer::new("cattery").layer(channel));
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.ready().await?;
        let path = PathAndQuery::from_static(FIND);
        let codec = ProstCodec::<String, String>::default();
        let answer = client.unary(Request::new("tabby".to_owned()), path, codec).await;
        tracing::info!(answer = ?answer.map(Response::into_inner).map_err(|e| e.code()), "asked");
    }
}
