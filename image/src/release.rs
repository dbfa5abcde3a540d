//! What a build calls itself, from the source tree that it is made of.

use std::path::Path;

use adit_slots::manifest::Release;

use crate::error::{Error, Result};
use crate::tool::Tool;

/// Build time of a tree without commits: 2026-01-01. A unit believes no earlier time than its release's.
const EARLIEST: u64 = 1_767_225_600;

/// The workspace's version with the commit, and the commit's time: the same for every build of the same commit.
/// `$SOURCE_DATE_EPOCH` and `version` override them.
pub fn of_tree(root: &Path, version: Option<&str>) -> Result<Release> {
    let git = |args: &[&str]| {
        let tool = Tool::new("git", "git").arg("-C").arg(root).args(args);
        tool.run().ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let built = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text
            .parse()
            .map_err(|_| Error::input("SOURCE_DATE_EPOCH", format!("is {text:?}, not seconds since 1970")))?,
        Err(_) => git(&["log", "-1", "--format=%ct"]).and_then(|text| text.parse().ok()).unwrap_or(EARLIEST),
    };
    let own = env!("CARGO_PKG_VERSION");
    let version = match (version, git(&["rev-parse", "--short=12", "HEAD"])) {
        (Some(version), _) => version.to_owned(),
        (None, Some(commit)) if git(&["status", "--porcelain"]).is_some() => {
            format!("{own}+g{commit}.changed")
        }
        (None, Some(commit)) => format!("{own}+g{commit}"),
        (None, None) => own.to_owned(),
    };
    Ok(Release { version, built })
}
