//! OTLP over gRPC. The messages reach the lanes as bytes: a lane that reads protobuf itself need not have a tree built.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use bytes::{Buf, BufMut, Bytes};
use tonic::codec::{
    Codec, CompressionEncoding, DecodeBuf, Decoder, EnabledCompressionEncodings, EncodeBuf, Encoder,
};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};

use super::status::{response_protobuf, retry_status};
use super::{Refusal, Signal, Signals};
use crate::receive::events;
use crate::receive::settings::Limits;

/// The services of the signals that take part.
pub fn router(signals: Signals, limits: &Limits) -> Router {
    let most = limits.size.as_usize();
    let deadline = limits.body.0;
    let router = signals.all().fold(Router::new(), |router, ((_, service, _), signal)| {
        let handler = move |request: Request| {
            let export = Export(Arc::clone(&signal));
            async move {
                let mut gzip = EnabledCompressionEncodings::default();
                gzip.enable(CompressionEncoding::Gzip);
                let mut grpc = Grpc::new(Raw)
                    .apply_compression_config(gzip, EnabledCompressionEncodings::default())
                    .apply_max_message_size_config(Some(most), None);
                let answer = tokio::time::timeout(deadline * 2, grpc.unary(export, request)).await;
                answer.unwrap_or_else(|_| Status::deadline_exceeded("the request took too long").into_http())
            }
        };
        router.route(&format!("/{service}/Export"), any(handler))
    });
    router
        .fallback(|| async { Status::unimplemented("no such service here").into_http::<tonic::body::Body>() })
}

struct Export(Arc<dyn Signal>);

impl UnaryService<Bytes> for Export {
    type Response = Vec<u8>;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Vec<u8>>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let signal = Arc::clone(&self.0);
        Box::pin(async move {
            let taken = signal.protobuf(&request.into_inner()).map_err(|refusal| match refusal {
                Refusal::Malformed(reason) => {
                    events::rejected(signal.lane(), "malformed", 1);
                    Status::invalid_argument(reason)
                }
                Refusal::Full => {
                    let text = Refusal::Full.to_string();
                    let details = retry_status(8, &text);
                    Status::with_details(Code::ResourceExhausted, text, details.into())
                }
            })?;
            signal.durable(taken.ticket).await.map_err(|broken| Status::unavailable(broken.to_string()))?;
            Ok(tonic::Response::new(response_protobuf(taken.rejected, &taken.message)))
        })
    }
}

/// Messages as they stand on the wire.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}
