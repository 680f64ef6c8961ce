//! A connector as it stands in a deployment: its component with configuration, grants and credentials. Neither the deployment's
//! topics nor its stored positions are touched.

use std::path::Path;

use wharf_runtime::config::Config;
use wharf_runtime::supervisor::{Plan, StartError};

use super::Trial;
use crate::bundle;
use crate::check::{component_cache, misfits};

/// The source or sink of this name in this file.
///
/// # Errors
/// What `wharf check` would say of the file and of this connector, ready to be shown.
pub async fn trial(file: &Path, name: &str) -> Result<Trial, String> {
    let (config, findings) = Config::load_with(file, &bundle::known()).map_err(|errors| errors.to_string())?;
    let unusable = |reason: &dyn std::fmt::Display| format!("error: {}: {reason}", file.display());
    let alone = config.alone(name).map_err(|unknown| unusable(&unknown))?;
    let plan = match Plan::new(alone, bundle::BUNDLE, &component_cache()).await {
        Ok(plan) => plan,
        Err(StartError::Misfits(list)) => return Err(misfits(findings, &list).to_string()),
        Err(error) => return Err(unusable(&error)),
    };
    let (component, grants, context) = plan.first().map_err(|error| unusable(&error))?;
    if component.wants("inbox") {
        return Err(unusable(&format!("`{name}` takes requests, and a trial has no listener: use `wharf run`")));
    }
    Ok(Trial { component, grants, context })
}
