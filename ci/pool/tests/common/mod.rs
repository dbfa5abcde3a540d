//! A tiny miner, written from the protocol's description and on its own hashing: it shares no line with the pool that it talks to.
#![allow(dead_code, reason = "each test program uses its part")]
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "helpers of tests")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use adit_pool::{Config, Difficulty, Handle, Pool, State};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

pub(crate) const EASY: f64 = 1e-6;

pub(crate) fn difficulty(value: f64) -> Difficulty {
    Difficulty::new(value).unwrap()
}

/// A pool in a runtime of its own, so that tests can block.
pub(crate) struct Running {
    pub pool: Handle,
    pub runtime: Runtime,
}

impl Running {
    pub(crate) fn start(config: Config) -> Self {
        let runtime = Runtime::new().unwrap();
        let pool = runtime.block_on(Pool::start(config)).unwrap();
        Self { pool, runtime }
    }

    pub(crate) fn synthetic() -> Self {
        Self::start(Config { difficulty: difficulty(EASY), ..Config::default() })
    }

    pub(crate) fn miner(&self) -> Miner {
        let mut miner = Miner::connect(self.pool.address());
        miner.join("tests.one");
        miner
    }

    pub(crate) fn wait(&self, what: &str, condition: impl Fn(&State) -> bool) -> State {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let state = self.pool.state();
            if condition(&state) {
                return state;
            }
            assert!(Instant::now() < deadline, "{what}: {state:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub id: String,
    pub previous: Vec<u8>,
    pub coinb1: Vec<u8>,
    pub coinb2: Vec<u8>,
    pub branches: Vec<Vec<u8>>,
    pub version: u32,
    pub bits: u32,
    pub time: u32,
    pub clean: bool,
}

pub(crate) struct Miner {
    pub stream: TcpStream,
    reader: BufReader<TcpStream>,
    next_id: u64,
    pub extranonce1: Vec<u8>,
    pub extranonce2_size: usize,
    pub difficulty: f64,
    pub mask: u32,
    pub worker: String,
    pub jobs: Vec<Job>,
    /// Messages of the pool that are not job or difficulty.
    pub others: Vec<Value>,
    tried: u32,
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> u32 {
    u32::from_str_radix(value.as_str().unwrap(), 16).unwrap()
}

pub(crate) fn double_hash(data: &[u8]) -> Vec<u8> {
    Sha256::digest(Sha256::digest(data)).to_vec()
}

/// 2^224 over the hash, roughly: enough for a miner that leaves a margin.
pub(crate) fn reached(hash: &[u8]) -> f64 {
    let value: f64 = hash.iter().rev().fold(0.0, |sum, byte| sum * 256.0 + f64::from(*byte));
    65535.0 * 2f64.powi(208) / value
}

impl Miner {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self {
            stream,
            reader,
            next_id: 1,
            extranonce1: Vec::new(),
            extranonce2_size: 0,
            difficulty: 0.0,
            mask: 0,
            worker: String::new(),
            jobs: Vec::new(),
            others: Vec::new(),
            tried: 0,
        }
    }

    /// Configure, subscribe, authorize, and the first job.
    pub(crate) fn join(&mut self, worker: &str) {
        let options = json!({"version-rolling.mask": "ffffffff", "version-rolling.min-bit-count": 2});
        let configured = self.request("mining.configure", json!([["version-rolling"], options]));
        assert_eq!(configured["result"]["version-rolling"], true);
        self.mask = number(&configured["result"]["version-rolling.mask"]);
        self.subscribe_and_authorize(worker);
    }

    pub(crate) fn subscribe_and_authorize(&mut self, worker: &str) {
        let subscribed = self.request("mining.subscribe", json!(["tiny-miner/1"]));
        self.extranonce1 = bytes(&subscribed["result"][1]);
        self.extranonce2_size = subscribed["result"][2].as_u64().unwrap() as usize;
        assert_eq!(self.request("mining.authorize", json!([worker, "x"]))["result"], true);
        self.worker = worker.to_owned();
        self.next_job();
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(String::from_utf8_lossy(&line).into_owned()),
        }
    }

    /// Waits for the pool to close.
    pub(crate) fn closed(&mut self) -> bool {
        loop {
            match self.line() {
                Ok(_) => {}
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
    }

    pub(crate) fn quiet_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let quiet = self.line().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        self.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        quiet
    }

    fn take(&mut self, message: Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("mining.set_difficulty") => self.difficulty = params[0].as_f64().unwrap(),
            Some("mining.notify") => {
                let mut previous = bytes(&params[1]);
                previous.chunks_mut(4).for_each(<[u8]>::reverse);
                self.jobs.push(Job {
                    id: params[0].as_str().unwrap().to_owned(),
                    previous,
                    coinb1: bytes(&params[2]),
                    coinb2: bytes(&params[3]),
                    branches: params[4].as_array().unwrap().iter().map(bytes).collect(),
                    version: number(&params[5]),
                    bits: number(&params[6]),
                    time: number(&params[7]),
                    clean: params[8].as_bool().unwrap(),
                });
            }
            _ => self.others.push(message),
        }
    }

    /// Reads until a message that is neither job nor difficulty.
    pub(crate) fn other(&mut self) -> Value {
        loop {
            if !self.others.is_empty() {
                return self.others.remove(0);
            }
            let line = self.line().unwrap();
            self.take(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}")));
        }
    }

    pub(crate) fn next_job(&mut self) -> Job {
        let before = self.jobs.len();
        while self.jobs.len() == before {
            let line = self.line().unwrap();
            self.take(serde_json::from_str(&line).unwrap());
        }
        self.jobs.last().unwrap().clone()
    }

    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&format!("{}\n", json!({"id": id, "method": method, "params": params})));
        loop {
            let answer = self.other();
            if answer["id"] == id && answer.get("method").is_none() {
                return answer;
            }
        }
    }

    pub(crate) fn hash(&self, job: &Job, extranonce2: &[u8], time: u32, nonce: u32, version: u32) -> Vec<u8> {
        let coinbase = [&job.coinb1, &self.extranonce1, extranonce2, &job.coinb2].concat();
        let root = job
            .branches
            .iter()
            .fold(double_hash(&coinbase), |node, branch| double_hash(&[node, branch.clone()].concat()));
        let mut header = version.to_le_bytes().to_vec();
        header.extend(&job.previous);
        header.extend(&root);
        header.extend(time.to_le_bytes());
        header.extend(job.bits.to_le_bytes());
        header.extend(nonce.to_le_bytes());
        double_hash(&header)
    }

    /// The parameters of a good share of a job; a different one each time.
    pub(crate) fn mine(&mut self, job: &Job) -> Value {
        self.mine_for(job, self.difficulty * 1.000_001, f64::INFINITY)
    }

    /// A share whose difficulty is between two.
    pub(crate) fn mine_for(&mut self, job: &Job, least: f64, most: f64) -> Value {
        self.tried += 1;
        let mut extranonce2 = vec![0; self.extranonce2_size];
        extranonce2[..4].copy_from_slice(&self.tried.to_be_bytes());
        let bits = (self.tried << 13) & self.mask;
        for nonce in 0.. {
            let hash = self.hash(job, &extranonce2, job.time, nonce, job.version | bits);
            if (least..most).contains(&reached(&hash)) {
                let mut params = json!([
                    self.worker,
                    job.id,
                    hex::encode(&extranonce2),
                    format!("{:08x}", job.time),
                    format!("{nonce:08x}")
                ]);
                if self.mask != 0 {
                    params.as_array_mut().unwrap().push(format!("{bits:08x}").into());
                }
                return params;
            }
        }
        unreachable!("2^32 nonces are enough at these difficulties")
    }

    /// The code of a refusal, 0 for an accepted share.
    pub(crate) fn submit(&mut self, params: &Value) -> u64 {
        let answer = self.request("mining.submit", params.clone());
        if answer["result"] == true {
            assert!(answer["error"].is_null());
            return 0;
        }
        answer["error"][0].as_u64().unwrap_or_else(|| panic!("{answer}"))
    }
}
