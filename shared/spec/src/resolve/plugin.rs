//! Steps that run commands.

use std::collections::BTreeMap;

use weir_domain::pipeline::{Plugin, SecretRef};
use weir_domain::time::Span;

use super::{Resolver, place};
use crate::definition::{EnvironmentDef, PluginDef, StepDef};
use crate::diagnostic::Diagnostic;
use crate::render::short;
use crate::shape::is_variable_name;
use crate::source::Located;
use crate::variables::{Names, Use, output_references};

/// A step that says no deadline is stopped after this time.
const DEFAULT_TIMEOUT: Span = Span::minutes(30);
/// Beginning of the variables that carry outputs into commands.
const OUTPUT_PREFIX: &str = "WEIR_STEP_";

impl<'a> Resolver<'a> {
    pub(super) fn plugin(&mut self, step: &StepDef, plugin: &PluginDef) -> Option<Plugin> {
        let environment = self.plugin_environment(step)?;
        Some(self.commands(environment, plugin, step.timeout.unwrap_or(DEFAULT_TIMEOUT)))
    }

    /// Commands in a container, with the variables of an environment.
    pub(super) fn commands(
        &mut self,
        environment: Option<&'a EnvironmentDef>,
        plugin: &PluginDef,
        timeout: Span,
    ) -> Plugin {
        self.check_names(plugin);
        let names = Names {
            run: &self.run,
            environment,
            outputs: &self.outputs,
            own: Vec::new(),
            incomplete: false,
        };
        let mut env = BTreeMap::new();
        if let Some(environment) = environment {
            let pairs = environment.variables.iter();
            env.extend(pairs.map(|(name, value)| (name.clone(), value.value.clone())));
        }
        env.extend(self.run.clone());
        for (name, value) in &plugin.env {
            env.insert(name.clone(), names.put(value, Use::Field, self.sink));
        }
        let own = plugin.env.iter().map(|(name, _)| name.as_str());
        let secrets = plugin.secrets.iter().map(|(name, _, _)| name.value.as_str());
        let names = Names {
            own: own.chain(secrets).collect(),
            ..names
        };
        let commands = plugin.commands.iter().map(|command| {
            let text = names.put(command, Use::Shell, self.sink);
            outputs_to_variables(text, &mut env)
        });
        let commands = commands.collect();
        let image = names.put(&plugin.image, Use::Field, self.sink);
        if plugin.commands.iter().any(|command| runs_docker(&command.value)) {
            self.builder(plugin, &mut env);
        }
        let secrets = plugin.secrets.iter().map(|(env, secret, key)| SecretRef {
            env: env.value.clone(),
            secret: secret.clone(),
            key: key.clone(),
        });
        Plugin {
            image,
            commands,
            env,
            secrets: secrets.collect(),
            outputs: plugin.outputs.iter().map(|output| output.value.clone()).collect(),
            timeout,
        }
    }

    /// A Plugin step has an environment only if it names one. The outer nothing: it names one that is not there.
    fn plugin_environment(&mut self, step: &StepDef) -> Option<Option<&'a EnvironmentDef>> {
        if step.environment.is_none() {
            return Some(None);
        }
        match place::environment(self.definition, step) {
            Ok(environment) => Some(Some(environment)),
            Err(complaint) => {
                self.sink.push(*complaint);
                None
            }
        }
    }

    fn check_names(&mut self, plugin: &PluginDef) {
        let secrets = plugin.secrets.iter().map(|(name, _, _)| name);
        for name in plugin.outputs.iter().chain(secrets) {
            if !is_variable_name(&name.value) {
                let found = format!("`{}` as a name", short(&name.value));
                let expected = "letters, digits and `_`, not beginning with a digit";
                self.sink
                    .push(Diagnostic::error(&name.place, found).expected(expected));
            }
        }
    }

    /// `docker` commands run against the configured builder: a Job has no daemon, and is given none of the node's.
    fn builder(&mut self, plugin: &PluginDef, env: &mut BTreeMap<String, String>) {
        if let Some(builder) = &self.definition.builds.builder {
            env.entry("DOCKER_HOST".into()).or_insert_with(|| builder.clone());
            return;
        }
        let refused: Vec<&Located<String>> = plugin
            .commands
            .iter()
            .filter(|command| runs_docker(&command.value))
            .collect();
        for command in refused {
            let found = "a `docker` command, and no builder to run it";
            let help = "set `builder` in the `builds` section to the address of a rootless builder";
            self.sink
                .push(Diagnostic::reference(&command.place, found).help(help));
        }
    }
}

/// `${steps.build.TAG}` in a command becomes a variable of the shell: what a step wrote is data, and never a command.
fn outputs_to_variables(mut command: String, env: &mut BTreeMap<String, String>) -> String {
    let references: Vec<String> = output_references(&command)
        .into_iter()
        .map(str::to_owned)
        .collect();
    for reference in references {
        let name: String = reference
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        let variable = format!("{OUTPUT_PREFIX}{name}");
        let written = format!("${{steps.{reference}}}");
        command = command.replace(&written, &format!("${{{variable}}}"));
        env.insert(variable, written);
    }
    command
}

/// Whether the shell would start `docker` or a program that needs a daemon like it.
fn runs_docker(command: &str) -> bool {
    let starts = command.split(['\n', ';', '|', '&', '(']).map(str::trim_start);
    starts
        .map(|part| part.strip_prefix("sudo ").unwrap_or(part))
        .filter_map(|part| part.split_whitespace().next())
        .any(|program| {
            matches!(
                program,
                "docker" | "docker-compose" | "buildctl" | "/usr/bin/docker"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_is_found_where_a_program_begins_and_nowhere_else() {
        for command in [
            "docker build .",
            "cd x && docker push y",
            "sudo docker ps",
            "(docker info)",
        ] {
            assert!(runs_docker(command), "{command}");
        }
        for command in ["echo docker", "cat docker/Dockerfile", "dockerize", "ls ./docker"] {
            assert!(!runs_docker(command), "{command}");
        }
    }

    #[test]
    fn outputs_reach_commands_as_variables() {
        let mut env = BTreeMap::new();
        let command = outputs_to_variables("echo ${steps.build-push.TAG}".into(), &mut env);
        assert_eq!(command, "echo ${WEIR_STEP_BUILD_PUSH_TAG}");
        assert_eq!(env["WEIR_STEP_BUILD_PUSH_TAG"], "${steps.build-push.TAG}");
    }
}
