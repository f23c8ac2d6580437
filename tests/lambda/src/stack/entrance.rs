//! What a cluster's authenticator knows: the keys of the functions' roles, and which role is let in as what.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{StackError, made};
use crate::account::{ACCOUNT, REGION};
use crate::template::Template;

/// What a function signs with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Says who it is.
    pub access_key: String,
    /// Proves it.
    pub secret_key: String,
    /// Says as whom for now.
    pub session_token: String,
}

impl Key {
    /// That of a function, by its id in the template.
    pub fn of(function: &str) -> Self {
        Self {
            access_key: made::access_key(function),
            secret_key: made::secret_key(function),
            session_token: made::session_token(function),
        }
    }
}

/// The settings of `tests/cluster/authenticator` for a cluster that a stack's functions enter. Who is let in stands in
/// the template of the cluster's side, whose parameters are the stack's outputs, as docs/aws.md has it.
///
/// # Errors
/// The templates do not fit each other.
pub fn entrance(stack: &Template, side: &Template, cluster: &str) -> Result<Value, StackError> {
    let outer = made::names(stack, &BTreeMap::new());
    let mut names = made::names(
        side,
        &BTreeMap::from([("ClusterName".to_owned(), cluster.to_owned())]),
    );
    for parameter in side.parameters.keys() {
        if let Some(output) = stack.outputs.get(parameter) {
            names.refer(parameter, outer.text(&output["Value"]).map_err(StackError::of)?);
        }
    }
    let entries = side.of_kind("AWS::EKS::AccessEntry").map(|(_, entry)| {
        let entry = names.resolve(&entry.properties).map_err(StackError::of)?;
        match entry["ClusterName"] == cluster {
            true => Ok(json!({ "principal": entry["PrincipalArn"], "groups": entry["KubernetesGroups"] })),
            false => Err(StackError(format!(
                "an access entry is for {}",
                entry["ClusterName"]
            ))),
        }
    });
    let identities = stack.of_kind("AWS::Serverless::Function").map(|(id, _)| {
        let role = &stack.function(id)["Role"]["Fn::GetAtt"][0];
        let role = role
            .as_str()
            .ok_or_else(|| StackError(format!("{id} has no role")))?;
        let key = Key::of(id);
        Ok(json!({
            "accessKey": key.access_key,
            "secretKey": key.secret_key,
            "sessionToken": key.session_token,
            "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{id}"),
        }))
    });
    Ok(json!({
        "partition": "aws",
        "region": REGION,
        "cluster": cluster,
        "identities": identities.collect::<Result<Vec<Value>, StackError>>()?,
        "entries": entries.collect::<Result<Vec<Value>, StackError>>()?,
    }))
}
