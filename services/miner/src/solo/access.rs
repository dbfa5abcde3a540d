//! One call to a node: HTTP, its limits, and nothing in an error that a log must not show.

use std::{fmt, time::Duration};

use adit_config::{Pool, PoolUrl};
use adit_stratum::{node::calls::MAX_ANSWER, text};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Incoming},
    client::conn::http1,
    header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::pool_link::connect;

/// Where a node is, and the account there.
pub(crate) struct Access {
    url: PoolUrl,
    user: String,
    password: String,
    authorization: HeaderValue,
}

impl Access {
    pub(crate) fn new(pool: &Pool) -> Self {
        let (user, password) = (pool.user.expose().to_owned(), pool.password.expose().to_owned());
        let account = BASE64_STANDARD.encode(format!("{user}:{password}"));
        let mut authorization =
            HeaderValue::try_from(format!("Basic {account}")).expect("base64 digits can stand in a header");
        authorization.set_sensitive(true);
        Self { url: pool.url.clone(), user, password, authorization }
    }

    pub(crate) fn url(&self) -> &PoolUrl {
        &self.url
    }

    /// Sends one call and returns its answer, which may be the node's error. A connection for each: a home's network has time for that, and nothing of one call can
    /// hold up another. `patience`: for all of it.
    pub(crate) async fn call(&self, body: Bytes, patience: Duration) -> Result<Vec<u8>, String> {
        let late = || format!("no answer in {} s", patience.as_secs());
        timeout(patience, self.exchange(body)).await.unwrap_or_else(|_| Err(late()))
    }

    /// A text from the node, or about what it sent, as it may be shown: in one line, without the account.
    pub(crate) fn presentable(&self, text: &impl fmt::Display) -> String {
        text::plain(&text::presentable(&text.to_string(), &[&self.user, &self.password]))
    }

    async fn exchange(&self, body: Bytes) -> Result<Vec<u8>, String> {
        let stream = connect(self.url.host().to_owned(), self.url.port());
        let stream = stream.await.map_err(|error| error.to_string())?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.http(&error))?;
        let request = self.request(body)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| self.http(&error))?;
            self.read(response).await
        };
        tokio::pin!(answer, connection);
        tokio::select! {
            answer = &mut answer => answer,
            // What it has received is still to be read.
            _ = &mut connection => answer.await,
        }
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
        let authority = self.url.to_string();
        let authority = authority.split_once("://").map_or("", |(_, authority)| authority);
        let request = Request::post("/")
            .header(HOST, authority)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(CONNECTION, "close")
            .body(Full::new(body));
        request.map_err(|error| self.presentable(&error))
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Vec<u8>, String> {
        let status = response.status();
        match status {
            StatusCode::UNAUTHORIZED => return Err("the node refuses user or password (HTTP 401)".to_owned()),
            StatusCode::FORBIDDEN => {
                return Err("the node does not allow it (HTTP 403): see rpcallowip, rpcwhitelist".to_owned());
            }
            _ => {}
        }
        let mut body = response.into_body();
        let too_long = || format!("an answer of more than {MAX_ANSWER} bytes");
        let expected = body.size_hint().lower();
        if expected > MAX_ANSWER as u64 {
            return Err(too_long());
        }
        let mut answer = Vec::with_capacity(expected as usize);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.http(&error))?;
            let Some(data) = frame.data_ref() else { continue };
            if answer.len() + data.len() > MAX_ANSWER {
                return Err(too_long());
            }
            answer.extend_from_slice(data);
        }
        // Nodes send their errors with statuses of their own, and as JSON.
        if status.is_success() || answer.first() == Some(&b'{') {
            Ok(answer)
        } else {
            Err(format!("HTTP status {}", status.as_u16()))
        }
    }

    /// hyper's errors keep what the system said to themselves.
    fn http(&self, error: &hyper::Error) -> String {
        let source = std::error::Error::source(error).map_or(String::new(), |source| format!(": {source}"));
        self.presentable(&format_args!("{error}{source}"))
    }
}

#[cfg(test)]
mod tests {
    use adit_config::Config;
    use adit_stratum::node::{Submitted, calls};

    use super::*;

    #[test]
    fn what_a_node_repeats_of_the_account_is_not_shown_wherever_a_text_ends_and_whatever_is_in_it() {
        let password = "with \"quotes\" and more";
        let account = serde_json::json!({ "user": "miner", "password": password });
        let config = format!(
            "version = 1\n[[pool]]\nurl = \"http://127.0.0.1:1\"\nuser = {}\npassword = {}\naddress = \"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\"\n",
            account["user"], account["password"]
        );
        let access = Access::new(&Config::parse(&config, "adit.toml").unwrap().pools[0]);
        let shown = |reason: &str| {
            let answer = serde_json::json!({ "result": reason, "error": null, "id": 0 }).to_string();
            match calls::read_submitted(answer.as_bytes()) {
                Ok(Submitted::Refused(reason)) => access.presentable(&reason),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(shown(&format!("\"bad\"\n{password} \u{1b}[2J")), "'bad' …  [2J");
        let long = "x".repeat(250);
        assert_eq!(shown(&format!("{long}{password}, more")), format!("{long}…, mor"));
    }
}
