//! A stack: everything that a template makes, running on this machine.

mod entrance;
mod made;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use weir_emulators::Emulator;

use crate::account::{Account, Behind, Bill, Rights, Trap};
use crate::door::Door;
use crate::function::{Function, Tally};
use crate::mapping::Mapping;
use crate::sandbox::Program;
use crate::template::{Names, Template};
use crate::trouble::{Fault, Place, Trouble};

pub use entrance::{Key, entrance};

/// A stack cannot be made, in words.
#[derive(Debug, thiserror::Error)]
#[error("the stack cannot be made: {0}")]
pub struct StackError(String);

impl StackError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// What a stack is made with, besides its template.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// By name; defaults of the template stand for the others.
    pub parameters: BTreeMap<String, String>,
    /// Where the programs are, by the folders that the template takes them from.
    pub programs: BTreeMap<String, PathBuf>,
    /// The text of the secret.
    pub secret: String,
    /// By name, clusters as EKS describes them: address, and authority in base64.
    pub clusters: BTreeMap<String, (String, String)>,
    /// What STS makes for whoever may say who it is; empty: nothing.
    pub web_token: String,
    /// Variables that functions get beside those of the template.
    pub variables: Vec<(String, String)>,
    /// Events of one function that are handled at once, at most.
    pub at_once: usize,
    /// Time between two calls of what the template calls every minute.
    pub minute: Option<Duration>,
    /// The folder that functions log to, a file each.
    pub logs: Option<PathBuf>,
    /// Whether things go wrong now and then, in all ways of [`Fault`].
    pub trouble: bool,
}

/// A stack.
pub struct Stack {
    /// The table, seen from outside.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The queues, seen from outside.
    pub sqs: aws_sdk_sqs::Client,
    names: Names,
    template: Template,
    given: Given,
    account: Account,
    trouble: Arc<Trouble>,
    functions: BTreeMap<String, Function>,
    doors: BTreeMap<String, Door>,
    running: Vec<JoinHandle<()>>,
    _emulators: [Emulator; 2],
}

impl Stack {
    /// Makes what the template says. Doors are open; queues are polled and schedules fire from [`Self::run`] on.
    ///
    /// # Errors
    /// Something cannot be made or started.
    pub async fn make(template: Template, given: Given) -> Result<Self, StackError> {
        let emulators = tokio::task::spawn_blocking(|| {
            Ok::<_, std::io::Error>([weir_emulators::dynamodb()?, weir_emulators::elasticmq()?])
        });
        let emulators = emulators.await.map_err(StackError::of)?.map_err(StackError::of)?;
        let (dynamodb_url, sqs_url) = (emulators[0].url(), emulators[1].url());
        let dynamodb = aws_sdk_dynamodb::Client::new(&made::config(&dynamodb_url).await);
        let sqs = aws_sdk_sqs::Client::new(&made::config(&sqs_url).await);
        let mut names = made::names(&template, &given.parameters);
        let queues = made::queues(&template, &sqs, &mut names).await?;
        made::table(&template, &dynamodb_url, &mut names).await?;
        let behind = Behind {
            roles: roles(&template, &names)?,
            dynamodb: dynamodb_url,
            sqs: sqs_url,
            sender: sqs.clone(),
            queues,
            secret: given.secret.clone(),
            clusters: given.clusters.clone(),
            web_token: given.web_token.clone(),
        };
        let trouble = Arc::new(Trouble::new(given.trouble));
        let account = Account::serve(behind, trouble.clone());
        let account = account.await.map_err(StackError::of)?;
        let functions = functions(&template, &names, &given, &account)?;
        let mut doors = BTreeMap::new();
        for (_, url) in template.of_kind("AWS::Lambda::Url") {
            let id = url.properties["TargetFunctionArn"]["Ref"]
                .as_str()
                .unwrap_or_default();
            let function = functions
                .get(id)
                .ok_or_else(|| StackError(format!("no function {id}")))?;
            let door = Door::open(function.clone()).await.map_err(StackError::of)?;
            doors.insert(id.to_owned(), door);
        }
        Ok(Self {
            dynamodb,
            sqs,
            names,
            template,
            given,
            account,
            trouble,
            functions,
            doors,
            running: Vec::new(),
            _emulators: emulators,
        })
    }

    /// Polls every queue that feeds a function, and fires every schedule, until the stack is dropped.
    ///
    /// # Errors
    /// The template says something that cannot be run.
    pub fn run(&mut self) -> Result<(), StackError> {
        let ids: Vec<String> = self.functions.keys().cloned().collect();
        for id in ids {
            for mapping in self.mappings(&id)? {
                let mapping = Arc::new(mapping);
                for _ in 0..self.given.at_once {
                    self.running.push(tokio::spawn(mapping.clone().run()));
                }
            }
        }
        for (id, schedule) in self.template.of_kind("AWS::Scheduler::Schedule") {
            let schedule = self.names.resolve(&schedule.properties).map_err(StackError::of)?;
            let target = &schedule["Target"];
            let function = self
                .functions
                .iter()
                .find(|(id, _)| target["Arn"] == made::arn_of(id));
            let (Some((_, function)), "rate(1 minute)") = (
                function,
                schedule["ScheduleExpression"].as_str().unwrap_or_default(),
            ) else {
                return Err(StackError(format!("{id} does not call a function every minute")));
            };
            let input = serde_json::from_str(target["Input"].as_str().unwrap_or_default());
            let every = self.given.minute.unwrap_or(Duration::from_secs(60));
            let input = input.map_err(StackError::of)?;
            let again = repeat(function.clone(), input, every, self.trouble.clone());
            self.running.push(tokio::spawn(again));
        }
        Ok(())
    }

    /// A function, by its id in the template.
    pub fn function(&self, id: &str) -> Function {
        self.functions[id].clone()
    }

    /// A function's URL.
    pub fn url(&self, id: &str) -> String {
        self.doors[id].url()
    }

    /// What `!Ref id` is: a queue's URL, a table's name.
    pub fn reference(&self, id: &str) -> String {
        self.names
            .text(&serde_json::json!({ "Ref": id }))
            .unwrap_or_default()
    }

    /// The queues that feed a function.
    ///
    /// # Errors
    /// The template feeds it with something else.
    pub fn mappings(&self, id: &str) -> Result<Vec<Mapping>, StackError> {
        let events = self.template.function(id)["Events"].clone();
        let events = events.as_object().into_iter().flat_map(|events| events.values());
        events
            .map(|event| {
                let properties = &event["Properties"];
                let queue = properties["Queue"]["Fn::GetAtt"][0]
                    .as_str()
                    .ok_or_else(|| StackError(format!("{id} is fed by no queue")))?;
                let batch = properties["BatchSize"]
                    .as_i64()
                    .and_then(|size| size.try_into().ok());
                Ok(Mapping {
                    client: self.sqs.clone(),
                    url: self.reference(queue),
                    batch: batch.unwrap_or(10),
                    function: self.function(id),
                    trouble: self.trouble.clone(),
                })
            })
            .collect()
    }

    /// Kills a function right after a write: it is done, and whoever made it does not hear of it. The write is told by the
    /// body of the call. Ends when that has happened; whoever drops it calls it off.
    pub fn kill_after(
        &self,
        id: &str,
        is_it: impl Fn(&Value) -> bool + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (caught, catching) = tokio::sync::oneshot::channel();
        self.account.set(Trap {
            function: id.to_owned(),
            is_it: Box::new(is_it),
            caught,
        });
        let function = self.function(id);
        async move {
            // It is set aside only by the next trap; then nothing happens any more.
            if catching.await.is_err() {
                std::future::pending::<()>().await;
            }
            function.kill_all().await;
        }
    }

    /// From now on nothing goes wrong but what is asked for by name, and nothing is called every minute; or all of it again.
    pub fn calm(&self, calm: bool) {
        self.trouble.set_calm(calm);
    }

    /// How often what went wrong, if anything is to.
    pub fn met(&self) -> Vec<(Fault, u64)> {
        self.trouble.all_met()
    }

    /// What functions asked for and their roles did not grant, in words.
    pub fn denied(&self) -> Vec<String> {
        self.account.denied()
    }

    /// What functions asked for and got.
    pub fn bill(&self) -> Bill {
        self.account.bill()
    }

    /// How often each function was asked, and how long it took.
    pub fn tallies(&self) -> BTreeMap<String, Tally> {
        let all = self.functions.iter();
        all.map(|(id, function)| (id.clone(), function.tally())).collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.running.iter().for_each(JoinHandle::abort);
    }
}

/// By access key, what each function may.
fn roles(template: &Template, names: &Names) -> Result<BTreeMap<String, (String, Rights)>, StackError> {
    let functions = template.of_kind("AWS::Serverless::Function");
    functions
        .map(|(id, _)| {
            let role = template.function(id)["Role"]["Fn::GetAtt"][0].clone();
            let role = role
                .as_str()
                .ok_or_else(|| StackError(format!("{id} has no role")))?;
            let rights = Rights::of(template, role, names).map_err(StackError::of)?;
            Ok((made::access_key(id), (id.to_owned(), rights)))
        })
        .collect()
}

fn functions(
    template: &Template,
    names: &Names,
    given: &Given,
    account: &Account,
) -> Result<BTreeMap<String, Function>, StackError> {
    let all = template.of_kind("AWS::Serverless::Function");
    all.map(|(id, _)| {
        let properties = template.function(id);
        let set = names.resolve(&properties["Environment"]["Variables"]);
        let set = set.map_err(StackError::of)?;
        let set = set.as_object().into_iter().flatten();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut variables: Vec<(String, String)> =
            set.map(|(name, value)| (name.clone(), text(value))).collect();
        variables.extend(made::credentials(id, &account.url()));
        variables.extend(given.variables.iter().cloned());
        let code = properties["CodeUri"].as_str().unwrap_or_default();
        let name = code.rsplit('/').nth(1).unwrap_or_default();
        let file = given.programs.get(name);
        let limit = properties["Timeout"]
            .as_u64()
            .ok_or_else(|| StackError(format!("{id} has no Timeout")))?;
        let program = Program {
            name: id.to_owned(),
            file: file
                .ok_or_else(|| StackError(format!("no program {name}")))?
                .clone(),
            variables,
            limit: Duration::from_secs(limit),
            log: given
                .logs
                .as_ref()
                .map(|folder| folder.join(format!("{name}.log"))),
        };
        Ok((id.to_owned(), Function::new(program, given.at_once.max(1))))
    })
    .collect()
}

/// Calls a function again and again, or as badly as a schedule may. What fails is not repeated: the next call comes.
async fn repeat(function: Function, input: Value, every: Duration, trouble: Arc<Trouble>) {
    const WAYS: [Fault; 4] = [Fault::Late, Fault::Twice, Fault::Never, Fault::Early];
    let call = || async {
        let _ = function.invoke(input.clone()).await;
    };
    loop {
        tokio::time::sleep(every).await;
        trouble.until_rough().await;
        let fault = trouble.strikes(Place::Schedule, &WAYS);
        if let Some(fault) = fault {
            trouble.met(fault);
        }
        match fault {
            Some(Fault::Late) => {
                tokio::time::sleep(every / 2).await;
                call().await;
            }
            Some(Fault::Twice) => {
                tokio::join!(call(), call());
            }
            Some(Fault::Never) => {}
            // The next one, long before its time.
            Some(Fault::Early) => {
                call().await;
                tokio::time::sleep(every / 4).await;
                call().await;
            }
            _ => call().await,
        }
    }
}
