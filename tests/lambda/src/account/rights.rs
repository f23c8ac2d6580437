//! What a role grants, as far as Weir's template says it: no denials, patterns that end in `*`, two kinds of conditions.

use serde_json::Value;

use super::asked::Asked;
use crate::template::{Names, Template, Unknown};

/// What a role grants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rights {
    statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
struct Statement {
    actions: Vec<String>,
    resources: Vec<String>,
    /// Patterns of partition keys; none: whatever they are.
    leading: Vec<String>,
    /// Audiences of tokens; none: whatever they are.
    audiences: Vec<String>,
}

impl Rights {
    /// Those of a role of the template: of its own policies and of those that it shares.
    pub(crate) fn of(template: &Template, role: &str, names: &Names) -> Result<Self, Unknown> {
        let properties = &template.resources[role].properties;
        let shared = list(&properties["ManagedPolicyArns"])
            .into_iter()
            .filter_map(|policy| policy["Ref"].as_str().map(str::to_owned))
            .map(|id| template.resources[&id].properties["PolicyDocument"].clone());
        let own = list(&properties["Policies"])
            .into_iter()
            .map(|policy| policy["PolicyDocument"].clone());
        let statements = shared
            .chain(own)
            .flat_map(|document| list(&document["Statement"]));
        let read = statements.map(|statement| {
            let texts = |value: &Value| -> Result<Vec<String>, Unknown> {
                let values: Result<Vec<Value>, Unknown> =
                    list(value).iter().map(|value| names.resolve(value)).collect();
                let texts = values?.into_iter().flat_map(|value| list(&value));
                Ok(texts
                    .filter_map(|text| text.as_str().map(str::to_owned))
                    .collect())
            };
            Ok(Statement {
                actions: texts(&statement["Action"])?,
                resources: texts(&statement["Resource"])?,
                leading: texts(&statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])?,
                audiences: texts(
                    &statement["Condition"]["ForAllValues:StringEquals"]["sts:IdentityTokenAudience"],
                )?,
            })
        });
        Ok(Self {
            statements: read.collect::<Result<_, _>>()?,
        })
    }

    /// Whether it grants what is asked for.
    pub(crate) fn grant(&self, asked: &Asked) -> bool {
        self.statements.iter().any(|statement| {
            let key = asked.leading.as_deref().unwrap_or_default();
            let audience = asked.audience.clone().unwrap_or_default();
            statement.actions.contains(&asked.action)
                && statement.resources.iter().any(|one| like(one, &asked.resource))
                && (statement.leading.is_empty() || statement.leading.iter().any(|one| like(one, key)))
                && (statement.audiences.is_empty() || statement.audiences.contains(&audience))
        })
    }
}

/// Nothing is a list of nothing, and one is a list of one.
fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    }
}

fn like(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => text.starts_with(prefix),
        None => pattern == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights() -> Rights {
        let statement = Statement {
            actions: vec!["dynamodb:PutItem".into()],
            resources: vec!["arn:table".into()],
            leading: vec!["RUN#*".into()],
            audiences: Vec::new(),
        };
        let token = Statement {
            actions: vec!["sts:GetWebIdentityToken".into()],
            resources: vec!["*".into()],
            leading: Vec::new(),
            audiences: vec!["weir/own".into()],
        };
        Rights {
            statements: vec![statement, token],
        }
    }

    #[test]
    fn a_token_is_granted_for_its_audience_alone() {
        let asked = |audience: Option<&str>| Asked {
            action: "sts:GetWebIdentityToken".into(),
            resource: "*".into(),
            leading: None,
            audience: audience.map(str::to_owned),
        };
        assert!(rights().grant(&asked(Some("weir/own"))));
        for audience in [None, Some("weir/other"), Some("weir/")] {
            assert!(!rights().grant(&asked(audience)), "{audience:?}");
        }
    }

    #[test]
    fn action_resource_and_key_must_all_be_granted() {
        let asked = |action: &str, resource: &str, key: Option<&str>| Asked {
            action: action.into(),
            resource: resource.into(),
            leading: key.map(str::to_owned),
            audience: None,
        };
        assert!(rights().grant(&asked("dynamodb:PutItem", "arn:table", Some("RUN#1"))));
        for denied in [
            asked("dynamodb:Scan", "arn:table", Some("RUN#1")),
            asked("dynamodb:PutItem", "arn:table/index/due", Some("RUN#1")),
            asked("dynamodb:PutItem", "arn:table", Some("PUSH#1")),
            asked("dynamodb:PutItem", "arn:table", None),
        ] {
            assert!(!rights().grant(&denied), "{denied}");
        }
    }
}
