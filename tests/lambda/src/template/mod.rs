//! A CloudFormation template, read so that what it says can be run and checked.

mod names;
mod yaml;

use std::collections::BTreeMap;

use serde_json::Value;

pub use names::{Names, Unknown};

/// A template.
#[derive(Clone, Debug)]
pub struct Template {
    /// What is given when a stack is made of it, by name.
    pub parameters: BTreeMap<String, Value>,
    /// What parts of it depend on, by name.
    pub conditions: BTreeMap<String, Value>,
    /// What it makes, by logical id.
    pub resources: BTreeMap<String, Resource>,
    /// Properties that every serverless function has unless it says otherwise.
    pub function_defaults: Value,
    /// What it tells when it is made.
    pub outputs: BTreeMap<String, Value>,
}

/// Something that a template makes.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its type, as `AWS::SQS::Queue`.
    pub kind: String,
    /// Its properties; references are in the long form, `{"Ref": …}` and `{"Fn::GetAtt": […]}`.
    pub properties: Value,
    /// All of it.
    pub whole: Value,
}

/// A text is no template.
#[derive(Debug, thiserror::Error)]
#[error("this is no template: {0}")]
pub struct TemplateError(String);

impl Template {
    /// Reads a template in YAML.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &str) -> Result<Self, TemplateError> {
        let document = yaml::read(text).map_err(|error| TemplateError(error.to_string()))?;
        let section = |name: &str| -> BTreeMap<String, Value> {
            let members = document[name].as_object().into_iter().flatten();
            members
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        };
        let resources = section("Resources").into_iter().map(|(id, whole)| {
            let kind = whole["Type"].as_str();
            let kind = kind.ok_or_else(|| TemplateError(format!("{id} has no Type")))?;
            let resource = Resource {
                kind: kind.to_owned(),
                properties: whole["Properties"].clone(),
                whole: whole.clone(),
            };
            Ok((id, resource))
        });
        Ok(Self {
            parameters: section("Parameters"),
            conditions: section("Conditions"),
            resources: resources.collect::<Result<_, _>>()?,
            function_defaults: document["Globals"]["Function"].clone(),
            outputs: section("Outputs"),
        })
    }

    /// The resources of a type, in order of their ids.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Resource)> {
        let all = self.resources.iter();
        all.filter(move |(_, resource)| resource.kind == kind)
            .map(|(id, resource)| (id.as_str(), resource))
    }

    /// Properties of a serverless function, with those that all have.
    pub fn function(&self, id: &str) -> Value {
        let mut properties = self.function_defaults.clone();
        if let Some(own) = self.resources.get(id) {
            lay_over(&mut properties, &own.properties);
        }
        properties
    }
}

/// As the serverless transform does: maps are merged, everything else is replaced, references too.
fn lay_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) if !refers(under) && !refers(over) => {
            for (name, value) in over {
                lay_over(under.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

fn refers(members: &serde_json::Map<String, Value>) -> bool {
    members
        .keys()
        .any(|name| name == "Ref" || name.starts_with("Fn::"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "
Globals:
  Function:
    Timeout: 3
    Environment: {Variables: {A: !Ref Queue, B: !Sub '${Queue.Arn}/x'}}
Resources:
  Queue:
    Type: AWS::SQS::Queue
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Environment:
        Variables: {A: !GetAtt Queue.Arn, C: [!If [X, '1', !Ref Other]]}
";

    #[test]
    fn references_are_read_in_their_long_form_and_defaults_lie_under() {
        let template = Template::read(TEXT).unwrap();
        assert_eq!(
            template
                .of_kind("AWS::SQS::Queue")
                .map(|(id, _)| id)
                .collect::<Vec<_>>(),
            ["Queue"]
        );
        assert_eq!(
            template.function("Function"),
            json!({"Timeout": 3, "Environment": {"Variables": {
                "A": {"Fn::GetAtt": ["Queue", "Arn"]},
                "B": {"Fn::Sub": "${Queue.Arn}/x"},
                "C": [{"Fn::If": ["X", "1", {"Ref": "Other"}]}],
            }}})
        );
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["Resources: {A: {}}", "Resources: [", "- !Ref"] {
            let read = Template::read(text).map(|template| template.resources.len());
            assert!(!matches!(read, Ok(1..)), "{text}: {read:?}");
        }
    }
}
