//! Settings and headers of the client; what it does on a wire is tested with the exporters.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};

use super::{Auth, Client, Settings, Tls, retry_after};

fn settings() -> Settings {
    Settings {
        urls: Vec::new(),
        auth: Auth::default(),
        tls: Tls::default(),
        gzip: false,
        timeout: Duration::from_secs(5),
    }
}

fn client(settings: Settings) -> Result<Client, String> {
    Client::new(&settings).map_err(|error| error.to_string())
}

#[test]
fn says_what_is_wrong_with_an_address() {
    let with = |url: &str| client(Settings { urls: vec![url.into()], ..settings() });
    assert!(with("http://127.0.0.1:9200/prefix/").is_ok());
    assert!(with("https://es.example").is_ok());
    for url in ["es:9200", "ftp://x", "http://", "http://x?y=1", ""] {
        assert_eq!(with(url).unwrap_err(), format!("'{url}' is not an http or https address"));
    }
    assert_eq!(client(settings()).unwrap_err(), "no address is set");
}

#[test]
fn says_which_file_of_tls_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let with = |tls| client(Settings { urls: vec!["https://x".into()], tls, ..settings() });
    let error = with(Tls { ca_file: Some(empty.clone()), ..Tls::default() }).unwrap_err();
    assert!(error.contains("empty.pem") && error.contains("no PEM certificate"), "{error}");
    let error = with(Tls { cert_file: Some(empty), ..Tls::default() }).unwrap_err();
    assert!(error.contains("go together"), "{error}");
}

#[test]
fn makes_the_header_of_each_kind_of_credentials() {
    let header = |auth: Auth| auth.header().unwrap().map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header(Auth::default()), None);
    let key = Auth { api_key: "aWQ6a2V5".into(), ..Auth::default() };
    assert_eq!(header(key).unwrap(), "ApiKey aWQ6a2V5");
    let basic = Auth { username: "elastic".into(), password: "pw".into(), ..Auth::default() };
    assert_eq!(header(basic).unwrap(), "Basic ZWxhc3RpYzpwdw==");
    assert!(Auth { token: "a\nb".into(), ..Auth::default() }.header().is_err());
}

#[test]
fn reads_both_forms_of_retry_after() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_790);
    let read = |text| {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static(text));
        retry_after(&headers, now)
    };
    assert_eq!(read("7"), Some(Duration::from_secs(7)));
    assert_eq!(read("Sat, 01 Jan 2000 00:00:00 GMT"), Some(Duration::from_secs(10)));
    assert_eq!(read("Fri, 31 Dec 1999 00:00:00 GMT"), None, "in the past");
    assert_eq!(read("soon"), None);
}
